//! `[firstlight.admin]`.

use super::hash;
use super::key::public_key;
use super::pve::PveAnswer;
use super::table::{Form, Table, only};
use crate::profile::{Admin, KeyPair, Passphrase, PasswordHash, PublicKey, Secret, Sudo, UserName};

/// `None` when there is no usable name, which is noted.
pub(super) fn read(top: &Table<'_>, pve: Option<&PveAnswer>) -> Option<Admin> {
    if !top.entries.contains_key("admin") {
        top.note("admin", "is required: [firstlight.admin] with the admin's name");
        return None;
    }
    let table = top.child("admin");
    let enabled = table.flag("enabled", true);
    let name = name(&table);
    let comment = table.formed("comment", "", COMMENT);
    let shell = table.formed("shell", "/bin/bash", SHELL);
    let ssh_keys = ssh_keys(&table, pve);
    let ssh_key_pair = match table.word("ssh-key-pair", &["none", "node", "bake"]) {
        1 => KeyPair::Node,
        2 => KeyPair::Bake,
        _ => KeyPair::None,
    };
    let password_hash = password_hash(&table);
    let sudo = sudo(&table);
    let pve_role = table.formed("pve-role", "Administrator", ROLE);
    let pve_path = table.formed("pve-path", "/", PVE_PATH);
    let api_token = table.formed("api-token", "", TOKEN);
    table.finish();
    Some(Admin {
        enabled,
        name: name?,
        comment,
        shell,
        ssh_keys,
        ssh_key_pair,
        ssh_key_passphrase: Passphrase::default(),
        password_hash,
        sudo,
        pve_role,
        pve_path,
        api_token,
    })
}

fn name(table: &Table<'_>) -> Option<UserName> {
    if !table.entries.contains_key("name") {
        table.note("name", "is required: the admin's login name, such as \"ops\"");
    }
    match UserName::parse(table.text("name")?) {
        Ok(name) if name.as_str() == "root" => {
            table.note("name", "must not be root: the admin is a user beside root");
            None
        }
        Ok(name) => Some(name),
        Err(message) => {
            table.note("name", message);
            None
        }
    }
}

/// The given keys, then those of root, every one once.
fn ssh_keys(table: &Table<'_>, pve: Option<&PveAnswer>) -> Vec<PublicKey> {
    let mut keys: Vec<PublicKey> = Vec::new();
    for item in table.texts("ssh-keys") {
        match public_key(item.text) {
            Ok(key) => keys.push(key),
            Err(message) => table.note_at(item.at, "ssh-keys", message),
        }
    }
    if table.flag("ssh-keys-of-root", false) {
        let of_root = pve.map(|pve| pve.root_ssh_keys.as_slice()).unwrap_or_default();
        if of_root.is_empty() {
            table.note("ssh-keys-of-root", "takes the keys of [global] root-ssh-keys, and there are none");
        }
        keys.extend_from_slice(of_root);
    }
    let mut seen: Vec<String> = Vec::new();
    keys.retain(|key| {
        let new = !seen.contains(&key.blob);
        seen.push(key.blob.clone());
        new
    });
    keys
}

fn password_hash(table: &Table<'_>) -> Option<Secret<PasswordHash>> {
    match table.secret("password-hash")? {
        Secret::File(path) => Some(Secret::File(path)),
        Secret::Credential(name) => Some(Secret::Credential(name)),
        Secret::Value(text) => match hash::complaint(text) {
            None => Some(Secret::Value(PasswordHash::new(text.to_owned()))),
            Some(message) => {
                table.note("password-hash", message);
                None
            }
        },
    }
}

fn sudo(table: &Table<'_>) -> Sudo {
    let word = table.word("sudo", &["password", "nopasswd", "commands", "none"]);
    let commands = table.formed_texts("sudo-commands", COMMAND);
    match word {
        2 if commands.is_empty() => table.note("sudo-commands", "is required with sudo = \"commands\""),
        2 => {}
        _ if commands.is_empty() => {}
        _ => table.note("sudo-commands", "means nothing without sudo = \"commands\""),
    }
    match word {
        1 => Sudo::NoPassword,
        2 => Sudo::Commands(commands),
        3 => Sudo::None,
        _ => Sudo::Password,
    }
}

const COMMENT: Form = Form {
    fits: |text| !text.contains(':'),
    right: "must not hold a colon: it ends the field in /etc/passwd",
};

const SHELL: Form = Form {
    fits: |text| text.starts_with('/') && !text.contains([' ', ':']),
    right: "must be an absolute path such as \"/bin/bash\"",
};

const COMMAND: Form = Form {
    fits: |text| text.starts_with('/') && !text.ends_with(' '),
    right: "must be a command with its absolute path, such as \"/usr/sbin/qm list\"",
};

const ROLE: Form = Form {
    fits: |text| text.is_empty() || only(text, "._-"),
    right: "must be the name of a PVE role such as \"PVEAdmin\", or \"\" for no PVE user",
};

const PVE_PATH: Form =
    Form { fits: is_pve_path, right: "must be a PVE path such as \"/\", \"/vms\" or \"/pool/test\"" };

/// The heads that PVE's access control knows.
fn is_pve_path(text: &str) -> bool {
    let Some(path) = text.strip_prefix('/') else { return false };
    let mut parts = path.split('/');
    let heads = ["access", "mapping", "nodes", "pool", "sdn", "storage", "vms"];
    path.is_empty()
        || parts.next().is_some_and(|head| heads.contains(&head)) && parts.all(|part| only(part, "._-"))
}

const TOKEN: Form = Form {
    fits: |text| text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.len() > 1 && only(text, "._-"),
    right: "must be a token's name: a letter, then letters, digits, `.`, `_` and `-`",
};
