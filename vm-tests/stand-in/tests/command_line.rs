//! How PVE's tools read their arguments and their files (contract 1.1, 1.2, 1.6), where no recording shows it.

#![allow(clippy::expect_used, clippy::panic)]

use std::fs;

use stand_in::access::user_config::UserConfig;
use stand_in::context::{Captured, Context};

struct Node {
    root: tempfile::TempDir,
    output: Captured,
    warnings: Captured,
    context: Context,
}

impl Node {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(root.path().join("etc/pve/priv/lock")).expect("a directory");
        let (output, warnings) = (Captured::default(), Captured::default());
        let context = Context::replay(root.path(), "pve1", 0, output.clone(), warnings.clone());
        Self { root, output, warnings, context }
    }

    /// Status, output and errors of one line.
    fn run(&self, line: &[&str]) -> (u8, String, String) {
        let arguments: Vec<String> = line[1..].iter().map(|word| (*word).to_owned()).collect();
        let status = stand_in::run(line[0], &arguments, &self.context);
        let text = |captured: &Captured| String::from_utf8_lossy(&captured.take()).into_owned();
        (status, text(&self.output), text(&self.warnings))
    }

    /// The line of one user behind a `user modify` with these options.
    fn modified(&self, options: &[&str]) -> String {
        let line = [&["pveum", "user", "modify", "root@pam"], options].concat();
        assert_eq!(self.run(&line), (0, String::new(), String::new()), "{options:?}");
        let text = fs::read_to_string(self.root.path().join("etc/pve/user.cfg")).expect("user.cfg");
        text.lines().next().expect("a line").to_owned()
    }
}

#[test]
fn options_are_taken_in_any_case_and_by_their_unique_beginning() {
    let node = Node::new();
    assert_eq!(node.modified(&["--comm", "a"]), "user:root@pam:1:0::::a::");
    assert_eq!(node.modified(&["-COMMENT=b"]), "user:root@pam:1:0::::b::");
    let (status, _, warnings) = node.run(&["pveum", "user", "modify", "root@pam", "--e", "1"]);
    assert_ne!(status, 0);
    let expected = "Option e is ambiguous (email, enable, expire)\n400 unable to parse option\n\
                    pveum user modify <userid> [OPTIONS]\n";
    assert_eq!(warnings, expected);
}

#[test]
fn a_text_takes_the_next_word_whatever_it_is_and_an_empty_one_only_as_a_word() {
    let node = Node::new();
    assert_eq!(node.modified(&["--comment", "--enable"]), "user:root@pam:1:0::::--enable::");
    assert_eq!(node.modified(&["--comment", ""]), "user:root@pam:1:0::::::");
    let (_, _, warnings) = node.run(&["pveum", "user", "modify", "root@pam", "--comment="]);
    assert!(warnings.starts_with("Option comment requires an argument\n"), "{warnings}");
}

#[test]
fn a_boolean_may_stand_alone_and_has_several_words() {
    let node = Node::new();
    for (word, enabled) in [("0", '0'), ("Yes", '1'), ("off", '0'), ("TRUE", '1'), ("no", '0'), ("on", '1')] {
        assert_eq!(node.modified(&["--enable", word]), format!("user:root@pam:{enabled}:0::::::"));
    }
    node.modified(&["--enable", "0"]);
    assert_eq!(node.modified(&["--enable"]), "user:root@pam:1:0::::::");
    let (_, _, warnings) = node.run(&["pveum", "user", "modify", "root@pam", "--enable", "maybe"]);
    assert!(warnings.starts_with("400 unable to parse boolean option\n"), "{warnings}");
}

#[test]
fn a_list_may_be_given_several_times() {
    let node = Node::new();
    for group in ["one", "two"] {
        assert_eq!(node.run(&["pveum", "group", "add", group]).0, 0);
    }
    node.modified(&["--groups", "one", "--groups", "two"]);
    let (_, output, _) = node.run(&["pvesh", "get", "/access/users/root@pam", "--output-format", "json"]);
    assert_eq!(output, "{\"enable\":1,\"expire\":0,\"groups\":[\"one\",\"two\"],\"tokens\":null}\n");
    node.modified(&["--groups", "two;one"]);
    node.modified(&["--groups", "one"]);
    let (_, output, _) = node.run(&["pvesh", "get", "/access/groups/two", "--output-format", "json"]);
    assert_eq!(output, "{\"members\":[]}\n", "replaced, not added to");
}

#[test]
fn positional_arguments_are_counted() {
    let node = Node::new();
    let (_, _, warnings) = node.run(&["pveum", "user", "add"]);
    assert_eq!(warnings, "400 not enough arguments\npveum user add <userid> [OPTIONS]\n");
    let (_, _, warnings) = node.run(&["pveum", "user", "add", "a@pam", "b@pam"]);
    assert_eq!(warnings, "400 too many arguments\npveum user add <userid> [OPTIONS]\n");
    assert_eq!(node.run(&["pveum", "user", "add", "--", "a@pam"]).0, 0);
}

#[test]
fn a_method_without_a_value_prints_nothing_in_any_format() {
    let node = Node::new();
    for format in ["text", "json", "json-pretty", "yaml"] {
        let line = ["pvesh", "set", "/access/users/root@pam", "--enable", "1", "--output-format", format];
        assert_eq!(node.run(&line), (0, String::new(), String::new()));
    }
}

#[test]
fn a_schema_without_properties_kills_the_recorded_pvesh() {
    let node = Node::new();
    let (status, output, warnings) = node.run(&["pvesh", "get", "/access/ticket"]);
    assert_eq!((status, output.as_str()), (255, ""));
    assert_eq!(warnings, "unknown schema type (not an object?)\n");
}

#[test]
fn what_user_cfg_should_not_hold_is_dropped_with_a_warning() {
    let text = "user:root@pam:1:0:::admin@example.org:::\n\
                user:bad:1:0::::::\n\
                nonsense\n\
                group:g:root@pam,ghost@pam::\n\
                role:R:Sys.Audit,Sys.Nothing:\n\
                acl:1:/:root@pam,@g:R,Unknown:\n";
    let (config, warnings) = UserConfig::parse(text);
    assert_eq!(
        warnings,
        [
            "ignore user 'bad' - invalid user name",
            "ignore config line: nonsense",
            "ignore invalid group member 'ghost@pam'",
            "ignore invalid privilege 'Sys.Nothing'",
            "ignore invalid acl role 'Unknown'",
        ]
    );
    let expected = "user:root@pam:1:0:::admin@example.org:::\n\n\
                    group:g:ghost@pam,root@pam::\n\n\n\
                    role:R:Sys.Audit:\n\n\
                    acl:1:/:@g:R:\n";
    assert_eq!(config.text(), expected);
    let (again, warnings) = UserConfig::parse(expected);
    assert_eq!(again.text(), expected);
    assert_eq!(warnings, ["ignore invalid group member 'ghost@pam'"]);
}

#[test]
fn privileges_follow_the_tree_and_no_access_wins() {
    let node = Node::new();
    for line in [
        ["pveum", "user", "add", "ops@pam", "--enable", "1"].as_slice(),
        &["pveum", "acl", "modify", "/", "--users", "ops@pam", "--roles", "PVEAuditor"],
        &["pveum", "acl", "modify", "/vms/100", "--users", "ops@pam", "--roles", "NoAccess"],
        &[
            "pveum",
            "acl",
            "modify",
            "/storage",
            "--users",
            "ops@pam",
            "--roles",
            "PVEDatastoreUser",
            "--propagate",
            "0",
        ],
    ] {
        assert_eq!(node.run(line).0, 0, "{line:?}");
    }
    let on = |path: &str| {
        node.run(&["pveum", "user", "permissions", "ops@pam", "--path", path, "--output-format", "json"]).1
    };
    assert!(on("/nodes/pve1").contains("\"Sys.Audit\":1"));
    assert_eq!(on("/vms/100"), "{\"/vms/100\":{}}\n");
    assert_eq!(on("/storage"), "{\"/storage\":{\"Datastore.AllocateSpace\":0,\"Datastore.Audit\":0}}\n");
    assert!(on("/storage/local").contains("\"Sys.Audit\":1"), "what does not propagate ends there");
}

/// Transcript 25, item 32.
#[test]
fn tables_are_ascii_where_the_locale_is_not_utf_8_and_json_never_is() {
    let mut node = Node::new();
    node.modified(&["--comment", "ü✓"]);
    node.context.set_utf8(false);
    let (_, table, _) = node.run(&["pveum", "user", "list"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[0].starts_with("+----------+---------+") && lines[2].starts_with("+==========+=========+"));
    assert!(lines[3].starts_with("| root@pam | ??      |"), "{table}");
    let (_, json, _) = node.run(&["pveum", "user", "list", "--output-format", "json"]);
    assert!(json.contains("\"comment\":\"ü✓\""), "{json}");
}
