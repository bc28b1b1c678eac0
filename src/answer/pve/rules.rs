//! What the keys of one of PVE's tables demand of each other.

use super::forms::thousandths;
use super::{Found, Given};
use toml::de::{DeTable, DeValue};

pub(super) fn global(given: &Given<'_>) {
    match (given.has("root-password"), given.has("root-password-hashed")) {
        (true, true) => given.note("root-password-hashed", "must not stand beside root-password; keep one"),
        (false, false) => given.note("root-password", "is required, or root-password-hashed"),
        _ => {}
    }
}

pub(super) fn network(given: &Given<'_>) {
    let needed = ["cidr", "dns", "gateway", "filter"];
    match given.text("source") {
        Some("from-answer") => {
            for key in needed.into_iter().filter(|key| !given.has(key)) {
                given.note(key, "is required with source = \"from-answer\"");
            }
        }
        Some("from-dhcp") => {
            for key in needed.into_iter().filter(|key| given.has(key)) {
                given.note(key, "must not stand beside source = \"from-dhcp\"");
            }
        }
        _ => {}
    }
    let pinning = given.find("interface-name-pinning");
    let Some(mapping) =
        pinning.and_then(|found| inner(found, "mapping")).and_then(|found| found.value.as_table())
    else {
        return;
    };
    let mut names: Vec<&str> = Vec::new();
    for (address, name) in mapping {
        let key = super::write::dotted("interface-name-pinning.mapping", address.get_ref());
        if !is_mac(address.get_ref()) {
            let message = "must be a MAC address in quotes: \"aa:bb:cc:dd:ee:ff\" = \"nic0\"".to_owned();
            given.table.note_at(address.span().start, &key, message);
        }
        let text = name.get_ref().as_str().unwrap_or_default();
        if names.contains(&text) {
            given.table.note_at(name.span().start, &key, "gives a name that is given already".to_owned());
        }
        names.push(text);
    }
}

fn is_mac(text: &str) -> bool {
    let pair = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split(':').count() == 6 && text.split(':').all(pair)
}

pub(super) fn disk_setup(given: &Given<'_>) {
    match (given.has("disk-list"), given.has("filter")) {
        (true, true) => given.note("filter", "must not stand beside disk-list; keep one"),
        (false, false) => given.note("disk-list", "is required, or filter"),
        _ => {}
    }
    let Some(filesystem) = given.text("filesystem") else { return };
    let own = match filesystem {
        "ext4" | "xfs" => "lvm",
        other => other,
    };
    for table in ["zfs", "lvm", "btrfs"] {
        if table != own && given.has(table) && ["lvm", "zfs", "btrfs"].contains(&own) {
            given.note(table, "must be left out: it belongs to another file system");
        }
    }
    if own == "lvm" {
        swap_fits(given);
    } else if !given.has(own) && ["zfs", "btrfs"].contains(&own) {
        given.note(own, "is required with this file system: at least its raid level");
    }
    disks_suffice(given, own);
}

fn swap_fits(given: &Given<'_>) {
    let Some(lvm) = given.find("lvm") else { return };
    let size = |key| inner(lvm, key).and_then(|found| thousandths(found.value));
    if let (Some(disk), Some(swap)) = (size("hdsize"), size("swapsize"))
        && swap > disk / 2
    {
        let at = inner(lvm, "swapsize").map_or(lvm.at, |found| found.at);
        given.table.note_at(at, "lvm.swapsize", "must be at most half of hdsize".to_owned());
    }
}

/// A filter may match any number of disks; a list can be counted.
fn disks_suffice(given: &Given<'_>, own: &str) {
    let Some(disks) = given.find("disk-list").and_then(|found| found.value.as_array()) else { return };
    if own == "lvm" {
        if disks.len() != 1 {
            given.note("disk-list", "must name one disk: ext4 and xfs take no more");
        }
        return;
    }
    let level = given.find(own).and_then(|table| inner(table, "raid")).and_then(|found| found.value.as_str());
    let least = match level.unwrap_or_default().to_ascii_lowercase().as_str() {
        "raid1" => 2,
        "raidz-1" => 3,
        "raid10" | "raidz-2" => 4,
        "raidz-3" => 5,
        _ => 1,
    };
    if disks.len() < least {
        given.note("disk-list", &format!("must name at least {least} disks for this raid level"));
    } else if level.unwrap_or_default().eq_ignore_ascii_case("raid10") && disks.len() % 2 == 1 {
        // A stripe of mirrors of two (pve-installer 9.2.6).
        given.note("disk-list", "must name an even number of disks for raid10");
    }
}

pub(super) fn first_boot(given: &Given<'_>) {
    let from_url = given.text("source") == Some("from-url");
    if from_url && !given.has("url") {
        given.note("url", "is required with source = \"from-url\"");
    }
    let ordering = given.text("ordering");
    if !from_url && ordering.is_some_and(|ordering| ordering != "fully-up") {
        given.note("ordering", "must be \"fully-up\": firstlight runs when PVE's services are there");
    }
}

fn inner<'a>(found: Found<'a>, key: &str) -> Option<Found<'a>> {
    let table: &'a DeTable<'a> = match found.value {
        DeValue::Table(table) => table,
        _ => return None,
    };
    let value = table.get(key)?;
    Some(Found { at: value.span().start, value: value.get_ref() })
}
