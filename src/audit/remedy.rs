//! What to do about a control that does not hold. Where our own files are in place already, something else wins: the
//! remedy says where to look for it.

use crate::control::Check;

/// A sentence part for the check that failed.
pub(super) fn of(check: &Check) -> String {
    let (text, name): (&str, &str) = match check {
        Check::Sshd { key, .. } => {
            ("^; `grep -rni {} /etc/ssh/sshd_config*` shows a line that comes first", key)
        }
        Check::SudoAllows { name, .. } => {
            ("^; `sudo -l -U {}` shows what counts, from /etc/sudoers.d, too", name)
        }
        Check::AuthorizedKey { name, .. } => {
            ("^; nobody but {} may write to it and to what it lies in", name)
        }
        Check::Password(name) => ("`passwd {}`", name),
        Check::Link { .. } => ("`pvecm updatecerts` puts it back", ""),
        Check::UfwNothingWider { .. } | Check::PveNothingWider { .. } => {
            ("take that rule away, or add its networks to the answer", "")
        }
        Check::PveFirewallOn
        | Check::PveRule(_)
        | Check::PveSet { .. }
        | Check::PveHostRule(_)
        | Check::PveFile { .. } => ("^; `pve-firewall restart` loads the rules anew", ""),
        Check::UfwActive { .. } | Check::UfwRule(_) => ("^; `ufw reload` loads the rules anew", ""),
        Check::NoForeignTables => ("`nft list ruleset` shows it: whoever made it takes it away", ""),
        Check::Kernel { name, .. } => {
            ("^; `grep -rn {} /etc/sysctl* /usr/lib/sysctl.d`: the last one wins at boot", name)
        }
        Check::Unit { name, .. } => ("^; `systemctl status {}`, `systemctl cat {}`", name),
        Check::HostKeyBits { .. } => {
            ("algorithms = \"strict\" makes it anew where the node is in no cluster", "")
        }
        Check::Clock => ("`timedatectl` and `chronyc tracking` say why", ""),
        Check::TotpVerified(user) => ("`firstlight totp show {}`, then `firstlight totp verify {}`", user),
        Check::TotpUnlocked(user) => ("`pveum user tfa unlock {}`, or `firstlight totp reset {}`", user),
        Check::LastRun => ("`firstlight status` says what is to be done", ""),
        _ => ("^", ""),
    };
    // Where it has nothing to do, our files are in place, and something else wins.
    text.replace('^', "`firstlight apply`").replace("{}", name)
}
