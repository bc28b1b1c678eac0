//! The calls of the tools, for tests that count them, or that need one to be over while its caller does not know it yet.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

use crate::context::Context;

/// A line for each call since the boot.
const CALLS: &str = "/run/pve-stand-in/calls";
/// The call that is held: there as long as it is.
const HELD: &str = "/run/pve-stand-in/held";
/// The switch with the beginning of the call to hold; the next boot does without.
const HOLD: &str = "/run/pve-stand-in/hold";

/// The tools whose calls cost a second each on a real node.
const TOOLS: [&str; 2] = ["pvesh", "pveum"];

/// Writes the call down, up to its first option: secrets come behind those only.
pub fn count(context: &Context, program: &str, arguments: &[String]) {
    if !TOOLS.contains(&program) || !context.is_privileged() {
        return;
    }
    let path = context.path(CALLS);
    if let Some(parent) = path.parent() {
        let _ = fs::create_dir_all(parent);
    }
    if let Ok(mut calls) = OpenOptions::new().create(true).append(true).open(path) {
        // In one piece: daemons of the node may call at the same time.
        let _ = calls.write_all(format!("{}\n", line(program, arguments)).as_bytes());
    }
}

/// Has done all it was called for, and does not end while the switch names it.
pub fn hold(context: &Context, program: &str, arguments: &[String]) {
    let asked = || fs::read_to_string(context.path(HOLD)).unwrap_or_default();
    let named = |asked: &str| !asked.trim().is_empty() && line(program, arguments).starts_with(asked.trim());
    if !named(&asked()) {
        return;
    }
    let _ = fs::write(context.path(HELD), "");
    while named(&asked()) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = fs::remove_file(context.path(HELD));
}

fn line(program: &str, arguments: &[String]) -> String {
    let words = arguments.iter().map(String::as_str).take_while(|word| !word.starts_with('-'));
    std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_an_option_is_not_written_down() {
        let words = ["create", "/access/tfa/root@pam", "--totp", "otpauth://secret", "--value", "123456"];
        let said = line("pvesh", &words.map(str::to_owned));
        assert_eq!(said, "pvesh create /access/tfa/root@pam");
    }
}
