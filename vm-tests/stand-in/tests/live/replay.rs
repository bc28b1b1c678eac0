//! Transcripts 35 and 36 again, with the kernel of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::live::write;
use super::transcript::{Item, Transcript};

/// A little longer than a round of the daemon.
const ROUND: Duration = Duration::from_secs(11);

/// The daemon and where its tools are.
pub struct Machine {
    path: String,
    daemon: Option<Child>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

impl Machine {
    /// Links the stand-in's tools into a directory of this namespace.
    pub fn new(program: &str) -> Self {
        fs::create_dir_all("/run/bin").expect("a directory");
        for tool in ["pve-firewall", "pvesh"] {
            let _ = std::os::unix::fs::symlink(program, format!("/run/bin/{tool}"));
        }
        let path = format!("/run/bin:{}", std::env::var("PATH").unwrap_or_default());
        Self { path, daemon: None }
    }

    /// Runs a shell line: status, both outputs.
    pub fn run(&self, line: &str) -> (i32, String, String) {
        let output = Command::new("bash").args(["-c", line]).env("PATH", &self.path).output().expect("bash");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(255), text(&output.stdout), text(&output.stderr))
    }

    /// Starts the daemon.
    pub fn start(&mut self) {
        let daemon = Command::new("/run/bin/pve-firewall")
            .args(["start", "--stand-in-daemon"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.daemon = Some(daemon.expect("the daemon"));
        sleep(Duration::from_secs(2));
    }

    /// Ends it with SIGTERM; true if it ended well.
    pub fn stop(&mut self) -> bool {
        self.run("kill $(cat /run/pve-firewall.pid)");
        self.daemon.take().is_some_and(|mut daemon| daemon.wait().is_ok_and(|status| status.success()))
    }

    /// Replays one command: nothing to say if it did what the recorded one did.
    pub fn replay(&mut self, item: &Item, title: &str) -> Option<String> {
        let line = item.argv.join(" ");
        let line = line.strip_prefix("bash -c ").unwrap_or(&line);
        if only_writes(item) {
            prepare(item, title);
            return None;
        }
        let expected = String::from_utf8_lossy(&item.stdout).into_owned();
        if line.starts_with("kill ") {
            let ended = self.stop();
            let (_, status, _) = self.run("pve-firewall status");
            return difference(&lines(&format!("{expected}true\n")), &lines(&format!("{status}{ended}\n")));
        }
        if line.contains("pve-firewall start") {
            self.start();
            let only = |text: &str| {
                text.lines()
                    .filter(|line| line.contains("--dport 7"))
                    .fold(String::new(), |all, line| all + line + "\n")
            };
            return patiently(|| {
                let (_, rules, _) = self.run("iptables-save");
                difference(&lines(&only(&expected)), &lines(&only(&rules)))
            });
        }
        if title.contains("later") || title.contains("after") && !title.contains("right after") {
            sleep(ROUND);
        }
        let own = line.split("; grep \"pve-firewall").next().unwrap_or_default();
        let messages = String::from_utf8_lossy(&item.stderr).into_owned();
        let recorded = everything(item.exit == 0, &expected, &messages);
        patiently(|| {
            let (status, output, errors) = self.run(own);
            difference(&recorded, &everything(status == 0, &output, &errors))
        })
    }
}

/// Puts the files there that a shell line had written.
fn prepare(item: &Item, title: &str) {
    for (path, file) in &item.changed {
        let text = file.as_ref().map(|file| String::from_utf8_lossy(&file.content).into_owned());
        write(path, &text.unwrap_or_default());
    }
    // Here the recorder had waited without saying so.
    if matches!(title.trim(), "good again" | "disable") {
        sleep(ROUND);
    }
}

/// Looks again for a while: on a busy machine the daemon may be late.
fn patiently(look: impl Fn() -> Option<String>) -> Option<String> {
    let mut found = look();
    for _ in 0..20 {
        if found.is_none() {
            break;
        }
        sleep(Duration::from_secs(1));
        found = look();
    }
    found
}

/// Status class and both outputs.
fn everything(success: bool, output: &str, errors: &str) -> Lines {
    let mut found = lines(output);
    found.insert("stderr".to_owned(), lines(errors).into_values().flatten().collect());
    found.insert("status".to_owned(), vec![success.to_string()]);
    found
}

/// Whether a recorded shell line only prepares files: there is nothing to compare then.
fn only_writes(item: &Item) -> bool {
    item.argv.iter().any(|word| word.contains("cat > /etc/pve") || word.contains("rm -f /etc/pve"))
}

/// Lines by chain; what differs between versions of the tools and from run to run is left out.
type Lines = BTreeMap<String, Vec<String>>;

fn lines(text: &str) -> Lines {
    let mut found = Lines::new();
    let mut table = "filter".to_owned();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            name.clone_into(&mut table);
        }
        let passing = ["#", "*", "COMMIT", "<", "Size in memory", "Header:", "trying to acquire", " OK"];
        let built_in = [":INPUT", ":OUTPUT", ":FORWARD", ":PREROUTING", ":POSTROUTING"];
        let processes = line.contains("pve-firewal[l]") || line.contains("<defunct>");
        if table != "filter"
            || processes
            || passing.iter().chain(&built_in).any(|start| line.starts_with(start))
        {
            continue;
        }
        let line = line.replace("-p igmp", "-p 2");
        let line = if line.starts_with("ipset v") { "ipset: no such set".to_owned() } else { line };
        let chain = line.strip_prefix("-A ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        found.entry(chain.to_owned()).or_default().push(line);
    }
    // Chains and sets are listed in the order in which they were made.
    if let Some(others) = found.get_mut("") {
        others.sort_unstable();
    }
    found
}

fn difference(recorded: &Lines, replayed: &Lines) -> Option<String> {
    let mut text = String::new();
    for chain in recorded.keys().chain(replayed.keys()) {
        let (one, other) = (recorded.get(chain), replayed.get(chain));
        if one != other && !text.contains(&format!("\n    {chain}\n")) {
            text.push_str(&format!("\n    {chain}\n      recorded {one:?}\n      replayed {other:?}"));
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Titles of the commands, which say how long the recorder had waited.
pub fn titles(content: &str) -> Vec<String> {
    let heads = content.lines().filter_map(|line| line.strip_prefix("=== ["));
    heads.map(|head| head.split_once(']').map(|(_, title)| title.to_owned()).unwrap_or_default()).collect()
}

/// Replays a recording: how many commands, and what was different.
pub fn recording(machine: &mut Machine, name: &str, left_out: &[usize]) -> (usize, Vec<String>) {
    let path = format!("{}/transcripts/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let content = fs::read(path).expect("a recording");
    let transcript = Transcript::read(name, &content);
    let titles = titles(&String::from_utf8_lossy(&content));
    let (mut count, mut different) = (0, Vec::new());
    for (item, title) in transcript.items.iter().zip(titles) {
        if left_out.contains(&item.number) {
            continue;
        }
        count += usize::from(!only_writes(item));
        if let Some(found) = machine.replay(item, &title) {
            different.push(format!("{name} [{}] {}{found}", item.number, item.argv.join(" ")));
        }
    }
    (count, different)
}
