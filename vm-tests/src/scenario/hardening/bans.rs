//! Bad logins from the outsider shut exactly that host out, on the port where it tried.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::applied;
use crate::bench::Bench;
use crate::host;
use crate::network::{Reach, Side};
use crate::node::Node;
use crate::payload::ADMIN;
use crate::workspace::KeyPair;

const OUTSIDER: &str = "203.0.113.5";
/// A failed login costs its address five seconds, and fifteen together shut it out for a while (sshd_config(5),
/// `PerSourcePenalties`): what is measured here is another's work, so the tries are further apart.
const APART: Duration = Duration::from_secs(7);
/// More tries than any jail lets through.
const TRIES: usize = 8;

/// Bans on 22 and 8006, lifted, kept over a boot, and made after the journal was rotated.
pub fn banned(bench: &mut Bench) -> Result<()> {
    host::install_for_tests(&["curl"])?;
    let admin = bench.payload()?.admin_key.clone();
    let node = applied(bench)?;
    let wrong = node.root_key().clone();
    expect_jails(node)?;
    expect_matches(node)?;
    for (jail, port) in [("sshd", 22), ("firstlight-pve", 8006)] {
        shut_out(node, jail, port, &wrong)?;
        expect_only_the_outsider(node, port, &admin)?;
        node.ok(&format!("fail2ban-client set {jail} unbanip {OUTSIDER}"))?;
        let open = node.probe(Side::Outsider, port)?;
        ensure!(open == Reach::Open, "port {port} is {open:?} to the outsider after the ban was lifted");
    }
    // The same address on the same port, once more: it is still banned after a boot.
    shut_out(node, "firstlight-pve", 8006, &wrong)?;
    node.reboot()?;
    node.pve().wait_until_up()?;
    node.wait_for("fail2ban answers", 120, "fail2ban-client ping")?;
    expect_jails(node)?;
    node.wait_for("the ban is back", 60, &is_banned("firstlight-pve"))?;
    expect_only_the_outsider(node, 8006, &admin)?;
    node.ok("fail2ban-client unban --all")?;
    node.ok("journalctl --rotate && journalctl --vacuum-time=1s")?;
    shut_out(node, "sshd", 22, &wrong)?;
    expect_only_the_outsider(node, 22, &admin)
}

/// Both jails run; the unit alone says nothing about that.
fn expect_jails(node: &mut Node) -> Result<()> {
    let status = node.ok("fail2ban-client status")?;
    ensure!(status.contains("Jail list:\tfirstlight-pve, sshd"), "fail2ban has other jails: {status}");
    Ok(())
}

/// Records of PVE and near misses, to the filter as it lies on the node: each with the address that it is to find.
const RECORDS: &[(&str, &str)] = &[
    (
        "pvedaemon[7]: authentication failure; rhost=::ffff:198.51.100.1 user=root@pam msg=Authentication failure",
        "198.51.100.1",
    ),
    (
        "pvedaemon[7]: authentication failure; rhost=198.51.100.2 user=rhost=1.2.3.4@pve msg=no such user",
        "198.51.100.2",
    ),
    ("pvedaemon[7]: authentication failure; rhost=2001:db8::3 user=a rhost=1.2.3.4 msg=x", "2001:db8::3"),
    ("pvedaemon[7]: <root@pam> successful auth for user 'authentication failure; rhost=1.2.3.4 user=x'", ""),
    ("pvedaemon[7]: x pvedaemon[1]: authentication failure; rhost=1.2.3.4 user=", ""),
    ("pveproxy[7]: authentication failure; rhost=1.2.3.4 user=root@pam msg=x", ""),
    ("pvedaemon[7]: authentication failure; rhost=evil.example.com user=root@pam msg=x", ""),
];

/// What `fail2ban-regex` finds in them is what is to be found, and nothing else.
fn expect_matches(node: &mut Node) -> Result<()> {
    let log: String =
        RECORDS.iter().map(|(record, _)| format!("2026-11-30 06:00:00 pve1 {record}\n")).collect();
    node.put("/root/vm-tests/records", log.as_bytes(), 0o600)?;
    let found =
        node.ok("fail2ban-regex -o ip /root/vm-tests/records /etc/fail2ban/filter.d/firstlight-pve.conf")?;
    let wanted: Vec<&str> =
        RECORDS.iter().map(|(_, address)| *address).filter(|address| !address.is_empty()).collect();
    ensure!(found.lines().eq(wanted.iter().copied()), "the filter finds {found}");
    Ok(())
}

fn is_banned(jail: &str) -> String {
    format!("fail2ban-client get {jail} banip | grep -qw '{OUTSIDER}'")
}

/// Tries to log in from the outsider until it is banned.
fn shut_out(node: &mut Node, jail: &str, port: u16, wrong: &KeyPair) -> Result<()> {
    for _ in 0..TRIES {
        if port == 22 {
            // A key that the admin does not have.
            let login = node.ssh(Side::Outsider, ADMIN, wrong, "true")?;
            ensure!(login.status == 255, "a wrong key got in");
        } else {
            bad_login(node)?;
        }
        sleep(APART);
        if node.holds(&is_banned(jail))? {
            return Ok(());
        }
    }
    let said = node.ok(&format!("fail2ban-client status {jail}; tail -n 40 /var/log/fail2ban.log"))?;
    anyhow::bail!("{TRIES} bad logins on {port} ban nobody: {said}")
}

/// A wrong password at the web interface, from the outsider's own place.
fn bad_login(node: &mut Node) -> Result<()> {
    let url = format!("http://{}:8006/api2/json/access/ticket", Side::Outsider.node_address());
    let mut curl = node.command_from(Side::Outsider, "curl")?;
    curl.args(["--silent", "--max-time", "60", "--output", "/dev/null", "--write-out", "%{http_code}"]);
    // Whoever believes what a client calls itself bans somebody else.
    curl.args(["--data-urlencode", "username=rhost=1.2.3.4@pve", "--data", "password=wrong", &url]);
    let done = curl.output().context("running curl")?;
    let status = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(matches!(status.as_str(), "401" | "000"), "a wrong password gets {status}");
    Ok(())
}

/// The kernel refuses a new connection of the banned host, there and nowhere else, and nobody else's.
fn expect_only_the_outsider(node: &mut Node, port: u16, admin: &KeyPair) -> Result<()> {
    let other = if port == 22 { 8006 } else { 22 };
    for (side, at, wanted) in [
        (Side::Outsider, port, Reach::Refused),
        (Side::Outsider, other, Reach::Open),
        (Side::Management, port, Reach::Open),
    ] {
        let found = node.probe(side, at)?;
        ensure!(found == wanted, "port {at} is {found:?} from {side:?} while {OUTSIDER} is banned on {port}");
    }
    let login = node.ssh(Side::Management, ADMIN, admin, "id -un")?;
    ensure!(login.stdout == format!("{ADMIN}\n"), "the admin does not log in: {}", login.stderr);
    let table = node.ok("nft list table inet f2b-table")?;
    let others = ["10.0.20.5", "1.2.3.4"].iter().any(|other| table.contains(other));
    ensure!(table.contains(OUTSIDER) && !others, "the kernel bans others: {table}");
    Ok(())
}
