//! A node as one of Proxmox VE: the stand-in for its tools, its cluster file system and its daemons.
//!
//! What a test switches are files below `/etc/pve-stand-in`, outside the mount that comes and goes.

use anyhow::{Context, Result, ensure};

use super::Node;
use crate::image::Release;

/// Where the stand-in lies in a guest that has it; PVE's tools are links to it.
pub const PATH: &str = "/usr/libexec/vm-tests/stand-in";
/// Where its switches lie.
const SWITCHES: &str = "/etc/pve-stand-in";
/// Where those lie that are gone at the next boot.
const SWITCHES_OF_THIS_BOOT: &str = "/run/pve-stand-in";
/// The cluster of three: this node and two that no test needs to be there.
const COROSYNC: &str = "\
totem {
  version: 2
  cluster_name: three
  config_version: 3
  interface {
    linknumber: 0
  }
  ip_version: ipv4-6
  secauth: on
}

nodelist {
  node {
    name: pve1
    nodeid: 1
    quorum_votes: 1
    ring0_addr: 10.0.20.10
  }
  node {
    name: pve2
    nodeid: 2
    quorum_votes: 1
    ring0_addr: 10.0.20.11
  }
  node {
    name: pve3
    nodeid: 3
    quorum_votes: 1
    ring0_addr: 10.0.20.12
  }
}

quorum {
  provider: corosync_votequorum
}

logging {
  to_syslog: yes
}
";

/// The PVE side of a node.
pub struct Pve<'a> {
    node: &'a mut Node,
}

impl Node {
    /// The PVE side of this node; `enable` comes first.
    pub fn pve(&mut self) -> Pve<'_> {
        Pve { node: self }
    }
}

impl Pve<'_> {
    /// Brings the stand-in onto the node, as the PVE that its Debian is below, and starts all of it: pve-cluster, pvedaemon, pveproxy, pve-firewall.
    ///
    /// What lay in the plain `/etc/pve` is in the cluster file system afterwards.
    pub fn enable(&mut self, stand_in: &[u8], release: Release) -> Result<()> {
        self.node.put(PATH, stand_in, 0o755)?;
        self.node.ok(&format!("mkdir -p {SWITCHES}"))?;
        if release == Release::Bookworm {
            self.node.ok(&format!("touch {SWITCHES}/pve-8"))?;
        }
        let done = self.node.run_within(&format!("{PATH} setup"), 240)?;
        ensure!(done.status == 0, "setting up the stand-in: {}{}", done.stdout, done.stderr);
        self.wait_until_up()
    }

    /// Tells the kernel that its clock is right, as chrony does on a node with a network; a start, and going back to a
    /// kept state, make it forget that. Chrony itself sees no server here, and would take it back when the clock jumps.
    pub fn synchronise_clock(&mut self) -> Result<()> {
        self.node.ok("systemctl stop chrony.service")?;
        // adjtimex(2): status without STA_UNSYNC, and no error to speak of, which is what systemd looks at.
        let perl = "my $t = pack(q(Lx4q4lx4), 0x1c, 0, 0, 0, 0, 0) . (chr(0) x 256); syscall(159, $t) >= 0 or die $!";
        self.node.ok(&format!("perl -e '{perl}'"))?;
        self.node.ok("test \"$(timedatectl show -p NTPSynchronized --value)\" = yes").map(drop)
    }

    /// Takes it back: its error is unknown, and nobody corrects it.
    pub fn unsynchronise_clock(&mut self) -> Result<()> {
        // The same with STA_UNSYNC and the largest error there is (16 s).
        let perl = "my $t = pack(q(Lx4q4lx4), 0x14, 0, 0, 16000000, 0, 0x40) . (chr(0) x 256); syscall(159, $t) >= 0 or die $!";
        self.node.ok(&format!("perl -e '{perl}'"))?;
        self.node.ok("test \"$(timedatectl show -p NTPSynchronized --value)\" = no").map(drop)
    }

    /// The status of a request to the API that names an API token.
    pub fn with_token(&mut self, token: &str, path: &str) -> Result<u16> {
        let said = self.node.ok(&format!(
            "curl -s -o /dev/null -w '%{{http_code}}' -H 'Authorization: PVEAPIToken={token}' http://127.0.0.1:8006/api2/json/{path}"
        ))?;
        said.trim().parse().context("reading the status of 8006")
    }

    /// The calls of pvesh and pveum since the boot, without what stood behind their options.
    pub fn calls(&mut self) -> Result<Vec<String>> {
        let said = self.node.ok("cat /run/pve-stand-in/calls 2>/dev/null || true")?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    /// Forgets the calls until now: they were the test's own.
    pub fn forget_calls(&mut self) -> Result<()> {
        self.node.ok("rm -f /run/pve-stand-in/calls").map(drop)
    }

    /// From now on PVE takes every code at an enrolment for wrong.
    pub fn refuse_codes(&mut self, refuse: bool) -> Result<()> {
        self.switch("wrong-code", refuse.then_some(""))
    }

    /// A call that begins with these words does all of its work, and does not end.
    pub fn hold(&mut self, call: Option<&str>) -> Result<()> {
        self.switch_below(SWITCHES_OF_THIS_BOOT, "hold", call)
    }

    /// Waits until the call is there that is held.
    pub fn wait_for_held(&mut self) -> Result<()> {
        let seen = self.node.watch("until test -e /run/pve-stand-in/held; do sleep 0.1; done", 120)?;
        ensure!(seen.status == 0, "the call to hold never came");
        Ok(())
    }

    /// From now on pmxcfs writes nothing to its disk, whatever is flushed: a power cut loses it.
    pub fn unwritten(&mut self, unwritten: bool) -> Result<()> {
        self.switch_below(SWITCHES_OF_THIS_BOOT, "unwritten", unwritten.then_some(""))
    }

    /// Waits until pmxcfs is mounted and quorate and 8006 answers.
    pub fn wait_until_up(&mut self) -> Result<()> {
        self.node.wait_for("pmxcfs is mounted", 60, "mountpoint -q /etc/pve && test -L /etc/pve/local")?;
        self.node.wait_for("8006 answers", 120, "curl -s http://127.0.0.1:8006/ | grep -q Proxmox")
    }

    /// Stops pmxcfs: `/etc/pve` is the plain directory below the mount.
    pub fn down(&mut self) -> Result<()> {
        self.node.ok("systemctl stop pve-cluster.service").map(drop)
    }

    /// Starts pmxcfs again.
    pub fn up(&mut self) -> Result<()> {
        self.node
            .ok("systemctl reset-failed pve-cluster.service; systemctl start pve-cluster.service")
            .map(drop)
    }

    /// Kills pmxcfs: everything below `/etc/pve` is `ENOTCONN` until it starts again, which systemd does unless asked
    /// to leave it dead.
    pub fn kill(&mut self, leave_dead: bool) -> Result<()> {
        let drop_in = "/run/systemd/system/pve-cluster.service.d";
        if leave_dead {
            self.node.ok(&format!(
                "mkdir -p {drop_in} && printf '[Service]\\nRestart=no\\n' > {drop_in}/dead.conf && systemctl daemon-reload"
            ))?;
        }
        self.node.ok("systemctl kill --signal=KILL pve-cluster.service").map(drop)
    }

    /// From now on every start of pmxcfs takes so many seconds longer; 0 ends it.
    pub fn late(&mut self, seconds: u32) -> Result<()> {
        self.switch("late", (seconds > 0).then(|| seconds.to_string()).as_deref())
    }

    /// Takes the quorum away or gives it back. Within a second the mode bits have followed.
    pub fn quorum(&mut self, there: bool) -> Result<()> {
        self.switch("no-quorum", (!there).then_some(""))
    }

    /// Makes every call of a tool take about a second, as the real ones do.
    pub fn slow(&mut self, slow: bool) -> Result<()> {
        self.switch("slow", slow.then_some(""))
    }

    /// Makes this node the first of a cluster of three, with corosync running.
    pub fn cluster_of_three(&mut self) -> Result<()> {
        self.switch("corosync", Some(""))?;
        self.node.ok(&format!(
            "mkdir -p /etc/corosync && tee /etc/corosync/corosync.conf > /etc/pve/corosync.conf <<'EOF'\n{COROSYNC}EOF"
        ))?;
        let members = self.node.ok("sleep 1.1; cat /etc/pve/.members")?;
        ensure!(members.contains("\"nodes\": 3"), "this is no cluster of three: {members}");
        Ok(())
    }

    /// Takes the cluster away again.
    pub fn standalone(&mut self) -> Result<()> {
        // In this order: a member without corosync has no quorum.
        self.node.ok("rm /etc/pve/corosync.conf && rm -r /etc/corosync")?;
        self.switch("corosync", None)?;
        self.node.wait_for("/etc/pve can be written", 20, "test $(stat -c %a /etc/pve/local) = 755")
    }

    /// Status and body of one request to the API on 8006, from the node itself.
    pub fn request(&mut self, path: &str, form: &[(&str, &str)]) -> Result<(u16, serde_json::Value)> {
        let fields: String =
            form.iter().map(|(name, value)| format!(" --data-urlencode '{name}={value}'")).collect();
        let said = self.node.ok(&format!(
            "curl -s -w '\\n%{{http_code}}'{fields} 'http://127.0.0.1:8006/api2/json/{path}'"
        ))?;
        let (body, code) = said.rsplit_once('\n').context("reading the answer of 8006")?;
        let body = serde_json::from_str(body).unwrap_or(serde_json::Value::Null);
        Ok((code.trim().parse().context("reading the status of 8006")?, body))
    }

    /// Logs in at the endpoint as a browser does: the password, then the answer to the challenge if there is one
    /// (`totp:CODE`, `recovery:KEY`). Gives the status of the last step, and whether a second factor was asked for.
    pub fn log_in(&mut self, user: &str, password: &str, answer: Option<&str>) -> Result<(u16, bool)> {
        let ticket = "access/ticket";
        let (status, first) = self.request(ticket, &[("username", user), ("password", password)])?;
        let data = first.get("data");
        let asked = data.and_then(|data| data.get("NeedTFA")).is_some();
        let challenge = data.and_then(|data| data.get("ticket")).and_then(|ticket| ticket.as_str());
        let (Some(answer), Some(challenge), true) = (answer, challenge, asked) else {
            return Ok((status, asked));
        };
        let form = [("username", user), ("password", answer), ("tfa-challenge", challenge)];
        Ok((self.request(ticket, &form)?.0, asked))
    }

    fn switch(&mut self, name: &str, content: Option<&str>) -> Result<()> {
        self.switch_below(SWITCHES, name, content)
    }

    fn switch_below(&mut self, directory: &str, name: &str, content: Option<&str>) -> Result<()> {
        let path = format!("{directory}/{name}");
        let command = match content {
            Some(content) => format!("mkdir -p {directory} && printf '%s' '{content}' > {path}"),
            None => format!("rm -f {path}"),
        };
        self.node.ok(&command).map(drop)
    }
}
