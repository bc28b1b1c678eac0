//! fail2ban, kernel settings, services and AppArmor on a node of PVE (rows F1 to F4, G1 to G5), end to end.

mod bans;

use anyhow::{Result, ensure};

use crate::bench::{BINARY_PATH, Bench};
use crate::node::Node;

pub use bans::banned;

const ANSWER_PATH: &str = "/root/vm-tests/answer.toml";
/// These four areas and what they need.
const ANSWER: &str = include_str!("hardening/answer.toml");
/// Seconds a run may take natively.
const RUN: u64 = 300;

/// A node of PVE to which the answer has been applied.
fn applied(bench: &mut Bench) -> Result<&mut Node> {
    let key = bench.payload()?.admin_key.public.clone();
    let node = bench.pve()?;
    apply(node, &key)?;
    Ok(node)
}

fn apply(node: &mut Node, key: &str) -> Result<()> {
    node.put(ANSWER_PATH, ANSWER.replace("@KEY@", key).as_bytes(), 0o600)?;
    let done = node.run_within(&format!("{BINARY_PATH} apply --confirm none {ANSWER_PATH}"), RUN)?;
    ensure!(matches!(done.status, 0 | 3), "apply ended with {}: {}{}", done.status, done.stdout, done.stderr);
    super::hook::expect_outcome(node, "committed").map(drop)
}

/// Name, and value after the run. `pve-firewall.conf` says 2 about the last one, and sorts before ours.
const SETTINGS: [(&str, &str); 4] = [
    ("kernel.kptr_restrict", "2"),
    ("net.ipv4.conf.all.send_redirects", "0"),
    ("net.ipv4.conf.vmbr0.send_redirects", "0"),
    ("net.ipv4.conf.all.rp_filter", "2"),
];

/// Kernel settings hold now and after a boot, on devices that come later too; a rollback brings back what was.
pub fn kernel(bench: &mut Bench) -> Result<()> {
    let key = bench.payload()?.admin_key.public.clone();
    let node = bench.pve()?;
    node.ok("printf 'net.ipv4.conf.all.rp_filter = 2\\n' > /usr/lib/sysctl.d/pve-firewall.conf")?;
    node.ok("sysctl -q -w kernel.kptr_restrict=1 net.ipv4.conf.vmbr0.send_redirects=1")?;
    let before = values(node)?;
    apply(node, &key)?;
    expect_settings(node, "after the run")?;
    let again = node.run(&format!("{BINARY_PATH} plan {ANSWER_PATH}"))?;
    ensure!(again.stdout.contains("Nothing to do"), "a second plan is not empty: {}", again.stdout);
    node.reboot()?;
    node.pve().wait_until_up()?;
    expect_settings(node, "after a boot")?;
    node.ok("ip link add later0 type dummy && udevadm settle")?;
    let later =
        node.ok("sysctl -n net.ipv4.conf.later0.send_redirects net.ipv4.conf.later0.accept_redirects")?;
    ensure!(later == "0\n0\n", "a device that came later has {later}");
    node.ok("ip link delete later0")?;
    // Somebody else's value stays and is told.
    node.ok("sysctl -q -w kernel.kptr_restrict=0")?;
    let back = node.run_within(&format!("{BINARY_PATH} rollback"), RUN)?;
    ensure!(back.status == 3, "rollback: {}{}", back.stdout, back.stderr);
    ensure!(back.stdout.contains("/proc/sys/kernel/kptr_restrict"), "it is not told: {}", back.stdout);
    ensure!(node.ok("sysctl -n kernel.kptr_restrict")? == "0\n", "somebody else's value is gone");
    node.ok("sysctl -q -w kernel.kptr_restrict=1")?;
    let after = values(node)?;
    ensure!(after == before, "the kernel has {after} after a rollback, and had {before}");
    ensure!(!node.holds("test -e /etc/sysctl.d/zz-firstlight.conf")?, "the file is still there");
    Ok(())
}

fn values(node: &mut Node) -> Result<String> {
    let names = SETTINGS.map(|(name, _)| name).join(" ");
    node.ok(&format!("sysctl {names}"))
}

fn expect_settings(node: &mut Node, when: &str) -> Result<()> {
    let wanted: String = SETTINGS.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
    let found = values(node)?;
    ensure!(found == wanted, "{when} the kernel has {found}");
    Ok(())
}

/// Postfix listens on loopback alone, a profile that only complained is enforced, and a rollback takes both back.
pub fn services(bench: &mut Bench) -> Result<()> {
    let key = bench.payload()?.admin_key.public.clone();
    let node = bench.pve()?;
    node.ok("postconf -e 'inet_interfaces = all' && systemctl restart postfix")?;
    // Debian's own profiles have no container's among them: one with the name of the file that PVE has.
    node.put("/etc/apparmor.d/usr.bin.lxc-start", PROFILE.as_bytes(), 0o644)?;
    node.ok("mkdir -p /etc/apparmor.d/force-complain && ln -s ../usr.bin.lxc-start /etc/apparmor.d/force-complain/ \
             && apparmor_parser -r /etc/apparmor.d/usr.bin.lxc-start")?;
    let (open, mode) = (mail(node)?, lxc_start(node)?);
    ensure!(open.contains("0.0.0.0:25") && mode.contains("(complain)"), "the ground is {open} {mode}");
    let granted = node.ok(GRANTED)?;
    apply(node, &key)?;
    let (closed, enforced) = (mail(node)?, lxc_start(node)?);
    ensure!(closed.contains("127.0.0.1:25") && !closed.contains("0.0.0.0:25"), "mail is taken on {closed}");
    ensure!(enforced.contains("(enforce)"), "the profile is {enforced}");
    ensure!(node.ok(GRANTED)? == granted, "profiles that only grant are others by now");
    node.reboot()?;
    node.pve().wait_until_up()?;
    ensure!(lxc_start(node)?.contains("(enforce)"), "a boot has it complain again");
    let back = node.run_within(&format!("{BINARY_PATH} rollback"), RUN)?;
    ensure!(matches!(back.status, 0 | 3), "rollback: {}{}", back.stdout, back.stderr);
    let (open, mode) = (mail(node)?, lxc_start(node)?);
    ensure!(open.contains("0.0.0.0:25"), "mail is taken on {open} after a rollback");
    ensure!(mode.contains("(complain)"), "the profile is {mode} after a rollback");
    Ok(())
}

/// rpcbind is off unless a storage may speak NFSv3, what nobody named is told, and after that, and after a boot, a
/// container without privileges starts and runs.
pub fn container(bench: &mut Bench) -> Result<()> {
    let key = bench.payload()?.admin_key.public.clone();
    let node = bench.pve()?;
    node.run_within(&format!("{INSTALL} rpcbind lxc busybox-static"), RUN)?;
    node.ok("systemctl is-active rpcbind.socket && ss -Hlnt sport = :111 | grep -q .")?;
    node.ok("printf 'root:100000:65536\\n' | tee -a /etc/subuid >> /etc/subgid")?;
    node.ok("lxc-create -n c1 -t busybox && chown -R --no-dereference 100000:100000 /var/lib/lxc/c1/rootfs \
             && printf 'lxc.net.0.type = empty\\nlxc.idmap = u 0 100000 65536\\nlxc.idmap = g 0 100000 65536\\n' \
             | (grep -v '^lxc.net' /var/lib/lxc/c1/config; cat) > /root/config && mv /root/config /var/lib/lxc/c1/config \
             && chmod 0755 /var/lib/lxc /var/lib/lxc/c1")?;
    starts(node, "before the run")?;
    // Somebody's listener: a finding, and nothing that is stopped.
    node.ok("systemd-run --unit=stranger perl -MIO::Socket::INET -e \
             'IO::Socket::INET->new(LocalPort => 9100, Listen => 1) and sleep'")?;
    storage(node, "soft")?;
    apply(node, &key)?;
    node.ok("systemctl is-active rpcbind.socket")?;
    storage(node, "soft,vers=4.2")?;
    let done = node.run_within(&format!("{BINARY_PATH} apply --confirm none {ANSWER_PATH}"), RUN)?;
    let told = done.stdout + &done.stderr;
    // Beside it is what lxc's own network listens on.
    let named = told.split_once("services.listeners:").is_some_and(|(_, ports)| ports.contains(" tcp/9100,"));
    ensure!(named, "a listener that nobody named is not told: {told}");
    for when in ["after the run", "after a boot"] {
        ensure!(!node.holds("ss -Hlntu sport = :111 | grep -q .")?, "{when} rpcbind listens");
        starts(node, when)?;
        node.reboot()?;
        node.pve().wait_until_up()?;
    }
    let back = node.run_within(&format!("{BINARY_PATH} rollback"), RUN)?;
    ensure!(matches!(back.status, 0 | 3), "rollback: {}{}", back.stdout, back.stderr);
    node.ok("systemctl is-active rpcbind.socket && systemctl is-enabled rpcbind.socket").map(drop)
}

fn storage(node: &mut Node, options: &str) -> Result<()> {
    let text = format!(
        "nfs: iso\n\texport /iso\n\tpath /mnt/pve/iso\n\tserver 10.0.20.9\n\tcontent iso\n\toptions {options}\n"
    );
    node.put("/root/vm-tests/storage.cfg", text.as_bytes(), 0o600)?;
    node.ok("cat /root/vm-tests/storage.cfg > /etc/pve/storage.cfg").map(drop)
}

/// The container starts with its own users and its own profile, runs something, and stops.
fn starts(node: &mut Node, when: &str) -> Result<()> {
    let seen = node.run_within(
        "lxc-start -n c1 && lxc-wait -n c1 -s RUNNING -t 60 && lxc-attach -n c1 -- /bin/busybox id -u \
         && cat /proc/$(lxc-info -n c1 -pH)/uid_map /proc/$(lxc-info -n c1 -pH)/attr/current; \
         s=$?; lxc-stop -k -n c1; exit $s",
        RUN,
    )?;
    ensure!(
        seen.status == 0 && seen.stdout.contains("100000") && seen.stdout.contains("(enforce)"),
        "{when} a container without privileges does not run: {}{}",
        seen.stdout,
        seen.stderr
    );
    Ok(())
}

const INSTALL: &str = "DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install";
const PROFILE: &str = "/usr/bin/lxc-start flags=(attach_disconnected) {\n  file,\n}\n";
const GRANTED: &str = "grep '(unconfined)' /sys/kernel/security/apparmor/profiles | sort";

fn mail(node: &mut Node) -> Result<String> {
    node.ok("ss -Hlnt sport = :25")
}

fn lxc_start(node: &mut Node) -> Result<String> {
    node.ok("grep '^/usr/bin/lxc-start ' /sys/kernel/security/apparmor/profiles")
}
