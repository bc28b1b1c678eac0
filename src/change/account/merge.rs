//! The account database after somebody else has changed it too: our lines go back, theirs stay.
//!
//! Lines are known by their first field. A line that we made goes. One that we changed goes back, unless somebody has
//! changed it since; the members of a group are taken one by one.

/// A file of the database as it was before the step, as the step left it, and as it is now.
pub struct Versions<'a> {
    /// Before.
    pub before: &'a str,
    /// As the step left it.
    pub after: &'a str,
    /// Now.
    pub now: &'a str,
}

fn key(line: &str) -> &str {
    line.split(':').next().unwrap_or_default()
}

/// The text with our lines put back, and whether all of them were. `force` puts back what somebody changed as well.
pub fn merge(versions: &Versions<'_>, force: bool) -> (String, bool) {
    let Versions { before, after, now } = versions;
    let mut lines: Vec<String> = now.lines().map(str::to_owned).collect();
    let mut whole = true;
    for ours in after.lines().filter(|line| !before.lines().any(|old| old == *line)) {
        let old =
            before.lines().find(|line| key(line) == key(ours) && !after.lines().any(|new| new == *line));
        let same = lines.iter().position(|line| line == ours);
        let Some(place) = same.or_else(|| lines.iter().position(|line| key(line) == key(ours))) else {
            // Somebody took it out: nothing of ours is left there.
            continue;
        };
        let Some(line) = lines.get_mut(place) else { continue };
        let theirs = line != ours;
        match old {
            Some(old) if theirs => match members(old, ours, line) {
                Some(merged) => *line = merged,
                None if force => old.clone_into(line),
                None => whole &= line == old,
            },
            Some(old) => old.clone_into(line),
            // What we made goes, whatever it has become: an account is not half there.
            None => {
                lines.remove(place);
            }
        }
    }
    (lines.iter().map(|line| format!("{line}\n")).collect(), whole)
}

/// The line of a group with the members that we added taken out; `None` where more than its members is another's.
fn members(old: &str, ours: &str, now: &str) -> Option<String> {
    let (old_head, old) = old.rsplit_once(':')?;
    let (head, ours) = ours.rsplit_once(':')?;
    let (now_head, now) = now.rsplit_once(':')?;
    // passwd(5) and shadow(5) have more fields, and no list at their end.
    if head != old_head || head != now_head || head.matches(':').count() != 2 {
        return None;
    }
    let added = |name: &str| ours.split(',').any(|has| has == name) && !old.split(',').any(|had| had == name);
    let kept: Vec<&str> = now.split(',').filter(|name| !name.is_empty() && !added(name)).collect();
    Some(format!("{head}:{}", kept.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(before: &str, after: &str, now: &str) -> (String, bool) {
        merge(&Versions { before, after, now }, false)
    }

    #[test]
    fn a1_our_account_goes_and_one_that_somebody_made_since_stays() {
        let (before, ours) = ("root:x:0:0\nwww:x:33:33\n", "ops:x:1000:1000::/home/ops:/bin/bash\n");
        let now = format!("{before}{ours}eve:x:1001:1001::/home/eve:/bin/bash\n");
        let (text, whole) = merged(before, &format!("{before}{ours}"), &now);
        assert_eq!(text, format!("{before}eve:x:1001:1001::/home/eve:/bin/bash\n"));
        assert!(whole);
        assert_eq!(merged(before, &format!("{before}{ours}"), &text), (text.clone(), true), "again");
        let changed = now.replace("ops:/bin/bash", "ops:/bin/zsh");
        assert_eq!(merged(before, &format!("{before}{ours}"), &changed).0, text, "whatever it has become");
    }

    #[test]
    fn a1_subordinate_ids_of_our_account_alone_go() {
        let before = "a:100000:65536\n";
        let after = "a:100000:65536\nops:165536:65536\n";
        let now = "a:100000:65536\nops:165536:65536\na:231072:65536\neve:296608:65536\n";
        assert_eq!(merged(before, after, now).0, "a:100000:65536\na:231072:65536\neve:296608:65536\n");
    }

    #[test]
    fn a1_a_changed_account_is_put_back_exactly_unless_somebody_changed_it_since() {
        let before = "ops:x:1000:1000:Ops:/home/ops:/bin/sh\n";
        let after = "ops:x:1000:1000:Ops:/home/ops:/bin/bash\n";
        let now = format!("{after}eve:x:1001:1001::/home/eve:/bin/bash\n");
        assert_eq!(merged(before, after, &now).0, now.replace("ops:/bin/bash", "ops:/bin/sh"));
        let theirs = "ops:x:1000:1000:Ops:/home/ops:/bin/zsh\n";
        assert_eq!(merged(before, after, theirs), (theirs.to_owned(), false));
        assert_eq!(merge(&Versions { before, after, now: theirs }, true).0, before, "forced");
        assert_eq!(merged(before, after, ""), (String::new(), true), "somebody took it out");
        assert_eq!(merged(before, after, before), (before.to_owned(), true), "it is back already");
    }

    #[test]
    fn a1_the_password_of_before_comes_back_and_one_set_since_stays() {
        let (before, after) = ("ops:$y$old:20000:0:99999:7:::\n", "ops:$y$new:20500:0:99999:7:::\n");
        let eve = "eve:!:1::::::\n";
        assert_eq!(merged(before, after, &format!("{after}{eve}")).0, format!("{before}{eve}"));
        let since = "ops:$y$since:20600:0:99999:7:::\n";
        assert_eq!(merged(before, after, since), (since.to_owned(), false));
    }

    #[test]
    fn a1_we_leave_a_group_and_who_joined_since_stays() {
        let text = |members: &str| format!("sudo:x:27:{members}\n");
        for (before, after, now, expected) in
            [("", "ops", "ops,eve", "eve"), ("bob", "bob,ops", "bob,ops,eve", "bob,eve"), ("", "ops", "", "")]
        {
            let (found, whole) = merged(&text(before), &text(after), &text(now));
            assert_eq!((found, whole), (text(expected), true), "{now}");
        }
        assert_eq!(merged("sudo:*::\n", "sudo:*::ops\n", "sudo:*::eve,ops\n").0, "sudo:*::eve\n", "gshadow");
        let renumbered = "sudo:x:28:ops,eve\n";
        assert_eq!(merged(&text(""), &text("ops"), renumbered), (renumbered.to_owned(), false));
    }
}
