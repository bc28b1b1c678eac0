//! A directory like the root of the recorded node, and the replay of one command in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use stand_in::access::ticket;
use stand_in::api::{self, Verb};
use stand_in::command_line::parameter::Parameters;
use stand_in::context::{Captured, Context};

use super::transcript::{File, Files, Item};

/// What a replayed command left.
pub struct Outcome {
    /// Its status.
    pub status: u8,
    /// Its output.
    pub stdout: Vec<u8>,
    /// Its errors.
    pub stderr: Vec<u8>,
    /// The watched files after it.
    pub files: Files,
}

/// The node.
pub struct Node {
    root: tempfile::TempDir,
    output: Captured,
    warnings: Captured,
    context: Context,
}

/// The passwords of the recorded node's system users, `testroot1` and `testops12`, as SHA-256 hashes.
const SHADOW: &str = "root:$5$recorded$ROOT:19000:0:99999:7:::\nops:$5$recorded$OPS:19000:0:99999:7:::\n";
const ROUTES: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                      vmbr0\t00000000\t010AA8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                      vmbr0\t000AA8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";

impl Node {
    /// The node at the beginning of a recording.
    pub fn new(initial: &Files) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        for (path, text) in [
            ("/etc/hosts", "127.0.0.1 localhost\n192.168.10.5 pve1.test.local pve1\n"),
            ("/etc/shadow", SHADOW),
            ("/proc/net/route", ROUTES),
            ("/etc/pve/priv/authkey.key", "a key of the test\n"),
            ("/etc/pve/nodes/pve1/pve-ssl.pem", ""),
        ] {
            put(&below(root.path(), path), text.as_bytes());
        }
        fs::create_dir_all(root.path().join("etc/pve/priv/lock")).expect("a directory");
        let (output, warnings) = (Captured::default(), Captured::default());
        let context = Context::replay(root.path(), "pve1", 0, output.clone(), warnings.clone());
        let node = Self { root, output, warnings, context };
        for (user, password) in [("root@pam", "testroot1"), ("ops@pam", "testops12")] {
            stand_in::access::shadow::set_password(&node.context, user, password).expect("a password");
        }
        node.restore(initial);
        node
    }

    /// Makes the watched files what they were on the recorded node, so that no difference lives on.
    pub fn restore(&self, files: &Files) {
        for (path, file) in files {
            let path = below(self.root.path(), path);
            match file {
                Some(file) => {
                    put(&path, &file.content);
                    let mode = if file.mode.contains("w-r") { 0o640 } else { 0o600 };
                    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
                }
                None => drop(fs::remove_file(path)),
            }
        }
    }

    /// Says whether pmxcfs runs, and with quorum.
    pub fn set_pmxcfs(&self, up: bool, quorum: bool) {
        let down = below(self.root.path(), "/etc/pve-stand-in/pmxcfs-down");
        let cluster = below(self.root.path(), "/etc/pve/corosync.conf");
        if up {
            drop(fs::remove_file(down))
        } else {
            put(&down, b"")
        }
        if quorum { drop(fs::remove_file(cluster)) } else { put(&cluster, b"") }
    }

    /// What one of the kernel's tools says.
    pub fn set_kernel(&self, tool: &str, text: &str) {
        put(&below(self.root.path(), &format!("/etc/pve-stand-in/kernel/{tool}")), text.as_bytes());
    }

    /// Replays a command at this time. None if it is not one of ours.
    pub fn replay(&mut self, item: &Item, time: u64) -> Option<Outcome> {
        let command = Invocation::of(&item.argv)?;
        self.context.set_time(time);
        self.context.set_input(item.input.clone().into_bytes());
        self.context.set_privileged(command.privileged);
        let mut arguments = command.arguments;
        self.answer_own_challenge(&mut arguments);
        let status = if command.program == "pvesh-old" {
            self.get_as_before(arguments.get(1)?)
        } else {
            stand_in::run(&command.program, &arguments, &self.context)
        };
        let files = item.after.keys().map(|path| (path.clone(), self.file(path))).collect();
        let (status, stdout) = command.shell.pass(status, self.output.take());
        Some(Outcome { status, stdout, stderr: self.warnings.take(), files })
    }

    /// Runs `pve-firewall compile` on this cluster.fw.
    pub fn compile(&self, content: &str) -> (u8, Vec<u8>, Vec<u8>) {
        put(&below(self.root.path(), "/etc/pve/firewall/cluster.fw"), content.as_bytes());
        let status = stand_in::run("pve-firewall", &["compile".to_owned()], &self.context);
        (status, self.output.take(), self.warnings.take())
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

    /// The recorded challenge came from a first step that was not recorded, and has PVE's signature: takes that step.
    fn answer_own_challenge(&self, arguments: &mut [String]) {
        let value =
            |name: &str| arguments.iter().position(|argument| argument == name).map(|position| position + 1);
        let (Some(challenge), Some(user)) = (value("--tfa-challenge"), value("--username")) else { return };
        let answer =
            ticket::log_in(&self.context, &arguments[user], "testroot1", None).expect("a first step");
        let own = answer.get("ticket").and_then(serde_json::Value::as_str).expect("a challenge");
        arguments[challenge] = own.to_owned();
    }

    fn file(&self, path: &str) -> Option<File> {
        let path = below(self.root.path(), path);
        let content = fs::read(&path).ok()?;
        let mode = fs::metadata(&path).ok()?.permissions().mode();
        let letters = ["r", "w", "x"];
        let bits = (0..9).map(|bit| if mode & 0o400 >> bit == 0 { "-" } else { letters[bit % 3] });
        Some(File { mode: format!("-{}", bits.collect::<String>()), content })
    }
}

/// What a shell around a command made of its output.
enum Shell {
    None,
    /// `>/dev/null; echo "compile rc=$?"`
    Status,
    /// `| grep -E "HOST-IN -p tcp"`
    Grep,
}

impl Shell {
    fn pass(&self, status: u8, stdout: Vec<u8>) -> (u8, Vec<u8>) {
        match self {
            Self::None => (status, stdout),
            Self::Status => (0, format!("compile rc={status}\n").into_bytes()),
            Self::Grep => {
                let text = String::from_utf8_lossy(&stdout).into_owned();
                let lines = text.lines().filter(|line| line.contains("HOST-IN -p tcp"));
                (0, lines.map(|line| format!("{line}\n")).collect::<String>().into_bytes())
            }
        }
    }
}

/// A recorded command that the stand-in can run.
struct Invocation {
    program: String,
    arguments: Vec<String>,
    privileged: bool,
    shell: Shell,
}

impl Invocation {
    fn of(argv: &[String]) -> Option<Self> {
        let (program, arguments) = argv.split_first()?;
        match program.as_str() {
            "pveum" | "pvesh" | "pvesh-old" | "pve-firewall" => Some(Self {
                program: program.clone(),
                arguments: arguments.to_vec(),
                privileged: true,
                shell: Shell::None,
            }),
            "setpriv" => {
                let command = arguments.iter().position(|argument| !argument.starts_with("--"))?;
                Some(Self { privileged: false, ..Self::of(&arguments[command..])? })
            }
            "bash" => {
                let [_, line] = arguments else { return None };
                Self::of_line(line)
            }
            _ => None,
        }
    }

    /// A shell line that is one command with `time` before it, or with one of two endings.
    fn of_line(line: &str) -> Option<Self> {
        let (words, shell) = if let Some(words) = line.strip_suffix(" >/dev/null; echo \"compile rc=$?\"") {
            (words, Shell::Status)
        } else if let Some(words) = line.strip_suffix(" | grep -E \"HOST-IN -p tcp\"") {
            (words, Shell::Grep)
        } else {
            // What `time` prints to stderr is left out by the comparison.
            (line.strip_prefix("time ")?, Shell::None)
        };
        let plain = words.chars().all(|letter| letter.is_alphanumeric() || " -/@".contains(letter));
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        if plain { Some(Self { shell, ..Self::of(&words)? }) } else { None }
    }
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn put(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, content).expect("a file");
}
