//! Unified diffs against literals.

use super::*;
use std::time::{Duration, Instant};

fn text(before: Option<&str>, after: &str) -> String {
    let lines = unified("/etc/x", before.map(str::as_bytes), after.as_bytes());
    lines.into_iter().map(|line| line.text + "\n").collect()
}

/// Applies a diff to `before`; what comes out must be `after`.
fn patched(before: &str, diff: &[Line]) -> String {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let (mut at, mut result) = (0, String::new());
    for (place, line) in diff.iter().enumerate() {
        let bare = diff.get(place + 1).is_some_and(|next| next.kind == Kind::Note);
        let end = if bare { "" } else { "\n" };
        match line.kind {
            Kind::Place => {
                let range = line.text.trim_start_matches("@@ -").split(' ').next().unwrap();
                let (start, count) = range.split_once(',').unwrap_or((range, "1"));
                let start: usize = start.parse().unwrap();
                let start = if count == "0" { start } else { start - 1 };
                result.push_str(&old[at..start].concat());
                at = start;
            }
            Kind::Same => {
                assert_eq!(old[at], format!("{}{end}", &line.text[1..]));
                result.push_str(old[at]);
                at += 1;
            }
            Kind::Removed => {
                assert_eq!(old[at], format!("{}{end}", &line.text[1..]));
                at += 1;
            }
            Kind::Added => result.push_str(&format!("{}{end}", &line.text[1..])),
            Kind::Header | Kind::Note => {}
        }
    }
    result.push_str(&old[at..].concat());
    result
}

#[test]
fn j2_equal_contents_have_no_diff() {
    assert_eq!(text(Some(""), ""), "");
    assert_eq!(text(Some("a\nb\n"), "a\nb\n"), "");
}

#[test]
fn j2_a_new_file_is_all_added() {
    assert_eq!(text(None, "a\nb\n"), "--- /dev/null\n+++ /etc/x\n@@ -0,0 +1,2 @@\n+a\n+b\n");
    assert_eq!(text(None, "a\n"), "--- /dev/null\n+++ /etc/x\n@@ -0,0 +1 @@\n+a\n");
}

#[test]
fn j2_an_emptied_file_is_all_removed() {
    assert_eq!(text(Some("a\nb\n"), ""), "--- /etc/x\n+++ /etc/x\n@@ -1,2 +0,0 @@\n-a\n-b\n");
}

#[test]
fn j2_a_missing_newline_at_the_end_is_said() {
    assert_eq!(
        text(Some("a\nb"), "a\nb\n"),
        "--- /etc/x\n+++ /etc/x\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n"
    );
    assert_eq!(
        text(Some("a\nb\n"), "c\nb"),
        "--- /etc/x\n+++ /etc/x\n@@ -1,2 +1,2 @@\n-a\n-b\n+c\n+b\n\\ No newline at end of file\n"
    );
}

#[test]
fn j2_three_lines_of_context_stand_around_a_change() {
    let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
    let after = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n";
    assert_eq!(
        text(Some(before), after),
        "--- /etc/x\n+++ /etc/x\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
    );
}

#[test]
fn j2_changes_far_apart_have_their_own_hunks_and_near_ones_share_one() {
    let numbers = |from: &[(usize, &str)]| -> String {
        let line =
            |n: usize| from.iter().find(|(at, _)| *at == n).map_or(n.to_string(), |(_, t)| t.to_string());
        (1..=30).map(|n| line(n) + "\n").collect()
    };
    let far = text(Some(&numbers(&[])), &numbers(&[(5, "x"), (20, "y")]));
    assert_eq!(far.matches("@@ -").count(), 2, "{far}");
    assert!(far.contains("@@ -2,7 +2,7 @@") && far.contains("@@ -17,7 +17,7 @@"), "{far}");
    let near = text(Some(&numbers(&[])), &numbers(&[(5, "x"), (12, "y")]));
    assert_eq!(near.matches("@@ -").count(), 1, "{near}");
    let apart = text(Some(&numbers(&[])), &numbers(&[(5, "x"), (13, "y")]));
    assert_eq!(apart.matches("@@ -").count(), 2, "{apart}");
}

#[test]
fn j2_repeated_lines_are_compared_exactly() {
    assert_eq!(
        text(Some("x\na\nx\na\nx\n"), "x\na\na\nx\n"),
        "--- /etc/x\n+++ /etc/x\n@@ -1,5 +1,4 @@\n x\n a\n-x\n a\n x\n"
    );
}

#[test]
fn j2_control_characters_of_a_file_do_not_reach_the_terminal() {
    let shown = text(Some("a\n"), "\x1b]0;gotcha\x07\r\n");
    assert!(shown.contains("+^[]0;gotcha^G^M\n"), "{shown}");
}

#[test]
fn j2_text_is_told_from_binary() {
    assert!(is_text("é\n".as_bytes()) && is_text(b""));
    assert!(!is_text(b"a\0b") && !is_text(&[0xff, 0xfe]));
}

#[test]
fn j2_a_diff_applied_to_the_old_content_gives_the_new_one() {
    // A small generator of our own: reproducible, and poor in distinct lines on purpose.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    for round in 0..2000_u64 {
        let alphabet = 1 + round % 12;
        let mut side = || {
            let mut lines: Vec<String> = (0..next(24)).map(|_| format!("l{}\n", next(alphabet))).collect();
            if next(3) == 0 {
                lines.push("end".to_owned());
            }
            lines.concat()
        };
        let (before, after) = (side(), side());
        let diff = unified("/x", Some(before.as_bytes()), after.as_bytes());
        assert_eq!(patched(&before, &diff), after, "{before:?} → {after:?}");
        assert_eq!(diff.is_empty(), before == after);
    }
}

#[test]
fn j2_ten_thousand_lines_are_compared_at_once() {
    let lines = |prefix: &str| -> String { (0..10_000).map(|n| format!("{prefix} {n}\n")).collect() };
    let reversed: String = (0..10_000).rev().map(|n| format!("old {n}\n")).collect();
    let same: String = "same\n".repeat(10_000);
    let (old, new) = (lines("old"), lines("new"));
    let started = Instant::now();
    for (before, after) in [(&old, &new), (&old, &reversed), (&old, &same), (&same, &old), (&old, &old)] {
        let diff = unified("/x", Some(before.as_bytes()), after.as_bytes());
        assert_eq!(patched(before, &diff), *after);
    }
    // Not a measurement: a quadratic comparison would take minutes.
    assert!(started.elapsed() < Duration::from_secs(20));
}
