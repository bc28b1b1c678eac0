//! Public keys, as lines of `authorized_keys`: the blob is taken apart, so that a key that was cut or pasted
//! wrongly is found before it locks somebody out.

use super::base64;
use super::table::only;
use crate::profile::PublicKey;
use sha2::{Digest, Sha256};

const FORM: &str = "must be a public key line: ssh-ed25519, ecdsa-sha2-nistp256 (384, 521), \
                    sk-ssh-ed25519@openssh.com, sk-ecdsa-sha2-nistp256@openssh.com or ssh-rsa, then the key";
const BROKEN: &str = "is not a whole public key; copy the one line of the .pub file again";

/// OpenSSH's own limit (SSHBUF_MAX_BIGNUM).
const MOST_RSA_BITS: usize = 16_384;
/// What Germany's BSI and OpenSSH's default for new keys agree on.
const LEAST_RSA_BITS: usize = 3_072;

/// Reads one line; the error says what is wrong and what would be right.
pub fn public_key(line: &str) -> Result<PublicKey, String> {
    let line = line.trim();
    let (algorithm, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (blob, comment) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
    if line.starts_with("-----BEGIN") {
        return Err("is a private key; never give it away, give the line of the .pub file".to_owned());
    }
    if algorithm.contains("-cert-v01@") {
        return Err("is a certificate; give the public key itself".to_owned());
    }
    if algorithm == "ssh-dss" {
        return Err(
            "is a DSA key, which OpenSSH takes no longer; make one with `ssh-keygen -t ed25519`".to_owned()
        );
    }
    if !is_known(algorithm) {
        let options = rest.split(' ').any(is_known);
        let message = if options { "must not have options in front; give the key alone" } else { FORM };
        return Err(message.to_owned());
    }
    let bytes = base64::decode(blob).ok_or(BROKEN)?;
    check(algorithm, &bytes)?;
    let fingerprint = format!("SHA256:{}", base64::encode_unpadded(&Sha256::digest(&bytes)));
    Ok(PublicKey {
        algorithm: algorithm.to_owned(),
        blob: blob.to_owned(),
        comment: comment.trim().to_owned(),
        fingerprint,
    })
}

fn is_known(algorithm: &str) -> bool {
    matches!(
        algorithm,
        "ssh-ed25519"
            | "ecdsa-sha2-nistp256"
            | "ecdsa-sha2-nistp384"
            | "ecdsa-sha2-nistp521"
            | "sk-ssh-ed25519@openssh.com"
            | "sk-ecdsa-sha2-nistp256@openssh.com"
            | "ssh-rsa"
    )
}

/// The blob against its algorithm: RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4, OpenSSH's PROTOCOL.u2f.
fn check(algorithm: &str, blob: &[u8]) -> Result<(), String> {
    let mut fields = Fields { rest: blob };
    let inner = fields.next().ok_or(BROKEN)?;
    if inner != algorithm.as_bytes() {
        let inner = str::from_utf8(inner)
            .ok()
            .filter(|inner| inner.len() < 64 && only(inner, "-@."))
            .ok_or(BROKEN)?;
        return Err(format!("says {algorithm} in front but is a key of type {inner}; copy the line again"));
    }
    let whole = match algorithm {
        "ssh-rsa" => return check_rsa(fields),
        "ssh-ed25519" => fields.is_next_of(32),
        "sk-ssh-ed25519@openssh.com" => fields.is_next_of(32) && fields.is_application(),
        "ecdsa-sha2-nistp256" => fields.is_point("nistp256", 65),
        "ecdsa-sha2-nistp384" => fields.is_point("nistp384", 97),
        "ecdsa-sha2-nistp521" => fields.is_point("nistp521", 133),
        _ => fields.is_point("nistp256", 65) && fields.is_application(),
    };
    if whole && fields.rest.is_empty() { Ok(()) } else { Err(BROKEN.to_owned()) }
}

fn check_rsa(mut fields: Fields<'_>) -> Result<(), String> {
    let exponent = fields.next().and_then(bits).ok_or(BROKEN)?;
    let modulus = fields.next().and_then(bits).ok_or(BROKEN)?;
    if !fields.rest.is_empty() || exponent < 2 || modulus > MOST_RSA_BITS {
        return Err(BROKEN.to_owned());
    }
    if modulus < LEAST_RSA_BITS {
        return Err(format!(
            "is an RSA key of {modulus} bits, at least {LEAST_RSA_BITS} are needed; better make one with \
             `ssh-keygen -t ed25519`"
        ));
    }
    Ok(())
}

/// Length of a positive number in its one canonical form: a zero byte in front only where the sign needs it.
fn bits(number: &[u8]) -> Option<usize> {
    let digits = match number {
        [0, digits @ ..] if digits.first().is_some_and(|&byte| byte >= 0x80) => digits,
        [1..0x80, ..] => number,
        _ => return None,
    };
    let zeros = digits.first()?.leading_zeros() as usize;
    Some(digits.len() * 8 - zeros)
}

/// The strings of a blob, each with its length in front.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let (field, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        self.rest = rest;
        Some(field)
    }

    fn is_next_of(&mut self, length: usize) -> bool {
        self.next().is_some_and(|field| field.len() == length)
    }

    fn is_application(&mut self) -> bool {
        self.next().is_some_and(|name| !name.is_empty())
    }

    fn is_point(&mut self, curve: &str, length: usize) -> bool {
        self.next() == Some(curve.as_bytes())
            && self.next().is_some_and(|point| point.first() == Some(&4) && point.len() == length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(bytes: &[u8]) -> Vec<u8> {
        let mut field = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        field.extend_from_slice(bytes);
        field
    }

    fn line(algorithm: &str, fields: &[&[u8]]) -> String {
        let mut blob = field(algorithm.as_bytes());
        fields.iter().for_each(|bytes| blob.extend(field(bytes)));
        format!("{algorithm} {} who@where", base64::encode(&blob))
    }

    fn rsa(bits: usize) -> String {
        let mut modulus = vec![0xff; bits / 8];
        modulus.insert(0, 0);
        line("ssh-rsa", &[&[1, 0, 1], &modulus])
    }

    fn point(length: usize) -> Vec<u8> {
        let mut point = vec![7; length];
        point[0] = 4;
        point
    }

    #[test]
    fn every_type_that_the_schema_names_is_taken_a3() {
        for line in [
            line("ssh-ed25519", &[&[1; 32]]),
            line("sk-ssh-ed25519@openssh.com", &[&[1; 32], b"ssh:"]),
            line("ecdsa-sha2-nistp256", &[b"nistp256", &point(65)]),
            line("ecdsa-sha2-nistp384", &[b"nistp384", &point(97)]),
            line("ecdsa-sha2-nistp521", &[b"nistp521", &point(133)]),
            line("sk-ecdsa-sha2-nistp256@openssh.com", &[b"nistp256", &point(65), b"ssh:"]),
            rsa(3072),
            rsa(16_384),
        ] {
            let key = public_key(&line).unwrap_or_else(|message| panic!("{line}: {message}"));
            assert_eq!(key.line(), line);
            assert_eq!(public_key(&format!("  {line}  ")).map(|key| key.line()), Ok(line));
        }
    }

    #[test]
    fn the_fingerprint_is_the_one_that_ssh_keygen_prints_a6() {
        let line =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICSRnhZczuItvkC4OIHjiTlZfkL7tay9kjZQKYGK4cdl a comment";
        let key = public_key(line).unwrap_or_else(|message| panic!("{message}"));
        assert_eq!(key.fingerprint, "SHA256:p/yAz/PMgpSr7Phn5l4ATX13GFgT8e3ziCXVapeS8to");
        assert_eq!((key.algorithm.as_str(), key.comment.as_str()), ("ssh-ed25519", "a comment"));
    }

    #[test]
    fn broken_blobs_are_refused() {
        for line in [
            line("ssh-ed25519", &[&[1; 31]]),
            line("ssh-ed25519", &[&[1; 32], b"more"]),
            line("ssh-ed25519", &[]),
            line("sk-ssh-ed25519@openssh.com", &[&[1; 32]]),
            line("ecdsa-sha2-nistp256", &[b"nistp384", &point(97)]),
            line("ecdsa-sha2-nistp256", &[b"nistp256", &point(66)]),
            line("ecdsa-sha2-nistp256", &[b"nistp256", &[2; 65]]),
            line("ssh-rsa", &[&[1, 0, 1]]),
            line("ssh-rsa", &[&[1, 0, 1], &[0xff; 512]]),
            line("ssh-rsa", &[&[1, 0, 1], &[0, 1, 2]]),
            line("ssh-rsa", &[&[], &[1; 512]]),
            "ssh-ed25519".to_owned(),
            "ssh-ed25519 AAAA".to_owned(),
            "ssh-ed25519 *** x".to_owned(),
        ] {
            assert_eq!(public_key(&line).err().as_deref(), Some(BROKEN), "{line}");
        }
    }

    #[test]
    fn rsa_needs_3072_bits() {
        assert!(public_key(&rsa(3064)).is_err_and(|message| message.contains("of 3064 bits")));
        assert!(public_key(&rsa(1024)).is_err_and(|message| message.contains("of 1024 bits")));
        assert!(public_key(&rsa(16_392)).is_err());
    }

    #[test]
    fn no_cut_of_a_key_is_taken() {
        let line = line("ssh-ed25519", &[&[1; 32]]);
        let end = line.rfind(' ').unwrap();
        for length in 0..end {
            assert!(public_key(&line[..length]).is_err(), "{length}");
        }
    }
}
