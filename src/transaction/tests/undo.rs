//! Undo beyond files, with others at work on the same node since.

use super::super::state::TransactionId;
use super::super::{Outcome, apply, preview, rollback, state};
use super::{ORDER, assert_same, committed, debian::debian, file, whole};
use crate::change::{AccountChange, Change, KernelChange, Switch, UnitChange};
use crate::control::{Phase, Proposal};
use crate::node::Node;
use crate::node::scripted::Scripted;
use crate::plan;
use crate::progress::Silent;
use std::path::{Path, PathBuf};

fn run(node: &Scripted, changes: Vec<(Phase, Change)>) {
    let plan = plan::make(node, Proposal { changes, ..Proposal::default() }).unwrap();
    let outcome = apply(node, &plan, &ORDER, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
}

fn back(node: &Scripted, force: bool) -> Vec<String> {
    let outcome = rollback(node, None, force, &mut Silent).unwrap();
    let Outcome::Reverted(_, _, kept) = outcome else { panic!("{outcome:?}") };
    kept.into_iter().map(|path| path.display().to_string()).collect()
}

/// What a rollback says that it would do beside the paths.
fn actions(node: &Scripted, force: bool) -> Vec<String> {
    let last = state::standing(node).unwrap().pop().unwrap();
    preview::preview(node, vec![last], force).unwrap().actions
}

fn add(node: &Scripted, path: &str, line: &str) {
    node.files.put(path, node.files.text(path) + line);
}

#[test]
fn a1_rollback_takes_our_account_out_and_leaves_those_that_were_made_since() {
    for force in [false, true] {
        let (node, _) = committed();
        add(&node, "/etc/passwd", "eve:x:1001:1001::/home/eve:/bin/bash\n");
        add(&node, "/etc/shadow", "eve:!:20500:0:99999:7:::\n");
        // The admin has another password by now: the account goes all the same.
        node.files.put("/etc/shadow", node.files.text("/etc/shadow").replace("$y$j9T$salt$hash", "$y$since"));
        node.files
            .put("/etc/group", node.files.text("/etc/group").replace("sudo:x:27:ops", "sudo:x:27:ops,eve"));
        let mode = node.lookup(Path::new("/etc/shadow")).unwrap().unwrap().mode;
        assert_eq!(back(&node, force), [""; 0], "{force}");
        let passwd = "root:x:0:0:root:/root:/bin/bash\neve:x:1001:1001::/home/eve:/bin/bash\n";
        assert_eq!(node.files.text("/etc/passwd"), passwd);
        assert_eq!(node.files.text("/etc/shadow"), "root:*:20000:0:99999:7:::\neve:!:20500:0:99999:7:::\n");
        assert_eq!(node.files.text("/etc/group"), "root:x:0:\nsudo:x:27:eve\n");
        assert_eq!(node.lookup(Path::new("/etc/shadow")).unwrap().unwrap().mode, mode);
        assert!(!node.files.has("/home/ops"));
    }
}

/// A node with `ops`, and usermod that changes the shell.
fn with_ops() -> Scripted {
    let node = debian();
    add(&node, "/etc/passwd", "ops:x:1000:1000:Ops:/home/ops:/bin/sh\n");
    add(&node, "/etc/shadow", "ops:$y$old:20000:0:99999:7:::\n");
    node.files.directory("/home/ops");
    node.on("/usr/sbin/usermod", |files, _| {
        for (path, from, to) in
            [("/etc/passwd", "/bin/sh", "/bin/bash"), ("/etc/group", "sudo:x:27:", "sudo:x:27:ops")]
        {
            files.put(path, files.text(path).replace(from, to));
        }
        crate::node::Output { status: 0, stdout: String::new(), stderr: String::new() }
    });
    node
}

fn wanted() -> Vec<(Phase, Change)> {
    let account = AccountChange {
        name: "ops".into(),
        comment: String::new(),
        shell: "/bin/bash".into(),
        home: "/home/ops".into(),
        groups: vec!["sudo".into()],
        password: None,
    };
    vec![(Phase::Accounts, Change::Account(account))]
}

#[test]
fn a1_an_account_that_was_there_is_put_back_exactly() {
    let node = with_ops();
    let before = whole(&node);
    run(&node, wanted());
    assert!(node.files.text("/etc/passwd").contains("/home/ops:/bin/bash"));
    assert_eq!(back(&node, false), [""; 0]);
    assert_same(&before, &whole(&node), "alone");
    // The same with others at work.
    run(&node, wanted());
    add(&node, "/etc/passwd", "eve:x:1001:1001::/home/eve:/bin/bash\n");
    assert_eq!(back(&node, false), [""; 0]);
    let passwd = node.files.text("/etc/passwd");
    assert!(
        passwd.contains("ops:x:1000:1000:Ops:/home/ops:/bin/sh\n") && passwd.contains("eve:"),
        "{passwd}"
    );
    assert!(node.files.text("/etc/group").contains("sudo:x:27:\n"));
}

#[test]
fn a1_a_field_that_somebody_changed_since_is_kept_and_told_unless_forced() {
    for force in [false, true] {
        let node = with_ops();
        run(&node, wanted());
        node.files.put(
            "/etc/passwd",
            node.files.text("/etc/passwd").replace("/home/ops:/bin/bash", "/home/ops:/bin/zsh"),
        );
        let kept = back(&node, force);
        assert_eq!(kept, if force { vec![] } else { vec!["/etc/passwd"] });
        let shell = if force { "/bin/sh" } else { "/bin/zsh" };
        assert!(node.files.text("/etc/passwd").contains(&format!("ops:x:1000:1000:Ops:/home/ops:{shell}\n")));
    }
}

#[test]
fn h2_a_package_that_a_later_one_needs_stays_with_its_files_and_is_told() {
    for force in [false, true] {
        let (node, _) = committed();
        let purge = "/usr/bin/apt-get -q --simulate --no-auto-remove purge";
        node.says(purge, "Purg tool [1]\nPurg sudo [1]\nPurg ufw [0.36]\n");
        node.says(&format!("{purge} sudo"), "Purg tool [1]\nPurg sudo [1]\n");
        node.says(&format!("{purge} ufw"), "Purg ufw [0.36]\n");
        node.on("/usr/bin/dpkg --force-remove-reinstreq --purge", |files, invocation| {
            assert_eq!(invocation.arguments.last().map(String::as_str), Some("ufw"));
            for path in ["/usr/sbin/ufw", "/etc/ufw/ufw.conf", "/etc/default/ufw"] {
                if files.has(path) {
                    files.remove(path);
                }
            }
            crate::node::Output { status: 0, stdout: String::new(), stderr: String::new() }
        });
        let kept = back(&node, force);
        assert!(kept.contains(&"package sudo: tool needs it".to_owned()), "{kept:?}");
        assert!(kept.contains(&"/etc/sudoers".to_owned()), "{kept:?}");
        assert!(node.files.has("/etc/sudoers"), "its configuration stays with it");
        assert!(
            !node.files.has("/etc/sudoers.d/firstlight") && !node.files.has("/home/ops"),
            "the rest is back"
        );
        assert!(!node.files.has("/etc/default/ufw"));
        assert!(!node.files.text("/etc/passwd").contains("ops:"));
    }
}

fn with_sysctl(node: &Scripted) {
    node.on("/usr/sbin/sysctl -q -e -w", move |files, invocation| {
        for (name, value) in invocation.arguments.iter().filter_map(|word| word.split_once('=')) {
            files.put(&format!("/proc/sys/{}", name.replace('.', "/")), format!("{value}\n"));
        }
        crate::node::Output { status: 0, stdout: String::new(), stderr: String::new() }
    });
}

#[test]
fn g1_j3_a_kernel_setting_that_somebody_has_set_since_is_kept_and_told_unless_forced() {
    let (kptr, dmesg) = ("/proc/sys/kernel/kptr_restrict", "/proc/sys/kernel/dmesg_restrict");
    for force in [false, true] {
        let node = debian();
        node.files.put(kptr, "0\n");
        node.files.put(dmesg, "0\n");
        with_sysctl(&node);
        let both = |kptr: &str| {
            let settings = [("kernel.kptr_restrict", kptr), ("kernel.dmesg_restrict", "1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            vec![(Phase::Services, Change::Kernel(KernelChange { settings: settings.into() }))]
        };
        run(&node, both("2"));
        node.files.put(kptr, "1\n");
        let actions = actions(&node, force);
        assert!(
            actions.contains(&"the kernel's kernel.dmesg_restrict is as before".to_owned()),
            "{actions:?}"
        );
        let told = if force {
            "the kernel's kernel.kptr_restrict is as before"
        } else {
            "the kernel's kernel.kptr_restrict stays: somebody else has set it"
        };
        assert!(actions.contains(&told.to_owned()), "{actions:?}");
        assert_eq!(back(&node, force), if force { vec![] } else { vec![kptr] });
        let values = (node.files.text(kptr), node.files.text(dmesg));
        assert_eq!(values, (if force { "0\n" } else { "1\n" }.to_owned(), "0\n".to_owned()));
    }
}

#[test]
fn g1_j3_one_way_back_over_two_runs_that_set_the_same_takes_nothing_for_somebody_elses() {
    let kptr = "/proc/sys/kernel/kptr_restrict";
    let node = debian();
    node.files.put(kptr, "0\n");
    with_sysctl(&node);
    for value in ["1", "2"] {
        let settings = vec![("kernel.kptr_restrict".to_owned(), value.to_owned())];
        run(&node, vec![(Phase::Services, Change::Kernel(KernelChange { settings }))]);
    }
    let chain = state::standing(&node).unwrap();
    let told = preview::preview(&node, chain.into_iter().rev().collect(), false).unwrap().actions;
    assert_eq!(told, ["the kernel's kernel.kptr_restrict is as before"; 2]);
    let outcome = rollback(&node, Some(TransactionId(1)), false, &mut Silent).unwrap();
    let Outcome::Reverted(_, _, kept) = outcome else { panic!("{outcome:?}") };
    assert_eq!((kept, node.files.text(kptr).as_str()), (vec![], "0\n"));
}

#[test]
fn e1_a_kernel_setting_gets_its_value_back() {
    let node = debian();
    let path = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    node.files.put(path, "1\n");
    with_sysctl(&node);
    let name = "net.bridge.bridge-nf-call-iptables".to_owned();
    let change = Change::Kernel(KernelChange { settings: vec![(name, "0".into())] });
    run(&node, vec![(Phase::Exposure, change.clone())]);
    assert_eq!(node.files.text(path), "0\n");
    assert_eq!(back(&node, false), [""; 0]);
    assert_eq!(node.files.text(path), "1\n");
    // A setting whose module is gone has no value to get back.
    run(&node, vec![(Phase::Exposure, change)]);
    node.files.remove(path);
    assert_eq!(back(&node, false), [""; 0]);
}

#[test]
fn e1_the_way_back_of_the_cluster_firewall_holds_pves_lock_and_one_that_is_held_is_told() {
    let node = debian();
    node.mount_cluster();
    let (fw, lock) = ("/etc/pve/firewall/cluster.fw", "/etc/pve/priv/lock/firewall-cluster");
    node.files.put(fw, "[OPTIONS]\nenable: 1\n");
    node.files.directory("/etc/pve/priv/lock");
    run(&node, vec![(Phase::Exposure, Change::PveFirewall(Switch::Off))]);
    node.files.directory(lock);
    let outcome = rollback(&node, None, false, &mut Silent).unwrap();
    let Outcome::Stuck(_, _, left) = outcome else { panic!("{outcome:?}") };
    assert!(left.contains("is held by another node or a PVE service"), "{left}");
    node.files.remove(lock);
    let outcome = super::recover(&node, super::Stage::Late, &mut Silent).unwrap();
    assert!(matches!(outcome, Some(Outcome::Reverted(TransactionId(1), _, kept)) if kept.is_empty()));
    assert_eq!(node.files.text(fw), "[OPTIONS]\nenable: 1\n");
    assert!(!node.files.has(lock));
}

#[test]
fn j3_a_file_that_is_immutable_is_refused_in_the_plan() {
    assert!(nix::unistd::geteuid().is_root(), "this test needs root: chattr +i");
    let node = debian();
    node.files.put("/etc/mine.conf", "old");
    let flag = |flag: &str| {
        let done =
            std::process::Command::new("chattr").arg(flag).arg(node.files.host("/etc/mine.conf")).status();
        assert!(done.unwrap().success(), "chattr {flag}");
    };
    let planned = |content: &str| {
        let changes = vec![(Phase::Files, file("/etc/mine.conf", content, 0o644, "root"))];
        plan::make(&node, Proposal { changes, ..Proposal::default() })
    };
    flag("+i");
    let (refused, right) = (planned("new"), planned("old"));
    flag("-i");
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("/etc/mine.conf is immutable or append-only"), "{error}");
    assert!(
        error.contains("hint: lsattr -d /etc/mine.conf shows it; chattr -i -a /etc/mine.conf"),
        "{error}"
    );
    assert!(right.unwrap().steps.is_empty(), "nothing has to be changed");
}

#[test]
fn j3_pruning_keeps_what_a_way_back_that_is_not_over_has_set_aside() {
    let (node, _) = committed();
    node.files.put("/etc/default/ufw", "IPV6=yes\n# mine\n");
    node.refuses("/usr/bin/dpkg --force-remove-reinstreq --purge", 1, "no");
    let outcome = rollback(&node, None, false, &mut Silent).unwrap();
    assert!(matches!(outcome, Outcome::Stuck(..)), "{outcome:?}");
    super::super::prune(&node, 1).unwrap();
    node.on("/usr/bin/dpkg --force-remove-reinstreq --purge", |files, _| {
        for path in
            ["/usr/sbin/visudo", "/usr/sbin/ufw", "/etc/sudoers", "/etc/ufw/ufw.conf", "/etc/default/ufw"]
        {
            files.remove(path);
        }
        crate::node::Output { status: 0, stdout: String::new(), stderr: String::new() }
    });
    let outcome = super::recover(&node, super::Stage::Late, &mut Silent).unwrap();
    let Some(Outcome::Reverted(_, _, kept)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(kept, [PathBuf::from("/etc/default/ufw")]);
    assert_eq!(node.files.text("/etc/default/ufw"), "IPV6=yes\n# mine\n");
}

#[test]
fn j3_a_unit_that_was_masked_enabled_or_running_is_so_again() {
    let unit = "/etc/systemd/system/rpcbind.service";
    for (link, running) in [("/dev/null", false), ("/usr/lib/systemd/system/rpc.service", true)] {
        let node = debian();
        std::os::unix::fs::symlink(link, node.files.host(unit)).unwrap();
        if running {
            node.files.put("/run/active/rpcbind.service", "");
        }
        let before = whole(&node);
        // What somebody who asks systemd for it does: the mask goes, and links for the boot come.
        node.on("/usr/bin/systemctl --quiet enable -- rpcbind.service", move |files, _| {
            files.remove(unit);
            files.put("/etc/systemd/system/multi-user.target.wants/rpcbind.service", "");
            crate::node::Output { status: 0, stdout: String::new(), stderr: String::new() }
        });
        let change =
            UnitChange { name: "rpcbind.service".into(), enabled: Some(true), active: Some(!running) };
        run(&node, vec![(Phase::Services, Change::Unit(change))]);
        assert!(!node.files.has(unit) && node.files.has("/run/active/rpcbind.service") != running, "{link}");
        assert_eq!(back(&node, false), [""; 0]);
        assert_same(&before, &whole(&node), link);
        assert_eq!(std::fs::read_link(node.files.host(unit)).unwrap(), Path::new(link));
        assert_eq!(node.files.has("/run/active/rpcbind.service"), running, "{link}");
    }
}
