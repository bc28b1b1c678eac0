//! The tables of the areas that hold plain keys only.

use super::forms::*;
use super::table::{ABSOLUTE, Table, only};
use crate::profile::{
    Algorithms, AppArmor, Audit, Fail2ban, Kernel, Packages, Port, Report, Repositories, RootLogin, Secret,
    Services, Ssh, Totp, Updates, UserName, Waiver,
};

const A_YEAR_OF_MINUTES: u32 = 525_600;
const A_DAY_OF_SECONDS: u32 = 86_400;

pub(super) fn ssh(top: &Table<'_>) -> Ssh {
    let table = top.child("ssh");
    let root_login = match table.word("root-login", &["key", "no"]) {
        1 => RootLogin::No,
        _ => RootLogin::Key,
    };
    let ssh = Ssh {
        enabled: table.flag("enabled", true),
        port: ssh_port(&table),
        root_login,
        password_login: table.flag("password-login", false),
        allow_users: allow_users(&table, root_login),
        algorithms: match table.word("algorithms", &["compatible", "strict", "keep"]) {
            1 => Algorithms::Strict,
            2 => Algorithms::Keep,
            _ => Algorithms::Compatible,
        },
        max_auth_tries: table.number("max-auth-tries", (1, 20), 3),
        login_grace_seconds: table.number("login-grace-seconds", (5, 600), 30),
        idle_seconds: table.number("idle-seconds", (0, A_DAY_OF_SECONDS), 600),
        tcp_forwarding: table.flag("tcp-forwarding", true),
        x11_forwarding: table.flag("x11-forwarding", false),
    };
    if (1..10).contains(&ssh.idle_seconds) {
        table.note("idle-seconds", "must be 0 for never, or at least 10");
    }
    table.finish();
    ssh
}

/// Ports that a PVE node serves itself: mail, rpcbind, pvedaemon, SPICE, the GUI, consoles, migration.
const TAKEN: &[(u32, u32)] =
    &[(25, 25), (85, 85), (111, 111), (3128, 3128), (8006, 8006), (5900, 5999), (60_000, 60_050)];

fn ssh_port(table: &Table<'_>) -> Port {
    let number = table.number("port", (1, 65_535), 22);
    if TAKEN.iter().any(|(first, last)| (*first..=*last).contains(&number)) {
        table.note("port", format!("must not be {number}, a port that PVE uses itself"));
    }
    // The range above leaves nothing to refuse, so the default never stands in for another port.
    Port::new(i64::from(number)).unwrap_or(Port::SSH)
}

fn allow_users(table: &Table<'_>, root_login: RootLogin) -> Vec<UserName> {
    let mut users = Vec::new();
    for item in table.texts("allow-users") {
        match UserName::parse(item.text) {
            Ok(user) if user.as_str() == "root" && root_login == RootLogin::No => {
                table.note_at(
                    item.at,
                    "allow-users",
                    "must not list root with root-login = \"no\"".to_owned(),
                );
            }
            Ok(user) => users.push(user),
            Err(message) => table.note_at(item.at, "allow-users", message.to_owned()),
        }
    }
    users
}

pub(super) fn totp(top: &Table<'_>) -> Totp {
    let table = top.child("totp");
    let mut users = table.formed_texts("users", USER_OF_REALM);
    if !table.entries.contains_key("users") {
        users.push("root@pam".to_owned());
    }
    let secrets = table.formed_texts("secrets", SECRET);
    let pair =
        |text: &String| text.rsplit_once('=').map(|(user, secret)| (user.to_owned(), secret.to_owned()));
    let totp = Totp {
        enabled: table.flag("enabled", true),
        enrolment: table.chosen("enrolment", &["first-boot", "on-verify"]),
        users,
        issuer: table.formed("issuer", "", ISSUER),
        secret: table.chosen("secret", &["node", "bake"]),
        secrets: secrets.iter().filter_map(pair).collect(),
        recovery_keys: table.flag("recovery-keys", true),
        second_device: table.flag("second-device", false),
        enforced_realms: table.formed_texts("enforced-realms", REALM),
        clock_wait_seconds: table.number("clock-wait-seconds", (0, 3600), 120),
    };
    table.finish();
    totp
}

pub(super) fn fail2ban(top: &Table<'_>) -> Fail2ban {
    let table = top.child("fail2ban");
    let fail2ban = Fail2ban {
        enabled: table.flag("enabled", true),
        ban_minutes: table.number("ban-minutes", (1, A_YEAR_OF_MINUTES), 60),
        find_minutes: table.number("find-minutes", (1, A_YEAR_OF_MINUTES), 10),
        max_retry: table.number("max-retry", (1, 100), 3),
        never_ban: table.networks("never-ban"),
    };
    table.finish();
    fail2ban
}

pub(super) fn kernel(top: &Table<'_>) -> Kernel {
    let table = top.child("kernel");
    let kernel = Kernel {
        enabled: table.flag("enabled", true),
        rp_filter: rp_filter(&table),
        extra: kernel_settings(&table),
        blocked_modules: blocked_modules(&table),
    };
    table.finish();
    kernel
}

/// "auto" in quotes, the numbers with or without.
fn rp_filter(table: &Table<'_>) -> String {
    let Some(found) = table.find("rp-filter") else { return "auto".to_owned() };
    let text = match found.value.as_integer() {
        Some(number) if number.radix() == 10 => number.as_str(),
        _ => found.value.as_str().unwrap_or_default(),
    };
    if !["auto", "0", "1", "2"].contains(&text) {
        table.note("rp-filter", "must be \"auto\", 0, 1 or 2");
    }
    text.to_owned()
}

/// What no hypervisor needs and a user, a container or a plugged device can have loaded: file systems of the past, networks
/// of ships and of the air, and FireWire, which reads all memory.
const BLOCKED_MODULES: &str =
    "appletalk atm ax25 cramfs dccp firewire-core freevxfs hfs hfsplus jffs2 netrom rds rose tipc x25";

fn blocked_modules(table: &Table<'_>) -> Vec<String> {
    let mut modules = table.formed_texts("blocked-modules", MODULE);
    if !table.entries.contains_key("blocked-modules") {
        modules.extend(BLOCKED_MODULES.split(' ').map(str::to_owned));
    }
    modules
}

fn kernel_settings(table: &Table<'_>) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    let extra = table.child("extra");
    for (name, value) in extra.entries {
        let name: &str = name.get_ref();
        let message = match value.get_ref().as_str() {
            _ if value.get_ref().is_table() || !only(name, "._/-") || !name.contains('.') => {
                "must be a sysctl name in quotes: \"net.ipv4.tcp_syncookies\" = \"1\""
            }
            Some(text) if !text.is_empty() && !text.chars().any(char::is_control) => {
                settings.push((name.to_owned(), text.to_owned()));
                continue;
            }
            _ => "must have its value as a text in quotes, such as \"1\"",
        };
        extra.note(name, message);
    }
    settings
}

pub(super) fn services(top: &Table<'_>) -> Services {
    let table = top.child("services");
    let services = Services {
        enabled: table.flag("enabled", true),
        rpcbind: table.chosen("rpcbind", &["auto", "on", "off"]),
        postfix: table.chosen("postfix", &["loopback", "keep"]),
        listeners_allowed: table.formed_texts("listeners-allowed", LISTENER),
    };
    table.finish();
    services
}

pub(super) fn apparmor(top: &Table<'_>) -> AppArmor {
    let table = top.child("apparmor");
    let auto = table.entries.get("profiles").is_none_or(|value| value.get_ref().as_str() == Some("auto"));
    let apparmor = AppArmor {
        enabled: table.flag("enabled", true),
        profiles: if auto {
            // Asked for, so that it is a known key.
            let _ = table.find("profiles");
            None
        } else {
            Some(table.formed_texts("profiles", PROFILE))
        },
    };
    table.finish();
    apparmor
}

pub(super) fn packages(top: &Table<'_>) -> Packages {
    let table = top.child("packages");
    let packages = Packages {
        enabled: table.flag("enabled", true),
        allow_upgrades: table.flag("allow-upgrades", false),
        extra: table.formed_texts("extra", PACKAGE),
    };
    table.finish();
    packages
}

pub(super) fn repositories(top: &Table<'_>) -> Repositories {
    const WORDS: &[&str] = &["auto", "enterprise", "no-subscription", "keep"];
    let table = top.child("repositories");
    let repositories = Repositories {
        enabled: table.flag("enabled", true),
        pve: table.chosen("pve", WORDS),
        ceph: table.chosen("ceph", WORDS),
    };
    table.finish();
    repositories
}

pub(super) fn updates(top: &Table<'_>) -> Updates {
    let table = top.child("updates");
    let updates = Updates {
        enabled: table.flag("enabled", true),
        security: table.flag("security", true),
        proxmox: table.flag("proxmox", false),
        reboot: table.flag("reboot", false),
    };
    table.finish();
    updates
}

pub(super) fn audit(top: &Table<'_>) -> Audit {
    let table = top.child("audit");
    let audit = Audit {
        enabled: table.flag("enabled", true),
        schedule: table.formed("schedule", "monthly", SCHEDULE),
        mail: table.flag("mail", false),
        waivers: waivers(&table),
    };
    table.finish();
    audit
}

fn waivers(table: &Table<'_>) -> Vec<Waiver> {
    let mut waivers: Vec<Waiver> = Vec::new();
    for entry in table.children("waiver") {
        let control = entry.required("control", CONTROL);
        if waivers.iter().any(|waiver| waiver.control == control) && !control.is_empty() {
            entry.note("control", "is waived twice");
        }
        let reason = entry.required("reason", FILLED);
        waivers.push(Waiver { control, reason, until: entry.formed("until", "", DATE) });
        entry.finish();
    }
    waivers
}

pub(super) fn report(top: &Table<'_>) -> Report {
    let table = top.child("report");
    let report = Report {
        enabled: table.flag("enabled", true),
        webhook: table.formed("webhook", "", URL),
        webhook_key: table.secret("webhook-key").map(|secret| match secret {
            Secret::Value(text) => Secret::Value(text.to_owned()),
            Secret::File(path) => Secret::File(path),
            Secret::Credential(name) => Secret::Credential(name),
        }),
        prometheus_textfile: table.formed("prometheus-textfile", "", ABSOLUTE),
    };
    table.finish();
    report
}
