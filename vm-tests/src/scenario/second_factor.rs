//! What a run hands over about second factors, and logins with it.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use super::hook::INSTALLED_PATH;
use crate::agent::Output;
use crate::network::Side;
use crate::node::Node;
use crate::payload::{ADMIN, ADMIN_PASSWORD};
use crate::picture::{Terminal, code_of, codes};
use crate::search::Needle;
use crate::workspace::{KeyPair, Workspace};

/// Where the hand-over lies until somebody has seen it.
pub const HANDOVER_PATH: &str = "/run/firstlight/handover.txt";
/// Columns of a terminal that does not know its size.
const COLUMNS: usize = 80;

/// What a run has handed over, by user.
pub struct Handed {
    /// `otpauth` URIs.
    pub uris: BTreeMap<String, String>,
    /// Recovery keys.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Values of API tokens, by their full names.
    pub tokens: BTreeMap<String, String>,
}

impl Handed {
    /// Reads the hand-over of a node.
    pub fn read(node: &mut Node, path: &str) -> Result<Self> {
        ensure!(node.ok(&format!("stat -c '%a %U' {path}"))? == "600 root\n", "others may read {path}");
        let text = String::from_utf8(node.get(path)?).context("reading the hand-over")?;
        let mut handed = Self { uris: BTreeMap::new(), keys: BTreeMap::new(), tokens: BTreeMap::new() };
        for part in text.split("## ").skip(1) {
            let (title, body) = part.split_once('\n').context("reading the hand-over")?;
            let mut lines = body.trim().lines();
            if let Some(user) = title.strip_prefix("TOTP of ") {
                handed.uris.insert(user.to_owned(), lines.next().unwrap_or_default().to_owned());
            } else if let Some(user) = title.strip_prefix("recovery keys of ") {
                handed.keys.insert(user.to_owned(), lines.map(str::to_owned).collect());
            } else if let Some((name, value)) = lines.next().and_then(|line| line.split_once('=')) {
                handed.tokens.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(handed)
    }

    /// The URI of a user.
    pub fn uri(&self, user: &str) -> Result<&str> {
        self.uris.get(user).map(String::as_str).with_context(|| format!("no URI of {user} was handed over"))
    }

    /// The recovery key of a user at this place.
    pub fn key(&self, user: &str, place: usize) -> Result<&str> {
        let keys = self.keys.get(user).with_context(|| format!("no keys of {user} were handed over"))?;
        keys.get(place).map(String::as_str).context("there are not so many recovery keys")
    }

    /// Everything in it that is secret, in the forms it could be written in.
    pub fn needles(&self) -> Result<Vec<Needle>> {
        let mut needles = Vec::new();
        let mut add = |name: String, bytes: &[u8]| needles.push(Needle { name, bytes: bytes.to_owned() });
        for (user, uri) in &self.uris {
            let secret = crate::picture::secret_of(uri)?;
            ensure!(secret.len() == 32, "the secret of {user} has {} letters", secret.len());
            add(format!("the secret of {user}"), secret.as_bytes());
            add(format!("the bytes of the secret of {user}"), &from_base32(secret)?);
            let groups: Vec<&str> = (0..8).filter_map(|group| secret.get(4 * group..4 * group + 4)).collect();
            add(format!("the secret of {user} in groups"), groups.join(" ").as_bytes());
            add(format!("the secret of {user} in small letters"), secret.to_lowercase().as_bytes());
        }
        for (user, keys) in &self.keys {
            for key in keys {
                add(format!("a recovery key of {user}"), key.as_bytes());
            }
        }
        for (name, value) in &self.tokens {
            add(format!("the value of {name}"), value.as_bytes());
        }
        Ok(needles)
    }
}

fn from_base32(text: &str) -> Result<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0_u64, 0, Vec::new());
    for letter in text.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter);
        bits = bits << 5 | u64::try_from(value.context("this is no base 32")?)?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff)?);
        }
    }
    Ok(bytes)
}

/// The node's own time, in seconds.
pub fn now(node: &mut Node) -> Result<u64> {
    node.ok("date +%s")?.trim().parse().context("reading the guest's clock")
}

/// The answer to PVE's challenge: a code so many steps from now.
pub fn totp(node: &mut Node, uri: &str, steps: i64) -> Result<String> {
    let at = now(node)?.saturating_add_signed(steps * 30);
    Ok(format!("totp:{}", code_of(uri, at)?))
}

/// Logs in at 8006 and says what became of it.
pub fn log_in(node: &mut Node, user: &str, password: &str, answer: &str) -> Result<u16> {
    let (status, asked) = node.pve().log_in(user, password, Some(answer))?;
    ensure!(asked, "8006 asks {user} for no second factor");
    Ok(status)
}

/// A code that is right neither now nor a step before or after.
pub fn wrong_code(node: &mut Node, uri: &str) -> Result<String> {
    let right = [-2, -1, 0, 1, 2].map(|steps| totp(node, uri, steps));
    let right = right.into_iter().collect::<Result<Vec<_>>>()?;
    let wrong = ["totp:123456", "totp:234567", "totp:345678", "totp:456789", "totp:567890", "totp:678901"];
    let wrong = wrong.into_iter().find(|code| !right.iter().any(|known| known == code));
    Ok(wrong.context("six codes are right at once")?.to_owned())
}

/// Types at the admin's terminal over SSH, as the admin does: sudo asks for the password.
pub fn at_terminal(node: &Node, admin: &KeyPair, words: &str) -> Result<Output> {
    over_ssh(node, admin, &["-tt"], words, "")
}

/// The same without a terminal, with a line for standard input.
pub fn without_terminal(node: &Node, admin: &KeyPair, words: &str, line: &str) -> Result<Output> {
    over_ssh(node, admin, &[], words, line)
}

fn over_ssh(node: &Node, admin: &KeyPair, options: &[&str], words: &str, line: &str) -> Result<Output> {
    let remote = format!("sudo -S -k -p '' {INSTALLED_PATH} {words}");
    let mut ssh = node.ssh_command(Side::Management, ADMIN, options, Some(admin), &remote)?;
    ssh.env("TERM", "xterm-256color").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = ssh.spawn().context("running ssh")?;
    let mut input = child.stdin.take().context("no standard input of ssh")?;
    input.write_all(format!("{ADMIN_PASSWORD}\n{line}\n").as_bytes()).context("typing")?;
    // A terminal that hangs up at once would end what runs on it.
    let done = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| child.wait_with_output());
        let done = waiting.join();
        drop(input);
        done
    });
    let done = done.map_err(|_| anyhow::anyhow!("a thread of the harness has panicked"))??;
    Ok(Output {
        status: i64::from(done.status.code().unwrap_or(-1)),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    })
}

/// The codes that a reader sees in what was written to a terminal, and how many modules the widest has in a row. The
/// picture is kept under this name.
pub fn seen(workspace: &Workspace, bytes: &[u8], name: &str) -> Result<(Vec<String>, usize)> {
    let terminal = Terminal::after(bytes, COLUMNS);
    let path = workspace.picture(name);
    terminal.save(&path)?;
    Ok((codes(&path)?, terminal.widest_code()))
}
