//! Which items of the CIS benchmark speak about the same as a control. CIS Debian Linux 13 Benchmark
//! v1.0.0, ids from the control file `cis_debian13.yml` of ComplianceAsCode; docs/audit.md says where our answer is another one than theirs.

use crate::control::{Check, Control};

/// The beginning of an id, or the name of a kernel setting, and the items: a line of text costs less than a table.
const ITEMS: &str = "\
admin.password 5.4.1.4
admin.sudo 5.2.4
apparmor. 1.3.1.2 1.3.1.3
firewall.active 4.1.3 4.1.4 4.1.5
firewall.after-reboot 4.1.2
packages.installed.sudo 5.2.1
packages.installed.ufw 4.1.1
services.listeners 2.1.23
services.postfix 2.1.22
services.rpcbind 2.1.12
ssh.allow-users 5.1.4
ssh.ciphers 5.1.6
ssh.empty-passwords 5.1.20
ssh.idle- 5.1.7
ssh.key-exchange 5.1.12 5.1.13
ssh.login-grace 5.1.14
ssh.macs 5.1.16
ssh.root-login 5.1.21
ssh.sessions 5.1.18
ssh.socket-forwarding 5.1.8
ssh.tcp-forwarding 5.1.8
ssh.tries 5.1.17
ssh.x11-forwarding 5.1.8
totp.clock 2.3.1.1
updates. 1.2.2.1
fs.protected_hardlinks 1.5.1
fs.protected_symlinks 1.5.2
fs.suid_dumpable 1.5.4
kernel.dmesg_restrict 1.5.5
kernel.kptr_restrict 1.5.8
net.ipv4.conf.*.accept_redirects 3.3.1.8 3.3.1.9
net.ipv4.conf.*.accept_source_route 3.3.1.14 3.3.1.15
net.ipv4.conf.*.rp_filter 3.3.1.12 3.3.1.13
net.ipv4.conf.*.secure_redirects 3.3.1.10 3.3.1.11
net.ipv4.conf.*.send_redirects 3.3.1.4 3.3.1.5
net.ipv4.icmp_echo_ignore_broadcasts 3.3.1.7
net.ipv4.icmp_ignore_bogus_error_responses 3.3.1.6
net.ipv4.tcp_syncookies 3.3.1.18
net.ipv6.conf.*.accept_redirects 3.3.2.3 3.3.2.4
net.ipv6.conf.*.accept_source_route 3.3.2.5 3.3.2.6
";

/// The items, with blanks between; empty where there is none.
pub(super) fn of(control: &Control) -> &'static str {
    // The benchmark's firewall is UFW alone.
    if matches!(control.check, Check::PveFirewallOn) || control.requirement.starts_with('D') {
        return "";
    }
    let name = match &control.check {
        Check::Kernel { name, .. } => name.as_str(),
        _ => &*control.id,
    };
    let items = |line: &'static str| {
        let (start, items) = line.split_once(' ')?;
        name.starts_with(start).then_some(items)
    };
    ITEMS.lines().find_map(items).unwrap_or_default()
}
