//! The daemon: a round every ten seconds, and everything taken away when it ends (contract 3.7, transcript 35).

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid, setsid};

use super::files::Audience;
use super::{kernel, log, update};
use crate::context::Context;
use crate::failure::Failure;

/// The argument that makes a process the daemon itself.
pub const FOREGROUND: &str = "--stand-in-daemon";

/// From the beginning of a round to that of the next.
const ROUND: Duration = Duration::from_secs(10);

/// Seconds the daemon gets to end by itself.
const PATIENCE: u32 = 5;

fn pid_file(context: &Context) -> PathBuf {
    context.path("/run/pve-firewall.pid")
}

fn daemon(context: &Context) -> Option<Pid> {
    let pid: i32 = fs::read_to_string(pid_file(context)).ok()?.trim().parse().ok()?;
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    String::from_utf8_lossy(&line).contains("pve-firewall").then(|| Pid::from_raw(pid))
}

/// Whether the daemon is there.
pub fn is_running(context: &Context) -> bool {
    daemon(context).is_some()
}

/// Whether systemd called: otherwise a command asks systemd to do it, as the real tool does.
fn called_by_systemd() -> bool {
    getppid().as_raw() == 1
}

fn ask_systemd(context: &Context, verb: &str) -> Result<(), Failure> {
    let failed = |reason: &str| {
        Err(Failure::new(1, format!("command 'systemctl {verb} pve-firewall' failed: {reason}")))
    };
    // A directory of a replay has no systemd, and must not reach the machine's.
    if !context.is_the_machine() {
        context.warn("System has not been booted with systemd as init system (PID 1). Can't operate.");
        context.warn("Failed to connect to system scope bus via local transport: Host is down");
        return failed("exit code 1");
    }
    let status = Command::new("systemctl").args([verb, "pve-firewall"]).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => failed(&format!("exit code {}", status.code().unwrap_or(255))),
        Err(error) => failed(&error.to_string()),
    }
}

/// `start`: leaves the daemon behind and returns when its pid file is there.
pub fn start(context: &Context) -> Result<(), Failure> {
    if !called_by_systemd() || !context.is_the_machine() {
        return ask_systemd(context, "start");
    }
    if is_running(context) {
        return Err(Failure::die("daemon already running"));
    }
    let program = std::env::current_exe().map_err(|error| Failure::die(error.to_string()))?;
    let started = Command::new(program)
        .arg0("pve-firewall")
        .args(["start", FOREGROUND])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let child = started.map_err(|error| Failure::die(error.to_string()))?;
    for _ in 0..100 {
        if daemon(context).is_some_and(|pid| u32::try_from(pid.as_raw()) == Ok(child.id())) {
            return Ok(());
        }
        sleep(Duration::from_millis(50));
    }
    Err(Failure::die("start failed: the daemon did not come up"))
}

/// `stop`: ends the daemon, which takes the rules away.
pub fn stop(context: &Context) -> Result<(), Failure> {
    if !called_by_systemd() || !context.is_the_machine() {
        return ask_systemd(context, "stop");
    }
    let Some(pid) = daemon(context) else { return Ok(()) };
    let _ = kill(pid, Signal::SIGTERM);
    for _ in 0..PATIENCE * 10 {
        if !is_running(context) {
            return Ok(());
        }
        sleep(Duration::from_millis(100));
    }
    let _ = kill(pid, Signal::SIGKILL);
    let _ = fs::remove_file(pid_file(context));
    Ok(())
}

/// `restart`: the rules stay while the daemon begins anew.
pub fn restart(context: &Context) -> Result<(), Failure> {
    if !called_by_systemd() || !context.is_the_machine() {
        return ask_systemd(context, "reload-or-restart");
    }
    match daemon(context) {
        Some(pid) => kill(pid, Signal::SIGHUP).map_err(|error| Failure::die(error.to_string())),
        None => start(context),
    }
}

/// The daemon itself.
pub fn run(context: &Context) -> Result<(), Failure> {
    let _ = setsid();
    let (ended, again) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    for (signal, flag) in [
        (signal_hook::consts::SIGTERM, &ended),
        (signal_hook::consts::SIGINT, &ended),
        (signal_hook::consts::SIGHUP, &again),
    ] {
        signal_hook::flag::register(signal, Arc::clone(flag))
            .map_err(|error| Failure::die(error.to_string()))?;
    }
    // On a node systemd has loaded it at boot.
    let _ = Command::new("modprobe").args(["-q", "br_netfilter"]).status();
    let pid = std::process::id();
    fs::write(pid_file(context), format!("{pid}\n")).map_err(|error| Failure::die(error.to_string()))?;
    log::info(context, "starting server");
    let is_ended = || ended.load(Ordering::Relaxed);
    while !is_ended() {
        let next = Instant::now() + ROUND;
        if let Err(failure) = update::update(context, Audience::Daemon) {
            log::error(context, &format!("status update error: {}", failure.message()));
        }
        while Instant::now() < next && !is_ended() && !again.swap(false, Ordering::Relaxed) {
            sleep(Duration::from_millis(100));
        }
    }
    for text in ["received signal TERM", "server shutting down", "clear PVE-generated firewall rules"] {
        log::info(context, text);
    }
    let cleared = kernel::clear(context);
    let _ = fs::remove_file(pid_file(context));
    log::info(context, "server stopped");
    cleared.map_err(Failure::die)
}
