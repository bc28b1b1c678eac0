//! How the texts of PVE's tables must look.

use crate::answer::hash::is_crypt;
use crate::answer::table::{Form, only};
use std::net::IpAddr;
use toml::de::DeValue;

pub(super) const COUNTRY: Form = Form {
    fits: |text| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_lowercase()),
    right: "must be two lower-case letters such as \"at\"",
};

pub(super) const FQDN: Form = Form {
    fits: is_fqdn,
    right: "must be a full name such as \"pve1.example.com\" (two labels or more of letters, digits and inner dashes, \
            the first not of digits alone), or { source = \"from-dhcp\" }",
};

fn is_fqdn(text: &str) -> bool {
    let label =
        |part: &str| part.len() <= 63 && !part.starts_with('-') && !part.ends_with('-') && only(part, "-");
    let host_is_number = text.split('.').next().is_some_and(|host| host.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= 253 && text.contains('.') && text.split('.').all(label) && !host_is_number
}

pub(super) const MAIL: Form = Form {
    fits: is_mail,
    right: "must be a mail address that is read, such as \"admin@example.com\" (the ISO's placeholder is refused)",
};

fn is_mail(text: &str) -> bool {
    let name = |part: &str| only(part, "_+-~");
    let label = |part: &str| only(part, "-");
    text != "mail@example.invalid"
        && text
            .split_once('@')
            .is_some_and(|(user, host)| user.split('.').all(name) && host.split('.').all(label))
}

pub(super) const ZONE: Form = Form {
    fits: |text| text == "UTC" || text.contains('/') && text.split('/').all(|part| only(part, "_+-")),
    right: "must be a time zone such as \"Europe/Vienna\", or \"UTC\"",
};

pub(super) const PASSWORD: Form =
    Form { fits: |text| text.chars().count() >= 8, right: "must have at least 8 characters" };

pub(super) const CRYPT: Form = Form {
    fits: is_crypt,
    right: "must be a crypt(5) hash; make one with `mkpasswd -m yescrypt` (Debian's package whois)",
};

pub(super) const SUBSCRIPTION: Form = Form {
    fits: is_subscription,
    right: "must be a subscription key: the product, one of c, b, s, p, `-` and ten hexadecimal digits in lower case",
};

fn is_subscription(text: &str) -> bool {
    let Some((front, digits)) = text.split_once('-') else { return false };
    let Some(product) = front.strip_suffix(['c', 'b', 's', 'p']) else { return false };
    let sockets =
        product.strip_prefix("pve").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    (sockets || matches!(product, "pbs" | "pmg"))
        && digits.len() == 10
        && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) const CIDR: Form = Form {
    fits: |text| {
        text.split_once('/').is_some_and(|(address, prefix)| {
            let width = match address.parse::<IpAddr>() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            only(prefix, "") && prefix.parse::<u8>().is_ok_and(|prefix| prefix <= width)
        })
    },
    right: "must be the node's address with its prefix length, such as \"10.0.20.5/24\"",
};

pub(super) const ADDRESS: Form =
    Form { fits: |text| text.parse::<IpAddr>().is_ok(), right: "must be an address such as \"10.0.20.1\"" };

pub(super) const GLOB: Form =
    Form { fits: |text| !text.is_empty(), right: "must be a pattern such as \"*aabbcc*\"" };

pub(super) const INTERFACE: Form = Form {
    fits: |text| {
        (2..=15).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && only(text, "_")
    },
    right: "must be an interface name: a letter, then letters, digits and `_`, 2 to 15 in all",
};

pub(super) const NOT_EMPTY: Form = Form { fits: |text| !text.is_empty(), right: "must not be empty" };

pub(super) const FINGERPRINT: Form = Form {
    fits: |text| {
        let pair = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        text.split(':').count() == 32 && text.split(':').all(pair)
    },
    right: "must be the certificate's SHA-256: 32 pairs of hexadecimal digits with colons between them",
};

/// A size in thousandths, so that sizes compare without floating point; `None` when it is none.
pub(super) fn thousandths(value: &DeValue<'_>) -> Option<u64> {
    let text = match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => return None,
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let part = part.bytes().chain(*b"000").take(3).fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_pve_hold_for_names_mail_and_keys() {
        let cases: &[(&Form, &[&str], &[&str])] = &[
            (
                &FQDN,
                &["pve1.example.com", "a.b", "1a.b"],
                &["pve", "1.example", "-a.b", "a-.b", "a..b", "a.b.", "ä.b"],
            ),
            (&MAIL, &["a@b", "a.b+c@d-e.f"], &["a", "@b", "a@", "a b@c", "mail@example.invalid", "a@b@c"]),
            (
                &ZONE,
                &["UTC", "Europe/Vienna", "America/Argentina/Ushuaia"],
                &["", "Vienna", "Europe/", "A /B"],
            ),
            (
                &SUBSCRIPTION,
                &["pve2c-0123456789", "pbsb-abcdef0123"],
                &["pvec-0123456789", "pve2x-0123456789", "pve1p-1"],
            ),
            (
                &CIDR,
                &["10.0.20.5/24", "2001:db8::1/64"],
                &["10.0.20.5", "10.0.20.5/33", "10.0.20.5/+1", "x/8"],
            ),
            (&INTERFACE, &["nic0", "a_"], &["n", "0nic", "nic-0", "abcdefghijklmnop"]),
            (&COUNTRY, &["at"], &["AT", "aut", ""]),
        ];
        for (form, right, wrong) in cases {
            for text in *right {
                assert!((form.fits)(text), "{text}");
            }
            for text in *wrong {
                assert!(!(form.fits)(text), "{text}");
            }
        }
        assert!((FINGERPRINT.fits)(&["ab"; 32].join(":")) && !(FINGERPRINT.fits)(&["ab"; 31].join(":")));
        assert!(
            (FQDN.fits)(&format!("{}.b", "a".repeat(63))) && !(FQDN.fits)(&format!("{}.b", "a".repeat(64)))
        );
    }
}
