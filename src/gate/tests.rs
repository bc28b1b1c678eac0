//! What each gate asks its tool, and what it makes of the answer.

use super::*;
use crate::node::Output;
use crate::node::scripted::Scripted;
use std::path::PathBuf;

const STAGE: &str = "/run/firstlight/stage";

fn node() -> Scripted {
    let node = Scripted::new();
    node.files.directory(STAGE);
    node.files.directory("/run/sshd");
    node.files.put("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nPort 22\n");
    node.files.put("/etc/ssh/sshd_config.d/50-site.conf", "include \"extra dir/x\"\n");
    node.files.put("/etc/ssh/extra dir/x", "X11Forwarding no\n");
    node.files.put("/etc/ssh/sshd_config.d/README", "not read");
    node.files.put(
        "/etc/sudoers",
        "root ALL=(ALL:ALL) ALL\n@include sudoers.local\n#includedir /etc/sudoers.d\n#include a word\n",
    );
    node.files.put("/etc/sudoers.local", "# local\n");
    node.files.put("/etc/sudoers.d/README", "# a\n");
    node.files.put("/etc/sudoers.d/old.dpkg-old", "broken");
    node.files.put("/etc/word", "");
    node.files.put("/etc/a", "");
    node
}

fn sshd(value: &str) -> Gate {
    let staged =
        vec![(PathBuf::from("/etc/ssh/sshd_config.d/00-firstlight.conf"), b"X11Forwarding no\n".to_vec())];
    let expected = vec![("passwordauthentication".to_owned(), value.to_owned())];
    let connections = vec![("user=ops,host=10.0.0.9,addr=10.0.0.9".to_owned(), expected)];
    Gate { id: "ssh.configuration", tool: SSHD_PROGRAM, ask: GateAsk::Sshd { staged, connections } }
}

fn sudoers() -> Gate {
    let staged = vec![(PathBuf::from("/etc/sudoers.d/firstlight"), b"ops ALL=(ALL:ALL) ALL\n".to_vec())];
    Gate { id: "admin.sudoers", tool: VISUDO_PROGRAM, ask: GateAsk::Sudoers { staged } }
}

#[test]
fn sshd_is_asked_about_the_whole_configuration_as_it_will_be() {
    let node = node();
    node.says("/usr/sbin/sshd", "");
    node.says("/usr/sbin/sshd -T", "passwordauthentication no\n");
    assert_eq!(run(&node, &sshd("no"), Path::new(STAGE)).unwrap(), Verdict::Passed);
    assert_eq!(
        node.files.text("/run/firstlight/stage/etc/ssh/sshd_config"),
        "Include \"/run/firstlight/stage/etc/ssh/sshd_config.d/*.conf\"\nPort 22\n"
    );
    assert_eq!(
        node.files.text("/run/firstlight/stage/etc/ssh/sshd_config.d/50-site.conf"),
        "Include \"/run/firstlight/stage/etc/ssh/extra dir/x\"\n"
    );
    assert_eq!(node.files.text("/run/firstlight/stage/etc/ssh/extra dir/x"), "X11Forwarding no\n");
    assert!(node.files.has("/run/firstlight/stage/etc/ssh/sshd_config.d/00-firstlight.conf"));
    assert!(!node.files.has("/run/firstlight/stage/etc/ssh/sshd_config.d/README"));
    assert!(!node.files.has("/etc/ssh/sshd_config.d/00-firstlight.conf"), "a gate puts nothing live");
}

#[test]
fn a_refusal_of_sshd_names_the_real_file() {
    let node = node();
    node.refuses("/usr/sbin/sshd -t", 255, "/run/firstlight/stage/etc/ssh/sshd_config.d/00-firstlight.conf: line 3: Bad configuration option: Foo\n");
    assert_eq!(
        run(&node, &sshd("no"), Path::new(STAGE)).unwrap(),
        Verdict::Failed(
            "/etc/ssh/sshd_config.d/00-firstlight.conf: line 3: Bad configuration option: Foo".to_owned()
        )
    );
}

#[test]
fn a_configuration_that_another_file_decides_fails_though_its_form_is_right() {
    let node = node();
    node.says("/usr/sbin/sshd", "");
    node.says("/usr/sbin/sshd -T", "passwordauthentication yes\n");
    let Verdict::Failed(message) = run(&node, &sshd("no"), Path::new(STAGE)).unwrap() else {
        panic!("passed")
    };
    assert!(message.starts_with(
        "for user=ops,host=10.0.0.9,addr=10.0.0.9 sshd would use `passwordauthentication yes` instead of \
         `passwordauthentication no`"
    ));
}

#[test]
fn without_a_running_sshd_nothing_is_called_checked() {
    let node = node();
    node.files.remove("/run/sshd");
    assert!(run(&node, &sshd("no"), Path::new(STAGE)).is_err());
}

#[test]
fn files_that_include_each_other_come_to_an_end() {
    let node = node();
    node.files.put("/etc/ssh/extra dir/x", "Include /etc/ssh/sshd_config.d/*.conf\n");
    node.says("/usr/sbin/sshd", "");
    node.says("/usr/sbin/sshd -T", "passwordauthentication no\n");
    assert_eq!(run(&node, &sshd("no"), Path::new(STAGE)).unwrap(), Verdict::Passed);
}

#[test]
fn a1_visudo_is_asked_about_the_whole_of_sudoers() {
    let node = node();
    node.says("/usr/sbin/visudo", "");
    assert_eq!(run(&node, &sudoers(), Path::new(STAGE)).unwrap(), Verdict::Passed);
    assert_eq!(
        node.files.text("/run/firstlight/stage/etc/sudoers"),
        "root ALL=(ALL:ALL) ALL\n@include /run/firstlight/stage/etc/sudoers.local\n\
         @includedir /run/firstlight/stage/etc/sudoers.d\n@include /run/firstlight/stage/etc/a\n"
    );
    assert!(node.files.has("/run/firstlight/stage/etc/sudoers.local"));
    assert!(node.files.has("/run/firstlight/stage/etc/sudoers.d/firstlight"));
    assert!(!node.files.has("/run/firstlight/stage/etc/sudoers.d/old.dpkg-old"));
    node.files.remove(STAGE);
    node.files.directory(STAGE);
    let complaint =
        "/run/firstlight/stage/etc/sudoers.d/firstlight:1:29: expected a fully-qualified path name\n";
    node.refuses("/usr/sbin/visudo", 1, complaint);
    let Verdict::Failed(message) = run(&node, &sudoers(), Path::new(STAGE)).unwrap() else {
        panic!("passed")
    };
    assert_eq!(message, "/etc/sudoers.d/firstlight:1:29: expected a fully-qualified path name");
}

#[test]
fn the_first_rule_that_ufw_refuses_is_named() {
    let node = node();
    node.on("/usr/sbin/ufw --dry-run", |_, invocation| {
        let refused = invocation.arguments.iter().any(|word| word == "frm");
        let stderr = if refused { "ERROR: Invalid syntax\n" } else { "" };
        Output { status: i32::from(refused), stdout: String::new(), stderr: stderr.to_owned() }
    });
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let rules = vec![words("allow 22/tcp"), words("allow frm 1.2.3.4"), words("allow 23/tcp")];
    let gate = Gate { id: "firewall.rules", tool: UFW_PROGRAM, ask: GateAsk::UfwRules(rules) };
    assert_eq!(
        run(&node, &gate, Path::new(STAGE)).unwrap(),
        Verdict::Failed("ufw allow frm 1.2.3.4: ERROR: Invalid syntax".to_owned())
    );
    assert_eq!(node.ran().len(), 2);
}

/// A node with the names of Debian's own configuration of fail2ban, and the real client for it (package fail2ban).
fn with_fail2ban() -> Scripted {
    let node = node();
    for directory in ["", "/action.d", "/filter.d", "/jail.d", "/fail2ban.d"] {
        let path = format!("/etc/fail2ban{directory}");
        node.files.directory(&path);
        let entries = std::fs::read_dir(&path).expect("this test needs fail2ban: apt-get install fail2ban");
        for entry in entries.map(|entry| entry.unwrap()).filter(|entry| entry.path().is_file()) {
            node.files.put(entry.path().to_str().unwrap(), "");
        }
    }
    node.on("/usr/bin/fail2ban-client -c", |files, invocation| {
        let directory = files.host(&invocation.arguments[2]);
        let output = std::process::Command::new("fail2ban-client")
            .arg("-c")
            .arg(directory)
            .arg("-t")
            .output()
            .unwrap();
        Output {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    });
    node
}

fn fail2ban(staged: &[(&str, &str)]) -> Gate {
    let staged = staged.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect();
    Gate { id: "fail2ban.configuration", tool: FAIL2BAN_PROGRAM, ask: GateAsk::Fail2ban { staged } }
}

#[test]
fn f3_fail2ban_is_asked_about_the_whole_configuration_as_it_will_be() {
    let proposal =
        crate::areas::propose_all(&crate::profile::Profile::example(), &crate::facts::Facts::example());
    let gates = proposal.ok().unwrap().gates;
    let gate = gates.iter().find(|gate| gate.id == "fail2ban.configuration").unwrap();
    let node = with_fail2ban();
    assert_eq!(run(&node, gate, Path::new(STAGE)).unwrap(), Verdict::Passed);
    let live = "/etc/fail2ban/jail.d/firstlight.conf";
    assert!(node.files.has(&format!("{STAGE}{live}")) && !node.files.has(live), "a gate puts nothing live");
}

#[test]
fn f3_what_fail2ban_does_not_take_fails_with_its_own_words() {
    let jail = "/etc/fail2ban/jail.d/firstlight.conf";
    let verdict = |text: &str| run(&with_fail2ban(), &fail2ban(&[(jail, text)]), Path::new(STAGE)).unwrap();
    let Verdict::Failed(missing) = verdict("[sshd]\nenabled = true\nfilter = no-such-filter\n") else {
        panic!("a filter that is not there passes")
    };
    assert!(missing.contains("no-such-filter"), "{missing}");
    assert!(matches!(verdict("[sshd\nenabled\n"), Verdict::Failed(_)));
}
