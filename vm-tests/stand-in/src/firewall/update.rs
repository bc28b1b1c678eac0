//! One round of the firewall: load the files, make the rules, load them; or take everything away while it is off.

use std::fs::{self, File};

use super::compile::{Compiled, Input, compile};
use super::config::Config;
use super::files::{self, Audience};
use super::kernel;
use super::names::Names;
use super::network;
use crate::cluster_files;
use crate::context::Context;
use crate::failure::Failure;

/// Exists while the nftables backend must not filter (contract 3.1).
const NO_NFTABLES: &str = "/run/proxmox-nftables-firewall-force-disable";

/// The lock that keeps two compilations apart, held as long as the file is open.
pub fn lock(context: &Context) -> Option<File> {
    let path = context.path("/run/lock/pvefw.lck");
    if let Some(parent) = path.parent() {
        let _ = fs::create_dir_all(parent);
    }
    let file = File::options().create(true).append(true).open(path).ok()?;
    if file.try_lock().is_err() {
        context.warn("trying to acquire lock...");
        for _ in 0..10 {
            context.sleep(1);
            if file.try_lock().is_ok() {
                context.warn(" OK");
                return Some(file);
            }
        }
        return None;
    }
    Some(file)
}

/// Makes the rules of the node from its files.
pub fn compiled(context: &Context, datacenter: &Config, host: &Config) -> Compiled {
    let names = Names::of_the_machine();
    let local_network = network::local_network(context);
    let corosync = network::corosync(context);
    compile(Input {
        datacenter,
        host,
        local_network: local_network.as_deref(),
        node: context.node(),
        corosync: corosync.as_ref(),
        names,
    })
}

fn uses_nftables(context: &Context, host: &Config) -> bool {
    context.path("/usr/libexec/proxmox/proxmox-firewall").exists() && host.option("nftables") == Some("1")
}

/// One round. Without pmxcfs the rules stay as they are: the real one asks it for the files, not the directory, which
/// would be empty.
pub fn update(context: &Context, audience: Audience) -> Result<(), Failure> {
    if !cluster_files::is_up(context) {
        return Err(Failure::new(111, "Connection refused"));
    }
    let _lock = lock(context);
    let datacenter = files::cluster(context, audience)?;
    let host = files::host(context, &datacenter, audience)?;
    let nftables = uses_nftables(context, &host);
    let flag = context.path(NO_NFTABLES);
    if datacenter.enabled() && nftables {
        let _ = fs::remove_file(flag);
    } else {
        let _ = fs::write(flag, "");
    }
    let done = if datacenter.enabled() && !nftables {
        let compiled = compiled(context, &datacenter, &host);
        if audience != Audience::Daemon {
            compiled.warnings.iter().for_each(|warning| context.warn(warning));
        }
        kernel::apply(context, &compiled, &host)
    } else {
        kernel::clear(context)
    };
    done.map_err(Failure::die)
}
