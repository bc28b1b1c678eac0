//! What stands in the drop-in: one table, from which the file, the gate and the controls are made.

use super::{algorithms, allowed_users};
use crate::facts::Facts;
use crate::profile::{Algorithms, Profile, RootLogin};

/// Where an option is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// `sshd -T`: no Match block can change it.
    Everywhere,
    /// `sshd -T -C`, for root and the admin.
    PerConnection,
}

/// One line of the drop-in.
pub(super) struct SshOption {
    pub(super) id: &'static str,
    pub(super) requirement: &'static str,
    pub(super) wanted: String,
    /// As sshd_config(5) spells it.
    pub(super) keyword: &'static str,
    /// The same in lower case, as `sshd -T` prints it.
    pub(super) name: &'static str,
    pub(super) value: String,
    /// The value as `sshd -T` prints it.
    pub(super) printed: String,
    pub(super) seen: Seen,
}

impl SshOption {
    pub(super) fn key(&self) -> String {
        self.name.to_owned()
    }
}

/// A line whose value is printed as it is written: id, row, keyword, name, value and the sentence.
type Line = (&'static str, &'static str, &'static str, &'static str, String, &'static str);

pub(super) fn wanted(profile: &Profile, facts: &Facts) -> Vec<SshOption> {
    let mut options = Vec::new();
    for (id, requirement, keyword, name, value, sentence) in who(profile) {
        let wanted = sentence.replace("{}", &value);
        // sshd prints the old spelling (servconf.c, fmt_multistate_int).
        let printed =
            if value == "prohibit-password" { "without-password".to_owned() } else { value.clone() };
        options.push(SshOption {
            id,
            requirement,
            wanted,
            keyword,
            name,
            value,
            printed,
            seen: Seen::PerConnection,
        });
    }
    let everywhere = ["port", "logingracetime"];
    for (id, requirement, keyword, name, value, sentence) in limits(profile) {
        let seen = if everywhere.contains(&name) { Seen::Everywhere } else { Seen::PerConnection };
        let wanted = sentence.replace("{}", &value);
        options.push(SshOption {
            id,
            requirement,
            wanted,
            keyword,
            name,
            printed: value.clone(),
            value,
            seen,
        });
    }
    if profile.ssh.algorithms != Algorithms::Keep {
        options.extend(algorithms::wanted(profile.ssh.algorithms, facts));
    }
    options
}

/// Rows B1 to B3.
fn who(profile: &Profile) -> Vec<Line> {
    let ssh = &profile.ssh;
    let root = if ssh.root_login == RootLogin::Key { "prohibit-password" } else { "no" };
    vec![
        (
            "ssh.key-login",
            "B1",
            "PubkeyAuthentication",
            "pubkeyauthentication",
            yes(true),
            "keys are accepted",
        ),
        (
            "ssh.password-login",
            "B1",
            "PasswordAuthentication",
            "passwordauthentication",
            yes(ssh.password_login),
            "password login is `{}`",
        ),
        (
            "ssh.keyboard-interactive",
            "B1",
            "KbdInteractiveAuthentication",
            "kbdinteractiveauthentication",
            yes(false),
            "no questions in the place of a password",
        ),
        (
            "ssh.empty-passwords",
            "B1",
            "PermitEmptyPasswords",
            "permitemptypasswords",
            yes(false),
            "no empty passwords",
        ),
        (
            "ssh.root-login",
            "B2",
            "PermitRootLogin",
            "permitrootlogin",
            root.to_owned(),
            "root's login is `{}`",
        ),
        (
            "ssh.allow-users",
            "B3",
            "AllowUsers",
            "allowusers",
            allowed_users(profile).join(" "),
            "only these log in: {}",
        ),
    ]
}

/// Rows B5 and B6.
fn limits(profile: &Profile) -> Vec<Line> {
    let ssh = &profile.ssh;
    // Two unanswered messages close the connection; 0 turns the messages off (sshd_config(5)).
    let interval = ssh.idle_seconds.div_ceil(2);
    let forwarding = yes(ssh.tcp_forwarding);
    vec![
        ("ssh.port", "B6", "Port", "port", ssh.port.number().to_string(), "sshd listens on port {} alone"),
        (
            "ssh.login-grace",
            "B5",
            "LoginGraceTime",
            "logingracetime",
            ssh.login_grace_seconds.to_string(),
            "a login takes at most {} s",
        ),
        (
            "ssh.tries",
            "B5",
            "MaxAuthTries",
            "maxauthtries",
            ssh.max_auth_tries.to_string(),
            "{} tries per connection",
        ),
        ("ssh.sessions", "B5", "MaxSessions", "maxsessions", "10".to_owned(), "{} sessions per connection"),
        (
            "ssh.idle-interval",
            "B5",
            "ClientAliveInterval",
            "clientaliveinterval",
            interval.to_string(),
            "a silent client is asked every {} s",
        ),
        (
            "ssh.idle-count",
            "B5",
            "ClientAliveCountMax",
            "clientalivecountmax",
            "2".to_owned(),
            "a client that misses {} questions is gone",
        ),
        (
            "ssh.x11-forwarding",
            "B5",
            "X11Forwarding",
            "x11forwarding",
            yes(ssh.x11_forwarding),
            "X11 forwarding is `{}`",
        ),
        (
            "ssh.tcp-forwarding",
            "B5",
            "AllowTcpForwarding",
            "allowtcpforwarding",
            forwarding.clone(),
            "TCP forwarding is `{}`",
        ),
        (
            "ssh.socket-forwarding",
            "B5",
            "AllowStreamLocalForwarding",
            "allowstreamlocalforwarding",
            forwarding,
            "forwarding of local sockets is `{}`",
        ),
    ]
}

fn yes(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}
