//! Users, groups and shells, from the files that NSS reads (passwd(5), group(5), shadow(5), shells(5)).

use super::text;
use crate::facts::{Facts, User};
use crate::node::Node;

const PASSWD_PATH: &str = "/etc/passwd";
const GROUP_PATH: &str = "/etc/group";
const SHADOW_PATH: &str = "/etc/shadow";
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
            // sshd's default is both files (sshd_config(5), AuthorizedKeysFile).
            user.authorized_keys = text(node, &format!("{}/.ssh/authorized_keys", user.home));
            let second = text(node, &format!("{}/.ssh/authorized_keys2", user.home));
            user.has_keys = holds_a_key(&user.authorized_keys) || holds_a_key(&second);
        }
    }
}

fn holds_a_key(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with('#'))
}

fn users(passwd: &str, groups: &str, shadow: &str) -> Vec<User> {
    passwd.lines().filter_map(|line| user(line, groups, shadow)).collect()
}

fn user(line: &str, groups: &str, shadow: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let &[name, _, uid, gid, comment, home, shell] = fields.as_slice() else { return None };
    Some(User {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: home.to_owned(),
        shell: shell.to_owned(),
        comment: comment.to_owned(),
        has_password: has_password(name, shadow),
        groups: memberships(name, gid, groups),
        ..User::default()
    })
}

/// A hash that crypt(3) can match: `!` and `*` lock, and an empty field is no password at all.
fn has_password(name: &str, shadow: &str) -> bool {
    let mut entries = shadow.lines().map(|line| line.split(':'));
    let entry = entries.find_map(|mut fields| (fields.next() == Some(name)).then(|| fields.next()).flatten());
    entry.is_some_and(|hash| !hash.is_empty() && !hash.starts_with(['!', '*']))
}

/// Names of the groups an account is in, its primary group first.
pub(crate) fn memberships(name: &str, gid: &str, groups: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in groups.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let &[group, _, id, members] = fields.as_slice() else { continue };
        if id == gid {
            names.insert(0, group.to_owned());
        } else if members.split(',').any(|member| member == name) {
            names.push(group.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
