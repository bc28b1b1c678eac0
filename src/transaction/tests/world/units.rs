//! systemd, as far as links, and what runs, go.

use super::{ended, firewall, hardening, ok, refused, ssh};
use crate::node::Output;
use crate::node::memory::Shell;

const LIBRARY: &str = "/lib/systemd/system";
const SYSTEM: &str = "/etc/systemd/system";

pub fn furnish(shell: &mut Shell<'_>) {
    let units = [
        "ssh.service",
        "pve-firewall.service",
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
        "rpcbind.socket",
        "postfix.service",
    ];
    for unit in units {
        package_unit(shell, unit, "");
        enable(shell, unit);
    }
    shell.directory(&format!("{SYSTEM}/sysinit.target.wants"));
    shell.directory(&format!("{SYSTEM}/timers.target.wants"));
}

/// The file that a package brings.
pub fn package_unit(shell: &mut Shell<'_>, unit: &str, more: &str) {
    let text = format!("[Service]\nExecStart=/bin/true\n{more}[Install]\nWantedBy=multi-user.target\n");
    shell.put(&format!("{LIBRARY}/{unit}"), &text);
}

fn text(shell: &Shell<'_>, unit: &str) -> String {
    let own = shell.text(&format!("{SYSTEM}/{unit}"));
    if own.is_empty() { shell.text(&format!("{LIBRARY}/{unit}")) } else { own }
}

fn wants(shell: &Shell<'_>, unit: &str) -> Option<String> {
    let text = text(shell, unit);
    let target = text.lines().find_map(|line| line.strip_prefix("WantedBy="))?;
    Some(format!("{SYSTEM}/{target}.wants/{unit}"))
}

pub fn is_enabled(shell: &Shell<'_>, unit: &str) -> bool {
    wants(shell, unit).is_some_and(|link| shell.has(&link))
}

/// Enables as systemctl does: a link, and no fsync.
pub fn enable(shell: &mut Shell<'_>, unit: &str) {
    if let Some(link) = wants(shell, unit) {
        shell.link(&link, &format!("{LIBRARY}/{unit}"));
        // A service with a SysV script beside it.
        if shell.has(&format!("/etc/init.d/{}", unit.trim_end_matches(".service"))) {
            shell.link(&format!("/etc/rc2.d/S01{unit}"), "../init.d/x");
        }
    }
}

pub fn disable(shell: &mut Shell<'_>, unit: &str) {
    let links = wants(shell, unit).into_iter().chain([format!("/etc/rc2.d/S01{unit}")]);
    for link in links.collect::<Vec<_>>() {
        if shell.has(&link) {
            shell.remove(&link);
        }
    }
}

/// Units with a link in a target that is started.
pub fn enabled_units(shell: &Shell<'_>) -> Vec<String> {
    let names = shell.names(&format!("{SYSTEM}/multi-user.target.wants"));
    let names = names.into_iter().filter(|name| !name.starts_with("firstlight-"));
    let timers = shell.names(&format!("{SYSTEM}/timers.target.wants"));
    names.chain(timers).filter(|name| !text(shell, name).is_empty()).collect()
}

pub fn start(shell: &mut Shell<'_>, unit: &str) {
    if !shell.has(&format!("/run/active/{unit}")) {
        read_configuration(shell, unit);
    }
}

/// What it reads when it starts, and when it is told to.
fn read_configuration(shell: &mut Shell<'_>, unit: &str) {
    let configuration = hardening::configuration(shell, unit);
    shell.show(&format!("/run/active/{unit}"), &configuration);
}

pub fn stop(shell: &mut Shell<'_>, unit: &str) {
    if shell.has(&format!("/run/active/{unit}")) {
        shell.remove(&format!("/run/active/{unit}"));
    }
}

pub fn systemctl(shell: &mut Shell<'_>, words: &[&str]) -> Output {
    let words: Vec<&str> =
        words[1..].iter().copied().filter(|word| !matches!(*word, "--" | "--quiet")).collect();
    let (verb, units) = words.split_first().unwrap();
    let unit = units.first().copied().unwrap_or_default();
    let known = |shell: &Shell<'_>| !text(shell, unit).is_empty();
    match *verb {
        "daemon-reload" | "reset-failed" => return ok(""),
        "is-active" => {
            let active = shell.has(&format!("/run/active/{unit}"));
            return if active { ok("active\n") } else { Output { status: 3, ..ok("inactive\n") } };
        }
        "is-enabled" => {
            let word = match (known(shell), is_enabled(shell, unit)) {
                (false, _) => "not-found\n",
                (true, true) => "enabled\n",
                (true, false) => "disabled\n",
            };
            return ok(word);
        }
        "disable" => units.iter().for_each(|unit| disable(shell, unit)),
        "stop" => {
            stop(shell, unit);
            if unit == "ufw.service" {
                firewall::unload(shell);
            }
        }
        _ if !known(shell) => return refused(5, format!("Unit {unit} not found.")),
        "enable" => units.iter().for_each(|unit| enable(shell, unit)),
        "start" => {
            start(shell, unit);
            if unit == "ufw.service" {
                firewall::load_at_boot(shell);
            }
        }
        "reload" if unit == "ssh.service" => ssh::load(shell),
        "restart" if unit == "ssh.service" => ssh::load(shell),
        "reload" | "restart" | "try-restart" if shell.has(&format!("/run/active/{unit}")) => {
            read_configuration(shell, unit);
        }
        "reload" | "restart" | "try-restart" => {}
        other => return refused(1, format!("not simulated: systemctl {other}")),
    }
    ended(shell)
}
