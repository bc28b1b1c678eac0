//! The timer of the answer.

use super::*;
use crate::change::Change;
use crate::node::Output;
use crate::node::scripted::Scripted;
use crate::plan::{self, Plan};

fn proposal(schedule: &str) -> Proposal {
    let mut profile = Profile::example();
    profile.audit.schedule = schedule.to_owned();
    crate::areas::tests::proposed(&Audit, &profile, &Facts::example())
}

#[test]
fn i2_the_whole_timer_of_an_answer() {
    let proposal = proposal("Mon *-*-* 03:00");
    let Some((_, Change::File(file))) = proposal.changes.first() else { panic!("no file") };
    assert_eq!(file.path.to_str(), Some("/etc/systemd/system/firstlight-audit.timer"));
    assert_eq!(
        String::from_utf8_lossy(&file.content),
        "\
# Written by firstlight; change the answer and run `firstlight apply`.
[Unit]
Description=firstlight: audit

[Timer]
OnCalendar=Mon *-*-* 03:00
Persistent=yes
RandomizedDelaySec=1h

[Install]
WantedBy=timers.target
"
    );
    assert_eq!(proposal.gates.len(), 1);
}

/// What `systemd-analyze` of this machine says, where there is one, is what the gate would say.
#[test]
fn i2_a_calendar_that_systemd_does_not_understand_is_refused_before_anything_goes_live() {
    let gate = &proposal("every full moon").gates[0];
    let node = Scripted::new();
    node.on("/usr/bin/systemd-analyze calendar --", |_, invocation| {
        let done = std::process::Command::new("systemd-analyze").args(&invocation.arguments[1..]).output();
        done.map_or(Output { status: 1, stdout: String::new(), stderr: "no systemd".into() }, |done| Output {
            status: done.status.code().unwrap_or(1),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        })
    });
    let verdict = crate::gate::run(&node, gate, std::path::Path::new("/run")).unwrap();
    assert!(matches!(verdict, crate::gate::Verdict::Failed(_)));
    if std::path::Path::new("/usr/bin/systemd-analyze").exists() {
        for right in ["monthly", "Mon *-*-* 03:00", "*-*~01 00:00"] {
            let gate = &proposal(right).gates[0];
            let verdict = crate::gate::run(&node, gate, std::path::Path::new("/run")).unwrap();
            assert_eq!(verdict, crate::gate::Verdict::Passed, "{right}");
        }
    }
}

fn planned(node: &Scripted, schedule: &str) -> Plan {
    plan::make(node, proposal(schedule)).unwrap()
}

fn titles(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.title.as_str()).collect()
}

#[test]
fn i2_another_schedule_starts_the_timer_anew_and_never_stops_it() {
    let node = Scripted::new();
    node.files.put("/usr/bin/systemctl", "");
    node.files.directory("/etc/systemd/system");
    node.files.put("/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    node.says("/usr/bin/systemctl is-enabled", "enabled\n");
    node.says("/usr/bin/systemctl is-active", "active\n");
    node.says("/usr/bin/systemctl daemon-reload", "");
    node.says("/usr/bin/systemctl restart -- firstlight-audit.timer", "");
    node.files.put("/etc/systemd/system/firstlight-audit.timer", timer("monthly"));
    assert!(
        titles(&planned(&node, "monthly")).iter().all(|title| title.starts_with("file ")),
        "mode and owner alone"
    );
    let plan = planned(&node, "weekly");
    assert_eq!(titles(&plan).len(), 2);
    let Some(Change::Reload(_)) = plan.steps.last().map(|step| &step.change) else { panic!("no reload") };
    plan.steps[1].change.effect(&node).unwrap();
    let ran = node.ran();
    let last: Vec<&str> = ran.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(
        last,
        ["/usr/bin/systemctl restart -- firstlight-audit.timer", "/usr/bin/systemctl daemon-reload"]
    );
    assert_eq!(titles(&planned(&node, "never")), ["unit firstlight-audit.timer: not at boot, stopped"]);
    node.says("/usr/bin/systemctl is-enabled", "not-found\n");
    node.says("/usr/bin/systemctl is-active", "inactive\n");
    assert!(titles(&planned(&node, "never")).is_empty(), "a node without a timer has none");
}

#[test]
fn i2_switched_off_there_is_neither_timer_nor_control() {
    let mut profile = Profile::example();
    profile.audit.enabled = false;
    let (controls, _) = crate::areas::audited(&profile, &Facts::example());
    assert!(!controls.iter().any(|control| control.id.starts_with("audit.")));
}
