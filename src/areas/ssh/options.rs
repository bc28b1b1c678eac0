//! What stands in the drop-in: one table, from which the file, the gate and the controls are made.

use super::{algorithms, allowed_users};
use crate::facts::Facts;
use crate::packed::packed;
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

/// Printed by `sshd -T` alone.
const EVERYWHERE: [&str; 2] = ["port", "logingracetime"];

pub(super) fn wanted(profile: &Profile, facts: &Facts) -> Vec<SshOption> {
    let ssh = &profile.ssh;
    let chosen = |value: &str| match value {
        "PASSWORDS" => yes(ssh.password_login),
        "ROOT" => if ssh.root_login == RootLogin::Key { "prohibit-password" } else { "no" }.to_owned(),
        "USERS" => allowed_users(profile).join(" "),
        "PORT" => ssh.port.number().to_string(),
        "GRACE" => ssh.login_grace_seconds.to_string(),
        "TRIES" => ssh.max_auth_tries.to_string(),
        // Two unanswered messages close the connection; 0 turns the messages off (sshd_config(5)).
        "INTERVAL" => ssh.idle_seconds.div_ceil(2).to_string(),
        "X11" => yes(ssh.x11_forwarding),
        "FORWARDING" => yes(ssh.tcp_forwarding),
        fixed => fixed.to_owned(),
    };
    let mut options = Vec::new();
    // Id, row, keyword, the same as sshd prints it, value, and the sentence; a value in capitals is the answer's.
    for line in packed!("options.txt").lines() {
        let mut words = line.splitn(6, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (id, requirement, keyword, name) = (word(), word(), word(), word());
        let value = chosen(word());
        let wanted = word().replace("{}", &value);
        // sshd prints the old spelling (servconf.c, fmt_multistate_int).
        let old = value == "prohibit-password";
        let printed = if old { "without-password".to_owned() } else { value.clone() };
        let seen = if EVERYWHERE.contains(&name) { Seen::Everywhere } else { Seen::PerConnection };
        options.push(SshOption { id, requirement, wanted, keyword, name, value, printed, seen });
    }
    if ssh.algorithms != Algorithms::Keep {
        options.extend(algorithms::wanted(ssh.algorithms, facts));
    }
    options
}

fn yes(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}
