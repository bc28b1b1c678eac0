//! The flow on a node of facts: what it asks, what it takes, and the answer that comes of it.

use super::*;
use crate::answer::Problem;
use crate::areas::example::{BLOB, FINGERPRINT, address, network};
use crate::facts::User;
use crate::profile::{FirewallMode, Management};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICSRnhZczuItvkC4OIHjiTlZfkL7tay9kjZQKYGK4cdl me@desk";
const HASH: &str = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7";

fn roots() -> String {
    format!(
        "# of the installer\nssh-ed25519 {BLOB} ops@desk\n{} root@pve1\n",
        KEY.trim_end_matches(" me@desk")
    )
}

/// Answers until the end; what every question was called.
fn run(flow: &mut Flow<'_>, typed: &[&str]) -> Vec<&'static str> {
    let mut asked = Vec::new();
    let mut typed = typed.iter();
    while let Some(question) = flow.question() {
        if !flow.more {
            asked.push(question.title());
        }
        let line = *typed.next().unwrap_or_else(|| panic!("no answer to {}", question.title()));
        let line = if line.is_empty() { flow.prompt().1 } else { line.to_owned() };
        if let Some(text) = flow.answer(&line) {
            assert!(text.contains("Taken"), "{text}");
        }
    }
    assert_eq!(typed.next(), None);
    asked
}

#[test]
fn j2_a_default_run_on_pve_asks_eight_questions_and_every_default_is_taken() {
    let facts = Facts::example();
    let roots = roots();
    let mut flow = Flow::new(&facts, &roots);
    let asked = run(&mut flow, &["", "", "", HASH, "", "", "", "", ""]);
    assert_eq!(
        asked,
        [
            "Admin",
            "SSH key",
            "Password",
            "Firewall",
            "Management networks",
            "Second factor (TOTP)",
            "Updates",
            "Leave alone"
        ]
    );
    assert_eq!(
        flow.text(),
        format!(
            "# Written by `firstlight wizard`.\n[firstlight]\nschema = 1\nadmin.name = \"ops\"\n\
             admin.ssh-keys = [\"ssh-ed25519 {BLOB} ops@desk\"]\nadmin.password-hash = \"{HASH}\"\n\
             firewall.mode = \"pve\"\nfirewall.management = [\"10.0.20.0/24\"]\n\
             totp.enrolment = \"on-verify\"\nupdates.security = true\n"
        )
    );
    let answer = flow.result().unwrap();
    assert!(crate::areas::propose_all(&answer.profile, &facts).is_ok());
    assert!(answer.profile.source == SOURCE && answer.profile.firewall.mode == Some(FirewallMode::Pve));
    assert!(!answer.record.contains("$y$"));
}

#[test]
fn j2_every_question_has_a_help_of_its_own_and_fits_80_columns_and_20_rows() {
    let facts = Facts { ssh_peers: vec![address("10.0.20.77")], ..Facts::example() };
    let roots = roots();
    let mut flow = Flow::new(&facts, &roots);
    let mut helps: Vec<String> = Vec::new();
    let typed = ["ops", "r", "", HASH, "1", "", "1", "1", ""];
    for line in typed {
        let help = wrapped(flow.question().unwrap().help(), INDENT, WIDTH);
        let shown = format!("{}{}: \n{help}", flow.shown(), flow.prompt().0);
        assert!(shown.lines().count() <= 20, "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() < 80), "{shown}");
        if !flow.more {
            assert!(!helps.contains(&help), "{shown}");
            helps.push(help);
        }
        let line = if line.is_empty() { flow.prompt().1 } else { line.to_owned() };
        flow.answer(&line);
    }
    assert!(flow.question().is_none() && helps.len() == 8);
}

#[test]
fn a3_j2_a_new_pair_has_a_passphrase_that_no_answer_holds() {
    let facts = Facts::example();
    let mut flow = Flow::new(&facts, "");
    let asked = run(&mut flow, &["", "n", "four words", HASH, "", "", "", "", ""]);
    assert_eq!(asked[1..4], ["SSH key", "Passphrase of the new key", "Password"]);
    assert_eq!(flow.passphrase(), "four words");
    let text = flow.text();
    assert!(text.contains("\nadmin.ssh-key-pair = \"node\"\n") && !text.contains("four words"), "{text}");
    assert!(!text.contains("ssh-keys"), "{text}");
    // Another key in its place needs none, and gets none.
    while flow.question().is_none_or(|question| question.title() != "SSH key") {
        flow.back();
    }
    assert_eq!(flow.prompt().1, KEEP);
    assert!(!run(&mut flow, &[KEY, "", HASH, "", "", "", "", ""]).contains(&"Passphrase of the new key"));
    assert_eq!(flow.passphrase(), "");
}

#[test]
fn j2_what_check_refuses_is_refused_at_its_question_in_the_same_words() {
    let facts = Facts::example();
    let mut flow = Flow::new(&facts, "");
    let refused = |flow: &mut Flow<'_>, typed: &str, words: &str| match flow.answer(typed) {
        Some(text) => {
            assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(words), "{typed}: {text}");
        }
        None => panic!("{typed} was taken"),
    };
    refused(&mut flow, "root", "Not accepted: must not be root");
    refused(&mut flow, "Ops!", "must");
    refused(&mut flow, "", "must");
    refused(&mut flow, "a\"\u{1b}[2J", "control characters");
    refused(&mut flow, "backup", "must not be backup");
    assert_eq!(flow.answer(" ops "), None);
    refused(&mut flow, "", "must hold a key");
    refused(&mut flow, "ssh-ed25519 AAAA", "is not a whole public key");
    refused(&mut flow, "-----BEGIN OPENSSH PRIVATE KEY-----", "never give it away");
    refused(&mut flow, KEY, "Taken");
    refused(&mut flow, KEY, "is listed twice");
    refused(&mut flow, "r", "must be a public key line");
    assert_eq!(flow.answer(""), None);
    refused(&mut flow, "", "sudo asks for a password");
    refused(&mut flow, "secret", "is not a crypt(5) hash");
    assert_eq!(flow.answer(HASH), None);
    for wrong in ["0", "4", "x", "", "1 2"] {
        refused(&mut flow, wrong, "type the number");
    }
    assert_eq!(flow.answer("1"), None);
    refused(&mut flow, "10.0.20.5/24", "has host bits set; the network is 10.0.20.0/24");
    refused(&mut flow, "192.168.0.0/16", "must hold the network of the node's gateway");
    refused(&mut flow, "any 10.0.20.0/24", "must stand alone");
    assert_eq!(flow.answer("10.0.20.0/24, 192.168.7.0/24"), None);
    refused(&mut flow, "7", "type the number");
    assert_eq!(flow.answer("3"), None);
    refused(&mut flow, "one", "type the number");
    assert_eq!(flow.answer("2"), None);
    refused(&mut flow, "1 9", "type the number");
    assert_eq!(flow.answer("3,5"), None);
    let profile = flow.result().unwrap().profile;
    assert!(
        !profile.totp.enabled
            && profile.updates.proxmox
            && !profile.kernel.enabled
            && !profile.apparmor.enabled
    );
    assert!(profile.services.enabled && profile.admin.ssh_keys.len() == 1);
    assert!(
        profile.firewall.management
            == Management::Networks(vec![network("10.0.20.0/24"), network("192.168.7.0/24")])
    );
}

/// How many keys an answer that is not whole yet holds.
fn keys_in(flow: &Flow<'_>) -> usize {
    answer::read(SOURCE, flow.text().as_bytes()).unwrap().profile.admin.ssh_keys.len()
}

#[test]
fn a3_a_pasted_key_is_answered_with_its_fingerprint_and_more_can_follow() {
    let facts = Facts::example();
    let roots = roots();
    let mut flow = Flow::new(&facts, &roots);
    flow.answer("ops");
    assert!(flow.shown().contains(&format!("   {FINGERPRINT} ops@desk\n")), "{}", flow.shown());
    assert!(!flow.shown().contains("root@pve1"), "the node's own key is nobody's");
    assert_eq!(
        flow.answer(KEY),
        Some("Taken:\nSHA256:p/yAz/PMgpSr7Phn5l4ATX13GFgT8e3ziCXVapeS8to me@desk\n".to_owned())
    );
    let Some(both) = flow.answer(&format!("ssh-ed25519 {BLOB} ops@desk")) else { panic!() };
    assert_eq!(both.lines().count(), 3, "{both}");
    assert_eq!(flow.answer(""), None);
    assert_eq!(keys_in(&flow), 2);
    // Enter keeps them on the way back, another key replaces them.
    flow.back();
    assert_eq!(flow.prompt().1, KEEP);
    assert_eq!(flow.answer(KEEP), None);
    assert_eq!(keys_in(&flow), 2);
    flow.back();
    assert!(flow.answer(KEY).is_some());
    flow.back();
    assert_eq!(flow.question().unwrap().title(), "SSH key");
    assert!(flow.answer(&format!("ssh-ed25519 {BLOB}")).is_some());
    assert_eq!(flow.answer(""), None);
    assert_eq!(keys_in(&flow), 1);
}

#[test]
fn j2_going_back_keeps_what_was_typed_and_drops_what_does_not_apply_any_more() {
    let facts = Facts::example();
    let roots = roots();
    let mut flow = Flow::new(&facts, &roots);
    flow.back();
    assert!(flow.shown().contains("1. Admin"), "nothing before the first one");
    run(&mut flow, &["me", "r", "", HASH, "2", "10.0.20.0/24", "2", "3", "1"]);
    for _ in 0..8 {
        flow.back();
    }
    assert_eq!(flow.prompt().1, "me");
    // Firewall left alone: nobody asks for networks, and none are written.
    let asked = run(&mut flow, &["", "", "", "3", "", "", ""]);
    assert!(!asked.contains(&"Management networks"), "{asked:?}");
    let text = flow.text();
    assert!(text.contains("name = \"me\"") && text.contains(HASH) && !text.contains("management"), "{text}");
    for area in ["firewall", "updates", "ssh"] {
        assert!(text.contains(&format!("\n{area}.enabled = false\n")), "{text}");
    }
    assert!(text.contains("users = []"), "{text}");
}

#[test]
fn j2_a_node_without_pve_is_asked_neither_for_totp_nor_for_pves_firewall() {
    let facts = Facts { pve_version: None, ..Facts::example() };
    let roots = roots();
    let mut flow = Flow::new(&facts, &roots);
    flow.answer("ops");
    flow.answer("r");
    flow.answer("");
    flow.answer(HASH);
    assert_eq!(flow.question().unwrap().title(), "Firewall");
    let shown = flow.shown().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("in the web interface. Not on this node: must be \"ufw\""), "{shown}");
    assert_eq!(flow.prompt().1, "2");
    assert!(flow.answer("1").is_some());
    let asked = run(&mut flow, &["", "", "", ""]);
    assert_eq!(asked, ["Firewall", "Management networks", "Updates", "Leave alone"]);
}

#[test]
fn j2_what_a_cluster_and_other_accounts_need_is_asked_for_there_alone() {
    let person = User {
        name: "bob".to_owned(),
        uid: 1001,
        home: "/home/bob".to_owned(),
        shell: "/bin/bash".to_owned(),
        has_password: true,
        ..User::default()
    };
    let mut facts =
        Facts { cluster_member: true, member_addresses: vec![address("10.0.20.12")], ..Facts::example() };
    facts.users.push(person);
    let roots = roots();
    let mut flow = Flow::new(&facts, &roots);
    assert_eq!(flow.prompt().1, "bob", "somebody who is there");
    let asked = run(&mut flow, &["ops", "", "", "", HASH, "1", "1", "", "", "", ""]);
    assert_eq!(asked[2..6], ["Who else logs in over SSH", "Password", "Firewall", "The cluster's firewall"]);
    let profile = flow.result().unwrap().profile;
    assert!(profile.firewall.datacenter && profile.ssh.allow_users[0].as_str() == "bob");
    assert!(crate::areas::propose_all(&profile, &facts).is_ok());
    // Bob as the admin needs no list; and a consent is typed, Enter gives none.
    let mut flow = Flow::new(&facts, &roots);
    assert!(flow.answer("bob").is_none() && flow.answer("r").is_some());
    assert!(flow.answer("").is_none() && flow.question().unwrap().title() == "Password");
    assert_eq!(flow.answer(""), None, "bob keeps his password");
    assert!(flow.answer("1").is_none() && flow.prompt().1.is_empty());
    assert!(flow.answer("").is_some());
    // A network that does not hold the other nodes must not be all that reaches them.
    facts.ssh_peers.push(address("10.0.20.77"));
    let mut flow = Flow::new(&facts, &roots);
    let asked = run(&mut flow, &["bob", "", "", "", "1", "1", "10.0.20.77/32", "1", "", "", ""]);
    assert_eq!(asked[4..7], ["The cluster's firewall", "Management networks", "The node's own network"]);
    assert!(!flow.result().unwrap().profile.firewall.narrow_local_network);
    // With UFW it is corosync that has to be let in.
    let mut flow = Flow::new(&facts, &roots);
    let asked = run(&mut flow, &["bob", "", "", "", "2", "1", "", "", "", ""]);
    assert_eq!(asked[3..5], ["Firewall", "The other nodes"]);
    assert!(crate::areas::propose_all(&flow.result().unwrap().profile, &facts).is_ok());
}

#[test]
fn j2_every_question_is_whole_and_every_choice_is_something_that_the_reader_of_answers_takes() {
    let forms = ["text", "list", "keys", "password", "passphrase", "one", "many"];
    let words = ["hidden", "pve", "firewall", "needed"];
    let mut place = 0;
    while let Some(question) = Question::at(place) {
        place += 1;
        for line in [question.key(), question.title(), question.text(), question.prompt(), question.help()] {
            assert!(!line.is_empty() && !line.contains('\t'), "{}: {line:?}", question.title());
        }
        assert!(words.iter().filter(|word| question.is(word)).count() <= 1, "{}", question.title());
        assert!(forms.iter().filter(|word| question.is(word)).count() == 1, "{}", question.title());
        assert!(!question.is("one") || question.choices().count() <= 3, "what Enter may stand for");
        for number in 1..=question.choices().count() {
            let lines = question.lines(&number.to_string()).unwrap();
            let others = if lines.contains("ssh.enabled") { "" } else { NO_SSH };
            let text = format!("{HEADER}admin.name = \"ops\"\nadmin.enabled = false\n{lines}{others}");
            assert!(answer::read(SOURCE, text.as_bytes()).is_ok(), "{text}");
        }
    }
    assert_eq!(place, 13);
}

#[test]
fn j2_a_public_node_offers_whoever_is_connected() {
    let facts = Facts {
        addresses: vec![(address("203.0.113.9"), network("203.0.113.0/24"))],
        gateways: vec![address("203.0.113.1")],
        ssh_peers: vec![address("198.51.100.7")],
        ..Facts::example()
    };
    let roots = roots();
    let mut flow = Flow::new(&facts, &roots);
    for typed in ["ops", "r", "", HASH, "1"] {
        flow.answer(typed);
    }
    assert_eq!(flow.prompt().1, "198.51.100.7/32");
    assert!(flow.shown().contains("over SSH 198.51.100.7 is connected."), "{}", flow.shown());
    assert!(flow.answer("").is_some(), "nothing is no answer here");
    assert_eq!(flow.answer("any"), None);
}

#[test]
fn j2_a_refusal_at_the_end_leads_back_to_its_question() {
    let facts = Facts::example();
    let roots = roots();
    let mut flow = Flow::new(&facts, &roots);
    run(&mut flow, &["", "", "", HASH, "", "", "", "", ""]);
    let refused = |key: &str| {
        let problem = Problem { line: 1, column: 1, key: key.to_owned(), message: String::new() };
        Problems::new(SOURCE, vec![problem])
    };
    flow.back_to(&refused("firstlight.firewall.management"));
    assert_eq!(flow.question().unwrap().title(), "Management networks");
    flow.back_to(&refused("firstlight.admin.shell"));
    assert_eq!(flow.question().unwrap().title(), "Admin");
    run(&mut flow, &["", "", "", "", "", "", "", ""]);
    flow.back_to(&refused("firstlight.packages"));
    assert_eq!(flow.question().unwrap().title(), "Leave alone", "the last one where none decides it");
}
