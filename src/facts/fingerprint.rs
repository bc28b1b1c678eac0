//! Fingerprints of public keys as `ssh-keygen -l` prints them: SHA-256 of the blob, base64 without padding.

use crate::answer::base64::{decode, encode_unpadded};
use sha2::{Digest, Sha256};

/// `SHA256:…` of a public key's base64 blob; `None` when it is not base64.
pub fn fingerprint(blob: &str) -> Option<String> {
    let digest = Sha256::digest(decode(blob)?);
    Some(format!("SHA256:{}", encode_unpadded(&digest)))
}

/// The blob of a line of `authorized_keys`, when the line has no options in front of the key.
pub fn authorized_blob(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    let algorithm = words.next()?;
    let known = ["ssh-", "ecdsa-", "sk-"].iter().any(|start| algorithm.starts_with(start));
    words.next().filter(|blob| known && blob.starts_with("AAAA"))
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
