//! The drop-in for sudo, in the grammar of sudoers(5).

use crate::areas::WRITTEN;
use crate::profile::{Admin, Sudo};

pub(super) const PATH: &str = "/etc/sudoers.d/firstlight";
pub(super) const MODE: u32 = 0o440;

/// The whole file. It is written in every mode, so that a change of the answer also takes away.
pub(super) fn drop_in(admin: &Admin) -> String {
    match specification(admin) {
        Some(specification) => {
            format!("{WRITTEN}{} ALL=(ALL:ALL) {specification}\n", admin.name.as_str())
        }
        None => WRITTEN.to_owned(),
    }
}

/// What `sudo -l -U` prints about it; empty for nothing.
pub(super) fn listing(admin: &Admin) -> String {
    specification(admin).map(|specification| format!("(ALL : ALL) {specification}")).unwrap_or_default()
}

fn specification(admin: &Admin) -> Option<String> {
    match &admin.sudo {
        Sudo::Password => Some("ALL".to_owned()),
        Sudo::NoPassword => Some("NOPASSWD: ALL".to_owned()),
        Sudo::Commands(commands) if commands.is_empty() => None,
        Sudo::Commands(commands) => {
            let commands: Vec<String> = commands.iter().map(|command| escaped(command)).collect();
            Some(format!("NOPASSWD: {}", commands.join(", ")))
        }
        Sudo::None => None,
    }
}

/// Whether a command can stand in sudoers at all.
pub(super) fn is_writable(command: &str) -> bool {
    command.starts_with('/') && !command.ends_with('/') && !command.chars().any(char::is_control)
}

/// `,` `:` `=` and `\` have a meaning in sudoers, and `#` starts a comment (checked with visudo 1.9.16).
/// Wildcards stay wildcards.
fn escaped(command: &str) -> String {
    let mut text = String::with_capacity(command.len());
    for word in command.split_ascii_whitespace() {
        if !text.is_empty() {
            text.push(' ');
        }
        for letter in word.chars() {
            if matches!(letter, ',' | ':' | '=' | '\\' | '#') {
                text.push('\\');
            }
            text.push(letter);
        }
    }
    text
}
