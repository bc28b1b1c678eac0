//! Postfix's main configuration, as far as its interfaces go (postconf(5)).

/// The file.
pub const PATH: &str = "/etc/postfix/main.cf";
/// The parameter that says where mail is taken.
pub const PARAMETER: &str = "inet_interfaces";
/// Its value for loopback of either family.
pub const LOOPBACK: &str = "loopback-only";

/// Whether a value of the parameter names nothing beyond loopback.
pub fn is_loopback(value: &str) -> bool {
    let mut words = value.split([',', ' ']).filter(|word| !word.is_empty()).peekable();
    words.peek().is_some()
        && words.all(|word| matches!(word, LOOPBACK | "localhost" | "127.0.0.1" | "[::1]" | "::1"))
}

/// The text with the parameter set, as `postconf -e` does it: in its place, and else at the end. One that is right
/// already is left as it stands.
pub fn on_loopback(text: &str) -> String {
    let (mut lines, mut skipping, mut written) = (String::with_capacity(text.len() + 64), false, false);
    for line in text.lines() {
        let plain = line.trim();
        let is_comment = plain.is_empty() || plain.starts_with('#');
        // A line that begins with a blank goes on with the one before, across comments.
        if !is_comment && !line.starts_with([' ', '\t']) {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            skipping = name.trim() == PARAMETER;
            if skipping && !written && value.trim() == LOOPBACK {
                lines.push_str(line);
                lines.push('\n');
                written = true;
                continue;
            }
            if skipping && !written {
                lines.push_str(&setting());
                written = true;
            }
        }
        if is_comment || !skipping {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    if !written {
        lines.push_str(&setting());
    }
    lines
}

fn setting() -> String {
    format!("{PARAMETER} = {LOOPBACK}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g3_the_parameter_is_set_in_its_place_whatever_its_form() {
        let before =
            "# inet_interfaces = all\nmyhostname = pve1\ninet_interfaces = all\nmynetworks = 127.0.0.0/8\n";
        let after = before.replace("\ninet_interfaces = all\n", "\ninet_interfaces = loopback-only\n");
        assert_eq!(on_loopback(before), after);
        assert_eq!(on_loopback("x = 1"), "x = 1\ninet_interfaces = loopback-only\n");
        // Lines that go on, comments between them, and a second one that would win.
        let split =
            "inet_interfaces=\n  127.0.0.1,\n# mine\n\t10.0.20.5\ny = 2\n inet\ninet_interfaces = all\n";
        assert_eq!(on_loopback(split), "inet_interfaces = loopback-only\n# mine\ny = 2\n inet\n");
        for right in ["inet_interfaces=loopback-only\n", "a = b\ninet_interfaces =\tloopback-only\n# end\n"] {
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
