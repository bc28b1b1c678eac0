//! Link arguments for the shipped (static musl) binary, and its long texts, packed.
//!
//! No separate code segments save some of the 1 MiB that PVE's installer allows. Relocations are packed where there are any:
//! without `.cargo/release.toml` the result is a position-independent executable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What people and tools read; the units lie in a folder, and the package has them as they are there.
const TEXTS: [&str; 7] = [
    "src/areas/kernel/settings.txt",
    "src/areas/ssh/options.txt",
    "src/audit/cis.txt",
    "src/cli/help.txt",
    "src/commands/bundle.sh",
    "src/report/break_glass.txt",
    "src/wizard/questions.txt",
];
const UNITS: &str = "src/install";
/// The first byte that stands for two others: texts are ASCII.
const FIRST: u8 = 128;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=src/build.rs");
    println!("cargo:rerun-if-changed={UNITS}");
    if env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("musl") {
        for argument in ["-Wl,-z,pack-relative-relocs", "-Wl,-z,noseparate-code", "-Wl,--build-id=none"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
    let mut names = Vec::new();
    let mut texts = Vec::new();
    for path in TEXTS {
        println!("cargo:rerun-if-changed={path}");
        names.push(path.into());
        texts.push(ascii(path.as_ref(), without_comments(&fs::read_to_string(path)?))?);
    }
    let mut units =
        fs::read_dir(UNITS)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    units.sort();
    for path in units {
        texts.push(ascii(&path, without_comments(&fs::read_to_string(&path)?))?);
        names.push(path);
    }
    let pairs = pack(&mut texts);
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    let out = Path::new(&out);
    fs::write(out.join("pairs"), pairs.concat())?;
    let files = names.iter().zip(&texts);
    files
        .filter_map(|(path, text)| Some((path.file_name()?, text)))
        .try_for_each(|(name, text)| fs::write(out.join(name), text))
}

fn ascii(path: &Path, text: String) -> io::Result<Vec<u8>> {
    if text.is_ascii() {
        Ok(text.into_bytes())
    } else {
        Err(io::Error::other(format!("{} is not ASCII", path.display())))
    }
}

/// 1.5 KB of the binary.
fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect()
}

/// Puts a byte of its own in the place of the two that most often stand together, as long as there are bytes; what each
/// stands for is returned (byte pair encoding). The same texts give the same bytes.
fn pack(texts: &mut [Vec<u8>]) -> Vec<[u8; 2]> {
    let mut pairs = Vec::new();
    for code in FIRST..=u8::MAX {
        let mut counts = BTreeMap::<[u8; 2], usize>::new();
        for pair in texts.iter().flat_map(|text| text.windows(2)) {
            if let [first, second] = *pair {
                *counts.entry([first, second]).or_default() += 1;
            }
        }
        let Some((&pair, _)) = counts.iter().max_by_key(|(_, count)| **count) else { break };
        for text in &mut *texts {
            *text = joined(text, pair, code);
        }
        pairs.push(pair);
    }
    pairs
}

fn joined(text: &[u8], pair: [u8; 2], code: u8) -> Vec<u8> {
    let (mut joined, mut rest) = (Vec::new(), text);
    while let Some((&first, behind)) = rest.split_first() {
        let found = rest.strip_prefix(&pair);
        joined.push(if found.is_some() { code } else { first });
        rest = found.unwrap_or(behind);
    }
    joined
}
