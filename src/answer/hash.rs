//! The form of a crypt(5) hash.

const NONE: &str = "is not a crypt(5) hash of yescrypt, sha512 or sha256; make one with `mkpasswd -m yescrypt` \
                    (Debian's package whois) or `openssl passwd -6`";
const CUT: &str = "is a crypt(5) hash with a part missing or cut short; copy the whole line that `mkpasswd` or \
                   `openssl passwd -6` prints";

/// What is wrong with `text` as a password hash, without showing it.
pub(super) fn complaint(text: &str) -> Option<&'static str> {
    let mut fields = text.split('$');
    let (Some(""), Some(method)) = (fields.next(), fields.next()) else { return Some(NONE) };
    let fields: Vec<&str> = fields.collect();
    let (salt, hash, longest_salt, length) = match (method, fields.as_slice()) {
        ("y", &[parameters, salt, hash]) if is_crypt64(parameters) => (salt, hash, 86, 43),
        ("6", &[rounds, salt, hash]) if is_rounds(rounds) => (salt, hash, 16, 86),
        ("5", &[rounds, salt, hash]) if is_rounds(rounds) => (salt, hash, 16, 43),
        ("6", &[salt, hash]) => (salt, hash, 16, 86),
        ("5", &[salt, hash]) => (salt, hash, 16, 43),
        ("y" | "6" | "5", _) => return Some(CUT),
        _ => return Some(NONE),
    };
    let whole = is_crypt64(salt) && salt.len() <= longest_salt && is_crypt64(hash) && hash.len() == length;
    (!whole).then_some(CUT)
}

/// Whether `text` is a hash of any method that PVE's installer hands to `chpasswd -e`.
pub(super) fn is_crypt(text: &str) -> bool {
    let mut fields = text.split('$');
    fields.next() == Some("")
        && fields.next().is_some_and(|method| (1..=2).contains(&method.len()) && is_crypt64(method))
        && fields.clone().count() > 0
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
        && fields.next_back().is_some_and(|hash| hash.len() > 20)
}

fn is_crypt64(text: &str) -> bool {
    super::table::only(text, "./")
}

fn is_rounds(text: &str) -> bool {
    let number = text.strip_prefix("rounds=").and_then(|digits| digits.parse::<u32>().ok());
    number.is_some_and(|number| (1000..=999_999_999).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const YESCRYPT: &str = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7";

    #[test]
    fn the_hashes_that_debian_makes_are_taken_a5() {
        assert_eq!(complaint(YESCRYPT), None);
        for method in ["6", "5"] {
            let hash = "a".repeat(if method == "6" { 86 } else { 43 });
            assert_eq!(complaint(&format!("${method}$saltsalt${hash}")), None);
            assert_eq!(complaint(&format!("${method}$rounds=5000$saltsalt${hash}")), None);
            assert_eq!(complaint(&format!("${method}$rounds=5$saltsalt${hash}")), Some(CUT));
            assert_eq!(complaint(&format!("${method}$saltsaltsaltsalts${hash}")), Some(CUT));
            assert_eq!(complaint(&format!("${method}$${hash}")), Some(CUT));
            assert_eq!(complaint(&format!("${method}$salt${hash}a")), Some(CUT));
        }
    }

    #[test]
    fn plain_text_and_other_forms_are_refused_with_the_way_to_a_hash() {
        for text in ["secret", "{SSHA}abc", "$1$salt$abc", "$2b$05$abc", "!", "*", "$"] {
            assert_eq!(complaint(text), Some(NONE), "{text}");
        }
    }

    #[test]
    fn every_cut_of_a_hash_is_noticed() {
        for length in 0..YESCRYPT.len() {
            assert!(complaint(&YESCRYPT[..length]).is_some(), "{length}");
        }
    }
}
