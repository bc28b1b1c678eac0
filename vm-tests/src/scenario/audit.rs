//! The audit is honest (row I3): a hardened node is broken in many ways that leave firstlight's own files in place, exactly
//! the control that says otherwise turns red, and it is green again once the break is mended.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::hook::INSTALLED_PATH;
use crate::bench::Bench;
use crate::node::Node;
use crate::payload::ADMIN;
use crate::progress::say;

/// Seconds an audit may take natively, the tools it calls included.
const AUDIT: u64 = 120;

/// One way to break a node.
struct Mutation {
    /// What somebody did.
    what: &'static str,
    /// Shell, as root.
    done: &'static str,
    /// What takes it back.
    mended: &'static str,
    /// What turns red; `KEY` stands for the control of the admin's key.
    red: &'static [&'static str],
}

/// A drop-in of sshd that sorts before ours.
const FIRST: &str = "/etc/ssh/sshd_config.d/00-a.conf";

const UFW: &[Mutation] = &[
    Mutation {
        what: "another drop-in of sshd wins",
        done: "echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/00-a.conf",
        mended: "rm /etc/ssh/sshd_config.d/00-a.conf",
        red: &["ssh.password-login.root", "ssh.password-login.admin"],
    },
    Mutation {
        what: "a Match block for root",
        done: "printf 'Match User root\\nMaxAuthTries 60\\nMatch all\\n' > /etc/ssh/sshd_config.d/00-a.conf",
        mended: "rm /etc/ssh/sshd_config.d/00-a.conf",
        red: &["ssh.tries.root"],
    },
    Mutation {
        what: "sshd reads the admin's keys elsewhere",
        done: "echo 'AuthorizedKeysFile /etc/ssh/keys/%u' > /etc/ssh/sshd_config.d/00-a.conf",
        mended: "rm /etc/ssh/sshd_config.d/00-a.conf",
        // firstlight would leave such a server alone, and says so, too.
        red: &["ssh.keys-file", "refused.ssh.enabled"],
    },
    Mutation {
        what: "another line of sudoers without a password",
        done: "echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/zz-other && chmod 440 /etc/sudoers.d/zz-other",
        mended: "rm /etc/sudoers.d/zz-other",
        red: &["admin.sudo"],
    },
    Mutation {
        what: "sudo's drop-in is readable for everybody",
        done: "chmod 444 /etc/sudoers.d/firstlight",
        mended: "chmod 440 /etc/sudoers.d/firstlight",
        red: &["admin.sudoers-mode"],
    },
    Mutation {
        what: "everybody may write to the admin's keys",
        done: "chmod 666 /home/ops/.ssh/authorized_keys",
        mended: "chmod 600 /home/ops/.ssh/authorized_keys",
        red: &["KEY"],
    },
    Mutation {
        what: "the admin's password is locked",
        done: "usermod -L ops",
        mended: "usermod -U ops",
        // The profile of record has no hash to mend it with.
        red: &["admin.password", "refused.admin.password-hash"],
    },
    Mutation {
        what: "the admin left group sudo",
        done: "gpasswd -d ops sudo",
        mended: "gpasswd -a ops sudo",
        red: &["admin.account"],
    },
    Mutation {
        what: "modprobe is told otherwise by a file that comes first",
        done: "echo 'install tipc /usr/sbin/modprobe --ignore-install tipc' > /etc/modprobe.d/00-a.conf",
        mended: "rm /etc/modprobe.d/00-a.conf",
        red: &["kernel.modules"],
    },
    Mutation {
        what: "a unit is stopped",
        done: "systemctl stop unattended-upgrades.service",
        mended: "systemctl start unattended-upgrades.service",
        red: &["updates.service"],
    },
    Mutation {
        what: "a unit does not start at boot",
        done: "systemctl disable ufw.service",
        mended: "systemctl enable ufw.service",
        red: &["firewall.after-reboot"],
    },
    Mutation {
        what: "a package is gone",
        done: "dpkg --remove --force-depends apt-listchanges",
        mended: "apt-get install -y --no-install-recommends apt-listchanges",
        red: &["packages.installed.apt-listchanges"],
    },
    Mutation {
        what: "UFW has a wider rule",
        done: "ufw allow 22/tcp",
        mended: "ufw delete allow 22/tcp",
        red: &["firewall.nothing-wider"],
    },
    Mutation {
        what: "a rule in front of UFW's lets everybody in",
        done: "iptables -I INPUT 1 -p tcp -m tcp --dport 22 -j ACCEPT",
        mended: "iptables -D INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
        red: &["firewall.nothing-in-front"],
    },
    Mutation {
        what: "a rule is gone from the kernel, and UFW's files have it",
        done: "iptables -D ufw-user-input -s 10.0.20.0/24 -p tcp -m tcp --dport 8006 -j ACCEPT",
        mended: "ufw reload",
        red: &["firewall.rule.allow-from-10.0.20.0/24-to-any-port-8006-proto-tcp"],
    },
    Mutation {
        what: "a table of somebody else's filters",
        done: "nft add table inet other && nft add chain inet other in '{ type filter hook input priority 5; }'",
        mended: "nft delete table inet other",
        red: &["firewall.alone"],
    },
    Mutation {
        what: "a later file sets a kernel setting at the next boot",
        done: "echo 'kernel.kptr_restrict = 0' > /etc/sysctl.d/zzz-other.conf",
        mended: "rm /etc/sysctl.d/zzz-other.conf",
        red: &["kernel.kernel.kptr-restrict"],
    },
    Mutation {
        what: "a kernel setting has another value now",
        done: "sysctl -q -w net.ipv4.conf.all.send_redirects=1",
        mended: "sysctl -q -w net.ipv4.conf.all.send_redirects=0",
        red: &["kernel.net.ipv4.conf.send-redirects"],
    },
    Mutation {
        what: "a jail is loaded and matches nothing",
        done: "printf '[Definition]\nfailregex = ^never <HOST>$\n' > /etc/fail2ban/filter.d/never.conf && \
               printf '[sshd]\nfilter = never\n' > /etc/fail2ban/jail.d/zz-other.local && fail2ban-client reload",
        mended: "rm /etc/fail2ban/filter.d/never.conf /etc/fail2ban/jail.d/zz-other.local && fail2ban-client reload",
        red: &["fail2ban.sshd"],
    },
    Mutation {
        what: "fail2ban is stopped",
        done: "systemctl stop fail2ban.service",
        mended: "systemctl start fail2ban.service; until fail2ban-client status sshd; do sleep 1; done",
        red: &["fail2ban.runs", "fail2ban.sshd", "fail2ban.sshd-bans", "fail2ban.sshd-never-bans"],
    },
    Mutation {
        what: "a later file of apt lets everything install itself",
        done: "echo 'Unattended-Upgrade::Origins-Pattern:: \"origin=*\";' > /etc/apt/apt.conf.d/99other",
        mended: "rm /etc/apt/apt.conf.d/99other",
        red: &["updates.origins"],
    },
    Mutation {
        what: "somebody listens",
        done: "systemd-run --quiet --unit=listens python3 -m http.server 4444 && \
               until ss -lnt | grep -q :4444; do sleep 1; done",
        mended: "systemctl stop listens.service",
        red: &["services.listeners"],
    },
    Mutation {
        what: "the audit's timer is stopped",
        done: "systemctl stop firstlight-audit.timer",
        mended: "systemctl start firstlight-audit.timer",
        red: &["audit.timer"],
    },
    Mutation {
        what: "nobody puts a cut-off run back at boot",
        done: "systemctl disable firstlight-recover.service",
        mended: "systemctl enable firstlight-recover.service",
        red: &["audit.recover"],
    },
];

const PVE: &[Mutation] = &[
    Mutation {
        what: "a rule in front of PVE's lets everybody in",
        done: "iptables -I INPUT 1 -p tcp -m tcp --dport 8006 -j ACCEPT",
        mended: "iptables -D INPUT -p tcp -m tcp --dport 8006 -j ACCEPT",
        red: &["firewall.nothing-in-front"],
    },
    Mutation {
        what: "the same in IPv6 alone",
        done: "ip6tables -I INPUT 1 -p tcp -m tcp --dport 8006 -j ACCEPT",
        mended: "ip6tables -D INPUT -p tcp -m tcp --dport 8006 -j ACCEPT",
        red: &["firewall.nothing-in-front"],
    },
    Mutation {
        what: "chains of UFW are in the kernel",
        done: "iptables -N ufw-user-input",
        mended: "iptables -X ufw-user-input",
        red: &["firewall.ufw-off"],
    },
    Mutation {
        what: "PVE lets the admin in no more",
        done: "pveum user modify ops@pam --enable 0",
        mended: "pveum user modify ops@pam --enable 1",
        red: &["admin.pve-user"],
    },
    Mutation {
        what: "the admin's role is gone",
        done: "pveum acl delete / --users ops@pam --roles Administrator",
        mended: "pveum acl modify / --users ops@pam --roles Administrator",
        red: &["admin.pve-role"],
    },
    Mutation {
        what: "root's keys are a file of their own",
        done: "rm /root/.ssh/authorized_keys && touch /root/.ssh/authorized_keys",
        mended: "ln -sf /etc/pve/priv/authorized_keys /root/.ssh/authorized_keys",
        red: &["admin.keys-of-root"],
    },
];

/// A node of UFW.
pub fn honest(bench: &mut Bench) -> Result<()> {
    let node = bench.committed()?;
    break_each(node, UFW, &[])
}

/// A node of PVE with its own firewall: nobody has typed a code yet.
pub fn honest_on_pve(bench: &mut Bench) -> Result<()> {
    let node = bench.pve_committed()?;
    break_each(node, PVE, &["totp.verified.ops@pam", "totp.verified.root@pam"])
}

/// The monthly run: its result in the status, and what has turned in the journal with its priority.
pub fn recorded(bench: &mut Bench) -> Result<()> {
    let node = bench.committed()?;
    ensure!(node.holds("systemctl is-active firstlight-audit.timer")?, "the timer does not run");
    audit_by_itself(node)?;
    expect_result(node, &[])?;
    node.put(FIRST, b"PermitEmptyPasswords yes\n", 0o644)?;
    audit_by_itself(node)?;
    let turned = ["ssh.empty-passwords.root", "ssh.empty-passwords.admin"];
    expect_result(node, &turned)?;
    let warned = node.ok("journalctl --no-pager -o cat -p warning -u firstlight-audit.service")?;
    for id in turned {
        ensure!(
            warned.contains("turned red since") && warned.contains(id),
            "no warning in the journal about {id}: {warned}"
        );
    }
    ensure!(
        node.holds("systemctl is-failed firstlight-audit.service; test $? -ne 0")?,
        "findings are no failure"
    );
    Ok(())
}

fn audit_by_itself(node: &mut Node) -> Result<()> {
    let done = node.run_within("systemctl start firstlight-audit.service", AUDIT)?;
    ensure!(
        done.status == 0,
        "the service failed: {}",
        node.ok("journalctl -q -b -o cat -u firstlight-audit")?
    );
    Ok(())
}

fn expect_result(node: &mut Node, turned: &[&str]) -> Result<()> {
    let status = super::hook::status(node)?;
    let kept: Vec<&str> =
        status["audit"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    ensure!(kept.first().is_some_and(|line| line.contains("score ")), "the status has no audit: {status}");
    let red: Vec<&&str> = kept.iter().filter(|line| line.starts_with("turned red since ")).collect();
    ensure!(
        red.len() == turned.len()
            && turned.iter().all(|id| red.iter().any(|line| line.ends_with(&format!(": {id}")))),
        "the status tells another drift than {turned:?}: {kept:?}"
    );
    Ok(())
}

fn break_each(node: &mut Node, mutations: &[Mutation], known: &[&str]) -> Result<()> {
    let key = node.ok(&format!("ssh-keygen -lf /home/{ADMIN}/.ssh/authorized_keys"))?;
    let key = format!("admin.key.{}", key.split(' ').nth(1).context("no fingerprint")?);
    let sound = red(node)?;
    let expected: BTreeSet<String> = known.iter().map(|id| (*id).to_owned()).collect();
    ensure!(sound == expected, "a node directly after its first boot: {sound:?}");
    let mut wrong = Vec::new();
    for mutation in mutations {
        node.ok(mutation.done).with_context(|| mutation.what.to_owned())?;
        let mut wanted = expected.clone();
        wanted
            .extend(mutation.red.iter().map(|id| if *id == "KEY" { key.clone() } else { (*id).to_owned() }));
        let broken = red(node)?;
        if broken != wanted {
            wrong.push(format!("{}: red is {broken:?}, and not {wanted:?}", mutation.what));
        }
        node.ok(mutation.mended).with_context(|| format!("mending: {}", mutation.what))?;
        let mended = red(node)?;
        ensure!(mended == expected, "{}: mended, and red is {mended:?}", mutation.what);
        say(format_args!("  red and green again: {}", mutation.what));
    }
    // All of them: a run takes many minutes.
    ensure!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), mutations.len(), wrong.join("\n"));
    Ok(())
}

/// Ids of the controls that need attention; the exit code says the same.
fn red(node: &mut Node) -> Result<BTreeSet<String>> {
    let said = node.run_within(&format!("{INSTALLED_PATH} audit --json"), AUDIT)?;
    let audit: Value = serde_json::from_str(&said.stdout)
        .with_context(|| format!("reading the audit: {}{}", said.stdout, said.stderr))?;
    let controls = audit["controls"].as_array().context("an audit without controls")?;
    let state = |control: &Value, word: &str| control["state"] == word;
    let red: BTreeSet<String> = controls
        .iter()
        .filter(|control| !state(control, "holds") && !state(control, "waived"))
        .filter_map(|control| Some(control["control"].as_str()?.to_owned()))
        .collect();
    ensure!(
        said.status == if red.is_empty() { 0 } else { 3 },
        "the audit ended with {}: {red:?}",
        said.status
    );
    Ok(red)
}
