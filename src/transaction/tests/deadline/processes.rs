//! Real processes: one that hangs with the lock, one that is somebody else's, and what a killed run leaves running.

use super::*;
use std::process::{Child, Command, Stdio};

/// A process that holds the lock of the node's directory and does nothing else.
fn hold(node: &Scripted, stubborn: bool) -> Child {
    state::prepare(node).unwrap();
    let lock = node.files.host(LOCK_PATH);
    std::fs::write(&lock, "").unwrap();
    let script = if stubborn { "trap '' TERM; while :; do sleep 0.05; done" } else { "exec sleep 1000" };
    let child = Command::new("flock")
        .args(["--no-fork", "--nonblock"])
        .arg(&lock)
        .args(["sh", "-c", script])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let holds = || super::super::super::process::holds(node, child.id()).unwrap();
    let since = std::time::Instant::now();
    while !holds() {
        assert!(since.elapsed().as_secs() < 20, "nobody takes the lock");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::fs::write(&lock, format!("{}\n", child.id())).unwrap();
    child
}

#[test]
fn j3_a_holder_that_hangs_is_stopped_when_its_time_is_up_and_the_node_put_back() {
    for stubborn in [false, true] {
        let node = node();
        let before = whole(&node);
        node.with_real_processes();
        let mut child = hold(&node, stubborn);
        die(&node);
        let process = child.id();
        let reaper = std::thread::spawn(move || child.wait());
        // Short, so that the clock of the test gets there soon.
        rearm(&node, |armed| armed.until = node.boottime() + 20_000);
        let outcome = keep_deadline(&node, &mut Silent).unwrap().unwrap();
        assert!(matches!(outcome, Outcome::Reverted(..)), "{outcome:?}");
        reaper.join().unwrap().unwrap();
        let stopped = node.stopped();
        assert!(stopped.iter().all(|(stopped, _)| *stopped == process), "{stopped:?}");
        assert_eq!(stopped.first(), Some(&(process, false)), "asked first");
        // A busy machine may take its time to end it, and then it is asked once more.
        assert!(!stubborn || stopped.contains(&(process, true)), "{stopped:?}");
        assert_same(&before, &whole(&node), "put back");
    }
}

#[test]
fn j3_nobody_else_is_stopped_however_late_it_is() {
    // The lock's holder is not the process that armed the timer: another one, or another of the same number.
    for other in [true, false] {
        let node = node();
        node.with_real_processes();
        let mut child = hold(&node, false);
        die(&node);
        rearm(&node, |armed| {
            armed.until = 0;
            if other { armed.process = std::process::id() } else { armed.began += 1 }
        });
        let looks = Cell::new(0);
        node.meanwhile(move |files, _| {
            looks.set(looks.get() + 1);
            if looks.get() > 5 {
                files.remove("/proc/sys/kernel/random/boot_id");
            }
        });
        keep_deadline(&node, &mut Silent).unwrap();
        assert!(node.stopped().is_empty(), "{:?}", node.stopped());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn j3_what_a_killed_run_left_running_is_waited_for_and_then_ended_whoever_puts_the_node_back() {
    for keeper in [true, false] {
        let node = node();
        let before = whole(&node);
        node.with_real_processes();
        die(&node);
        let run = 3_999_999_999_u32;
        rearm(&node, |armed| armed.process = run);
        let mut child =
            Command::new("sleep").arg("1000").env("FIRSTLIGHT_RUN", run.to_string()).spawn().unwrap();
        let process = child.id();
        let reaper = std::thread::spawn(move || child.wait());
        let up = node.boottime();
        if keeper {
            keep_deadline(&node, &mut Silent).unwrap();
        } else {
            recover(&node, Stage::Late, &mut Silent).unwrap();
        }
        let stopped = node.stopped();
        assert!(stopped.iter().all(|(stopped, _)| *stopped == process), "{stopped:?}");
        assert_eq!(stopped.first(), Some(&(process, false)), "asked first");
        reaper.join().unwrap().unwrap();
        assert!(node.boottime() - up >= 5 * MINUTE, "dpkg may take its time");
        assert_same(&before, &whole(&node), "put back");
    }
}

/// A run that ends in the middle, after its packages.
fn die(node: &Scripted) {
    let plan = planned(node);
    node.revive();
    node.fail_at_step(150);
    let ended = apply(node, &plan, &ORDER, &mut Silent);
    assert!(node.is_down() && matches!(ended, Err(_) | Ok(Outcome::Stuck(..))));
    node.revive();
    assert!(records(node).iter().any(|record| matches!(record.event, Event::Done { step: 0, .. })));
}

/// Changes the record of the timer.
fn rearm(node: &Scripted, change: impl Fn(&mut super::super::super::record::Armed)) {
    let text: String = records(node)
        .into_iter()
        .map(|mut record| {
            if let Event::Armed(armed) = &mut record.event {
                change(armed);
            }
            record.encode()
        })
        .collect();
    node.files.put(ID.journal().to_str().unwrap(), text);
}
