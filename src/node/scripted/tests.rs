//! The scripted node behaves as the tests that stand on it assume.

use super::*;
use crate::node::Node;

#[test]
fn the_longest_prefix_answers_and_unknown_commands_fail() {
    let node = Scripted::new();
    node.says("/usr/bin/systemctl", "any");
    node.says("/usr/bin/systemctl is-active", "active");
    node.refuses("/usr/bin/systemctl is-active ssh", 3, "inactive");
    let run = |words: &[&str]| node.run(&Invocation::new("/usr/bin/systemctl", words));
    assert_eq!(run(&["cat"]).unwrap().stdout, "any");
    assert_eq!(run(&["is-active", "cron"]).unwrap().stdout, "active");
    assert_eq!(run(&["is-active", "ssh"]).unwrap().status, 3);
    assert!(node.run(&Invocation::new("/bin/true", &[])).is_err());
    assert_eq!(node.ran().len(), 4);
}

#[test]
fn a_crash_tears_a_write_and_stops_everything_until_the_revival() {
    let node = Scripted::new();
    let path = Path::new("/etc/journal");
    node.create(path, b"one\n", 0o600).unwrap();
    node.fail_at(1);
    assert!(node.append(path, b"two\n").is_err());
    assert!(node.read(path).is_err());
    node.revive();
    assert_eq!(node.read(path).unwrap(), b"one\ntw");
}

#[test]
fn a_power_cut_takes_what_was_not_made_durable() {
    let (old, new) = (Path::new("/etc/x"), Path::new("/etc/.x"));
    for (file, directory, content) in
        [(true, true, "new"), (true, false, "old"), (false, true, ""), (false, false, "old")]
    {
        let node = Scripted::new();
        node.files.put("/etc/x", "old");
        node.create(new, b"new", 0o644).unwrap();
        if file {
            node.sync_file(new).unwrap();
        }
        node.rename(new, old).unwrap();
        if directory {
            node.sync_directory(Path::new("/etc")).unwrap();
        }
        assert_eq!(node.not_durable().is_empty(), file && directory);
        node.cut_power(Lose::Everything);
        assert_eq!(node.files.text("/etc/x"), content, "file {file}, directory {directory}");
        assert!(!node.files.has("/etc/.x"));
    }
}

#[test]
fn the_clock_moves_by_sleeping_alone() {
    let node = Scripted::new();
    let start = node.now();
    node.sleep(Duration::from_secs(600));
    assert_eq!(node.now() - start, 600_000);
}
