//! Commands with a clean environment, a process group of their own and a hard limit of time.
//!
//! What a child writes goes into files in memory, not into pipes: no thread reads along, and a daemon that a
//! maintainer script has started and that keeps the child's output open cannot keep us waiting.

use super::child::with_open_mask;
use crate::error::{Error, Result};
use crate::node::{Invocation, Output, RUN_VARIABLE};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::fs::{MemfdFlags, SealFlags};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long a killed child may take to die: one in uninterruptible sleep never does.
const DYING: Duration = Duration::from_secs(5);

/// Runs a command to its end, or to its limit.
pub(super) fn run(invocation: &Invocation) -> Result<Output> {
    match finish(invocation) {
        Ok(Some(output)) => Ok(output),
        Ok(None) => {
            let because = format!("not done after {} ms, stopped", invocation.limit.as_millis());
            Err(Error::new(format!("running {}", invocation.line()), because))
        }
        Err(error) => Err(Error::new(format!("running {}", invocation.line()), error)),
    }
}

/// `None` when the time was up.
fn finish(invocation: &Invocation) -> io::Result<Option<Output>> {
    let stdout = memory()?;
    let stderr = memory()?;
    let handle = start(invocation, stdout.try_clone()?, stderr.try_clone()?)?;
    let ended = wait(&handle, invocation.limit)?;
    if ended.is_none() {
        for pid in handle.pids() {
            let group = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
            // It may have ended by itself a moment ago.
            let _ = killpg(group, Signal::SIGKILL);
        }
        wait(&handle, DYING)?;
        return Ok(None);
    }
    let status = ended.map(status).unwrap_or_default();
    Ok(Some(Output { status, stdout: text(&stdout)?, stderr: text(&stderr)? }))
}

/// Asks a process to stop, or kills it.
pub(super) fn stop(process: u32, kill: bool) -> Result<()> {
    let signal = if kill { Signal::SIGKILL } else { Signal::SIGTERM };
    let stopped = match i32::try_from(process) {
        // 0 and 1 are no processes that anybody may stop.
        Ok(process) if process > 1 => nix::sys::signal::kill(Pid::from_raw(process), signal),
        _ => Err(nix::errno::Errno::EINVAL),
    };
    match stopped {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
        // In the words of std: nix brings a table of its own for them, 12 KB.
        Err(errno) => Err(Error::new(format!("stopping process {process}"), io::Error::from(errno))),
    }
}

fn start(invocation: &Invocation, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<duct::Handle> {
    let mut arguments = invocation.arguments.iter();
    let program = arguments.next().ok_or_else(|| io::Error::other("no program"))?;
    let mut environment: Vec<(String, String)> = [("PATH", PATH), ("LC_ALL", "C.UTF-8"), ("HOME", "/root")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    // Tells a dead run's children from everybody else's.
    environment.push((RUN_VARIABLE.to_owned(), std::process::id().to_string()));
    environment.extend_from_slice(&invocation.environment);
    let expression = duct::cmd(program, arguments)
        .full_env(environment)
        .dir("/")
        .unchecked()
        .stdout_file(stdout)
        .stderr_file(stderr)
        .before_spawn(|command| {
            // So that the limit reaches grandchildren, and Ctrl-C on the terminal reaches us alone.
            command.process_group(0);
            with_open_mask(command);
            Ok(())
        });
    match &invocation.input {
        None => expression.stdin_null().start(),
        Some(input) => {
            let file = memory()?;
            let mut file = std::fs::File::from(file);
            io::Write::write_all(&mut file, input)?;
            io::Seek::rewind(&mut file)?;
            expression.stdin_file(file).start()
        }
    }
}

/// duct's own waiting with a limit costs 16 KiB of the binary.
fn wait(handle: &duct::Handle, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let begin = Instant::now();
    let end = handle.pids().first().and_then(|&pid| end_of(pid));
    loop {
        if let Some(output) = handle.try_wait()? {
            return Ok(Some(output.status));
        }
        let left = limit.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        pause(end.as_ref(), left);
    }
}

/// What becomes readable when a child has ended. It is ours and nobody has waited for it: its number is its own.
fn end_of(pid: u32) -> Option<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)?;
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

/// Until the child may have ended: at once when it does, or every now and then where nobody tells.
fn pause(end: Option<&OwnedFd>, left: Duration) {
    let told = end.and_then(|end| {
        let limit = rustix::event::Timespec {
            tv_sec: i64::try_from(left.as_secs()).ok()?,
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut ends = [rustix::event::PollFd::new(end, rustix::event::PollFlags::IN)];
        // A signal ends it early: the caller looks again.
        match rustix::event::poll(&mut ends, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Some(()),
            Err(_) => None,
        }
    });
    if told.is_none() {
        std::thread::sleep(left.min(Duration::from_millis(20)));
    }
}

fn status(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// An empty file in memory that no program can be started from.
fn memory() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match rustix::fs::memfd_create(c"firstlight", flags | MemfdFlags::NOEXEC_SEAL) {
        // Before Linux 6.3 (Debian 12 has 6.1).
        Err(rustix::io::Errno::INVAL) => Ok(rustix::fs::memfd_create(c"firstlight", flags)?),
        other => Ok(other?),
    }
}

/// What was written until now. A daemon that holds the file cannot make it grow any more.
fn text(file: &OwnedFd) -> io::Result<String> {
    rustix::fs::fcntl_add_seals(file, SealFlags::GROW)?;
    let size = usize::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or_default();
    let mut bytes = vec![0; size];
    // By position: the offset is the child's.
    std::os::unix::fs::FileExt::read_exact_at(&std::fs::File::from(file.try_clone()?), &mut bytes, 0)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
