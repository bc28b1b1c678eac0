//! Looking for secrets on a guest's whole disk: in files, in blocks that no file has any more, and in the journal, which
//! systemd compresses.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use anyhow::{Context, Result, ensure};
use nix::unistd::{Whence, lseek};

use crate::command::{command, output};
use crate::power::{FileSystem, Lab};

/// Read at once.
const CHUNK: usize = 8 * 1024 * 1024;
/// The file that stands for the journal's records, whatever file they are in.
pub const JOURNAL: &str = "the journal";
/// The file that stands for blocks that no file has.
pub const FREE: &str = "free blocks";

/// Something that must not be found.
pub struct Needle {
    /// What it is, without telling it.
    pub name: String,
    /// It itself.
    pub bytes: Vec<u8>,
}

/// Where which needle was found: its name, the file, how often.
pub type Finds = BTreeMap<(String, String), usize>;

/// Searches a raw disk that holds one ext4. Its journal is played back first, so that its tables say which file has
/// which block.
pub fn search(disk: &Path, directory: &Path, needles: &[Needle]) -> Result<Finds> {
    ensure!(needles.iter().all(|needle| needle.bytes.len() >= 8), "a needle is too short to prove anything");
    // 1: played back.
    let checked =
        command("e2fsck", ["-y", "-E", "journal_only"]).arg(disk).output().context("running e2fsck")?;
    ensure!(
        matches!(checked.status.code(), Some(0 | 1)),
        "e2fsck: {}",
        String::from_utf8_lossy(&checked.stderr)
    );
    let automaton =
        AhoCorasick::new(needles.iter().map(|needle| &needle.bytes)).context("reading needles")?;
    let found = blocks(disk, &automaton)?;
    let mut finds = Finds::new();
    if !found.is_empty() {
        let owners = owners(disk, found.iter().map(|(_, block)| *block))?;
        for (needle, block) in &found {
            let owner = owners.get(block).cloned().unwrap_or_else(|| FREE.to_owned());
            let name = needles.get(*needle).map_or("", |needle| &needle.name).to_owned();
            *finds.entry((name, owner)).or_default() += 1;
        }
    }
    let journal =
        Lab::enter(directory, FileSystem::Ext4, |lab| lab.mounted(disk, || read_journal(&lab.root())))?;
    ensure!(journal.len() > 10_000, "the guest's journal has {} bytes only", journal.len());
    for found in automaton.find_overlapping_iter(&journal) {
        let name = needles.get(found.pattern().as_usize()).map_or("", |needle| &needle.name).to_owned();
        *finds.entry((name, JOURNAL.to_owned())).or_default() += 1;
    }
    Ok(finds)
}

/// All fields of all records, as text.
fn read_journal(root: &Path) -> Result<Vec<u8>> {
    let mut journalctl = command("journalctl", ["--output=export", "--all", "--quiet", "--directory"]);
    let done = journalctl.arg(root.join("var/log/journal")).output().context("running journalctl")?;
    ensure!(done.status.success(), "journalctl: {}", String::from_utf8_lossy(&done.stderr));
    Ok(done.stdout)
}

/// Needles by their numbers, and the blocks in which they begin.
fn blocks(disk: &Path, automaton: &AhoCorasick) -> Result<Vec<(usize, u64)>> {
    let size = block_size(disk)?;
    let mut file = File::open(disk).with_context(|| format!("opening {}", disk.display()))?;
    let longest = automaton.max_pattern_len().saturating_sub(1);
    let (mut found, mut buffer) = (Vec::new(), Vec::new());
    // Where the buffer ends on the disk.
    let mut end: u64 = 0;
    while let Some(data) = next_data(&file, end)? {
        // What ended the last chunk may begin a needle.
        let kept = if data == end { buffer.len().min(longest) } else { 0 };
        buffer.drain(..buffer.len() - kept);
        let read = file.by_ref().take(u64::try_from(CHUNK)?).read_to_end(&mut buffer)?;
        if read == 0 {
            break;
        }
        let begin = data - u64::try_from(kept)?;
        // One that lies wholly in what was kept was found before.
        for hit in automaton.find_overlapping_iter(&buffer).filter(|hit| hit.end() > kept) {
            found.push((hit.pattern().as_usize(), (begin + u64::try_from(hit.start())?) / size));
        }
        end = data + u64::try_from(read)?;
    }
    Ok(found)
}

/// Goes to the next place that is no hole; None behind the last one.
fn next_data(file: &File, from: u64) -> Result<Option<u64>> {
    match lseek(file, i64::try_from(from)?, Whence::SeekData) {
        Ok(place) => Ok(Some(u64::try_from(place)?)),
        Err(nix::errno::Errno::ENXIO) => Ok(None),
        Err(error) => Err(error).context("looking for data on a disk"),
    }
}

fn block_size(disk: &Path) -> Result<u64> {
    let said = output(command("dumpe2fs", ["-h"]).arg(disk))?;
    let size = said.lines().find_map(|line| line.strip_prefix("Block size:"));
    size.and_then(|size| size.trim().parse().ok()).context("reading the size of a block")
}

/// The files that have these blocks.
fn owners(disk: &Path, blocks: impl Iterator<Item = u64>) -> Result<BTreeMap<u64, String>> {
    let mut blocks: Vec<String> = blocks.map(|block| block.to_string()).collect();
    blocks.dedup();
    let inodes = pairs(disk, "icheck", &blocks)?;
    let mut names: Vec<String> = inodes.values().cloned().collect();
    names.sort();
    names.dedup();
    let paths = pairs(disk, "ncheck", &names)?;
    let path_of = |inode: &String| paths.get(inode).cloned().unwrap_or_else(|| format!("inode {inode}"));
    inodes.iter().map(|(block, inode)| Ok((block.parse()?, path_of(inode)))).collect()
}

/// What debugfs says of numbers: a table of two columns. A block without an owner has none.
fn pairs(disk: &Path, question: &str, numbers: &[String]) -> Result<BTreeMap<String, String>> {
    let mut answers = BTreeMap::new();
    if numbers.is_empty() {
        return Ok(answers);
    }
    let said = output(command("debugfs", ["-R", &format!("{question} {}", numbers.join(" "))]).arg(disk))?;
    for line in said.lines().skip(1) {
        if let Some((number, answer)) = line.split_once('\t')
            && !answer.contains("not found")
        {
            answers.insert(number.trim().to_owned(), answer.trim().replacen("//", "/", 1));
        }
    }
    Ok(answers)
}

/// Finds that nothing allows, one line each.
pub fn forbidden(finds: &Finds, allowed: &dyn Fn(&str, &str) -> bool) -> Vec<String> {
    let wrong = finds.iter().filter(|((needle, file), _)| !allowed(needle, file));
    wrong.map(|((needle, file), count)| format!("{needle} stands {count} times in {file}")).collect()
}

/// Writes bytes into a new file of a raw disk, for a control that must find them.
pub fn plant(disk: &Path, path: &str, bytes: &[u8], scratch: &Path) -> Result<()> {
    let (content, script): (PathBuf, PathBuf) = (scratch.join("planted"), scratch.join("planted.debugfs"));
    std::fs::write(&content, bytes).context("writing what is planted")?;
    std::fs::write(&script, format!("write {} {path}\n", content.display())).context("writing a script")?;
    crate::seed::debugfs(disk, &script)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_needle_is_found_in_its_file_in_a_free_block_and_across_chunks() {
        let directory = tempfile::tempdir().unwrap();
        let disk = directory.path().join("disk");
        let file = File::create(&disk).unwrap();
        file.set_len(64 * 1024 * 1024).unwrap();
        output(command("mke2fs", ["-q", "-t", "ext4", "-b", "4096"]).arg(&disk)).unwrap();
        plant(&disk, "kept.txt", b"here is needle-one, in a file", directory.path()).unwrap();
        let automaton = AhoCorasick::new(["needle-one", "needle-two"]).unwrap();
        let found = blocks(&disk, &automaton).unwrap();
        assert_eq!(found.len(), 1);
        let owners = owners(&disk, found.iter().map(|found| found.1)).unwrap();
        assert_eq!(owners.values().next().unwrap(), "/kept.txt");
        // In the last block, which no file has, and across the end of the first chunk.
        let file = File::options().write(true).open(&disk).unwrap();
        let last = 16 * 1024 - 1;
        file.write_all_at(b"needle-two", last * 4096).unwrap();
        file.write_all_at(&vec![b'.'; CHUNK + 4096], 16 * 1024 * 1024).unwrap();
        file.write_all_at(b"needle-two", 16 * 1024 * 1024 + CHUNK as u64 - 5).unwrap();
        let found = blocks(&disk, &automaton).unwrap();
        assert_eq!(found.iter().filter(|found| found.0 == 1).count(), 2, "{found:?}");
        assert!(pairs(&disk, "icheck", &[last.to_string()]).unwrap().is_empty());
    }
}
