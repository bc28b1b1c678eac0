//! Which addresses are lent, and what is asked of the node's tools in which order.

use super::address::{Taken, trials};
use super::{Course, Reach, Trial, wire};
use crate::facts::Socket;
use crate::node::Output;
use crate::node::scripted::{Files, Scripted};
use crate::profile::Network;
use std::net::IpAddr;

pub(crate) const KEYS: &str = "/home/ops/.ssh/authorized_keys";
const DEVICES: &str = "/proc/net/dev";
const EXEC: &str = "/usr/sbin/ip netns exec firstlight";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn net(text: &str) -> Network {
    Network::parse(text).unwrap()
}

/// A node at 10.0.20.10 and fd00:20::10 behind 10.0.20.254, with these management networks.
pub(crate) fn reach(management: &[&str]) -> Reach {
    let management: Vec<Network> = management.iter().map(|network| net(network)).collect();
    Reach {
        user: "ops".into(),
        ssh: 22,
        ports: vec![8006],
        open: (!management.is_empty()).then(Vec::new),
        management,
        own: vec![(ip("10.0.20.10"), net("10.0.20.0/24")), (ip("fd00:20::10"), net("fd00:20::/64"))],
        listens: vec![ip("10.0.20.10"), ip("fd00:20::10")],
        gateways: vec![ip("10.0.20.254")],
    }
}

fn lent(reach: &Reach, peers: &[&str], neighbours: &[&str]) -> Vec<String> {
    let list = |texts: &[&str]| texts.iter().map(|text| ip(text)).collect();
    let taken = Taken { peers: list(peers), neighbours: list(neighbours) };
    let word =
        |trial: &Trial| format!("{} {} {}", if trial.inside { "in" } else { "out" }, trial.from, trial.to);
    trials(reach, &taken).iter().map(word).collect()
}

#[test]
fn the_inside_address_is_nobodys_on_the_nodes_own_network() {
    let reach = reach(&["10.0.20.0/24"]);
    let wanted =
        ["in 10.0.20.252 10.0.20.10", "out 198.51.100.77 10.0.20.10", "out 2001:db8::77 fd00:20::10"];
    assert_eq!(lent(&reach, &["10.0.20.251"], &["10.0.20.253"]), wanted);
    // Every other address is in use.
    let busy: Vec<String> =
        (1..=253).filter(|last| *last != 7).map(|last| format!("10.0.20.{last}")).collect();
    let busy: Vec<&str> = busy.iter().map(String::as_str).collect();
    assert_eq!(lent(&reach, &[], &busy)[0], "in 10.0.20.7 10.0.20.10");
}

#[test]
fn a_single_address_is_lent_even_from_the_admin_who_is_connected_from_it() {
    assert_eq!(lent(&reach(&["10.0.20.5/32"]), &["10.0.20.5"], &["10.0.20.5"])[0], "in 10.0.20.5 10.0.20.10");
    assert_eq!(lent(&reach(&["10.0.20.254/32"]), &[], &[])[0], "in 10.0.20.254 10.0.20.10");
    // Ours is never lent: what comes from it does not come from outside.
    assert_eq!(lent(&reach(&["10.0.20.10/32"]), &[], &[])[0], "out 198.51.100.77 10.0.20.10");
}

#[test]
fn remote_networks_and_both_families_are_tried_each_with_an_address_of_its_own() {
    let found = lent(&reach(&["172.16.5.0/24", "fd00:20::/64", "2001:db8:7::5/128"]), &[], &[]);
    let wanted = [
        "in 172.16.5.254 10.0.20.10",
        "in fd00:20::ffff:ffff:ffff:fffe fd00:20::10",
        "in 2001:db8:7::5 fd00:20::10",
        "out 198.51.100.77 10.0.20.10",
        "out 2001:db8::77 fd00:20::10",
    ];
    assert_eq!(found, wanted);
}

#[test]
fn a_network_that_holds_everything_leaves_no_outsider_of_its_family() {
    let found = lent(&reach(&["0.0.0.0/0"]), &[], &[]);
    assert_eq!(found, ["in 10.0.20.253 10.0.20.10", "out 2001:db8::77 fd00:20::10"]);
    let found = lent(&reach(&["128.0.0.0/1"]), &[], &[]);
    assert_eq!(found[0], "in 128.0.0.1 10.0.20.10", "nothing comes from multicast and reserved addresses");
    assert_eq!(found.len(), 2, "every address for documentation lies in it: {found:?}");
}

#[test]
fn with_any_nobody_is_outside_and_both_families_get_in() {
    let wanted = ["in 10.0.20.253 10.0.20.10", "in fd00:20::ffff:ffff:ffff:fffe fd00:20::10"];
    assert_eq!(lent(&reach(&[]), &[], &[]), wanted);
}

#[test]
fn an_outsider_is_in_no_network_that_the_answer_opens() {
    let mut reach = reach(&["10.0.20.0/24"]);
    reach.open = Some(vec![net("198.51.100.0/24"), net("2001:db8::/32")]);
    let found = lent(&reach, &[], &[]);
    assert_eq!(found[1..], ["out 192.0.2.77 10.0.20.10", "out 3fff::77 fd00:20::10"]);
}

#[test]
fn a_node_with_a_single_routed_address_is_reached_too() {
    let mut reach = reach(&["198.18.7.0/24"]);
    reach.own = vec![(ip("203.0.113.9"), net("203.0.113.9/32"))];
    reach.listens = vec![ip("203.0.113.9")];
    assert_eq!(lent(&reach, &[], &[]), ["in 198.18.7.254 203.0.113.9", "out 198.51.100.77 203.0.113.9"]);
    reach.management = Vec::new();
    reach.open = None;
    assert_eq!(lent(&reach, &[], &[]), [""; 0]);
}

#[test]
fn nobody_logs_in_where_sshd_does_not_listen_but_outsiders_are_kept_out_there_too() {
    let mut reach = reach(&["10.0.20.0/24", "fd00:20::/64"]);
    reach.listens.pop();
    let wanted =
        ["in 10.0.20.253 10.0.20.10", "out 198.51.100.77 10.0.20.10", "out 2001:db8::77 fd00:20::10"];
    assert_eq!(lent(&reach, &[], &[]), wanted);
}

#[test]
fn e3_a_management_network_that_nothing_was_tried_from_is_told() {
    let gap = |reach: &Reach| {
        let node = ready(&[]).0;
        Course::plot(&node, reach).unwrap().gap()
    };
    assert_eq!(gap(&reach(&["10.0.20.0/24", "fd00:20::/64", "172.16.5.0/24"])), None);
    let mut deaf = reach(&["10.0.20.0/24", "fd00:20::/64"]);
    deaf.listens.pop();
    assert_eq!(gap(&deaf).unwrap(), "no new connection was tried from fd00:20::/64");
    // Nobody comes from a family that the node does not speak.
    deaf.own.pop();
    assert_eq!(gap(&deaf), None);
    let many: Vec<String> = (1..=9).map(|number| format!("172.16.{number}.0/24")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(gap(&reach(&many)).unwrap(), "no new connection was tried from 172.16.9.0/24");
}

#[test]
fn the_ports_of_the_probe_are_those_of_no_live_connection() {
    assert_eq!(wire::free_ports(&[]), 9722);
    let socket =
        Socket { local: (ip("10.0.20.10"), 22), remote: (ip("10.0.20.5"), 9730), listens: false, live: true };
    assert_eq!(wire::free_ports(&[socket]), 7722);
}

fn ok(stdout: &str) -> Output {
    Output { status: 0, stdout: stdout.to_owned(), stderr: String::new() }
}

fn remove(files: &Files, path: &str) -> Output {
    assert!(files.has(path), "{path}");
    files.remove(path);
    ok("")
}

/// What of the probe is in the kernel and in `/run`.
pub(crate) fn leftovers(node: &Scripted) -> Vec<&'static str> {
    let places = ["/run/netns/firstlight", "/run/kernel/rules", "/run/firstlight/reach"];
    let mut left: Vec<&str> = places.into_iter().filter(|path| node.files.has(path)).collect();
    left.extend(has_device(&node.files).then_some(DEVICES));
    left
}

fn has_device(files: &Files) -> bool {
    files.text(DEVICES).contains("firstlight0:")
}

/// A boot: what was in the kernel and in `/run` is gone.
pub(crate) fn forget_kernel(node: &Scripted) {
    for path in leftovers(node) {
        node.files.remove(path);
    }
}

/// A network, iproute2 and OpenSSH for a scripted node; a filter that does what it should.
pub(crate) fn network(node: &Scripted) {
    let files = &node.files;
    for tool in ["/usr/sbin/ip", "/usr/sbin/sysctl", "/usr/bin/ssh", "/usr/bin/ssh-keygen", "/usr/bin/bash"] {
        files.put(tool, "");
    }
    for directory in ["/run/netns", "/run/kernel"] {
        files.directory(directory);
    }
    files.put("/etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 HOST root@vm\n");
    files.put(
        "/proc/net/tcp",
        "h\n0: 00000000:0016 00000000:0000 0A 0:0\n1: 00000000:1F46 00000000:0000 0A 0:0\n\
         2: 0A14000A:0016 0514000A:C001 01 0:0\n",
    );
    let sshd = "port 22\npubkeyauthentication yes\nauthenticationmethods any\nhostkey /etc/ssh/ssh_host_ed25519_key\n\
        authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2\n";
    node.says("/usr/sbin/sshd -T -C user=ops", sshd);
    node.on("/usr/bin/ssh-keygen", |files, _| {
        files.put("/run/firstlight/reach/key", "secret\n");
        files.put("/run/firstlight/reach/key.pub", "ssh-ed25519 PROBE firstlight-probe\n");
        ok("")
    });
    node.says("/usr/sbin/ip neigh show", "10.0.20.253 dev vmbr0 lladdr 02:00:00:00:00:01 STALE\n");
    for quiet in ["/usr/sbin/sysctl", "/usr/sbin/ip -n firstlight", "/usr/sbin/ip -4 -n firstlight"] {
        node.says(quiet, "");
    }
    node.says(&format!("{EXEC} /usr/sbin/sysctl"), "");
    wires(node);
    node.on(&format!("{EXEC} /usr/bin/ssh "), |files, _| {
        assert!(has_device(files) && files.has("/run/kernel/rules"));
        let keys = files.text(KEYS);
        assert!(keys.ends_with("ssh-ed25519 PROBE firstlight-probe\n"), "{keys}");
        ok("")
    });
    node.on(&format!("{EXEC} /usr/bin/timeout"), |files, _| {
        let outside = files.text("/run/kernel/source").starts_with("198.51.100.");
        if outside { Output { status: 124, ..ok("") } } else { ok("8006\n") }
    });
}

fn wires(node: &Scripted) {
    let put = |path: &'static str| {
        move |files: &Files, _: &crate::node::Invocation| {
            files.put(path, "");
            ok("")
        }
    };
    node.on("/usr/sbin/ip netns add firstlight", put("/run/netns/firstlight"));
    node.on("/usr/sbin/ip -batch -", |files, _| {
        files.put(DEVICES, "Inter-|\n    lo: 0\nfirstlight0: 0\n");
        ok("")
    });
    node.on("/usr/sbin/ip -4 -batch -", put("/run/kernel/rules"));
    node.on("/usr/sbin/ip -n firstlight route replace", |files, invocation| {
        files.put("/run/kernel/source", invocation.arguments.last().unwrap());
        ok("")
    });
    node.on("/usr/sbin/ip -4 rule flush", |files, _| {
        if files.has("/run/kernel/rules") {
            files.remove("/run/kernel/rules");
        }
        ok("")
    });
    node.on("/usr/sbin/ip link delete dev firstlight0", |files, _| remove(files, DEVICES));
    node.on("/usr/sbin/ip netns delete firstlight", |files, _| remove(files, "/run/netns/firstlight"));
}

/// A node whose admin has a key, without the transaction around it.
fn ready(management: &[&str]) -> (Scripted, Reach) {
    let node = Scripted::new();
    network(&node);
    node.files.put("/etc/passwd", "ops:x:0:0::/home/ops:/bin/bash\n");
    node.files.put(KEYS, "ssh-ed25519 MINE ops");
    let mut reach = reach(management);
    reach.own.pop();
    (node, reach)
}

#[test]
fn the_whole_probe_in_its_order() {
    let (node, reach) = ready(&["10.0.20.0/24"]);
    let course = Course::plot(&node, &reach).unwrap();
    course.begin(&node).unwrap();
    assert_eq!(
        node.files.text(KEYS),
        "ssh-ed25519 MINE ops\nrestrict,command=\"/usr/bin/true\",from=\"10.0.20.252\",\
         expiry-time=\"202601010010Z\" ssh-ed25519 PROBE firstlight-probe\n"
    );
    assert_eq!(node.files.text("/run/firstlight/reach/hosts"), "firstlight ssh-ed25519 HOST root@vm\n");
    let findings = course.run(&node).unwrap();
    let found: Vec<(&str, bool)> =
        findings.iter().map(|finding| (finding.id.as_str(), finding.holds)).collect();
    let wanted = [
        ("reach.ssh.management.10.0.20.252", true),
        ("reach.8006.management.10.0.20.252", true),
        ("reach.ssh.outside.198.51.100.77", true),
        ("reach.8006.outside.198.51.100.77", true),
    ];
    assert_eq!(found, wanted);
    super::clear(&node).unwrap();
    super::clear(&node).unwrap();
    super::forget(&node, KEYS.as_ref()).unwrap();
    assert_eq!(node.files.text(KEYS), "ssh-ed25519 MINE ops\n");
    assert!(leftovers(&node).is_empty());
    let shorten = |line: String| line.replace("/usr/sbin/", "").replace("/usr/bin/", "");
    let ran: Vec<String> = node.ran().into_iter().map(shorten).collect();
    let login = ran.iter().find(|line| line.starts_with("ip netns exec firstlight ssh ")).unwrap();
    assert!(login.contains(" -F none -n -T -p 22 -i /run/firstlight/reach/key "), "{login}");
    assert!(login.ends_with(" -l ops 10.0.20.10 true"), "{login}");
    let words = |line: &String| line.split(' ').take(6).collect::<Vec<_>>().join(" ");
    let order: Vec<String> = ran.iter().map(words).collect();
    let wanted = [
        "ip neigh show",
        "sshd -T -C user=ops,host=10.0.20.252,addr=10.0.20.252,laddr=10.0.20.10,lport=22",
        "ip -4 rule flush table 26220",
        "ssh-keygen -q -t ed25519 -N ",
        "ip netns add firstlight",
        "ip -batch -",
        "sysctl -q -w net.ipv4.conf.firstlight0.rp_filter=2",
        "ip -n firstlight -batch -",
        "ip netns exec firstlight sysctl -q",
        "ip -4 -batch -",
        "ip -4 -n firstlight -batch -",
        "ip -n firstlight route replace 10.0.20.10/32",
        "ip netns exec firstlight ssh -F",
        "ip netns exec firstlight timeout 10",
        "ip -n firstlight route replace 10.0.20.10/32",
        "ip netns exec firstlight timeout 3",
        "ip -4 rule flush table 26220",
        "ip link delete dev firstlight0",
        "ip netns delete firstlight",
        "ip -4 rule flush table 26220",
    ];
    assert_eq!(order, wanted);
}

#[test]
fn a_refused_login_is_tried_once_and_a_refused_connection_three_times() {
    let command = format!("{EXEC} /usr/bin/ssh ");
    for (complaint, tries, sentence) in [
        (
            "ops@10.0.20.10: Permission denied (publickey).",
            1,
            "SSH from 10.0.20.252 (management): ops cannot log in: ops@10.0.20.10: Permission denied (publickey).",
        ),
        (
            "ssh: connect to host 10.0.20.10 port 22: Connection refused",
            3,
            "SSH from 10.0.20.252 (management) is not reached: ssh: connect to host 10.0.20.10 port 22: \
             Connection refused",
        ),
    ] {
        let (node, reach) = ready(&["10.0.20.0/24"]);
        node.refuses(&command, 255, complaint);
        let course = Course::plot(&node, &reach).unwrap();
        course.begin(&node).unwrap();
        let findings = course.run(&node).unwrap();
        assert_eq!(findings.len(), 1, "nothing more is tried");
        assert_eq!(findings[0].message, sentence);
        assert_eq!(node.ran().iter().filter(|line| line.starts_with(&command)).count(), tries);
    }
}

#[test]
fn what_lets_outsiders_in_is_named_and_a_broken_wire_is_no_proof() {
    let (node, reach) = ready(&["10.0.20.0/24"]);
    let course = Course::plot(&node, &reach).unwrap();
    node.says(&format!("{EXEC} /usr/bin/timeout 3"), "22\n");
    course.begin(&node).unwrap();
    let findings = course.run(&node).unwrap();
    let wrong: Vec<&str> =
        findings.iter().filter(|finding| !finding.holds).map(|finding| finding.message.as_str()).collect();
    assert_eq!(wrong, ["SSH is reached from 198.51.100.77, which is in none of the management networks"]);
    node.on(&format!("{EXEC} /usr/bin/timeout 3"), |_, _| Output {
        stderr: "/dev/tcp/10.0.20.10/22: Network is unreachable".into(),
        ..ok("")
    });
    assert!(course.run(&node).is_err());
}

#[test]
fn what_keeps_the_probe_from_being_made_is_said() {
    let because = |change: &dyn Fn(&Scripted)| {
        let (node, reach) = ready(&["10.0.20.0/24"]);
        change(&node);
        let error = Course::plot(&node, &reach).err().unwrap().to_string();
        assert!(leftovers(&node).is_empty());
        error
    };
    assert!(because(&|node| node.files.remove("/usr/bin/ssh")).contains("/usr/bin/ssh is missing"));
    assert!(because(&|node| node.files.put("/etc/passwd", "")).contains("there is no such account"));
    let two = "pubkeyauthentication yes\nauthenticationmethods publickey,password\nauthorizedkeysfile k\n";
    assert!(because(&|node| node.says("/usr/sbin/sshd -T -C user=ops", two)).contains("by a key alone"));
    let none = "pubkeyauthentication yes\nauthenticationmethods any\nauthorizedkeysfile none\n";
    assert!(because(&|node| node.says("/usr/sbin/sshd -T -C user=ops", none)).contains("reads no file"));
    // A link may lead to where a whole cluster reads, or out of the admin's home.
    let linked = because(&|node| {
        node.files.remove(KEYS);
        std::os::unix::fs::symlink("/etc/pve/priv/authorized_keys", node.files.host(KEYS)).unwrap();
        node.says(
            "/usr/sbin/sshd -T -C user=ops",
            &two.replace("publickey,password", "any").replace("file k", "file .ssh/authorized_keys"),
        );
    });
    assert!(linked.contains("reads no file"), "{linked}");
}
