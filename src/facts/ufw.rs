//! Where UFW keeps what it was told, and how it writes its rules there.

/// What the comments of our own rules begin with.
pub const COMMENT_PREFIX: &str = "firstlight: ";
/// `IPV6=`, and the default policies.
pub const DEFAULTS_PATH: &str = "/etc/default/ufw";
/// UFW's own configuration; whether it is on stands in `ufw.conf`.
pub const DIRECTORY: &str = "/etc/ufw";
/// The rules of the user, IPv4 first.
pub const RULES_PATHS: [&str; 2] = ["/etc/ufw/user.rules", "/etc/ufw/user6.rules"];

/// UFW keeps every rule in a comment above the iptables lines it makes of it.
pub(super) fn tuples(rules: &str) -> impl Iterator<Item = String> {
    rules.lines().filter_map(|line| Some(line.strip_prefix("### tuple ### ")?.trim().to_owned()))
}

/// Whether a rule as UFW keeps it is one of ours: it stores comments in hexadecimal.
pub fn is_ours(tuple: &str) -> bool {
    let prefix: String = COMMENT_PREFIX.bytes().map(|byte| format!("{byte:02x}")).collect();
    tuple
        .split_ascii_whitespace()
        .any(|word| word.strip_prefix("comment=").is_some_and(|comment| comment.starts_with(&prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e3_rules_are_read_from_ufws_own_notes_and_ours_are_known_by_their_comment() {
        let rules = "*filter\n### RULES ###\n\n\
            ### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=66697273746c696768743a20535348\n\
            -A ufw-user-input -p tcp --dport 22 -j ACCEPT\n\
            ### tuple ### allow tcp 23 0.0.0.0/0 any 0.0.0.0/0 in comment=7820\n";
        let tuples: Vec<String> = tuples(rules).collect();
        assert_eq!(tuples[1], "allow tcp 23 0.0.0.0/0 any 0.0.0.0/0 in comment=7820");
        assert_eq!(tuples.iter().map(|tuple| is_ours(tuple)).collect::<Vec<_>>(), [true, false]);
    }
}
