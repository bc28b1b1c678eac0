//! The two files of the firewall on a node: where they are, how they are loaded and saved, and who hears what PVE says
//! about their lines.

use std::fs;

use super::config::{self, Config, Message};
use super::names::Names;
use super::{options, write};
use crate::cluster_files;
use crate::context::Context;
use crate::failure::Failure;

const CLUSTER: &str = "firewall/cluster.fw";

/// Who hears about wrong lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// `pve-firewall compile` and `status`: everything on stderr.
    Console,
    /// The API: lines that cannot be read on stderr, wrong rules in the system's log.
    Api,
    /// The daemon: wrong rules in the system's log, nothing else.
    Daemon,
}

fn host_name(context: &Context) -> String {
    format!("nodes/{}/host.fw", context.node())
}

fn tell(context: &Context, messages: Vec<Message>, audience: Audience) {
    for message in messages {
        match (message, audience) {
            (Message::Warning(text), Audience::Console | Audience::Api)
            | (Message::Fault(text) | Message::Member(text), Audience::Console) => context.warn(&text),
            (Message::Fault(text), Audience::Api | Audience::Daemon) => super::log::error(context, &text),
            (Message::Warning(_), Audience::Daemon) | (Message::Member(_), _) => {}
        }
    }
}

/// Loads `cluster.fw`. A `log_ratelimit` that cannot be read fails every command (pve-observed 3.7).
pub fn cluster(context: &Context, audience: Audience) -> Result<Config, Failure> {
    let text = cluster_files::read(context, CLUSTER)?.unwrap_or_default();
    let names = Names::of_the_machine();
    let path = format!("/etc/pve/{CLUSTER}");
    let read = config::cluster(&path, &text, names, context.now());
    tell(context, read.messages, audience);
    if let Some(Err(errors)) = read.config.option("log_ratelimit").map(options::rate_limit) {
        return Err(Failure::die(options::rate_limit_message(errors)));
    }
    Ok(read.config)
}

/// Loads the node's `host.fw`.
pub fn host(context: &Context, datacenter: &Config, audience: Audience) -> Result<Config, Failure> {
    let name = host_name(context);
    let text = cluster_files::read(context, &name)?.unwrap_or_default();
    let names = Names::of_the_machine();
    let read = config::host(&format!("/etc/pve/{name}"), &text, names, datacenter);
    tell(context, read.messages, audience);
    Ok(read.config)
}

/// Writes `cluster.fw`, and makes its directory at the first write; without anything to say the file goes away.
pub fn save_cluster(context: &Context, config: &Config) -> Result<(), Failure> {
    let text = write::cluster(config);
    if text.is_empty() {
        let _ = fs::remove_file(context.path(&format!("/etc/pve/{CLUSTER}")));
        return Ok(());
    }
    let _ = fs::create_dir(context.path("/etc/pve/firewall"));
    cluster_files::write(context, CLUSTER, text.as_bytes())
}

/// Writes the node's `host.fw`.
pub fn save_host(context: &Context, config: &Config) -> Result<(), Failure> {
    let text = write::host(config);
    let name = host_name(context);
    if text.is_empty() {
        let _ = fs::remove_file(context.path(&format!("/etc/pve/{name}")));
        return Ok(());
    }
    cluster_files::write(context, &name, text.as_bytes())
}
