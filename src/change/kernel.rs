//! One kernel setting at run time, by `sysctl`; what a boot sets is a matter of files.

use super::{KernelChange, Need};
use crate::error::Result;
use crate::node::{Invocation, Node, read_text, run_checked};
use crate::plan::View;
use crate::transaction::record::Inverse;
use std::path::{Path, PathBuf};

const SYSCTL: &str = "/usr/sbin/sysctl";

/// Where the kernel shows a setting: `net.ipv4.ip_forward` is `/proc/sys/net/ipv4/ip_forward`. A name with slashes is
/// the path itself, as sysctl(8) has it: dots belong to the names of interfaces then.
pub fn path(name: &str) -> PathBuf {
    let name = if name.contains('/') { name.to_owned() } else { name.replace(".", "/") };
    Path::new("/proc/sys").join(name.trim_start_matches('/'))
}

/// The value now; `None` while the kernel does not have the setting.
pub fn value(node: &dyn Node, name: &str) -> Result<Option<String>> {
    Ok(read_text(node, &path(name))?.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")))
}

/// What is missing for the setting to be as wanted. A setting that the kernel does not have needs nothing.
pub fn need(node: &dyn Node, change: &KernelChange) -> Result<Option<Need>> {
    Ok(value(node, &change.name)?.filter(|value| *value != change.value).map(|value| Need {
        title: format!("kernel {}: {} instead of {value}", change.name, change.value),
        view: View::Lines(Vec::new()),
    }))
}

/// The value before, for the way back.
pub fn inverse(node: &dyn Node, change: &KernelChange) -> Result<Inverse> {
    let value = value(node, &change.name)?.unwrap_or_default();
    Ok(Inverse::Kernel { name: change.name.clone(), value })
}

/// Sets it.
pub fn set(node: &dyn Node, name: &str, value: &str) -> Result<()> {
    run_checked(node, &Invocation::new(SYSCTL, &["-q", "-w", &format!("{name}={value}")])).map(drop)
}

/// Sets it back, where the kernel still has it.
pub fn undo(node: &dyn Node, name: &str, before: &str) -> Result<()> {
    match value(node, name)? {
        Some(value) if value != before => set(node, name, before),
        _ => Ok(()),
    }
}
