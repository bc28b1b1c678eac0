//! When the SSH server must be left alone: everything that would shut somebody out (design 4).

use super::{ROOT, algorithms, allowed_users};
use crate::areas::refusal;
use crate::control::Refusal;
use crate::facts::{Facts, User};
use crate::gate::matches;
use crate::profile::{Profile, RootLogin};

pub(super) const PACKAGE: &str = "openssh-server";
const DEFAULT_PORT: u16 = 22;
const ADMIN_KEYS_FILE: &str = ".ssh/authorized_keys";

pub(super) fn refused(profile: &Profile, facts: &Facts) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let mut refuse = |key: &str, message: String| refusals.push(refusal(key, message));
    if !facts.has_package(PACKAGE) {
        refuse("firstlight.ssh.enabled", format!("must be false: {PACKAGE} is not installed"));
        return refusals;
    }
    if !facts.sshd_includes_drop_ins {
        refuse(
            "firstlight.ssh.enabled",
            "must be false: /etc/ssh/sshd_config does not include /etc/ssh/sshd_config.d/*.conf before its first \
             Match line; put Debian's Include line back as the first line"
                .to_owned(),
        );
    }
    cluster(profile, facts, &mut refuse);
    port(profile, facts, &mut refuse);
    admin_keys(profile, facts, &mut refuse);
    named(profile, facts, &mut refuse);
    other_lists(profile, facts, &mut refuse);
    refusals
}

/// The nodes of a cluster log into each other as root, without a port option (pve-contract 4.6).
fn cluster(profile: &Profile, facts: &Facts, refuse: &mut dyn FnMut(&str, String)) {
    if !facts.cluster_member {
        return;
    }
    if profile.ssh.root_login == RootLogin::No {
        refuse(
            "firstlight.ssh.root-login",
            "must be \"key\" on a cluster member: the other nodes log in as root".to_owned(),
        );
    }
    if profile.ssh.port.number() != DEFAULT_PORT {
        refuse(
            "firstlight.ssh.port",
            "must be 22 on a cluster member: the other nodes use no other port".to_owned(),
        );
    }
    if !profile.ssh.tcp_forwarding {
        refuse(
            "firstlight.ssh.tcp-forwarding",
            "must be true on a cluster member: guests migrate through tunnels of SSH".to_owned(),
        );
    }
}

fn port(profile: &Profile, facts: &Facts, refuse: &mut dyn FnMut(&str, String)) {
    let wanted = profile.ssh.port.number().to_string();
    let now = facts.sshd_values("port");
    if facts.ssh_socket && wanted != DEFAULT_PORT.to_string() {
        refuse(
            "firstlight.ssh.port",
            "must be 22: ssh.socket listens in the place of sshd, which then ignores Port; disable ssh.socket and \
             enable ssh.service first"
                .to_owned(),
        );
    }
    // A ListenAddress with a port of its own is not moved by Port.
    let fixed = facts.sshd_values("listenaddress").into_iter().find(|address| {
        let port = address.rsplit_once(':').map_or("", |(_, port)| port);
        port != wanted && !now.contains(&port)
    });
    if let Some(address) = fixed {
        refuse(
            "firstlight.ssh.port",
            format!(
                "must be the port of the line `ListenAddress {address}` in sshd's configuration, or that line must go"
            ),
        );
    }
}

/// Keys that sshd would not look at, or not accept.
fn admin_keys(profile: &Profile, facts: &Facts, refuse: &mut dyn FnMut(&str, String)) {
    let files = facts.sshd_values("authorizedkeysfile").join(" ");
    let read = files.split_ascii_whitespace().any(|file| file.trim_start_matches("%h/") == ADMIN_KEYS_FILE);
    if !files.is_empty() && !read {
        refuse(
            "firstlight.ssh.enabled",
            format!(
                "must be false: sshd reads keys from `AuthorizedKeysFile {files}`, not from {ADMIN_KEYS_FILE}"
            ),
        );
    }
    let methods = facts.sshd_values("authenticationmethods").join(" ");
    if !methods.is_empty()
        && !methods.split_ascii_whitespace().any(|list| list == "any" || list == "publickey")
    {
        refuse(
            "firstlight.ssh.enabled",
            format!("must be false: `AuthenticationMethods {methods}` asks for more than a key"),
        );
    }
    let keys = &profile.admin.ssh_keys;
    let set = profile.ssh.algorithms;
    if profile.admin.enabled
        && !keys.is_empty()
        && !keys.iter().any(|key| algorithms::accepts_key(set, &key.algorithm))
    {
        refuse(
            "firstlight.ssh.algorithms",
            "must not be \"strict\": it accepts ed25519 and RSA keys, and the admin has neither".to_owned(),
        );
    }
}

/// Accounts that can log in today and are on no list: naming them in the answer is the confirmation (row B3).
fn named(profile: &Profile, facts: &Facts, refuse: &mut dyn FnMut(&str, String)) {
    let names = shut_out(profile, facts);
    if !names.is_empty() {
        refuse(
            "firstlight.ssh.allow-users",
            format!(
                "must name {}, who can log in today and could no longer; or take the key and the password away first",
                names.join(", ")
            ),
        );
    }
}

/// Accounts that can log in today, and could no longer.
pub fn shut_out<'a>(profile: &Profile, facts: &'a Facts) -> Vec<&'a str> {
    let allowed = allowed_users(profile);
    facts
        .users
        .iter()
        .filter(|user| user.name != ROOT && !allowed.contains(&user.name.as_str()))
        .filter(|user| can_log_in(user, facts))
        .map(|user| user.name.as_str())
        .collect()
}

fn can_log_in(user: &User, facts: &Facts) -> bool {
    let passwords = !facts.sshd_values("passwordauthentication").contains(&"no");
    let listed = facts.sshd_values("allowusers");
    let on_a_list = listed.is_empty() || listed.iter().any(|pattern| names(pattern, &user.name));
    let denied = facts.sshd_values("denyusers").iter().any(|pattern| names(pattern, &user.name));
    // sshd follows links: behind one there may be a key.
    let keys = user.has_keys || user.authorized_keys_linked;
    user.has_login_shell() && (keys || (user.has_password && passwords)) && on_a_list && !denied
}

/// `USER` or `USER@HOST`, each a pattern (sshd_config(5), AllowUsers).
fn names(pattern: &str, user: &str) -> bool {
    matches(pattern.split_once('@').map_or(pattern, |(name, _)| name), user)
}

/// `DenyUsers`, `DenyGroups` and `AllowGroups` of the node's own configuration count beside `AllowUsers`.
fn other_lists(profile: &Profile, facts: &Facts, refuse: &mut dyn FnMut(&str, String)) {
    let admin = profile.admin.name.as_str();
    let mut accounts = vec![admin];
    if profile.ssh.root_login == RootLogin::Key {
        accounts.push(ROOT);
    }
    for account in accounts {
        // A new account has a group of its own name.
        let own = vec![account.to_owned()];
        let groups = facts.user(account).map_or(&own, |user| &user.groups);
        let in_groups = |key: &str| {
            facts.sshd_values(key).iter().any(|pattern| groups.iter().any(|group| matches(pattern, group)))
        };
        let denied = facts.sshd_values("denyusers").iter().any(|pattern| names(pattern, account));
        let not_allowed = !facts.sshd_values("allowgroups").is_empty() && !in_groups("allowgroups");
        if denied || not_allowed || in_groups("denygroups") {
            refuse(
                "firstlight.ssh.enabled",
                format!(
                    "must be false: DenyUsers, DenyGroups or AllowGroups in sshd's configuration shut {account} out"
                ),
            );
        }
    }
}
