//! The real node in a temporary directory: links, times, commands, locks.

use crate::node::{Invocation, Kind, Machine, Node, Output};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

fn node() -> (tempfile::TempDir, Machine) {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::open(directory.path()).unwrap();
    (directory, machine)
}

fn path(text: &str) -> &Path {
    Path::new(text)
}

fn real(program: &str, arguments: &[&str]) -> Invocation {
    Invocation::new(program, arguments).limit(20)
}

fn run(invocation: &Invocation) -> Output {
    Machine::open(path("/")).unwrap().run(invocation).unwrap()
}

#[test]
fn a_file_is_made_with_exactly_its_mode_and_never_over_another() {
    let (directory, machine) = node();
    for mode in [0o600, 0o666, 0o4755, 0o000] {
        let name = format!("/{mode:o}");
        machine.create(path(&name), b"text", mode).unwrap();
        assert_eq!(machine.lookup(path(&name)).unwrap().unwrap().mode, mode);
    }
    assert!(machine.create(path("/666"), b"other", 0o600).is_err());
    assert_eq!(std::fs::read(directory.path().join("666")).unwrap(), b"text");
    machine.make_directory(path("/d"), 0o1777).unwrap();
    assert_eq!(machine.lookup(path("/d")).unwrap().unwrap().mode, 0o1777);
}

#[test]
fn reads_follow_links_but_stay_inside_the_root() {
    let (directory, machine) = node();
    machine.create(path("/inside"), b"inside", 0o600).unwrap();
    symlink("/inside", directory.path().join("absolute")).unwrap();
    symlink("../../../../inside", directory.path().join("upwards")).unwrap();
    symlink("/etc/passwd", directory.path().join("outside")).unwrap();
    assert_eq!(machine.read(path("/absolute")).unwrap(), b"inside");
    assert_eq!(machine.read(path("/upwards")).unwrap(), b"inside");
    assert!(machine.read(path("/outside")).is_err());
    assert!(machine.read(path("/../etc/passwd")).is_err());
    assert!(machine.read(path("inside")).is_err());
    assert_eq!(machine.lookup(path("/outside")).unwrap().unwrap().kind, Kind::Link);
    assert_eq!(machine.read_link(path("/outside")).unwrap(), path("/etc/passwd"));
}

#[test]
fn a_large_file_and_an_empty_one_are_read_whole() {
    let (_directory, machine) = node();
    let large: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    machine.create(path("/large"), &large, 0o600).unwrap();
    machine.create(path("/empty"), b"", 0o600).unwrap();
    assert!(machine.read(path("/large")).unwrap() == large);
    assert_eq!(machine.read(path("/empty")).unwrap(), b"");
    // Files of the kernel say 0 bytes and have some.
    assert!(!Machine::open(path("/")).unwrap().read(path("/proc/self/status")).unwrap().is_empty());
}

#[test]
fn writes_never_follow_a_link_in_a_parent() {
    let (directory, machine) = node();
    machine.make_directory(path("/real"), 0o755).unwrap();
    machine.create(path("/real/file"), b"old", 0o600).unwrap();
    symlink("real", directory.path().join("link")).unwrap();
    let file = path("/link/file");
    let new = path("/link/new");
    let errors = [
        machine.create(new, b"", 0o600),
        machine.append(file, b"more"),
        machine.truncate(file, 0),
        machine.rename(file, path("/moved")),
        machine.rename(path("/real/file"), new),
        machine.remove_file(file),
        machine.make_directory(new, 0o700),
        machine.make_link(new, path("x")),
        machine.make_name(new, path("/real/file")),
        machine.make_name(path("/moved"), file),
        machine.set_owner(file, 0, 0),
        machine.set_mode(file, 0o777),
        machine.set_attribute(file, "user.x", Some(b"y")),
        machine.set_modified(file, (1, 0)),
        machine.sync_file(file),
        machine.sync_directory(path("/link")),
        machine.lock(path("/link/lock")).map(|_| ()),
    ];
    for (index, error) in errors.into_iter().enumerate() {
        let text = error.unwrap_err().to_string();
        assert!(text.contains("/link is a symbolic link; firstlight does not write"), "{index}: {text}");
    }
    assert_eq!(machine.list(path("/real")).unwrap(), ["file"]);
    assert_eq!(machine.read(path("/real/file")).unwrap(), b"old");
}

#[test]
fn writes_never_follow_a_link_as_the_last_component() {
    let (directory, machine) = node();
    machine.create(path("/file"), b"old", 0o600).unwrap();
    machine.set_modified(path("/file"), (1_000_000_000, 5)).unwrap();
    let before = machine.lookup(path("/file")).unwrap();
    symlink("file", directory.path().join("link")).unwrap();
    let link = path("/link");
    assert!(machine.create(link, b"new", 0o644).is_err());
    for refused in [machine.append(link, b"x"), machine.truncate(link, 0), machine.set_mode(link, 0o777)] {
        assert!(refused.unwrap_err().to_string().contains("/link is a symbolic link"));
    }
    machine.set_modified(link, (5, 6)).unwrap();
    assert_eq!(machine.lookup(link).unwrap().unwrap().modified, (5, 6));
    assert!(machine.lookup(path("/file")).unwrap() == before);
    machine.create(path("/new"), b"new", 0o600).unwrap();
    machine.rename(path("/new"), link).unwrap();
    assert_eq!(machine.lookup(link).unwrap().unwrap().kind, Kind::File);
    assert_eq!(machine.read(path("/file")).unwrap(), b"old");
}

#[test]
fn pipes_are_seen_and_never_opened() {
    let (directory, machine) = node();
    nix::unistd::mkfifo(&directory.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let pipe = path("/pipe");
    assert_eq!(machine.lookup(pipe).unwrap().unwrap().kind, Kind::Other);
    assert!(machine.read(pipe).is_err());
    assert!(machine.append(pipe, b"x").is_err());
    assert!(machine.set_mode(pipe, 0o600).is_err());
    assert!(machine.lock(pipe).is_err());
}

#[test]
fn attributes_come_back_as_they_were_set() {
    let (_directory, machine) = node();
    let file = path("/file");
    machine.create(file, b"", 0o600).unwrap();
    assert!(machine.attributes(file).unwrap().is_empty());
    for number in 0..40 {
        machine.set_attribute(file, &format!("user.{number:02}"), Some(&[number; 20])).unwrap();
    }
    let found = machine.attributes(file).unwrap();
    assert_eq!(found.len(), 40);
    assert_eq!(found[7], ("user.07".to_owned(), vec![7; 20]));
    machine.set_attribute(file, "user.07", None).unwrap();
    machine.set_attribute(file, "user.07", None).unwrap();
    assert_eq!(machine.attributes(file).unwrap().len(), 39);
}

#[test]
fn what_is_not_there_is_none_and_not_an_error() {
    let (_directory, machine) = node();
    machine.create(path("/file"), b"", 0o600).unwrap();
    assert!(machine.lookup(path("/nothing/below")).unwrap().is_none());
    assert!(machine.lookup(path("/file/below")).unwrap().is_none());
    assert_eq!(machine.lookup(path("/")).unwrap().unwrap().kind, Kind::Directory);
    assert_eq!(machine.list(path("/")).unwrap(), ["file"]);
}

#[test]
fn one_holder_has_the_lock_and_the_file_says_who() {
    let (directory, machine) = node();
    let held = machine.lock(path("/lock")).unwrap();
    assert!(held.is_some());
    assert!(machine.lock(path("/lock")).unwrap().is_none());
    let file = directory.path().join("lock");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{}\n", std::process::id()));
    assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o600);
    drop(held);
    assert!(machine.lock(path("/lock")).unwrap().is_some());
}

#[test]
fn a_command_gives_status_and_both_outputs() {
    let script = "echo out; echo err >&2; exit 7";
    let output = run(&real("/bin/sh", &["-c", script]));
    assert_eq!((output.status, output.stdout.as_str(), output.stderr.as_str()), (7, "out\n", "err\n"));
    assert_eq!(run(&real("/bin/sh", &["-c", "kill -TERM $$"])).status, 128 + 15);
    let error = Machine::open(path("/")).unwrap().run(&real("/no/such/program", &[])).unwrap_err();
    assert!(error.to_string().starts_with("running /no/such/program: No such file"));
}

#[test]
fn a_command_reads_its_input_and_otherwise_nothing() {
    let large = vec![b'x'; 3_000_000];
    assert_eq!(run(&real("/usr/bin/wc", &["-c"]).input(large)).stdout.trim(), "3000000");
    assert_eq!(run(&real("/usr/bin/wc", &["-c"])).stdout.trim(), "0");
    // A child that reads nothing does not disturb.
    assert_eq!(run(&real("/bin/true", &[]).input(vec![0; 1_000_000])).status, 0);
}

#[test]
fn a_command_has_a_clean_environment() {
    let output = run(&real("/usr/bin/env", &[]).variable("DEBIAN_FRONTEND", "noninteractive"));
    let mut lines: Vec<&str> = output.stdout.lines().collect();
    lines.sort_unstable();
    let path = format!("PATH={}", super::command::PATH);
    let run = format!("FIRSTLIGHT_RUN={}", std::process::id());
    assert_eq!(
        lines,
        ["DEBIAN_FRONTEND=noninteractive", &run, "HOME=/root", "LC_ALL=C.UTF-8", path.as_str()]
    );
}

#[test]
fn a_command_past_its_limit_dies_with_its_grandchildren() {
    let (directory, _machine) = node();
    let file = directory.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
    let mut invocation = real("/bin/sh", &["-c", &script]);
    invocation.limit = Duration::from_millis(300);
    let begin = Instant::now();
    let error = Machine::open(path("/")).unwrap().run(&invocation).unwrap_err();
    assert!(error.to_string().contains("not done after 300 ms"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(10));
    let pid = std::fs::read_to_string(file).unwrap();
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    // Dead, or waiting for its new parent to notice.
    let gone = || state().is_empty() || state().contains(") Z ");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !gone() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(gone(), "the grandchild still runs: {}", state());
}

#[test]
fn a_daemon_that_keeps_the_output_open_is_not_waited_for() {
    let begin = Instant::now();
    let output = run(&real("/bin/sh", &["-c", "sleep 15 & echo started"]));
    assert_eq!(output.stdout, "started\n");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn no_command_runs_below_another_root() {
    let (_directory, machine) = node();
    let error = machine.run(&real("/bin/true", &[])).unwrap_err();
    assert!(error.to_string().contains("running /bin/true: no commands below /"), "{error}");
}

#[test]
fn e1_a_setting_of_the_kernel_is_read_whole() {
    // These files say that they have no bytes, and have nothing to say a second time.
    for name in ["/proc/sys/kernel/pid_max", "/proc/sys/fs/file-max"] {
        let text = std::fs::read(name).unwrap();
        assert!(text.len() > 2, "{name} has one digit here");
        assert_eq!(Machine::open(path("/")).unwrap().read(path(name)).unwrap(), text);
    }
}

/// Asks once more as a child, in a time namespace in which only the time since the boot has moved.
#[test]
fn j3_the_deadline_counts_the_time_since_the_boot_suspended_or_not() {
    const CHILD: &str = "FIRSTLIGHT_TEST_BOOTTIME";
    const AHEAD: u64 = 100_000;
    let up = Machine::open(Path::new("/")).unwrap().boottime() / 1000;
    if std::env::var_os(CHILD).is_some() {
        println!("up {up} seconds");
        return;
    }
    let offset = AHEAD.to_string();
    let child = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--fork", "--time", "--boottime", &offset, "--monotonic", "0"])
        .arg(std::env::current_exe().unwrap())
        .args(["--nocapture", "j3_the_deadline_counts_the_time_since_the_boot_suspended_or_not"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    let seen =
        said.lines().find_map(|line| line.rsplit_once("up ")?.1.strip_suffix(" seconds")?.parse().ok());
    let seen: u64 = seen.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&child.stderr)));
    assert!((up + AHEAD..up + AHEAD + 600).contains(&seen), "{seen}, and here {up}");
}

/// Starts this test once more with the signals blocked in all of its threads, and asks it to stop as fast as it can be asked.
#[test]
fn j3_a_request_to_stop_at_the_start_of_a_child_kills_neither_us_nor_goes_past_the_child() {
    const CHILD: &str = "FIRSTLIGHT_TEST_STORM";
    const CHILDREN: usize = 150;
    if std::env::var_os(CHILD).is_some() {
        let machine = Machine::open(Path::new("/")).unwrap();
        machine.signals.defer();
        for _ in 0..CHILDREN {
            assert_eq!(machine.run(&real("/bin/sh", &["-c", "kill $$; echo deaf"])).unwrap().status, 143);
        }
        println!("lived, asked: {}", machine.interrupted());
        return;
    }
    let mut child = std::process::Command::new("env")
        .arg("--block-signal=INT,TERM,HUP")
        .arg(std::env::current_exe().unwrap())
        .args(["--nocapture", "j3_a_request_to_stop_at_the_start_of_a_child"])
        .env(CHILD, "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    // Not before it is what `env` starts.
    std::thread::sleep(Duration::from_millis(50));
    while child.try_wait().unwrap().is_none() {
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("lived, asked: true"), "{}: {said}", output.status);
}

/// The lint says so of each line; this, that no second file allows itself one.
#[test]
fn one_module_alone_is_allowed_to_be_unsafe() {
    let allowed = std::process::Command::new("grep")
        .args([
            "-rlE",
            "^ *#.*allow.unsafe_code|^ *unsafe (fn|impl|\\{)",
            "src",
            "fuzz",
            "vm-tests/src",
            "vm-tests/stand-in/src",
            "--include=*.rs",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&allowed.stdout), "src/node/machine/child.rs\n");
}
