//! The one seam to the node: its files below a root directory, its commands, its clock.
//!
//! Everything the product reads from a node or does to it goes through [`Node`], call by call, so that the
//! whole engine runs unchanged against a temporary directory, and every call can be made to fail in a test.
//! Paths are absolute *on the node*. A write never follows a link: neither in the last component nor in a
//! parent directory. Reads follow links, but never out of the root.

mod machine;
#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
pub mod scripted;

use crate::error::Result;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use machine::Machine;
pub use machine::signals::mask as stop_signals;

/// What is at a path; links are not followed.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, set-id and sticky included: `0o7777`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Bytes, for a regular file.
    pub size: u64,
    /// Modification time: seconds since 1970 and nanoseconds.
    pub modified: (i64, u32),
    /// Device and inode: two names of one file share it.
    pub identity: (u64, u64),
    /// Number of names of the file.
    pub links: u64,
}

/// Types of directory entries.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, socket or pipe: seen, never touched.
    Other,
}

/// An entry of a directory, seen with all the others.
pub struct Sighting {
    /// Its name in the directory.
    pub name: OsString,
    /// What it is.
    pub metadata: Metadata,
    /// Change time, as the kernel sets it at every change of content or metadata: seconds since 1970 and
    /// nanoseconds. `None` where nobody can tell.
    pub changed: Option<(i64, u32)>,
}

/// A command to run. The environment is always clean: `PATH`, `LC_ALL=C.UTF-8`, `HOME=/root`,
/// [`RUN_VARIABLE`], and `environment`.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct Invocation {
    /// Absolute program and arguments; a secret only by [`hide`](Self::hide).
    pub arguments: Vec<String>,
    /// What the child reads; the place for secrets. `None` is an empty input.
    pub input: Option<Vec<u8>>,
    /// More variables; never a secret.
    pub environment: Vec<(String, String)>,
    /// After this the child and its group are killed, and the call fails.
    pub limit: Duration,
    /// Arguments that no report may show: where a tool takes a secret in no other way.
    pub hidden: Vec<String>,
}

impl Invocation {
    /// `program` with `arguments`, empty input and a limit of one minute.
    pub fn new(program: &str, arguments: &[&str]) -> Self {
        let arguments =
            std::iter::once(program).chain(arguments.iter().copied()).map(str::to_owned).collect();
        Self {
            arguments,
            input: None,
            environment: Vec::new(),
            limit: Duration::from_secs(60),
            hidden: Vec::new(),
        }
    }

    /// The same with another time limit.
    #[must_use]
    pub fn limit(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// The same with something to read on standard input.
    #[must_use]
    pub fn input(mut self, input: Vec<u8>) -> Self {
        self.input = Some(input);
        self
    }

    /// The same with one more variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with one more argument that no report shows. For the few tools of PVE that take a secret nowhere
    /// else: other processes of the node can read it as long as the tool runs.
    #[must_use]
    pub fn hide(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self.hidden.push(argument.to_owned());
        self
    }

    /// As a person would type it, for reports and errors.
    pub fn line(&self) -> String {
        let shown = |word: &String| if self.hidden.contains(word) { "…".to_owned() } else { word.clone() };
        self.arguments.iter().map(shown).collect::<Vec<_>>().join(" ")
    }

    /// What the tool complained of, without what is hidden.
    pub fn complaint(&self, output: &Output) -> String {
        self.hidden.iter().fold(output.complaint(), |text, secret| text.replace(secret.as_str(), "…"))
    }
}

/// What a command left behind.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct Output {
    /// Exit status; 128 + signal for a child that was killed.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Whether the exit status was 0.
    pub fn success(&self) -> bool {
        self.status == 0
    }

    /// The last lines a person needs to see: standard error, else standard output.
    pub fn complaint(&self) -> String {
        let text = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let start = lines.len().saturating_sub(12);
        let tail = lines.get(start..).unwrap_or_default().join("\n");
        if tail.is_empty() { format!("exit status {}", self.status) } else { tail }
    }
}

/// In the environment of every child: the process that runs it.
pub const RUN_VARIABLE: &str = "FIRSTLIGHT_RUN";

/// Held until dropped; one per node.
pub trait Lock {}

/// The node. Every method is one step that can fail or be the last one before a power cut.
pub trait Node {
    /// What is at `path`, links not followed; `None` when there is nothing.
    fn lookup(&self, path: &Path) -> Result<Option<Metadata>>;
    /// The whole content; links are followed inside the root.
    fn read(&self, path: &Path) -> Result<Vec<u8>>;
    /// The whole content of the very file that [`lookup`](Self::lookup) saw: what has taken its place since is an
    /// error, and so is a link anywhere on the way. For whatever an unprivileged user can swap under our eyes.
    fn read_seen(&self, path: &Path, seen: &Metadata) -> Result<Vec<u8>>;
    /// The same in pieces, for a file that may be larger than the memory.
    fn read_pieces(&self, path: &Path, seen: &Metadata, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        take(&self.read_seen(path, seen)?);
        Ok(())
    }
    /// Target of a symbolic link.
    fn read_link(&self, path: &Path) -> Result<PathBuf>;
    /// Names in a directory, sorted, without `.` and `..`.
    fn list(&self, directory: &Path) -> Result<Vec<OsString>>;
    /// What is in a directory, sorted by name: `list` and `lookup` in one, for whoever looks at everything.
    fn scan(&self, directory: &Path) -> Result<Vec<Sighting>> {
        let mut found = Vec::new();
        for name in self.list(directory)? {
            if let Some(metadata) = self.lookup(&directory.join(&name))? {
                found.push(Sighting { name, metadata, changed: None });
            }
        }
        Ok(found)
    }
    /// Extended attributes with POSIX ACLs among them, sorted by name; empty where the file system has none.
    fn attributes(&self, path: &Path) -> Result<Vec<(String, Vec<u8>)>>;
    /// What keeps even root from changing `path`: the path itself or its directory, where one is immutable or
    /// append-only (`chattr +i`, `+a`).
    fn immutable(&self, path: &Path) -> Result<Option<PathBuf>>;

    /// Makes a new file with this content and mode (whatever the umask); fails if there is something. Not yet durable.
    fn create(&self, path: &Path, content: &[u8], mode: u32) -> Result<()>;
    /// The same for an owner: theirs before there is a content, and never anything that took its place meanwhile.
    fn create_for(&self, path: &Path, content: &[u8], mode: u32, owner: (u32, u32)) -> Result<()>;
    /// Adds to the end of an existing file. Not yet durable.
    fn append(&self, path: &Path, content: &[u8]) -> Result<()>;
    /// Cuts a file to `size` bytes. Not yet durable.
    fn truncate(&self, path: &Path, size: u64) -> Result<()>;
    /// Renames within a file system, replacing a file at `to`. Not yet durable.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Removes a file or link.
    fn remove_file(&self, path: &Path) -> Result<()>;
    /// Makes a directory with this mode (whatever the umask).
    fn make_directory(&self, path: &Path, mode: u32) -> Result<()>;
    /// Makes a directory of this mode and owner, or gives them to the one that is there, and to nothing else.
    fn make_directory_for(&self, path: &Path, mode: u32, owner: (u32, u32)) -> Result<()>;
    /// Removes an empty directory.
    fn remove_directory(&self, path: &Path) -> Result<()>;
    /// Makes a symbolic link at `path`.
    fn make_link(&self, path: &Path, target: &Path) -> Result<()>;
    /// Makes `path` another name of the file `existing`.
    fn make_name(&self, path: &Path, existing: &Path) -> Result<()>;
    /// Changes owner and group; links not followed.
    fn set_owner(&self, path: &Path, uid: u32, gid: u32) -> Result<()>;
    /// Changes the permission bits.
    fn set_mode(&self, path: &Path, mode: u32) -> Result<()>;
    /// Sets one extended attribute, or removes it with `None`; links not followed.
    fn set_attribute(&self, path: &Path, name: &str, value: Option<&[u8]>) -> Result<()>;
    /// Sets the modification time; links not followed.
    fn set_modified(&self, path: &Path, modified: (i64, u32)) -> Result<()>;
    /// Sets both times to 1970. To pmxcfs this asks for a lock directory whose holder is dead; with one time alone the
    /// request never reaches it (libfuse 2 drops it, `fuse_lib_setattr`).
    fn set_times_to_zero(&self, path: &Path) -> Result<()>;

    /// Makes a file's content durable.
    fn sync_file(&self, path: &Path) -> Result<()>;
    /// Makes a directory's entries durable.
    fn sync_directory(&self, path: &Path) -> Result<()>;
    /// Makes everything on the file system of `path` durable: cheaper than a thousand `sync_file`.
    fn sync_all(&self, path: &Path) -> Result<()>;

    /// Runs a command to its end. A non-zero status is an `Output`; `Err` means it could not be run or its
    /// time was up.
    fn run(&self, invocation: &Invocation) -> Result<Output>;
    /// So many random bytes from the kernel's own source, or an error: there is no other source.
    fn random(&self, length: usize) -> Result<Vec<u8>>;
    /// Wall clock: seconds since 1970 and milliseconds, as one number of milliseconds.
    fn now(&self) -> u64;
    /// Time since the boot, suspended time included, in milliseconds (`CLOCK_BOOTTIME`): nobody can set it.
    fn boottime(&self) -> u64;
    /// Asks a process to stop (SIGTERM), or kills it. One that is gone already is no error.
    fn stop_process(&self, process: u32, kill: bool) -> Result<()>;
    /// Waits.
    fn sleep(&self, duration: Duration);
    /// Whether somebody asked this process to stop since it took the lock. It then stops between two steps.
    fn interrupted(&self) -> bool {
        false
    }
    /// Takes the exclusive lock file at `path`, or says `None` if somebody else holds it.
    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>>;
}

/// Whether one of its components is `..`, which a node does not take.
pub fn goes_upwards(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().split(|byte| *byte == b'/').any(|part| part == b"..")
}

/// Shorthand used everywhere: does anything stand at `path`?
pub fn exists(node: &dyn Node, path: &Path) -> Result<bool> {
    Ok(node.lookup(path)?.is_some())
}

/// The content as text, or `None` when there is no such file.
pub fn read_text(node: &dyn Node, path: &Path) -> Result<Option<String>> {
    if node.lookup(path)?.is_none() {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&node.read(path)?).into_owned()))
}

/// Runs a command and turns a non-zero status into an error that carries its complaint.
pub fn run_checked(node: &dyn Node, invocation: &Invocation) -> Result<Output> {
    checked(invocation, node.run(invocation)?)
}

/// What a tool said, if it says success.
pub fn checked(invocation: &Invocation, output: Output) -> Result<Output> {
    if output.success() {
        return Ok(output);
    }
    Err(crate::error::Error::new(format!("running {}", invocation.line()), invocation.complaint(&output)))
}

/// The kernel's boot id; empty where there is none.
pub fn boot_id(node: &dyn Node) -> String {
    read_text(node, Path::new("/proc/sys/kernel/random/boot_id"))
        .ok()
        .flatten()
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}
