//! Where the hook finds its answer (design 6): in the executable itself, as a systemd credential (SMBIOS, fw_cfg), on a
//! partition, in a file, at a URL. The first hit wins, and one that is invalid is an error, not "next".

use crate::answer::{self, Answer};
use crate::error::{Error, Result};
use crate::facts::identity;
use crate::node::{Invocation, Node, exists, read_text, run_checked};
use crate::objects::ObjectId;
use crate::payload::{self, Sealed};
use crate::transaction::state::{RUN_DIR, make_directories};
use std::path::Path;

const CREDENTIAL_PATH: &str = "/run/credentials/@system/firstlight.answer";
const FILE_PATH: &str = "/etc/firstlight/answer.toml";
/// As udev names a file system by its label.
const PARTITION_PATH: &str = "/dev/disk/by-label/FIRSTLIGHT";
const ON_PARTITION: &str = "firstlight.toml";
const COMMAND_LINE_PATH: &str = "/proc/cmdline";
/// On the kernel's command line.
const URL: &str = "firstlight.answer=";
const DIGEST: &str = "firstlight.answer-sha256=";
const CURL: &str = "/usr/bin/curl";
const WGET: &str = "/usr/bin/wget";
/// For a server that is slow, or not up yet: five tries, a minute each at most, and not more than this many seconds.
const SECONDS: u64 = 180;
/// With this limit of a rate no server can fill the memory within that time.
const CURL_WORDS: &str = "--silent --show-error --fail --location --max-redirs 3 --proto =http,https --max-time 60 \
    --limit-rate 100k --retry 5 --retry-delay 3 --retry-max-time 120 --retry-all-errors --output";
const WGET_WORDS: &str = "--no-verbose --max-redirect=3 --timeout=20 --tries=5 --waitretry=3 --retry-connrefused \
    --limit-rate=100k --output-document";
/// Bytes; nobody's answer is longer.
const LONGEST: u64 = 1 << 20;

/// What was found.
pub(super) enum Found {
    /// No answer anywhere.
    Nothing,
    /// One that cannot be used; a sentence.
    Wrong(String),
    /// An answer.
    Answer(Box<Answer>),
}

/// Asks the sources in their order. An error: the next boot may have more luck.
pub(super) fn find(node: &dyn Node, executable: &Path) -> Result<Found> {
    let image = node.read(executable)?;
    match payload::unseal(&image) {
        Sealed::Answer(bytes) => return Ok(parsed(node, "embedded answer", bytes)),
        Sealed::Damaged(what) => return Ok(Found::Wrong(format!("{}: {what}", executable.display()))),
        Sealed::None => {}
    }
    if exists(node, Path::new(CREDENTIAL_PATH))? {
        return read(node, CREDENTIAL_PATH, Path::new(CREDENTIAL_PATH));
    }
    if exists(node, Path::new(PARTITION_PATH))? {
        return on_partition(node);
    }
    if exists(node, Path::new(FILE_PATH))? {
        return read(node, FILE_PATH, Path::new(FILE_PATH));
    }
    let line = read_text(node, Path::new(COMMAND_LINE_PATH))?.unwrap_or_default();
    match (word(&line, URL), word(&line, DIGEST)) {
        (None, _) => Ok(Found::Nothing),
        (Some(url), digest) => at_url(node, url, digest.unwrap_or_default()),
    }
}

/// What stands behind a name on the kernel's command line; the last one counts.
fn word<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let value =
        line.split_ascii_whitespace().rev().find_map(|word| word.trim_matches('"').strip_prefix(name))?;
    Some(value.trim_matches('"'))
}

fn parsed(node: &dyn Node, source: &str, bytes: &[u8]) -> Found {
    match answer::read_for(source, bytes, Some(&|| identity(node))) {
        Ok(answer) => Found::Answer(Box::new(answer)),
        Err(problems) => Found::Wrong(problems.to_string()),
    }
}

fn read(node: &dyn Node, source: &str, path: &Path) -> Result<Found> {
    match node.lookup(path)? {
        Some(found) if found.size <= LONGEST => Ok(parsed(node, source, &node.read(path)?)),
        Some(_) => Ok(Found::Wrong(format!("{source} has more than {LONGEST} bytes: it is no answer"))),
        None => Ok(Found::Wrong(format!("{source} is not there"))),
    }
}

/// Nothing is written to the partition, and it is put down again whatever is on it.
fn on_partition(node: &dyn Node) -> Result<Found> {
    let directory = Path::new(RUN_DIR).join("partition");
    let place = directory.to_string_lossy();
    make_directories(node, &directory)?;
    let mount = ["--read-only", "--options", "nosuid,nodev,noexec", PARTITION_PATH, &place];
    run_checked(node, &Invocation::new("/usr/bin/mount", &mount))?;
    let found = read(node, &["FIRSTLIGHT/", ON_PARTITION].concat(), &directory.join(ON_PARTITION));
    run_checked(node, &Invocation::new("/usr/bin/umount", &[&place]))?;
    found
}

/// What is there must be what the operator has seen: the digest is not optional.
fn at_url(node: &dyn Node, url: &str, digest: &str) -> Result<Found> {
    let wanted = digest.to_ascii_lowercase();
    let (file, web) = (Path::new(RUN_DIR).join("answer.toml"), ["https://", "http://"]);
    if ObjectId::parse(wanted.as_bytes()).is_none() || !web.iter().any(|start| url.starts_with(start)) {
        return Ok(Found::Wrong(format!(
            "the kernel's command line must have {URL}https://… (or http), and {DIGEST} with the 64 digits of `sha256sum`"
        )));
    }
    make_directories(node, Path::new(RUN_DIR))?;
    let (program, words) =
        if exists(node, Path::new(CURL))? { (CURL, CURL_WORDS) } else { (WGET, WGET_WORDS) };
    let mut arguments: Vec<&str> = words.split(' ').collect();
    let name = file.to_string_lossy();
    arguments.extend([&*name, url]);
    let fetched = run_checked(node, &Invocation::new(program, &arguments).limit(SECONDS));
    let mut bytes = Vec::new();
    if let Some(found) = node.lookup(&file)? {
        if found.size <= LONGEST {
            bytes = node.read(&file)?;
        }
        node.remove_file(&file)?;
    }
    fetched?;
    let seen = ObjectId::of(&bytes).to_string();
    if seen != wanted {
        let because = format!("its SHA-256 is {seen}, and not {wanted}");
        return Err(Error::new(format!("taking the answer from {url}"), because));
    }
    Ok(parsed(node, url, &bytes))
}

#[cfg(test)]
mod tests;
