//! Users, groups and shells.

use super::text;
use crate::facts::accounts::{GROUP_PATH, PASSWD_PATH, SHADOW_PATH, entries, memberships, password_field};
use crate::facts::{Facts, User};
use crate::node::{Kind, Node};
use std::path::Path;

const SHELLS_PATH: &str = "/etc/shells";

pub(super) fn gather(node: &dyn Node, facts: &mut Facts) {
    let groups = text(node, GROUP_PATH);
    facts.groups = groups.lines().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect();
    let shells = text(node, SHELLS_PATH);
    facts.shells =
        shells.lines().filter(|line| line.starts_with('/')).map(|line| line.trim().to_owned()).collect();
    facts.users = users(&text(node, PASSWD_PATH), &groups, &text(node, SHADOW_PATH));
    for user in &mut facts.users {
        if user.has_login_shell() && user.home.starts_with('/') {
            keys(node, user);
        }
    }
}

/// sshd's default is both files (sshd_config(5), AuthorizedKeysFile). The user can put a link there, and what we
/// read goes into a file of the user's own: through a link it could be anything that root can read.
fn keys(node: &dyn Node, user: &mut User) {
    let path = format!("{}/.ssh/authorized_keys", user.home);
    let first = plain(node, &path);
    user.authorized_keys_linked = first.is_none();
    user.authorized_keys = first.unwrap_or_default();
    let second = plain(node, &format!("{path}2")).unwrap_or_default();
    user.has_keys = holds_a_key(&user.authorized_keys) || holds_a_key(&second);
}

/// The text of a regular file below real directories; empty while there is nothing. `None` for all else, and for
/// what is replaced while it is read.
fn plain(node: &dyn Node, path: &str) -> Option<String> {
    let path = Path::new(path);
    let mut above: Vec<&Path> = path.ancestors().skip(1).filter(|level| level.parent().is_some()).collect();
    above.reverse();
    let real = |level: &&Path| {
        node.lookup(level).is_ok_and(|found| found.is_none_or(|found| found.kind == Kind::Directory))
    };
    if !above.iter().all(real) {
        return None;
    }
    match node.lookup(path).ok()? {
        None => Some(String::new()),
        Some(found) if found.kind == Kind::File => {
            Some(String::from_utf8_lossy(&node.read_seen(path, &found).ok()?).into_owned())
        }
        Some(_) => None,
    }
}

fn holds_a_key(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with('#'))
}

fn users(passwd: &str, groups: &str, shadow: &str) -> Vec<User> {
    let user = |entry: crate::facts::accounts::Entry<'_>| User {
        name: entry.name.to_owned(),
        uid: entry.uid,
        gid: entry.gid,
        home: entry.home.to_owned(),
        shell: entry.shell.to_owned(),
        comment: entry.comment.to_owned(),
        // A hash that crypt(3) can match: `!` and `*` lock, and an empty field is no password at all.
        has_password: password_field(shadow, entry.name)
            .is_some_and(|hash| !hash.is_empty() && !hash.starts_with(['!', '*'])),
        groups: memberships(entry.name, entry.gid, groups),
        ..User::default()
    };
    entries(passwd).map(user).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::scripted::Scripted;
    use std::os::unix::fs::symlink;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n\
        ops:x:1000:1000:Ops,,,:/home/ops:/bin/bash\nbroken\n";
    const GROUP: &str = "root:x:0:\nsudo:x:27:eve,ops\nops:x:1000:\n";
    const SHADOW: &str =
        "root:$y$j9T$x$y:20000:0:99999:7:::\nsshd:!:20000::::::\nops:!$6$x$y:20000:0:99999:7:::\n";

    #[test]
    fn a_user_has_its_groups_and_a_locked_password_is_none() {
        let users = users(PASSWD, GROUP, SHADOW);
        assert_eq!(users.len(), 3);
        assert!(users[0].has_password && users[0].has_login_shell());
        assert!(!users[1].has_password && !users[1].has_login_shell());
        assert_eq!(users[2].groups, ["ops", "sudo"]);
        assert!(!users[2].has_password);
    }

    fn ops(node: &Scripted) -> User {
        crate::facts::gather(node).unwrap().user("ops").unwrap().clone()
    }

    #[test]
    fn a3_keys_are_read_from_a_regular_file_below_real_directories_alone() {
        let node = Scripted::new();
        node.files.put(PASSWD_PATH, PASSWD);
        node.files.put(SHADOW_PATH, SHADOW);
        let new = ops(&node);
        assert!(!new.authorized_keys_linked && !new.has_keys, "there is no home yet");
        node.files.put("/home/ops/.ssh/authorized_keys", "ssh-ed25519 AAAA ops\n");
        let plain = ops(&node);
        assert_eq!(plain.authorized_keys, "ssh-ed25519 AAAA ops\n");
        assert!(plain.has_keys && !plain.authorized_keys_linked);

        node.files.put("/srv/shadow/authorized_keys", SHADOW);
        node.files.put("/srv/shadow/.ssh/authorized_keys", SHADOW);
        for (link, target) in [
            ("/home/ops/.ssh/authorized_keys", SHADOW_PATH),
            ("/home/ops/.ssh/authorized_keys", "../../../srv/shadow/authorized_keys"),
            ("/home/ops/.ssh", "/srv/shadow"),
            ("/home/ops", "/srv/shadow"),
        ] {
            node.files.remove(link);
            symlink(target, node.files.host(link)).unwrap();
            let linked = ops(&node);
            assert!(linked.authorized_keys_linked, "{link}");
            assert_eq!(linked.authorized_keys, "", "{link} leaks what it points to");
            node.files.remove(link);
            node.files.directory("/home/ops/.ssh");
            node.files.put("/home/ops/.ssh/authorized_keys", "");
        }
        node.files.remove("/home/ops/.ssh/authorized_keys");
        node.files.directory("/home/ops/.ssh/authorized_keys");
        assert!(ops(&node).authorized_keys_linked, "a directory is no file");
    }
}
