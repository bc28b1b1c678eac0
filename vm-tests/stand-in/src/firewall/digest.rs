//! Checksums: those the API compares before it writes, and those by which chains know whether they are up to date.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha1::{Digest, Sha1};

/// SHA-1 over properties, as `key:value` lines in the order given, in hexadecimal.
pub fn of_properties<'a>(properties: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut hash = Sha1::new();
    for (key, value) in properties {
        hash.update(format!("{key}:{value}\n"));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-1 over the lines of a chain in base64 without padding.
pub fn of_lines<'a>(lines: impl IntoIterator<Item = &'a String>) -> String {
    let mut hash = Sha1::new();
    for line in lines {
        hash.update(line);
    }
    STANDARD_NO_PAD.encode(hash.finalize())
}

/// The same for a set, whose members have no order.
pub fn of_set(lines: &[String]) -> String {
    let mut sorted: Vec<&String> = lines.iter().collect();
    sorted.sort();
    of_lines(sorted)
}

/// The short name PVE gives what would be too long: FNV-1a without the sign bit, in capital hexadecimal.
pub fn short(text: &str) -> String {
    let mut value: u32 = 0x811c_9dc5;
    for byte in text.bytes() {
        value = (value ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    format!("{:X}", value & 0x7fff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_recordings() {
        assert_eq!(of_properties([]), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(of_properties([("enable", "1795326778")]), "d398ae1cdad6238f75fa6944507d0722d36309c8");
        assert_eq!(of_lines(&[]), "2jmj7l5rSw0yVb/vlWAYkK/YBwk");
        let input = ["-A PVEFW-INPUT -j PVEFW-HOST-IN".to_owned()];
        assert_eq!(of_lines(&input), "+5iMmLaxKXynOB/+5xibfx7WhFk");
    }
}
