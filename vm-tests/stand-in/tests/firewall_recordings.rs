//! Replays the recordings of the real firewall tools (transcripts 30 to 37) and compares what comes out: status class,
//! both outputs, the files.
//!
//! Set `STAND_IN_TRANSCRIPTS` to their directory; without it they are looked for beside the checkout.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

mod recording;

use std::fs;
use std::path::{Path, PathBuf};

use recording::{Item, Recording, directory};
use stand_in::api::{self, Verb};
use stand_in::command_line::parameter::Parameters;
use stand_in::context::{Captured, Context};

/// A directory like the root of the recorded node.
struct Node {
    root: tempfile::TempDir,
    output: Captured,
    warnings: Captured,
    context: Context,
}

const ROUTES: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                      vmbr0\t00000000\t010AA8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                      vmbr0\t000AA8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";

impl Node {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        for (path, text) in [
            ("etc/hosts", "127.0.0.1 localhost\n192.168.10.5 pve1.test.local pve1\n"),
            ("proc/net/route", ROUTES),
            ("etc/pve/nodes/pve1/keep", ""),
            ("etc/pve/priv/lock/keep", ""),
        ] {
            put(&root.path().join(path), text.as_bytes());
        }
        let (output, warnings) = (Captured::default(), Captured::default());
        let context = Context::replay(root.path(), "pve1", 1_795_325_400, output.clone(), warnings.clone());
        Self { root, output, warnings, context }
    }

    fn set(&self, path: &str, content: Option<&[u8]>) {
        let path = self.root.path().join(path.trim_start_matches('/'));
        match content {
            Some(content) => put(&path, content),
            None => drop(fs::remove_file(path)),
        }
    }

    fn run(&self, argv: &[String]) -> (u8, String, String) {
        let (program, arguments) = argv.split_first().expect("a command");
        let status = if program == "pvesh-old" {
            self.get_as_before(&arguments[1])
        } else {
            stand_in::run(program, arguments, &self.context)
        };
        let text = |captured: &Captured| String::from_utf8_lossy(&captured.take()).into_owned();
        (status, text(&self.output), text(&self.warnings))
    }

    /// The `get` of the pvesh before the recorded one, which did not mind a schema without properties.
    fn get_as_before(&self, path: &str) -> u8 {
        let route = api::find(Verb::Get, path).expect("a method");
        match route.method.call(&self.context, &Parameters::default()) {
            Ok(value) => {
                self.context.print(&format!("{value}\n"));
                0
            }
            Err(failure) => {
                self.context.warn(&failure.text());
                failure.status()
            }
        }
    }

    fn file(&self, path: &str) -> Option<String> {
        fs::read(self.root.path().join(path.trim_start_matches('/')))
            .ok()
            .map(|content| String::from_utf8_lossy(&content).into_owned())
    }
}

fn put(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, content).expect("a file");
}

/// The text with its options in alphabetical order, since Perl's order is random.
fn ordered_options(text: &str) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    if let Some(start) = lines.iter().position(|line| *line == "[OPTIONS]") {
        let from = start + 2;
        let end = lines[from.min(lines.len())..]
            .iter()
            .position(|line| line.is_empty())
            .map_or(lines.len(), |n| from + n);
        if from < end {
            lines[from..end].sort_unstable();
        }
    }
    lines.join("\n")
}

/// Messages without what belongs to the machine of the recordings, and with fields of one rule in alphabetical order.
fn comparable(stderr: &str) -> Vec<String> {
    const ARTEFACTS: [&str; 4] = [
        "# Warning: iptables-legacy tables present",
        "Compilation failed in require",
        "BEGIN failed--compilation aborted",
        "trying to acquire lock...",
    ];
    let mut lines: Vec<String> = stderr
        .lines()
        .filter(|line| !ARTEFACTS.iter().any(|artefact| line.starts_with(artefact)) && *line != " OK")
        .map(str::to_owned)
        .collect();
    let mut start = 0;
    while start < lines.len() {
        let end =
            lines[start..].iter().position(|line| !line.starts_with("  ")).map_or(lines.len(), |n| start + n);
        lines[start..end].sort_unstable();
        start = end + 1;
    }
    lines
}

fn difference(name: &str, expected: &str, found: &str) -> String {
    let at = expected.lines().zip(found.lines()).position(|(one, other)| one != other);
    let at = at.unwrap_or_else(|| expected.lines().count().min(found.lines().count()));
    let line = |text: &str| text.lines().nth(at).unwrap_or("(end)").to_owned();
    format!("{name} line {}: recorded {:?}, found {:?}", at + 1, line(expected), line(found))
}

/// What differs between a recorded command and its replay.
fn compare(node: &Node, item: &Item, argv: &[String], shell: Shell) -> Vec<String> {
    let (status, output, warnings) = node.run(argv);
    let (status, output) = shell(status, output);
    let mut differences = Vec::new();
    if (status == 0) != (item.exit == 0) {
        differences.push(format!("status: recorded {}, found {status}", item.exit));
    }
    if output != item.stdout {
        differences.push(difference("stdout", &item.stdout, &output));
    }
    let (expected, found) = (comparable(&item.stderr), comparable(&warnings));
    if expected != found {
        differences.push(difference("stderr", &expected.join("\n"), &found.join("\n")));
    }
    for path in ["/etc/pve/firewall/cluster.fw", "/etc/pve/nodes/pve1/host.fw"] {
        let expected = item.after(path).map(|text| ordered_options(&text));
        let found = node.file(path).map(|text| ordered_options(&text));
        if expected != found {
            let text = |text: Option<String>| text.unwrap_or_else(|| "(absent)".to_owned());
            differences.push(difference(path, &text(expected), &text(found)));
        }
    }
    differences
}

/// What a shell made of a command's output and status.
type Shell = fn(u8, String) -> (u8, String);

/// The command to run for a recorded one and what the shell around it did, or why there is none.
fn command(item: &Item) -> Result<(Vec<String>, Shell), String> {
    let compile = || vec!["pve-firewall".to_owned(), "compile".to_owned()];
    let words: Vec<&str> = item.argv.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["pvesh" | "pve-firewall", ..] => Ok((item.argv.clone(), |status, output| (status, output))),
        ["pvesh-old", "get", ..] => Ok((item.argv.clone(), |status, output| (status, output))),
        ["bash", "-c", "pve-firewall compile >/dev/null; echo \"compile rc=$?\""] => {
            Ok((compile(), |status, _| (0, format!("compile rc={status}\n"))))
        }
        ["bash", "-c", "pve-firewall compile | grep -E \"HOST-IN -p tcp\""] => {
            Ok((compile(), |_, output| {
                let lines = output.lines().filter(|line| line.contains("HOST-IN -p tcp"));
                (0, lines.map(|line| format!("{line}\n")).collect())
            }))
        }
        ["bash" | "ls", ..] => Err("a shell command that prepares or looks".to_owned()),
        [other, ..] => Err(format!("{other} is not part of the stand-in's firewall")),
        [] => Err("no command".to_owned()),
    }
}

struct Tally {
    equal: usize,
    different: Vec<String>,
    skipped: Vec<String>,
}

impl Tally {
    fn count(&mut self, node: &Node, item: &Item, name: &str, left_out: &[(usize, &str)]) {
        let reason = left_out.iter().find(|(number, _)| *number == item.number);
        let command = reason.map_or_else(|| command(item), |(_, reason)| Err((*reason).to_owned()));
        match command {
            Ok((argv, shell)) => match compare(node, item, &argv, shell).as_slice() {
                [] => self.equal += 1,
                differences => self.different.push(format!("{name}\n    {}", differences.join("\n    "))),
            },
            Err(reason) => self.skipped.push(format!("{name}: {reason}")),
        }
    }
}

fn replay(directory: &Path, file: &str, left_out: &[(usize, &str)]) -> Tally {
    let recording = Recording::read(&directory.join(file));
    let node = Node::new();
    for (path, content) in &recording.initial {
        node.set(path, content.as_deref());
    }
    let mut tally = Tally { equal: 0, different: Vec::new(), skipped: Vec::new() };
    for item in &recording.items {
        let name = format!("{file} [{}] {}", item.number, item.argv.join(" ").replace('\n', "\\n"));
        if let Some(time) = item.stored_time() {
            node.context.set_time(time);
        }
        if is_ours(item) {
            tally.count(&node, item, &name, left_out);
        }
        for (path, content) in &item.files {
            node.set(path, content.as_deref());
        }
    }
    tally
}

const SYSTEMD: &str = "systemd's own words on a machine without it";
const KERNEL: &str = "a listing of the kernel's rules";
const RUNNING: &str = "the daemon ran: see the live test";
const HELP: &str = "the long help texts are not copied";

/// Recordings, and what of them is left out for a reason.
const RECORDINGS: [(&str, &[(usize, &str)]); 7] = [
    ("24-wrong-forms.txt", &[(16, HELP), (34, HELP)]),
    (
        "30-fw-options.txt",
        &[(21, "exit 1 came from the missing systemd of the recording; 37 has the clean one")],
    ),
    ("31-fw-ipset-alias.txt", &[]),
    ("32-fw-rules.txt", &[(9, "the set was made between two recorded commands")]),
    ("33-fw-compile-errors.txt", &[(59, SYSTEMD), (70, SYSTEMD), (61, KERNEL), (62, KERNEL), (69, KERNEL)]),
    ("36-fw-apply-failures.txt", &[(6, RUNNING), (11, RUNNING), (16, RUNNING), (21, RUNNING), (26, RUNNING)]),
    ("37-fw-enable-2-dport-0.txt", &[]),
];

/// Whether a command belongs to the firewall.
fn is_ours(item: &Item) -> bool {
    item.argv.iter().any(|word| word.contains("firewall"))
}

#[test]
fn d2_the_recorded_firewall_commands_give_what_they_gave() {
    let Some(directory) = directory() else {
        eprintln!("no recordings here: nothing compared");
        return;
    };
    let (mut equal, mut different, mut skipped) = (0, Vec::new(), Vec::new());
    for (file, left_out) in &RECORDINGS {
        let tally = replay(&directory, file, left_out);
        println!(
            "{file}: {} equal, {} different, {} left out",
            tally.equal,
            tally.different.len(),
            tally.skipped.len()
        );
        equal += tally.equal;
        different.extend(tally.different);
        skipped.extend(tally.skipped);
    }
    for line in &skipped {
        println!("left out: {line}");
    }
    println!("{equal} equal, {} different, {} left out", different.len(), skipped.len());
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// The file of transcript 34, with one line put in.
fn catalogue_file(section: &str, line: &str) -> String {
    let at = |name: &str| if section == name { format!("{line}\n") } else { String::new() };
    format!(
        "[OPTIONS]\nenable: 1\n{}[ALIASES]\ngood 10.0.0.0/8\n{}[IPSET ok]\n10.0.0.0/24\n{}[RULES]\n{}IN ACCEPT -p tcp -dport 2222\n{}",
        at("OPTIONS"),
        at("ALIASES"),
        at("IPSET ok"),
        at("RULES"),
        at("end of file")
    )
}

#[test]
fn d2_every_wrong_line_of_the_catalogue_is_read_as_the_real_tool_read_it() {
    let Some(directory) = directory() else { return };
    let text = fs::read_to_string(directory.join("34-fw-error-catalogue.txt")).expect("the catalogue");
    let (mut equal, mut different) = (0, Vec::new());
    for case in text.split("\n=== [").skip(1) {
        let (title, rest) = case.split_once('\n').expect("a title");
        let (_, what) = title.split_once("section ").expect("a section");
        let (section, line) = what.split_once(": '").expect("a line");
        let line = line.strip_suffix('\'').expect("an end").replace("\\n", "\n");
        let node = Node::new();
        node.set("/etc/pve/firewall/cluster.fw", Some(catalogue_file(section, &line).as_bytes()));
        let (status, output, warnings) = node.run(&["pve-firewall".to_owned(), "compile".to_owned()]);
        let (head, interesting) = rest.split_once("--- compile lines of interest\n").expect("lines");
        let (exit, stderr) = head.split_once("\n--- stderr\n").expect("stderr");
        let found: Vec<&str> = output
            .lines()
            .filter(|line| {
                line.starts_with("\tadd PVEFW")
                    || line.contains("-A PVEFW-HOST-IN")
                    || line.ends_with("changes")
                    || *line == "firewall disabled"
            })
            .collect();
        let expected: Vec<&str> = interesting.lines().filter(|line| !line.is_empty()).collect();
        let same = (exit == "exit: 0") == (status == 0)
            && comparable(stderr) == comparable(&warnings)
            && expected == found;
        if same {
            equal += 1;
        } else {
            let stderr =
                difference("stderr", &comparable(stderr).join("\n"), &comparable(&warnings).join("\n"));
            let lines = difference("lines", &expected.join("\n"), &found.join("\n"));
            different.push(format!("[{title}\n    {exit} {status}\n    {stderr}\n    {lines}"));
        }
    }
    println!("34-fw-error-catalogue.txt: {equal} equal, {} different", different.len());
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn the_recordings_are_found_where_the_environment_says() {
    let path: Option<PathBuf> = std::env::var_os("STAND_IN_TRANSCRIPTS").map(PathBuf::from);
    assert!(path.is_none_or(|path| path.is_dir()));
}
