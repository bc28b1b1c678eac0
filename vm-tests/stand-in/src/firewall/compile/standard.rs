//! The chains PVE always makes: quiet drops, rejects, smurfs, flags.

use super::Compiler;
use crate::firewall::address::Family;

/// Chain and its lines; `%` stands for what the chain does with noise.
type Chain = (&'static str, &'static [&'static str]);

const NOISE_V4: &[&str] = &[
    " -j PVEFW-DropBroadcast",
    "-p icmp -m icmp --icmp-type fragmentation-needed -j ACCEPT",
    "-p icmp -m icmp --icmp-type time-exceeded -j ACCEPT",
];
const NOISE_V6: &[&str] = &[
    "-p tcp --dport 43 -j PVEFW-reject",
    " -j PVEFW-DropBroadcast",
    "-p icmpv6 -m icmpv6 --icmpv6-type destination-unreachable -j ACCEPT",
    "-p icmpv6 -m icmpv6 --icmpv6-type time-exceeded -j ACCEPT",
    "-p icmpv6 -m icmpv6 --icmpv6-type packet-too-big -j ACCEPT",
];
const NOISE: &[&str] = &[
    "-m conntrack --ctstate INVALID -j DROP",
    "-p udp --match multiport --dports 135,445 -j %",
    "-p udp --dport 137:139 -j %",
    "-p udp --sport 137 --dport 1024:65535 -j %",
    "-p tcp --match multiport --dports 135,139,445 -j %",
    "-p udp --dport 1900 -j DROP",
    "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP",
    "-p udp --sport 53 -j DROP",
];
const BOTH: &[Chain] = &[
    ("PVEFW-SET-ACCEPT-MARK", &[" -j MARK --set-mark 0x80000000/0x80000000"]),
    (
        "PVEFW-tcpflags",
        &[
            "-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG FIN,PSH,URG -g PVEFW-logflags",
            "-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -g PVEFW-logflags",
            "-p tcp -m tcp --tcp-flags SYN,RST SYN,RST -g PVEFW-logflags",
            "-p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN -g PVEFW-logflags",
            "-p tcp -m tcp --sport 0 --tcp-flags FIN,SYN,RST,ACK SYN -g PVEFW-logflags",
        ],
    ),
];
const V4: &[Chain] = &[
    (
        "PVEFW-DropBroadcast",
        &[
            "-m addrtype --dst-type BROADCAST -j DROP",
            "-m addrtype --dst-type MULTICAST -j DROP",
            "-m addrtype --dst-type ANYCAST -j DROP",
            "-d 224.0.0.0/4 -j DROP",
        ],
    ),
    (
        "PVEFW-reject",
        &[
            "-m addrtype --dst-type BROADCAST -j DROP",
            "-s 224.0.0.0/4 -j DROP",
            "-p icmp -j DROP",
            "-p tcp -j REJECT --reject-with tcp-reset",
            "-p udp -j REJECT --reject-with icmp-port-unreachable",
            "-p icmp -j REJECT --reject-with icmp-host-unreachable",
            " -j REJECT --reject-with icmp-host-prohibited",
        ],
    ),
    (
        "PVEFW-smurfs",
        &[
            "-s 0.0.0.0/32 -j RETURN",
            "-m addrtype --src-type BROADCAST -g PVEFW-smurflog",
            "-s 224.0.0.0/4 -g PVEFW-smurflog",
        ],
    ),
];
const V6: &[Chain] = &[
    ("PVEFW-DropBroadcast", &["-d ff00::/8 -j DROP"]),
    (
        "PVEFW-reject",
        &[
            "-p icmpv6 -j DROP",
            "-p tcp -j REJECT --reject-with tcp-reset",
            "-p udp -j REJECT --reject-with icmp6-port-unreachable",
            " -j REJECT --reject-with icmp6-adm-prohibited",
        ],
    ),
];

impl Compiler<'_> {
    pub(super) fn standard_chains(&mut self) {
        let v4 = self.family == Family::V4;
        for (chain, lines) in BOTH.iter().chain(if v4 { V4 } else { V6 }) {
            self.fixed(chain, lines, "");
        }
        for (chain, noise) in [("PVEFW-Drop", "DROP"), ("PVEFW-Reject", "PVEFW-reject")] {
            self.fixed(chain, if v4 { NOISE_V4 } else { NOISE_V6 }, noise);
            self.fixed(chain, NOISE, noise);
        }
        self.logged_drop("PVEFW-logflags", "tcp_flags_log_level");
        if v4 {
            self.logged_drop("PVEFW-smurflog", "smurf_log_level");
        }
    }

    fn fixed(&mut self, chain: &str, lines: &[&str], noise: &str) {
        for line in lines {
            self.push(chain, format!("-A {chain} {}", line.replace('%', noise)));
        }
    }

    fn logged_drop(&mut self, chain: &str, option: &str) {
        if let Some(level) = self.level(option) {
            let log = self.log(chain, &level, "DROP: ");
            self.push(chain, format!("-A {chain}  {log}"));
        }
        self.push(chain, format!("-A {chain}  -j DROP"));
    }
}
