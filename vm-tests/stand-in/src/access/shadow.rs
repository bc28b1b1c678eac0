//! Passwords: `priv/shadow.cfg` for the realm `pve`, the system's shadow file for `pam`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::access::{names, random, realm_config};
use crate::cluster_files;
use crate::context::Context;
use crate::failure::Failure;
use crate::locks;

const FILE: &str = "priv/shadow.cfg";

/// Sets the password of a user, in the way of the user's realm.
pub fn set_password(context: &Context, user: &str, password: &str) -> Result<(), Failure> {
    let (name, realm) = names::split_user(user).unwrap_or_default();
    let realms = realm_config::read(context)?;
    let kind = realms
        .realm(realm)
        .map(|realm| realm.kind.clone())
        .ok_or_else(|| Failure::die(format!("auth domain '{realm}' does not exist")))?;
    let hash = encrypt(password)?;
    match kind.as_str() {
        "pve" => change(context, |hashes| {
            hashes.insert(name.to_owned(), hash);
        }),
        "pam" => set_system_password(context, name, &hash),
        other => Err(Failure::die(format!("can't set password on auth type '{other}'"))),
    }
}

/// Forgets the password of a user who is deleted. Only the realm `pve` has one to forget.
pub fn forget(context: &Context, user: &str) -> Result<(), Failure> {
    match names::split_user(user) {
        Some((name, "pve")) => change(context, |hashes| {
            hashes.remove(name);
        }),
        _ => Ok(()),
    }
}

/// Checks a password. The refusal is what PVE writes to its log, not what it tells.
pub fn check(context: &Context, user: &str, password: &str) -> Result<(), Failure> {
    let (name, realm) = names::split_user(user).unwrap_or_default();
    let realms = realm_config::read(context)?;
    let kind = realms
        .realm(realm)
        .map(|realm| realm.kind.clone())
        .ok_or_else(|| Failure::die(format!("auth domain '{realm}' does not exist")))?;
    if password.is_empty() {
        return Err(Failure::die("no password"));
    }
    let (hash, none, wrong) = match kind.as_str() {
        "pve" => (read(context)?.remove(name), "no password set", "invalid credentials"),
        "pam" => (system_hash(context, name), "Authentication failure", "Authentication failure"),
        other => return Err(Failure::die(format!("cannot authenticate against '{other}'"))),
    };
    let hash = hash.filter(|hash| !hash.is_empty()).ok_or_else(|| Failure::die(none))?;
    if crypt(password, &hash)? == hash { Ok(()) } else { Err(Failure::die(wrong)) }
}

fn read(context: &Context) -> Result<BTreeMap<String, String>, Failure> {
    let content = cluster_files::read(context, FILE)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&content).into_owned();
    let pairs = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
    });
    Ok(pairs.collect())
}

fn change(context: &Context, change: impl FnOnce(&mut BTreeMap<String, String>)) -> Result<(), Failure> {
    let _lock = locks::take(context, "file-priv_shadow_cfg")?;
    let mut hashes = read(context)?;
    change(&mut hashes);
    let text: String = hashes.iter().map(|(name, hash)| format!("{name}:{hash}:\n")).collect();
    cluster_files::write(context, FILE, text.as_bytes())
}

fn system_hash(context: &Context, name: &str) -> Option<String> {
    let text = fs::read_to_string(context.path("/etc/shadow")).ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(1).map(str::to_owned)
}

/// The real one runs `usermod -p`, which fails for a user whom the system does not know.
fn set_system_password(context: &Context, name: &str, hash: &str) -> Result<(), Failure> {
    let failed = |reason: &str| Failure::die(format!("change password failed: {reason}"));
    if context.is_the_machine() {
        let status = Command::new("usermod").args(["-p", hash, name]).stdin(Stdio::null()).status();
        return match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(&format!("exit code {}", status.code().unwrap_or(255)))),
            Err(error) => Err(failed(&error.to_string())),
        };
    }
    let path = context.path("/etc/shadow");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let mut known = false;
    let mut lines = String::new();
    for line in text.lines() {
        let mut fields: Vec<&str> = line.split(':').collect();
        if fields.first() == Some(&name) && fields.len() > 1 {
            fields[1] = hash;
            known = true;
        }
        lines.push_str(&format!("{}\n", fields.join(":")));
    }
    if !known {
        context.warn(&format!("usermod: user '{name}' does not exist"));
        return Err(failed("exit code 6"));
    }
    fs::write(path, lines).map_err(|error| failed(&error.to_string()))
}

/// A new hash as PVE makes it: SHA-256 with eight characters of salt.
fn encrypt(password: &str) -> Result<String, Failure> {
    const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let salt = random::bytes::<8>()?.map(|byte| LETTERS[usize::from(byte & 63)]);
    crypt(password, &format!("$5${}$", String::from_utf8_lossy(&salt)))
}

/// crypt(3) of the system's own library, by way of Perl: it knows every method that stands in a shadow file.
fn crypt(password: &str, setting: &str) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::die(format!("crypt: {error}"));
    // Nothing secret in the arguments: both come on stdin.
    let program = "local $/; my ($s, $p) = split(/\\n/, <STDIN>, 2); print crypt($p, $s) // ''";
    let mut child = Command::new("perl")
        .args(["-e", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(format!("{setting}\n{password}").as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
