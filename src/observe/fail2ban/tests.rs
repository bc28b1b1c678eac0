//! fail2ban's own answers, with one of them wrong at a time.

use super::*;
use crate::control::Check;
use crate::node::scripted::Scripted;

// What `fail2ban-client -i` of Debian 13 (1.1.0) and of Debian 12 (1.0.2) prints, shortened in the middle of the
// expressions.
const SSHD: [&str; 10] = [
    "5",
    "600",
    "3600",
    "Current match filter:\n_UID=0 _COMM=sshd + _UID=0 _COMM=sshd-session",
    "The following regular expression are defined:\n|- [0]: ^[aA]uthentication (?:failure|error|failed) for <F-USER>\n\
     |- [1]: ^(?:error: )?Received disconnect from <HOST>:\n\
     `- [2]: ^Connection from",
    "The jail sshd has the following actions:\nnftables",
    "22",
    "nft add element inet f2b-table <addr_set> \\{ <ip> \\}",
    "reject",
    "These IP addresses/networks are ignored:\n|- 127.0.0.0/8\n`- ::1",
];

fn printed(answers: &[&str]) -> String {
    let head =
        "Fail2Ban v1.1.0 reads log file that contains password failure report\nand bans.\n\n".to_owned();
    let answers: Vec<String> = answers.iter().map(|answer| format!("{PROMPT}{answer}\n")).collect();
    head + &answers.concat() + PROMPT
}

/// The verdict, with these instead of sshd's right answers.
fn seen(wrong: &[(usize, &str)], wanted: &[(&'static str, &str)]) -> Option<String> {
    let node = Scripted::new();
    let mut answers = SSHD.to_vec();
    for (place, answer) in wrong {
        answers[*place] = answer;
    }
    let missing = "Sorry but the jail 'firstlight-pve' does not exist";
    answers.extend([missing; 10]);
    let text = printed(&answers);
    node.on("/usr/bin/fail2ban-client -i", move |_, invocation| {
        let asked = String::from_utf8(invocation.input.clone().unwrap()).unwrap();
        assert!(asked.starts_with("get sshd maxretry\n") && asked.ends_with("\nexit\n"), "{asked}");
        crate::node::Output { status: 0, stdout: text.clone(), stderr: String::new() }
    });
    jail(&node, "sshd", wanted)
}

fn jail(node: &Scripted, jail: &'static str, wanted: &[(&'static str, &str)]) -> Option<String> {
    let key = |question: &str| QUESTIONS.iter().find(|(_, known)| *known == question).unwrap().0;
    let keys: Vec<&str> = wanted.iter().map(|(question, _)| key(question)).collect();
    let lines = wanted.iter().map(|(question, answer)| format!("\n{} = {answer}", key(question)));
    let check = Check::Fail2banJail { jail, keys: keys.join(" ").leak(), wanted: lines.collect() };
    match Observer::new(node).evaluate(&check).unwrap() {
        Verdict::Holds => None,
        Verdict::Fails(message) => Some(message),
    }
}

const WANTED: [(&str, &str); 10] = [
    ("maxretry", "5"),
    ("findtime", "600"),
    ("bantime", "3600"),
    ("journalmatch", "_UID=0 _COMM=sshd + _UID=0 _COMM=sshd-session"),
    ("failregex", "[aA]uthentication (?:failure|error|failed) for"),
    ("actions", "nftables"),
    ("action nftables port", "22"),
    ("action nftables actionban", "nft add element inet f2b-table "),
    ("action nftables blocktype", "reject"),
    ("ignoreip", "127.0.0.0/8 ::1"),
];

#[test]
fn f1_f3_f4_a_jail_as_wanted_is_green() {
    assert_eq!(seen(&[], &WANTED), None);
    assert_eq!(QUESTIONS.map(|(_, question)| WANTED.iter().any(|(known, _)| *known == question)), [true; 10]);
}

#[test]
fn f1_f3_f4_i3_another_file_that_wins_is_red() {
    for (place, answer, message) in [
        (0, "50", "fail2ban says about the maxretry of sshd: 50"),
        (2, "1", "fail2ban says about the bantime of sshd: 1"),
        (
            3,
            "Current match filter:\n_SYSTEMD_UNIT=sshd.service + _COMM=sshd",
            "fail2ban says about the journalmatch of sshd: _SYSTEMD_UNIT=sshd.service + _COMM=sshd",
        ),
        (
            4,
            "The following regular expression are defined:\n`- [0]: ^never$",
            "fail2ban says about the failregex of sshd: [0]: ^never$",
        ),
        (
            4,
            "No regular expression is defined",
            "fail2ban says about the failregex of sshd: No regular expression is defined",
        ),
        (
            5,
            "The jail sshd has the following actions:\nsendmail",
            "fail2ban says about the actions of sshd: sendmail",
        ),
        (6, "2222", "fail2ban says about the action nftables port of sshd: 2222"),
        (7, "true", "fail2ban says about the action nftables actionban of sshd: true"),
        (8, "counter", "fail2ban says about the action nftables blocktype of sshd: counter"),
        (
            9,
            "These IP addresses/networks are ignored:\n|- 127.0.0.0/8\n|- ::1\n`- 0.0.0.0/0",
            "fail2ban says about the ignoreip of sshd: 127.0.0.0/8 ::1 0.0.0.0/0",
        ),
        (
            9,
            "No IP address/network is ignored",
            "fail2ban says about the ignoreip of sshd: No IP address/network is ignored",
        ),
    ] {
        assert_eq!(seen(&[(place, answer)], &WANTED).as_deref(), Some(message));
        let others: Vec<_> =
            WANTED.into_iter().filter(|(question, _)| *question != QUESTIONS[place].1).collect();
        assert_eq!(seen(&[(place, answer)], &others), None, "the others stay green");
    }
}

#[test]
fn f2_f3_i3_a_jail_that_does_not_run_and_a_server_that_does_not_are_red() {
    let node = Scripted::new();
    let answers: Vec<&str> =
        SSHD.into_iter().chain(["Sorry but the jail 'firstlight-pve' does not exist"; 10]).collect();
    node.says("/usr/bin/fail2ban-client -i", &printed(&answers));
    let said = jail(&node, "firstlight-pve", &[("maxretry", "3")]).unwrap();
    assert!(said.ends_with(": Sorry but the jail 'firstlight-pve' does not exist"), "{said}");
    assert_eq!(jail(&node, "sshd", &WANTED), None);
    node.refuses("/usr/bin/fail2ban-client -i", 255, "Failed to access socket path");
    assert_eq!(jail(&node, "sshd", &WANTED).unwrap(), "fail2ban says about the maxretry of sshd: nothing");
}
