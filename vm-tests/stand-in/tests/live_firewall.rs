//! The firewall with a real kernel: packets decide, and the daemon does what it was recorded to do.
//!
//! Needs root, iptables-legacy and ipset: `cargo test -p stand-in --test live_firewall -- --ignored`.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

mod live;
#[path = "live/replay.rs"]
mod replay;
#[allow(dead_code, reason = "shared with the replay without a kernel")]
#[path = "conformance/transcript.rs"]
mod transcript;

use std::fs;
use std::net::IpAddr;
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use live::{Neighbour, inside, node, sh, write};
use replay::Machine;
use stand_in::context::Context;
use stand_in::evaluator::{self, Network, NodeView, Packet, Payload, Rules, State, Verdict, Way};
use stand_in::firewall::files::Audience;
use stand_in::firewall::update::update;

const PORTS: [u16; 7] = [22, 80, 3128, 5900, 8006, 9100, 60_000];
const CLUSTER: &str = "/etc/pve/firewall/cluster.fw";

fn host_file() -> String {
    format!("/etc/pve/nodes/{}/host.fw", sh("uname -n | cut -d. -f1").trim())
}

/// Pairs of files: what the product writes, and the traps.
const FILES: [(&str, &str); 13] = [
    ("[OPTIONS]\nenable: 1\n", ""),
    ("[OPTIONS]\nenable: 0\n[RULES]\nIN DROP\n", ""),
    ("[OPTIONS]\nenable: 1\n[RULES]\nIN DROP\n", ""),
    ("[OPTIONS]\nenable: 1\npolicy_in: REJECT\n", ""),
    ("[OPTIONS]\nenable: 1\npolicy_in: ACCEPT\n[RULES]\nIN REJECT -p tcp -dport 9100\n", ""),
    ("[OPTIONS]\nenable: 1\n[RULES]\nIN ACCEPT -p tcp -dport 0\n", ""),
    (
        "[OPTIONS]\nenable: 1\npolicy_in: DROP\n[ALIASES]\nlocal_network 192.168.10.5\n[IPSET management]\n\
         192.168.10.20\n198.51.100.0/24\n2001:db8::/32\n[RULES]\nIN SSH(ACCEPT) -source +management -log nolog # ssh\n\
         IN ACCEPT -source +dc/management -p tcp -dport 9100\nIN Ping(ACCEPT)\n",
        "",
    ),
    (
        "[OPTIONS]\nenable: 1\n[IPSET ok]\n10.0.0.0/8\n!10.0.0.5\nfd00::/8\n!fd00:10::66\n[RULES]\nIN ACCEPT -source +ok\n",
        "",
    ),
    (
        "[OPTIONS]\nenable: 1\n[IPSET blacklist]\n192.168.10.66\nfd00:10::66\n[RULES]\nIN ACCEPT\n",
        "[OPTIONS]\ntcpflags: 1\nlog_level_in: info\nsmurf_log_level: info\n",
    ),
    (
        "[OPTIONS]\nenable: 1\n[RULES]\nGROUP webs\nIN ACCEPT -p tcp -dport 80\n[group webs]\n\
         IN REJECT -p tcp -dport 80 -source 192.168.10.20\nIN ACCEPT -p tcp -dport 5900:9100 -log info\n",
        "[RULES]\nIN DROP -p tcp -dport 22,60000 -source 198.51.100.7\n",
    ),
    ("[OPTIONS]\nenable: 1\n[RULES]\nIN ACCEPT\n", "[OPTIONS]\nenable: 0\n"),
    (
        "[OPTIONS]\nenable: 1\npolicy_in: DROP\npolicy_out: ACCEPT\nlog_ratelimit: enable=1,rate=1/second,burst=5\n\n\
         [ALIASES]\nlocal_network 192.168.10.5 # narrow\n\n[IPSET management] # who manages the node\n\
         192.168.10.20 # desk\nfd00:10::20 # desk\n128.0.0.0/2 # far\n\n[IPSET services] # who uses it\n\
         10.0.0.0/8 # inside\nfd00::/48 # inside\n\n[RULES]\n\
         IN ACCEPT -source +management -p tcp -dport 22 # SSH\n\
         IN ACCEPT -source +management -p tcp -dport 8006 # web interface\n\
         IN Ping(ACCEPT) -source +management # ping\n\
         IN ACCEPT -source +services -p tcp -dport 80,9100 # services\n|IN DROP\n",
        "[OPTIONS]\nenable: 1\nndp: 1\nnosmurfs: 1\ntcpflags: 1\nprotection_synflood: 1\n\
         protection_synflood_rate: 200\nprotection_synflood_burst: 1000\nlog_level_in: info\n\
         smurf_log_level: info\ntcp_flags_log_level: info\n",
    ),
    ("[OPTIONS]\r\nenable: 1\r\n[RULES]\r\nIN DROP\r\n", ""),
];

fn view() -> NodeView {
    NodeView { local_network: Network::read("192.168.10.0/24"), ..NodeView::default() }
}

/// The verdict that the end of a connecting process stands for.
fn outcome(mut child: Child) -> Verdict {
    match child.wait().expect("an end").code() {
        Some(0) => Verdict::Accept,
        Some(124) => Verdict::Drop,
        _ => Verdict::Reject,
    }
}

fn destination(source: IpAddr) -> &'static str {
    if source.is_ipv4() { "192.168.10.5" } else { "fd00:10::5" }
}

/// What became of connections from all neighbours to all ports by both families.
fn try_all(neighbours: &[Neighbour]) -> Vec<(&Neighbour, IpAddr, u16, Verdict)> {
    let mut tries = Vec::new();
    for neighbour in neighbours {
        for port in PORTS {
            for source in [neighbour.v4, neighbour.v6].map(|text| text.parse().expect("an address")) {
                tries.push((neighbour, source, port, neighbour.connect(destination(source), port, "0.7")));
            }
        }
    }
    tries
        .into_iter()
        .map(|(neighbour, source, port, child)| (neighbour, source, port, outcome(child)))
        .collect()
}

#[test]
#[ignore = "needs root, iptables-legacy and ipset"]
fn d_real_packets_decide_as_the_evaluator_says() {
    if !inside("d_real_packets_decide_as_the_evaluator_says") {
        return;
    }
    let neighbours = node(&PORTS);
    let context = Context::of_the_process();
    let (mut tried, mut different) = (0, Vec::new());
    for (datacenter, host) in FILES {
        write(CLUSTER, datacenter);
        write(&host_file(), host);
        update(&context, Audience::Api).unwrap_or_else(|failure| panic!("{}", failure.text()));
        let rules = Rules::read(datacenter, host, context.now());
        for (neighbour, source, port, found) in try_all(&neighbours) {
            let packet = Packet {
                way: Way::In,
                interface: "vmbr0",
                source,
                destination: destination(source).parse().expect("an address"),
                payload: Payload::Tcp { from: 40_000, to: port, syn: true },
                state: State::New,
            };
            let said = evaluator::judge(&rules, &view(), &packet);
            tried += 1;
            // On a busy machine a connection may be late: it gets a second try with more time.
            if said != found && said != outcome(neighbour.connect(destination(source), port, "5")) {
                different.push(format!(
                    "{source} to {port}: evaluator {said:?}, packet {found:?}\n{datacenter}\n{host}"
                ));
            }
        }
    }
    println!("{tried} real connections, {} of them not as the evaluator says", different.len());
    assert!(different.is_empty(), "{}", different.join("\n---\n"));
}

#[test]
#[ignore = "needs root, iptables-legacy and ipset"]
fn d_the_daemon_does_what_the_recorded_one_did() {
    if !inside("d_the_daemon_does_what_the_recorded_one_did") {
        return;
    }
    let _neighbours = node(&[]);
    let mut machine = Machine::new(env!("CARGO_BIN_EXE_stand-in"));
    // Left out: listings in the form of other versions, and logs.
    let (one, mut different) = replay::recording(&mut machine, "35-fw-daemon", &[6, 7, 19]);
    let (other, found) = replay::recording(&mut machine, "36-fw-apply-failures", &[29]);
    different.extend(found);
    println!("{} recorded commands with a real kernel, {} different", one + other, different.len());
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
#[ignore = "needs root, iptables-legacy and ipset"]
fn d_enable_two_applies_at_once_and_the_end_of_the_daemon_leaves_nothing() {
    if !inside("d_enable_two_applies_at_once_and_the_end_of_the_daemon_leaves_nothing") {
        return;
    }
    let _neighbours = node(&[]);
    let mut machine = Machine::new(env!("CARGO_BIN_EXE_stand-in"));
    let loaded = |machine: &Machine| machine.run("iptables-save | grep -c PVEFW").1.trim().to_owned();
    machine.run("pvesh set /cluster/firewall/options --enable 2");
    assert_eq!(loaded(&machine), "107", "as many lines as in transcript 37");
    assert_eq!(machine.run("pve-firewall status").1, "Status: enabled/stopped\n");
    let value = fs::read_to_string("/proc/sys/net/bridge/bridge-nf-call-iptables").unwrap_or_default();
    assert!(matches!(value.trim(), "1" | ""), "bridges are filtered");
    machine.run("pvesh set /cluster/firewall/options --enable 0");
    assert_eq!(loaded(&machine), "107", "without daemon the rules stay");
    write(CLUSTER, &format!("[OPTIONS]\nenable: {}\n", Context::of_the_process().now() - 58));
    machine.start();
    assert_eq!(machine.run("pve-firewall status").1, "Status: enabled/running\n");
    sleep(Duration::from_secs(13));
    assert_eq!(machine.run("pve-firewall status").1, "Status: disabled/running\n", "the time is over");
    assert_eq!(loaded(&machine), "0");
    write(CLUSTER, "[OPTIONS]\nenable: 1\n");
    sleep(Duration::from_secs(11));
    assert_eq!(loaded(&machine), "107");
    assert!(machine.stop());
    assert_eq!((loaded(&machine).as_str(), machine.run("ipset list -n").1.as_str()), ("0", ""));
}
