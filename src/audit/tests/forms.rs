//! I1 and I2: text, JSON and JUnit; what is kept, and what has turned since.

use super::*;
use crate::node::scripted::Scripted;
use crate::report::terminal::Paint;

/// A node with one finding of every kind, and texts that want to be escaped.
fn audit() -> Audit {
    let finding = |id: &str, state, reason: &str| Finding {
        id: id.to_owned(),
        requirement: "B1",
        wanted: "a < b & \"c\"".to_owned(),
        state,
        reason: reason.to_owned(),
        remedy: if reason.is_empty() { String::new() } else { "mend <it>".to_owned() },
        cis: "5.1.1 5.1.2",
        ..Finding::default()
    };
    let mut waived = finding("ssh.four", State::Waived, "red");
    (waived.waiver, waived.until) = ("it's \"ours\"".to_owned(), "2027-06-30".to_owned());
    Audit {
        source: "a<b>.toml".to_owned(),
        at: 1_767_225_600_000,
        own: 7,
        findings: vec![
            finding("ssh.one", State::Holds, ""),
            finding("ssh.two", State::Fails, "it is \u{1b}[31m & 'so'"),
            finding("ssh.three", State::Unseen, "no tool"),
            waived,
            finding("refused.firewall.mode", State::Refused, "must not"),
        ],
        notes: vec!["a note".to_owned()],
    }
}

#[test]
fn i1_the_text_is_grouped_by_area_and_says_every_state_in_a_word() {
    let shown = text::render(&audit(), Paint::PLAIN, true);
    let expected = "\
firstlight audit:
  score 0 of 100: 1 hold, 3 need attention, 1 waived; held against a<b>.toml
  a note

ssh
  holds     ssh.one: a < b & \"c\"
  fails     ssh.two: a < b & \"c\"
            it is ^[[31m & 'so'
            remedy: mend <it>
  unseen    ssh.three: a < b & \"c\"
            no tool
            remedy: mend <it>
  waived    ssh.four: a < b & \"c\"
            red
            accepted: it's \"ours\"
            until 2027-06-30

refused
  refused   refused.firewall.mode: a < b & \"c\"
            must not
            remedy: mend <it>
";
    assert_eq!(shown, expected);
    let red = text::render(&audit(), Paint::PLAIN, false);
    assert_eq!(red, shown.replace("  holds     ssh.one: a < b & \"c\"\n", ""), "for the journal");
    let coloured = text::render(&audit(), Paint::COLOURED, true);
    assert!(coloured.contains("\x1b[31mfails"));
    let mut bare = coloured;
    for code in ["31", "32", "33", "1", "2", "0"] {
        bare = bare.replace(&format!("\x1b[{code}m"), "");
    }
    assert_eq!(bare, shown, "no information is in the colour alone");
}

#[test]
fn i1_the_json_has_every_key_of_the_documentation_and_no_other() {
    let read: serde_json::Value = serde_json::from_str(&json::value(&audit()).to_string()).unwrap();
    let documented = include_str!("../../../docs/audit.md");
    let table = |heading: &str| -> Vec<&str> {
        let part = documented.split(heading).nth(1).unwrap().split("\n\n").nth(1).unwrap();
        let names = part.lines().skip(2).flat_map(|line| line.split('|').nth(1).unwrap().split(','));
        names.map(|name| name.trim().trim_matches('`').trim_end_matches("[]")).collect()
    };
    let mut keys: Vec<&str> = read.as_object().unwrap().keys().map(String::as_str).collect();
    let mut known = table("\n### The audit");
    keys.sort_unstable();
    known.sort_unstable();
    assert_eq!(keys, known);
    let mut keys: Vec<&str> = read["controls"][0].as_object().unwrap().keys().map(String::as_str).collect();
    let mut known = table("\n### A control");
    keys.sort_unstable();
    known.sort_unstable();
    assert_eq!(keys, known);
    assert_eq!(read["controls"][0]["cis"], "5.1.1 5.1.2");
    assert!(read["controls"][0]["waiver"].is_null());
    assert_eq!(read["controls"][3]["until"], "2027-06-30");
    assert_eq!((&read["findings"], &read["score"]), (&serde_json::json!(3), &serde_json::json!(0)));
}

/// Python's own reader of XML says whether it is some, and what is in it.
#[test]
fn i1_junit_is_xml_with_every_control_in_it_whatever_the_texts_hold() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), junit::render(&audit())).unwrap();
    let program = "import sys, xml.etree.ElementTree as t; s = t.parse(sys.argv[1]).getroot()\n\
        print(s.get('name'))\n\
        for c in s: print(c.get('classname'), c.get('name'), [(x.tag, x.get('message'), x.text) for x in c])";
    let done = std::process::Command::new("python3").args(["-c", program]).arg(file.path()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let expected = "\
firstlight audit
firstlight.ssh ssh.one []
firstlight.ssh ssh.two [('failure', \"it is ^[[31m & 'so'\", 'mend <it>')]
firstlight.ssh ssh.three [('error', 'no tool', 'mend <it>')]
firstlight.ssh ssh.four [('skipped', 'it\\'s \"ours\"', 'mend <it>')]
firstlight.refused refused.firewall.mode [('failure', 'must not', 'mend <it>')]
";
    assert_eq!(said, expected);
}

#[test]
fn i2_what_was_kept_is_read_back_and_what_has_turned_since_is_told() {
    let node = Scripted::new();
    assert!(record::last(&node).is_empty());
    let mut first = audit();
    record::compare(&node, &mut first);
    assert_eq!(first.notes, ["a note"], "there is nothing to compare with");
    record::keep(&node, &first).unwrap();
    let mut second = audit();
    second.findings[0].state = State::Fails;
    second.findings[1].state = State::Holds;
    second.findings[2].state = State::Waived;
    record::compare(&node, &mut second);
    let turned = [
        "a note",
        "turned red since 2026-01-01T00:00:00Z: ssh.one",
        "turned green since 2026-01-01T00:00:00Z: ssh.two",
    ];
    assert_eq!(second.notes, turned);
    record::keep(&node, &second).unwrap();
    let last = record::last(&node);
    let summary =
        "2026-01-01T00:00:00Z: score 0 of 100: 1 hold, 2 need attention, 2 waived; held against a<b>.toml";
    assert_eq!(last[0], summary);
    assert_eq!(last[1..], turned);
    let status = crate::status::read(&node).unwrap();
    let shown = crate::status::text::render(&status, Paint::PLAIN);
    let told = "\nAudit\n  2026-01-01T00:00:00Z: score 0 of 100: 1 hold, 2 need attention, 2 waived; held\n  \
        against a<b>.toml\n  a note\n  turned red since 2026-01-01T00:00:00Z: ssh.one\n";
    assert!(shown.contains(told), "{shown}");
    let json: serde_json::Value =
        serde_json::from_str(&crate::status::json::value(&status).to_string()).unwrap();
    assert_eq!(json["audit"][2], turned[1]);
    use crate::node::Node;
    assert_eq!(node.lookup(std::path::Path::new(record::PATH)).unwrap().unwrap().mode, 0o600);
}

#[test]
fn i2_a_result_that_nobody_can_read_is_as_none() {
    let node = Scripted::new();
    for text in ["", "{", "[]", "{\"summary\":7}", "{\"controls\":[7,null,{\"control\":1}]}"] {
        node.files.put(record::PATH, text);
        let mut audit = audit();
        record::compare(&node, &mut audit);
        assert!(record::last(&node).is_empty(), "{text}");
    }
}

#[test]
fn i2_the_result_is_mailed_to_root_where_the_node_sends_mail() {
    let node = Scripted::new();
    mail(&node, &audit()).unwrap();
    assert!(node.ran().is_empty());
    node.files.put("/usr/sbin/sendmail", "");
    node.on("/usr/sbin/sendmail -t -oi", |files, invocation| {
        files.put("/mail", invocation.input.as_deref().unwrap());
        crate::node::Output { status: 0, stdout: String::new(), stderr: String::new() }
    });
    mail(&node, &audit()).unwrap();
    let text = node.files.text("/mail");
    assert!(
        text.starts_with("To: root\nSubject: firstlight audit: score 0 of 100: 1 hold, 3 need"),
        "{text}"
    );
    assert!(text.contains("\n\nfirstlight audit:\n  score 0 of 100") && !text.contains('\x1b'));
    node.refuses("/usr/sbin/sendmail -t -oi", 75, "queue full");
    assert!(mail(&node, &audit()).err().unwrap().to_string().contains("queue full"));
}
