//! Fleets: which node gets what.

use super::super::{Identity, read, read_for};

const FLEET: &str = include_str!("../../../answer-files/fleet.toml");

fn of(name: &str) -> Result<super::super::Answer, String> {
    let who = Identity::parse(name).unwrap();
    read_for("fleet.toml", FLEET.as_bytes(), Some(&|| who.clone())).map_err(|problems| problems.to_string())
}

fn management(name: &str) -> String {
    let answer = of(name).unwrap();
    match answer.profile.firewall.management {
        crate::profile::Management::Networks(networks) => {
            networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        }
        _ => "none".to_owned(),
    }
}

#[test]
fn j1_the_keys_of_the_node_that_matches_replace_those_above_table_by_table() {
    assert_eq!(management("pve1.example.com"), "10.0.20.0/24");
    assert_eq!(management("PVE2.example.com"), "10.0.20.0/24 10.0.30.0/24");
    let answer = of("mac=52:54:00:12:34:56,mac=aa:aa:aa:aa:aa:aa,serial=ab9123").unwrap();
    assert!(answer.profile.updates.proxmox && answer.profile.updates.security);
    assert!(answer.profile.firewall.mode == Some(crate::profile::FirewallMode::Ufw));
    // What is kept, and what is sealed for it alone, tells no nodes apart any more.
    for text in [&answer.record, &answer.sealed] {
        assert!(!text.contains("node") && !text.contains("match"), "{text}");
        assert!(read("again", text.as_bytes()).is_ok_and(|again| again.nodes == 0), "{text}");
    }
}

#[test]
fn j1_no_node_that_matches_and_two_that_match_are_errors_that_say_who_this_one_is() {
    assert_eq!(
        of("fqdn=pve9.example.com,serial=X").err().unwrap(),
        "fleet.toml:34:1: firstlight.node: has no entry for this node: fqdn=pve9.example.com, serial=X"
    );
    let two = of("fqdn=pve1.example.com,mac=52:54:00:12:34:56,serial=AB0123").err().unwrap();
    assert_eq!(two, "fleet.toml:43:9: firstlight.node: matches this node, and so does another one above");
    assert!(Identity::parse("name=x").is_err());
}

#[test]
fn j1_without_a_node_every_one_is_checked_and_all_of_them_are_sealed() {
    let answer = read("fleet.toml", FLEET.as_bytes()).unwrap();
    assert_eq!(answer.nodes, 3);
    let again = read("embedded", answer.sealed.as_bytes()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(again.nodes, 3);
    let who = Identity::parse("pve2.example.com").unwrap();
    let second = read_for("embedded", answer.sealed.as_bytes(), Some(&|| who.clone())).unwrap();
    assert!(second.record.contains("10.0.30.0/24"), "{}", second.record);
    // A mistake of the last node is told where it stands, although the first is fine.
    let wrong = FLEET.replace("firewall.mode = \"ufw\"", "firewall.mode = \"none\"");
    let problems = read("fleet.toml", wrong.as_bytes()).err().unwrap().to_string();
    assert!(problems.starts_with("fleet.toml:44:17: firstlight.firewall.mode: "), "{problems}");
    // One that is the same for all is told once.
    let wrong = FLEET.replace("schema = 1", "schema = 2");
    assert_eq!(read("fleet.toml", wrong.as_bytes()).err().unwrap().list.len(), 1);
}

#[test]
fn j1_keys_of_root_and_keys_of_a_node_do_not_mix() {
    let text = FLEET
        .replace("name = \"ops\"\n", "name = \"ops\"\nssh-keys-of-root = true\n")
        .replace("firewall.mode = \"ufw\"", "admin.ssh-keys = []");
    let problems = read("fleet.toml", text.as_bytes()).err().unwrap().to_string();
    assert!(problems.contains("node: must not have keys of its own beside ssh-keys-of-root"), "{problems}");
}

#[test]
fn j1_patterns() {
    for (pattern, text, fits) in [
        ("pve1.*", "pve1.example.com", true),
        ("pve1.*", "pve10.example.com", false),
        ("*.example.com", "a.b.example.com", true),
        ("*", "", true),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "axxbyy", false),
        ("??", "ab", true),
        ("??", "a", false),
        ("AB?123", "ab9123", true),
        (&"*a".repeat(60), &"a".repeat(59), false),
    ] {
        let text_of = FLEET.replace("pve1.*", pattern);
        let who = Identity(vec![("fqdn", text.to_owned())]);
        let read = read_for("fleet.toml", text_of.as_bytes(), Some(&|| who.clone()));
        assert_eq!(read.is_ok(), fits, "{pattern} {text}");
    }
}
