//! The namespace, the veth pair, and the rule that steers the answers. All names and numbers are fixed, so that
//! whoever finds them knows whose they are, and so that what a crash left can be taken away.

use super::{Course, Trial};
use crate::error::Result;
use crate::facts::Socket;
use crate::node::{Invocation, Node, exists, read_text, run_checked};
use std::net::IpAddr;
use std::path::Path;

pub(super) const IP_PROGRAM: &str = "/usr/sbin/ip";
pub(super) const SYSCTL_PROGRAM: &str = "/usr/sbin/sysctl";
pub(super) const NAMESPACE: &str = "firstlight";
const NAMESPACE_PATH: &str = "/run/netns/firstlight";
/// The node's end of the pair, and the other one.
const OUTER: &str = "firstlight0";
const INNER: &str = "firstlight1";
/// Every device of our own network namespace.
const DEVICES_PATH: &str = "/proc/net/dev";
/// Given, so that udev gives none (`MACAddressPolicy=`), and both ends know each other without asking.
const OUTER_ADDRESS: &str = "02:66:6c:00:00:00";
const INNER_ADDRESS: &str = "02:66:6c:00:00:01";
/// "fl" in ASCII.
const TABLE: &str = "26220";
/// After the table of local addresses, before everything else.
const PRIORITY: &str = "22";
/// What the kernel shows while it has IPv6.
const IPV6_PATH: &str = "/proc/net/if_inet6";
/// Source ports of the probe: so many, from the first of these that is free. No system hands them out by itself.
const SOURCES: [u16; 4] = [9722, 7722, 5722, 3722];
const SOURCE_COUNT: u16 = 16;

/// Ports that no live connection has at its other end: the rule must catch the probe's answers alone.
pub(super) fn free_ports(sockets: &[Socket]) -> u16 {
    let free = |first: &u16| {
        let range = *first..*first + SOURCE_COUNT;
        !sockets.iter().any(|socket| range.contains(&socket.remote.1))
    };
    let [default, ..] = SOURCES;
    SOURCES.into_iter().find(free).unwrap_or(default)
}

/// Lays the wires; nothing in them asks or announces anything: addresses of neighbours are given.
pub(super) fn lay(node: &dyn Node, course: &Course) -> Result<()> {
    let ports = (course.source, course.source + SOURCE_COUNT - 1);
    ip(node, &["netns", "add", NAMESPACE], None)?;
    let pair = format!(
        "link add {OUTER} address {OUTER_ADDRESS} type veth peer name {INNER} address {INNER_ADDRESS} netns {NAMESPACE}\n\
         link set {OUTER} addrgenmode none\nlink set {OUTER} up\n"
    );
    ip(node, &["-batch", "-"], Some(pair))?;
    let six = course.trials.iter().any(|trial| trial.from.is_ipv6());
    // Loose: the way back to the lent address leads elsewhere, but for our own ports.
    sysctl(node, &[], &format!("net.ipv4.conf.{OUTER}.rp_filter=2"))?;
    if six {
        sysctl(node, &[], &format!("net.ipv6.conf.{OUTER}.disable_ipv6=0"))?;
    }
    let inner = format!("link set lo up\nlink set {INNER} addrgenmode none\nlink set {INNER} up\n");
    ip(node, &["-n", NAMESPACE, "-batch", "-"], Some(inner))?;
    let exec = [IP_PROGRAM, "netns", "exec", NAMESPACE];
    sysctl(node, &exec, &format!("net.ipv4.ip_local_port_range={} {}", ports.0, ports.1))?;
    for four in [true, false] {
        let trials: Vec<&Trial> = course.trials.iter().filter(|trial| trial.from.is_ipv4() == four).collect();
        if !trials.is_empty() {
            address(node, &trials, four, ports)?;
        }
    }
    Ok(())
}

/// The lent addresses of one family, on both sides.
fn address(node: &dyn Node, trials: &[&Trial], four: bool, ports: (u16, u16)) -> Result<()> {
    let (mut outer, mut inner) = (String::new(), String::new());
    for Trial { from, to, .. } in trials {
        let host = host(*from);
        outer.push_str(&format!(
            "neigh replace {from} lladdr {INNER_ADDRESS} dev {OUTER} nud permanent\n\
             route replace {host} dev {OUTER} table {TABLE}\n\
             rule add pref {PRIORITY} from {to} to {from} ipproto tcp dport {}-{} lookup {TABLE}\n",
            ports.0, ports.1
        ));
        let silent = if four { "" } else { " nodad" };
        inner.push_str(&format!(
            "addr replace {host} dev {INNER}{silent}\n\
             neigh replace {to} lladdr {OUTER_ADDRESS} dev {INNER} nud permanent\n"
        ));
    }
    let family = if four { "-4" } else { "-6" };
    ip(node, &[family, "-batch", "-"], Some(outer))?;
    ip(node, &[family, "-n", NAMESPACE, "-batch", "-"], Some(inner))
}

/// From now on the namespace connects from this address.
pub(super) fn speak_as(node: &dyn Node, trial: &Trial) -> Result<()> {
    let (to, from) = (host(trial.to), trial.from.to_string());
    let arguments = ["-n", NAMESPACE, "route", "replace", &to, "dev", INNER, "src", &from];
    ip(node, &arguments, None)
}

fn host(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

/// Takes everything away; what is not there is no error.
pub(super) fn clear(node: &dyn Node) -> Result<()> {
    if !exists(node, Path::new(IP_PROGRAM))? {
        return Ok(());
    }
    // First the rule: then not even the probe's own packets go astray. Routes and neighbours go with the device.
    ip(node, &["-4", "rule", "flush", "table", TABLE], None)?;
    if exists(node, Path::new(IPV6_PATH))? {
        ip(node, &["-6", "rule", "flush", "table", TABLE], None)?;
    }
    let devices = read_text(node, Path::new(DEVICES_PATH))?.unwrap_or_default();
    if devices.lines().any(|line| line.trim_start().split(':').next() == Some(OUTER)) {
        ip(node, &["link", "delete", "dev", OUTER], None)?;
    }
    if exists(node, Path::new(NAMESPACE_PATH))? {
        ip(node, &["netns", "delete", NAMESPACE], None)?;
    }
    Ok(())
}

fn ip(node: &dyn Node, arguments: &[&str], batch: Option<String>) -> Result<()> {
    let mut invocation = Invocation::new(IP_PROGRAM, arguments);
    invocation.input = batch.map(String::into_bytes);
    run_checked(node, &invocation).map(drop)
}

fn sysctl(node: &dyn Node, prefix: &[&str], assignment: &str) -> Result<()> {
    let mut words = prefix.to_vec();
    words.extend([SYSCTL_PROGRAM, "-q", "-w", assignment]);
    let (program, arguments) = words.split_first().unwrap_or((&SYSCTL_PROGRAM, &[]));
    run_checked(node, &Invocation::new(program, arguments)).map(drop)
}
