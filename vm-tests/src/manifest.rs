//! What a node is: every path of `/etc` with type, mode, owner, size, content, link target, attributes and hard links,
//! and every package with its version and state.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::node::Node;
use crate::progress::took;

/// One line per path; the paths are the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    entries: BTreeMap<String, String>,
}

/// Reads the manifest with the guest's own tools, in one call.
pub fn read(node: &mut Node) -> Result<Manifest> {
    let since = Instant::now();
    let text = node.ok(&command("etc", &[])).context("reading /etc")?;
    let mut manifest = parse(&text)?;
    manifest.add_packages(&node.ok(PACKAGES).context("reading the list of packages")?)?;
    took("reading all of /etc", since);
    Ok(manifest)
}

/// What was purged is not listed; what left its configuration behind is.
const PACKAGES: &str = "dpkg-query --show --showformat='${binary:Package} ${Version} ${db:Status-Status}\\n'";

/// The command that tells what lies below some paths: three sections: names with their state, digests, extended
/// attributes (ACLs are among them). The paths, and those that are left out, are relative to the root.
pub fn command(paths: &str, left_out: &[&str]) -> String {
    let mut prune = String::new();
    for path in left_out {
        prune.push_str(&format!("-path '{path}' -prune -o "));
    }
    // pmxcfs has no attributes, and its mount point would be an error.
    format!(
        "cd / && find {paths} -xdev {prune}-printf '%y %m %U:%G %n %s %i %p -> %l\\n' | LC_ALL=C sort -k7 \
         && echo '# digests' && find {paths} -xdev {prune}-type f -print0 | xargs -0 sha256sum \
         && echo '# attributes' && find {paths} -xdev {prune}! -fstype fuse -print0 \
         | xargs -0 getfattr -h -d -m - -e hex 2>/dev/null"
    )
}

/// Reads what the command printed.
pub fn parse(text: &str) -> Result<Manifest> {
    let mut manifest = Manifest::default();
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut section = 0;
    let mut attributes_of = String::new();
    for line in text.lines() {
        match line {
            "# digests" => section = 1,
            "# attributes" => section = 2,
            _ if section == 0 => {
                let (path, state, group) = state(line)?;
                if let Some(inode) = group {
                    groups.entry(inode).or_default().push(path.clone());
                }
                manifest.entries.insert(path, state);
            }
            _ if section == 1 => {
                let (digest, path) = line.split_once("  ").context("reading a digest")?;
                manifest.append(path, &format!(" sha256={digest}"));
            }
            _ => match line.strip_prefix("# file: ") {
                Some(path) => attributes_of = path.to_owned(),
                None if line.is_empty() => {}
                None => manifest.append(&attributes_of, &format!(" {line}")),
            },
        }
    }
    if section != 2 {
        bail!("the manifest of /etc is incomplete");
    }
    for paths in groups.values() {
        for path in paths {
            manifest.append(path, &format!(" hard links: {}", paths.join(", ")));
        }
    }
    Ok(manifest)
}

/// Path, state, and the inode of a file with several names.
fn state(line: &str) -> Result<(String, String, Option<String>)> {
    let mut parts = line.splitn(7, ' ');
    let mut next = || parts.next().context("reading a line of the manifest");
    let (kind, mode, owner, links, size, inode, rest) =
        (next()?, next()?, next()?, next()?, next()?, next()?, next()?);
    let (path, target) = rest.rsplit_once(" -> ").context("reading a path of the manifest")?;
    // A directory's size and link count follow from its entries, and ext4 never shrinks the former.
    let state = match kind {
        "d" => format!("directory {mode} {owner}"),
        "l" => format!("link {owner} to {target}"),
        "f" => format!("file {mode} {owner} {size} bytes"),
        other => format!("type {other} {mode} {owner}"),
    };
    let shared = (kind != "d" && links != "1").then(|| inode.to_owned());
    Ok((absolute(path), state, shared))
}

/// `etc/x`, `./etc/x` and `/etc/x` are the same path of the node.
fn absolute(path: &str) -> String {
    format!("/{}", path.strip_prefix('.').unwrap_or(path).trim_start_matches('/'))
}

impl Manifest {
    fn add_packages(&mut self, text: &str) -> Result<()> {
        for line in text.lines() {
            let (name, state) = line.split_once(' ').context("reading a package")?;
            self.entries.insert(format!("package {name}"), state.to_owned());
        }
        Ok(())
    }

    fn append(&mut self, path: &str, more: &str) {
        let path = absolute(path);
        if let Some(entry) = self.entries.get_mut(&path) {
            entry.push_str(more);
        }
    }

    /// Whether a path is in it.
    pub fn has(&self, path: &str) -> bool {
        self.entries.contains_key(path)
    }

    /// Whether a file has the digest that `sha256sum` printed.
    pub fn holds_digest(&self, path: &str, printed: &str) -> bool {
        let wanted = self
            .entries
            .get(path)
            .and_then(|entry| entry.split(' ').find_map(|word| word.strip_prefix("sha256=")));
        wanted.is_none_or(|wanted| printed.contains(wanted))
    }

    /// Every difference to a later manifest, apart from paths that are allowed to differ.
    pub fn differences(&self, later: &Self, allowed: &dyn Fn(&str) -> bool) -> Vec<String> {
        let mut found = Vec::new();
        for (path, before) in &self.entries {
            match later.entries.get(path) {
                _ if allowed(path) => {}
                None => found.push(format!("{path}: gone (was {before})")),
                Some(after) if after != before => found.push(format!("{path}: {before} became {after}")),
                Some(_) => {}
            }
        }
        for (path, after) in &later.entries {
            if !self.has(path) && !allowed(path) {
                found.push(format!("{path}: new ({after})"));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "d 755 0:0 3 4096 11 etc -> \nf 644 0:0 1 4 12 etc/a b -> \nl 777 0:0 1 1 13 etc/c -> a b\n\
        f 600 0:1 2 4 14 etc/h1 -> \nf 600 0:1 2 4 14 etc/h2 -> \n# digests\naaaa  etc/a b\n# attributes\n\
        # file: etc/a b\nuser.x=0x31\n\n";

    #[test]
    fn all_that_makes_an_entry_is_in_it() {
        let manifest = parse(TEXT).unwrap();
        assert_eq!(manifest.entries["/etc/a b"], "file 644 0:0 4 bytes sha256=aaaa user.x=0x31");
        assert_eq!(manifest.entries["/etc/c"], "link 0:0 to a b");
        assert_eq!(manifest.entries["/etc/h1"], "file 600 0:1 4 bytes hard links: /etc/h1, /etc/h2");
        assert_eq!(manifest.entries.len(), 5);
    }

    #[test]
    fn differences_name_the_path() {
        let before = parse(TEXT).unwrap();
        let after = parse(&TEXT.replace("644", "640").replace("13 etc/c", "13 etc/d")).unwrap();
        let found = before.differences(&after, &|_| false);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("/etc/a b: file 644"));
        assert!(before.differences(&after, &|path| path.starts_with("/etc/")).is_empty());
        assert!(before.differences(&before, &|_| false).is_empty());
    }

    #[test]
    fn a_package_more_or_another_version_is_a_difference() {
        let with = |packages: &str| {
            let mut manifest = parse(TEXT).unwrap();
            manifest.add_packages(packages).unwrap();
            manifest
        };
        let before = with("bash 5.2 installed\n");
        let after = with("bash 5.3 installed\nsudo 1.9 config-files\n");
        assert_eq!(
            before.differences(&after, &|_| false),
            ["package bash: 5.2 installed became 5.3 installed", "package sudo: new (1.9 config-files)"]
        );
    }

    #[test]
    fn half_a_manifest_is_an_error() {
        assert!(parse("d 755 0:0 3 4096 11 etc -> \n").is_err());
    }
}
