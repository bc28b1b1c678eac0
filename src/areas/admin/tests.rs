//! The account, its keys and sudo: literals, and every refusal by its sentence.

use super::*;
use crate::areas::example::{BLOB, FINGERPRINT};

fn propose(profile: &Profile, facts: &Facts) -> Proposal {
    crate::areas::tests::proposed(&Admin, profile, facts)
}

fn messages(profile: &Profile, facts: &Facts) -> Vec<String> {
    crate::areas::tests::messages(Admin.refused(profile, facts))
}

fn file(proposal: &Proposal, path: &str) -> FileChange {
    let found = proposal.changes.iter().find_map(|(_, change)| match change {
        Change::File(file) if file.path == Path::new(path) => Some(file.clone()),
        _ => None,
    });
    found.unwrap()
}

fn sudoers_of(sudo: Sudo) -> String {
    let mut profile = Profile::example();
    profile.admin.sudo = sudo;
    let proposal = propose(&profile, &Facts::example());
    String::from_utf8(file(&proposal, "/etc/sudoers.d/firstlight").content).unwrap()
}

fn known(profile: &Profile) -> (Facts, User) {
    let user = User {
        name: profile.admin.name.as_str().to_owned(),
        uid: 1000,
        home: "/srv/ops".to_owned(),
        shell: "/bin/bash".to_owned(),
        ..User::default()
    };
    (Facts::example(), user)
}

#[test]
fn a1_a_new_admin_gets_home_bash_and_group_sudo() {
    let proposal = propose(&Profile::example(), &Facts::example());
    let (_, Change::Account(account)) = &proposal.changes[0] else { panic!("no account first") };
    assert_eq!((account.name.as_str(), account.shell.as_str()), ("ops", "/bin/bash"));
    assert_eq!(account.home, Path::new("/home/ops"));
    assert_eq!(account.groups, ["sudo"]);
    assert!(account.password.is_some());
}

#[test]
fn a1_sudo_asks_for_the_password_unless_told_otherwise() {
    let header = "# Written by firstlight; change the answer and run `firstlight apply`.\n";
    assert_eq!(sudoers_of(Sudo::Password), format!("{header}ops ALL=(ALL:ALL) ALL\n"));
    assert_eq!(sudoers_of(Sudo::NoPassword), format!("{header}ops ALL=(ALL:ALL) NOPASSWD: ALL\n"));
}

#[test]
fn a1_commands_are_escaped_for_sudoers_and_their_user_is_not_in_group_sudo() {
    let commands = vec!["/usr/bin/pvesh".to_owned(), "/usr/sbin/qm  set * --net0 a=b,c:d\\e #1".to_owned()];
    let text = sudoers_of(Sudo::Commands(commands.clone()));
    let line =
        "ops ALL=(ALL:ALL) NOPASSWD: /usr/bin/pvesh, /usr/sbin/qm set * --net0 a\\=b\\,c\\:d\\\\e \\#1\n";
    assert_eq!(text.lines().last().map(|last| format!("{last}\n")).as_deref(), Some(line));
    let mut profile = Profile::example();
    profile.admin.sudo = Sudo::Commands(commands);
    let (_, Change::Account(account)) = &propose(&profile, &Facts::example()).changes[0] else { panic!() };
    assert!(account.groups.is_empty());
}

#[test]
fn a1_commands_that_cannot_stand_in_sudoers_are_refused() {
    let mut profile = Profile::example();
    for command in ["pvesh", "/usr/bin/", "/bin/x\nops ALL=ALL"] {
        profile.admin.sudo = Sudo::Commands(vec![command.to_owned()]);
        let refused = messages(&profile, &Facts::example());
        assert!(
            refused[0].starts_with("firstlight.admin.sudo-commands must hold absolute paths"),
            "{command}"
        );
    }
}

#[test]
fn a1_less_sudo_than_an_account_has_by_its_group_is_refused() {
    let mut profile = Profile::example();
    profile.admin.sudo = Sudo::None;
    let (mut facts, mut user) = known(&profile);
    user.groups = vec!["ops".to_owned(), "sudo".to_owned()];
    facts.users.push(user);
    assert_eq!(
        messages(&profile, &facts),
        ["firstlight.admin.sudo allows less than ops has: take it out first with `gpasswd -d ops sudo`"]
    );
}

#[test]
fn a1_without_sudo_an_earlier_drop_in_is_emptied() {
    let mut profile = Profile::example();
    profile.admin.sudo = Sudo::None;
    let fresh = propose(&profile, &Facts::example());
    assert!(fresh.gates.is_empty());
    let facts = Facts { sudoers_drop_in: true, ..Facts::example() };
    let text = file(&propose(&profile, &facts), "/etc/sudoers.d/firstlight").content;
    assert!(text.starts_with(b"#") && text.iter().filter(|&&byte| byte == b'\n').count() == 1);
}

#[test]
fn a1_the_drop_in_is_checked_by_visudo_and_readable_for_root_only() {
    let proposal = propose(&Profile::example(), &Facts::example());
    let drop_in = file(&proposal, "/etc/sudoers.d/firstlight");
    assert_eq!((drop_in.mode, drop_in.owner.as_str(), drop_in.public), (0o440, "root", false));
    let GateAsk::Sudoers { staged } = &proposal.gates[0].ask else { panic!("no gate") };
    assert_eq!(staged, &[(drop_in.path, drop_in.content)]);
}

#[test]
fn a3_keys_are_added_and_none_is_taken_away() {
    let profile = Profile::example();
    let (mut facts, mut user) = known(&profile);
    user.authorized_keys = "# mine\nssh-ed25519 AAAAforeign me@home".to_owned();
    facts.users.push(user);
    let keys = file(&propose(&profile, &facts), "/srv/ops/.ssh/authorized_keys");
    let expected = format!("# mine\nssh-ed25519 AAAAforeign me@home\nssh-ed25519 {BLOB} ops@desk\n");
    assert_eq!(String::from_utf8(keys.content).unwrap(), expected);
    assert_eq!((keys.mode, keys.owner.as_str()), (0o600, "ops"));
    // A second run finds the key and changes nothing.
    facts.users.last_mut().unwrap().authorized_keys = expected.clone();
    let keys = file(&propose(&profile, &facts), "/srv/ops/.ssh/authorized_keys");
    assert_eq!(String::from_utf8(keys.content).unwrap(), expected);
}

#[test]
fn a3_keys_behind_a_link_are_refused() {
    let mut profile = Profile::example();
    let (mut facts, user) = known(&profile);
    facts.users.push(User { authorized_keys_linked: true, ..user });
    assert_eq!(
        messages(&profile, &facts),
        [
            "firstlight.admin.ssh-keys /srv/ops/.ssh/authorized_keys is a symbolic link or lies behind one; firstlight \
          does not write through links"
        ]
    );
    profile.admin.ssh_keys.clear();
    assert!(messages(&profile, &facts).is_empty(), "nothing would be written");
}

#[test]
fn a3_every_key_is_looked_at_where_sshd_looks() {
    let proposal = propose(&Profile::example(), &Facts::example());
    let control = proposal.controls.iter().find(|control| control.requirement == "A3").unwrap();
    let Check::AuthorizedKey { name, path, fingerprint } = &control.check else { panic!("wrong check") };
    assert_eq!((name.as_str(), fingerprint.as_str()), ("ops", FINGERPRINT));
    assert_eq!(path, Path::new("/home/ops/.ssh/authorized_keys"));
}

#[test]
fn a4_roots_keys_are_never_touched() {
    let proposal = propose(&Profile::example(), &Facts::example());
    let touches = proposal.changes.iter().any(|(_, change)| match change {
        Change::File(file) => file.path.starts_with("/root"),
        Change::Directory(directory) => directory.path.starts_with("/root"),
        _ => false,
    });
    assert!(!touches);
}

#[test]
fn a5_sudo_with_password_needs_a_password() {
    let mut profile = Profile::example();
    profile.admin.password_hash = None;
    assert_eq!(
        messages(&profile, &Facts::example()),
        [
            "firstlight.admin.password-hash is required: sudo asks for a password, and ops has none; make a hash with \
          `mkpasswd -m yescrypt`, or set sudo = \"nopasswd\""
        ]
    );
    let (mut facts, mut user) = known(&profile);
    user.has_password = true;
    facts.users.push(user);
    assert!(messages(&profile, &facts).is_empty());
}

#[test]
fn an_account_of_the_system_is_refused_as_admin() {
    let mut profile = Profile::example();
    profile.admin.name = crate::profile::UserName::parse("backup").unwrap();
    assert_eq!(
        messages(&profile, &Facts::example()),
        ["firstlight.admin.name must not be backup: that is a system account of this node (uid 34)"]
    );
    profile.admin.name = crate::profile::UserName::parse("staff").unwrap();
    assert_eq!(
        messages(&profile, &Facts::example()),
        [
            "firstlight.admin.name must not be staff: a group of that name exists, and the account needs its own"
        ]
    );
}

#[test]
fn a_shell_that_the_node_does_not_have_is_refused() {
    let mut profile = Profile::example();
    profile.admin.shell = "/bin/zsh".to_owned();
    assert_eq!(
        messages(&profile, &Facts::example()),
        ["firstlight.admin.shell must be one of /etc/shells; /bin/zsh is not"]
    );
}
