//! `[firstlight]` as a whole: its own keys, its tables, and how it is written again.

use super::pve::PveAnswer;
use super::table::{ABSOLUTE, Table, whole};
use super::write::{self, Entry};
use super::{admin, areas, files, firewall, rules};
use crate::profile::{Confirm, Handover, Profile};
use toml::de::{DeTable, DeValue};

/// The version of our part that this program reads.
const SCHEMA: i64 = 1;

/// Reads `[firstlight]`; `None` when what has no default is missing or wrong (which is noted).
pub(super) fn read(root: &Table<'_>, source: &str, pve: Option<&PveAnswer>) -> Option<Profile> {
    if !root.entries.contains_key("firstlight") {
        root.note("firstlight", "is required: [firstlight] with schema = 1");
    }
    let top = root.child("firstlight");
    if !root.entries.contains_key("firstlight") || !schema_is_known(&top) {
        return None;
    }
    // Merged by then; a known word for whoever misspells it.
    top.find("node");
    let confirm = top.find("confirm");
    let confirm = confirm.map(|found| match top.as_word("confirm", found, &["none", "login"]) {
        1 => Confirm::Login,
        _ => Confirm::None,
    });
    let confirm_minutes = top.number("confirm-minutes", (1, 1440), 10);
    let deadline_minutes = top.number("deadline-minutes", (1, 1440), 60);
    let packages_directory = top.formed("packages-directory", "", ABSOLUTE);
    let handover = match top.word("handover", &["console", "file"]) {
        1 => Handover::File,
        _ => Handover::Console,
    };
    let admin = admin::read(&top, pve);
    let ssh = areas::ssh(&top);
    let firewall = firewall::read(&top);
    let packages = areas::packages(&top);
    let repositories = areas::repositories(&top);
    let totp = areas::totp(&top);
    let fail2ban = areas::fail2ban(&top);
    let kernel = areas::kernel(&top);
    let services = areas::services(&top);
    let apparmor = areas::apparmor(&top);
    let files = files::read(&top);
    let updates = areas::updates(&top);
    let audit = areas::audit(&top);
    let report = areas::report(&top);
    top.finish();
    let profile = Profile {
        source: source.to_owned(),
        confirm,
        confirm_minutes,
        deadline_minutes,
        packages_directory,
        handover,
        admin: admin?,
        ssh,
        firewall,
        packages,
        repositories,
        totp,
        fail2ban,
        kernel,
        services,
        apparmor,
        files,
        updates,
        audit,
        report,
    };
    rules::contradictions(&top, &profile);
    Some(profile)
}

/// Another schema has other keys: nothing more could be said about the table.
fn schema_is_known(top: &Table<'_>) -> bool {
    let schema = top.find("schema").map(|found| found.value.as_integer().and_then(whole));
    match schema {
        Some(Some(SCHEMA)) => return true,
        Some(_) => top.note("schema", "must be 1, the only one that this version of firstlight reads"),
        None => top.note("schema", "is required: schema = 1"),
    }
    false
}

/// Whether secrets are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    /// Into the payload.
    Kept,
    /// Out of the profile of record. Where a secret is found is none, and stays.
    Dropped,
}

/// `[firstlight]` as TOML that `read` takes again, the keys of root folded into the admin's.
pub(super) fn written(root: &DeTable<'_>, profile: &Profile, secrets: Secrets) -> String {
    let mut out = String::new();
    let Some(table) = root.get("firstlight").and_then(|value| value.get_ref().as_table()) else { return out };
    let admin = table.get("admin").and_then(|value| value.get_ref().as_table());
    let folded = admin
        .and_then(|admin| admin.get("ssh-keys-of-root"))
        .is_some_and(|value| value.get_ref().as_bool() == Some(true));
    let dropped = |value: &DeValue<'_>| secrets == Secrets::Dropped && value.is_str();
    let decide = |path: &str, value: &DeValue<'_>| match path {
        "firstlight.node" if value.is_bool() => Entry::Skip,
        "firstlight.admin.password-hash" | "firstlight.report.webhook-key" if dropped(value) => Entry::Skip,
        "firstlight.totp.secrets" if secrets == Secrets::Dropped => Entry::Skip,
        "firstlight.admin.ssh-keys" if folded => Entry::Skip,
        "firstlight.admin.ssh-keys-of-root" if folded => Entry::Replace(key_list(profile)),
        _ => Entry::Keep,
    };
    write::push_table(&mut out, "firstlight", table, &decide);
    out
}

/// What is sealed, with secrets that `bake` has made. A line is a key of a table or a value of one: texts are written on
/// one line with their quotes escaped.
pub(super) fn with_secrets(sealed: &str, secrets: &[(String, String)]) -> String {
    const KEY: &str = "\nsecret = \"bake\"\n";
    let mut line = format!("{KEY}secrets = [");
    for (index, (user, secret)) in secrets.iter().enumerate() {
        write::separate(&mut line, index);
        write::push_text(&mut line, &format!("{user}={secret}"));
    }
    sealed.replacen(KEY, &(line + "]\n"), 1)
}

/// The same with a key of a pair, which is not asked for any more.
pub(super) fn with_key(sealed: &str, key: &str) -> String {
    const PAIR: &str = "\nssh-key-pair = \"bake\"\n";
    const KEYS: &str = "\nssh-keys = [";
    let instead = if sealed.contains(KEYS) { "\n" } else { "\nssh-keys = []\n" };
    let sealed = sealed.replacen(PAIR, instead, 1);
    let line = write::quoted(key);
    if sealed.contains(&line) { sealed } else { sealed.replacen(KEYS, &[KEYS, &line, ", "].concat(), 1) }
}

fn key_list(profile: &Profile) -> String {
    let mut line = "ssh-keys = [".to_owned();
    for (index, key) in profile.admin.ssh_keys.iter().enumerate() {
        write::separate(&mut line, index);
        write::push_text(&mut line, &key.line());
    }
    line.push(']');
    line
}
