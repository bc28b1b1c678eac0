//! A plan as people see it.

use super::*;
use crate::change::{FileChange, PackagesChange};
use crate::plan::json;
use std::path::PathBuf;

fn file(mode: u32, public: bool, before: Option<&[u8]>, after: &[u8]) -> Step {
    let path = PathBuf::from("/etc/x.conf");
    let change =
        FileChange { path: path.clone(), content: after.to_vec(), mode, owner: "root".into(), public };
    Step {
        change: Change::File(change),
        title: format!("file /etc/x.conf: {} bytes, {mode:04o}", after.len()),
        view: View::Diff { path, before: before.map(<[u8]>::to_vec), after: after.to_vec() },
    }
}

fn plan(steps: Vec<Step>) -> Plan {
    Plan {
        steps,
        controls: Vec::new(),
        gates: Vec::new(),
        reach: None,
        warnings: vec!["guest firewalls are now\x1b[2J inactive".into()],
        notes: Vec::new(),
        hash: "abc123".into(),
    }
}

/// Everything of a plan that leaves the program.
fn everything(plan: &Plan) -> String {
    render(plan, Some("a.toml"), Paint::PLAIN) + &json::value(plan).to_string()
}

#[test]
fn j2_a_plan_shows_diffs_details_warnings_and_the_command_for_exactly_this() {
    let packages = Step {
        change: Change::Packages(PackagesChange {
            names: vec!["sudo".into(), "ufw".into()],
            directory: None,
            allow_upgrades: false,
        }),
        title: "packages: 2 to install".into(),
        view: View::Lines(vec!["sudo".into(), "ufw".into()]),
    };
    let plan = plan(vec![packages, file(0o644, true, Some(b"a\n"), b"b\n")]);
    assert_eq!(
        render(&plan, Some("my answer.toml"), Paint::PLAIN),
        "packages: 2 to install\n  sudo\n  ufw\n\
         file /etc/x.conf: 2 bytes, 0644\n  --- /etc/x.conf\n  +++ /etc/x.conf\n  @@ -1 +1 @@\n  -a\n  +b\n\
         warning: guest firewalls are now^[[2J inactive\n\
         \n2 changes; 0 statements are checked afterwards; gates before: none.\n\
         Exactly this, and nothing else, is done by\n\n  firstlight apply 'my answer.toml' --plan abc123\n"
    );
}

#[test]
fn j2_no_secret_in_plan_a_file_that_is_not_world_readable_is_not_shown() {
    for (mode, public) in [(0o600, true), (0o640, true), (0o440, true), (0o644, false)] {
        let plan = plan(vec![file(mode, public, Some(b"hunter1\n"), b"hunter22\n")]);
        let text = everything(&plan);
        assert!(!text.contains("hunter"), "{mode:o} {public}: {text}");
        assert!(text.contains("/etc/x.conf: changed, 9 bytes, not shown"), "{text}");
    }
}

#[test]
fn j2_binary_content_is_not_shown() {
    for (before, after) in [(&b"a\n"[..], &b"a\0\x1b[2J"[..]), (&b"\xff\xfe"[..], &b"a\n"[..])] {
        let text = everything(&plan(vec![file(0o644, true, Some(before), after)]));
        assert!(text.contains("not shown") && !text.contains("@@"), "{text}");
    }
}

#[test]
fn j2_colour_never_reaches_a_plain_output_and_file_content_never_brings_its_own() {
    let plan = plan(vec![file(0o644, true, None, b"\x1b[31mred\x1b[0m\n")]);
    assert!(!everything(&plan).contains('\x1b'));
    let coloured = render(&plan, None, Paint::COLOURED);
    assert!(coloured.contains("\x1b[32m+^[[31mred^[[0m\x1b[0m"), "{coloured}");
}

#[test]
fn j1_an_empty_plan_says_so() {
    let mut plan = plan(Vec::new());
    plan.warnings.clear();
    assert_eq!(render(&plan, None, Paint::PLAIN), "Nothing to do: the node is as the answer wants it.\n");
    let read: serde_json::Value = serde_json::from_str(&json::value(&plan).to_string()).unwrap();
    assert_eq!(read["empty"], true);
    assert_eq!(read["plan"], "abc123");
}

#[test]
fn j2_a_plan_as_json_carries_the_diff_or_the_size() {
    let plan = plan(vec![file(0o644, true, None, b"b\n"), file(0o600, false, None, b"secret\n")]);
    let read: serde_json::Value = serde_json::from_str(&json::value(&plan).to_string()).unwrap();
    assert_eq!(read["steps"][0]["kind"], "file");
    assert_eq!(read["steps"][0]["diff"], "--- /dev/null\n+++ /etc/x.conf\n@@ -0,0 +1 @@\n+b\n");
    assert!(read["steps"][0]["bytes"].is_null());
    assert_eq!(read["steps"][1]["bytes"], 7);
    assert!(read["steps"][1]["diff"].is_null());
}
