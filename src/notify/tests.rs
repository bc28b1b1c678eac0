//! Who is told what, by which words, once.

use super::*;
use crate::node::scripted::Scripted;
use crate::status;
use crate::transaction::tests::committed;
use std::cell::RefCell;
use std::rc::Rc;

const URL: &str = "https://example.org/hook?token=geheim";

/// A node with a committed run of an answer that wants this of its report.
fn node(report: &str) -> Scripted {
    let (node, _) = committed();
    let text = format!(
        "[firstlight]\nschema = 1\nssh.enabled = false\n[firstlight.admin]\nname = \"ops\"\nenabled = false\n\
         [firstlight.report]\n{report}"
    );
    answer::read("t", text.as_bytes()).unwrap_or_else(|problems| panic!("{problems}"));
    node.files.put("/var/lib/firstlight/tx/0001/profile.toml", text);
    node
}

type Calls = Rc<RefCell<Vec<(Vec<String>, String, String)>>>;

/// A tool that says this code; what it was called with, what it read, and the body.
fn answers(node: &Scripted, program: &str, status: i32) -> Calls {
    node.files.put(program, "");
    let calls = Calls::default();
    let seen = Rc::clone(&calls);
    node.on(program, move |files, invocation| {
        let input = String::from_utf8(invocation.input.clone().unwrap()).unwrap();
        let body = files.text("/run/firstlight/result.json");
        seen.borrow_mut().push((invocation.arguments.clone(), input, body));
        let stderr = format!("{URL}: ERROR 500");
        crate::node::Output { status, stdout: String::new(), stderr }
    });
    calls
}

fn told(node: &Scripted) -> Result<()> {
    tell(node, &status::read(node).unwrap())
}

#[test]
fn j5_the_webhook_is_told_once_what_came_of_a_run_and_its_address_is_on_no_command_line() {
    let node = node(&format!("webhook = \"{URL}\"\n"));
    let calls = answers(&node, WGET, 0);
    told(&node).unwrap();
    told(&node).unwrap();
    let calls = calls.borrow();
    let [(arguments, input, body)] = calls.as_slice() else { panic!("{} calls", calls.len()) };
    assert_eq!(input, &format!("{URL}\n"));
    assert!(
        !arguments.iter().any(|word| word.contains("geheim") || word.contains("Signature")),
        "{arguments:?}"
    );
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["status"]["outcome"], "committed");
    assert!(body["node"].is_string());
    assert!(!node.files.has("/run/firstlight/result.json"));
}

#[test]
fn j5_a_failure_is_a_warning_without_the_address_and_is_tried_again_next_time() {
    let node = node(&format!("webhook = \"{URL}\"\n"));
    let calls = answers(&node, CURL, 22);
    for _ in 0..2 {
        let error = told(&node).unwrap_err().to_string();
        assert_eq!(error, "telling the result to report.webhook: …: ERROR 500");
    }
    assert_eq!(calls.borrow().len(), 2);
    assert_eq!(calls.borrow()[0].1, format!("url = \"{URL}\"\n"));
    assert!(!node.files.has("/run/firstlight/result.json"));
}

#[test]
fn j5_the_signature_is_the_hmac_of_the_body_by_a_key_from_wherever_it_lies() {
    for (key, place) in [
        ("{ file = \"/root/key\" }", "/root/key"),
        ("{ credential = \"hook\" }", "/run/credentials/@system/hook"),
        ("\"Jefe\"", ""),
    ] {
        let node = node(&format!("webhook = \"{URL}\"\nwebhook-key = {key}\n"));
        if place.is_empty() {
            let text = node.files.text("/var/lib/firstlight/tx/0001/profile.toml");
            keep_key(&node, &answer::read("t", text.as_bytes()).ok().unwrap().profile.report).unwrap();
            assert_eq!(node.lookup(Path::new(KEY_PATH)).unwrap().unwrap().mode, 0o600);
        } else {
            node.files.put(place, "Jefe\n");
        }
        let calls = answers(&node, WGET, 0);
        told(&node).unwrap();
        let (arguments, _, body) = &calls.borrow()[0];
        let wanted = format!("X-Firstlight-Signature:sha256={}", hmac(b"Jefe", body.as_bytes()));
        assert_eq!(arguments.last(), Some(&wanted), "{key}");
        assert!(!arguments.iter().any(|word| word.contains("Jefe")));
    }
    // RFC 4231, cases 2 and 6.
    assert_eq!(
        hmac(b"Jefe", b"what do ya want for nothing?"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    assert_eq!(
        hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    );
}

#[test]
fn j5_the_text_file_for_prometheus_is_whole_and_readable_for_everybody() {
    let node = node("prometheus-textfile = \"/var/lib/prometheus\"\n");
    node.files.directory("/var/lib/prometheus");
    node.files.put(record::PATH, "{\"score\":97,\"findings\":2}");
    told(&node).unwrap();
    let text = node.files.text("/var/lib/prometheus/firstlight.prom");
    for line in [
        "firstlight_exit_code 0",
        "firstlight_outcome{outcome=\"committed\"} 1",
        "firstlight_audit_score 97",
        "firstlight_audit_findings 2",
    ] {
        assert!(text.lines().any(|own| own == line), "{line}: {text}");
    }
    let mode = node.lookup(Path::new("/var/lib/prometheus/firstlight.prom")).unwrap().unwrap().mode;
    assert_eq!(mode, 0o644);
    // Where nobody asked for it, nothing is written and nobody is called.
    let node = self::node("");
    told(&node).unwrap();
    assert!(!node.files.has(TOLD_PATH));
}
