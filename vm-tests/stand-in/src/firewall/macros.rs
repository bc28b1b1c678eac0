//! PVE's macros: names for common services (contract 3.2; `pvesh get /cluster/firewall/macros` lists them).

use super::address::Family;

/// One match of a macro.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Protocol, by name or number.
    pub protocol: &'static str,
    /// Destination ports, or the ICMP type.
    pub ports: Option<&'static str>,
    /// Source ports.
    pub source_ports: Option<&'static str>,
}

/// `protocol [ports] [< source ports]`, several of them separated by `;`.
const MACROS: [(&str, &str); 84] = [
    ("Amanda", "udp 10080; tcp 10080"),
    ("Auth", "tcp 113"),
    ("BGP", "tcp 179"),
    ("BitTorrent", "tcp 6881:6889; udp 6881"),
    ("BitTorrent32", "tcp 6881:6999; udp 6881"),
    ("CVS", "tcp 2401"),
    ("Ceph", "tcp 6789; tcp 3300; tcp 6800:7300"),
    ("Citrix", "tcp 1494; udp 1604; tcp 2598"),
    ("DAAP", "tcp 3689; udp 3689"),
    ("DCC", "tcp 6277"),
    ("DHCPfwd", "udp 67:68 < 67:68"),
    ("DNS", "udp 53; tcp 53"),
    ("Distcc", "tcp 3632"),
    ("FTP", "tcp 21"),
    ("Finger", "tcp 79"),
    ("GNUnet", "tcp 2086; udp 2086; tcp 1080; udp 1080"),
    ("GRE", "47"),
    ("Git", "tcp 9418"),
    ("HKP", "tcp 11371"),
    ("HTTP", "tcp 80"),
    ("HTTPS", "tcp 443"),
    ("ICPV2", "udp 3130"),
    ("ICQ", "tcp 5190"),
    ("IMAP", "tcp 143"),
    ("IMAPS", "tcp 993"),
    ("IPIP", "94"),
    ("IPsec", "udp 500 < 500; 50"),
    ("IPsecah", "udp 500 < 500; 51"),
    ("IPsecnat", "udp 500; udp 4500; 50"),
    ("IRC", "tcp 6667"),
    ("Jetdirect", "tcp 9100"),
    ("L2TP", "udp 1701"),
    ("LDAP", "tcp 389"),
    ("LDAPS", "tcp 636"),
    ("MDNS", "udp 5353"),
    ("MSNP", "tcp 1863"),
    ("MSSQL", "tcp 1433"),
    ("Mail", "tcp 25; tcp 465; tcp 587"),
    ("Munin", "tcp 4949"),
    ("MySQL", "tcp 3306"),
    ("NNTP", "tcp 119"),
    ("NNTPS", "tcp 563"),
    ("NTP", "udp 123"),
    ("OSPF", "89"),
    ("OpenVPN", "udp 1194"),
    ("PCA", "udp 5632; tcp 5631"),
    ("PMG", "tcp 8006"),
    ("POP3", "tcp 110"),
    ("POP3S", "tcp 995"),
    ("PPtP", "47; tcp 1723"),
    ("Ping", "icmp echo-request"),
    ("PostgreSQL", "tcp 5432"),
    ("Printer", "tcp 515"),
    ("RDP", "tcp 3389"),
    ("RIP", "udp 520"),
    ("RNDC", "tcp 953"),
    ("Razor", "tcp 2703"),
    ("Rdate", "tcp 37"),
    ("Rsync", "tcp 873"),
    ("SANE", "tcp 6566"),
    ("SMB", "udp 135,445; udp 137:139; udp 1024:65535 < 137; tcp 135,139,445"),
    ("SMBswat", "tcp 901"),
    ("SMTP", "tcp 25"),
    ("SMTPS", "tcp 465"),
    ("SNMP", "udp 161:162; tcp 161"),
    ("SPAMD", "tcp 783"),
    ("SPICEproxy", "tcp 3128"),
    ("SSH", "tcp 22"),
    ("SVN", "tcp 3690"),
    ("SixXS", "tcp 3874; udp 3740; 41; udp 5072,8374"),
    ("Squid", "tcp 3128"),
    ("Submission", "tcp 587"),
    ("Syslog", "udp 514; tcp 514"),
    ("TFTP", "udp 69"),
    ("Telnet", "tcp 23"),
    ("Telnets", "tcp 992"),
    ("Time", "tcp 37"),
    ("Trcrt", "udp 33434:33524; icmp echo-request"),
    ("VNC", "tcp 5900:5999"),
    ("VNCL", "tcp 5500"),
    ("Web", "tcp 80; tcp 443"),
    ("Webcache", "tcp 8080"),
    ("Webmin", "tcp 10000"),
    ("Whois", "tcp 43"),
];

/// What differs for IPv6, and what exists there only.
const MACROS_V6: [(&str, &str); 4] = [
    ("DHCPv6", "udp 546:547 < 546:547"),
    (
        "NeighborDiscovery",
        "icmpv6 router-solicitation; icmpv6 router-advertisement; icmpv6 neighbor-solicitation; icmpv6 neighbor-advertisement",
    ),
    ("Ping", "icmpv6 echo-request"),
    ("Trcrt", "udp 33434:33524; icmpv6 echo-request"),
];

/// The names of all macros.
pub fn names() -> impl Iterator<Item = &'static str> {
    let only_v6 = MACROS_V6.iter().filter(|(name, _)| !MACROS.iter().any(|(known, _)| known == name));
    MACROS.iter().chain(only_v6).map(|(name, _)| *name)
}

/// The canonical spelling of a macro's name, whatever its case.
pub fn canonical(name: &str) -> Option<&'static str> {
    let all = MACROS.iter().chain(&MACROS_V6);
    all.map(|(known, _)| *known).find(|known| known.eq_ignore_ascii_case(name))
}

/// The matches of a macro for a family; without family those of IPv4 where there are any. None at all where the macro
/// belongs to IPv6 and the rule to IPv4.
pub fn expand(name: &str, family: Option<Family>) -> Vec<Match> {
    let find = |table: &[(&'static str, &'static str)]| {
        table.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    };
    let (v4, v6) = (find(&MACROS), find(&MACROS_V6));
    let text = match family {
        Some(Family::V6) => v6.or(v4),
        Some(Family::V4) => v4,
        None => v4.or(v6),
    };
    text.map(|text| text.split("; ").map(parse).collect()).unwrap_or_default()
}

fn parse(text: &'static str) -> Match {
    let (main, source_ports) = match text.split_once(" < ") {
        Some((main, ports)) => (main, Some(ports)),
        None => (text, None),
    };
    let (protocol, ports) = match main.split_once(' ') {
        Some((protocol, ports)) => (protocol, Some(ports)),
        None => (main, None),
    };
    Match { protocol, ports, source_ports }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_any_case_and_ping_differs_by_family() {
        assert_eq!(canonical("ssh"), Some("SSH"));
        assert_eq!(canonical("nosuch"), None);
        assert_eq!(names().count(), 86, "84 and two for IPv6 alone");
        let ping = |family| expand("Ping", family).first().map(|one| one.protocol);
        assert_eq!(ping(None), Some("icmp"));
        assert_eq!(ping(Some(Family::V6)), Some("icmpv6"));
        assert!(expand("DHCPv6", Some(Family::V4)).is_empty());
        assert_eq!(expand("SMB", None).len(), 4);
        assert_eq!(expand("SMB", None).get(2).and_then(|one| one.source_ports), Some("137"));
    }
}
