//! What nobody else may read is open to nobody else at any moment of a restore.

use super::fidelity::{keep, look, node, put_back, shell};
use super::{assert_equal, path};
use crate::node::Node;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// A watcher that opens `name` as somebody else, again and again, and tells what it could read.
fn watch(directory: &Path, name: &str) -> std::process::Child {
    let script = format!(
        "import os\nos.chdir({directory:?})\nos.setgroups([])\nos.setgid(4242)\nos.setuid(4242)\nprint('up', flush=True)\nwhile os.path.exists('../.watch'):\n for n in os.listdir('.'):\n  if {name:?} in n:\n   try: print('READ', n, open(n).read(), flush=True)\n   except OSError: pass\n"
    );
    Command::new("python3").args(["-c", &script]).stdout(std::process::Stdio::piped()).spawn().unwrap()
}

#[test]
fn what_nobody_else_may_read_before_and_after_is_never_open_for_a_moment() {
    let node = node();
    let machine = &node.files.machine;
    let secret = path("/etc/secret");
    machine.create(secret, b"secret", 0o600).unwrap();
    machine.set_owner(secret, 12, 4242).unwrap();
    shell(&node.files, "chmod 755 . ..");
    let before = keep(machine);
    node.files.put("/.watch", "");
    let mut watcher = watch(&node.files.host("/etc"), "secret");
    let mut told = std::io::BufReader::new(watcher.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut told, &mut String::new()).unwrap();
    // Others' group, an ACL for others only, another content: the watcher may read none of them.
    let spoilt: [&dyn Fn(); 3] = [
        &|| {
            machine.set_mode(secret, 0o600).unwrap();
            machine.set_owner(secret, 12, 34).unwrap();
            machine.set_mode(secret, 0o640).unwrap();
        },
        &|| {
            // Mask and named user 65534 read; the owning group does not.
            let acl = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\xfe\xff\0\0\x04\0\0\0\xff\xff\xff\xff\x10\0\x04\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff";
            machine.set_attribute(secret, "system.posix_acl_access", Some(acl)).unwrap();
        },
        &|| {
            machine.remove_file(secret).unwrap();
            machine.create(secret, b"spoilt", 0o600).unwrap();
        },
    ];
    for _ in 0..40 {
        for spoil in spoilt {
            spoil();
            assert_eq!(put_back(machine, &before), [""; 0]);
        }
    }
    node.files.remove("/.watch");
    let mut seen = String::new();
    std::io::Read::read_to_string(&mut told, &mut seen).unwrap();
    watcher.wait().unwrap();
    assert_eq!(seen, "");
    assert_equal(&before, &look(machine), "after all of it");
}

#[test]
fn the_order_of_calls_never_opens_a_private_file() {
    // The watcher above sees what happens by luck; the order says it for sure.
    let node = node();
    let secret = path("/etc/secret");
    node.files.put("/etc/secret", "secret");
    node.files.machine.set_mode(secret, 0o600).unwrap();
    node.files.machine.set_owner(secret, 12, 4242).unwrap();
    let before = super::snapshot(&node);
    node.files.machine.set_owner(secret, 12, 34).unwrap();
    node.files.machine.set_mode(secret, 0o640).unwrap();
    node.revive();
    super::put_back(&node, &before).unwrap();
    let trace = node.trace();
    let at = |what: &str| trace.iter().position(|step| step.starts_with(what)).unwrap();
    assert!(at("set-mode /etc/secret") < at("set-owner /etc/secret"), "{trace:?}");
    // A new one belongs to its owner before it has its name.
    node.files.put("/etc/secret", "spoilt");
    node.revive();
    super::put_back(&node, &before).unwrap();
    let trace = node.trace();
    let owner = trace.iter().position(|step| step.starts_with("set-owner /etc/.secret")).unwrap();
    assert!(owner < trace.iter().position(|step| step.starts_with("rename")).unwrap(), "{trace:?}");
}

#[test]
fn a_new_file_has_its_owner_and_a_private_mode_before_it_has_a_content() {
    let node = node();
    let machine = &node.files.machine;
    machine.create_for(path("/etc/file"), b"x", 0o6750, (12, 34)).unwrap();
    let found = machine.lookup(path("/etc/file")).unwrap().unwrap();
    assert_eq!((found.uid, found.gid, found.mode), (12, 34, 0o6750));
    machine.make_directory_for(path("/etc/dir"), 0o700, (12, 34)).unwrap();
    machine.make_directory_for(path("/etc/dir"), 0o750, (56, 78)).unwrap();
    let found = machine.lookup(path("/etc/dir")).unwrap().unwrap();
    assert_eq!((found.uid, found.gid, found.mode), (56, 78, 0o750));
    node.files.put("/etc/other", "");
    symlink("dir", node.files.host("/etc/link")).unwrap();
    for wrong in ["/etc/other", "/etc/link", "/etc/link/below"] {
        assert!(machine.make_directory_for(path(wrong), 0o777, (1, 1)).is_err(), "{wrong}");
    }
    assert_eq!(machine.lookup(path("/etc/dir")).unwrap().unwrap().uid, 56);
}
