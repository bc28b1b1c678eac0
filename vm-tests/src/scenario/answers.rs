//! Wrong input: each gets its own clear error, and the node is untouched.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{hook, kept};
use crate::bench::{BINARY_PATH, Bench, FIRST_BOOT_PATH};
use crate::command::{command, output};
use crate::manifest::Manifest;
use crate::node::Node;
use crate::progress::say;

/// How many wrong answers there must be at least.
const LEAST: usize = 25;
const DIRECTORY_PATH: &str = "/root/vm-tests/invalid";

/// Every file of `answer-files/invalid/`, and one that is too large to keep there.
pub fn wrong(bench: &mut Bench) -> Result<()> {
    let invalid = bench.workspace().root.join("answer-files/invalid");
    let names: Vec<String> = fs::read_dir(&invalid)
        .with_context(|| format!("reading {}", invalid.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    ensure!(names.len() >= LEAST, "only {} wrong answers, at least {LEAST} are wanted", names.len());
    let archive = tempfile::NamedTempFile::new().context("making a temporary file")?;
    output(
        command("tar", ["--create", "--file"]).arg(archive.path()).arg("--directory").arg(&invalid).arg("."),
    )?;
    let packed = fs::read(archive.path()).context("packing the wrong answers")?;

    let before = bench.original()?;
    let node = bench.armed()?;
    node.put("/root/vm-tests/invalid.tar", &packed, 0o600)?;
    node.ok(&format!(
        "mkdir {DIRECTORY_PATH} && tar -C {DIRECTORY_PATH} -xf /root/vm-tests/invalid.tar \
         && yes '# larger than any answer' | head -c 10485760 > {DIRECTORY_PATH}/too-large.toml"
    ))?;
    let said = node.run_within(
        &format!(
            "cd {DIRECTORY_PATH}; for file in *.toml; do \
             said=$({BINARY_PATH} apply {DIRECTORY_PATH}/$file 2>&1 </dev/null); \
             printf '\\n=== %s %s\\n%s\\n' $? $file \"$said\"; done"
        ),
        600,
    )?;
    let answers = reports(&said.stdout);
    ensure!(answers.len() == names.len() + 1, "{} reports for {} files", answers.len(), names.len() + 1);
    let complaints: Vec<String> = answers.iter().filter_map(complaint).collect();
    ensure!(
        complaints.is_empty(),
        "{} wrong answers were not refused properly:\n  {}",
        complaints.len(),
        complaints.join("\n  ")
    );
    say(format_args!("  {} wrong answers refused", answers.len()));
    untouched(node, &before)
}

/// What one wrong answer got.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    file: String,
    status: String,
    text: String,
}

fn reports(text: &str) -> Vec<Report> {
    text.split("\n=== ")
        .filter_map(|part| {
            let (head, text) = part.split_once('\n')?;
            let (status, file) = head.split_once(' ')?;
            Some(Report { file: file.to_owned(), status: status.to_owned(), text: text.trim().to_owned() })
        })
        .collect()
}

/// What is wrong with the refusal of a wrong answer, if anything is.
fn complaint(report: &Report) -> Option<String> {
    let file = &report.file;
    if report.status != "2" {
        return Some(format!("{file}: exit {}: {}", report.status, report.text));
    }
    // A file that is no text at all, or far too much of it, has no line to name.
    let whole_file = ["UTF-8", "bytes", "MiB", "large"].iter().any(|word| report.text.contains(word));
    let place = format!("{file}:");
    let line =
        report.text.split(&place).skip(1).any(|rest| rest.starts_with(|next: char| next.is_ascii_digit()));
    if report.text.contains(file.as_str()) && (line || whole_file) {
        return None;
    }
    Some(format!("{file}: the error names no file and line: {}", report.text))
}

/// What the product says of both.
const SEALED: &str = "the sealed answer is cut short or bytes of it are changed";

/// A payload that was cut or has a flipped bit is not believed.
pub fn damaged(bench: &mut Bench) -> Result<()> {
    let payload = bench.payload()?;
    let plain = fs::metadata(&payload.binary).context("measuring the product")?.len();
    let baked = fs::metadata(&payload.first_boot).context("measuring the baked executable")?.len();
    ensure!(baked > plain, "the baked executable is not larger than the product");
    let middle = plain + (baked - plain) / 2;
    let before = bench.original()?;
    let damages = [
        ("truncated", format!("truncate -s {middle} /root/vm-tests/damaged"), SEALED),
        ("flipped", flip(middle), SEALED),
    ];
    for (name, damage, complaint) in damages {
        let node = bench.armed()?;
        node.ok(&format!("cp -p {FIRST_BOOT_PATH} /root/vm-tests/damaged && {damage}"))?;
        hook::install_from(node, "/root/vm-tests/damaged")?;
        hook::start(node)?;
        let end = hook::wait_for_end(node)?;
        ensure!(
            end.state == "failed" && end.status == 2,
            "{name}: the unit is {} with status {}",
            end.state,
            end.status
        );
        ensure!(!hook::pending(node)?, "{name}: bad input gives up at once, but PVE's flag is still there");
        let journal = node.ok(&format!("journalctl --no-pager -o cat -u {}", hook::UNIT))?;
        ensure!(journal.contains(complaint), "{name}: the journal does not say `{complaint}`: {journal}");
        untouched(node, &before)?;
    }
    Ok(())
}

/// Turns one bit of the file over, with perl: every PVE node has it.
fn flip(offset: u64) -> String {
    format!(
        "perl -e 'open(F, \"+<\", \"/root/vm-tests/damaged\") or die; seek(F, {offset}, 0); read(F, $b, 1); \
         seek(F, {offset}, 0); print F chr(ord($b) ^ 1); close(F)'"
    )
}

fn untouched(node: &mut Node, before: &Manifest) -> Result<()> {
    kept::expect_etc(node, before)?;
    kept::expect_no_trace(node)?;
    let runs = node.run("ls -A /var/lib/firstlight/tx")?;
    ensure!(runs.stdout.trim().is_empty(), "bad input left a transaction behind: {}", runs.stdout);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_taken_apart() {
        let found = reports("\n=== 2 a.toml\na.toml:3: wrong\n\n=== 0 b.toml\n\n");
        assert_eq!(found.len(), 2);
        assert!(complaint(&found[0]).is_none());
        assert!(complaint(&found[1]).unwrap().contains("exit 0"));
    }

    #[test]
    fn an_error_without_a_line_is_no_clear_error() {
        let report = |text: &str| Report { file: "a.toml".into(), status: "2".into(), text: text.into() };
        assert!(complaint(&report("something is wrong")).is_some());
        assert!(complaint(&report("a.toml: wrong")).is_some());
        assert!(complaint(&report("a.toml: not UTF-8")).is_none());
    }
}
