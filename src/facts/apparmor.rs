//! AppArmor's profiles: what the files define, and what the kernel has (apparmor.d(5), apparmor_parser(8)).

use crate::error::Result;
use crate::node::{Kind, Node, exists, read_text};
use std::path::{Path, PathBuf};

/// Files of profiles.
pub const DIRECTORY: &str = "/etc/apparmor.d";
/// Reads all that is in `lxc` (its `include <lxc>`).
pub const LXC_FILE: &str = "lxc-containers";
const LXC_DIRECTORY: &str = "/etc/apparmor.d/lxc";
/// What the kernel has, a line each: `NAME (enforce)`. Missing where AppArmor is off.
pub const LOADED_PATH: &str = "/sys/kernel/security/apparmor/profiles";
/// The mode of a profile that confines.
pub const ENFORCE: &str = "enforce";
/// The flag of a profile that only complains, with what parts it from others.
const COMPLAIN: [&str; 5] = [", complain", ",complain", "complain, ", "complain,", "complain"];
/// The flag of one that grants, and confines nothing.
const GRANTS: &str = "unconfined";

/// A profile that a file defines: the file that the parser is given, its name, its flags.
pub type Defined = [String; 3];

/// Every file that is read with `file`, or with any, and that file.
pub fn read_with(node: &dyn Node, file: &str) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for (directory, reader) in [(DIRECTORY, ""), (LXC_DIRECTORY, LXC_FILE)] {
        let directory = Path::new(directory);
        if !exists(node, directory)? {
            continue;
        }
        for entry in node.scan(directory)? {
            let name = entry.name.to_string_lossy();
            let read_by = if reader.is_empty() { &*name } else { reader };
            if entry.metadata.kind == Kind::File && (file.is_empty() || file == read_by) {
                found.push((directory.join(&entry.name), read_by.to_owned()));
            }
        }
    }
    Ok(found)
}

/// What the files define.
pub fn gather(node: &dyn Node) -> Result<Vec<Defined>> {
    let mut found = Vec::new();
    for (path, file) in read_with(node, "")? {
        profiles(&read_text(node, &path)?.unwrap_or_default(), &file, &mut found);
    }
    Ok(found)
}

/// Adds the profiles of a file; those inside of another one are its own affair.
pub fn profiles(text: &str, file: &str, found: &mut Vec<Defined>) {
    for line in text.lines().filter(|line| line.trim_end().ends_with('{')) {
        let header = line.strip_prefix("profile ").unwrap_or(line);
        if header.len() == line.len() && !line.starts_with(['/', '"', '@']) {
            continue;
        }
        let end = if header.starts_with('"') { '"' } else { ' ' };
        let name = header.trim_start_matches([' ', '"']).split(end).next().unwrap_or_default();
        let (_, flags, _) = flags(line).unwrap_or_default();
        found.push([file, name, flags].map(str::to_owned));
    }
}

/// What stands before the flags of a header, the flags, and what comes after.
fn flags(header: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = header.split_once("flags=(")?;
    let (flags, after) = rest.split_once(')')?;
    Some((before, flags, after))
}

/// Whether a profile grants user namespaces to a program, and confines nothing.
pub fn grants(defined: &Defined) -> bool {
    defined[2].contains(GRANTS)
}

/// The text without the flag that lets a profile complain alone; the same text where none has it.
pub fn enforcing(text: &str) -> String {
    let mut lines = String::new();
    for line in text.split_inclusive('\n') {
        let Some((before, flags, after)) = flags(line).filter(|(_, _, after)| after.trim() == "{") else {
            lines.push_str(line);
            continue;
        };
        let mut kept = flags.to_owned();
        for complains in COMPLAIN {
            kept = kept.replace(complains, "");
        }
        lines.push_str(&[before, "flags=(", &kept, ")", after].concat().replace("flags=() ", ""));
    }
    lines
}

/// The mode in which the kernel has the profile: `enforce`, `complain`; empty while it has none of that name.
pub fn mode<'a>(loaded: &'a str, name: &str) -> &'a str {
    let mode = |line: &'a str| line.strip_prefix(name)?.strip_prefix(" (")?.strip_suffix(')');
    loaded.lines().find_map(mode).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Headers of Debian 13's packages lxc and apparmor.
    const LXC: &str = "# Do not load this file.\n\
        profile lxc-container-default-cgns flags=(attach_disconnected,mediate_deleted) {\n  #include <x>\n\
        \x20 profile inner flags=(complain) {\n  }\n}\n";
    const START: &str = "abi <abi/4.0>,\n/usr/bin/lxc-start flags=(attach_disconnected) {\n}\n";
    const GRANT: &str = "profile lxc-usernsexec /usr/bin/lxc-usernsexec flags=(unconfined) {\n  userns,\n}\n";

    #[test]
    fn g5_profiles_are_known_by_their_headers() {
        let named = |text: &str| {
            let mut found = Vec::new();
            profiles(text, "f", &mut found);
            found.into_iter().map(|[_, name, flags]| format!("{name} {flags}")).collect::<Vec<_>>()
        };
        assert_eq!(named(LXC), ["lxc-container-default-cgns attach_disconnected,mediate_deleted"]);
        assert_eq!(named(START), ["/usr/bin/lxc-start attach_disconnected"]);
        assert_eq!(named(GRANT), ["lxc-usernsexec unconfined"]);
        assert_eq!(named("profile \"a b\" {\n}\n# profile c {\nprofile d\n{\n"), ["a b "]);
    }

    #[test]
    fn g5_the_flag_that_only_complains_is_taken_out_and_nothing_else() {
        assert_eq!(enforcing(LXC), LXC.replace("profile inner flags=(complain) {", "profile inner {"));
        assert_eq!(enforcing(GRANT), GRANT);
        assert_eq!(enforcing(START), START);
        let complaining = START.replace("(attach_disconnected)", "(attach_disconnected, complain)");
        assert_eq!(enforcing(&complaining), START);
        assert_eq!(enforcing("# flags=(complain)\n"), "# flags=(complain)\n");
    }

    #[test]
    fn g5_the_kernels_list_says_the_mode() {
        let loaded = "lxc-container-default-cgns (enforce)\nlxc-container-default (complain)\na//b (kill)\n";
        assert_eq!(mode(loaded, "lxc-container-default"), "complain");
        assert_eq!(mode(loaded, "lxc-container-default-cgns"), "enforce");
        assert_eq!(mode(loaded, "lxc-container"), "");
    }
}
