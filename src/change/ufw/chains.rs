//! What `ufw disable` leaves in the kernel: its empty chains, and the jumps to them, which it keeps until the next boot
//! so that they do not change their places. Where UFW did not filter before, they were not there.

use crate::error::Result;
use crate::node::{Invocation, Node, exists, run_checked};
use std::path::Path;

/// Who tells the rules, and who takes them, of both kinds: pve-firewall switches the alternatives at every start, and what
/// UFW loaded before keeps filtering (pve-contract 3.8).
const TOOLS: [(&str, &str); 4] = [
    ("/usr/sbin/iptables-legacy-save", "/usr/sbin/iptables-legacy-restore"),
    ("/usr/sbin/ip6tables-legacy-save", "/usr/sbin/ip6tables-legacy-restore"),
    ("/usr/sbin/iptables-nft-save", "/usr/sbin/iptables-nft-restore"),
    ("/usr/sbin/ip6tables-nft-save", "/usr/sbin/ip6tables-nft-restore"),
];

/// All tables: to be asked for one by name would make it.
fn rules(node: &dyn Node, save: &str) -> Result<String> {
    if !exists(node, Path::new(save))? {
        return Ok(String::new());
    }
    Ok(run_checked(node, &Invocation::new(save, &[]))?.stdout)
}

/// Whether the kernel has any of UFW's chains.
pub fn left(node: &dyn Node) -> Result<bool> {
    for (save, _) in TOOLS {
        if removal(&rules(node, save)?).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes UFW's chains, every jump to them and the policies that UFW sets when it starts, each table in one go. Safe to
/// repeat.
pub fn clear(node: &dyn Node) -> Result<()> {
    for (save, restore) in TOOLS {
        if let Some(removal) = removal(&rules(node, save)?) {
            let restore = Invocation::new(restore, &["--noflush", "--wait=10"]).input(removal.into_bytes());
            run_checked(node, &restore)?;
        }
    }
    Ok(())
}

fn is_ufw(chain: &str) -> bool {
    chain.starts_with("ufw-") || chain.starts_with("ufw6-")
}

/// `:INPUT DROP [0:0]`
fn policy(line: &str) -> Option<(&str, &str)> {
    let (chain, rest) = line.strip_prefix(':')?.split_once(' ')?;
    Some((chain, rest.split(' ').next()?))
}

/// What iptables-restore has to read; `None` when there is no chain of UFW.
fn removal(rules: &str) -> Option<String> {
    let rules = rules.split("*filter\n").nth(1)?.split("\nCOMMIT").next()?;
    let chains: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.strip_prefix(':')?.split(' ').next())
        .filter(|chain| is_ufw(chain))
        .collect();
    if chains.is_empty() {
        return None;
    }
    let mut text = "*filter\n".to_owned();
    for line in rules.lines() {
        if let Some((chain, "DROP" | "REJECT")) = policy(line) {
            text.push_str(&format!(":{chain} ACCEPT [0:0]\n"));
        }
        let Some((chain, rest)) = line.strip_prefix("-A ").and_then(|rule| rule.split_once(' ')) else {
            continue;
        };
        let mut words = rest.split(' ').skip_while(|word| !matches!(*word, "-j" | "-g"));
        if !is_ufw(chain) && words.nth(1).is_some_and(is_ufw) {
            text.push_str(&format!("-D {chain} {rest}\n"));
        }
    }
    for command in ["-F", "-X"] {
        chains.iter().for_each(|chain| text.push_str(&format!("{command} {chain}\n")));
    }
    text.push_str("COMMIT\n");
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::scripted::Scripted;
    use std::cell::RefCell;
    use std::rc::Rc;

    const RULES: &str = "# Generated\n*filter\n:INPUT ACCEPT [5:500]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
        :mine - [0:0]\n:ufw-after-input - [0:0]\n:ufw-before-input - [0:0]\n\
        -A INPUT -s 192.0.2.7/32 -m comment --comment \"ufw-like, and mine\" -j mine\n\
        -A INPUT -j ufw-before-input\n-A INPUT -j ufw-after-input\n-A mine -j DROP\nCOMMIT\n";

    #[test]
    fn e3_chains_and_jumps_of_ufw_go_and_rules_of_others_stay() {
        let expected = "*filter\n-D INPUT -j ufw-before-input\n-D INPUT -j ufw-after-input\n\
            -F ufw-after-input\n-F ufw-before-input\n-X ufw-after-input\n-X ufw-before-input\nCOMMIT\n";
        assert_eq!(removal(RULES).as_deref(), Some(expected));
        let filtering = RULES.replace("INPUT ACCEPT [5:500]", "INPUT DROP [5:500]");
        let opened = expected.replace("*filter\n", "*filter\n:INPUT ACCEPT [0:0]\n");
        assert_eq!(
            removal(&filtering),
            Some(opened),
            "left in the kind that is not chosen, where no `ufw disable` comes"
        );
        let other = format!("*nat\n:ufw-mine - [0:0]\nCOMMIT\n{RULES}");
        assert_eq!(removal(&other).as_deref(), Some(expected), "the table of filters alone");
        assert_eq!(removal("*filter\n:INPUT DROP [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n"), None);
        assert_eq!(removal(""), None, "the table is not even loaded");
    }

    #[test]
    fn e3_the_way_back_clears_ipv4_and_ipv6_where_ufw_did_not_filter_before() {
        let node = Scripted::new();
        node.files.put("/usr/sbin/ufw", "");
        node.says("/usr/sbin/ufw --force disable", "");
        let fed = Rc::new(RefCell::new(Vec::new()));
        for (save, restore) in TOOLS {
            node.files.put(save, "");
            node.says(save, RULES);
            let fed = fed.clone();
            node.on(restore, move |_, invocation| {
                fed.borrow_mut().push(invocation.input.clone().unwrap());
                crate::node::Output { status: 0, stdout: String::new(), stderr: String::new() }
            });
        }
        super::super::undo(&node, true, &[]).unwrap();
        assert!(node.ran().is_empty(), "it filtered before: its chains belong there");
        super::super::undo(&node, false, &[]).unwrap();
        assert_eq!(fed.borrow().len(), 4, "both kinds of iptables");
        assert_eq!(fed.borrow()[0], removal(RULES).unwrap().into_bytes());
    }
}
