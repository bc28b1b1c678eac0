//! Two readings of the same files: for packets of all kinds the evaluator and the generated chains must agree.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

mod interpreter;

use std::net::IpAddr;

use stand_in::evaluator::{self, Network, NodeView, Packet, Payload, Rules, State, Verdict, Way};
use stand_in::firewall::address::Family;
use stand_in::firewall::compile::{Compiled, Corosync, Input, Link, compile};
use stand_in::firewall::config;
use stand_in::firewall::names::Names;

const NOW: u64 = 1_800_000_000;

/// Numbers that only look random: xorshift.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("a small number")
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

const ACTIONS: [&str; 3] = ["ACCEPT", "DROP", "REJECT"];
const MACROS: [&str; 9] = ["SSH", "Ping", "HTTPS", "DNS", "Web", "ping", "SNMP", "VNC", "NoSuch"];
const MATCHES: [&str; 18] = [
    "",
    "-p tcp -dport 22",
    "-p tcp -dport 8006",
    "-p tcp -dport 22,80,443",
    "-p tcp -dport 60000:60050",
    "-p udp -dport 111",
    "-p udp -dport 5404:5405",
    "-p icmp",
    "-p icmp -icmp-type echo-request",
    "-p icmpv6 -icmp-type echo-request",
    "-p tcp -dport 0",
    "-p icmp -dport 8",
    "-p tcp -sport 1024:65535 -dport 22",
    "-p 47",
    "-p tcp -dport ssh",
    "-dport 22",
    "-p tcp -dport 25:22",
    "-p foo",
];
const ENDS: [&str; 16] = [
    "10.0.0.0/8",
    "192.168.10.66",
    "fd00::/8",
    "+management",
    "+dc/ok",
    "+ok",
    "+OK",
    "+nosuch",
    "office",
    "dc/office",
    "10.0.0.1-10.0.0.9",
    "10.0.0.1,192.168.10.66",
    "10.0.0.5/24",
    "10.0.0.1,fd00::1",
    "nosuchalias",
    "10.0.0.0/33",
];
const MEMBERS: [&str; 14] = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "!10.1.2.0/24",
    "192.168.10.0/24",
    "192.168.10.66",
    "!192.168.10.66",
    "office # c",
    "fd00::/8",
    "!fd00:1::/32",
    "10.0.0.5",
    "0.0.0.0/0",
    "10.0.0.300",
    "nosuch",
    "2001:db8::1",
];
const POLICIES: [&str; 7] = [
    "policy_in: DROP",
    "policy_in: ACCEPT",
    "policy_in: REJECT",
    "policy_out: DROP",
    "policy_out: REJECT",
    "policy_in : ACCEPT",
    "policy_in: drop",
];

fn rule(numbers: &mut Numbers, group: bool) -> String {
    let mut line = String::new();
    if numbers.chance(10) {
        line.push('|');
    }
    if !group && numbers.chance(10) {
        return line + if numbers.chance(50) { "GROUP webs" } else { "GROUP missing" };
    }
    line.push_str(numbers.pick(&["IN ", "IN ", "IN ", "OUT ", "in ", "FORWARD "]));
    let action = numbers.pick(&ACTIONS);
    if numbers.chance(40) {
        line.push_str(&format!("{}({action})", numbers.pick(&MACROS)));
    } else {
        line.push_str(&format!("{action} {}", numbers.pick(&MATCHES)));
    }
    if !group && numbers.chance(15) {
        line.push_str(" -i vmbr0");
    }
    if numbers.chance(60) {
        line.push_str(&format!(" -source {}", numbers.pick(&ENDS)));
    }
    if numbers.chance(10) {
        line.push_str(&format!(" -dest {}", numbers.pick(&ENDS)));
    }
    if numbers.chance(20) {
        line.push_str(" -log info # what it is for");
    }
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn rules(numbers: &mut Numbers, group: bool) -> String {
    let count = numbers.below(5);
    (0..count).map(|_| rule(numbers, group) + "\n").collect()
}

fn set(numbers: &mut Numbers, name: &str) -> String {
    let mut text = format!("[IPSET {name}]\n");
    for _ in 0..numbers.below(5) {
        text.push_str(numbers.pick(&MEMBERS));
        text.push('\n');
    }
    text
}

fn datacenter(numbers: &mut Numbers) -> String {
    let enable = match numbers.below(12) {
        0 => "enable: 0\n".to_owned(),
        1 => format!("enable: {}\n", NOW - 30),
        2 => format!("enable: {}\n", NOW - 90),
        3 => "enable: maybe\nenable: 1\n".to_owned(),
        _ => "enable: 1\n".to_owned(),
    };
    let mut text = format!("# written by nobody\n[OPTIONS]\n{enable}");
    for _ in 0..numbers.below(3) {
        text.push_str(numbers.pick(&POLICIES));
        text.push('\n');
    }
    if numbers.chance(80) {
        text.push_str("[ALIASES]\noffice 192.0.2.0/24\n");
        if numbers.chance(40) {
            text.push_str("local_network 192.168.10.5\n");
        }
    }
    if numbers.chance(10) {
        text.push_str("[RULES]\nIN ACCEPT -source +ok -p tcp -dport 22\n");
    }
    for name in ["management", "ok", "blacklist"] {
        if numbers.chance(if name == "blacklist" { 15 } else { 70 }) {
            text.push_str(&set(numbers, name));
        }
    }
    text.push_str("[RULES]\n");
    text.push_str(&rules(numbers, false));
    if numbers.chance(50) {
        text.push_str("[group webs]\n");
        text.push_str(&rules(numbers, true));
    }
    if numbers.chance(4) { text.replace('\n', "\r\n") } else { text }
}

fn host(numbers: &mut Numbers) -> String {
    if numbers.chance(40) {
        return String::new();
    }
    let options = [
        "enable: 0",
        "enable: 1",
        "ndp: 0",
        "nosmurfs: 0",
        "tcpflags: 1",
        "log_level_in: info",
        "policy_in: DROP",
    ];
    let mut text = "[OPTIONS]\n".to_owned();
    for _ in 0..numbers.below(3) {
        let option = if numbers.chance(15) { "enable: 0" } else { numbers.pick(&options[1..]) };
        text.push_str(option);
        text.push('\n');
    }
    text + "[RULES]\n" + &rules(numbers, false)
}

const V4: [&str; 16] = [
    "10.0.0.5",
    "10.1.0.1",
    "10.1.2.3",
    "192.168.10.5",
    "192.168.10.66",
    "192.168.10.20",
    "192.0.2.9",
    "198.51.100.7",
    "192.168.10.255",
    "255.255.255.255",
    "224.0.0.1",
    "0.0.0.0",
    "10.0.0.1",
    "10.0.0.9",
    "203.0.113.1",
    "192.168.10.6",
];
const V6: [&str; 6] = ["fd00::1", "fd00:1::1", "2001:db8::1", "2001:db8::2", "ff02::1", "fe80::1"];
const PORTS: [u16; 20] =
    [0, 22, 25, 43, 53, 80, 111, 135, 137, 139, 443, 445, 1900, 3128, 5405, 5900, 8006, 9100, 60_000, 60_051];

fn packet(numbers: &mut Numbers) -> Packet<'static> {
    let addresses: &[&str] = if numbers.chance(70) { &V4 } else { &V6 };
    let address = |numbers: &mut Numbers| -> IpAddr { numbers.pick(addresses).parse().expect("an address") };
    let (from, to) =
        (if numbers.chance(70) { 40_000 } else { PORTS[numbers.below(20)] }, PORTS[numbers.below(20)]);
    let kinds = [0, 1, 2, 3, 8, 11, 128, 129, 133, 134, 135, 136];
    let payload = match numbers.below(10) {
        0..5 => Payload::Tcp { from, to, syn: numbers.chance(85) },
        5..7 => Payload::Udp { from, to },
        7..9 => {
            Payload::Icmp { kind: kinds[numbers.below(12)], code: if numbers.chance(50) { 0 } else { 4 } }
        }
        _ if numbers.chance(50) => Payload::Igmp,
        _ => Payload::Other(47),
    };
    Packet {
        way: if numbers.chance(75) { Way::In } else { Way::Out },
        interface: numbers.pick(&["vmbr0", "vmbr0", "vmbr0", "eno1", "lo"]),
        source: address(numbers),
        destination: address(numbers),
        payload,
        state: match numbers.below(12) {
            0 => State::Established,
            1 => State::Invalid,
            _ => State::New,
        },
    }
}

fn node(cluster: bool) -> (NodeView, Option<Corosync>) {
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    let mut view = NodeView {
        local_network: Network::read("192.168.10.0/24"),
        broadcasts: vec![ip("192.168.10.255")],
        links: Vec::new(),
    };
    if !cluster {
        return (view, None);
    }
    view.links.push((ip("192.168.10.5"), vec![ip("192.168.10.6")]));
    let link = |node: &str, address: &str| Link {
        node: node.to_owned(),
        key: "ring0_addr".to_owned(),
        address: address.to_owned(),
        family: Family::V4,
    };
    let links = vec![link("pve1", "192.168.10.5"), link("pve2", "192.168.10.6")];
    (view, Some(Corosync { links, multicast: false }))
}

fn compiled(datacenter: &str, host: &str, corosync: Option<&Corosync>) -> Compiled {
    let names = Names::of_the_machine();
    let datacenter = config::cluster("cluster.fw", datacenter.as_bytes(), names, NOW).config;
    let host = config::host("host.fw", host.as_bytes(), names, &datacenter).config;
    compile(Input {
        datacenter: &datacenter,
        host: &host,
        local_network: Some("192.168.10.0/24"),
        node: "pve1",
        corosync,
        names,
    })
}

/// Both verdicts about a packet.
fn verdicts(datacenter: &str, host: &str, packet: &Packet<'_>) -> (Verdict, Verdict) {
    let (view, corosync) = node(false);
    let compiled = compiled(datacenter, host, corosync.as_ref());
    let rules = Rules::read(datacenter, host, NOW);
    (evaluator::judge(&rules, &view, packet), interpreter::verdict(&compiled, &view, packet))
}

#[test]
fn d_the_evaluator_and_the_generated_chains_agree_about_every_packet() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut seen, mut packets) = ([0_usize; 3], 0);
    for round in 0..1500 {
        let (datacenter, host) = (datacenter(&mut numbers), host(&mut numbers));
        let (view, corosync) = node(round % 4 == 0);
        let compiled = compiled(&datacenter, &host, corosync.as_ref());
        let rules = Rules::read(&datacenter, &host, NOW);
        for _ in 0..200 {
            let packet = packet(&mut numbers);
            let one = evaluator::judge(&rules, &view, &packet);
            let other = interpreter::verdict(&compiled, &view, &packet);
            assert_eq!(one, other, "evaluator, chains\n{packet:?}\n{datacenter}\n--- host.fw\n{host}");
            seen[one as usize] += 1;
            packets += 1;
        }
    }
    println!("{packets} packets: {} accepted, {} dropped, {} rejected", seen[0], seen[1], seen[2]);
    assert!(seen.iter().all(|count| *count > packets / 50), "too one-sided: {seen:?}");
}

fn new_tcp(source: &str, to: u16) -> Packet<'static> {
    let destination = if source.contains(':') { "fd00:10::5" } else { "192.168.10.5" };
    Packet {
        way: Way::In,
        interface: "vmbr0",
        source: source.parse().expect("an address"),
        destination: destination.parse().expect("an address"),
        payload: Payload::Tcp { from: 40_000, to, syn: true },
        state: State::New,
    }
}

fn both(datacenter: &str, packet: &Packet<'_>) -> Verdict {
    let (one, other) = verdicts(datacenter, "", packet);
    assert_eq!(one, other, "{packet:?}\n{datacenter}");
    one
}

#[test]
fn d_a_drop_in_front_locks_even_the_management_out() {
    let text = "[OPTIONS]\nenable: 1\n[RULES]\nIN DROP\n";
    assert_eq!(both(text, &new_tcp("192.168.10.20", 22)), Verdict::Drop);
}

#[test]
fn d_the_whole_local_network_manages_until_the_alias_narrows_it() {
    let wide = "[OPTIONS]\nenable: 1\n[IPSET management]\n198.51.100.0/24\n";
    assert_eq!(both(wide, &new_tcp("192.168.10.20", 8006)), Verdict::Accept);
    assert_eq!(both(wide, &new_tcp("198.51.100.7", 22)), Verdict::Accept);
    assert_eq!(both(wide, &new_tcp("203.0.113.1", 22)), Verdict::Drop);
    assert_eq!(both(wide, &new_tcp("fd00::1", 22)), Verdict::Drop);
    let narrow = wide.replace("[IPSET", "[ALIASES]\nlocal_network 192.168.10.5\n[IPSET");
    assert_eq!(both(&narrow, &new_tcp("192.168.10.20", 8006)), Verdict::Drop);
}

#[test]
fn d_port_zero_opens_every_port() {
    let text = "[OPTIONS]\nenable: 1\n[RULES]\nIN ACCEPT -p tcp -dport 0\n";
    assert_eq!(both(text, &new_tcp("203.0.113.1", 12_345)), Verdict::Accept);
}

#[test]
fn d_a_set_below_the_rule_is_no_set() {
    let above = "[OPTIONS]\nenable: 1\n[IPSET ok]\n203.0.113.1\n[RULES]\nIN ACCEPT -source +ok\n";
    let below = "[OPTIONS]\nenable: 1\n[RULES]\nIN ACCEPT -source +ok\n[IPSET ok]\n203.0.113.1\n";
    assert_eq!(both(above, &new_tcp("203.0.113.1", 9100)), Verdict::Accept);
    assert_eq!(both(below, &new_tcp("203.0.113.1", 9100)), Verdict::Drop);
}

#[test]
fn d_windows_line_ends_and_a_mark_at_the_beginning_turn_the_firewall_off() {
    let text = "[OPTIONS]\nenable: 1\n";
    assert_eq!(both(text, &new_tcp("203.0.113.1", 22)), Verdict::Drop);
    assert_eq!(both(&text.replace('\n', "\r\n"), &new_tcp("203.0.113.1", 22)), Verdict::Accept);
    assert_eq!(both(&format!("\u{feff}{text}"), &new_tcp("203.0.113.1", 22)), Verdict::Accept);
}
