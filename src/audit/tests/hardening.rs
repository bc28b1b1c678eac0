//! The node of the tests as the areas of the hardening want it, and the ways to break it: what the tools say is made of
//! what is wanted, so that a new setting needs no line here.

use super::honest::Case;
use crate::control::Check;
use crate::facts::{Facts, apparmor::LOADED_PATH};
use crate::node::scripted::Scripted;
use crate::node::{Invocation, Node, Output};
use crate::profile::Profile;

const FAIL2BAN: &str = "/usr/bin/fail2ban-client -i";
const APT_GET: &str = "/usr/bin/apt-get --no-release-info";
const APT_CONFIG: &str = "/usr/bin/apt-config dump";
const MODPROBE: &str = "/usr/sbin/modprobe --dry-run --verbose";
const REFUSED: &str = "install /bin/false \n";
const SYSCTL_FILES: &str = "/usr/bin/systemd-analyze cat-config";
/// A line of the kernel's table of sockets that listens on every address; the port comes in the place of the star.
const LISTENS: &str =
    "   0: 00000000:* 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1 0 100 0 0 10 0\n";
/// In the order of the questions of the observer.
const QUESTIONS: &str =
    "maxretry findtime bantime journalmatch failregex banaction port actionban blocktype ignoreip";

/// All that the tools say on such a node.
pub(super) fn furnish(node: &Scripted, profile: &Profile, facts: &Facts) {
    let (mut listing, mut dump, mut targets, mut loaded) =
        (String::new(), String::new(), String::new(), String::new());
    for control in crate::areas::audited(profile, facts).0 {
        match control.check {
            Check::Kernel { name, value, boot: true } => {
                for interface in if name.contains('*') { &["all", "default", "vmbr0"][..] } else { &[""] } {
                    let name = name.replace('*', interface);
                    node.files.put(&format!("/proc/sys/{}", name.replace('.', "/")), format!("{value}\n"));
                    listing += &format!("{name} = {value}\n");
                }
            }
            Check::AptConfig { names, values } if names.contains("Origins") => {
                let name = names.split(' ').next().unwrap();
                dump += &format!("{name} \"\";\n");
                values.split("; ").for_each(|value| dump += &format!("{name}:: \"{value}\";\n"));
            }
            Check::AptConfig { names, values } => dump += &format!("{names} \"{values}\";\n"),
            Check::AptSource { name, channel, suite } if !suite.is_empty() => {
                let component = if name == "pve" { format!("pve-{channel}") } else { channel.to_owned() };
                targets += &format!("http://download.proxmox.com/debian/{name} deb {suite} {component}\n");
            }
            Check::AppArmorEnforces(name) => loaded += &format!("{name} (enforce)\n"),
            Check::ModulesBlocked(_) => node.says(MODPROBE, REFUSED),
            Check::File(file) => {
                let path = file.path.to_str().unwrap();
                node.files.put(path, file.content);
                super::node::mode(node, path, file.mode);
            }
            _ => {}
        }
    }
    node.says(SYSCTL_FILES, &listing);
    node.says(APT_CONFIG, &dump);
    node.says(APT_GET, &targets);
    node.files.put(LOADED_PATH, loaded);
    jails(node, profile, facts, ("", ""));
    node.says("/usr/sbin/postconf", "loopback-only\n");
    node.files.put("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
    node.on("/usr/bin/journalctl", |_, _| Output { status: 1, stdout: String::new(), stderr: String::new() });
    for unit in ["rpcbind.socket", "rpcbind.service"] {
        node.says(&format!("/usr/bin/systemctl is-enabled {unit}"), "disabled\n");
        node.says(&format!("/usr/bin/systemctl is-active {unit}"), "inactive\n");
    }
}

/// What the client says about both jails, with one word in the place of another.
fn jails(node: &Scripted, profile: &Profile, facts: &Facts, (before, after): (&str, &str)) {
    let mut answers = String::from("Fail2Ban v1.1.0\n");
    for jail in ["sshd", "firstlight-pve"] {
        let of_jail =
            crate::areas::audited(profile, facts).0.into_iter().find_map(|control| match control.check {
                Check::Fail2banJail { jail: known, wanted, .. } if known == jail => Some(wanted),
                _ => None,
            });
        let wanted = of_jail.unwrap();
        for key in QUESTIONS.split(' ') {
            let line = wanted.lines().find_map(|line| line.strip_prefix(&format!("{key} = "))).unwrap();
            answers += &format!("fail2ban> {line}\n");
        }
    }
    node.says(FAIL2BAN, &(answers + "fail2ban> ").replace(before, after));
}

fn another_word(node: &Scripted, before: &str, after: &str) {
    jails(node, &super::node::profile(), &super::node::facts(), (before, after));
}

/// A tool says what it said, and this.
fn says_more(node: &Scripted, program: &str, arguments: &[&str], more: &str) {
    let said = node.run(&Invocation::new(program, arguments)).unwrap().stdout;
    node.says(&format!("{program} {}", arguments.join(" ")), &(said + more));
}

fn listens_on(node: &Scripted, port: u16) {
    node.files.put("/proc/net/tcp", format!("head\n{}", LISTENS.replace('*', &format!("{port:04X}"))));
}

/// What is broken, how, and what must turn red.
pub(super) const CASES: &[Case] = &[
    (
        "a jail that is loaded but matches nothing",
        |node| another_word(node, "authentication failure; rhost=", "never; rhost="),
        &["fail2ban.pve"],
    ),
    (
        "a ban that closes another port",
        |node| another_word(node, "fail2ban> 22\n", "fail2ban> 2222\n"),
        &["fail2ban.sshd-bans"],
    ),
    (
        "a jail that spares everybody",
        |node| another_word(node, "fail2ban> 127.0.0.0/8 ", "fail2ban> 0.0.0.0/0 127.0.0.0/8 "),
        &["fail2ban.pve-never-bans", "fail2ban.sshd-never-bans"],
    ),
    (
        "somebody has set a value since",
        |node| node.files.put("/proc/sys/kernel/kptr_restrict", "0\n"),
        &["kernel.kernel.kptr-restrict"],
    ),
    (
        "a value of one interface",
        |node| node.files.put("/proc/sys/net/ipv4/conf/vmbr0/send_redirects", "1\n"),
        &["kernel.net.ipv4.conf.send-redirects"],
    ),
    (
        "a later file wins at the next boot",
        |node| {
            says_more(node, "/usr/bin/systemd-analyze", &["cat-config", "sysctl.d"], "fs.suid_dumpable=2\n")
        },
        &["kernel.fs.suid-dumpable"],
    ),
    (
        "a file that comes first lets a module in",
        |node| {
            let said = "insmod /lib/modules/6.12/udp_tunnel.ko \ninsmod /lib/modules/6.12/tipc.ko \n";
            node.says(&format!("{MODPROBE} tipc"), said);
        },
        &["kernel.modules"],
    ),
    (
        "somebody has changed a file of the answer",
        |node| node.files.put("/etc/issue.net", "Hello\n"),
        &["file./etc/issue.net"],
    ),
    (
        "a file of the answer can be written by others",
        |node| super::node::mode(node, "/etc/issue.net", 0o666),
        &["file./etc/issue.net"],
    ),
    (
        "a later file adds an origin",
        |node| {
            let more = "Unattended-Upgrade::Origins-Pattern:: \"origin=*\";\n";
            says_more(node, "/usr/bin/apt-config", &["dump"], more);
        },
        &["updates.origins"],
    ),
    (
        "a later file switches updates off",
        |node| {
            let more = "APT::Periodic::Unattended-Upgrade \"0\";\n";
            says_more(node, "/usr/bin/apt-config", &["dump"], more);
        },
        &["updates.install"],
    ),
    (
        "the timer of updates is stopped",
        |node| node.says("/usr/bin/systemctl is-active apt-daily-upgrade.timer", "inactive\n"),
        &["updates.install-timer"],
    ),
    (
        "the enterprise source is back",
        |node| {
            let more = "https://enterprise.proxmox.com/debian/pve deb trixie pve-enterprise\n";
            says_more(node, "/usr/bin/apt-get", &["--no-release-info"], more);
        },
        &["repositories.pve.enterprise"],
    ),
    ("apt has no source of PVE", |node| node.says(APT_GET, ""), &["repositories.pve.no-subscription"]),
    (
        "a profile in complain mode",
        |node| node.files.put(LOADED_PATH, "/usr/bin/lxc-start (complain)\n"),
        &["apparmor.usr/bin/lxc-start"],
    ),
    (
        "the kernel runs without AppArmor",
        |node| node.files.remove(LOADED_PATH),
        &["apparmor.on", "apparmor.usr/bin/lxc-start"],
    ),
    (
        "AppArmor has denied something",
        |node| node.says("/usr/bin/journalctl", "audit: apparmor=\"DENIED\" operation=\"open\"\n"),
        &["apparmor.denials"],
    ),
    (
        "mail is taken everywhere at the next start",
        |node| node.says("/usr/sbin/postconf", "all\n"),
        &["services.postfix"],
    ),
    ("mail is taken everywhere", |node| listens_on(node, 25), &["services.listeners", "services.postfix"]),
    ("somebody listens", |node| listens_on(node, 4444), &["services.listeners"]),
    (
        "rpcbind has come back",
        |node| node.says("/usr/bin/systemctl is-active rpcbind.socket", "active\n"),
        &["services.rpcbind-socket"],
    ),
];
