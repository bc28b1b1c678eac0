//! Which lines of the system's journal tell of a new login of the admin.
//!
//! Who may be believed: the fields that journald adds itself from the kernel (they begin with `_`). Everybody may write
//! a line that says it comes from sshd; only root can write one as root, and then only from the program it claims.

use super::JOURNALCTL;
use crate::json::Value;
use crate::node::{Invocation, Node};
use crate::transaction::record::Waiting;
use std::net::IpAddr;

/// Where Debian 12 and 13 have the process that lets somebody in (9.8 moved it out of sshd).
const PROGRAMS: [(&str, &str); 2] =
    [("sshd", "/usr/sbin/sshd"), ("sshd-session", "/usr/lib/openssh/sshd-session")];

/// Looks for a new login since the last look; who it was. A journal that cannot be read now is asked again.
pub fn seen(node: &dyn Node, waiting: &Waiting, cursor: &mut Option<String>) -> Option<String> {
    if waiting.cursor.is_empty() || waiting.keys.is_empty() {
        return None;
    }
    let known = cursor.as_deref().unwrap_or(&waiting.cursor).to_owned();
    // Not `--after-cursor`: with a filter systemd 252 leaves out the first entry behind a place that the filter hides.
    let from = format!("--cursor={known}");
    let arguments =
        ["--quiet", "--no-pager", "--output=json", &from, "_UID=0", "_COMM=sshd", "_COMM=sshd-session"];
    let output = node.run(&Invocation::new(JOURNALCTL, &arguments)).ok()?;
    for line in output.stdout.lines() {
        let Some(entry) = Value::read(line) else { continue };
        // The place itself is old.
        if field(&entry, "__CURSOR") == Some(&known) {
            continue;
        }
        if let Some(login) = login(&entry, waiting) {
            return Some(login);
        }
        if let Some(place) = field(&entry, "__CURSOR") {
            *cursor = Some(place.to_owned());
        }
    }
    None
}

/// An entry of the system's journal that tells of a login that counts: who, from where.
fn login(entry: &Value, waiting: &Waiting) -> Option<String> {
    let program = (field(entry, "_COMM")?, field(entry, "_EXE")?);
    if !PROGRAMS.contains(&program) || field(entry, "_UID")? != "0" {
        return None;
    }
    let (address, key) = accepted(field(entry, "MESSAGE")?, &waiting.admin)?;
    let from = address.parse::<IpAddr>().ok()?.to_canonical();
    let mut own = waiting.not_from.iter().filter_map(|text| text.parse::<IpAddr>().ok());
    if from.is_loopback() || own.any(|own| own.to_canonical() == from) {
        return None;
    }
    let known = waiting.keys.iter().any(|known| known == key);
    known.then(|| format!("a login of {} from {from}", waiting.admin))
}

/// `Accepted publickey for NAME from ADDRESS port N ssh2: TYPE SHA256:…`: the address and the fingerprint. A
/// certificate has more words, and its fingerprint is that of no key of ours.
fn accepted<'a>(message: &'a str, admin: &str) -> Option<(&'a str, &'a str)> {
    let words: Vec<&str> = message.split(' ').collect();
    match words.as_slice() {
        &["Accepted", "publickey", "for", name, "from", address, "port", _, "ssh2:", _, key]
            if name == admin =>
        {
            Some((address, key))
        }
        _ => None,
    }
}

/// One field as text. A field that was given more than once is a list, and says nothing.
fn field<'a>(entry: &'a Value, name: &str) -> Option<&'a str> {
    entry.get(name)?.text()
}

#[cfg(test)]
mod tests;
