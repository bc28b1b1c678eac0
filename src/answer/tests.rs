//! What `read` promises, beyond the files under `answer-files/`.

mod examples;
mod overlay;
mod pve;

use super::{Answer, read};
use crate::profile::{
    Confirm, FirewallMode, Handover, KeyPair, Management, Network, RootLogin, Secret, Service, Sudo,
};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICSRnhZczuItvkC4OIHjiTlZfkL7tay9kjZQKYGK4cdl ops@example";
const OTHER: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBC+U4xVQcvc6KfYtl/Rxl/4jbjoALm1pj1Y9mqH7n+Vfbmne9c1NFrXoiw7eVgWmqKiitU4CpoCmslWrypnTSU4=";
const HASH: &str = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7";
const PVE: &str = "[global]\ncountry = \"at\"\nfqdn = \"pve1.example.com\"\nkeyboard = \"en-us\"\nmailto = \"a@b.at\"\n\
                   timezone = \"UTC\"\nroot_password = \"correct horse\"\n[network]\nsource = \"from-dhcp\"\n\
                   [disk-setup]\nfilesystem = \"ext4\"\ndisk_list = [\"sda\"]\n";

fn ours(admin: &str, rest: &str) -> String {
    format!(
        "[firstlight]\nschema = 1\n[firstlight.admin]\nname = \"ops\"\nssh-keys = [\"{KEY}\"]\n{admin}\n{rest}\n"
    )
}

fn right(text: &str) -> Answer {
    read("a.toml", text.as_bytes()).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn wrong(text: &str) -> String {
    match read("a.toml", text.as_bytes()) {
        Ok(_) => panic!("is right:\n{text}"),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_one() {
    let text = ours("", "[firstlight.ssh]\n  root-logni = \"key\"");
    assert_eq!(
        wrong(&text),
        "a.toml:8:3: firstlight.ssh.root-logni: is not a key of firstlight's part; did you mean `root-login`?"
    );
}

#[test]
fn all_problems_are_told_at_once_sorted_by_place() {
    let text =
        "[firstlight.ssh]\nport = 0\n\"ä\" = 1\n[firstlight]\nschema = 1\nconfirm = \"yes\"\n[network]\n";
    let text = wrong(text);
    let places: Vec<&str> = text.lines().map(|line| line.split(": ").take(2).last().unwrap()).collect();
    assert_eq!(
        places,
        [
            "global",
            "disk-setup",
            "firstlight.ssh.port",
            "firstlight.ssh.\"ä\"",
            "firstlight.admin",
            "firstlight.confirm",
            "network.source"
        ],
        "{text}"
    );
    assert!(text.contains("a.toml:3:1: firstlight.ssh.\"ä\": "), "{text}");
}

#[test]
fn columns_count_characters_and_not_bytes() {
    let text = ours("", "[firstlight.kernel]\nextra = { \"net.ä\" = \"1\", \"net.x\" = 1 }");
    assert!(wrong(&text).contains("a.toml:8:36: firstlight.kernel.extra.\"net.x\": "), "{}", wrong(&text));
}

#[test]
fn a_file_of_ten_mebibytes_is_refused_without_being_parsed() {
    let text = wrong(&"#".repeat(10 * 1024 * 1024));
    assert_eq!(text, "a.toml:1:1: has 10485760 bytes; an answer has at most 1048576");
}

#[test]
fn the_defaults_are_those_of_the_schema() {
    let profile = right(&ours("", "")).profile;
    assert!(
        profile.confirm.is_none() && profile.confirm_minutes == 10 && profile.handover == Handover::Console
    );
    let admin = &profile.admin;
    assert!(admin.enabled && admin.ssh_key_pair == KeyPair::None && admin.sudo == Sudo::Password);
    assert_eq!(
        (admin.name.as_str(), admin.shell.as_str(), admin.pve_path.as_str()),
        ("ops", "/bin/bash", "/")
    );
    assert_eq!(admin.pve_role, "Administrator");
    assert_eq!(admin.ssh_keys[0].fingerprint, "SHA256:p/yAz/PMgpSr7Phn5l4ATX13GFgT8e3ziCXVapeS8to");
    assert_eq!((profile.ssh.port.number(), profile.ssh.max_auth_tries), (22, 3));
    assert!(profile.ssh.root_login == RootLogin::Key && !profile.ssh.password_login);
    assert!(profile.firewall.mode.is_none() && profile.firewall.management == Management::Default);
    assert_eq!(profile.totp.users, ["root@pam"]);
    assert!(profile.apparmor.profiles.is_none() && profile.report.webhook_key.is_none());
}

#[test]
fn what_is_given_arrives_in_the_profile() {
    let text = ours(
        &format!("password-hash = \"{HASH}\"\nsudo = \"commands\"\nsudo-commands = [\"/usr/sbin/qm list\"]"),
        "[firstlight.firewall]\nmode = \"ufw\"\nmanagement = [\"10.0.20.0/24\", \"2001:db8::/64\", \"192.0.2.1\"]\n\
         services = [\"ceph\", \"vnc\"]\n[[firstlight.firewall.set]]\nname = \"backup\"\nnetworks = [\"10.0.40.0/24\"]\n\
         [[firstlight.firewall.rule]]\nfrom = \"backup\"\nprotocol = \"udp\"\nports = \"80,5900-5999\"\n\
         action = \"drop\"\nenabled = false\nscope = \"node\"\n[firstlight.report]\n\
         webhook-key = { credential = \"hook\" }\n[firstlight.kernel]\nrp-filter = 2\n\
         extra = { \"net.ipv4.ip_forward\" = \"1\" }\n[firstlight.apparmor]\nprofiles = [\"lxc-*\"]\n\
         [[firstlight.audit.waiver]]\ncontrol = \"ssh.port\"\nreason = \"site\"\nuntil = \"2027-06-30\"",
    )
    .replacen("schema = 1", "schema = 0x1\nconfirm = \"login\"", 1);
    let profile = right(&text).profile;
    assert!(profile.confirm == Some(Confirm::Login));
    assert!(matches!(&profile.admin.password_hash, Some(Secret::Value(hash)) if hash.reveal() == HASH));
    assert!(profile.admin.sudo == Sudo::Commands(vec!["/usr/sbin/qm list".to_owned()]));
    let firewall = &profile.firewall;
    let networks =
        ["10.0.20.0/24", "2001:db8::/64", "192.0.2.1/32"].map(|text| Network::parse(text).ok().unwrap());
    assert!(firewall.management == Management::Networks(networks.to_vec()));
    assert!(firewall.mode == Some(FirewallMode::Ufw) && firewall.services == [Service::Ceph, Service::Vnc]);
    let rule = &firewall.rules[0];
    let ports: Vec<(u16, u16)> = rule.ports.iter().map(|(from, to)| (from.number(), to.number())).collect();
    assert_eq!((ports, rule.action.as_str(), rule.enabled), (vec![(80, 80), (5900, 5999)], "drop", false));
    assert_eq!(
        (rule.scope.as_str(), rule.protocol.as_str(), firewall.sets[0].name.as_str()),
        ("node", "udp", "backup")
    );
    assert!(matches!(&profile.report.webhook_key, Some(Secret::Credential(name)) if name == "hook"));
    assert_eq!(profile.kernel.rp_filter, "2");
    assert_eq!(profile.kernel.extra, [("net.ipv4.ip_forward".to_owned(), "1".to_owned())]);
    assert_eq!(profile.apparmor.profiles.as_deref(), Some(["lxc-*".to_owned()].as_slice()));
    assert_eq!(profile.audit.waivers[0].until, "2027-06-30");
}

#[test]
fn the_keys_of_root_join_those_of_the_admin_once_a3() {
    let pve = PVE.replacen("[network]", &format!("root-ssh-keys = [\"{KEY}\", \"{OTHER}\"]\n[network]"), 1);
    let answer = right(&(pve + &ours("ssh-keys-of-root = true", "")));
    let algorithms: Vec<&str> =
        answer.profile.admin.ssh_keys.iter().map(|key| key.algorithm.as_str()).collect();
    assert_eq!(algorithms, ["ssh-ed25519", "ecdsa-sha2-nistp256"]);
    for text in [&answer.record, &answer.sealed] {
        let again = right(text).profile.admin.ssh_keys;
        assert!(again == answer.profile.admin.ssh_keys, "{text}");
    }
}

#[test]
fn the_record_has_no_secret_and_reads_again() {
    let text = ours(
        &format!("password-hash = \"{HASH}\"\ncomment = \"a \\\"b\\\" \\\\ \\u00E4 \\u2028\""),
        "[firstlight.report]\nwebhook-key = \"sesame\"\n[firstlight.kernel.extra]\n\"kernel.x y\" = \"1\"",
    );
    let text = text.replace("kernel.x y", "kernel.x_y");
    let answer = right(&text);
    assert!(!answer.record.contains(HASH) && !answer.record.contains("sesame"), "{}", answer.record);
    assert!(answer.sealed.contains(HASH) && answer.sealed.contains("sesame"));
    let again = right(&answer.record);
    assert_eq!(again.record, answer.record);
    assert_eq!(again.profile.admin.comment, answer.profile.admin.comment);
    assert!(again.profile.admin.password_hash.is_none() && again.profile.report.webhook_key.is_none());
    assert_eq!(again.profile.kernel.extra, answer.profile.kernel.extra);
}

#[test]
fn a_reference_to_a_secret_stays_in_the_record() {
    let answer = right(&ours("password-hash = { file = \"/root/hash\" }", ""));
    assert!(
        matches!(right(&answer.record).profile.admin.password_hash, Some(Secret::File(path)) if path == "/root/hash")
    );
}

#[test]
fn a_problem_of_the_node_stands_at_its_key_or_its_table() {
    let answer = right(&ours("", "[firstlight.firewall]\nmode = \"pve\""));
    let place = |key: &str| {
        let problem = answer.problem_at(key, "x");
        (problem.line, problem.column)
    };
    assert_eq!(place("firstlight.firewall.mode"), (8, 1));
    assert_eq!(place("firstlight.firewall.management"), (7, 1));
    assert_eq!(place("firstlight.ssh.port"), (1, 1));
    assert_eq!(place("firstlight.admin.name"), (4, 1));
    assert_eq!(place(""), (1, 1));
    assert_eq!(place("nothing.at.all"), (1, 1));
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let dotted = "a.".repeat(79);
    let mut inline = String::new();
    for _ in 0..79 {
        inline.push_str(&format!("{{{dotted}a="));
    }
    let texts = [
        "a=".to_owned() + &"[".repeat(500_000),
        dotted.repeat(100),
        format!("{dotted}a = {inline}1{}", "}".repeat(79)),
    ];
    // The parser follows 80 times 80 levels; that takes 1 MiB of stack, and more without optimisation.
    let stack = std::thread::Builder::new().stack_size(64 << 20);
    let refused = stack.spawn(move || texts.iter().all(|text| !wrong(text).is_empty()));
    assert!(refused.unwrap().join().unwrap());
}
