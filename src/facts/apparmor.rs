//! AppArmor's profiles: what the files define, and what the kernel has (apparmor.d(5), apparmor_parser(8)).

use crate::error::Result;
use crate::node::{Kind, Node, exists, read_text};
use std::path::{Path, PathBuf};

/// Files of profiles; those below `lxc` are read with `lxc-containers` (its `include <lxc>`).
pub const DIRECTORY: &str = "/etc/apparmor.d";
/// Reads all that is in `lxc`.
pub const LXC_FILE: &str = "lxc-containers";
const LXC_DIRECTORY: &str = "/etc/apparmor.d/lxc";
/// What the kernel has, a line each: `NAME (enforce)`. Missing where AppArmor is off.
pub const LOADED_PATH: &str = "/sys/kernel/security/apparmor/profiles";
/// Links in these directories to a file of profiles keep it out, or make it complain.
pub const RELAXING: [&str; 2] = ["disable", "force-complain"];
/// The mode of a profile that confines.
pub const ENFORCE: &str = "enforce";
/// The flag that says the same inside of a file.
const COMPLAIN: &str = "complain";

/// A profile that a file defines.
#[derive(Clone, Default)]
pub struct Profile {
    /// `lxc-container-default-cgns`, `/usr/bin/lxc-start`.
    pub name: String,
    /// The name of the file that the parser is given.
    pub file: String,
    /// `attach_disconnected,mediate_deleted`.
    pub flags: String,
}

/// All of AppArmor.
#[derive(Clone, Default)]
pub struct State {
    /// What the kernel has, as [`mode`] reads it; `None` while AppArmor is off.
    pub loaded: Option<String>,
    /// What the files define.
    pub profiles: Vec<Profile>,
}

/// Reads every file of profiles.
pub fn gather(node: &dyn Node) -> Result<State> {
    // In a container nobody may read it.
    let loaded = read_text(node, Path::new(LOADED_PATH)).ok().flatten();
    let mut state = State { loaded, profiles: Vec::new() };
    for (directory, reader) in [(DIRECTORY, ""), (LXC_DIRECTORY, LXC_FILE)] {
        for path in files(node, Path::new(directory))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let file = if reader.is_empty() { name } else { reader.to_owned() };
            state.profiles.extend(profiles(&read_text(node, &path)?.unwrap_or_default(), &file));
        }
    }
    Ok(state)
}

/// Every file that is read with this one: itself, and those of LXC with `lxc-containers`.
pub fn read_with(node: &dyn Node, file: &str) -> Result<Vec<PathBuf>> {
    let mut paths = vec![Path::new(DIRECTORY).join(file)];
    if file == LXC_FILE {
        paths.extend(files(node, Path::new(LXC_DIRECTORY))?);
    }
    Ok(paths)
}

fn files(node: &dyn Node, directory: &Path) -> Result<Vec<PathBuf>> {
    if !exists(node, directory)? {
        return Ok(Vec::new());
    }
    let entries = node.scan(directory)?;
    let files = entries.into_iter().filter(|entry| entry.metadata.kind == Kind::File);
    Ok(files.map(|entry| directory.join(entry.name)).collect())
}

/// The profiles of a file; those inside of another one are its own affair.
pub fn profiles(text: &str, file: &str) -> Vec<Profile> {
    let mut found = Vec::new();
    for line in text.lines().filter(|line| line.trim_end().ends_with('{')) {
        let header =
            line.strip_prefix("profile ").or_else(|| Some(line).filter(|it| it.starts_with(['/', '"', '@'])));
        let Some(header) = header.map(str::trim_start) else { continue };
        let name = match header.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => header.split_ascii_whitespace().next(),
        };
        let flags = flags(line).map_or("", |(_, flags, _)| flags).to_owned();
        found.push(Profile { name: name.unwrap_or_default().to_owned(), file: file.to_owned(), flags });
    }
    found
}

/// What stands before the flags of a header, the flags, and what comes after.
fn flags(header: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = header.split_once("flags=(")?;
    let (flags, after) = rest.split_once(')')?;
    Some((before, flags, after))
}

/// Whether one of the flags is this one.
pub fn has_flag(flags: &str, flag: &str) -> bool {
    flags.split([',', ' ']).any(|word| word == flag)
}

/// The text without the flag that lets a profile complain alone; the same text where none has it.
pub fn enforcing(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match flags(line).filter(|(_, flags, after)| has_flag(flags, COMPLAIN) && after.trim() == "{") {
            None => lines.push_str(line),
            Some((before, flags, after)) => {
                let kept: Vec<&str> =
                    flags.split([',', ' ']).filter(|word| !word.is_empty() && *word != COMPLAIN).collect();
                lines.push_str(before);
                if kept.is_empty() {
                    lines.push_str(after.trim_start());
                } else {
                    lines.push_str(&format!("flags=({}){after}", kept.join(",")));
                }
            }
        }
    }
    lines
}

/// The mode in which the kernel has the profile: `enforce`, `complain`; `None` while it has none of that name.
pub fn mode<'a>(loaded: &'a str, name: &str) -> Option<&'a str> {
    loaded.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" (")?.strip_suffix(')'))
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
            let found = profiles(text, "f").into_iter();
            found.map(|profile| format!("{} {}", profile.name, profile.flags)).collect::<Vec<_>>()
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
        assert_eq!(mode(loaded, "lxc-container-default"), Some("complain"));
        assert_eq!(mode(loaded, "lxc-container-default-cgns"), Some("enforce"));
        assert_eq!(mode(loaded, "lxc-container"), None);
    }
}
