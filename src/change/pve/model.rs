//! `pveum` and `pvesh` as far as we call them, for tests: the same files, locks, texts and traps as the real ones
//! (pve-observed 3.3, 3.4; recordings 20 to 23), each file changed by itself.

use crate::facts::pve::{FACTORS_PATH, REALMS_PATH, USERS_PATH};
use crate::node::memory::Shell;
use crate::node::scripted::{Files, Scripted};
use crate::node::{Invocation, Output};
use crate::totp;
use serde_json::{Value, json};

/// The files that the tools work on.
pub trait Store {
    /// The content; empty when there is no such file.
    fn text(&self, path: &str) -> String;
    /// Writes it anew.
    fn put(&mut self, path: &str, text: &str);
    /// Takes a lock of the cluster; false when it is held for ten seconds.
    fn lock(&mut self, name: &str) -> bool;
    /// Lets go of it.
    fn unlock(&mut self, name: &str);
    /// Milliseconds since 1970.
    fn now(&self) -> u64;
}

impl Store for Shell<'_> {
    fn text(&self, path: &str) -> String {
        Shell::text(self, path)
    }

    fn put(&mut self, path: &str, text: &str) {
        let mode = if path.contains("/priv/") { 0o600 } else { 0o640 };
        self.put_via(path, "tmp.4242", text, (mode, 0), false);
    }

    fn lock(&mut self, name: &str) -> bool {
        self.lock_cluster(&format!("/etc/pve/priv/lock/{name}"))
    }

    fn unlock(&mut self, name: &str) {
        self.remove(&format!("/etc/pve/priv/lock/{name}"));
    }

    fn now(&self) -> u64 {
        self.clock()
    }
}

/// The files of a scripted node, and its clock.
struct Scratch<'a>(&'a Files, u64);

impl Store for Scratch<'_> {
    fn text(&self, path: &str) -> String {
        self.0.text(path)
    }

    fn put(&mut self, path: &str, text: &str) {
        self.0.put(path, text);
    }

    fn lock(&mut self, name: &str) -> bool {
        !self.0.has(&format!("/etc/pve/priv/lock/{name}"))
    }

    fn unlock(&mut self, _: &str) {}

    fn now(&self) -> u64 {
        self.1
    }
}

/// Puts both tools on a scripted node; its clock must not move by more than a step. With `FIRSTLIGHT_STAND_IN` it is the
/// stand-in that answers.
pub fn install(node: &Scripted) {
    if let Ok(stand_in) = std::env::var("FIRSTLIGHT_STAND_IN") {
        return install_stand_in(node, &stand_in);
    }
    install_model(node);
}

/// The models alone, where the real time of the stand-in would be too long.
pub fn install_model(node: &Scripted) {
    use crate::node::Node;
    let now = node.now();
    for program in [super::PVEUM, super::PVESH] {
        node.on(program, move |files, invocation| run(&mut Scratch(files, now), invocation));
    }
}

/// The same tests against the stand-in of `vm-tests`, which is held against recordings of the real tools: `cargo build -p
/// stand-in`, then `FIRSTLIGHT_STAND_IN=target/debug/stand-in cargo test --lib change::pve`.
fn install_stand_in(node: &Scripted, program: &str) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    node.set_clock(now.as_millis() as u64);
    node.files.directory("/etc/pve/priv/lock");
    let program = std::fs::canonicalize(program).unwrap();
    for tool in [super::PVEUM, super::PVESH] {
        let program = program.clone();
        node.on(tool, move |files, invocation| {
            let mut command = std::process::Command::new(&program);
            command.arg(invocation.arguments[0].rsplit('/').next().unwrap()).args(&invocation.arguments[1..]);
            let output = command.env("PVE_STAND_IN_ROOT", files.host("/")).output().unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            let (stdout, stderr) = (text(output.stdout), text(output.stderr));
            Output { status: output.status.code().unwrap(), stdout, stderr }
        });
    }
}

/// Runs either of them.
pub fn run(store: &mut dyn Store, invocation: &Invocation) -> Output {
    let words: Vec<&str> = invocation.arguments.iter().map(String::as_str).collect();
    let told = match words.as_slice() {
        [_, "create", path, ..] if path.starts_with("/access/tfa/") => create(store, path, &words),
        [_, "delete", path] if path.starts_with("/access/tfa/") => delete(store, path),
        [_, "user", "tfa", "delete", user] => delete_all(store, user),
        [_, "user", "tfa", "unlock", user] => unlock(store, user),
        [_, "realm", "modify", realm, what, value] => modify_realm(store, realm, what, value),
        [_, "user" | "acl", ..] => users(store, &words),
        _ => Err(format!("ERROR: unknown command '{}'", invocation.line())),
    };
    match told {
        Ok(stdout) => Output { status: 0, stdout, stderr: String::new() },
        Err(stderr) => Output { status: 2, stdout: String::new(), stderr },
    }
}

type Told = Result<String, String>;

fn after<'a>(words: &[&'a str], option: &str) -> Option<&'a str> {
    words.iter().position(|word| *word == option).and_then(|at| words.get(at + 1).copied())
}

/// Works under a lock as PVE does it.
fn locked(store: &mut dyn Store, name: &str, work: &mut dyn FnMut(&mut dyn Store) -> Told) -> Told {
    if !store.lock(name) {
        return Err(format!(
            "trying to acquire cfs lock '{name}' ...\ncfs-lock '{name}' error: got lock request timeout"
        ));
    }
    let told = work(store);
    store.unlock(name);
    told
}

/// Lines of `user.cfg` with their kinds in PVE's order; root's own is always written.
fn change_users(store: &mut dyn Store, change: impl FnOnce(&mut Vec<String>)) {
    let text = store.text(USERS_PATH);
    let mut lines: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if !lines.iter().any(|line| line.starts_with("user:root@pam:")) {
        lines.push("user:root@pam:1:0::::::".to_owned());
    }
    change(&mut lines);
    let kind = |line: &String| {
        ["user", "token", "group", "pool", "role", "acl"].iter().position(|kind| line.starts_with(kind))
    };
    lines.sort_by_key(|line| (kind(line).map(|kind| kind.max(1)), line.clone()));
    let new = lines.join("\n") + "\n\n\n\n\n";
    if new != text {
        store.put(USERS_PATH, &new);
    }
}

fn has(store: &dyn Store, start: &str) -> bool {
    store.text(USERS_PATH).lines().any(|line| line.starts_with(start)) || start == "user:root@pam:"
}

fn set_keys(store: &mut dyn Store, user: &str, keys: &str) {
    change_users(store, |lines| {
        let start = format!("user:{user}:");
        for line in lines.iter_mut().filter(|line| line.starts_with(&start)) {
            let mut fields: Vec<&str> = line.split(':').collect();
            fields[8] = keys;
            *line = fields.join(":");
        }
    });
}

fn users(store: &mut dyn Store, words: &[&str]) -> Told {
    let words = words.to_vec();
    locked(store, "file-user_cfg", &mut |store| {
        let missing = |user: &str| format!("ACL update failed: user '{user}' does not exist");
        match words.as_slice() {
            [_, "user", "add", id, ..] if has(store, &format!("user:{id}:")) => {
                return Err(format!("create user failed: user '{id}' already exists"));
            }
            [_, "user", "add", id, ..] => {
                let comment = after(&words, "--comment").unwrap_or_default().replace(":", "%3A");
                change_users(store, |lines| lines.push(format!("user:{id}:1:0::::{comment}::")));
            }
            [_, "user", "modify", id, "--enable", enable, "--expire", expire] => {
                let start = format!("user:{id}:");
                change_users(store, |lines| {
                    for line in lines.iter_mut().filter(|line| line.starts_with(&start)) {
                        let mut fields: Vec<&str> = line.split(':').collect();
                        (fields[2], fields[3]) = (enable, expire);
                        *line = fields.join(":");
                    }
                });
            }
            [_, "user", "delete", id] => {
                let keep = |line: &String| {
                    let of = [format!("user:{id}:"), format!("token:{id}!")];
                    !of.iter().any(|start| line.starts_with(start)) && !line.contains(&format!(":{id}:"))
                };
                change_users(store, |lines| lines.retain(keep));
                return locked(store, "file-priv_tfa_cfg", &mut |store| {
                    change_factors(store, |users| drop(users.remove(*id)));
                    Ok(String::new())
                });
            }
            [_, "acl", verb, path, ..] => {
                let (user, role) = (after(&words, "--users").unwrap(), after(&words, "--roles").unwrap());
                if !has(store, &format!("user:{user}:")) {
                    return Err(missing(user));
                }
                let line = format!("acl:1:{path}:{user}:{role}:");
                change_users(store, |lines| {
                    lines.retain(|other| *other != line);
                    if *verb == "modify" {
                        lines.push(line.clone());
                    }
                });
            }
            [_, "user", "token", "add", user, name, ..] => {
                let line = format!("token:{user}!{name}:0:1::");
                if has(store, &line) {
                    return Err(
                        "400 Parameter verification failed.\ntokenid: Token already exists.".to_owned()
                    );
                }
                change_users(store, |lines| lines.push(line));
                let value = "8161fcd1-0905-4f7d-aae6-3d71cb777ba1";
                return Ok(json!({"full-tokenid": format!("{user}!{name}"), "info": {"privsep": "1"}, "value": value}).to_string());
            }
            [_, "user", "token", "delete", user, name] => {
                change_users(store, |lines| {
                    lines.retain(|line| !line.starts_with(&format!("token:{user}!{name}:")))
                });
            }
            _ => return Err("ERROR: unknown command".to_owned()),
        }
        Ok(String::new())
    })
}

type Factors = serde_json::Map<String, Value>;

fn factors(store: &dyn Store) -> Factors {
    let read: Value = serde_json::from_str(&store.text(FACTORS_PATH)).unwrap_or_default();
    read.get("users").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn change_factors(store: &mut dyn Store, change: impl FnOnce(&mut Factors)) {
    let mut users = factors(store);
    change(&mut users);
    for kinds in users.values_mut().filter_map(Value::as_object_mut) {
        kinds.retain(|_, entries| entries.as_array().is_none_or(|entries| !entries.is_empty()));
    }
    users.retain(|_, kinds| kinds.as_object().is_some_and(|kinds| !kinds.is_empty()));
    let text = if users.is_empty() { json!({}) } else { json!({ "users": users }) }.to_string();
    if text != store.text(FACTORS_PATH) {
        store.put(FACTORS_PATH, &text);
    }
}

fn under_both(store: &mut dyn Store, work: &mut dyn FnMut(&mut dyn Store) -> Told) -> Told {
    locked(store, "file-priv_tfa_cfg", &mut |store| locked(store, "file-user_cfg", work))
}

fn create(store: &mut dyn Store, path: &str, words: &[&str]) -> Told {
    let user = path.trim_start_matches("/access/tfa/").to_owned();
    let (kind, uri) = (after(words, "--type").unwrap(), after(words, "--totp").unwrap_or_default());
    let (value, description) = (after(words, "--value"), after(words, "--description"));
    under_both(store, &mut |store| {
        if !has(store, &format!("user:{user}:")) {
            return Err(format!("no such user ('{user}')"));
        }
        // Before the code is looked at: this stays when it is wrong.
        set_keys(store, &user, "x");
        let mine = factors(store).get(&user).cloned().unwrap_or_else(|| json!({}));
        if kind == "recovery" {
            if mine.get("recovery").is_some() {
                return Err("user already has recovery keys".to_owned());
            }
            let keys: Vec<String> = (0..10).map(|number| format!("1876-1e04-2308-{number:04x}")).collect();
            change_factors(store, |users| {
                let mut mine = mine.clone();
                mine["recovery"] = json!({"secret": "00", "entries": vec!["hash"; 10], "created": 1});
                users.insert(user.clone(), mine);
            });
            return Ok(json!({"id": "recovery", "recovery": keys}).to_string() + "\n");
        }
        let Some(description) = description else {
            return Err("'description' is required for new entries".to_owned());
        };
        let secret = totp::secret(uri).ok_or("failed to parse otpauth uri")?;
        let key = totp::from_base32(secret).ok_or("invalid secret")?;
        if !totp::is_right(&key, store.now(), value.unwrap_or_default()) {
            return Err("failed to verify TOTP challenge".to_owned());
        }
        let number = mine.get("totp").and_then(Value::as_array).map_or(0, Vec::len) + 1;
        let id = format!("594013c7-e1a4-4a7a-af00-{number:012}");
        let kept = format!("{}&digits=6&algorithm=SHA1&period=30", uri.replace("@", "%40"));
        change_factors(store, |users| {
            let mut mine = mine.clone();
            let entry = json!({"id": id, "description": description, "created": 1, "entry": kept});
            match mine.get_mut("totp").and_then(Value::as_array_mut) {
                Some(entries) => entries.push(entry),
                None => mine["totp"] = json!([entry]),
            }
            users.insert(user.clone(), mine);
        });
        Ok(json!({ "id": id }).to_string() + "\n")
    })
}

fn delete(store: &mut dyn Store, path: &str) -> Told {
    let (user, id) = path.trim_start_matches("/access/tfa/").rsplit_once('/').unwrap();
    let (user, id) = (user.to_owned(), id.to_owned());
    under_both(store, &mut |store| {
        let mut found = false;
        change_factors(store, |users| {
            for (kind, entries) in users.get_mut(&user).and_then(Value::as_object_mut).into_iter().flatten() {
                match entries.as_array_mut() {
                    Some(entries) => entries
                        .retain(|entry| entry["id"] != id.as_str() || std::mem::replace(&mut found, true)),
                    None if *kind == id => (*entries, found) = (json!([]), true),
                    None => {}
                }
            }
        });
        if !found {
            return Err("no such entry".to_owned());
        }
        if !factors(store).contains_key(&user) {
            set_keys(store, &user, "");
        }
        Ok(String::new())
    })
}

fn delete_all(store: &mut dyn Store, user: &str) -> Told {
    under_both(store, &mut |store| {
        change_factors(store, |users| drop(users.remove(user)));
        set_keys(store, user, "");
        Ok(String::new())
    })
}

fn unlock(store: &mut dyn Store, user: &str) -> Told {
    locked(store, "file-priv_tfa_cfg", &mut |store| {
        if !factors(store).contains_key(user) {
            return Err("no such user".to_owned());
        }
        change_factors(store, |users| {
            users.get_mut(user).and_then(Value::as_object_mut).map(|kinds| kinds.remove("totp-locked"));
        });
        Ok(String::new())
    })
}

fn modify_realm(store: &mut dyn Store, realm: &str, what: &str, value: &str) -> Told {
    locked(store, "file-domains_cfg", &mut |store| {
        let mut text = store.text(REALMS_PATH);
        if text.is_empty() {
            text = "pam: pam\n\tcomment Linux PAM standard authentication\n\n\
                    pve: pve\n\tcomment Proxmox VE authentication server\n\n"
                .to_owned();
        }
        let mut inside = false;
        let mut new = String::new();
        for line in text.lines() {
            if !line.starts_with('\t') && !line.is_empty() {
                inside = line.ends_with(&format!(": {realm}"));
            }
            if inside && line.is_empty() && what == "--tfa" {
                new.push_str(&format!("\ttfa {value}\n"));
                inside = false;
            }
            if !(inside && line.starts_with("\ttfa ")) {
                new.push_str(&format!("{line}\n"));
            }
        }
        store.put(REALMS_PATH, &new);
        Ok(String::new())
    })
}
