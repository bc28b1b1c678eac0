//! The kernel's tables of sockets, as proc_net(5) has them.

use super::*;
use crate::control::Check;
use crate::node::scripted::Scripted;

const HEAD: &str =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

fn table(sockets: &[(&str, &str)]) -> String {
    let line = |(local, state): &(&str, &str)| {
        let other = local.split_once(':').unwrap().0.replace(|_| true, "0");
        format!("   0: {local} {other}:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 1 1\n")
    };
    HEAD.to_owned() + &sockets.iter().map(line).collect::<String>()
}

/// Postfix and rpcbind as a hardened node has them: loopback, SSH, the web interface, a client of DNS.
fn node() -> Scripted {
    let node = Scripted::new();
    node.files.put(
        "/proc/net/tcp",
        table(&[
            ("0100007F:0019", "0A"),
            ("00000000:0016", "0A"),
            ("0100007F:0055", "0A"),
            ("0514000A:9C40", "01"),
        ]),
    );
    node.files.put(
        "/proc/net/tcp6",
        table(&[
            ("00000000000000000000000000000000:1F46", "0A"),
            ("00000000000000000000000001000000:0019", "0A"),
            ("0000000000000000FFFF00000100007F:1234", "0A"),
        ]),
    );
    node.files.put(
        "/proc/net/udp",
        table(&[("0100007F:0143", "07"), ("00000000:8001", "07"), ("0514000A:0035", "01")]),
    );
    node.files.put(CLIENT_PORTS_PATH, "32768\t60999\n");
    node.says("/usr/sbin/postconf -h inet_interfaces", "loopback-only\n");
    node
}

fn seen(node: &Scripted, check: &Check) -> Option<String> {
    match Observer::new(node).evaluate(check).unwrap() {
        Verdict::Holds => None,
        Verdict::Fails(message) => Some(message),
    }
}

fn listeners() -> Check {
    Check::Listeners("tcp/22 tcp/8000:8006 udp/5404:5412".to_owned())
}

#[test]
fn g3_g4_a_node_where_only_what_is_known_listens_is_green() {
    assert_eq!(seen(&node(), &listeners()), None);
    assert_eq!(seen(&node(), &Check::MailOnLoopback), None);
}

#[test]
fn g4_i3_what_else_listens_is_red_by_protocol_and_port() {
    let node = node();
    node.files.put(
        "/proc/net/udp6",
        table(&[("00000000000000000000000000000000:006F", "07"), ("000080FE00000000:157D", "07")]),
    );
    node.files.put(
        "/proc/net/tcp",
        table(&[("00000000:006F", "0A"), ("0514000A:238C", "0A"), ("00000000:0016", "0A")]),
    );
    assert_eq!(
        seen(&node, &listeners()).unwrap(),
        "tcp/111, tcp/9100, udp/111, which nobody named, listens (`ss -lntup` says who that is)"
    );
}

#[test]
fn g3_i3_a_port_of_mail_that_is_open_and_one_that_will_be_are_red() {
    let open = node();
    open.files.put("/proc/net/tcp", table(&[("00000000:0019", "0A")]));
    assert_eq!(seen(&open, &Check::MailOnLoopback).unwrap(), "port 25 is open on 0.0.0.0");
    let mapped = node();
    mapped.files.put("/proc/net/tcp6", table(&[("0000000000000000FFFF00000514000A:0019", "0A")]));
    assert_eq!(seen(&mapped, &Check::MailOnLoopback).unwrap(), "port 25 is open on 10.0.20.5");
    let next = node();
    next.says("/usr/sbin/postconf -h inet_interfaces", "all\n");
    assert_eq!(seen(&next, &Check::MailOnLoopback).unwrap(), "inet_interfaces is all");
}
