//! PVE's firewall: what its daemon makes of the files, and what `pve-firewall` says about it.

use super::{ok, refused, units};
use crate::facts::cluster_firewall::{self, value};
use crate::node::Output;
use crate::node::memory::Shell;

/// What the kernel has.
const LOADED: &str = "/run/loaded-pve";
const UNIT: &str = "pve-firewall.service";
const HOST: &str = "/etc/pve/nodes/pve1/host.fw";
/// What the daemon sets whenever it applies rules, and never sets back.
const BRIDGES: [&str; 2] = ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"];

/// What the daemon would load: the rules of both files; nothing while it is off.
fn wanted(shell: &Shell<'_>) -> Option<String> {
    let cluster = shell.text(cluster_firewall::PATH);
    let rules = cluster.lines().filter(|line| !line.starts_with("enable:"));
    let text = rules.collect::<Vec<_>>().join("\n") + &shell.text(HOST);
    (value(&cluster) != 0).then_some(text)
}

/// What PVE says of rules that name a set which is not in `cluster.fw`, on or off (pve-firewall 6: `verify_rule`).
fn complaints(shell: &Shell<'_>) -> String {
    let cluster = shell.text(cluster_firewall::PATH);
    let mut said = String::new();
    for (path, text) in [(cluster_firewall::PATH, &cluster), ("/etc/pve/local/host.fw", &shell.text(HOST))] {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            let names = line.split('#').next().unwrap_or_default().split(' ');
            for name in names.filter_map(|word| word.strip_prefix('+')) {
                if !cluster.contains(&format!("[IPSET {name}]")) {
                    let number = number + 1;
                    said += &format!(
                        "{path} (line {number}) - errors in rule parameters: {line}\n  source: no such ipset '{name}'\n"
                    );
                }
            }
        }
    }
    said
}

fn loaded(shell: &Shell<'_>) -> Option<String> {
    shell.has(LOADED).then(|| shell.text(LOADED))
}

/// The daemon looks at its files.
pub fn look(shell: &mut Shell<'_>) {
    if !shell.has(&format!("/run/active/{UNIT}")) {
        return;
    }
    match wanted(shell) {
        None if shell.has(LOADED) => shell.remove(LOADED),
        None => {}
        Some(text) => {
            if loaded(shell).as_ref() != Some(&text) {
                shell.show(LOADED, &text);
            }
            for name in BRIDGES {
                let path = format!("/proc/sys/net/bridge/{name}");
                if shell.text(&path) != "1\n" {
                    shell.show(&path, "1\n");
                }
            }
        }
    }
}

/// It looks a while after it was asked: what is new is pending at first.
pub fn pve_firewall(shell: &mut Shell<'_>, words: &[&str]) -> Output {
    let wanted = wanted(shell);
    match words {
        ["compile"] => Output { stderr: complaints(shell), ..ok("no changes\n") },
        ["status"] => {
            let running = shell.has(&format!("/run/active/{UNIT}"));
            let pending = if running && loaded(shell) != wanted { " (pending changes)" } else { "" };
            let enabled = if wanted.is_some() { "enabled" } else { "disabled" };
            let state = if running { "running" } else { "stopped" };
            look(shell);
            Output { stderr: complaints(shell), ..ok(format!("Status: {enabled}/{state}{pending}\n")) }
        }
        _ => refused(255, format!("not simulated: pve-firewall {}", words.join(" "))),
    }
}

/// What `iptables-save` shows of it.
pub fn rules(shell: &Shell<'_>) -> &'static str {
    if shell.has(LOADED) { "-A INPUT -j PVEFW-INPUT\n-A PVEFW-HOST-IN -j DROP\n" } else { "" }
}

pub fn start(shell: &mut Shell<'_>) {
    if units::is_enabled(shell, UNIT) {
        look(shell);
    }
}
