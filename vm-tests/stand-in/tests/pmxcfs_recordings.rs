//! Replays the recordings of the real pmxcfs (transcripts 10 to 14) on the mounted stand-in, in namespaces of their own,
//! and compares status, output and messages.
//!
//! Every shell line that is not replayed, or not equal, stands in `EXCEPTIONS` with its reason. Needs root, `/dev/fuse`,
//! strace, perl and attr; elsewhere it says so and proves nothing. Two minutes of waiting for a stale lock
//! (transcript 14) are left out unless `STAND_IN_LONG` is set.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

#[path = "pmxcfs/compare.rs"]
mod compare;
#[path = "pmxcfs/transcript.rs"]
mod transcript;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use transcript::{Item, Transcript};

/// In the order in which they were recorded, since each begins with what the one before left.
const RECORDINGS: &[&str] = &[
    "10-pmxcfs-semantics",
    "11-pmxcfs-readonly-down",
    "12-pmxcfs-extra",
    "13-pmxcfs-dir-rename-lock-age",
    "14-stale-lock",
];

/// Not replayed, or not equal, and why. What is marked `machine` may be equal elsewhere.
const EXCEPTIONS: &[(&str, usize, &str)] = &[
    ("11-pmxcfs-readonly-down", 2, "machine: the remount helper could not run on the recorded one"),
    (
        "11-pmxcfs-readonly-down",
        4,
        "its end hung for ten minutes until a client came; the stand-in ends at once",
    ),
    (
        "11-pmxcfs-readonly-down",
        13,
        "not replayed: a file of the recorder's with lines of libqb and the C source",
    ),
    ("12-pmxcfs-extra", 5, "machine: another mount(8) or kernel remounts read-only"),
    (
        "14-stale-lock",
        1,
        "not replayed without STAND_IN_LONG: two minutes; a test of the tree has the same by the clock",
    ),
    ("14-stale-lock", 2, "not replayed without STAND_IN_LONG: the same"),
    ("14-stale-lock", 3, "not replayed without STAND_IN_LONG: the same"),
];

/// What the node is before the first line: name, address, tools, nothing below `/etc/pve`.
const NODE: &str = r#"
set -e
mount --make-rprivate /
mount --bind "$NODE/etc" /etc
mkdir -p /var/lib/pve-cluster
mount --bind "$NODE/lib" /var/lib/pve-cluster
mount -t tmpfs none /run
mount -t tmpfs none /tmp
hostname pve1
set +e
unset LC_ALL LANG LANGUAGE
export PATH="$NODE/bin:$PATH" TZ=UTC LC_CTYPE=C.UTF-8
pmxcfs -l 2>/dev/null
for item in "$NODE"/items/*; do
    [ -e "$item/before" ] && bash "$item/before"
    timeout 60 bash -c "$(cat "$item/script")" >"$item/stdout" 2>"$item/stderr" </dev/null
    echo $? >"$item/status"
    [ -e "$item/behind" ] && bash "$item/behind"
done
kill "$(pidof pmxcfs)"
"#;

fn recordings() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let given = std::env::var_os("STAND_IN_TRANSCRIPTS").map(PathBuf::from);
    [given, Some(own.join("transcripts")), Some(own.join("../../../shared/transcripts"))]
        .into_iter()
        .flatten()
        .find(|path| path.is_dir())
}

/// What it takes to mount: nothing of this is ever a reason to pass without looking.
fn expect_ground() {
    assert!(nix::unistd::geteuid().is_root(), "needs root: it mounts");
    assert!(Path::new("/dev/fuse").exists(), "needs /dev/fuse");
    let path = std::env::var("PATH").unwrap_or_default();
    for tool in ["unshare", "strace", "perl", "setfattr", "setpriv"] {
        let here = path.split(':').any(|directory| Path::new(directory).join(tool).exists());
        assert!(here, "needs {tool}");
    }
}

/// The files of the node, and one directory for each line.
fn lay_out(node: &Path, items: &[(&str, &Item)], files: &[(String, String)]) {
    for name in ["etc", "bin", "lib", "items"] {
        fs::create_dir(node.join(name)).expect("a directory");
    }
    let copied = Command::new("cp").args(["-a", "/etc/.", "etc/"]).current_dir(node).status();
    assert!(copied.expect("cp").success(), "copying /etc");
    let _ = fs::remove_dir_all(node.join("etc/pve"));
    fs::create_dir(node.join("etc/pve")).expect("the mount point");
    fs::write(node.join("etc/hostname"), "pve1\n").expect("the name");
    fs::write(node.join("etc/hosts"), "127.0.0.1 localhost\n192.168.10.5 pve1.test.local pve1\n")
        .expect("hosts");
    for tool in ["pmxcfs", "pveum", "pvesh", "pvecm", "pveversion", "pve-firewall"] {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_stand-in"), node.join("bin").join(tool))
            .expect("a link");
    }
    for (index, (name, item)) in items.iter().enumerate() {
        let directory = node.join("items").join(format!("{index:03}"));
        fs::create_dir(&directory).expect("a directory");
        // A question mark: older straces do not know the call.
        let script = item.script.replace("fchmodat,fchmodat2", "fchmodat,?fchmodat2");
        fs::write(directory.join("script"), script).expect("a script");
        let write = |name: &str, text: &str| fs::write(directory.join(name), text).expect("a script");
        match (*name, item.number) {
            ("12-pmxcfs-extra", 1) => write("before", &restored(files)),
            // The recorded remount was refused, so the directory was made; the recorder took the file away.
            ("11-pmxcfs-readonly-down", 2) | ("12-pmxcfs-extra", 5) => {
                write(
                    "behind",
                    "mount -i -o remount,rw /etc/pve; mkdir -p /etc/pve/rx; rm -f /etc/pve/firewall/r",
                );
            }
            ("14-stale-lock", 2) => write("before", "sleep 60"),
            ("14-stale-lock", 3) => write("before", "sleep 42"),
            _ => {}
        }
    }
}

/// A script that makes the files a recording began with.
fn restored(files: &[(String, String)]) -> String {
    let lines = files
        .iter()
        .map(|(path, content)| format!("mkdir -p $(dirname {path}); printf %s '{content}' > {path}\n"));
    format!("mkdir -p /etc/pve/priv/lock\n{}", lines.collect::<String>())
}

fn differences(directory: &Path, item: &Item) -> Vec<String> {
    let read = |name: &str| {
        String::from_utf8_lossy(&fs::read(directory.join(name)).unwrap_or_default()).into_owned()
    };
    let ordered = !item.script.contains("find ");
    let mut found = Vec::new();
    let status = read("status");
    if (status.trim() == "0") != (item.status == "0") {
        found.push(format!("status {} instead of {}", status.trim(), item.status));
    }
    for (name, recorded) in [("stdout", &item.stdout), ("stderr", &item.stderr)] {
        let (wanted, got) = (compare::lines(recorded, ordered), compare::lines(&read(name), ordered));
        for line in wanted.iter().filter(|line| !got.contains(line)) {
            found.push(format!("{name} lacks {line}"));
        }
        for line in got.iter().filter(|line| !wanted.contains(line)) {
            found.push(format!("{name} has  {line}"));
        }
        if found.is_empty() && wanted != got {
            found.push(format!("{name} has another order or number of lines: {got:?}"));
        }
    }
    found
}

#[test]
#[ignore = "over a minute, most of it waiting: cargo vm test conformance"]
fn recorded_shell_lines_are_replayed_and_equal() {
    expect_ground();
    let directory = recordings().expect("the recordings");
    let read =
        |name: &str| transcript::read(&fs::read(directory.join(format!("{name}.txt"))).expect("a recording"));
    let all: Vec<(&str, Transcript)> = RECORDINGS.iter().map(|name| (*name, read(name))).collect();
    let long = std::env::var_os("STAND_IN_LONG").is_some();
    let excepted = |name: &str, number: usize| {
        EXCEPTIONS
            .iter()
            .find(|(other, item, _)| *other == name && *item == number)
            .map(|(_, _, reason)| *reason)
    };
    let left_out = |name: &str, item: &Item| {
        excepted(name, item.number).is_some_and(|reason| {
            reason.starts_with("not replayed:") || (reason.starts_with("not replayed without") && !long)
        })
    };
    let items: Vec<(&str, &Item)> = all
        .iter()
        .flat_map(|(name, transcript)| transcript.items.iter().map(move |item| (*name, item)))
        .filter(|(name, item)| !left_out(name, item))
        .collect();
    // Not below /tmp, which the lines write to: they have one of their own.
    let node = tempfile::tempdir_in("/var/tmp").expect("a directory");
    let files =
        all.iter().find(|(name, _)| *name == "12-pmxcfs-extra").map(|(_, transcript)| &transcript.files);
    lay_out(node.path(), &items, files.expect("the files"));
    let done = Command::new("unshare")
        .args(["--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", NODE])
        .env("NODE", node.path())
        .output()
        .expect("unshare");
    assert!(done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut wrong = Vec::new();
    let mut equal = 0;
    for (index, (name, item)) in items.iter().enumerate() {
        let found = differences(&node.path().join("items").join(format!("{index:03}")), item);
        match excepted(name, item.number).filter(|reason| !reason.starts_with("not replayed without")) {
            None if found.is_empty() => equal += 1,
            None => {
                wrong.push(format!("{name} [{}] {}\n    {}", item.number, item.script, found.join("\n    ")))
            }
            Some(reason) if found.is_empty() && !reason.starts_with("machine") => {
                wrong.push(format!("{name} [{}] is equal, but listed: {reason}", item.number));
            }
            Some(_) => {}
        }
    }
    let recorded: usize = all.iter().map(|(_, transcript)| transcript.items.len()).sum();
    println!("{equal} of {recorded} recorded shell lines replayed and equal");
    for (name, number, reason) in EXCEPTIONS {
        println!("{name} [{number}]: {reason}");
    }
    assert!(wrong.is_empty(), "{} of {} lines:\n{}", wrong.len(), items.len(), wrong.join("\n"));
}
