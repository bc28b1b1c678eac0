//! Taking packages out again: what somebody installed since and needs one of them keeps it.

use super::{
    APT_GET, DPKG_QUERY, INSTALL_SECONDS, PATIENCE_SECONDS, SIMULATE_SECONDS, apt, hold_services,
    release_services, states,
};
use crate::error::{Error, Result};
use crate::node::{Invocation, Node, Output, run_checked};
use std::time::Duration;

const DPKG: &str = "/usr/bin/dpkg";

/// A package of ours that stays.
pub struct Stays {
    /// Its name.
    pub name: String,
    /// Why.
    pub because: String,
}

/// A package that apt upgraded on the way, as an entry among the new ones: no name has a `=`.
pub fn upgraded(name: &str, before: &str) -> String {
    format!("{name}={before}")
}

/// Takes the new packages out again, whatever state a crash has left them in; returns those that stay.
pub fn undo(node: &dyn Node, names: &[String]) -> Result<Vec<Stays>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    // Half-configured ones must be whole before they can go, and must not start on the way; what cannot be
    // configured goes anyway. Stopping what runs needs the policy gone.
    hold_services(node)?;
    let configured = dpkg(node, &["--force-confdef", "--force-confold", "--configure", "-a"]);
    let finished = finish_unpacking(node, names);
    release_services(node)?;
    configured?;
    finished?;
    let (stay, go) = needed(node, names)?;
    if go.is_empty() {
        return Ok(stay);
    }
    let mut arguments = vec!["--force-remove-reinstreq", "--purge"];
    arguments.extend(go.iter().map(String::as_str));
    let output = dpkg(node, &arguments)?;
    if output.success() {
        return Ok(stay);
    }
    Err(Error::new("removing the new packages", output.complaint())
        .hint(format!("dpkg --purge {}", go.join(" "))))
}

/// dpkg knows the files of a package only once all are unpacked: what it leaves when it is killed before that, no
/// purge takes away. The call that was cut off is made again to its end, from what it had fetched; where that fails,
/// the purge does what it can.
fn finish_unpacking(node: &dyn Node, names: &[String]) -> Result<()> {
    let names: Vec<String> = names
        .iter()
        .map(|entry| entry.split_once('=').map_or(&**entry, |(name, _)| name).to_owned())
        .collect();
    let cut_off = |(name, state): &(String, String)| {
        names.contains(name) && (state.contains(" reinstreq ") || state.ends_with(" half-installed"))
    };
    if states(node)?.iter().any(cut_off) {
        node.run(&apt(&["-f"], &names))?;
    }
    Ok(())
}

/// Which of the packages must stay, since others need them or apt does not go back, and which ones can go. Changes
/// nothing.
pub fn needed(node: &dyn Node, names: &[String]) -> Result<(Vec<Stays>, Vec<String>)> {
    let mut stay = Vec::new();
    for (name, before) in names.iter().filter_map(|entry| entry.split_once('=')) {
        // A call that was cut off may not have come so far.
        if run_checked(node, &Invocation::new(DPKG_QUERY, &["-W", "-f=${Version}", name]))?.stdout != before {
            let because = format!("it was upgraded from {before}, and nothing goes back to that");
            stay.push(Stays { name: name.to_owned(), because });
        }
    }
    let gone = |state: &str| state.ends_with(" not-installed");
    let present: Vec<String> = states(node)?
        .into_iter()
        .filter(|(name, state)| names.contains(name) && !gone(state))
        .map(|(name, _)| name)
        .collect();
    if present.is_empty() || foreign(node, &present, names).is_none() {
        return Ok((stay, present));
    }
    let mut go = Vec::new();
    for name in present {
        // One at a time: whatever would take somebody's package along is what has to stay, and no more.
        match foreign(node, std::slice::from_ref(&name), names) {
            Some(other) => stay.push(Stays { name, because: format!("{other} needs it") }),
            None => go.push(name),
        }
    }
    Ok((stay, go))
}

/// The first package beside `ours` that would go with these. Where apt cannot say, dpkg still refuses to break one.
fn foreign(node: &dyn Node, these: &[String], ours: &[String]) -> Option<String> {
    let mut arguments = vec!["-q", "--simulate", "--no-auto-remove", "purge"];
    arguments.extend(these.iter().map(String::as_str));
    let output = node.run(&Invocation::new(APT_GET, &arguments).limit(SIMULATE_SECONDS)).ok()?;
    let removed = |line: &str| {
        let mut words = line.split_whitespace();
        let verb = words.next()?;
        let name = words.next()?.split(':').next()?;
        (matches!(verb, "Remv" | "Purg") && !ours.iter().any(|own| own == name)).then(|| name.to_owned())
    };
    output.stdout.lines().find_map(removed).filter(|_| output.success())
}

/// Runs dpkg, and waits while somebody else holds its lock.
fn dpkg(node: &dyn Node, arguments: &[&str]) -> Result<Output> {
    // sudo refuses to go where root has no password: there was none before it came, either.
    let invocation = Invocation::new(DPKG, arguments)
        .variable("DEBIAN_FRONTEND", "noninteractive")
        .variable("SUDO_FORCE_REMOVE", "yes")
        .limit(INSTALL_SECONDS);
    let mut waited = 0;
    loop {
        let output = node.run(&invocation)?;
        // "… was locked by another process", or the name of it.
        let locked = !output.success() && output.stderr.contains("lock was locked by ");
        if !locked || waited >= PATIENCE_SECONDS {
            return Ok(output);
        }
        node.sleep(Duration::from_secs(5));
        waited += 5;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::scripted::Scripted;

    fn node() -> Scripted {
        let node = Scripted::new();
        node.files.directory("/usr/sbin");
        let installed = |name: &str| format!("{name}\tinstall ok installed\n");
        node.says("/usr/bin/dpkg-query", &["sudo", "ufw", "libours", "tool"].map(installed).concat());
        node.says("/usr/bin/dpkg --force-confdef", "");
        node.says("/usr/bin/dpkg --force-remove-reinstreq --purge", "");
        node
    }

    fn ours() -> Vec<String> {
        ["libours", "sudo", "ufw"].map(str::to_owned).to_vec()
    }

    fn purged(node: &Scripted) -> Vec<String> {
        node.ran()
            .into_iter()
            .filter_map(|line| line.split_once(" --purge ").map(|it| it.1.to_owned()))
            .collect()
    }

    #[test]
    fn h2_what_a_later_package_needs_stays_and_the_rest_goes() {
        let node = node();
        let purge = "/usr/bin/apt-get -q --simulate --no-auto-remove purge";
        node.says(purge, "Purg tool [1]\nPurg sudo [1]\nPurg libours [2]\nPurg ufw [0.36]\n");
        node.says(&format!("{purge} libours"), "Purg tool [1]\nPurg sudo [1]\nPurg libours [2]\n");
        node.says(&format!("{purge} sudo"), "Purg tool [1]\nPurg sudo [1]\n");
        node.says(&format!("{purge} ufw"), "Purg ufw [0.36]\n");
        let stay = undo(&node, &ours()).unwrap();
        let stay: Vec<(&str, &str)> =
            stay.iter().map(|stays| (stays.name.as_str(), stays.because.as_str())).collect();
        assert_eq!(stay, [("sudo", "tool needs it"), ("libours", "tool needs it")]);
        assert_eq!(purged(&node), ["ufw"]);
    }

    #[test]
    fn h2_sudo_goes_where_root_has_no_password_too() {
        let node = node();
        node.says("/usr/bin/apt-get -q --simulate", "Purg sudo [1]\n");
        // As its script does.
        node.on("/usr/bin/dpkg --force-remove-reinstreq --purge", |_, invocation| {
            let forced = invocation
                .environment
                .iter()
                .any(|(name, value)| name == "SUDO_FORCE_REMOVE" && value == "yes");
            let status = i32::from(!forced);
            crate::node::Output {
                status,
                stdout: String::new(),
                stderr: "Refusing to remove sudo.".to_owned(),
            }
        });
        assert!(undo(&node, &["sudo".to_owned()]).unwrap().is_empty());
    }

    #[test]
    fn h2_without_somebody_elses_need_all_of_them_go_in_one_call() {
        let node = node();
        node.says("/usr/bin/apt-get -q --simulate", "Purg sudo [1]\nPurg libours [2]\nPurg ufw [0.36]\n");
        assert!(undo(&node, &ours()).unwrap().is_empty());
        assert_eq!(purged(&node), ["sudo ufw libours"]);
        assert_eq!(node.ran().iter().filter(|line| line.contains("--simulate")).count(), 1);
    }

    #[test]
    fn j3_a_package_whose_unpacking_was_cut_off_is_unpacked_whole_before_it_goes() {
        let node = node();
        node.says(
            "/usr/bin/dpkg-query",
            "sudo\tinstall ok installed\nufw\tinstall reinstreq half-installed\n",
        );
        node.says("/usr/bin/apt-get", "");
        undo(&node, &ours()).unwrap();
        let ran = node.ran();
        let place = |part: &str| ran.iter().position(|line| line.contains(part));
        assert!(place(" -f install libours sudo ufw").is_some(), "{ran:?}");
        assert!(place(" -f install ") < place(" --purge "), "{ran:?}");
    }

    #[test]
    fn h2_what_was_upgraded_stays_and_is_told() {
        let node = node();
        node.says("/usr/bin/apt-get -q --simulate", "Purg sudo [1]\nPurg libours [2]\nPurg ufw [0.36]\n");
        let asked = "/usr/bin/dpkg-query -W -f=${Version}";
        node.says(&format!("{asked} tool"), "1.1-1");
        node.says(&format!("{asked} late"), "2");
        let names = [ours(), vec![upgraded("tool", "1.0-1"), upgraded("late", "2")]].concat();
        let stay = undo(&node, &names).unwrap();
        assert_eq!(stay.len(), 1);
        assert_eq!(stay[0].name, "tool");
        assert!(stay[0].because.starts_with("it was upgraded from 1.0-1"), "{}", stay[0].because);
        assert_eq!(purged(&node), ["sudo ufw libours"]);
    }

    #[test]
    fn h2_where_apt_cannot_say_dpkg_decides() {
        let node = node();
        node.refuses("/usr/bin/apt-get -q --simulate", 100, "E: Unmet dependencies.");
        assert!(undo(&node, &ours()).unwrap().is_empty());
        assert_eq!(purged(&node), ["sudo ufw libours"]);
    }
}
