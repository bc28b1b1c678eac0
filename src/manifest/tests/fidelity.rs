//! What a file system can hold, on a real one, as root: each comes back exactly, or is told and left alone.

use super::{ACL, STORE, assert_equal, path};
use crate::manifest::{Manifest, Scope, State, capture, restore};
use crate::node::scripted::Files;
use crate::node::scripted::Scripted;
use crate::node::{Machine, Node};
use crate::objects::Objects;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A node whose calls go straight to the file system.
pub(super) fn node() -> Scripted {
    assert!(nix::unistd::geteuid().is_root(), "this test needs root: owners, capabilities, devices, flags");
    Scripted::new()
}

pub(super) fn shell(files: &Files, script: &str) {
    let done =
        Command::new("/bin/sh").args(["-ec", script]).current_dir(files.host("/etc")).status().unwrap();
    assert!(done.success(), "{script}");
}

pub(super) fn look(machine: &Machine) -> Manifest {
    capture(machine, &[Scope::Tree("/etc".into())], &[], None).unwrap()
}

pub(super) fn keep(machine: &Machine) -> Manifest {
    let objects = Objects::new(machine, path(STORE));
    let mut batch = objects.batch().unwrap();
    let manifest = capture(machine, &[Scope::Tree("/etc".into())], &[], Some(&mut batch)).unwrap();
    batch.commit().unwrap();
    // What survives is what is written down.
    Manifest::decode(&manifest.encode()).unwrap()
}

pub(super) fn put_back(machine: &Machine, before: &Manifest) -> Vec<String> {
    let now = look(machine);
    let kept = restore(machine, &Objects::new(machine, path(STORE)), &before.restoration(&now)).unwrap();
    kept.into_iter().map(|kept| format!("{}: {}", kept.path.display(), kept.because)).collect()
}

/// Prepares, captures, spoils, puts back, and compares everything.
fn round_trip(prepare: &str, spoil: &str) -> Scripted {
    let node = node();
    shell(&node.files, prepare);
    let before = keep(&node.files.machine);
    shell(&node.files, spoil);
    assert!(!before.restoration(&look(&node.files.machine)).is_empty(), "{spoil}: nothing was spoiled");
    assert_eq!(put_back(&node.files.machine, &before), [""; 0], "{spoil}");
    assert_equal(&before, &look(&node.files.machine), spoil);
    node
}

#[test]
fn capabilities_and_set_id_bits_survive_a_new_owner_and_a_new_content() {
    let node = node();
    let machine = &node.files.machine;
    node.files.put("/etc/tool", "tool");
    machine.set_owner(path("/etc/tool"), 12, 34).unwrap();
    // Version 2, effective, CAP_NET_RAW: as the kernel keeps it.
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    machine.set_attribute(path("/etc/tool"), "security.capability", Some(capability)).unwrap();
    machine.set_mode(path("/etc/tool"), 0o6755).unwrap();
    let before = keep(machine);
    for spoil in ["chown 0:0 tool", "echo more >> tool", "rm tool; echo other > tool", "chmod 644 tool"] {
        shell(&node.files, spoil);
        assert_eq!(put_back(machine, &before), [""; 0]);
        assert_equal(&before, &look(machine), spoil);
    }
    let attributes = machine.attributes(path("/etc/tool")).unwrap();
    assert_eq!(attributes, [("security.capability".to_owned(), capability.to_vec())]);
}

#[test]
fn default_acls_of_directories_and_large_attributes_come_back() {
    let node = node();
    let machine = &node.files.machine;
    node.files.put("/etc/dir/file", "file");
    machine.set_attribute(path("/etc/dir"), "system.posix_acl_default", Some(ACL)).unwrap();
    machine.set_attribute(path("/etc/dir/file"), "system.posix_acl_access", Some(ACL)).unwrap();
    machine.set_attribute(path("/etc/dir/file"), "user.large", Some(&[7; 3000])).unwrap();
    let before = keep(machine);
    shell(&node.files, "rm -r dir; mkdir dir; echo other > dir/file; echo new > dir/new");
    assert_eq!(put_back(machine, &before), [""; 0]);
    assert_equal(&before, &look(machine), "after the restore");
}

#[test]
fn a_sparse_file_comes_back_with_its_content_and_its_holes() {
    let node = round_trip(
        "truncate -s 20M sparse; printf x | dd of=sparse bs=1 seek=5000000 conv=notrunc status=none; \
         truncate -s 3M hole; truncate -s 0 empty; printf 'a' > end; truncate -s 131072 end",
        "echo spoiled > sparse; rm hole end; echo x > empty",
    );
    for (name, size, most) in
        [("sparse", 20 << 20, 256 << 10), ("hole", 3 << 20, 0), ("end", 128 << 10, 64 << 10)]
    {
        let found = node.files.host(&format!("/etc/{name}")).metadata().unwrap();
        assert_eq!(found.size(), size, "{name}");
        assert!(found.blocks() * 512 <= most, "{name} takes {} bytes", found.blocks() * 512);
    }
    assert_eq!(std::fs::read(node.files.host("/etc/sparse")).unwrap()[5_000_000], b'x');
}

#[test]
fn devices_sockets_and_pipes_are_seen_and_never_touched() {
    let node = node();
    let machine = &node.files.machine;
    shell(&node.files, "mknod null c 1 3; mkfifo pipe; mkfifo gone; echo file > file; mkdir dir");
    let _socket = std::os::unix::net::UnixListener::bind(node.files.host("/etc/socket")).unwrap();
    let before = keep(machine);
    for name in ["null", "pipe", "gone", "socket"] {
        assert!(before.get(&path("/etc").join(name)).unwrap().state == State::Other, "{name}");
    }
    shell(&node.files, "rm gone file; mkfifo file; mkfifo dir/new; chmod 600 pipe");
    let kept = put_back(machine, &before);
    let expected = [
        "/etc/gone: a device, socket or pipe was here; it is not made again",
        "/etc/file: a device, socket or pipe is here",
        "/etc/dir/new: a device, socket or pipe is here",
    ];
    assert_eq!(kept.len(), expected.len(), "{kept:?}");
    assert!(expected.iter().all(|line| kept.iter().any(|kept| kept == line)), "{kept:?}");
    let mode = |name: &str| machine.lookup(&path("/etc").join(name)).unwrap().unwrap().mode;
    assert_eq!(mode("pipe"), 0o600, "left as somebody made it");
}

#[test]
fn names_that_are_no_text_and_names_of_255_bytes_come_back() {
    let node = node();
    let machine = &node.files.machine;
    let long = "n".repeat(255);
    let names: [&[u8]; 6] = [
        b"\xff\xfe odd\n\t%41=",
        b"-rf *",
        b" ",
        b"\xc3\xa9",
        long.as_bytes(),
        b".plain.firstlight-0123456789abcdef",
    ];
    let paths: Vec<PathBuf> = names.iter().map(|name| path("/etc/d").join(OsStr::from_bytes(name))).collect();
    node.files.directory("/etc/d");
    for path in &paths {
        machine.create(path, path.as_os_str().as_bytes(), 0o640).unwrap();
    }
    let link = path("/etc/d/link");
    machine.make_link(link, Path::new(OsStr::from_bytes(b"\xff target"))).unwrap();
    let before = keep(machine);
    for path in paths.iter().map(PathBuf::as_path).chain([link]) {
        machine.remove_file(path).unwrap();
    }
    assert_eq!(put_back(machine, &before), [""; 0]);
    assert_equal(&before, &look(machine), "after the restore");
    assert_eq!(machine.read(&paths[0]).unwrap(), paths[0].as_os_str().as_bytes());
    for path in &paths {
        let waiting = crate::change::waiting_path(path);
        assert!(waiting.file_name().unwrap().len() <= 255 && waiting != *path);
    }
}

#[test]
fn j3_a_directory_of_somebody_elses_where_content_waits_is_in_nobodys_way() {
    let node = node();
    let machine = &node.files.machine;
    node.files.put("/etc/d/keys", "right\n");
    let before = keep(machine);
    let keys = path("/etc/d/keys");
    let waiting = |name: &str| crate::manifest::temporary(&path("/etc/d").join(name));
    let general = PathBuf::from("/etc/d/.firstlight-0123456789abcdef");
    for directory in [waiting("keys"), general.clone()] {
        machine.make_directory(&directory, 0o700).unwrap();
    }
    node.files.put(waiting("keys").join("mine").to_str().unwrap(), "mine");
    node.files.put("/etc/d/keys", "wrong\n");
    let objects = Objects::new(machine, path(STORE));
    assert!(restore(machine, &objects, &[(keys, before.get(keys))]).unwrap().is_empty());
    assert_eq!(node.files.text("/etc/d/keys"), "right\n");
    assert!(machine.lookup(&general).unwrap().is_some(), "it stood in no way");
    let names = machine.list(path("/etc/d")).unwrap();
    let start = format!("{}-", waiting("keys").file_name().unwrap().display());
    let aside = names.iter().find(|name| name.to_string_lossy().starts_with(&start)).unwrap();
    assert_eq!(node.files.text(path("/etc/d").join(aside).join("mine").to_str().unwrap()), "mine");
}

#[test]
fn a_path_longer_than_the_kernel_takes_is_captured_and_comes_back() {
    let node = node();
    let machine = &node.files.machine;
    let mut deep = PathBuf::from("/etc");
    for _ in 0..30 {
        deep.push("d".repeat(200));
        machine.make_directory(&deep, 0o755).unwrap();
    }
    let file = deep.join("file");
    assert!(file.as_os_str().len() > 6000);
    machine.create(&file, b"deep", 0o600).unwrap();
    machine.make_link(&deep.join("link"), path("file")).unwrap();
    machine.set_attribute(&file, "user.note", Some(b"x")).unwrap();
    let before = keep(machine);
    assert_eq!(before.entries.len(), 33);
    machine.remove_file(&file).unwrap();
    machine.create(&file, b"spoiled", 0o644).unwrap();
    machine.create(&deep.join("new"), b"", 0o644).unwrap();
    machine.remove_file(&deep.join("link")).unwrap();
    assert_eq!(put_back(machine, &before), [""; 0]);
    assert_equal(&before, &look(machine), "after the restore");
}

#[test]
fn a_tree_that_is_deeper_than_that_needs_no_stack_and_is_left_alone_below() {
    let node = node();
    // More levels than a recursion would survive on a small stack.
    let script = "import os\nfor i in range(2000):\n os.mkdir('d'*15)\n os.chdir('d'*15)\nopen('file','w').write('x')\n";
    let done = Command::new("python3").args(["-c", script]).current_dir(node.files.host("/etc")).status();
    assert!(done.is_ok_and(|done| done.success()), "this test needs python3");
    let directory = node.files.host("/etc");
    let small = std::thread::Builder::new().stack_size(128 * 1024).spawn(move || {
        let machine = Machine::open(directory.parent().unwrap()).unwrap();
        let before = look(&machine);
        let deepest = before.entries.keys().map(|path| path.as_os_str().len()).max().unwrap();
        assert!((8 * 1024..9 * 1024).contains(&deepest), "{deepest}");
        let none = Manifest::default();
        let kept =
            restore(&machine, &Objects::new(&machine, path(STORE)), &none.restoration(&before)).unwrap();
        assert_eq!(
            kept.len(),
            before.entries.len(),
            "the deepest holds more, and so does every one above it"
        );
    });
    small.unwrap().join().unwrap();
    let removed = Command::new("rm")
        .arg("-rf")
        .arg(node.files.host(&format!("/etc/{}", "d".repeat(15))))
        .status()
        .unwrap();
    assert!(removed.success());
}

#[test]
fn files_that_change_grow_and_vanish_while_they_are_read_give_a_whole_manifest() {
    let node = node();
    let machine = &node.files.machine;
    for number in 0..50 {
        node.files.put(&format!("/etc/busy/{number}"), "x".repeat(5000));
    }
    let directory = node.files.host("/etc/busy");
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let told = over.clone();
    let writer = std::thread::spawn(move || {
        let mut round: usize = 0;
        while !told.load(std::sync::atomic::Ordering::Relaxed) {
            let file = directory.join((round % 50).to_string());
            match round % 4 {
                0 => std::fs::remove_file(&file).unwrap_or_default(),
                1 => std::fs::write(&file, "y".repeat(round % 9000)).unwrap(),
                2 => {
                    std::fs::write(directory.join("new"), "z".repeat(round % 7000)).unwrap();
                    std::fs::rename(directory.join("new"), &file).unwrap();
                }
                _ => drop(std::fs::OpenOptions::new().append(true).open(&file).map(|mut file| {
                    std::io::Write::write_all(&mut file, b"more and more").unwrap();
                })),
            }
            round += 1;
        }
    });
    for _ in 0..30 {
        let objects = Objects::new(machine, path(STORE));
        let mut batch = objects.batch().unwrap();
        let seen = capture(machine, &[Scope::Tree("/etc/busy".into())], &[], Some(&mut batch)).unwrap();
        batch.commit().unwrap();
        for entry in seen.entries.values() {
            if let State::File { content, size } = &entry.state {
                assert_eq!(objects.read(content).unwrap().len() as u64, *size);
            }
        }
    }
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
}

#[test]
fn what_is_swapped_for_a_link_between_looking_and_reading_is_never_read() {
    let node = node();
    let machine = &node.files.machine;
    node.files.put("/etc/secret", "secret");
    node.files.put("/home/ops/file", "mine");
    let seen = machine.lookup(path("/home/ops/file")).unwrap().unwrap();
    assert_eq!(machine.read_seen(path("/home/ops/file"), &seen).unwrap(), b"mine");
    // By a link, by a link above, by another file.
    node.files.remove("/home/ops/file");
    symlink("/etc/secret", node.files.host("/home/ops/file")).unwrap();
    assert!(machine.read_seen(path("/home/ops/file"), &seen).is_err());
    node.files.remove("/home/ops/file");
    std::fs::hard_link(node.files.host("/etc/secret"), node.files.host("/home/ops/file")).unwrap();
    assert!(machine.read_seen(path("/home/ops/file"), &seen).is_err());
    node.files.remove("/home/ops");
    node.files.put("/srv/file", "other");
    let seen = machine.lookup(path("/srv/file")).unwrap().unwrap();
    symlink("/srv", node.files.host("/home/ops")).unwrap();
    assert!(machine.read_seen(path("/home/ops/file"), &seen).is_err());
    // A scope behind a link holds nothing of ours.
    let manifest = capture(machine, &[Scope::Tree("/home/ops/dir".into())], &[], None).unwrap();
    assert!(manifest.get(path("/home/ops/dir")).is_none());
}

#[test]
fn an_immutable_file_or_directory_is_kept_and_told_and_the_rest_comes_back() {
    let node = node();
    let machine = &node.files.machine;
    shell(&node.files, "echo a > a; echo b > b; mkdir d; echo c > d/c; echo m > mode; chmod 600 mode");
    let before = keep(machine);
    shell(
        &node.files,
        "for f in a b d/c; do echo spoiled > $f; done; echo new > new; chmod 644 mode; chattr +i a d new; chattr +a mode",
    );
    let error = machine.remove_file(path("/etc/a")).unwrap_err().to_string();
    let kept = put_back(machine, &before);
    shell(&node.files, "chattr -i a d new; chattr -a mode");
    assert_eq!(
        error,
        "removing /etc/a: /etc/a is immutable or append-only\n  \
         hint: lsattr -d /etc/a shows it; chattr -i -a /etc/a allows the change"
    );
    for (path, by) in
        [("/etc/a", "/etc/a"), ("/etc/d/c", "/etc/d"), ("/etc/new", "/etc/new"), ("/etc/mode", "/etc/mode")]
    {
        let line = format!("{path}: {by} is immutable (chattr -i -a {by})");
        assert!(kept.contains(&line), "{line} is not among {kept:?}");
    }
    assert_eq!(node.files.text("/etc/b"), "b\n");
    assert_eq!(node.files.text("/etc/a"), "spoiled\n");
    assert_eq!(put_back(machine, &before), [""; 0], "once the flags are gone");
    assert_equal(&before, &look(machine), "after the second restore");
}
