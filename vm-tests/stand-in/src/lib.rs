//! Stands in for Proxmox VE's tools in tests.
//!
//! One multi-call program: its first word says which tool it is. Everything hangs on a root directory, so that the
//! recorded commands of the real tools can be replayed against it in a temporary directory.

pub mod access;
pub mod api;
pub mod calls;
pub mod cluster_files;
pub mod command_line;
pub mod context;
pub mod endpoint;
pub mod evaluator;
pub mod failure;
pub mod firewall;
pub mod journal;
pub mod locks;
pub mod pmxcfs;
pub mod pvecm;
pub mod pveversion;
pub mod setup;
pub mod version;

use context::Context;
use failure::Failure;

/// Runs the tool of this name as its own process would be run, and gives the exit status.
///
/// What the tool prints goes to the outputs of the context.
pub fn run(program: &str, arguments: &[String], context: &Context) -> u8 {
    let outcome = match program {
        "pvesh" => command_line::pvesh::run(context, arguments),
        "pveum" => command_line::program::run(&access::commands::PVEUM, context, arguments),
        "pve-firewall" => firewall::run(context, arguments),
        "pmxcfs" => pmxcfs::run(context, arguments),
        "pvecm" => pvecm::run(context, arguments),
        "pvedaemon" => endpoint::daemon(context, arguments),
        "pveproxy" => endpoint::proxy(context, arguments),
        "pveversion" => pveversion::run(context, arguments),
        "setup" => setup::run(context, arguments),
        _ => Err(Failure::new(127, format!("{program}: command not found"))),
    };
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            let text = failure.text();
            if !text.is_empty() {
                context.warn(&text);
            }
            failure.status()
        }
    }
}
