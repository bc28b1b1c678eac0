use super::*;
use crate::facts::apt::{LIST_PATH, PARTS_PATH};
use crate::node::Output;
use crate::node::scripted::Scripted;
use crate::observe::{Observer, Verdict};

const ENTERPRISE: &str = "Types: deb\nURIs: https://enterprise.proxmox.com/debian/pve\nSuites: trixie\n\
    Components: pve-enterprise\nSigned-By: /usr/share/keyrings/proxmox-archive-keyring.gpg\n";
const CEPH_ENTERPRISE: &str = "Types: deb\nURIs: https://enterprise.proxmox.com/debian/ceph-squid\nSuites: trixie\n\
    Components: enterprise\nSigned-By: /usr/share/keyrings/proxmox-archive-keyring.gpg\n";
const FREE: &str = "Types: deb\nURIs: http://download.proxmox.com/debian/pve\nSuites: trixie\n\
    Components: pve-no-subscription\nSigned-By: /usr/share/keyrings/proxmox-archive-keyring.gpg\n";
const FREE_LINE: &str = "deb http://download.proxmox.com/debian/pve bookworm pve-no-subscription\n";
const ENTERPRISE_LINE: &str = "deb https://enterprise.proxmox.com/debian/pve bookworm pve-enterprise\n";
const DEBIAN: &str =
    "# kept\nTypes: deb\nURIs: http://deb.example.org/debian/\nSuites: trixie\nComponents: main\n";

type Files = Vec<(&'static str, String)>;

fn parts(name: &str) -> String {
    if name == "sources.list" { LIST_PATH.to_owned() } else { format!("{PARTS_PATH}/{name}") }
}

fn facts(release: u32, files: &[(&str, String)]) -> Facts {
    let codename = if release == 12 { "bookworm" } else { "trixie" };
    let file = |(name, text): &(&str, String)| SourceFile {
        path: parts(name).into(),
        text: text.clone(),
        mode: 0o640,
    };
    Facts {
        debian_version: release.to_string(),
        debian_codename: codename.to_owned(),
        apt_sources: files.iter().map(file).collect(),
        ..Facts::example()
    }
}

fn profile(pve: &str, ceph: &str) -> Profile {
    let mut profile = Profile::example();
    profile.repositories.pve = pve.to_owned();
    profile.repositories.ceph = ceph.to_owned();
    profile
}

fn propose(profile: &Profile, facts: &Facts) -> Proposal {
    crate::areas::tests::proposed(&Repositories, profile, facts)
}

/// What the files are afterwards, changed ones alone; a second run changes nothing.
fn changed(profile: &Profile, mut facts: Facts) -> Files {
    let proposal = propose(profile, &facts);
    let mut changed = Vec::new();
    for (phase, change) in proposal.changes {
        let Change::File(file) = change else { panic!("a file alone") };
        assert!(phase == Phase::Sources && file.owner == "root");
        let text = String::from_utf8(file.content.clone()).unwrap();
        let name = file.path.file_name().unwrap().to_str().unwrap();
        let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
        let known = facts.apt_sources.iter().position(|source| source.path == file.path);
        assert_eq!(file.mode, if known.is_some() { 0o640 } else { 0o644 }, "{name}");
        let after = SourceFile { path: file.path, text: text.clone(), mode: file.mode };
        match known {
            Some(place) => facts.apt_sources[place] = after,
            None => facts.apt_sources.push(after),
        }
        changed.push((name, text));
    }
    assert!(propose(profile, &facts).changes.is_empty(), "a second run changes the files again");
    assert_eq!(red_on(&apt(&facts), &propose(profile, &facts)), [""; 0], "apt itself");
    changed
}

/// A node whose apt-get is the real one, with these files.
fn apt(facts: &Facts) -> Scripted {
    let node = Scripted::new();
    for file in &facts.apt_sources {
        node.files.put(&file.path.display().to_string(), &file.text);
    }
    for directory in [PARTS_PATH, "/var/lib/apt/lists/partial", "/var/lib/dpkg", "/etc/apt/apt.conf.d"] {
        node.files.directory(directory);
    }
    node.files.put("/var/lib/dpkg/status", "");
    node.on("/usr/bin/apt-get", |files, invocation| {
        // Read before the files of the host would be.
        let root = files.host("/").display().to_string();
        files.put("/apt.conf", format!("Dir \"{root}\";\nAPT::Architecture \"amd64\";\n"));
        let done = std::process::Command::new("apt-get")
            .env("APT_CONFIG", files.host("/apt.conf"))
            .args(&invocation.arguments[1..])
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Output { status: done.status.code().unwrap(), stdout: text(done.stdout), stderr: text(done.stderr) }
    });
    node
}

fn auto(release: u32, files: &[(&'static str, &str)]) -> Files {
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    changed(&profile("auto", "auto"), facts(release, &files))
}

fn off(text: &str) -> String {
    text.replace("Types:", "Enabled: false\nTypes:")
}

#[test]
fn h1_a_fresh_pve_9_without_a_key_reads_what_everybody_may() {
    let found = auto(
        13,
        &[
            ("ceph.sources", CEPH_ENTERPRISE),
            ("debian.sources", DEBIAN),
            ("pve-enterprise.sources", ENTERPRISE),
        ],
    );
    let free_ceph = CEPH_ENTERPRISE
        .replace("https://enterprise", "http://download")
        .replace("Components: enterprise", "Components: no-subscription");
    assert_eq!(
        found,
        [
            ("ceph.sources", off(CEPH_ENTERPRISE)),
            ("pve-enterprise.sources", off(ENTERPRISE)),
            ("proxmox.sources", format!("{free_ceph}\n{FREE}")),
        ]
    );
}

#[test]
fn h1_a_fresh_pve_8_without_a_key_reads_what_everybody_may() {
    let ceph = "deb https://enterprise.proxmox.com/debian/ceph-quincy bookworm enterprise\n";
    let list = "deb http://deb.example.org/debian bookworm main";
    let found =
        auto(12, &[("sources.list", list), ("ceph.list", ceph), ("pve-enterprise.list", ENTERPRISE_LINE)]);
    let free = |name: &str, component: &str| {
        let (uri, suite) = ("http://download.proxmox.com/debian/", "bookworm");
        format!("Types: deb\nURIs: {uri}{name}\nSuites: {suite}\nComponents: {component}\n")
    };
    let both = [free("ceph-quincy", "no-subscription"), free("pve", "pve-no-subscription")].join("\n");
    assert_eq!(
        found,
        [
            ("ceph.list", format!("# {ceph}")),
            ("pve-enterprise.list", format!("# {ENTERPRISE_LINE}")),
            ("proxmox.sources", both),
        ]
    );
}

#[test]
fn h1_both_forms_beside_each_other_are_dealt_with() {
    // A node that came from PVE 8: an old line for the old release, and both forms of the new one.
    let old = "deb https://enterprise.proxmox.com/debian/pve trixie pve-enterprise\n#comment\n";
    let found =
        auto(13, &[("sources.list", FREE_LINE), ("a.list", old), ("pve-enterprise.sources", ENTERPRISE)]);
    assert_eq!(
        found,
        [
            ("a.list", format!("# {old}")),
            ("pve-enterprise.sources", off(ENTERPRISE)),
            ("proxmox.sources", FREE.to_owned()),
        ]
    );
}

#[test]
fn h1_what_is_right_already_stays_byte_for_byte() {
    let commented = format!("# {ENTERPRISE_LINE}");
    assert!(auto(12, &[("sources.list", FREE_LINE), ("pve-enterprise.list", &commented)]).is_empty());
    let sources = format!("{DEBIAN}\n{}\n{FREE}", off(ENTERPRISE));
    assert!(auto(13, &[("all.sources", &sources)]).is_empty());
    // A mirror of one's own gives the same packages.
    let mirror = FREE.replace("download.proxmox.com/debian/pve", "mirror.example.com/proxmox");
    assert!(auto(13, &[("mirror.sources", &mirror)]).is_empty());
}

#[test]
fn h1_an_entry_that_stands_there_switched_off_is_switched_on_in_its_place() {
    let found = auto(12, &[("x.list", &format!("## {FREE_LINE}"))]);
    assert_eq!(found, [("x.list", FREE_LINE.to_owned())]);
    let found = auto(13, &[("x.sources", &FREE.replace("Suites", "Enabled: no\nSuites"))]);
    assert_eq!(found, [("x.sources", FREE.replace("Suites", "Enabled: true\nSuites"))]);
    // Not one of another release, and not one that is a comment as a whole.
    let comment: String = FREE.lines().map(|line| format!("# {line}\n")).collect();
    for text in [off(&FREE.replace("trixie", "bookworm")), comment] {
        assert_eq!(auto(13, &[("x.sources", &text)]), [("proxmox.sources", FREE.to_owned())]);
    }
}

#[test]
fn h1_what_is_beside_it_in_a_file_stays_byte_for_byte() {
    let text = format!("# mine \t\n\n{}\n\n\n{DEBIAN}# end, without a line end", ENTERPRISE.trim_end());
    let found = auto(13, &[("all.sources", &text), ("proxmox.sources", FREE)]);
    assert_eq!(
        found,
        [("all.sources", text.replace("Types: deb\nURIs: https", "Enabled: false\nTypes: deb\nURIs: https"))]
    );
}

#[test]
fn h1_with_a_key_and_with_keep_nothing_is_touched() {
    let files =
        [("pve-enterprise.sources", ENTERPRISE.to_owned()), ("ceph.sources", CEPH_ENTERPRISE.to_owned())];
    let keyed = Facts { subscription_key: true, ..facts(13, &files) };
    let proposal = propose(&profile("auto", "auto"), &keyed);
    assert!(proposal.changes.is_empty());
    let ids: Vec<&str> = proposal.controls.iter().map(|control| &*control.id).collect();
    assert_eq!(ids, ["repositories.pve.packages"]);
    let kept = propose(&profile("keep", "keep"), &facts(13, &files));
    assert!(kept.changes.is_empty() && kept.controls.is_empty());
    // Asked for in so many words, it is done.
    assert_eq!(changed(&profile("no-subscription", "keep"), keyed).len(), 2);
}

#[test]
fn h1_enterprise_is_switched_on_and_what_everybody_may_read_off() {
    let found = changed(
        &profile("enterprise", "keep"),
        facts(13, &[("pve-enterprise.sources", off(ENTERPRISE)), ("proxmox.sources", FREE.to_owned())]),
    );
    assert_eq!(
        found,
        [("pve-enterprise.sources", format!("Enabled: true\n{ENTERPRISE}")), ("proxmox.sources", off(FREE))]
    );
}

#[test]
fn h1_two_keys_for_one_repository_which_apt_refuses_become_one() {
    let other =
        FREE_LINE.replace("deb ", "deb [signed-by=/etc/apt/other.gpg] ").replace("bookworm", "trixie");
    let found = auto(13, &[("a.list", &other), ("proxmox.sources", FREE)]);
    assert_eq!(found, [("proxmox.sources", off(FREE))], "the first one stays");
    // What is added has the key of what is read from there already.
    let test = other.replace("pve-no-subscription", "pve-test");
    let found = auto(13, &[("a.list", &test)]);
    assert_eq!(found, [("proxmox.sources", FREE.replace(KEYRING, "/etc/apt/other.gpg"))]);
    // A mirror's key is the mirror's matter.
    let mirror =
        FREE.replace("download.proxmox.com/debian/pve", "mirror.example.com/pve").replace(KEYRING, "/m.gpg");
    assert!(auto(13, &[("a.list", &test), ("mirror.sources", &mirror)]).is_empty());
    // And one with another key is not switched on.
    let found = auto(13, &[("a.list", &test), ("proxmox.sources", &off(FREE))]);
    assert_eq!(
        found,
        [("proxmox.sources", format!("{}\n{}", FREE.replace(KEYRING, "/etc/apt/other.gpg"), off(FREE)))]
    );
}

#[test]
fn h1_an_entry_without_a_key_that_stays_decides_too() {
    // Behind an entry with a key, apt refuses one without. PVE 8 had another word for its tests.
    for component in ["pve-test", "pvetest"] {
        let test = FREE_LINE.replace("pve-no-subscription", component).replace("bookworm", "trixie");
        let unsigned = FREE.lines().take(4).map(|line| format!("{line}\n")).collect::<String>();
        assert_eq!(auto(13, &[("z.list", &test)]), [("proxmox.sources", unsigned)]);
        let found = auto(13, &[("proxmox.sources", FREE), ("z.list", &test)]);
        assert_eq!(found, [("z.list", format!("# {test}"))]);
    }
}

#[test]
fn h1_an_entry_for_others_too_is_left_alone_and_its_control_says_so() {
    let mixed = ENTERPRISE.replace("debian/pve\n", "debian/pve http://mirror.example.com/pve\n");
    let facts = facts(13, &[("m.sources", mixed), ("proxmox.sources", FREE.to_owned())]);
    let proposal = propose(&profile("auto", "auto"), &facts);
    assert!(proposal.changes.is_empty());
    assert_eq!(
        red_on(&apt(&facts), &proposal),
        ["repositories.pve.enterprise: apt reads https://enterprise.proxmox.com/debian/pve/"]
    );
    // A mirror of one's own is nobody's but its owner's.
    let mirror = ENTERPRISE.replace("enterprise.proxmox.com/debian", "mirror.example.com");
    assert!(auto(13, &[("m.sources", &mirror), ("proxmox.sources", FREE)]).is_empty());
}

#[test]
fn h1_other_products_and_nodes_without_pve_are_left_alone() {
    let backup = ENTERPRISE.replace("debian/pve", "debian/pbs").replace("pve-", "pbs-");
    assert!(auto(13, &[("pbs.sources", &backup), ("proxmox.sources", FREE)]).is_empty());
    let node = Facts { pve_version: None, ..facts(13, &[("pve-enterprise.sources", ENTERPRISE.to_owned())]) };
    let proposal = propose(&profile("auto", "auto"), &node);
    assert!(proposal.changes.is_empty() && proposal.controls.is_empty());
}

/// The controls of a fresh node without a key.
fn fresh() -> Proposal {
    let proposal =
        propose(&profile("auto", "auto"), &facts(13, &[("c.sources", CEPH_ENTERPRISE.to_owned())]));
    assert!(proposal.controls.iter().all(|control| control.changes == [0, 1]));
    proposal
}

/// What they say when apt says this.
fn red(targets: &str) -> Vec<String> {
    let node = Scripted::new();
    node.says("/usr/bin/apt-get --no-release-info", targets);
    red_on(&node, &fresh())
}

fn red_on(node: &Scripted, proposal: &Proposal) -> Vec<String> {
    let mut observer = Observer::new(node);
    let verdict = |control: &Control| match observer.evaluate(&control.check).unwrap() {
        Verdict::Holds => None,
        Verdict::Fails(why) => Some(format!("{}: {why}", control.id)),
    };
    proposal.controls.iter().filter_map(verdict).collect()
}

const READ: &str = "http://deb.example.org/debian/ deb trixie main\n\
    http://download.proxmox.com/debian/pve/ deb trixie pve-no-subscription\n\
    http://download.proxmox.com/debian/ceph-squid/ deb trixie no-subscription\n";

#[test]
fn i3_h1_each_control_turns_red_while_our_files_stay() {
    assert_eq!(red(READ), [""; 0]);
    // Somebody's other file, sources of packages among them.
    for of in ["deb", "deb-src"] {
        let more = format!("{READ}https://enterprise.proxmox.com/debian/pve/ {of} trixie pve-enterprise\n");
        assert_eq!(
            red(&more),
            ["repositories.pve.enterprise: apt reads https://enterprise.proxmox.com/debian/pve/"]
        );
    }
    let more = format!("{READ}https://enterprise.proxmox.com/debian/ceph-reef/ deb trixie enterprise\n");
    assert_eq!(
        red(&more),
        ["repositories.ceph.enterprise: apt reads https://enterprise.proxmox.com/debian/ceph-reef/"]
    );
    // Another directory of sources (`Dir::Etc::sourceparts`), another suite.
    assert_eq!(
        red(&READ.replace("deb trixie pve", "deb bookworm pve")),
        ["repositories.pve.no-subscription: apt has no such source"]
    );
    let without: String = READ.lines().take(2).map(|line| format!("{line}\n")).collect();
    assert_eq!(red(&without), ["repositories.ceph-squid.no-subscription: apt has no such source"]);
    assert_eq!(red("").len(), 2);
}

#[test]
fn i3_h1_sources_that_apt_refuses_are_told_in_its_words() {
    let other = FREE.replace(KEYRING, "/etc/apt/other.gpg");
    let node = apt(&facts(13, &[("a.sources", FREE.to_owned()), ("b.sources", other)]));
    for control in fresh().controls {
        let told = Observer::new(&node).evaluate(&control.check).err().unwrap().to_string();
        assert!(told.contains("E: Conflicting values set for option Signed-By regarding source"), "{told}");
    }
}

#[test]
fn i3_h1_another_directory_of_sources_turns_the_controls_red_with_the_real_apt() {
    let files = [("proxmox.sources", FREE.to_owned()), ("c.sources", off(CEPH_ENTERPRISE))];
    let proposal = propose(&profile("no-subscription", "keep"), &facts(13, &files));
    let node = apt(&facts(13, &files));
    assert_eq!(red_on(&node, &proposal), [""; 0]);
    node.files.put("/etc/apt/apt.conf.d/99x", "Dir::Etc::sourceparts \"other.d\";\n");
    node.files.put("/etc/apt/other.d/x.sources", ENTERPRISE);
    let red = red_on(&node, &proposal);
    assert_eq!(red.len(), 2, "{red:?}");
}
