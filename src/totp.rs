//! Time-based codes (RFC 6238) with what every authenticator takes: SHA-1, six digits, thirty seconds; and the
//! `otpauth` URI that hands a secret over.

mod sha1;
mod uri;

pub use uri::{secret, uri};

/// Bytes of a secret: what RFC 4226 recommends, and 32 letters of base32.
pub const SECRET_BYTES: usize = 20;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const STEP_SECONDS: u64 = 30;

/// RFC 4648 without padding.
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            push(&mut text, bits >> count);
        }
    }
    if count > 0 {
        push(&mut text, bits << (5 - count));
    }
    text
}

fn push(text: &mut String, bits: u32) {
    let letter = ALPHABET.get((bits & 31) as usize).copied().unwrap_or_default();
    text.push(char::from(letter));
}

/// Undoes [`base32`]; small letters and padding are fine, anything else is not.
pub fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let letter = letter.to_ascii_uppercase();
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        bits = bits << 5 | value as u32;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}

/// The code of six digits at this time, in milliseconds since 1970; `steps` later or earlier.
pub fn code(key: &[u8], now: u64, steps: i64) -> String {
    let counter = (now / 1000 / STEP_SECONDS).saturating_add_signed(steps);
    format!("{:06}", number(key, counter) % 1_000_000)
}

/// Whether the code is right: of this step, or one beside it, as PVE takes it (pve-observed 3.4).
pub fn is_right(key: &[u8], now: u64, code: &str) -> bool {
    [0, -1, 1].into_iter().any(|steps| self::code(key, now, steps) == code)
}

/// RFC 4226, 5.3.
fn number(key: &[u8], counter: u64) -> u32 {
    let digest = sha1::hmac(key, &counter.to_be_bytes());
    let place = usize::from(digest.last().copied().unwrap_or_default() & 15);
    let four =
        digest.get(place..place + 4).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
    u32::from_be_bytes(four) & 0x7fff_ffff
}

/// The secret in groups of four, to be typed in.
pub fn grouped(secret: &str) -> String {
    let groups: Vec<&str> =
        (0..secret.len()).step_by(4).filter_map(|at| secret.get(at..(at + 4).min(secret.len()))).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"12345678901234567890";

    #[test]
    fn c1_codes_are_those_of_rfc_6238() {
        // Appendix B has eight digits; the last six are what six digits are.
        for (seconds, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(super::code(KEY, seconds * 1000, 0), code[2..], "{seconds}");
            assert_eq!(format!("{:08}", number(KEY, seconds / 30) % 100_000_000), code);
        }
    }

    #[test]
    fn c1_the_numbers_are_those_of_rfc_4226() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        for (counter, wanted) in codes.into_iter().enumerate() {
            assert_eq!(format!("{:06}", number(KEY, counter as u64) % 1_000_000), wanted);
        }
    }

    #[test]
    fn c1_codes_are_those_of_oathtool() {
        for (number, seconds) in [1_767_225_600, 1_767_225_629, 4_000_000_017].into_iter().enumerate() {
            let key: Vec<u8> = (0..20).map(|byte| (byte * 41 + number * 7) as u8).collect();
            let mut oathtool = std::process::Command::new("oathtool");
            oathtool.args(["--totp", "--base32", &base32(&key), "--now", &format!("@{seconds}")]);
            let output = oathtool.output().expect("this test needs oathtool: apt-get install oathtool");
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), code(&key, seconds * 1000, 0));
        }
    }

    #[test]
    fn c3_a_code_of_the_step_before_and_after_is_right_and_no_other() {
        let now = 1_234_567_890_000;
        for steps in -1..=1 {
            assert!(is_right(KEY, now, &code(KEY, now, steps)));
        }
        for steps in [-2, 2] {
            assert!(!is_right(KEY, now, &code(KEY, now, steps)));
        }
        assert!(!is_right(KEY, now, "") && !is_right(KEY, now, "005 924"));
    }

    #[test]
    fn c1_base32_goes_there_and_back() {
        assert_eq!(base32(KEY), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        for length in 0..40_u8 {
            let bytes: Vec<u8> =
                (0..length).map(|byte| byte.wrapping_mul(113).wrapping_add(length)).collect();
            assert_eq!(from_base32(&base32(&bytes)).as_deref(), Some(bytes.as_slice()));
            assert_eq!(from_base32(&base32(&bytes).to_lowercase()), Some(bytes));
        }
        assert_eq!(from_base32("MFRA===="), Some(b"ab".to_vec()));
        assert_eq!(from_base32("A1"), None);
        assert_eq!(from_base32("A A"), None);
        assert_eq!(grouped("GEZDGNBVGY"), "GEZD GNBV GY");
    }
}
