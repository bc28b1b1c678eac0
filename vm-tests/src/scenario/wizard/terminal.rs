//! Terminals of a node, typed into and read by the harness: its own screen and keyboard, its serial line, and SSH.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bench::BINARY_PATH;
use crate::network::Side;
use crate::node::Node;
use crate::workspace::KeyPair;

/// Seconds that a whole run may take natively.
const RUN: u64 = 300;
/// The same of anything else.
const PATIENCE: u64 = 30;
const PAUSE: Duration = Duration::from_millis(300);
/// Between two keys.
const KEY: Duration = Duration::from_millis(80);

/// One of them.
pub trait Terminal {
    /// Types a line.
    fn line(&mut self, node: &mut Node, text: &str) -> Result<()>;
    /// What was shown since the last line was typed.
    fn shown(&mut self, node: &mut Node) -> Result<String>;

    /// Waits until this is shown.
    fn until(&mut self, node: &mut Node, text: &str) -> Result<()> {
        self.until_either(node, text, text).map(drop)
    }

    /// The same for the end of a run.
    fn until_late(&mut self, node: &mut Node, text: &str) -> Result<()> {
        self.until_within(node, text, text, RUN).map(drop)
    }

    /// Waits until one of two is shown; whether it is the first.
    fn until_either(&mut self, node: &mut Node, first: &str, second: &str) -> Result<bool> {
        self.until_within(node, first, second, PATIENCE)
    }

    /// The same, not longer than so many seconds of a machine with KVM.
    fn until_within(&mut self, node: &mut Node, first: &str, second: &str, seconds: u64) -> Result<bool> {
        let deadline = Instant::now() + node.limit(seconds);
        loop {
            // Wherever its lines end.
            let shown = self.shown(node)?.split_whitespace().collect::<Vec<_>>().join(" ");
            match (shown.contains(first), shown.contains(second)) {
                (true, _) => return Ok(true),
                (_, true) => return Ok(false),
                _ if Instant::now() > deadline => bail!("waited in vain for {second:?}:\n{shown}"),
                _ => std::thread::sleep(PAUSE),
            }
        }
    }
}

/// The keyboard, and the screen of text that the kernel keeps (vcs(4)).
pub struct Keyboard;

impl Terminal for Keyboard {
    fn line(&mut self, node: &mut Node, text: &str) -> Result<()> {
        for character in text.chars().chain(['\n']) {
            node.press(&chord(character)?)?;
            // The keyboard's controller holds sixteen bytes.
            std::thread::sleep(KEY);
        }
        // What was asked is gone once something else is there: the line that was typed moves it on.
        std::thread::sleep(PAUSE);
        Ok(())
    }

    /// The lower half of what is on the screen: what stands above was answered.
    fn shown(&mut self, node: &mut Node) -> Result<String> {
        let text = node.ok("fold -w 80 /dev/vcs1")?;
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        Ok(lines.get(lines.len().saturating_sub(6)..).unwrap_or_default().join("\n"))
    }
}

/// QEMU's names for the keys of an American keyboard.
fn chord(character: char) -> Result<String> {
    let name = match character {
        'a'..='z' | '0'..='9' => return Ok(character.to_string()),
        '\n' => "ret",
        ' ' => "spc",
        '-' => "minus",
        '.' => "dot",
        '/' => "slash",
        '?' => "shift-slash",
        '<' => "shift-comma",
        '@' => "shift-2",
        other => bail!("no key is known for {other:?}"),
    };
    Ok(name.to_owned())
}

/// The serial line; what the guest says stands in its log. QEMU holds back what nobody reads: somebody is connected before
/// anything is said, and reads.
pub struct Line {
    stream: UnixStream,
    from: usize,
}

impl Line {
    /// From here on.
    pub fn open(node: &Node) -> Result<Self> {
        let from = std::fs::read(node.serial_log()).context("reading the serial log")?.len();
        let stream = node.serial_line()?;
        let mut drain = stream.try_clone().context("reading the serial line")?;
        std::thread::spawn(move || std::io::copy(&mut drain, &mut std::io::sink()));
        Ok(Self { stream, from })
    }

    /// What was said so far is no answer to what comes.
    pub fn forget(&mut self, node: &Node) -> Result<()> {
        self.from = std::fs::read(node.serial_log()).context("reading the serial log")?.len();
        Ok(())
    }

    /// Types keys.
    pub fn keys(&mut self, keys: &str) -> Result<()> {
        self.stream.write_all(keys.as_bytes()).context("typing into the serial line")
    }
}

impl Terminal for Line {
    fn line(&mut self, node: &mut Node, text: &str) -> Result<()> {
        self.forget(node)?;
        // A line has no buffer to speak of.
        for key in text.chars().chain(['\r']) {
            self.keys(&key.to_string())?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn shown(&mut self, node: &mut Node) -> Result<String> {
        let log = std::fs::read(node.serial_log()).context("reading the serial log")?;
        Ok(String::from_utf8_lossy(log.get(self.from..).unwrap_or_default()).into_owned())
    }
}

/// A login of root's over SSH with the wizard in it. Dropped, the client is killed.
pub struct Remote {
    child: Child,
    input: ChildStdin,
    output: Arc<Mutex<Vec<u8>>>,
    from: usize,
}

impl Remote {
    /// Starts it.
    pub fn open(node: &Node, root: &KeyPair) -> Result<Self> {
        let remote = format!("{BINARY_PATH} wizard");
        let mut ssh = node.ssh_command(Side::Management, "root", &["-tt"], Some(root), &remote)?;
        ssh.env("TERM", "xterm").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = ssh.spawn().context("running ssh")?;
        let input = child.stdin.take().context("no standard input of ssh")?;
        let mut pipe: File =
            std::os::fd::OwnedFd::from(child.stdout.take().context("no output of ssh")?).into();
        let output = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&output);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = pipe.read(&mut bytes) {
                if let (Ok(mut kept), Some(bytes)) = (kept.lock(), bytes.get(..read)) {
                    kept.extend_from_slice(bytes);
                }
            }
        });
        Ok(Self { child, input, output, from: 0 })
    }

    fn bytes(&self) -> Vec<u8> {
        self.output.lock().map(|bytes| bytes.clone()).unwrap_or_default()
    }
}

impl Terminal for Remote {
    fn line(&mut self, _node: &mut Node, text: &str) -> Result<()> {
        self.from = self.bytes().len();
        self.input.write_all(format!("{text}\r").as_bytes()).context("typing over SSH")
    }

    fn shown(&mut self, _node: &mut Node) -> Result<String> {
        Ok(String::from_utf8_lossy(self.bytes().get(self.from..).unwrap_or_default()).into_owned())
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // The client alone: its end is what the node hears of.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
