//! Postfix's main configuration, as far as its interfaces go (postconf(5)).

/// Its unit.
pub const UNIT: &str = "postfix.service";
/// The file.
pub const PATH: &str = "/etc/postfix/main.cf";
/// The parameter that says where mail is taken.
pub const PARAMETER: &str = "inet_interfaces";
/// Its value for loopback of either family.
pub const LOOPBACK: &str = "loopback-only";

/// Whether a value of the parameter names nothing beyond loopback.
pub fn is_loopback(value: &str) -> bool {
    let known = |word: &str| ["", LOOPBACK, "localhost", "127.0.0.1", "[::1]", "::1"].contains(&word);
    !value.is_empty() && value.split([',', ' ']).all(known)
}

/// The text with the parameter set, at its end: what stood about it is taken out. One that is right already is left as
/// it stands.
pub fn on_loopback(text: &str) -> String {
    let (mut kept, mut value, mut is_about) = (String::new(), "", false);
    for line in text.split_inclusive('\n') {
        let plain = line.trim();
        let is_comment = plain.is_empty() || plain.starts_with('#');
        // A line that begins with a blank goes on with the one before, across comments.
        if !is_comment && !line.starts_with([' ', '\t']) {
            let (name, rest) = plain.split_once('=').unwrap_or((plain, ""));
            is_about = name.trim_end() == PARAMETER;
            value = if is_about { rest.trim_start() } else { value };
        } else if !is_comment && is_about && !is_loopback(plain) {
            value = plain;
        }
        if is_comment || !is_about {
            kept.push_str(line);
        }
    }
    if is_loopback(value) {
        return text.to_owned();
    }
    let end = if kept.is_empty() || kept.ends_with('\n') { "" } else { "\n" };
    [&kept, end, PARAMETER, " = ", LOOPBACK, "\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g3_the_parameter_is_set_once_whatever_its_form() {
        let before =
            "# inet_interfaces = all\nmyhostname = pve1\ninet_interfaces = all\nmynetworks = 127.0.0.0/8\n";
        let after = before.replace("\ninet_interfaces = all\n", "\n") + "inet_interfaces = loopback-only\n";
        assert_eq!(on_loopback(before), after);
        assert_eq!(on_loopback("x = 1"), "x = 1\ninet_interfaces = loopback-only\n");
        // Lines that go on, comments between them, and a second one that would win.
        let split =
            "inet_interfaces=\n  127.0.0.1,\n# mine\n\t10.0.20.5\ny = 2\n inet\ninet_interfaces = all\n";
        assert_eq!(on_loopback(split), "# mine\ny = 2\n inet\ninet_interfaces = loopback-only\n");
        assert!(on_loopback("inet_interfaces = all,\n 127.0.0.1\n").starts_with("inet_interfaces = loop"));
        for right in ["inet_interfaces=loopback-only\n", "a = b\ninet_interfaces =\tlocalhost\n# end\nc = d"]
        {
            assert_eq!(on_loopback(right), right);
        }
    }

    #[test]
    fn g3_loopback_has_several_names() {
        for value in ["loopback-only", "localhost", "127.0.0.1, [::1]"] {
            assert!(is_loopback(value), "{value}");
        }
        for value in ["", "all", "127.0.0.1, 10.0.20.5", "loopback-only, all"] {
            assert!(!is_loopback(value), "{value}");
        }
    }
}
