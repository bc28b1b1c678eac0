//! What to do about a control that does not hold. Where our own files are in place already, something else wins: the
//! remedy says where to look for it.

use crate::control::Check;

/// A sentence part for the check that failed.
pub(super) fn of(check: &Check) -> String {
    let (text, name): (&str, &str) = match check {
        Check::Sshd { key, .. } => ("^; else `grep -rni {} /etc/ssh/sshd_config*`: the first one wins", key),
        Check::SudoAllows { name, .. } => ("^; else `sudo -l -U {}`, /etc/sudoers.d", name),
        Check::AuthorizedKey { name, .. } => {
            ("^; else let nobody but {} write to it or its directories", name)
        }
        Check::Password(name) => ("`passwd {}`", name),
        Check::Link { .. } => ("`pvecm updatecerts`", ""),
        Check::NothingWider { .. } => ("take that rule away, or add its networks to the answer", ""),
        Check::PveFirewallOn | Check::PveSet { .. } | Check::PveHostRule(_) | Check::PveFile { .. } => {
            ("^; else `pve-firewall restart`", "")
        }
        Check::UfwActive { .. } | Check::Rule(_) => ("^; else load the rules anew", ""),
        Check::NoForeignTables => ("`nft list ruleset`: whoever made it takes it away", ""),
        Check::Kernel { name, .. } => {
            ("^; else `grep -rn {} /etc/sysctl* /usr/lib/sysctl.d`: the last one wins", name)
        }
        Check::Unit { name, .. } => ("^; else `systemctl status {}`", name),
        Check::HostKeyBits { .. } => {
            ("algorithms = \"strict\" makes it anew where the node is in no cluster", "")
        }
        Check::Clock => ("`timedatectl`, `chronyc tracking`", ""),
        Check::TotpOpen { user, locked: true } => ("`firstlight totp reset {}`", user),
        Check::TotpOpen { user, .. } => ("`firstlight totp show {}`, then `totp verify`", user),
        Check::Fail2banJail { .. } => ("^; else `fail2ban-client -d`: a later file wins", ""),
        Check::AptConfig { .. } => ("^; else look into /etc/apt/apt.conf.d: a later file wins", ""),
        Check::Listeners(_) => ("`ss -lntup`: stop it, or add it to listeners-allowed", ""),
        Check::NoDenials => ("`journalctl -kb --grep=DENIED`", ""),
        Check::LastRun => ("`firstlight status`", ""),
        _ => ("^", ""),
    };
    // Where it has nothing to do, our files are in place, and something else wins.
    text.replace("^", "`firstlight apply`").replace("{}", name)
}
