//! What a node does with packets, read from the kernel itself: rules of both kinds of iptables, sets, tables of nftables,
//! settings; and what will fill it at the next boot: units, alternatives, PVE's files.

use anyhow::{Result, ensure};

use crate::node::Node;

/// Which firewall shall be the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    Pve,
    Ufw,
    Nobody,
}

/// Every line begins with the tool that said it. Built-in chains that accept, counters and random seeds are left out.
const READ: &str = "\
for tool in iptables-legacy-save ip6tables-legacy-save iptables-nft-save ip6tables-nft-save ebtables-legacy-save; do \
  $tool 2>/dev/null | grep -v '^$\\|^[#*]\\|^COMMIT\\|^:[A-Z]* ACCEPT' | sed \"s/ \\[[0-9:]*\\]$//; s/^/$tool: /\"; done; \
ipset save | sed 's/ initval [^ ]*//; s/^/ipset: /' | sort; \
nft -j list ruleset | sed 's/^/nft: /'; \
sysctl -a 2>/dev/null | grep -E '^net\\.(bridge\\.bridge-nf-call|ipv[46]\\.conf\\.all\\.(rp_filter|forwarding)|ipv4\\.tcp_syncookies|\
netfilter\\.nf_conntrack_(max|tcp_timeout_(established|syn_recv)))' | sed 's/^/sysctl: /'; \
for name in iptables ip6tables ebtables; do echo \"alternative: $name $(readlink /etc/alternatives/$name)\"; done; \
for unit in ufw pve-firewall fail2ban; do \
  echo \"unit: $unit $(systemctl is-enabled $unit 2>/dev/null) $(systemctl is-active $unit)\"; done";
/// Everything below `/etc/pve` that is no virtual file, apart from the directory that PVE's first lock makes, ours too.
const FILES: &str = "cd /etc/pve && find . -type d -o -type f ! -name '.*' | grep -v '^./priv/lock' | sort | while read -r path; do \
  if [ -d \"$path\" ]; then echo \"$path/\"; else echo \"$path $(sha256sum < \"$path\")\"; fi; done";

/// What [`READ`] finds.
pub fn read(node: &mut Node) -> Result<String> {
    node.ok(READ)
}

/// Names and contents below `/etc/pve`.
pub fn files(node: &mut Node) -> Result<String> {
    node.ok(FILES)
}

/// Exactly this one filters, IPv4 and IPv6, and nothing of the other one is left.
pub fn expect_only(node: &mut Node, filter: Filter) -> Result<()> {
    let state = read(node)?;
    let complaints = complaints(&state, filter);
    ensure!(complaints.is_empty(), "{filter:?} shall filter alone: {}\n{state}", complaints.join("; "));
    Ok(())
}

/// No rule of PVE's is left, whatever it has set in the kernel beside them.
pub fn expect_rules_gone(node: &mut Node) -> Result<()> {
    let state = read(node)?;
    ensure!(!state.contains("PVEFW"), "something of PVE's firewall is left:\n{state}");
    Ok(())
}

fn complaints(state: &str, filter: Filter) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            complaints.push(what.to_owned());
        }
    };
    let has = |line: &str| state.lines().any(|other| other == line);
    let mentions = |tools: &[&str], word: &str| {
        let of = |line: &&str| tools.is_empty() || tools.iter().any(|tool| line.starts_with(tool));
        state.lines().filter(of).any(|line| line.contains(word))
    };
    for tool in ["iptables-legacy-save", "ip6tables-legacy-save"] {
        let said = |line: &str| has(&format!("{tool}: {line}"));
        let sixth = if tool.starts_with("ip6") { "6" } else { "" };
        match filter {
            Filter::Pve => {
                expect(said("-A INPUT -j PVEFW-INPUT"), "PVE's chains are not asked");
                expect(said("-A PVEFW-INPUT -j PVEFW-HOST-IN"), "PVE's rules of the node are not asked");
                expect(!said(":INPUT DROP") && !said(":FORWARD DROP"), "a policy is left over");
            }
            Filter::Ufw => {
                expect(said(&format!("-A INPUT -j ufw{sixth}-before-input")), "UFW's chains are not asked");
                expect(said(":INPUT DROP"), "UFW drops nothing");
            }
            Filter::Nobody => expect(!said(":INPUT DROP") && !said(":FORWARD DROP"), "a policy is left over"),
        }
    }
    let rules = ["iptables", "ip6tables", "ebtables", "ipset", "nft"];
    if filter != Filter::Pve {
        expect(!mentions(&rules, "PVEFW"), "something of PVE's firewall is left");
    }
    if filter != Filter::Ufw {
        expect(!mentions(&rules, "ufw"), "something of UFW is left");
        expect(!mentions(&["unit: ufw"], " active"), "UFW runs");
        expect(!mentions(&["unit: ufw enabled"], ""), "UFW starts at boot");
    }
    expect(!mentions(&["iptables-nft", "ip6tables-nft"], "-A "), "iptables of nftables has rules");
    expect(!mentions(&["nft"], "\"chain\""), "nftables has chains");
    let bridged = if filter == Filter::Pve { 1 } else { 0 };
    for name in ["iptables", "ip6tables"] {
        let wanted = format!("sysctl: net.bridge.bridge-nf-call-{name} = {bridged}");
        expect(has(&wanted), &format!("not `{wanted}`"));
    }
    for name in ["iptables", "ip6tables", "ebtables"] {
        let wanted = format!("alternative: {name} /usr/sbin/{name}-legacy");
        expect(has(&wanted), &format!("not `{wanted}`"));
    }
    expect(has("unit: pve-firewall enabled active"), "PVE's service was switched off");
    complaints
}

/// Nothing else than before, line by line.
pub fn expect_same(before: &str, now: &str, what: &str) -> Result<()> {
    let only = |one: &str, other: &str, mark: &str| -> Vec<String> {
        let lost = one.lines().filter(|line| !other.lines().any(|same| same == *line));
        lost.map(|line| format!("{mark} {line}")).collect()
    };
    let changed = [only(before, now, "-"), only(now, before, "+")].concat();
    ensure!(before == now, "{what} is not as before:\n{}", changed.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PVE: &str = "\
iptables-legacy-save: -A INPUT -j PVEFW-INPUT
iptables-legacy-save: -A PVEFW-INPUT -j PVEFW-HOST-IN
ip6tables-legacy-save: -A INPUT -j PVEFW-INPUT
ip6tables-legacy-save: -A PVEFW-INPUT -j PVEFW-HOST-IN
nft: {\"nftables\": [{\"metainfo\": {\"version\": \"1.1.3\"}}]}
sysctl: net.bridge.bridge-nf-call-ip6tables = 1
sysctl: net.bridge.bridge-nf-call-iptables = 1
alternative: iptables /usr/sbin/iptables-legacy
alternative: ip6tables /usr/sbin/ip6tables-legacy
alternative: ebtables /usr/sbin/ebtables-legacy
unit: ufw disabled inactive
unit: pve-firewall enabled active
";

    #[test]
    fn j4_whatever_is_left_of_the_other_one_is_seen() {
        assert_eq!(complaints(PVE, Filter::Pve), [] as [&str; 0]);
        assert!(!complaints(PVE, Filter::Ufw).is_empty());
        assert!(!complaints(PVE, Filter::Nobody).is_empty());
        for line in [
            "ip6tables-legacy-save: :ufw6-user-input - [0:0]",
            "ip6tables-legacy-save: :INPUT DROP",
            "iptables-nft-save: -A INPUT -j ACCEPT",
            "nft: {\"chain\": {}}",
        ] {
            assert!(!complaints(&format!("{PVE}{line}\n"), Filter::Pve).is_empty(), "{line}");
        }
        let without = PVE.replace("ip6tables-legacy-save: -A INPUT -j PVEFW-INPUT\n", "");
        assert!(!complaints(&without, Filter::Pve).is_empty(), "IPv6 is open");
        assert!(!complaints(&PVE.replace("disabled inactive", "enabled active"), Filter::Pve).is_empty());
    }
}
