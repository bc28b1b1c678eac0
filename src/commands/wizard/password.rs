//! A password, typed twice and kept as a hash.

use super::{BACK, HELP, Stop, say};
use crate::ask::Ask;
use crate::node::{Invocation, Node, run_checked};

/// perl-base is part of every Debian, and its crypt is the system's own, the one that `passwd` and sshd use (libcrypt).
/// PVE has no mkpasswd, and `openssl passwd` no yescrypt.
const PERL: &str = "/usr/bin/perl";
const CRYPT: &str = "chomp(my ($word, $setting) = <STDIN>); print crypt($word, $setting);";
/// yescrypt with the cost that Debian's PAM uses (common-password).
const SETTING: &str = "$y$j9T$";
/// 15 bytes of salt.
const SALT: usize = 20;
const LETTERS: &[u8] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The hash; or what was typed, where that is `?`, `<` or nothing.
pub fn ask(node: &dyn Node, ask: &mut dyn Ask, prompt: &str, default: &str) -> Result<String, Stop> {
    let prompt = if default.is_empty() { prompt.to_owned() } else { format!("{prompt} [{default}]") };
    loop {
        let typed = ask.secret(&prompt)?;
        if matches!(typed.as_str(), "" | HELP | BACK) {
            return Ok(typed);
        }
        if ask.secret("The same again")? == typed {
            return hash(node, &typed);
        }
        say(ask, "The two differ.");
    }
}

pub(super) fn hash(node: &dyn Node, password: &str) -> Result<String, Stop> {
    let mut setting = SETTING.to_owned();
    for byte in node.random(SALT)? {
        setting.extend(LETTERS.get(usize::from(byte) % LETTERS.len()).copied().map(char::from));
    }
    // Never on the command line, which others can read.
    let input = format!("{password}\n{setting}\n").into_bytes();
    let made = run_checked(node, &Invocation::new(PERL, &["-e", CRYPT]).input(input))?.stdout;
    if made.starts_with(&setting) { Ok(made) } else { Err(Stop::refusal("perl's crypt knows no yescrypt")) }
}
