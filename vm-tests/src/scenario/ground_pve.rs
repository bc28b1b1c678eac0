//! The ground of every scenario with Proxmox VE: the stand-in stands, and falls where a test pushes it.

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::image::Release;
use crate::network::{Reach, Side};
use crate::node::Node;

/// Root's password in every guest.
const ROOT_PASSWORD: &str = "not a secret";

/// Mounted, logged in to, without quorum, down, late, killed, and after a power cut.
pub fn stands_in(bench: &mut Bench) -> Result<()> {
    let release = bench.release();
    let node = bench.pve()?;
    mounted(node, release)?;
    alternatives(node)?;
    logins(node)?;
    quorum(node)?;
    down_and_dead(node)?;
    lost_transaction(node)?;
    late(node)
}

fn mounted(node: &mut Node, release: Release) -> Result<()> {
    let mount = node.ok("grep ' /etc/pve ' /proc/mounts")?;
    let wanted = "/dev/fuse /etc/pve fuse rw,nosuid,nodev,relatime,user_id=0,group_id=0,default_permissions,allow_other 0 0\n";
    ensure!(mount == wanted, "/etc/pve is mounted otherwise: {mount}");
    let failed = node.ok("systemctl list-units --failed --no-legend --plain 'pve*'")?;
    ensure!(failed.is_empty(), "units failed: {failed}");
    let version = node.ok("pveversion; pvesh get /version --output-format json; pve-firewall status")?;
    let (manager, name) = match release {
        Release::Trixie => ("pve-manager/9.2.11", "\"release\":\"9.2\""),
        Release::Bookworm => ("pve-manager/8.4.21", "\"release\":\"8.4\""),
    };
    ensure!(version.contains(manager) && version.contains(name), "{version}");
    node.pve().slow(true)?;
    let begun = std::time::Instant::now();
    node.ok("pvesh get /version")?;
    ensure!(
        begun.elapsed().as_millis() >= 1000,
        "a call that was asked to be slow took {:?}",
        begun.elapsed()
    );
    node.pve().slow(false)?;
    let users = node.ok("pveum user list --output-format json")?;
    ensure!(users.contains("root@pam"), "root@pam is not there: {users}");
    // Root's key lies in the cluster file system now, behind PVE's link.
    let key = node.root_key().clone();
    let login = node.ssh(Side::Management, "root", &key, "stat -c %a /etc/pve/priv/authorized_keys")?;
    ensure!(login.stdout == "600\n", "root does not log in: {} {}", login.stdout, login.stderr);
    ensure!(node.probe(Side::Outsider, 8006)? == Reach::Open, "8006 does not answer from outside");
    Ok(())
}

/// PVE's service chooses the legacy tools whenever it starts.
fn alternatives(node: &mut Node) -> Result<()> {
    for name in ["iptables", "ip6tables", "ebtables"] {
        node.ok(&format!("update-alternatives --set {name} /usr/sbin/{name}-nft"))?;
    }
    node.ok("systemctl restart pve-firewall.service")?;
    for name in ["iptables", "ip6tables", "ebtables"] {
        let chosen = node.ok(&format!("readlink /etc/alternatives/{name}"))?;
        ensure!(chosen == format!("/usr/sbin/{name}-legacy\n"), "after a start {name} is {chosen}");
    }
    Ok(())
}

fn logins(node: &mut Node) -> Result<()> {
    let (status, asked) = node.pve().log_in("root@pam", ROOT_PASSWORD, None)?;
    ensure!(status == 200 && !asked, "root does not log in at 8006: {status}");
    let (status, _) = node.pve().log_in("root@pam", "wrong password", None)?;
    ensure!(status == 401, "a wrong password gets {status}");
    let told = node.ok("journalctl -o short --no-pager -u pvedaemon.service -t pvedaemon")?;
    ensure!(
        told.contains("authentication failure; rhost=::ffff:127.0.0.1 user=root@pam msg="),
        "the journal does not tell of a failed login: {told}"
    );
    ensure!(told.contains("<root@pam> successful auth for user 'root@pam'"), "nor of the other: {told}");
    Ok(())
}

fn quorum(node: &mut Node) -> Result<()> {
    node.pve().cluster_of_three()?;
    node.ok("pvecm status | grep -q '^Quorate: *Yes' && pvecm nodes | grep -q pve3")?;
    node.pve().quorum(false)?;
    let said = node.run("sleep 1.1; touch /etc/pve/x; stat -c %a /etc/pve/local; pveum user list")?;
    ensure!(
        said.stderr.contains("Permission denied"),
        "something was written without quorum: {}",
        said.stderr
    );
    ensure!(said.stdout.contains("555"), "the link still says that it is writable: {}", said.stdout);
    node.pve().quorum(true)?;
    node.ok("sleep 1.1; touch /etc/pve/x && rm /etc/pve/x /etc/pve/corosync.conf").map(drop)
}

fn down_and_dead(node: &mut Node) -> Result<()> {
    node.pve().down()?;
    let said = node.run("ls -A /etc/pve; pveum user list")?;
    ensure!(said.stdout.is_empty(), "the plain directory is not empty: {}", said.stdout);
    ensure!(
        said.status == 111 && said.stderr.contains("Connection refused"),
        "pveum without pmxcfs: {}",
        said.stderr
    );
    node.ok("echo trap > /etc/pve/trap")?;
    ensure!(
        !node.holds("systemctl start pve-cluster.service")?,
        "it mounts over a directory that is not empty"
    );
    node.ok("rm /etc/pve/trap")?;
    node.pve().up()?;
    node.pve().kill(true)?;
    let said = node.run("sleep 1; ls /etc/pve")?;
    ensure!(
        said.stderr.contains("not connected"),
        "after SIGKILL /etc/pve says {}{}",
        said.stdout,
        said.stderr
    );
    node.pve().up()?;
    node.pve().wait_until_up()
}

fn lost_transaction(node: &mut Node) -> Result<()> {
    node.ok(
        "echo kept > /etc/pve/kept && sync /var/lib/pve-cluster/config.db-wal && echo lost > /etc/pve/lost",
    )?;
    node.power_cut()?;
    node.power_on()?;
    node.pve().wait_until_up()?;
    ensure!(node.ok("cat /etc/pve/kept")? == "kept\n", "pmxcfs lost a transaction that was flushed");
    ensure!(!node.holds("test -e /etc/pve/lost")?, "pmxcfs kept a transaction that nobody flushed");
    Ok(())
}

fn late(node: &mut Node) -> Result<()> {
    node.pve().late(5)?;
    let seconds =
        node.ok("s=$(date +%s); systemctl restart pve-cluster.service; echo $(( $(date +%s) - s ))")?;
    ensure!(seconds.trim().parse::<u32>()? >= 5, "pmxcfs was not late: {seconds}");
    node.pve().late(0)?;
    node.pve().wait_until_up()
}
