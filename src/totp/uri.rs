//! The `otpauth` URI: as short as it can be, so that the QR code is version 4 and fits a small screen.

/// Most bytes of a URI that fits QR version 4 with error correction L.
pub const SHORT: usize = 78;
/// The same for version 5, where a user's name is that long.
pub const LONG: usize = 106;

const SCHEME: &str = "otpauth://totp/";
const QUERY: &str = "?secret=";

/// The URI of a secret: `ISSUER:USER@REALM` as its label, the issuer cut to fit, everything else as PVE and
/// authenticators assume it (SHA-1, six digits, thirty seconds). PVE refuses parameters it does not know
/// (pve-observed 3.4).
pub fn uri(issuer: &str, user: &str, secret: &str) -> String {
    let taken = SCHEME.len() + QUERY.len() + secret.len();
    let name = cut(user, LONG.saturating_sub(taken));
    let room = SHORT.saturating_sub(taken + name.len() + 1);
    // A literal colon ends the issuer.
    let issuer = cut(&issuer.replace(":", "-"), room);
    let colon = if issuer.is_empty() { "" } else { ":" };
    format!("{SCHEME}{issuer}{colon}{name}{QUERY}{secret}")
}

/// Percent-encoded, and cut between two characters.
fn cut(text: &str, room: usize) -> String {
    let mut cut = String::new();
    for character in text.chars() {
        let mut bytes = [0; 4];
        let encoded: String = match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' | '@' => character.into(),
            _ => character.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect(),
        };
        if cut.len() + encoded.len() > room {
            break;
        }
        cut.push_str(&encoded);
    }
    cut
}

/// The secret of a URI as PVE keeps it, if it is one that our codes are right for. PVE adds what it knows in an order
/// of its own.
pub fn secret(uri: &str) -> Option<&str> {
    let (_, query) = uri.strip_prefix(SCHEME)?.split_once('?')?;
    let mut secret = None;
    for pair in query.split('&') {
        match pair.split_once('=')? {
            ("secret", value) => secret = Some(value),
            ("digits", value) if value != "6" => return None,
            ("period", value) if value != "30" => return None,
            ("algorithm", value) if !value.eq_ignore_ascii_case("SHA1") => return None,
            _ => {}
        }
    }
    secret.filter(|secret| !secret.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn c2_the_uri_has_at_most_78_bytes_and_the_user_in_full() {
        assert_eq!(uri("pve1", "root@pam", SECRET), format!("otpauth://totp/pve1:root@pam?secret={SECRET}"));
        for host in ["p", "pve1", "a-very-long-host-name-of-a-node-in-a-rack", "höst name", "a:b", ""] {
            for user in ["root@pam", "ops@pam", "somebody.else@pve"] {
                let uri = uri(host, user, SECRET);
                assert!(uri.len() <= SHORT, "{uri}");
                assert!(uri.contains(&format!("{user}?secret={SECRET}")), "{uri}");
                assert_eq!(secret(&uri), Some(SECRET));
                assert_eq!(uri.matches(':').count(), if host.is_empty() { 1 } else { 2 });
            }
        }
        assert!(uri("höst", "root@pam", SECRET).contains("/h%C3%B6st:root@pam?"));
    }

    #[test]
    fn c2_a_long_user_loses_the_host_and_is_version_5() {
        let user = format!("{}@pam", "o".repeat(32));
        let long = uri("pve1", &user, SECRET);
        assert_eq!(long, format!("otpauth://totp/{user}?secret={SECRET}"));
        assert!(long.len() > SHORT && long.len() <= LONG);
        assert!(uri("pve1", &"o".repeat(64), SECRET).len() <= LONG);
    }

    #[test]
    fn c3_the_secret_is_found_in_what_pve_made_of_it() {
        let kept = format!(
            "otpauth://totp/pve1:root%40pam?secret={SECRET}&digits=6&algorithm=SHA1&period=30&issuer=pve1"
        );
        assert_eq!(secret(&kept), Some(SECRET));
        assert_eq!(secret(&kept.replace("digits=6", "digits=8")), None);
        assert_eq!(secret(&kept.replace("SHA1", "SHA256")), None);
        for other in [
            "",
            "otpauth://totp/x",
            "otpauth://totp/x?",
            "otpauth://totp/x?secret=",
            "otpauth://hotp/x?secret=A",
        ] {
            assert_eq!(secret(other), None, "{other}");
        }
    }
}
