//! Only a login with a code of an entry that the admin had when the run ended.

use super::*;
use crate::facts::pve::FACTORS_PATH;
use crate::node::scripted::Scripted;

fn put(node: &Scripted, entries: &str) {
    let text = format!("{{\"users\":{{\"ops@pam\":{{\"totp\":[{entries}]}},{OTHERS}}}}}");
    node.files.put(FACTORS_PATH, text);
}

const OTHERS: &str =
    r#""root@pam":{"totp":[{"id":"b","entry":{"totp":"otpauth://totp/b?secret=BB","last-count":70}}]}"#;
const UNUSED: &str = r#"{"id":"a","enable":true,"entry":"otpauth://totp/a?secret=AA"}"#;

fn used(id: &str, last: &str) -> String {
    format!(r#"{{"id":"{id}","entry":{{"totp":"otpauth://totp/a?secret=AA","last-count":{last}}}}}"#)
}

fn waiting(node: &Scripted) -> Waiting {
    Waiting {
        boot: "b00t".into(),
        until: 600_000,
        admin: "ops".into(),
        keys: Vec::new(),
        not_from: Vec::new(),
        factors: steps(node, "ops"),
        cursor: String::new(),
    }
}

#[test]
fn j3_a_code_of_the_admins_that_pve_has_taken_since_confirms() {
    let node = Scripted::new();
    for (before, after) in [(UNUSED.to_owned(), used("a", "41")), (used("a", "41"), used("a", "42"))] {
        put(&node, &before);
        let waiting = waiting(&node);
        assert_eq!(waiting.factors.len(), 1, "{before}");
        assert_eq!(seen(&node, &waiting), None, "{before}");
        put(&node, &after);
        assert_eq!(seen(&node, &waiting).as_deref(), Some("a login of ops@pam at PVE's API"), "{after}");
        // A second device of the admin is theirs as well.
        put(&node, &format!("{},{}", used("z", "1"), after));
        assert!(seen(&node, &waiting).is_some());
    }
}

#[test]
fn j3_old_codes_other_users_new_entries_and_what_cannot_be_read_do_not_confirm() {
    let node = Scripted::new();
    put(&node, &used("a", "41"));
    let waiting = waiting(&node);
    for entries in [
        used("a", "41"),
        used("a", "40"),
        used("a", "\"99\""),
        used("a", "-1"),
        UNUSED.to_owned(),
        used("new", "99"),
        String::new(),
    ] {
        put(&node, &entries);
        assert_eq!(seen(&node, &waiting), None, "{entries}");
    }
    let other = OTHERS.replace("70", "71");
    node.files.put(FACTORS_PATH, format!("{{\"users\":{{{other}}}}}"));
    assert_eq!(seen(&node, &waiting), None, "root's login is not the admin's");
    node.files.put(FACTORS_PATH, "{\"users\":{\"ops@pam\":{\"totp\":[{\"id\":\"a\"");
    assert_eq!(seen(&node, &waiting), None, "half of a file");
    node.files.remove(FACTORS_PATH);
    assert_eq!(seen(&node, &waiting), None, "pmxcfs is down");
}

#[test]
fn j3_without_an_entry_at_the_end_of_the_run_none_confirms() {
    let node = Scripted::new();
    let waiting = waiting(&node);
    assert!(waiting.factors.is_empty());
    put(&node, &used("a", "99"));
    assert_eq!(seen(&node, &waiting), None);
}
