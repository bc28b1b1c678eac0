//! Accounts, keys and sudo.

use super::{Observer, Verdict};
use crate::change::KEY_PAIR_MARK;
use crate::error::Result;
use crate::facts::accounts::{Entry, GROUP_PATH, PASSWD_PATH, entry, memberships};
use crate::facts::{authorized_blob, fingerprint};
use crate::node::{Kind, exists};
use std::path::Path;

const SUDO_PROGRAM: &str = "/usr/bin/sudo";
/// Write permission of group and others.
const WRITABLE: u32 = 0o022;

impl Observer<'_> {
    pub(super) fn account(&mut self, name: &str, shell: &str, groups: &[String]) -> Result<Verdict> {
        let passwd = self.text(PASSWD_PATH)?;
        let Some(found) = entry(&passwd, name) else {
            return Ok(Verdict::Fails(format!("there is no account {name}")));
        };
        if found.shell != shell {
            return Ok(Verdict::Fails(format!("{name} has the shell {}", found.shell)));
        }
        let has = memberships(name, found.gid, &self.text(GROUP_PATH)?);
        let missing: Vec<&str> =
            groups.iter().filter(|group| !has.contains(group)).map(String::as_str).collect();
        Ok(Verdict::of(missing.is_empty(), || format!("{name} is not in group {}", missing.join(", "))))
    }

    pub(super) fn sudo(&mut self, name: &str, text: &str) -> Result<Verdict> {
        if !exists(self.node, Path::new(SUDO_PROGRAM))? {
            return Ok(Verdict::of(text.is_empty(), || "sudo is not installed".to_owned()));
        }
        let output = self.output(SUDO_PROGRAM, &["-l", "-U", name])?;
        if !output.success() {
            return Ok(Verdict::Fails(output.complaint()));
        }
        Ok(sudo_allows(name, &output.stdout, text))
    }

    /// sshd's own rules (`StrictModes`): file, directory and home belong to the user or root, and nobody else
    /// may write to them.
    pub(super) fn authorized_key(&mut self, name: &str, path: &Path, wanted: &str) -> Result<Verdict> {
        let passwd = self.text(PASSWD_PATH)?;
        let Some(Entry { uid, home, .. }) = entry(&passwd, name) else {
            return Ok(Verdict::Fails(format!("there is no account {name}")));
        };
        for (place, level) in path.ancestors().enumerate() {
            let Some(found) = self.node.lookup(level)? else {
                return Ok(Verdict::Fails(format!("{} is missing", level.display())));
            };
            let kind = if place == 0 { Kind::File } else { Kind::Directory };
            if found.kind != kind || (found.uid != uid && found.uid != 0) || found.mode & WRITABLE != 0 {
                return Ok(Verdict::Fails(format!(
                    "sshd would refuse {}: it must belong to {name}, and nobody else may write to it",
                    level.display()
                )));
            }
            if level == Path::new(home) {
                break;
            }
        }
        let text = self.text(&path.display().to_string())?;
        let is_it = |line: &str| {
            let key = authorized_blob(line).and_then(fingerprint);
            key.is_some_and(
                |key| if wanted.is_empty() { line.ends_with(KEY_PAIR_MARK) } else { key == wanted },
            )
        };
        let stands = text.lines().any(is_it);
        let which = if wanted.is_empty() { KEY_PAIR_MARK } else { wanted };
        Ok(Verdict::of(stands, || format!("{} does not hold the key {}", path.display(), which.trim())))
    }
}

/// Reads the listing of `sudo -l -U`, which folds long lines. Empty `text`: nothing may be allowed.
fn sudo_allows(name: &str, listing: &str, text: &str) -> Verdict {
    let listing = listing.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let nothing = listing.contains(" is not allowed to run sudo ");
    if text.is_empty() {
        return Verdict::of(nothing, || format!("sudo allows {name} something"));
    }
    // The listing is in the order of sudoers, and the last match wins.
    let rest = listing.rfind(&text).and_then(|place| listing.get(place + text.len()..));
    match rest {
        Some(rest) if !text.contains("NOPASSWD") && rest.contains("NOPASSWD: ALL") => {
            Verdict::Fails(format!("sudo asks {name} for no password"))
        }
        Some(_) => Verdict::Holds,
        None if nothing => Verdict::Fails(format!("sudo allows {name} nothing")),
        None => Verdict::Fails(format!("sudo allows {name} something else")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // sudo 1.9.16p2 of Debian 13.
    const LISTING: &str = "Matching Defaults entries for ops on vm:\n    env_reset, mail_badpass,\n    use_pty\n\n\
        User ops may run the following commands on vm:\n    (ALL : ALL) ALL\n    (ALL : ALL) NOPASSWD: \
        /usr/bin/pvesh, /usr/sbin/qm list *, /bin/x\n        a\\,b\\:c\\=d\\e\n";
    const NOTHING: &str = "User ops is not allowed to run sudo on vm.\n";

    #[test]
    fn a1_a_folded_listing_is_read_as_one_line() {
        let commands = "(ALL : ALL) NOPASSWD: /usr/bin/pvesh, /usr/sbin/qm list *, /bin/x a\\,b\\:c\\=d\\e";
        assert_eq!(sudo_allows("ops", LISTING, commands), Verdict::Holds);
        assert_eq!(sudo_allows("ops", LISTING, "(ALL : ALL) ALL"), Verdict::Holds);
        assert_ne!(sudo_allows("ops", NOTHING, "(ALL : ALL) ALL"), Verdict::Holds);
    }

    #[test]
    fn a1_a_later_line_without_password_breaks_sudo_with_password() {
        let listing = "User ops may run:\n    (ALL : ALL) ALL\n    (ALL) NOPASSWD: ALL\n";
        assert_eq!(
            sudo_allows("ops", listing, "(ALL : ALL) ALL"),
            Verdict::Fails("sudo asks ops for no password".to_owned())
        );
    }

    #[test]
    fn a1_without_sudo_nothing_is_allowed() {
        assert_eq!(sudo_allows("ops", NOTHING, ""), Verdict::Holds);
        assert_ne!(sudo_allows("ops", LISTING, ""), Verdict::Holds);
    }
}
