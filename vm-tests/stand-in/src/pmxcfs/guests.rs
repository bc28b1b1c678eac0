//! Virtual machines and containers: `.vmlist`, and that a number is used once.

use std::collections::BTreeMap;

/// What `.vmlist` tells.
#[derive(Default)]
pub struct Guests {
    known: BTreeMap<u32, Guest>,
    version: u32,
}

struct Guest {
    node: String,
    kind: &'static str,
    version: u32,
}

/// The number of the guest that a path configures.
pub fn number(path: &str) -> Option<u32> {
    parse(path).map(|(number, _, _)| number)
}

/// Number, node and kind of `nodes/NODE/{qemu-server,lxc,openvz}/NUMBER.conf`.
fn parse(path: &str) -> Option<(u32, &str, &'static str)> {
    let mut parts = path.strip_prefix("nodes/")?.split('/');
    let node = parts.next()?;
    let kind = match parts.next()? {
        "qemu-server" => "qemu",
        "lxc" => "lxc",
        "openvz" => "openvz",
        _ => return None,
    };
    let digits = parts.next()?.strip_suffix(".conf")?;
    if parts.next().is_some() || digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    Some((digits.parse().ok()?, node, kind))
}

impl Guests {
    /// The guests of a tree at its start: they count as version 0 of the list.
    pub fn start_with(&mut self, paths: &[String]) {
        for path in paths {
            self.register(path);
        }
        self.version = 0;
    }

    /// A file was made or written.
    pub fn register(&mut self, path: &str) {
        let Some((number, node, kind)) = parse(path) else { return };
        self.version += 1;
        self.known.insert(number, Guest { node: node.to_owned(), kind, version: self.version });
    }

    /// A file is gone.
    pub fn forget(&mut self, path: &str) {
        if number(path).is_some_and(|number| self.known.remove(&number).is_some()) {
            self.version += 1;
        }
    }

    /// True if the number of this path belongs to another node or kind.
    pub fn is_elsewhere(&self, path: &str) -> bool {
        parse(path).is_some_and(|(number, node, kind)| {
            self.known.get(&number).is_some_and(|guest| guest.node != node || guest.kind != kind)
        })
    }

    /// Version of the list.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// `.vmlist`, with the blank line that the real one has.
    pub fn text(&self) -> String {
        if self.known.is_empty() {
            return format!("{{\n\"version\": {}\n\n}}\n", self.version);
        }
        let ids: Vec<String> = self
            .known
            .iter()
            .map(|(number, Guest { node, kind, version })| {
                format!(
                    "\"{number}\": {{ \"node\": \"{node}\", \"type\": \"{kind}\", \"version\": {version} }}"
                )
            })
            .collect();
        format!("{{\n\"version\": {},\n\"ids\": {{\n{}}}\n\n}}\n", self.version, ids.join(",\n"))
    }
}
