//! Runs that die, hang, or wait for somebody who proves that they still get in.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::first::hardened;
use super::hook::{self, INSTALLED_PATH};
use super::kept;
use crate::bench::{BINARY_PATH, Bench};
use crate::command::{command, output};
use crate::host;
use crate::network::Side;
use crate::node::Node;
use crate::payload::{ADMIN, ADMIN_PASSWORD};
use crate::workspace::KeyPair;

const ANSWER_PATH: &str = "/root/vm-tests/ufw.toml";
const LOCK_PATH: &str = "/var/lib/firstlight/lock";
/// dpkg has unpacked one of the packages and has more to do.
const IN_PACKAGES: &str = "test -e /var/lib/dpkg/info/fail2ban.list";
/// Seconds a run, and a way back, may take natively.
const RUN: u64 = 300;

/// SIGKILL in the middle of dpkg, for the keeper of the deadline too, which its timer starts again: put back without a reboot, and without anybody's doing.
pub fn killed(bench: &mut Bench) -> Result<()> {
    let before = bench.original()?;
    let node = bench.armed()?;
    let boot = boot_id(node)?;
    hook::install(node)?;
    hook::start(node)?;
    at(node, IN_PACKAGES)?;
    let keeper = "$(systemctl show -P MainPID firstlight-deadline.service)";
    node.ok(&format!("kill -KILL {keeper} $(cat {LOCK_PATH})"))?;
    expect_put_back(node, "reverted")?;
    ensure!(boot_id(node)? == boot, "the node was restarted");
    ensure!(hook::pending(node)?, "PVE's flag is gone: the try was one of three");
    kept::expect_etc(node, &before)?;
    kept::expect_no_trace(node)
}

/// Stopped for good while dpkg works, in no unit that would end its children: killed at its deadline, and put back.
pub fn hanging(bench: &mut Bench) -> Result<()> {
    let before = bench.original()?;
    let node = bench.armed()?;
    with_key(node, "deadline-minutes = 1")?;
    node.ok(&format!(
        "setsid {BINARY_PATH} apply --confirm none {ANSWER_PATH} > /run/apply.log 2>&1 < /dev/null &"
    ))?;
    at(node, IN_PACKAGES)?;
    node.ok(&format!("kill -STOP $(cat {LOCK_PATH})"))?;
    expect_put_back(node, "reverted")?;
    let said = node.ok("journalctl --boot --no-pager --unit=firstlight-deadline.service --output=cat")?;
    ensure!(said.contains("is past its deadline"), "nobody says why: {said}");
    kept::expect_etc(node, &before)?;
    kept::expect_no_trace(node)
}

/// `apply` over SSH waits for a new login of the admin: what does not count, what does, and what happens without.
pub fn confirmed(bench: &mut Bench) -> Result<()> {
    let admin = bench.payload()?.admin_key.clone();
    let node = waiting(bench)?;
    not_counted(node, &admin)?;
    let login = node.ssh(Side::Management, ADMIN, &admin, "id -un")?;
    ensure!(login.stdout == format!("{ADMIN}\n"), "the admin does not log in: {}", login.stderr);
    let ended = node.run_within(&format!("{INSTALLED_PATH} status --wait=120"), 150)?;
    ensure!(matches!(ended.status, 0 | 3), "after the admin's login: {}{}", ended.stdout, ended.stderr);
    let status = hook::expect_outcome(node, "committed")?;
    ensure!(status.to_string().contains("confirmed by a login of ops from 10.0.20.5"), "{status}");
    let again = node.run(&format!("{INSTALLED_PATH} confirm"))?;
    ensure!(again.status == 0 && again.stdout.contains("nothing waits"), "confirm: {}", again.stdout);
    hardened(node, &admin)
}

/// Nobody confirms: put back in time, whatever the clock does, and by a boot after a power cut.
pub fn expired(bench: &mut Bench) -> Result<()> {
    let before = bench.original()?;
    let node = waiting(bench)?;
    node.snapshot("waiting")?;
    node.ok("date --set='+3 hours'; sleep 5; date --set='-9 hours'")?;
    let since = Instant::now();
    expect_waiting(node)?;
    expect_put_back(node, "reverted")?;
    ensure!(since.elapsed() > Duration::from_secs(120), "it was put back before its time");
    kept::expect_etc(node, &before)?;
    kept::expect_no_trace(node)?;

    node.restore("waiting")?;
    node.power_cut()?;
    node.power_on()?;
    node.wait_until_up()?;
    expect_put_back(node, "reverted")?;
    kept::expect_etc(node, &before)?;
    kept::expect_no_trace(node)
}

/// A node on which an apply over SSH waits for its confirmation.
fn waiting(bench: &mut Bench) -> Result<&mut Node> {
    let node = bench.armed()?;
    with_key(node, "confirm-minutes = 6")?;
    let root = node.root_key().clone();
    let applied = node.ssh(Side::Management, "root", &root, &format!("{BINARY_PATH} apply {ANSWER_PATH}"))?;
    ensure!(applied.status == 4, "apply ended with {}: {}{}", applied.status, applied.stdout, applied.stderr);
    Ok(node)
}

/// Root's password in every guest.
const ROOT_PASSWORD: &str = "not a secret";
/// The base32 of a secret that the admin's phone has.
const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

/// PVE's API: the password of the admin and a whole login of root prove nothing, a code of the admin's phone does.
pub fn confirmed_by_pve(bench: &mut Bench) -> Result<()> {
    host::install_for_tests(&["oathtool"])?;
    let node = bench.pve()?;
    with_key(node, "confirm-minutes = 6")?;
    // The phone is there before the run: what is enrolled meanwhile does not count.
    node.ok(&format!("printf '[firstlight.totp]\\nenrolment = \"on-verify\"\\n' >> {ANSWER_PATH}"))?;
    let first = code(node)?;
    node.ok(&format!(
        "pveum user add {ADMIN}@pam && pvesh create /access/tfa/{ADMIN}@pam --type totp --description phone \
         --totp 'otpauth://totp/{ADMIN}?secret={SECRET}' --value {first}"
    ))?;
    let root = node.root_key().clone();
    let applied = node.ssh(Side::Management, "root", &root, &format!("{BINARY_PATH} apply {ANSWER_PATH}"))?;
    ensure!(applied.status == 4, "apply ended with {}: {}{}", applied.status, applied.stdout, applied.stderr);
    let admin = format!("{ADMIN}@pam");
    let (status, asked) = node.pve().log_in(&admin, ADMIN_PASSWORD, None)?;
    ensure!(status == 200 && asked, "the password of {admin} gets {status}, asked for a code: {asked}");
    let (status, _) = node.pve().log_in(&admin, ADMIN_PASSWORD, Some("totp:000000"))?;
    ensure!(status == 401, "a wrong code gets {status}");
    let (status, asked) = node.pve().log_in("root@pam", ROOT_PASSWORD, None)?;
    ensure!(status == 200 && !asked, "root gets {status}");
    let told = node.ok("journalctl --no-pager --output=cat -t pvedaemon")?;
    ensure!(told.contains(&format!("successful auth for user '{admin}'")), "pvedaemon says nothing: {told}");
    std::thread::sleep(Duration::from_secs(15));
    expect_waiting(node)?;
    let next = code(node)?;
    let (status, _) = node.pve().log_in(&admin, ADMIN_PASSWORD, Some(&format!("totp:{next}")))?;
    ensure!(status == 200, "the code of {admin} gets {status}");
    let ended = node.run_within(&format!("{INSTALLED_PATH} status --wait=120"), 150)?;
    ensure!(matches!(ended.status, 0 | 3), "after the admin's login: {}{}", ended.stdout, ended.stderr);
    let status = hook::expect_outcome(node, "committed")?;
    let by = format!("confirmed by a login of {admin} at PVE's API");
    ensure!(status.to_string().contains(&by), "{status}");
    node.wait_for("the timer is off", 30, "! systemctl -q is-active firstlight-deadline.timer")
}

/// The phone's code by the node's clock.
fn code(node: &mut Node) -> Result<String> {
    let now: u64 = node.ok("date +%s")?.trim().parse().context("reading the node's clock")?;
    let at = format!("--now=@{now}");
    let code = output(&mut command("oathtool", ["--totp", "--base32", &at, SECRET]))?;
    Ok(code.trim().to_owned())
}

/// Logins from the node itself, another user's, and lines that only claim to come from sshd.
fn not_counted(node: &mut Node, admin: &KeyPair) -> Result<()> {
    expect_waiting(node)?;
    let told = node.run(&format!("{INSTALLED_PATH} status"))?;
    // The text is folded to 80 columns.
    let text = told.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(told.status == 4 && text.contains("minutes left"), "{}: {}", told.status, told.stdout);
    let second = node.run(&format!("{INSTALLED_PATH} apply {ANSWER_PATH}"))?;
    ensure!(second.status == 2, "a second apply ended with {}: {}", second.status, second.stderr);
    let key = std::fs::read(&admin.private).context("reading the admin's key")?;
    node.put("/run/admin-key", &key, 0o600)?;
    for address in ["127.0.0.1", Side::Management.node_address()] {
        let local = format!(
            "ssh -i /run/admin-key -o BatchMode=yes -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no \
             {ADMIN}@{address} true"
        );
        node.ok(&local)?;
    }
    node.ok("rm /run/admin-key")?;
    let root = node.root_key().clone();
    let other = node.ssh(Side::Management, "root", &root, "true")?;
    ensure!(other.status == 0, "root does not log in: {}", other.stderr);
    node.ok(&format!(
        "line=$(journalctl --no-pager --output=cat _COMM=sshd _COMM=sshd-session | grep 'Accepted publickey for {ADMIN}' | tail -n 1 \
         | sed 's/from [^ ]*/from 10.0.20.5/'); test -n \"$line\" && for name in sshd sshd-session; do logger -t $name -p auth.info \"$line\"; done"
    ))?;
    std::thread::sleep(Duration::from_secs(15));
    expect_waiting(node)
}

fn expect_waiting(node: &mut Node) -> Result<()> {
    let status = hook::expect_outcome(node, "waiting")?;
    let left = status["confirmation"]["seconds_left"].as_i64().unwrap_or_default();
    ensure!(left > 0 && left <= 360, "{left} seconds are left: {status}");
    Ok(())
}

/// Waits for the end, which must be this one, with the timer off.
fn expect_put_back(node: &mut Node, outcome: &str) -> Result<()> {
    node.run_within(&format!("{INSTALLED_PATH} status --wait=1500"), RUN)?;
    let status = hook::expect_outcome(node, outcome)?;
    ensure!(status["exit_code"].as_i64() == Some(1), "the status keeps another exit code: {status}");
    node.wait_for("the timer is off", 30, "! systemctl -q is-active firstlight-deadline.timer")
}

/// Waits in the guest for a moment of the run.
fn at(node: &mut Node, moment: &str) -> Result<()> {
    let watch = format!("until {moment}; do sleep 0.02; done");
    let seen = node.run_within(&watch, RUN).with_context(|| format!("waiting for `{moment}`"))?;
    ensure!(seen.status == 0, "waiting for `{moment}` ended with {}", seen.status);
    Ok(())
}

/// Gives the answer in the guest one more key.
fn with_key(node: &mut Node, line: &str) -> Result<()> {
    node.ok(&format!("sed -i 's/^schema = 1.*/&\\n{line}/' {ANSWER_PATH} && grep -q '^{line}' {ANSWER_PATH}"))
        .map(drop)
}

fn boot_id(node: &mut Node) -> Result<String> {
    node.ok("cat /proc/sys/kernel/random/boot_id")
}
