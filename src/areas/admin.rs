//! The admin user (rows A1 to A5): account, keys, sudo, and the same person in PVE. `/root/.ssh/authorized_keys` is never touched:
//! it is a link into `/etc/pve` (row A4).

pub(super) mod pve;
mod sudoers;

use super::{Area, also, control, push, refusal};
use crate::change::{AccountChange, Change, DirectoryChange, FileChange, KeyPairChange};
use crate::control::{Check, Control, Gate, GateAsk, Phase, Proposal, Refusal};
use crate::facts::{Facts, User, authorized_blob};
use crate::gate::VISUDO_PROGRAM;
use crate::profile::{KeyPair, Profile, Sudo};
use std::path::{Path, PathBuf};

/// Members may do everything, with their password: Debian's `/etc/sudoers`.
pub const SUDO_GROUP: &str = "sudo";
/// Debian's range for people (adduser.conf, `FIRST_UID` and `LAST_UID`).
pub const UIDS_OF_PEOPLE: std::ops::RangeInclusive<u32> = 1000..=59999;

/// A link on every node, standalone ones too; PVE puts it back at each start (pve-contract 4.5).
const ROOT_KEYS_PATH: &str = "/root/.ssh/authorized_keys";
const ROOT_KEYS_TARGET: &str = "/etc/pve/priv/authorized_keys";

pub(super) struct Admin;

impl Area for Admin {
    fn name(&self) -> &'static str {
        "admin"
    }

    fn enabled(&self, profile: &Profile) -> bool {
        profile.admin.enabled
    }

    fn refused(&self, profile: &Profile, facts: &Facts) -> Vec<Refusal> {
        refused(profile, facts)
    }

    fn described(&self, profile: &Profile, facts: &Facts) -> Proposal {
        described(profile, facts)
    }

    fn audited(&self, profile: &Profile, facts: &Facts) -> Vec<Control> {
        let mut controls = described(profile, facts).into_controls();
        let name = profile.admin.name.as_str();
        if profile.admin.sudo == Sudo::Password || pve::wanted(profile, facts) {
            let wanted = [name, " has a password, and its hash is a strong one"];
            also(&mut controls, &["admin.password"], "A5", &wanted, Check::Password(name.to_owned()));
        }
        if facts.pve_version.is_some() {
            let check = Check::Link { path: ROOT_KEYS_PATH.into(), target: ROOT_KEYS_TARGET.into() };
            let wanted = "root's keys are those of the cluster, and the admin's are on the local disk";
            also(&mut controls, &["admin.keys-of-root"], "A4", &[wanted], check);
        }
        controls
    }
}

fn described(profile: &Profile, facts: &Facts) -> Proposal {
    let mut proposal = Proposal::default();
    let known = facts.user(profile.admin.name.as_str());
    account(&mut proposal, profile, known);
    keys(&mut proposal, profile, known, &facts.host_name);
    sudo(&mut proposal, profile, facts);
    pve::propose(&mut proposal, profile, facts);
    proposal
}

fn refused(profile: &Profile, facts: &Facts) -> Vec<Refusal> {
    let admin = &profile.admin;
    let name = admin.name.as_str();
    let mut refusals = Vec::new();
    let mut refuse = |key: &str, message: String| refusals.push(refusal(key, message));
    match facts.user(name) {
        Some(user) if !UIDS_OF_PEOPLE.contains(&user.uid) => refuse(
            "firstlight.admin.name",
            format!("must not be {name}: that is a system account of this node (uid {})", user.uid),
        ),
        Some(user) => {
            refuse_sudo_by_group(admin, user, &mut refuse);
            if user.authorized_keys_linked && writes_keys(admin) {
                refuse(
                    "firstlight.admin.ssh-keys",
                    format!(
                        "{}/.ssh/authorized_keys is a symbolic link or lies behind one; firstlight does not write \
                         through links",
                        user.home
                    ),
                );
            }
        }
        None if facts.groups.iter().any(|group| group == name) => refuse(
            "firstlight.admin.name",
            format!("must not be {name}: a group of that name exists, and the account needs its own"),
        ),
        None => {}
    }
    if admin.sudo == Sudo::Password
        && admin.password_hash.is_none()
        && !facts.user(name).is_some_and(|user| user.has_password)
    {
        refuse(
            "firstlight.admin.password-hash",
            format!(
                "is required: sudo asks for a password, and {name} has none; make a hash with `mkpasswd -m yescrypt`, \
                 or set sudo = \"nopasswd\""
            ),
        );
    }
    pve::refuse(profile, facts, &mut refuse);
    if admin.ssh_key_pair == KeyPair::Bake {
        let message =
            "must be \"node\" or \"none\" here: with \"bake\" the pair is made by `firstlight bake`";
        refuse("firstlight.admin.ssh-key-pair", message.to_owned());
    }
    if !facts.shells.is_empty() && !facts.shells.contains(&admin.shell) {
        refuse("firstlight.admin.shell", format!("must be one of /etc/shells; {} is not", admin.shell));
    }
    if let Sudo::Commands(commands) = &admin.sudo
        && let Some(wrong) = commands.iter().find(|command| !sudoers::is_writable(command))
    {
        refuse(
            "firstlight.admin.sudo-commands",
            format!("must hold absolute paths on one line each: \"{}\"", wrong.escape_debug()),
        );
    }
    refusals
}

/// A change can put an account into a group, not out of it.
fn refuse_sudo_by_group(admin: &crate::profile::Admin, user: &User, refuse: &mut dyn FnMut(&str, String)) {
    let by_group = matches!(admin.sudo, Sudo::Password | Sudo::NoPassword);
    if !by_group && user.groups.iter().any(|group| group == SUDO_GROUP) {
        let name = &user.name;
        refuse(
            "firstlight.admin.sudo",
            format!("allows less than {name} has: take it out first with `gpasswd -d {name} {SUDO_GROUP}`"),
        );
    }
}

/// Whether anything goes into the admin's `authorized_keys`.
fn writes_keys(admin: &crate::profile::Admin) -> bool {
    !admin.ssh_keys.is_empty() || admin.ssh_key_pair == KeyPair::Node
}

fn home(profile: &Profile, known: Option<&User>) -> PathBuf {
    match known {
        Some(user) => PathBuf::from(&user.home),
        None => Path::new("/home").join(profile.admin.name.as_str()),
    }
}

fn account(proposal: &mut Proposal, profile: &Profile, known: Option<&User>) {
    let admin = &profile.admin;
    let name = admin.name.as_str().to_owned();
    let groups = match admin.sudo {
        Sudo::Password | Sudo::NoPassword => vec![SUDO_GROUP.to_owned()],
        Sudo::Commands(_) | Sudo::None => Vec::new(),
    };
    let check = Check::Account { name: name.clone(), shell: admin.shell.clone(), groups: groups.clone() };
    push(
        proposal,
        (
            Phase::Accounts,
            Change::Account(AccountChange {
                name: name.clone(),
                comment: admin.comment.clone(),
                shell: admin.shell.clone(),
                home: home(profile, known),
                groups,
                password: admin.password_hash.clone(),
            }),
        ),
        vec![control("admin.account", "A1", format!("{name} can log in beside root"), check)],
    );
}

/// The admin's own file on the local disk: it works while pmxcfs is down (row A4).
fn keys(proposal: &mut Proposal, profile: &Profile, known: Option<&User>, host_name: &str) {
    let admin = &profile.admin;
    if !writes_keys(admin) {
        return;
    }
    let owner = admin.name.as_str().to_owned();
    let directory = home(profile, known).join(".ssh");
    let path = directory.join("authorized_keys");
    let directory = DirectoryChange { path: directory, mode: 0o700, owner: owner.clone() };
    push(proposal, (Phase::Accounts, Change::Directory(directory)), Vec::new());
    let accepted = |key: &str| Check::AuthorizedKey {
        name: owner.clone(),
        path: path.clone(),
        fingerprint: key.to_owned(),
    };
    let controls = admin.ssh_keys.iter().map(|key| Control {
        id: format!("admin.key.{}", key.fingerprint).into(),
        requirement: "A3",
        wanted: format!("sshd accepts the key {} for {owner}", key.fingerprint),
        check: accepted(&key.fingerprint),
        changes: Vec::new(),
    });
    let controls = controls.collect();
    let file = FileChange {
        path: path.clone(),
        content: authorized_keys(profile, known).into_bytes(),
        mode: 0o600,
        owner: owner.clone(),
        public: false,
    };
    push(proposal, (Phase::Accounts, Change::File(file)), controls);
    if admin.ssh_key_pair == KeyPair::Node {
        let wanted = format!("sshd accepts the key that was made for {owner}");
        let control = control("admin.key-pair", "A3", wanted, accepted(""));
        let comment = [&owner, "@", host_name].concat();
        let (passphrase, handover) = (admin.ssh_key_passphrase.clone(), profile.handover);
        let change = KeyPairChange { name: owner, comment, path, passphrase, handover };
        push(proposal, (Phase::Accounts, Change::KeyPair(change)), vec![control]);
    }
}

/// What stands there stays, line by line; keys that are missing are added at the end.
fn authorized_keys(profile: &Profile, known: Option<&User>) -> String {
    let mut text = known.map(|user| user.authorized_keys.clone()).unwrap_or_default();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for key in &profile.admin.ssh_keys {
        if !text.lines().any(|line| authorized_blob(line) == Some(key.blob.as_str())) {
            text.push_str(&key.line());
            text.push('\n');
        }
    }
    text
}

fn sudo(proposal: &mut Proposal, profile: &Profile, facts: &Facts) {
    let admin = &profile.admin;
    let name = admin.name.as_str();
    let allowed = Check::SudoAllows { name: name.to_owned(), text: sudoers::listing(admin) };
    let wanted = match &admin.sudo {
        Sudo::Password => format!("sudo lets {name} do everything, with the password"),
        Sudo::NoPassword => format!("sudo lets {name} do everything, without a password"),
        Sudo::Commands(_) => format!("sudo lets {name} run the given commands"),
        Sudo::None => format!("sudo lets {name} do nothing"),
    };
    let mut controls = vec![control("admin.sudo", "A1", wanted, allowed)];
    if admin.sudo == Sudo::None && !facts.sudoers_drop_in {
        // No package, no directory for a drop-in: nothing to write, and still something to look at.
        proposal.controls.append(&mut controls);
        return;
    }
    let path = PathBuf::from(sudoers::PATH);
    let content = sudoers::drop_in(admin).into_bytes();
    controls.push(control(
        "admin.sudoers-mode",
        "A1",
        "sudo's drop-in is readable for root only".to_owned(),
        Check::FileMode { path: path.clone(), mode: sudoers::MODE },
    ));
    proposal.gates.push(Gate {
        id: "admin.sudoers",
        tool: VISUDO_PROGRAM,
        ask: GateAsk::Sudoers { staged: vec![(path.clone(), content.clone())] },
    });
    let file = FileChange { path, content, mode: sudoers::MODE, owner: "root".to_owned(), public: false };
    push(proposal, (Phase::Files, Change::File(file)), controls);
}

#[cfg(test)]
mod tests;
