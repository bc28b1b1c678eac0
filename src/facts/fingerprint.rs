//! Fingerprints of public keys as `ssh-keygen -l` prints them: SHA-256 of the blob, base64 without padding.

use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `SHA256:…` of a public key's base64 blob; `None` when it is not base64.
pub fn fingerprint(blob: &str) -> Option<String> {
    let digest = Sha256::digest(decode(blob)?);
    Some(format!("SHA256:{}", encode(&digest)))
}

/// The blob of a line of `authorized_keys`, when the line has no options in front of the key.
pub fn authorized_blob(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    let algorithm = words.next()?;
    let known = ["ssh-", "ecdsa-", "sk-"].iter().any(|start| algorithm.starts_with(start));
    words.next().filter(|blob| known && blob.starts_with("AAAA"))
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 2);
    for group in bytes.chunks(3) {
        let word =
            group.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            let six = usize::try_from(word >> (18 - 6 * place) & 63).unwrap_or(0);
            text.push(char::from(ALPHABET.get(six).copied().unwrap_or(b'A')));
        }
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut word, mut bits) = (Vec::with_capacity(text.len()), 0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let six = ALPHABET.iter().position(|&letter| letter == byte)?;
        word = word << 6 | u32::try_from(six).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits & 255) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with ssh-keygen and read with `ssh-keygen -lf`.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJy2gwjEY6GhQ00A3cdaFfH1RkTRhrMCKph17za7ZyqT ops@desk";

    #[test]
    fn a6_fingerprint_equals_the_one_of_ssh_keygen() {
        let blob = authorized_blob(KEY).unwrap();
        assert_eq!(fingerprint(blob).unwrap(), "SHA256:nfpypaYnieR5phm1zXR+7ucjPejKembKn2GlPlb7pfc");
        assert!(fingerprint("AAAA*").is_none());
    }

    #[test]
    fn a_line_with_options_has_no_plain_key() {
        assert!(authorized_blob(&format!("command=\"x\" {KEY}")).is_none());
        assert!(authorized_blob("# comment").is_none());
    }
}
