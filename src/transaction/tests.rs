//! The whole transaction on a small Debian: forward, back, and a crash at every call through the seam.

mod crash;
mod damage;
mod deadline;
pub mod debian;
mod explore;
mod factors;
mod faults;
mod home;
mod pair;
mod peers;
mod reach;
mod room;
mod tool;
mod undo;
pub mod world;

use super::record::Event;
use super::state::{self, TransactionId};
use super::{Limits, Order, Outcome, Stage, apply, recover, rollback};
use crate::change::{
    AccountChange, Change, DirectoryChange, FileChange, PackagesChange, ReloadChange, UfwChange, UnitChange,
};
use crate::control::{Check, Control, Phase, Proposal};
use crate::manifest::{self, Manifest, Scope};
use crate::node::Node;
use crate::node::scripted::Scripted;
use crate::plan::{self, Plan};
use crate::profile::{PasswordHash, Secret};
use crate::progress::Silent;
use debian::debian;
use std::path::PathBuf;

const ORDER: Order<'static> = Order {
    door: "command",
    source: "answer.toml",
    record: "[firstlight]\nschema = 1\n",
    limits: &Limits::DEFAULT,
};

fn file(path: &str, content: &str, mode: u32, owner: &str) -> Change {
    let owner = owner.to_owned();
    Change::File(FileChange { path: path.into(), content: content.into(), mode, owner, public: true })
}

/// One of every kind of change.
fn proposal() -> Proposal {
    let sshd = "/etc/ssh/sshd_config.d/00-firstlight.conf";
    let names = vec!["sudo".to_owned(), "ufw".to_owned()];
    let account = AccountChange {
        name: "ops".into(),
        comment: String::new(),
        shell: "/bin/bash".into(),
        home: "/home/ops".into(),
        groups: vec!["sudo".into()],
        password: Some(Secret::Value(PasswordHash::new("$y$j9T$salt$hash".into()))),
    };
    let rule = ["allow", "from", "10.0.20.0/24", "to", "any", "port", "22"].map(str::to_owned).to_vec();
    let ufw = UfwChange {
        incoming: "deny".into(),
        outgoing: "allow".into(),
        routed: "deny".into(),
        logging: "low".into(),
        ping: Some(vec!["10.0.20.0/24".into()]),
        rules: vec![rule],
    };
    let changes = vec![
        (
            Phase::Exposure,
            Change::Reload(ReloadChange { name: "ssh.service".into(), after: vec![sshd.into()] }),
        ),
        (Phase::Exposure, Change::Ufw(ufw)),
        (Phase::Packages, Change::Packages(PackagesChange { names, directory: None, allow_upgrades: false })),
        (Phase::Accounts, Change::Account(account)),
        (
            Phase::Accounts,
            Change::Directory(DirectoryChange {
                path: "/home/ops/.ssh".into(),
                mode: 0o700,
                owner: "ops".into(),
            }),
        ),
        (Phase::Accounts, file("/home/ops/.ssh/authorized_keys", "ssh-ed25519 AAAA\n", 0o600, "ops")),
        (Phase::Files, file("/etc/sudoers.d/firstlight", "ops ALL=(ALL:ALL) ALL\n", 0o440, "root")),
        (Phase::Files, file(sshd, "PasswordAuthentication no\n", 0o644, "root")),
        (
            Phase::Services,
            Change::Unit(UnitChange { name: "ufw.service".into(), enabled: Some(true), active: Some(true) }),
        ),
    ];
    let control = Control {
        id: "ssh.drop-in".into(),
        requirement: "B1",
        wanted: "the drop-in is there".into(),
        check: Check::FileMode { path: sshd.into(), mode: 0o644 },
        changes: vec![7],
    };
    Proposal { changes, controls: vec![control], ..Proposal::default() }
}

fn planned(node: &Scripted) -> Plan {
    plan::make(node, proposal()).unwrap()
}

/// Everything but our own state, dpkg's, and what vanishes at a boot anyway.
fn whole(node: &Scripted) -> Manifest {
    let skip: Vec<PathBuf> =
        ["/var/lib", "/proc", "/run", "/.stash"].into_iter().map(PathBuf::from).collect();
    manifest::capture(&node.files.machine, &[Scope::Tree("/".into())], &skip, None).unwrap()
}

fn assert_same(before: &Manifest, after: &Manifest, when: &str) {
    let different: Vec<_> =
        before.differences(after).iter().map(|difference| difference.path.to_owned()).collect();
    assert!(different.is_empty(), "{when}: {different:?}");
}

pub(crate) fn committed() -> (Scripted, Manifest) {
    let node = debian();
    let before = whole(&node);
    let outcome = apply(&node, &planned(&node), &ORDER, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Committed(TransactionId(1))), "{outcome:?}");
    (node, before)
}

#[test]
fn j3_a_run_commits_everything_and_a_second_one_has_nothing_to_do() {
    let (node, _) = committed();
    assert_eq!(node.files.text("/etc/sudoers.d/firstlight"), "ops ALL=(ALL:ALL) ALL\n");
    assert!(node.files.text("/etc/shadow").contains("ops:$y$j9T$salt$hash:"));
    assert!(node.files.has("/run/ufw"), "the firewall filters");
    assert!(!node.files.has("/usr/sbin/policy-rc.d"), "services are no longer held back");
    assert_eq!(node.files.text(state::PROFILE_PATH), ORDER.record);
    let after = whole(&node);
    let again = planned(&node);
    assert!(again.steps.is_empty(), "{:?}", again.steps.iter().map(|step| &step.title).collect::<Vec<_>>());
    assert!(matches!(apply(&node, &again, &ORDER, &mut Silent).unwrap(), Outcome::Unchanged));
    assert_same(&after, &whole(&node), "second run");
}

#[test]
fn j3_the_password_hash_is_in_no_argument_and_nowhere_in_our_state() {
    let (node, _) = committed();
    assert!(node.ran().iter().all(|line| !line.contains("$y$")), "argv");
    for id in state::transactions(&node).unwrap() {
        let journal = node.files.text(id.journal().to_str().unwrap());
        assert!(!journal.contains("$y$"), "journal");
    }
}

#[test]
fn j3_exposure_comes_last_and_packages_first() {
    let node = debian();
    let titles: Vec<String> = planned(&node).steps.into_iter().map(|step| step.title).collect();
    let kinds: Vec<&str> = titles.iter().map(|title| title.split(' ').next().unwrap()).collect();
    assert_eq!(kinds, ["packages:", "user", "directory", "file", "file", "file", "unit", "unit", "firewall"]);
}

#[test]
fn j3_a_failing_step_puts_everything_back_and_is_named() {
    let node = debian();
    node.refuses("/usr/bin/systemctl start", 1, "Job for ufw.service failed.");
    let before = whole(&node);
    let outcome = apply(&node, &planned(&node), &ORDER, &mut Silent).unwrap();
    let Outcome::Reverted(_, failure, kept) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.what, "unit ufw.service: enabled at boot, started");
    assert!(failure.message.contains("Job for ufw.service failed."), "{}", failure.message);
    assert!(kept.is_empty(), "{kept:?}");
    assert_same(&before, &whole(&node), "after the way back");
    assert!(node.ran().iter().any(|line| line.starts_with("/usr/bin/systemctl reset-failed")));
}

#[test]
fn j3_a_control_that_does_not_hold_puts_everything_back() {
    let node = debian();
    let before = whole(&node);
    let mut plan = planned(&node);
    plan.controls[0].check = Check::FileMode { path: "/etc/nowhere".into(), mode: 0o644 };
    let outcome = apply(&node, &plan, &ORDER, &mut Silent).unwrap();
    let Outcome::Reverted(_, failure, _) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.what, "control ssh.drop-in");
    assert_same(&before, &whole(&node), "after the way back");
    assert!(!node.files.has("/run/ufw"), "the firewall filters no longer");
}

#[test]
fn j3_whoever_asks_to_stop_while_the_run_looks_at_what_it_made_gets_the_old_node() {
    let node = debian();
    let before = whole(&node);
    let mut plan = planned(&node);
    plan.controls[0].check = Check::FileMode { path: "/etc/nowhere".into(), mode: 0o644 };
    let stop = node.stop_switch();
    node.meanwhile(move |_, _| stop.set(true));
    let outcome = apply(&node, &plan, &ORDER, &mut Silent).unwrap();
    let Outcome::Reverted(_, failure, _) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.what, "interrupted");
    assert_same(&before, &whole(&node), "after the way back");
}

#[test]
fn h2_a_removal_by_apt_is_refused_before_anything_is_touched() {
    let node = debian();
    node.on("/usr/bin/apt-get -q -y", |_, _| crate::node::Output {
        status: 0,
        stdout: "Remv proxmox-ve [9.0]\nInst sudo (1)\n".into(),
        stderr: String::new(),
    });
    let before = whole(&node);
    let outcome = apply(&node, &planned(&node), &ORDER, &mut Silent).unwrap();
    let Outcome::Untouched(_, failure) = outcome else { panic!("{outcome:?}") };
    assert!(failure.message.contains("apt would remove proxmox-ve"), "{}", failure.message);
    assert_same(&before, &whole(&node), "refused");
}

#[test]
fn h1_a_source_that_fails_is_a_warning_while_the_packages_are_there() {
    let node = debian();
    node.refuses(
        "/usr/bin/apt-get -q -o DPkg::Lock::Timeout=600 update",
        100,
        "E: Failed to fetch https://example.test/InRelease  401  Unauthorized",
    );
    let outcome = apply(&node, &planned(&node), &ORDER, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Committed(_)));
    let warned = state::records(&node, TransactionId(1))
        .unwrap()
        .into_iter()
        .any(|record| matches!(record.event, Event::Warning { text } if text.contains("401  Unauthorized")));
    assert!(warned);
}

#[test]
fn j3_rollback_puts_the_node_back_and_takes_the_profile_of_record_along() {
    let (node, before) = committed();
    let outcome = rollback(&node, None, false, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Reverted(_, _, ref kept) if kept.is_empty()), "{outcome:?}");
    assert_same(&before, &whole(&node), "rolled back");
    assert!(!node.files.has(state::PROFILE_PATH));
    assert!(rollback(&node, None, false, &mut Silent).is_err(), "nothing is left to roll back");
}

#[test]
fn j3_rollback_keeps_and_lists_what_somebody_changed_since_unless_forced() {
    let path = "/etc/ssh/sshd_config.d/00-firstlight.conf";
    for force in [false, true] {
        let (node, before) = committed();
        node.files.put(path, "PasswordAuthentication no\n# mine\n");
        node.files.put("/etc/mine", "since");
        node.files.put("/home/ops/notes", "mine");
        let outcome = rollback(&node, None, force, &mut Silent).unwrap();
        let Outcome::Reverted(_, _, kept) = outcome else { panic!("{outcome:?}") };
        assert_eq!(kept.contains(&PathBuf::from(path)), !force, "{kept:?}");
        assert_eq!(node.files.has(path), !force);
        assert_eq!(node.files.text("/etc/mine"), "since", "what is not ours is never touched");
        assert_eq!(node.files.text("/home/ops/notes"), "mine");
        assert!(kept.contains(&PathBuf::from("/home/ops")), "{kept:?}");
        let after = whole(&node);
        let unexpected: Vec<_> = before
            .differences(&after)
            .iter()
            .map(|difference| difference.path.to_owned())
            .filter(|path| {
                !path.starts_with("/home/ops") && !kept.contains(path) && path != &PathBuf::from("/etc/mine")
            })
            .collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
    }
}

#[test]
fn j3_what_somebody_changed_survives_the_purge_of_its_package() {
    let (node, _) = committed();
    node.files.put("/etc/default/ufw", "IPV6=yes\n# mine\n");
    let outcome = rollback(&node, None, false, &mut Silent).unwrap();
    let Outcome::Reverted(_, _, kept) = outcome else { panic!("{outcome:?}") };
    assert!(kept.contains(&PathBuf::from("/etc/default/ufw")), "{kept:?}");
    assert_eq!(node.files.text("/etc/default/ufw"), "IPV6=yes\n# mine\n");
    assert!(!node.files.has("/etc/ufw"));
}

#[test]
fn j3_a_damaged_journal_stops_recovery_instead_of_guessing() {
    let (node, _) = committed();
    let path = TransactionId(1).journal();
    let mut journal = node.files.machine.read(&path).unwrap();
    journal[100] ^= 1;
    std::fs::write(node.files.host(path.to_str().unwrap()), journal).unwrap();
    let outcome = recover(&node, Stage::Late, &mut Silent).unwrap();
    let Some(Outcome::Stuck(TransactionId(1), _, left)) = outcome else { panic!("{outcome:?}") };
    assert!(left.contains("line 1 is damaged, and not by a power cut"), "{left}");
}

#[test]
fn j3_pruning_keeps_what_can_be_rolled_back() {
    let (node, before) = committed();
    node.files.put("/etc/sudoers.d/firstlight", "other\n");
    let outcome = apply(&node, &planned(&node), &ORDER, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Committed(TransactionId(2))), "{outcome:?}");
    let (forgotten, swept) = super::prune(&node, 1).unwrap();
    assert_eq!(forgotten, [TransactionId(1)]);
    assert!(swept > 0);
    let outcome = rollback(&node, None, false, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Reverted(TransactionId(2), _, _)), "{outcome:?}");
    assert_eq!(node.files.text("/etc/sudoers.d/firstlight"), "other\n");
    assert!(!before.entries.is_empty());
}
