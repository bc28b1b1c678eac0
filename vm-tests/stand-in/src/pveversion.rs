//! `pveversion`.

use crate::context::Context;
use crate::failure::Failure;
use crate::version::Versions;

/// `pveversion [--verbose]`
pub fn run(context: &Context, arguments: &[String]) -> Result<(), Failure> {
    let mut verbose = false;
    for word in arguments {
        let option = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).unwrap_or_default();
        if option.is_empty() || !"verbose".starts_with(option) {
            let unknown =
                if word.starts_with('-') { format!("Unknown option: {option}\n") } else { String::new() };
            return Err(Failure::die(format!("{unknown}USAGE: pveversion [--verbose]")));
        }
        verbose = true;
    }
    let kernel = nix::sys::utsname::uname()
        .map(|names| names.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    let versions = Versions::of(context);
    let manager = format!("{}/{}", versions.manager, versions.repository_id);
    if !verbose {
        context.print(&format!("pve-manager/{manager} (running kernel: {kernel})\n"));
        return Ok(());
    }
    // In PVE's order: the two that matter most, then the others by name.
    context.print(&format!("proxmox-ve: not correctly installed (running kernel: {kernel})\n"));
    context.print(&format!("pve-manager: {} (running version: {manager})\n", versions.manager));
    for (name, version) in versions.packages {
        context.print(&format!("{name}: {version}\n"));
    }
    Ok(())
}
