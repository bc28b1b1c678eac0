//! The process: its start, which may come late or fail, and its end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fuser::{Config, MountOption, SessionACL};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::context::Context;
use crate::failure::Failure;
use crate::journal::{self, Priority};
use crate::pmxcfs::cluster::{Cluster, Switches};
use crate::pmxcfs::database::Database;
use crate::pmxcfs::mount::{Mounted, now};
use crate::pmxcfs::state::State;
use crate::pmxcfs::{DATABASE, MOUNT};

/// Names the process.
const PID_FILE: &str = "/run/pve-cluster.pid";
/// Held while it runs.
const LOCK: &str = "/var/lib/pve-cluster/.pmxcfs.lockfile";
/// How often a start tries to get the lock.
const TRIES: u32 = 10;
/// How long the process goes on, and holds its lock, when the mount is gone (transcript 11).
const TEARDOWN: Duration = Duration::from_secs(2);
/// Corosync's own copy of its configuration.
const COROSYNC: &str = "/etc/corosync/corosync.conf";
/// How a start in the background tells its child to say when it is ready.
const READY: &str = "--ready";

/// What was asked for.
struct Asked {
    foreground: bool,
    local: bool,
    ready: bool,
}

/// `pmxcfs [-f] [-l]`: goes into the background when the mount is live.
pub fn run(context: &Context, arguments: &[String]) -> Result<(), Failure> {
    let mut asked = Asked { foreground: false, local: false, ready: false };
    for word in arguments {
        match word.as_str() {
            "-f" | "--foreground" => asked.foreground = true,
            "-l" | "--local" => asked.local = true,
            "-d" | "--debug" => {}
            READY => asked.ready = true,
            other => return Err(failed(context, &format!("option parsing failed: Unknown option {other}"))),
        }
    }
    if asked.foreground || asked.ready { serve(context, &asked) } else { start(arguments) }
}

/// Starts the process that stays, and waits until it is ready or has failed.
fn start(arguments: &[String]) -> Result<(), Failure> {
    let called = std::env::args().next().unwrap_or_default();
    let mut child = if called.ends_with("pmxcfs") {
        Command::new(&called)
    } else {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("pmxcfs");
        command
    };
    let died = |error: io::Error| Failure::die(format!("[main] crit: failed to daemonize program - {error}"));
    let mut child = child
        .args(arguments)
        .arg(READY)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(died)?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line).map_err(died)?;
    }
    if line == "1\n" {
        return Ok(());
    }
    let status = child.wait().map_err(died)?.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255);
    Err(Failure::silent(status))
}

fn serve(context: &Context, asked: &Asked) -> Result<(), Failure> {
    let switches = Switches::below(context.root());
    std::thread::sleep(Duration::from_secs(switches.delay()));
    let address = address(context).ok_or_else(|| {
        failed(
            context,
            &format!(
                "Unable to resolve node name '{}' to a non-loopback IP address - missing entry in '/etc/hosts' or DNS?",
                context.node()
            ),
        )
    })?;
    say(
        context,
        Priority::Notice,
        &format!("resolved node name '{}' to '{address}' for default node IP address", context.node()),
    );
    let outcome = serve_resolved(context, asked, switches);
    if outcome.is_err() {
        say(context, Priority::Notice, "exit proxmox configuration filesystem (-1)");
    }
    outcome.map_err(|_| Failure::silent(255))
}

fn serve_resolved(context: &Context, asked: &Asked, switches: Switches) -> Result<(), ()> {
    let critical = |text: String| say(context, Priority::Critical, &text);
    let directory = context.path(DATABASE);
    let _lock = lock(context, &directory).map_err(|error| {
        critical(format!("unable to acquire pmxcfs lock: {}", text(error)));
    })?;
    let database = Database::open(&directory).map_err(|error| {
        critical(format!("memdb_open failed - unable to open database '{}': {error}", directory.display()));
    })?;
    let state = State::new(database, context.node(), switches, asked.local, now());
    if asked.local && state.tree().find("corosync.conf").is_some() {
        say(context, Priority::Notice, "forcing local mode (although corosync.conf exists)");
    }
    if !asked.local {
        copy_configuration(context, &state);
    }
    let state = Arc::new(Mutex::new(state));
    // Blocked before any thread begins: all of them leave these signals to the one that waits.
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block().map_err(|error| critical(format!("blocking signals: {}", error.desc())))?;
    let mount = context.path(MOUNT);
    let session =
        attach(&state, &mount, context).map_err(|error| critical(format!("fuse_mount error: {error}")))?;
    let _ = fs::write(context.path(PID_FILE), format!("{}\n", std::process::id()));
    if asked.ready {
        let _ = into_background();
    }
    // Somebody may take the mount away: the process ends then, too.
    std::thread::spawn(move || {
        let _ = session.join();
        let _ = kill(Pid::this(), Signal::SIGTERM);
    });
    let _ = signals.wait();
    say(context, Priority::Notice, "teardown filesystem");
    // Nothing is answered any more from here on.
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = umount2(&mount, MntFlags::MNT_DETACH);
    if let Err(error) = state.close() {
        critical(format!("closing the database: {error}"));
    }
    std::thread::sleep(TEARDOWN);
    let _ = fs::remove_file(context.path(PID_FILE));
    say(context, Priority::Notice, "exit proxmox configuration filesystem (0)");
    // The session would wait for a file system whose last user may never go.
    std::process::exit(0)
}

/// Gives corosync the cluster's configuration, as the start of a cluster member does.
fn copy_configuration(context: &Context, state: &State) {
    let Some(bytes) = state.configuration_file() else { return };
    let path = context.path(COROSYNC);
    if fs::read(&path).is_ok_and(|own| own == bytes) {
        return;
    }
    match fs::write(&path, bytes) {
        Ok(()) => {
            let version = Cluster::parse(&String::from_utf8_lossy(bytes)).version;
            let line = format!("[dcdb] notice: wrote new corosync config '{COROSYNC}' (version = {version})");
            context.warn(&line);
            journal::write(context, "pmxcfs", Priority::Notice, &line);
        }
        Err(error) => {
            let text = error.to_string();
            let reason = text.split(" (os error").next().unwrap_or_default();
            say(context, Priority::Critical, &format!("Failed to create file '{COROSYNC}.XXXXXX': {reason}"));
        }
    }
}

/// The lock of the running process: a second one gives up after ten seconds.
fn lock(context: &Context, directory: &Path) -> Result<Flock<File>, Errno> {
    fs::create_dir_all(directory).map_err(|_| Errno::EIO)?;
    let path = context.path(LOCK);
    let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    for attempt in 0.. {
        let file = open().map_err(|_| Errno::EIO)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((_, error)) if attempt == TRIES => return Err(error),
            Err(_) => {
                if attempt == 0 {
                    say(context, Priority::Notice, "unable to acquire pmxcfs lock - trying again");
                }
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
    Err(Errno::EAGAIN)
}

/// Mounts, over nothing but an empty directory: libfuse 2 refuses everything else.
fn attach(
    state: &Arc<Mutex<State>>,
    mount: &Path,
    context: &Context,
) -> Result<fuser::BackgroundSession, String> {
    // What a killed process left.
    let _ = umount2(mount, MntFlags::MNT_FORCE);
    let _ = fs::create_dir_all(mount);
    let mut entries = fs::read_dir(mount);
    if entries.as_ref().is_err_and(|error| error.raw_os_error() == Some(Errno::ENOTCONN as i32)) {
        let _ = umount2(mount, MntFlags::MNT_DETACH);
        entries = fs::read_dir(mount);
    }
    if entries.map_err(|error| error.to_string())?.next().is_some() {
        context.warn("fuse: mountpoint is not empty");
        context.warn("fuse: if you are sure this is safe, use the 'nonempty' mount option");
        return Err("File exists".to_owned());
    }
    let group =
        nix::unistd::Group::from_name("www-data").ok().flatten().map_or(33, |group| group.gid.as_raw());
    let mut config = Config::default();
    config.mount_options = vec![MountOption::DefaultPermissions];
    config.acl = SessionACL::All;
    fuser::spawn_mount(Mounted::new(Arc::clone(state), group), mount, &config)
        .map_err(|error| error.to_string())
}

/// Says that the mount is live and lets go of whoever started us.
fn into_background() -> io::Result<()> {
    let mut output = io::stdout();
    output.write_all(b"1\n")?;
    output.flush()?;
    nix::unistd::setsid()?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    Ok(())
}

/// The address of this node in `/etc/hosts`, other than a loopback one.
fn address(context: &Context) -> Option<String> {
    let hosts = fs::read_to_string(context.path("/etc/hosts")).ok()?;
    hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .find(|line| {
            line.split_whitespace().skip(1).any(|name| name == context.node())
                && !line.trim_start().starts_with("127.")
                && line.split_whitespace().next() != Some("::1")
        })
        .and_then(|line| line.split_whitespace().next())
        .map(str::to_owned)
}

/// What `strerror` says.
fn text(error: Errno) -> String {
    let text = io::Error::from(error).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// A line on stderr and in the journal, as libqb's log has them.
fn say(context: &Context, priority: Priority, text: &str) {
    let word = match priority {
        Priority::Critical => "crit",
        Priority::Error => "error",
        Priority::Warning => "warning",
        Priority::Notice => "notice",
        Priority::Information => "info",
    };
    let line = format!("[main] {word}: {text}");
    context.warn(&line);
    journal::write(context, "pmxcfs", priority, &line);
}

fn failed(context: &Context, text: &str) -> Failure {
    say(context, Priority::Critical, text);
    Failure::silent(255)
}
