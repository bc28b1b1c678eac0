//! Where secrets may stand on a node's disk, and a search of all of it.

use anyhow::{Context, Result, ensure};

use super::second_factor::Handed;
use crate::node::Node;
use crate::progress::say;
use crate::search::{FREE, Finds, JOURNAL, Needle, forbidden, plant, search};
use crate::workspace::Workspace;

/// Design 7: on the whole disk, secrets stand in PVE's own files alone; a search that finds nothing proves nothing, so
/// that it must find what is planted.
pub fn nowhere_else(
    node: &mut Node,
    workspace: &Workspace,
    handed: &Handed,
    also: &dyn Fn(&str, &str) -> bool,
    control: bool,
) -> Result<()> {
    let allowed = |needle: &str, file: &str| allowed(needle, file) || also(needle, file);
    let mut needles = handed.needles()?;
    let hash = node.ok("getent shadow ops | cut -d : -f 2")?.trim().to_owned();
    needles.push(Needle { name: "the hash of the password".to_owned(), bytes: hash.into_bytes() });
    node.ok("logger -t planted 'planted-in-the-journal-7c1f'; journalctl --sync")?;
    needles
        .push(Needle { name: "a planted line".to_owned(), bytes: b"planted-in-the-journal-7c1f".to_vec() });
    let directory = workspace.run_directory().join("search");
    std::fs::create_dir_all(&directory).context("making a directory")?;
    let disk = directory.join("disk.raw");
    node.copy_disk(&disk)?;
    let finds = search(&disk, &directory.join("mounted"), &needles)?;
    for ((needle, file), count) in &finds {
        say(format_args!("  {needle}: {count} times in {file}"));
    }
    let wrong = forbidden(&finds, &allowed);
    ensure!(wrong.is_empty(), "secrets lie where nobody looks for them:\n  {}", wrong.join("\n  "));
    let stands =
        |finds: &Finds, needle: &str, file: &str| finds.contains_key(&(needle.to_owned(), file.to_owned()));
    ensure!(stands(&finds, "a planted line", JOURNAL), "the search does not see into the journal");
    let in_pve = finds.keys().any(|(needle, file)| needle == "the secret of root@pam" && is_of_pve(file));
    ensure!(in_pve, "the search does not even find the secret in PVE's database");
    if !control {
        return std::fs::remove_dir_all(&directory).context("removing the copy of the disk");
    }
    // The control: one secret of each kind in a log file.
    for (number, needle) in needles.iter().enumerate().filter(|(_, needle)| needle.name != "a planted line") {
        plant(&disk, &format!("/var/log/planted.{number}"), &needle.bytes, &directory)?;
    }
    let planted = forbidden(&search(&disk, &directory.join("mounted"), &needles)?, &allowed);
    ensure!(
        planted.len() == needles.len() - 1,
        "of {} planted secrets were found: {planted:?}",
        needles.len() - 1
    );
    std::fs::remove_dir_all(&directory).context("removing the copy of the disk")
}

/// Where what may stand. Old blocks of the baked executable still have the hash that it brought, as those of an older
/// `/etc/shadow` do.
fn allowed(needle: &str, file: &str) -> bool {
    match needle {
        "a planted line" => file == JOURNAL || file.starts_with("/var/log/journal/"),
        "the hash of the password" => {
            let ours = ["/root/vm-tests/", "/var/lib/firstlight/objects/"];
            matches!(file, "/etc/shadow" | "/etc/shadow-" | FREE)
                || ours.iter().any(|start| file.starts_with(start))
        }
        // Ten keys are hashed by PVE, and of a secret it keeps the letters.
        needle if needle.starts_with("the secret of ") || needle.starts_with("the value of ") => {
            is_of_pve(file)
        }
        _ => false,
    }
}

fn is_of_pve(file: &str) -> bool {
    file.starts_with("/var/lib/pve-cluster/config.db")
}
