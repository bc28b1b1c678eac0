//! TOTP as proxmox-tfa does it: reading and writing otpauth URIs, and codes.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

/// The hash below the code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-1
    Sha1,
    /// SHA-256
    Sha256,
    /// SHA-512
    Sha512,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        match text.to_lowercase().as_str() {
            "sha1" => Ok(Self::Sha1),
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(format!("unsupported algorithm: '{text}'")),
        }
    }
}

/// One secret and its settings.
#[derive(Clone)]
pub struct Totp {
    secret: Vec<u8>,
    digits: u8,
    algorithm: Algorithm,
    period: u64,
    issuer: Option<String>,
    account: String,
}

/// A period of 0 makes the real code panic (transcript 21, item 46).
pub struct Panic;

impl Totp {
    /// Reads a URI. Unknown parameters are refused, as is everything that does not begin with `otpauth://totp/`.
    pub fn read(uri: &str) -> Result<Self, String> {
        let rest = uri.strip_prefix("otpauth://totp/").ok_or("not an otpauth uri")?;
        let (label, query) = rest.split_once('?').ok_or("missing '?' in otp uri")?;
        // Only a literal colon divides the label; `%3A` becomes a part of the account.
        let (issuer, account) = match label.split_once(':') {
            Some((issuer, account)) => (Some(percent_decoded(issuer)), percent_decoded(account)),
            None => (None, percent_decoded(label)),
        };
        let mut totp =
            Self { secret: Vec::new(), digits: 6, algorithm: Algorithm::Sha1, period: 30, issuer, account };
        for part in query.split('&') {
            let (key, value) = part.split_once('=').ok_or("bad value in otpauth uri")?;
            totp.set(&percent_decoded(key), &percent_decoded(value))?;
        }
        if totp.secret.is_empty() {
            return Err("missing secret in otpauth url".to_owned());
        }
        Ok(totp)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let bad = |reason: String| format!("failed to parse value '{key}': {reason}");
        match key {
            "secret" => {
                self.secret = base32_decoded(value).ok_or("failed to decode otp secret in otpauth url")?;
            }
            "digits" => self.digits = value.parse().map_err(|error| bad(format!("{error}")))?,
            "algorithm" => self.algorithm = Algorithm::read(value).map_err(bad)?,
            "period" => self.period = value.parse().map_err(|error| bad(format!("{error}")))?,
            "issuer" => self.issuer = Some(value.to_owned()),
            other => return Err(format!("unknown otpauth uri parameter: '{other}'")),
        }
        Ok(())
    }

    /// The URI as PVE stores it.
    pub fn uri(&self) -> String {
        let issuer = self.issuer.as_deref().map(percent_encoded);
        let label = issuer.as_ref().map(|issuer| format!("{issuer}:")).unwrap_or_default();
        let query = issuer.map(|issuer| format!("&issuer={issuer}")).unwrap_or_default();
        format!(
            "otpauth://totp/{label}{}?secret={}&digits={}&algorithm={}&period={}{query}",
            percent_encoded(&self.account),
            base32_encoded(&self.secret),
            self.digits,
            self.algorithm.name(),
            self.period,
        )
    }

    /// The counter of the step whose code this is: the present one, the one before or the one after.
    pub fn verify(&self, code: &str, now: u64) -> Result<Option<i64>, Panic> {
        let counter = now.checked_div(self.period).ok_or(Panic)?;
        for step in [counter.wrapping_sub(1), counter, counter.wrapping_add(1)] {
            if self.is_code(step, code) {
                return Ok(i64::try_from(step).ok());
            }
        }
        Ok(None)
    }

    fn is_code(&self, counter: u64, code: &str) -> bool {
        code.len() == usize::from(self.digits)
            && code.parse::<u32>().is_ok_and(|given| given == self.number(counter))
    }

    /// The code of the step at this time.
    pub fn code(&self, now: u64) -> String {
        let number = self.number(now.checked_div(self.period).unwrap_or_default());
        format!("{number:0width$}", width = usize::from(self.digits))
    }

    fn number(&self, counter: u64) -> u32 {
        let hash = self.hash(&counter.to_be_bytes());
        let at = usize::from(hash.last().copied().unwrap_or_default() & 0xf);
        let four = hash.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
        let number = u32::from_be_bytes(four) & 0x7fff_ffff;
        number.checked_rem(10_u32.wrapping_pow(u32::from(self.digits))).unwrap_or(number)
    }

    fn hash(&self, message: &[u8]) -> Vec<u8> {
        match self.algorithm {
            Algorithm::Sha1 => hmac::<Hmac<Sha1>>(&self.secret, message),
            Algorithm::Sha256 => hmac::<Hmac<Sha256>>(&self.secret, message),
            Algorithm::Sha512 => hmac::<Hmac<Sha512>>(&self.secret, message),
        }
    }
}

/// A keyed hash of a message.
pub fn hmac<H: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length.
    let Ok(mut hash) = <H as KeyInit>::new_from_slice(key) else { return Vec::new() };
    hash.update(message);
    hash.finalize().into_bytes().to_vec()
}

fn percent_decoded(text: &str) -> String {
    crate::access::encoding::decode(text)
}

/// Everything but letters and digits is encoded, as PVE's own writing does.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Base 32 in either case; padding at the end is tolerated, bits that make no byte are dropped.
fn base32_decoded(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').to_uppercase();
    let mut bits: u64 = 0;
    let mut count = 0;
    let mut bytes = Vec::new();
    for letter in text.bytes() {
        let value = BASE32.iter().position(|known| *known == letter)?;
        bits = bits << 5 | u64::try_from(value).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

fn base32_encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(5) {
        let bits =
            chunk.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte)) << (8 * (5 - chunk.len()));
        let letters = (chunk.len() * 8).div_ceil(5);
        for index in 0..letters {
            let value = usize::try_from(bits >> (35 - 5 * index) & 31).unwrap_or_default();
            text.push(char::from(BASE32[value]));
        }
    }
    text
}
