//! `firstlight bundle`: what somebody else needs to see what is wrong, as one text that its owner can read before it leaves.

use super::{Ended, engine};
use crate::node::{Invocation, Node};
use crate::packed::packed;
use crate::report::terminal::{print, visible};
use std::path::Path;

const SHELL: &str = "/bin/sh";
/// An audit and a plan of a busy node are among it.
const SECONDS: u64 = 900;
/// Of hashes of passwords (crypt(5)), TOTP entries, keys; and of what the profile of record has that may be one: the address
/// of a webhook, the content of a file.
const MARKS: [&str; 9] =
    ["$y$", "$gy$", "$6$", "$5$", "$2", "otpauth", "PRIVATE KEY", "webhook =", "content ="];
const LEFT_OUT: &str = "[a line that looks like a secret is left out]";
/// Base32 of 16 bytes; a TOTP secret has 20.
const LEAST_BASE32: usize = 26;
/// `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`: the secrets of PVE's API tokens look like that.
const UUID: usize = 36;

/// Writes the file, for its owner alone; one that is there already stays as it is.
pub fn run(node: &dyn Node, file: &Path) -> Ended {
    let file = engine::absolute(file)?;
    let program = engine::own_executable()?.to_string_lossy().into_owned();
    let script = packed!("bundle.sh");
    let said = node.run(&Invocation::new(SHELL, &["-c", script, SHELL, &program]).limit(SECONDS))?;
    node.create(&file, without_secrets(&said.stdout).as_bytes(), 0o600)?;
    print(&format!("{} holds what others need to help; read it before you send it\n", file.display()));
    Ok(0)
}

fn without_secrets(text: &str) -> String {
    let mut kept = String::new();
    for line in text.lines() {
        kept.push_str(&if is_secret(line) { LEFT_OUT.to_owned() } else { visible(line) });
        kept.push('\n');
    }
    kept
}

fn is_secret(line: &str) -> bool {
    let base32 = |byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'2'..=b'7');
    MARKS.iter().any(|mark| line.contains(mark))
        || line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| {
            word.len() == UUID && word.matches('-').count() == 4
                || word.len() >= LEAST_BASE32 && word.bytes().all(base32)
        })
}

#[cfg(test)]
mod tests;
