//! What the binary is made of: the bill of materials (CycloneDX 1.5), and the licences of it as text. Both from what cargo
//! itself says: only what is linked, neither tests nor build scripts.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Release;
use crate::command::{command, output};
use crate::workspace::Workspace;

/// What is linked beside crates.
const LIBRARIES: &str = "\
The standard library of Rust and what it links (compiler-builtins, libc, hashbrown and others; docs/rust/COPYRIGHT-library.html
of the toolchain): Apache-2.0 OR MIT.
musl, the C library: MIT, at the end of this text.
";

const MUSL: &str = "Copyright (c) 2005-2020 Rich Felker, et al.";
const RULE: &str = "------------------------------------------------------------------------";

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn packages(metadata: &Value) -> &[Value] {
    list(metadata, "packages")
}

fn product(metadata: &Value) -> Result<&Value> {
    let named = |package: &&Value| text(package, "name") == "firstlight";
    packages(metadata).iter().find(named).context("cargo metadata knows no firstlight")
}

/// The product's version.
pub fn version(metadata: &Value) -> Result<String> {
    Ok(text(product(metadata)?, "version").to_owned())
}

/// The names and versions of what cargo links for the target: the metadata know the tests' features, too.
pub fn chosen(workspace: &Workspace, target: &str) -> Result<BTreeSet<(String, String)>> {
    let mut tree = workspace.cargo();
    tree.args(["tree", "--locked", "--package", "firstlight", "--edges", "normal", "--prefix", "none"]);
    let said = output(tree.args(["--target", target]))?;
    let name = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    };
    said.lines().map(|line| name(line).with_context(|| format!("reading cargo tree: {line}"))).collect()
}

/// What is linked into a package, by id.
fn links(metadata: &Value, id: &str) -> Vec<String> {
    let resolve = metadata.get("resolve").unwrap_or(&Value::Null);
    let node = list(resolve, "nodes").iter().find(|node| text(node, "id") == id);
    let linked =
        |dependency: &&Value| list(dependency, "dep_kinds").iter().any(|kind| kind["kind"].is_null());
    let dependencies = node.map_or(&[][..], |node| list(node, "deps"));
    let mut ids: Vec<String> =
        dependencies.iter().filter(linked).map(|dependency| text(dependency, "pkg").to_owned()).collect();
    ids.sort();
    ids
}

/// The product and everything that is linked into it, the product first.
fn linked<'a>(metadata: &'a Value, chosen: &BTreeSet<(String, String)>) -> Result<Vec<&'a Value>> {
    let first = text(product(metadata)?, "id").to_owned();
    let key = |package: &Value| (text(package, "name").to_owned(), text(package, "version").to_owned());
    let mut found: Vec<&Value> =
        packages(metadata).iter().filter(|package| chosen.contains(&key(package))).collect();
    if found.len() != chosen.len() {
        bail!("cargo metadata does not describe every package that cargo tree names");
    }
    found.sort_by_key(|package| {
        (text(package, "id") != first, text(package, "name"), text(package, "version"))
    });
    Ok(found)
}

/// A package's address, which is its name in the bill of materials, too.
fn purl(package: &Value) -> String {
    format!("pkg:cargo/{}@{}", text(package, "name"), text(package, "version"))
}

impl Release<'_> {
    /// The bill of materials.
    pub fn materials(&self) -> Result<String> {
        let linked = linked(&self.metadata, &self.chosen)?;
        let lock =
            fs::read_to_string(self.workspace.root.join("Cargo.lock")).context("reading Cargo.lock")?;
        let address =
            |id: &String| linked.iter().find(|package| text(package, "id") == id).map(|it| purl(it));
        let mut components: Vec<Value> = linked.iter().map(|package| component(package, &lock)).collect();
        let product = components.remove(0);
        let dependencies: Vec<Value> = linked
            .iter()
            .map(|package| {
                let on: Vec<String> =
                    links(&self.metadata, text(package, "id")).iter().filter_map(address).collect();
                json!({ "ref": purl(package), "dependsOn": on })
            })
            .collect();
        let rustc = output(command("rustc", ["--version"]).current_dir(&self.workspace.root))?;
        let bill = json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {
                "timestamp": date(self.epoch, "+%Y-%m-%dT%H:%M:%SZ")?,
                "component": product,
                "properties": [
                    { "name": "firstlight:commit", "value": self.commit },
                    { "name": "firstlight:target", "value": self.target },
                    { "name": "firstlight:compiler", "value": rustc.trim() },
                ],
            },
            "components": components,
            "dependencies": dependencies,
        });
        Ok(serde_json::to_string_pretty(&bill).context("writing the bill of materials")? + "\n")
    }

    /// Whose work is linked, one line each: what `copyright` of the package lists.
    pub fn third_party_lines(&self) -> Result<String> {
        let mut lines = String::new();
        for package in linked(&self.metadata, &self.chosen)?.into_iter().skip(1) {
            let (name, version, licence) =
                (text(package, "name"), text(package, "version"), text(package, "license"));
            writeln!(lines, "{name} {version}: {}", licence.replace('/', " OR "))?;
        }
        Ok(lines)
    }

    /// The licences of everything that is linked, whole, as each crate brings them.
    pub fn third_parties(&self) -> Result<String> {
        let mut all = format!("What is linked into firstlight, and its licences.\n\n{LIBRARIES}\n");
        all += &self.third_party_lines()?;
        for package in linked(&self.metadata, &self.chosen)?.into_iter().skip(1) {
            let manifest = Path::new(text(package, "manifest_path"));
            let directory = manifest.parent().unwrap_or(manifest);
            if directory.starts_with(&self.workspace.root) {
                // Ours, in the place of somebody else's.
                continue;
            }
            let mut names: Vec<String> = Vec::new();
            for entry in
                fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?
            {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.retain(|name| {
                ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT"].iter().any(|word| name.starts_with(word))
            });
            names.sort();
            for name in names {
                let licence = fs::read(directory.join(&name)).with_context(|| format!("reading {name}"))?;
                let title = format!("{} {}: {name}", text(package, "name"), text(package, "version"));
                let licence = String::from_utf8_lossy(&licence).replace('\r', "");
                write!(all, "\n{RULE}\n{title}\n{RULE}\n{}\n", licence.trim_end())?;
            }
        }
        let ours = self.workspace.root.join("LICENSE-MIT");
        let ours = fs::read_to_string(&ours).with_context(|| format!("reading {}", ours.display()))?;
        // The licence is the same text; whose it is stands in its second paragraph.
        let (title, rest) =
            ours.split_once("\n\nCopyright").context("LICENSE-MIT has no line of copyright")?;
        let (_, rest) = rest.split_once('\n').context("LICENSE-MIT ends early")?;
        write!(all, "\n{RULE}\nmusl\n{RULE}\n{title}\n\n{MUSL}\n{}\n", rest.trim_end())?;
        Ok(all)
    }
}

fn component(package: &Value, lock: &str) -> Value {
    let (name, version) = (text(package, "name"), text(package, "version"));
    let mut component = json!({
        "type": if name == "firstlight" { "application" } else { "library" },
        "bom-ref": purl(package),
        "name": name,
        "version": version,
        "purl": purl(package),
        "licenses": [{ "expression": text(package, "license").replace('/', " OR ") }],
    });
    let head = format!("name = \"{name}\"\nversion = \"{version}\"\n");
    let checksum = lock.split("[[package]]").find(|entry| entry.contains(&head)).and_then(|entry| {
        entry.lines().find_map(|line| line.strip_prefix("checksum = \"")?.strip_suffix('"'))
    });
    if let Some(checksum) = checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

/// A time as text, in the zone of nobody.
pub fn date(epoch: u64, form: &str) -> Result<String> {
    let said = output(command("date", ["--utc", &format!("--date=@{epoch}"), form]).env("LC_ALL", "C"))?;
    Ok(said.trim().to_owned())
}
