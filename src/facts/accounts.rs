//! passwd(5), group(5) and shadow(5): the files that NSS reads. The one place that takes their lines apart.

/// Accounts.
pub const PASSWD_PATH: &str = "/etc/passwd";
/// Groups and their members.
pub const GROUP_PATH: &str = "/etc/group";
/// Password hashes.
pub const SHADOW_PATH: &str = "/etc/shadow";

/// One line of passwd(5).
pub struct Entry<'a> {
    /// Login name.
    pub name: &'a str,
    /// Numeric id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// GECOS.
    pub comment: &'a str,
    /// Home directory.
    pub home: &'a str,
    /// Login shell.
    pub shell: &'a str,
}

/// Every account; lines that are none are left out, as NSS does.
pub fn entries(passwd: &str) -> impl Iterator<Item = Entry<'_>> {
    passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let &[name, _, uid, gid, comment, home, shell] = fields.as_slice() else { return None };
        Some(Entry { name, uid: uid.parse().ok()?, gid: gid.parse().ok()?, comment, home, shell })
    })
}

/// The account of that name.
pub fn entry<'a>(passwd: &'a str, name: &str) -> Option<Entry<'a>> {
    entries(passwd).find(|entry| entry.name == name)
}

/// Names of the groups an account is in, its primary group first.
pub fn memberships(name: &str, gid: u32, groups: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in groups.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let &[group, _, id, members] = fields.as_slice() else { continue };
        if id.parse() == Ok(gid) {
            names.insert(0, group.to_owned());
        } else if members.split(',').any(|member| member == name) {
            names.push(group.to_owned());
        }
    }
    names
}

/// What stands in the password field of shadow(5).
pub fn password_field<'a>(shadow: &'a str, name: &str) -> Option<&'a str> {
    let mut entries = shadow.lines().map(|line| line.split(':'));
    entries.find_map(|mut fields| (fields.next() == Some(name)).then(|| fields.next()).flatten())
}
