//! The way back of each kind of effect, as far as it is more than paths.

use super::{Stays, apparmor, host_key, kernel, key_pair, packages, pve, pve_firewall, ufw, unit};
use crate::error::Result;
use crate::node::Node;
use crate::transaction::record::Inverse;
use std::path::PathBuf;

/// Takes back what a step did beside its paths, before they are restored; returns the packages that stay, because
/// somebody else's need them. `kept` gets the places of kernel settings that somebody else has set since, which stay
/// unless with `force`. Safe to repeat.
pub fn undo(node: &dyn Node, inverse: &Inverse, force: bool, kept: &mut Vec<PathBuf>) -> Result<Vec<Stays>> {
    match inverse {
        Inverse::Paths
        | Inverse::Account { .. }
        | Inverse::Reload(_)
        | Inverse::HostKey
        | Inverse::KeyPair(_)
        | Inverse::PveFirewall(_) => Ok(()),
        Inverse::Packages(names) => return packages::undo(node, names),
        Inverse::Unit { name, active } => unit::undo(node, name, *active),
        Inverse::Ufw { active, settings } => ufw::undo(node, *active, settings),
        Inverse::Reach(_) => crate::reach::clear(node),
        Inverse::Pve(inverse) => pve::undo(node, inverse),
        Inverse::Kernel { before, made } => {
            kernel::undo(node, before, made, force).map(|mut paths| kept.append(&mut paths))
        }
        Inverse::AppArmor { file, loaded } => apparmor::undo(node, file, *loaded),
    }?;
    Ok(Vec::new())
}

/// Once all paths are back: services read them again, and what ran before runs again. Safe to repeat.
pub fn settle(node: &dyn Node, inverse: &Inverse) -> Result<()> {
    match inverse {
        Inverse::Paths
        | Inverse::Account { .. }
        | Inverse::Packages(_)
        | Inverse::Kernel { .. }
        | Inverse::Pve(_) => Ok(()),
        // Here too: the early stage of recovery may have been all of its way back.
        Inverse::Reach(_) => crate::reach::clear(node),
        Inverse::KeyPair(title) => key_pair::undo(node, title),
        Inverse::Unit { name, active } => unit::settle(node, name, *active),
        Inverse::Reload(name) => unit::settle_reload(node, name),
        Inverse::Ufw { active, .. } => ufw::settle(node, *active),
        Inverse::HostKey => host_key::publish(node),
        Inverse::AppArmor { file, loaded } => apparmor::settle(node, file, *loaded),
        Inverse::PveFirewall(settings) => pve_firewall::settle(node, settings),
    }
}

/// Where the file as a whole belongs to somebody else by now: takes out the line of the probe.
pub fn undo_kept(node: &dyn Node, inverse: &Inverse, kept: &[PathBuf]) -> Result<()> {
    match inverse {
        Inverse::Reach(path) if kept.contains(path) => crate::reach::forget(node, path),
        _ => Ok(()),
    }
}
