//! `pve-firewall`: status, compile, localnet, and the commands of the daemon (contract 3.7, transcripts 24, 30, 33, 35).

use super::files::{self, Audience};
use super::update::{compiled, lock};
use super::{daemon, kernel, network, status};
use crate::cluster_files;
use crate::context::Context;
use crate::failure::Failure;

const COMMANDS: [(&str, &str); 7] = [
    ("compile", ""),
    ("localnet", ""),
    ("restart", ""),
    ("simulate", " [OPTIONS]"),
    ("start", " [OPTIONS]"),
    ("status", ""),
    ("stop", ""),
];

/// Runs one line of `pve-firewall`.
pub fn run(context: &Context, arguments: &[String]) -> Result<(), Failure> {
    cluster_files::ask_for_access(context)?;
    let word = arguments.first().map(String::as_str).unwrap_or_default();
    let rest = arguments.get(1..).unwrap_or_default();
    let Some((command, options)) = command(word) else {
        return Err(match word {
            "" => refuse("no command specified"),
            "help" => {
                context.print(&usage());
                return Ok(());
            }
            _ => refuse(&format!("unknown command 'pve-firewall {word}'")),
        });
    };
    if command == "start" && rest.iter().any(|option| option == daemon::FOREGROUND) {
        return daemon::run(context);
    }
    let allowed = |option: &str| command == "start" && matches!(option, "--debug" | "-debug" | "1" | "0");
    if let Some(unknown) = rest.iter().find(|option| !allowed(option)) {
        let usage = format!("pve-firewall {command} {options}");
        if unknown.starts_with('-') {
            context.warn(&format!("Unknown option: {}", unknown.trim_start_matches('-')));
            return Err(Failure::usage("400 unable to parse option", usage));
        }
        return Err(Failure::usage("400 too many arguments", usage));
    }
    match command {
        "status" => print_status(context),
        "compile" => print_compiled(context),
        "localnet" => print_network(context),
        "start" if !rest.is_empty() => daemon::run(context),
        "start" => daemon::start(context),
        "stop" => daemon::stop(context),
        "restart" => daemon::restart(context),
        _ => Err(Failure::die("simulate is not part of the stand-in")),
    }
}

/// A command by its word or the unique beginning of one.
fn command(word: &str) -> Option<(&'static str, &'static str)> {
    if let Some(exact) = COMMANDS.iter().find(|(name, _)| *name == word) {
        return Some(*exact);
    }
    let mut fitting = COMMANDS.iter().filter(|(name, _)| !word.is_empty() && name.starts_with(word));
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Some(*one),
        _ => None,
    }
}

fn usage() -> String {
    let mut text = "USAGE: pve-firewall <COMMAND> [ARGS] [OPTIONS]\n\n       pve-firewall help [<extra-args>] [OPTIONS]\n\n"
        .to_owned();
    for (name, options) in COMMANDS {
        text.push_str(&format!("       pve-firewall {name} {options}\n"));
    }
    text
}

fn refuse(reason: &str) -> Failure {
    Failure::die(format!("ERROR: {reason}\n{}", usage().trim_end_matches('\n')))
}

fn print_status(context: &Context) -> Result<(), Failure> {
    let _lock = lock(context);
    let running = daemon::is_running(context);
    let datacenter = files::cluster(context, Audience::Console)?;
    let mut pending = "";
    if running {
        let host = files::host(context, &datacenter, Audience::Console)?;
        let wanted = compiled(context, &datacenter, &host);
        wanted.warnings.iter().for_each(|warning| context.warn(warning));
        let active = kernel::active(context).map_err(Failure::die)?;
        if status::commands(&wanted, &active).changes {
            pending = " (pending changes)";
        }
    }
    let enabled = if datacenter.enabled() { "enabled" } else { "disabled" };
    let running = if running { "running" } else { "stopped" };
    context.print(&format!("Status: {enabled}/{running}{pending}\n"));
    Ok(())
}

fn print_compiled(context: &Context) -> Result<(), Failure> {
    let _lock = lock(context);
    let datacenter = files::cluster(context, Audience::Console)?;
    let host = files::host(context, &datacenter, Audience::Console)?;
    let wanted = compiled(context, &datacenter, &host);
    wanted.warnings.iter().for_each(|warning| context.warn(warning));
    let active = kernel::active(context).map_err(Failure::die)?;
    let commands = status::commands(&wanted, &active);
    let word = if commands.changes { "detected changes" } else { "no changes" };
    let off = if datacenter.enabled() { "" } else { "firewall disabled\n" };
    context.print(&format!("{}{word}\n{off}", commands.listing));
    Ok(())
}

fn print_network(context: &Context) -> Result<(), Failure> {
    context.print(&format!("local hostname: {}\n", context.node()));
    let address = network::node_address(context).ok_or_else(|| {
        Failure::die(format!(
            "hostname lookup '{}' failed - failed to get address info for: {}: Name or service not known",
            context.node(),
            context.node()
        ))
    })?;
    context.print(&format!("local IP address: {address}\n"));
    let datacenter = files::cluster(context, Audience::Api)?;
    let detected = network::local_network(context).unwrap_or_else(|| "127.0.0.0/8".to_owned());
    context.print(&format!("network auto detect: {detected}\n"));
    let used = match datacenter.aliases.get("local_network") {
        Some(alias) => format!("using user defined local_network: {}\n", alias.network),
        None => format!("using detected local_network: {detected}\n"),
    };
    context.print(&used);
    let Some(corosync) = network::corosync(context) else { return Ok(()) };
    context.print("\naccepting corosync traffic from/to:\n");
    for link in corosync.links.iter().filter(|link| link.node != context.node()) {
        let number: String = link.key.chars().filter(char::is_ascii_digit).collect();
        context.print(&format!(" - {}: {} (link: {number})\n", link.node, link.address));
    }
    Ok(())
}
