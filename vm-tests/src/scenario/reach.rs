//! Reachability is proved before a commit, and the proof disturbs nobody and leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::hook::{self, INSTALLED_PATH};
use super::kept;
use crate::bench::{BINARY_PATH, Bench};
use crate::network::Side;
use crate::node::Node;
use crate::payload::ADMIN;
use crate::progress::say;

/// Everything that the probe makes, and whoever it may have angered. Prints nothing on a clean node.
const LEFTOVERS: &str = "ip netns list | grep firstlight; { ip rule; ip -6 rule; } | grep -w 26220; \
    ip -o link | grep firstlight; { ip route show table 26220; ip -6 route show table 26220; } 2>/dev/null; \
    ip neigh show | grep -i 02:66:6c; grep -rs firstlight-probe /home/*/.ssh /root/.ssh /etc/ssh; \
    ls /run/firstlight/reach 2>/dev/null; pgrep -af '[n]etns exec'; true";
/// What sshd says of those who do not log in, and of addresses that it no longer serves.
const OFFENCES: &str = "journalctl --no-pager -o cat -t sshd -t sshd-session \
    | grep -iE 'penalt|(closed|reset|timeout).*preauth|failed|invalid user|refused|not allowed' || true";
/// The guest's stamp of a record in the journal of the first transaction.
const WINDOW: &str = "grep -hE 'intent.at=[0-9]+.*inverse=reach|reverted.at=' /var/lib/firstlight/tx/0001/journal \
    | sed -E 's/.*at=([0-9]+).*/\\1/'";

/// A first boot that committed.
pub fn proved(bench: &mut Bench) -> Result<()> {
    let node = bench.committed()?;
    expect_nothing_left(node)?;
    let status = hook::expect_outcome(node, "committed")?;
    expect_reached(&status)?;
    let told = node.run(&format!("{INSTALLED_PATH} status"))?.stdout;
    ensure!(told.contains("reached with new connections: ops logs in by SSH from"), "status says: {told}");
    let logins = node.ok(&format!(
        "journalctl --no-pager -o cat -t sshd -t sshd-session | grep -c 'Accepted publickey for {ADMIN} from 10.0.20.'"
    ))?;
    ensure!(logins.trim() == "1", "{} logins of the probe", logins.trim());
    let offences = node.ok(OFFENCES)?;
    ensure!(offences.is_empty(), "sshd complains of the probe: {offences}");
    let jails = node.ok("fail2ban-client status sshd")?;
    say(format_args!("  fail2ban: {}", jails.lines().map(str::trim).collect::<Vec<_>>().join(" ")));
    let count = |word: &str| {
        let line = jails.lines().find_map(|line| line.split_once(word));
        line.and_then(|(_, number)| number.trim().parse::<u64>().ok())
    };
    ensure!(
        count("Total failed:") == Some(0) && count("Total banned:") == Some(0),
        "fail2ban counts the probe, or has no jail: {jails}"
    );
    Ok(())
}

/// Nothing of ours shuts the admin out; a rule of somebody else's, where no area looks, does.
pub fn refused(bench: &mut Bench) -> Result<()> {
    let node = bench.armed()?;
    node.ok("iptables -t mangle -A INPUT -s 10.0.20.0/24 -p tcp --dport 22 -j DROP")?;
    let before = node.manifest()?;
    let end = hook::run(node)?;
    let status = hook::expect_failed(node, &end, "reverted")?;
    let message = status["message"].as_str().unwrap_or_default();
    say(format_args!("  {message}"));
    ensure!(
        message.contains("SSH from 10.0.20.") && message.contains("(management) is not reached: "),
        "the status does not say what is not reached: {status}"
    );
    kept::expect_etc(node, &before)?;
    kept::expect_no_trace(node)?;
    expect_nothing_left(node)?;
    let rules = node.ok("iptables -t mangle -S INPUT")?;
    ensure!(rules.contains("--dport 22 -j DROP"), "somebody else's rule is gone: {rules}");
    Ok(())
}

/// The management host works on the node over SSH while its own address is lent by the probe. Beside that address a
/// remote network and one of IPv6 get in.
pub fn live(bench: &mut Bench) -> Result<()> {
    let answer = std::fs::read_to_string(&bench.payload()?.answer)?;
    let single = answer.replace(
        "management = [\"10.0.20.0/24\"]",
        "management = [\"10.0.20.5/32\", \"172.16.5.0/24\", \"fd00:20::/64\"]",
    );
    ensure!(single != answer, "the example has other management networks");
    let node = bench.armed()?;
    node.put("/root/vm-tests/single.toml", single.as_bytes(), 0o600)?;
    node.ok("ip address add fd00:20::10/64 dev vmbr0 nodad && sysctl -q -w net.ipv4.conf.all.rp_filter=1")?;
    let mut session = Session::start(node)?;
    let done = node.run_within(&format!("{BINARY_PATH} apply /root/vm-tests/single.toml"), 600)?;
    ensure!(matches!(done.status, 0 | 3), "apply ended with {}: {}{}", done.status, done.stdout, done.stderr);
    std::thread::sleep(Duration::from_secs(2));
    ensure!(session.is_alive()?, "the session has ended: {}", session.last());
    let status = hook::expect_outcome(node, "committed")?;
    expect_reached(&status)?;
    let text = status.to_string();
    for address in
        ["management.10.0.20.5\"", "management.172.16.5.", "management.fd00:20:", "outside.2001:db8:"]
    {
        ensure!(text.contains(&format!("reach.ssh.{address}")), "no {address} was tried: {text}");
    }
    let stamps: Vec<u64> = node.ok(WINDOW)?.lines().filter_map(|line| line.parse().ok()).collect();
    let &[begin, end] = stamps.as_slice() else { anyhow::bail!("the journal has {} stamps", stamps.len()) };
    let (inside, elsewhere) = session.stop()?.delays(begin, end);
    say(format_args!(
        "  the probe took {} ms; longest way of a line of the session meanwhile {inside} ms, else {elsewhere} ms",
        end - begin
    ));
    // A packet that went astray would be missed for as long as the probe lasts, or for TCP's second try.
    let half = (end - begin) / 2;
    ensure!(
        inside <= 1000 || (inside <= elsewhere && inside < half),
        "a line of the session was on its way for {inside} ms of {} ms, else {elsewhere} ms at most",
        end - begin
    );
    expect_nothing_left(node)
}

fn expect_nothing_left(node: &mut Node) -> Result<()> {
    let left = node.ok(LEFTOVERS)?;
    ensure!(left.trim().is_empty(), "the probe left behind: {left}");
    Ok(())
}

/// Inside and outside were tried, on both ports, and nothing was left unproved.
fn expect_reached(status: &Value) -> Result<()> {
    let text = status.to_string();
    for probe in
        ["reach.ssh.management.", "reach.8006.management.", "reach.ssh.outside.", "reach.8006.outside."]
    {
        ensure!(text.contains(probe), "the status has no {probe}: {text}");
    }
    ensure!(!text.contains("reachability is not proved"), "the status warns: {text}");
    Ok(())
}

/// A session that counts and tells its time; and when each line was written, by the guest's clock, and arrived, by ours.
/// The guest itself stands still for a moment now and then under emulation: that delays no line.
struct Session {
    child: Child,
    reader: Option<JoinHandle<()>>,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default, Clone)]
struct Heard {
    numbers: Vec<u64>,
    /// Milliseconds since 1970.
    written: Vec<u64>,
    arrivals: Vec<u64>,
}

impl Session {
    fn start(node: &Node) -> Result<Self> {
        let count = "i=0; while sleep 0.1; do i=$((i+1)); echo $i ${EPOCHREALTIME/./}; done";
        let mut ssh = node.ssh_command(Side::Management, "root", &[], Some(node.root_key()), count)?;
        let mut child = ssh.stdout(Stdio::piped()).spawn().context("starting a session")?;
        let stdout = child.stdout.take().context("the session has no output")?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let ear = Arc::clone(&heard);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let arrival = now();
                let parts = line.split_once(' ').map(|(number, time)| (number.parse(), time.parse::<u64>()));
                if let (Some((Ok(number), Ok(time))), Ok(mut heard)) = (parts, ear.lock()) {
                    heard.numbers.push(number);
                    heard.written.push(time / 1000);
                    heard.arrivals.push(arrival);
                }
            }
        });
        let mut session = Self { child, reader: Some(reader), heard };
        let deadline = SystemTime::now() + node.limit(30);
        while session.last() < 10 {
            ensure!(session.is_alive()? && SystemTime::now() < deadline, "the session does not count");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(session)
    }

    fn last(&self) -> u64 {
        self.heard.lock().ok().and_then(|heard| heard.numbers.last().copied()).unwrap_or(0)
    }

    fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    fn stop(&mut self) -> Result<Heard> {
        self.child.kill().context("ending the session")?;
        self.child.wait()?;
        if let Some(reader) = self.reader.take() {
            reader.join().ok().context("the reader died")?;
        }
        let heard = self.heard.lock().map(|heard| heard.clone()).unwrap_or_default();
        let whole = (1..).zip(&heard.numbers).all(|(wanted, number)| wanted == *number);
        ensure!(whole, "numbers are missing in the session");
        Ok(heard)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Heard {
    /// The longest way of a line, over the shortest of all, within the span of the guest's time; and outside of it.
    fn delays(&self, begin: u64, end: u64) -> (u64, u64) {
        let lines = || self.written.iter().zip(&self.arrivals);
        let (mut inside, mut elsewhere) = (0, 0);
        // The two clocks need not agree.
        let way = |(written, arrival): (&u64, &u64)| i128::from(*arrival) - i128::from(*written);
        let shortest = lines().map(way).min().unwrap_or_default();
        for line in lines() {
            let delay = u64::try_from(way(line) - shortest).unwrap_or(u64::MAX);
            let written = *line.0;
            if written + delay >= begin && written <= end {
                inside = inside.max(delay);
            } else {
                elsewhere = elsewhere.max(delay);
            }
        }
        (inside, elsewhere)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_for_the_probe_when_it_is_on_its_way_in_its_time() {
        let heard = Heard {
            numbers: vec![1, 2, 3, 4],
            written: vec![1000, 1100, 1200, 2500],
            arrivals: vec![91_000, 91_900, 91_300, 92_600],
        };
        assert_eq!(heard.delays(1200, 1800), (800, 100));
        assert_eq!(heard.delays(2600, 2700), (100, 800));
        assert_eq!(heard.delays(2700, 2800), (0, 800));
    }
}
