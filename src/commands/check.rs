//! `firstlight check`: is this answer valid? For anybody, on any machine.

use super::{Ended, engine};
use crate::node::Node;
use crate::profile::{FirewallMode, Management, Profile, RootLogin, Sudo};
use crate::report::terminal::{print, visible};
use std::path::Path;

/// Prints one line, or every problem.
pub fn run(node: &dyn Node, file: &Path, name: Option<&str>) -> Ended {
    let answer = engine::read_answer_for(node, file, name)?;
    let mut summary = summary(&answer.profile);
    if answer.pve.is_none() {
        summary.push_str("; without PVE's part, so not for `bake`");
    }
    if name.is_none() && answer.nodes > 0 {
        summary = format!("{} nodes, the first of them: {summary}", answer.nodes);
    }
    print(&format!("{}: fine: {}\n", visible(&file.to_string_lossy()), visible(&summary)));
    if name.is_some() {
        print(&answer.record.lines().map(|line| visible(line) + "\n").collect::<String>());
    }
    Ok(0)
}

/// What the operator wants, in a line.
pub fn summary(profile: &Profile) -> String {
    let mut parts = Vec::new();
    if profile.admin.enabled {
        let sudo = match profile.admin.sudo {
            Sudo::Password => "sudo with password",
            Sudo::NoPassword => "sudo without password",
            Sudo::Commands(_) => "sudo for some commands",
            Sudo::None => "no sudo",
        };
        parts.push(format!("admin {} ({sudo})", profile.admin.name.as_str()));
    }
    if profile.ssh.enabled {
        let passwords = if profile.ssh.password_login { "passwords on" } else { "keys only" };
        let root = match profile.ssh.root_login {
            RootLogin::Key => "root by key",
            RootLogin::No => "no root",
        };
        parts.push(format!("ssh on port {} ({passwords}, {root})", profile.ssh.port.number()));
    }
    if profile.firewall.enabled {
        let mode = match profile.firewall.mode {
            Some(FirewallMode::Ufw) => "ufw",
            Some(FirewallMode::Pve) => "pve",
            None => "pve (on a PVE node)",
        };
        let management = match &profile.firewall.management {
            Management::Default => "management from the node's private networks".to_owned(),
            Management::Any => "management from anywhere".to_owned(),
            Management::Networks(networks) => {
                let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
                format!("management from {}", networks.join(" "))
            }
        };
        parts.push(format!("firewall {mode} ({management})"));
    }
    parts.join(", ")
}
