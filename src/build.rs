//! Link arguments for the shipped (static musl) binary, and the units that it brings, without their comments.
//!
//! No separate code segments save some of the 1 MiB that PVE's installer allows. Relocations are packed where there are any:
//! without `.cargo/release.toml` the result is a position-independent executable.

use std::path::Path;
use std::{env, fs, io};

/// Where the units lie; the package has them as they are there.
const UNITS: &str = "src/install";

/// What several of them share is in the binary once (1 KB), and its number in its place: from the line that begins with
/// the first to the line that begins with the second.
const SHARED: [(&str, &str); 3] = [
    ("NoNewPrivileges=", "SystemCallFilter=~@clock"),
    ("PrivateMounts=", "SystemCallFilter=~@module"),
    ("CapabilityBoundingSet=~", "RestrictAddressFamilies="),
];

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=src/build.rs");
    println!("cargo:rerun-if-changed={UNITS}");
    if env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("musl") {
        for argument in ["-Wl,-z,pack-relative-relocs", "-Wl,-z,noseparate-code", "-Wl,--build-id=none"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    let out = Path::new(&out);
    let mut units = Vec::new();
    for entry in fs::read_dir(UNITS)? {
        let entry = entry?;
        units.push((entry.file_name(), without_comments(&fs::read_to_string(entry.path())?)));
    }
    for (number, (first, last)) in SHARED.iter().enumerate() {
        let block = units.iter().find_map(|(_, text)| block(text, first, last));
        let block = block.ok_or_else(|| io::Error::other(format!("no unit has {first} to {last}")))?;
        for (_, text) in &mut units {
            *text = text.replace(&block, &format!("{number}\n"));
        }
        fs::write(out.join(format!("shared-{number}")), block.trim_end())?;
    }
    units.iter().try_for_each(|(name, text)| fs::write(out.join(name), text))
}

fn block(text: &str, first: &str, last: &str) -> Option<String> {
    let begin = text.find(&format!("\n{first}"))? + 1;
    let end = begin + text.get(begin..)?.find(last)?;
    let end = end + text.get(end..)?.find('\n')? + 1;
    text.get(begin..end).map(str::to_owned)
}

/// 1.5 KB of the binary.
fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect()
}
