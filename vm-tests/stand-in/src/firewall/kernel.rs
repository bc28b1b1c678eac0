//! The kernel's rules: read with the tools' `-save`, loaded with their `-restore`. In a directory of a replay the kernel
//! is what files below `/etc/pve-stand-in/kernel` say, and loading does nothing.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::compile::Compiled;
use super::config::Config;
use super::status::{self, Active, Commands};
use crate::context::Context;

/// Runs a tool with this input; what it printed, or why it failed in the words PVE uses.
fn run(program: &str, arguments: &[&str], input: &str, title: &str) -> Result<String, String> {
    let failed = |text: String| Err(format!("{title}: {text}"));
    let child = Command::new(program)
        .args(arguments)
        .env("PATH", "/sbin:/bin:/usr/sbin:/usr/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return failed(format!("command '{program}' failed: {error}")),
    };
    if let Some(mut pipe) = child.stdin.take() {
        let _ = pipe.write_all(input.as_bytes());
    }
    match child.wait_with_output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => failed(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()),
        Err(error) => failed(error.to_string()),
    }
}

/// What a tool says is loaded.
fn saved(context: &Context, program: &str, arguments: &[&str]) -> Result<String, String> {
    if context.is_the_machine() {
        return run(program, arguments, "", &format!("command '{program}' failed"));
    }
    let path = context.path(&format!("/etc/pve-stand-in/kernel/{program}"));
    Ok(fs::read_to_string(path).unwrap_or_default())
}

/// Everything that is loaded now.
pub fn active(context: &Context) -> Result<Active, String> {
    let v4 = saved(context, "iptables-save", &[])?;
    let v6 = saved(context, "ip6tables-save", &[])?;
    let bridge = saved(context, "ebtables-save", &[]);
    Ok(Active {
        sets: status::read_sets(&saved(context, "ipset", &["save"])?),
        filter_v4: status::read_chains(&v4, "filter"),
        filter_v6: status::read_chains(&v6, "filter"),
        raw_v4: status::read_chains(&v4, "raw"),
        raw_v6: status::read_chains(&v6, "raw"),
        without_bridge: bridge.is_err(),
        bridge: status::read_bridge(&bridge.unwrap_or_default()),
    })
}

fn tables(program: &str, table: &str, commands: &str) -> Result<(), String> {
    run(program, &["-T", table, "-n"], commands, "iptables_restore_cmdlist").map(drop)
}

fn sets(commands: &str) -> Result<(), String> {
    if commands.is_empty() {
        return Ok(());
    }
    run("ipset", &["restore"], commands, "ipset_restore_cmdlist").map(drop)
}

fn bridge(context: &Context, commands: &str) {
    if let Err(message) = run("ebtables-restore", &[], commands, "ebtables_restore_cmdlist") {
        super::log::info(context, &message);
    }
}

/// Lets bridged packets through iptables, as PVE does whenever it applies rules, and never takes it back.
fn filter_bridges() {
    for (path, value) in [
        ("/proc/sys/net/bridge/bridge-nf-call-iptables", "1"),
        ("/proc/sys/net/bridge/bridge-nf-call-ip6tables", "1"),
        ("/proc/sys/net/ipv4/tcp_syncookies", "1"),
    ] {
        let _ = fs::write(path, value);
    }
}

/// Loads the difference: sets first, rules, then the sets nobody needs any more.
pub fn apply(context: &Context, wanted: &Compiled, host: &Config) -> Result<(), String> {
    if !context.is_the_machine() {
        return Ok(());
    }
    filter_bridges();
    let commands = status::commands(wanted, &active(context)?);
    keep(context, &commands);
    sets(&commands.sets)?;
    tables("iptables-restore", "filter", &commands.filter_v4)?;
    tables("iptables-restore", "raw", &commands.raw_v4)?;
    tables("ip6tables-restore", "filter", &commands.filter_v6)?;
    tables("ip6tables-restore", "raw", &commands.raw_v6)?;
    sets(&commands.sets_to_remove)?;
    bridge(context, &commands.bridge);
    conntrack(host);
    Ok(())
}

/// The files PVE leaves behind below its own state directory.
fn keep(context: &Context, commands: &Commands) {
    let directory = context.path("/var/lib/pve-firewall");
    if fs::create_dir_all(&directory).is_err() {
        return;
    }
    for (name, text) in [
        ("ipsetcmdlist1", &commands.sets),
        ("ip4cmdlist", &commands.filter_v4),
        ("ip4cmdlistraw", &commands.raw_v4),
        ("ip6cmdlist", &commands.filter_v6),
        ("ip6cmdlistraw", &commands.raw_v6),
        ("ipsetcmdlist2", &commands.sets_to_remove),
        ("ebtablescmdlist", &commands.bridge),
    ] {
        let _ = fs::write(directory.join(name), text);
    }
}

/// Limits of connection tracking: the larger of PVE's default and the option, in steps of 8192.
fn conntrack(host: &Config) {
    const DEFAULT: u64 = 262_144;
    let number = |name: &str| host.option(name).and_then(|value| value.parse::<u64>().ok());
    let most = match number("nf_conntrack_max") {
        Some(wanted) if wanted > DEFAULT => wanted.div_ceil(8192) * 8192,
        _ => DEFAULT,
    };
    let path = "/proc/sys/net/nf_conntrack_max";
    let current = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    if current.is_some_and(|current| current != most) {
        let _ = fs::write("/sys/module/nf_conntrack/parameters/hashsize", (most / 4).to_string());
        let _ = fs::write(path, most.to_string());
    }
    let established = number("nf_conntrack_tcp_timeout_established").unwrap_or(432_000);
    let path = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established";
    let _ = fs::write(path, established.to_string());
}

/// Takes away everything of PVE's, and nothing else.
pub fn clear(context: &Context) -> Result<(), String> {
    if !context.is_the_machine() {
        return Ok(());
    }
    let active = active(context)?;
    for (program, table, chains) in [
        ("iptables-restore", "filter", &active.filter_v4),
        ("ip6tables-restore", "filter", &active.filter_v6),
        ("iptables-restore", "raw", &active.raw_v4),
        ("ip6tables-restore", "raw", &active.raw_v6),
    ] {
        if !chains.signatures.is_empty() || !chains.hooks.is_empty() {
            tables(program, table, &status::removal(table, chains))?;
        }
    }
    let names = active.sets.keys();
    sets(&names.map(|name| format!("flush {name}\ndestroy {name}\n")).collect::<String>())?;
    if active.bridge.keys().any(|chain| chain.starts_with("PVEFW-")) {
        let nothing = Compiled::default();
        bridge(context, &status::commands(&nothing, &active).bridge);
    }
    Ok(())
}
