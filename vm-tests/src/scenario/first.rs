//! The first boot: what an admin, and an outsider, find afterwards.

use anyhow::{Result, ensure};

use super::{hook, kept};
use crate::bench::Bench;
use crate::network::{Reach, Side};
use crate::node::Node;
use crate::payload::{ADMIN, ADMIN_PASSWORD};
use crate::workspace::KeyPair;

/// What `sshd -T` must say after a run with the example answer (B1–B5), beside what [`sshd`] asks for.
const SSHD: &[&str] = &[
    "port 22",
    "passwordauthentication no",
    "kbdinteractiveauthentication no",
    "permitemptypasswords no",
    "pubkeyauthentication yes",
    "maxauthtries 3",
    "logingracetime 30",
    "clientaliveinterval 300",
    "clientalivecountmax 2",
    "maxsessions 10",
    "x11forwarding no",
    "allowtcpforwarding yes",
    "allowstreamlocalforwarding yes",
];

/// The hook ran from its unit at the first boot, and the node is what the answer wants.
pub fn unattended(bench: &mut Bench) -> Result<()> {
    let node = bench.committed()?;
    let end = hook::wait_for_end(node)?;
    let status = hook::expect_committed(node, &end)?;
    ensure!(
        status["steps"].as_array().is_some_and(|steps| !steps.is_empty()),
        "the status has no steps: {status}"
    );
    let mode = node.ok("stat -c '%a %U' /var/lib/firstlight /usr/local/sbin/firstlight")?;
    ensure!(mode == "700 root\n755 root\n", "our state and our binary are {mode}");
    // What PVE's installer left behind holds no answer any more: it is the binary alone.
    node.ok(&format!("cmp {} {}", hook::EXECUTABLE_PATH, hook::INSTALLED_PATH))?;
    told(node)?;
    let key = bench.payload()?.admin_key.clone();
    let node = bench.committed()?;
    hardened(node, &key)
}

/// What the unit's journal tells: how to log in, the host keys (A6), and no secret.
fn told(node: &mut Node) -> Result<()> {
    let journal = node.ok(&format!("journalctl --no-pager -o cat -u {}", hook::UNIT))?;
    let keys = node.ok("for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -l -f $key; done")?;
    for fingerprint in keys.split_whitespace().filter(|word| word.starts_with("SHA256:")) {
        ensure!(
            journal.contains(fingerprint),
            "the report does not show the host key {fingerprint}: {journal}"
        );
    }
    for wanted in
        [format!("ssh {ADMIN}@{}", Side::Management.node_address()), "ms of processor time".to_owned()]
    {
        ensure!(journal.contains(&wanted), "the report does not say `{wanted}`: {journal}");
    }
    ensure!(!journal.contains("$y$"), "a password's hash stands in the journal: {journal}");
    Ok(())
}

/// Everything that is true of a node provisioned with the example answer.
pub fn hardened(node: &mut Node, admin: &KeyPair) -> Result<()> {
    kept::expect_installed(node)?;
    logins(node, admin)?;
    sshd(node)?;
    firewall(node)
}

fn logins(node: &mut Node, admin: &KeyPair) -> Result<()> {
    let login = node.ssh(Side::Management, ADMIN, admin, "id -un")?;
    ensure!(
        login.stdout == format!("{ADMIN}\n"),
        "the admin does not log in: {}{}",
        login.stdout,
        login.stderr
    );
    let sudo = format!("printf '%s\\n' '{ADMIN_PASSWORD}' | sudo -S -k -p '' id -u");
    let login = node.ssh(Side::Management, ADMIN, admin, &sudo)?;
    ensure!(login.stdout == "0\n", "the admin's sudo fails: {}{}", login.stdout, login.stderr);
    let login = node.ssh(Side::Management, ADMIN, admin, "sudo -k -n id -u")?;
    ensure!(
        login.status == 1 && login.stderr.contains("password is required"),
        "sudo without a password ended with {}: {}{}",
        login.status,
        login.stdout,
        login.stderr
    );
    for user in [ADMIN, "root"] {
        let options =
            ["-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive"];
        let refused = node.ssh_with(Side::Management, user, &options, None, "true")?;
        ensure!(
            refused.status == 255 && refused.stderr.contains("Permission denied (publickey)"),
            "a login of {user} by password is not refused as it should be: {}",
            refused.stderr
        );
    }
    let key = node.root_key().clone();
    let login = node.ssh(Side::Management, "root", &key, "id -un")?;
    ensure!(login.stdout == "root\n", "root by key is refused: {}", login.stderr);
    let link = node.ok("readlink /root/.ssh/authorized_keys")?;
    ensure!(
        link == "/etc/pve/priv/authorized_keys\n",
        "root's keys are no link into /etc/pve any more: {link}"
    );
    Ok(())
}

fn sshd(node: &mut Node) -> Result<()> {
    let effective = node.ok("sshd -T")?;
    let lines: Vec<&str> = effective.lines().collect();
    for wanted in SSHD {
        ensure!(lines.contains(wanted), "sshd -T does not say `{wanted}`:\n{effective}");
    }
    let root = lines.iter().find_map(|line| line.strip_prefix("permitrootlogin ")).unwrap_or_default();
    ensure!(matches!(root, "without-password" | "prohibit-password"), "sshd -T: permitrootlogin {root}");
    let users: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("allowusers "))
        .flat_map(|users| users.split(' '))
        .collect();
    ensure!(
        users.contains(&ADMIN) && users.contains(&"root") && users.len() == 2,
        "sshd -T: allowusers {users:?}"
    );
    for (name, first) in [
        // OpenSSH 9.2 of Debian 12 does not have the first; an update gave it the second name of the other one.
        (
            "kexalgorithms",
            &["mlkem768x25519-sha256,", "sntrup761x25519-sha512,", "sntrup761x25519-sha512@openssh.com,"][..],
        ),
        ("ciphers", &["chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,"]),
        // The policy for OpenSSH 9.2 that `strict` follows has the two the other way round.
        ("macs", &["hmac-sha2-512-etm@openssh.com,", "hmac-sha2-256-etm@openssh.com,"]),
        ("hostkeyalgorithms", &["ssh-ed25519,"]),
    ] {
        let set =
            lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or_default();
        ensure!(first.iter().any(|first| set.starts_with(first)), "sshd -T: {name} {set}");
        let weak = ["sha1,", "-sha1", "cbc", "ssh-dss", "diffie-hellman-group1-", "ssh-rsa", "umac-64"];
        let found =
            set.split(',').find(|word| *word == "hmac-sha1" || weak.iter().any(|weak| word.contains(weak)));
        ensure!(found.is_none(), "sshd -T: {name} has {found:?}");
    }
    Ok(())
}

fn firewall(node: &mut Node) -> Result<()> {
    let ufw = node.ok("ufw status verbose")?;
    ensure!(ufw.contains("Status: active"), "ufw is not active: {ufw}");
    ensure!(ufw.contains("deny (incoming), allow (outgoing)"), "ufw does not deny incoming: {ufw}");
    let ipv6 = node.ok("ip6tables -S INPUT")?;
    ensure!(ipv6.starts_with("-P INPUT DROP"), "IPv6 is not filtered: {ipv6}");
    for port in [22, 8006] {
        let inside = node.probe(Side::Management, port)?;
        ensure!(inside == Reach::Open, "port {port} is {inside:?} from the management host");
        let outside = node.probe(Side::Outsider, port)?;
        ensure!(outside != Reach::Open, "port {port} is open from the outsider");
    }
    Ok(())
}
