//! Kernel settings, fail2ban's client, Postfix and AppArmor.

use super::{ended, ok, refused};
use crate::node::memory::Shell;
use crate::node::{Invocation, Output};

/// Sorted by their names, wherever they lie (sysctl.d(5)).
const SYSCTL_DIRECTORIES: [&str; 2] = ["/etc/sysctl.d", "/usr/lib/sysctl.d"];
const MODPROBE_DIRECTORY: &str = "/etc/modprobe.d";
const LOADED: &str = "/sys/kernel/security/apparmor/profiles";
const PROFILES: &str = "/etc/apparmor.d";
const LXC_START: &str = "usr.bin.lxc-start";
const MAIN_CF: &str = "/etc/postfix/main.cf";

pub fn furnish(shell: &mut Shell<'_>) {
    shell.directory(SYSCTL_DIRECTORIES[0]);
    shell.directory(MODPROBE_DIRECTORY);
    shell.put("/usr/lib/sysctl.d/pve-firewall.conf", "net.ipv4.conf.all.rp_filter = 2\n");
    shell.put(
        &format!("{PROFILES}/{LXC_START}"),
        "/usr/bin/lxc-start flags=(attach_disconnected,complain) {\n}\n",
    );
    shell.link(&format!("{PROFILES}/force-complain/{LXC_START}"), &format!("{PROFILES}/{LXC_START}"));
    shell.directory(&format!("{PROFILES}/disable"));
    shell.put(MAIN_CF, "myhostname = pve1\ninet_interfaces = all\n");
}

/// The kernel's defaults, and what AppArmor's own service loads.
pub fn boot(shell: &mut Shell<'_>) {
    for (name, value) in [
        ("dev.tty.ldisc_autoload", "0"),
        ("fs.protected_fifos", "2"),
        ("fs.protected_hardlinks", "1"),
        ("fs.protected_regular", "2"),
        ("fs.protected_symlinks", "1"),
        ("fs.suid_dumpable", "0"),
        ("kernel.dmesg_restrict", "1"),
        ("kernel.kptr_restrict", "0"),
        ("kernel.yama.ptrace_scope", "0"),
        ("net.ipv4.icmp_echo_ignore_broadcasts", "1"),
        ("net.ipv4.icmp_ignore_bogus_error_responses", "1"),
        ("net.ipv4.tcp_syncookies", "1"),
    ] {
        set(shell, name, value);
    }
    for interface in ["all", "default", "vmbr0"] {
        for name in ["accept_source_route", "secure_redirects", "rp_filter"] {
            set(shell, &format!("net.ipv4.conf.{interface}.{name}"), "0");
        }
        for name in ["accept_redirects", "accept_source_route"] {
            set(shell, &format!("net.ipv6.conf.{interface}.{name}"), "0");
        }
        set(
            shell,
            &format!("net.ipv4.conf.{interface}.accept_redirects"),
            if interface == "all" { "1" } else { "0" },
        );
        set(shell, &format!("net.ipv4.conf.{interface}.send_redirects"), "1");
    }
    load(shell);
}

/// What systemd sets once the early stage of recovery is over, which is ordered before it.
pub fn settings(shell: &mut Shell<'_>) {
    for file in files(shell) {
        for line in shell.text(&file).lines() {
            let Some((name, value)) = line.split_once(" = ") else { continue };
            match name.split_once('*') {
                Some((before, after)) => set(shell, &format!("{before}vmbr0{after}"), value),
                None => set(shell, name, value),
            }
        }
    }
}

fn set(shell: &mut Shell<'_>, name: &str, value: &str) {
    let path = if name.contains('/') { name.to_owned() } else { name.replace('.', "/") };
    shell.show(&format!("/proc/sys/{path}"), &format!("{value}\n"));
}

fn files(shell: &Shell<'_>) -> Vec<String> {
    let mut found: Vec<(String, &str)> = Vec::new();
    for directory in SYSCTL_DIRECTORIES {
        let names = shell.names(directory).into_iter();
        let read = names.filter(|name| name.ends_with(".conf") && !name.starts_with('.'));
        found.extend(read.map(|name| (name, directory)));
    }
    found.sort();
    found.into_iter().map(|(name, directory)| format!("{directory}/{name}")).collect()
}

pub fn sysctl(shell: &mut Shell<'_>, words: &[&str]) -> Output {
    for word in words.iter().filter(|word| word.contains('=')) {
        let (name, value) = word.split_once('=').unwrap();
        // That one comes and goes with the device.
        if !name.contains("firstlight0") {
            set(shell, name, value);
        }
    }
    ok("")
}

/// A dry run: what the module needs comes first.
pub fn modprobe(shell: &Shell<'_>, words: &[&str]) -> Output {
    let mut files = shell.names(MODPROBE_DIRECTORY);
    files.retain(|name| name.ends_with(".conf"));
    files.sort();
    let lines: String =
        files.iter().map(|name| shell.text(&format!("{MODPROBE_DIRECTORY}/{name}"))).collect();
    let mut said = "insmod needed.ko \n".to_owned();
    for name in words.iter().skip(1).filter(|word| !word.starts_with("--")) {
        let first = lines.lines().find_map(|line| line.strip_prefix(&format!("install {name} ")));
        said += &first.map_or(format!("insmod {name}.ko \n"), |command| format!("install {command} \n"));
    }
    ok(said)
}

pub fn cat_config(shell: &Shell<'_>, words: &[&str]) -> Output {
    if words.last() != Some(&"sysctl.d") {
        return ok("");
    }
    ok(files(shell).iter().map(|file| format!("# {file}\n{}\n", shell.text(file))).collect::<String>())
}

/// What a service has read of its files.
pub fn configuration(shell: &Shell<'_>, unit: &str) -> String {
    match unit {
        "fail2ban.service" => ["defaults", "firstlight"]
            .map(|name| shell.text(&format!("/etc/fail2ban/jail.d/{name}.conf")))
            .concat(),
        "postfix.service" => shell.text(MAIN_CF),
        _ => String::new(),
    }
}

pub fn fail2ban(shell: &mut Shell<'_>, invocation: &Invocation) -> Output {
    if invocation.arguments.iter().any(|word| word == "-t") {
        let jails = format!("{}/jail.d/firstlight.conf", invocation.arguments[2]);
        return if shell.text(&jails).contains("[sshd]") { ok("OK") } else { refused(255, "no jail") };
    }
    if !shell.has("/run/active/fail2ban.service") {
        return refused(255, "Failed to access socket path");
    }
    let read = shell.text("/run/active/fail2ban.service");
    let mut said = "Fail2Ban\n\n".to_owned();
    let questions = String::from_utf8(invocation.input.clone().unwrap_or_default()).unwrap();
    for question in questions.lines().filter_map(|line| line.strip_prefix("get ")) {
        let (jail, question) = question.split_once(' ').unwrap();
        let section = read.split(&format!("[{jail}]\nenabled = true\nfilter")).nth(1).unwrap_or_default();
        let key = match question {
            "action nftables port" => "port",
            "actions" => "banaction",
            other => other,
        };
        let found = section.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        let answer = match question {
            "action nftables actionban" => "nft add element inet f2b-table <addr_set> { <ip> }",
            "action nftables blocktype" => "reject",
            "failregex" if jail == "sshd" => "^[aA]uthentication (?:failure|error|failed) for x",
            "failregex" if !shell.has("/etc/fail2ban/filter.d/firstlight-pve.conf") => "",
            "failregex" => "authentication failure; rhost=<ADDR>",
            _ => found.unwrap_or("Sorry"),
        };
        said.push_str(&format!("fail2ban> {answer}\n"));
    }
    ok(said + "fail2ban> ")
}

pub fn postconf(shell: &Shell<'_>) -> Output {
    let text = shell.text(MAIN_CF);
    let value = text.lines().find_map(|line| line.strip_prefix("inet_interfaces = ")).unwrap_or("all");
    ok(format!("{value}\n"))
}

/// What the parser gives to the kernel for the one file that there is.
fn load(shell: &mut Shell<'_>) {
    let complains = shell.has(&format!("{PROFILES}/force-complain/{LXC_START}"))
        || shell.text(&format!("{PROFILES}/{LXC_START}")).contains("complain");
    let mode = if complains { "complain" } else { "enforce" };
    shell.show(LOADED, &format!("/usr/bin/lxc-start ({mode})\nlxc-usernsexec (unconfined)\n"));
}

pub fn apparmor_parser(shell: &mut Shell<'_>, words: &[&str]) -> Output {
    match words[1] {
        "-Q" => {}
        "-r" => load(shell),
        other => return refused(1, format!("not simulated: apparmor_parser {other}")),
    }
    ended(shell)
}
