//! The wizard, typed into by keys and read from the screen: part 5's virtual machines.

mod terminal;

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::hook;
use super::second_factor::totp;
use crate::bench::{BINARY_PATH, Bench};
use crate::host;
use crate::machine::Screen;
use crate::network::Side;
use crate::node::Node;
use crate::payload::{ADMIN, ADMIN_PASSWORD};
use crate::picture::{codes, secret_of};
use crate::progress::say;
use crate::workspace::KeyPair;
use terminal::{Keyboard, Line, Remote, Terminal};

/// Where it saves the answer.
const SAVED_PATH: &str = "/root/answer.toml";
const ISSUE_PATH: &str = "/etc/issue.d/firstlight.issue";
const ROOT_KEYS_PATH: &str = "/root/.ssh/authorized_keys";

/// The prompts up to the plan on this guest, and what is typed there: root's key is on the node.
const RUN: [(&str, &str); 9] = [
    ("Login name [ops]:", ""),
    ("Public key [r]:", ""),
    ("Another key, or Enter to go on:", ""),
    ("Password:", ADMIN_PASSWORD),
    ("The same again:", ADMIN_PASSWORD),
    ("Which [1]:", ""),
    ("Networks", "any"),
    ("Who gets one [1]:", ""),
    ("Which [1]:", ""),
];
const LAST: &str = "Numbers, or Enter for nothing:";

/// VGA's text of 80×25, by the keyboard.
pub fn on_a_screen(bench: &mut Bench) -> Result<()> {
    host::install_for_tests(&["zbarimg"])?;
    let workspace = bench.workspace().clone();
    let admin = bench.payload()?.admin_key.clone();
    let node = bench.pve_with_screen(Screen::Text)?;
    prepare(node, &admin)?;
    node.ok("systemctl stop getty@tty1.service; printf '\\033[2J\\033[H' > /dev/tty1")?;
    begin(node, "tty1", "linux")?;
    let since = Instant::now();
    let picture = |name: &str| workspace.picture(&format!("wizard-{name}.png"));
    let mut keyboard = Keyboard;
    // Back, help and a wrong answer by single keys.
    keyboard.until(node, RUN[0].0)?;
    node.screenshot(&picture("first-question"))?;
    keyboard.line(node, "root")?;
    keyboard.until(node, "Not accepted: must not be root")?;
    keyboard.line(node, "")?;
    keyboard.until(node, RUN[1].0)?;
    keyboard.line(node, "?")?;
    keyboard.until(node, "ssh-keygen -lf FILE")?;
    keyboard.line(node, "<")?;
    to_the_plan(node, &mut keyboard)?;
    node.screenshot(&picture("plan"))?;
    apply(node, &mut keyboard)?;
    node.screenshot(&picture("waiting"))?;
    log_in_anew(node, &admin)?;
    for user in ["root@pam", "ops@pam"] {
        // Where a font had to be loaded, it goes before the code is asked for.
        let asks = format!("Code of {user}:");
        let loaded = keyboard.until_either(node, "Enter, when it is scanned:", &asks)?;
        let path = picture(user);
        node.screenshot(&path)?;
        let codes = codes(&path)?;
        ensure!(codes.len() == 1, "{} codes are on the screen: {}", codes.len(), path.display());
        if loaded {
            keyboard.line(node, "")?;
            keyboard.until(node, &asks)?;
        }
        enrol(node, &mut keyboard, &codes[0], user)?;
    }
    ended(node, since, "tty1")
}

/// A serial line of 80×24; before it Ctrl-C at every question.
pub fn on_a_line(bench: &mut Bench) -> Result<()> {
    let admin = bench.payload()?.admin_key.clone();
    let node = bench.pve_with_line()?;
    prepare(node, &admin)?;
    let before = node.manifest()?;
    let mut line = Line::open(node)?;
    for questions in 0..=RUN.len() {
        line.forget(node)?;
        begin(node, "ttyS0", "vt220")?;
        for (prompt, typed) in RUN.iter().take(questions) {
            line.until(node, prompt)?;
            line.line(node, typed)?;
        }
        line.until(node, RUN.get(questions).map_or(LAST, |(prompt, _)| prompt))?;
        line.keys("\x03")?;
        node.wait_for("it has ended", 20, "! pgrep -f '[f]irstlight wizard'")?;
        let modes = node.ok("stty -F /dev/ttyS0 -a")?;
        ensure!(modes.contains(" echo ") && modes.contains(" icanon"), "the terminal is left as {modes}");
    }
    let after = node.manifest()?;
    ensure!(before == after, "Ctrl-C at a question has changed something");
    line.forget(node)?;
    begin(node, "ttyS0", "vt220")?;
    let since = Instant::now();
    to_the_plan(node, &mut line)?;
    apply(node, &mut line)?;
    line.line(node, "confirm")?;
    for user in ["root@pam", "ops@pam"] {
        line.until(node, &format!("Code of {user}:"))?;
        let uri = offered(node, user)?;
        let secret = secret_of(&uri)?;
        ensure!(secret.len() == 32, "the secret of {user} is {} letters long", secret.len());
        // A line that is typed into loses bytes in QEMU: what is drawn on one is read in `totp-first-boot`.
        enrol(node, &mut line, &uri, user)?;
    }
    ended(node, since, "ttyS0")
}

/// The SSH client is killed at a question, while the run works, and while it waits.
pub fn dropped(bench: &mut Bench) -> Result<()> {
    let admin = bench.payload()?.admin_key.clone();
    let node = bench.pve()?;
    prepare(node, &admin)?;
    let root = node.root_key().clone();
    // At a question: nothing happened.
    let before = node.manifest()?;
    let mut remote = Remote::open(node, &root)?;
    remote.until(node, RUN[0].0)?;
    drop(remote);
    node.wait_for("it has ended", 30, "! pgrep -f '[f]irstlight wizard'")?;
    ensure!(before == node.manifest()?, "a line that was dropped at a question has changed something");
    // In the middle of the run: it goes on without its reader, and waits for a login that does not come yet.
    let mut remote = Remote::open(node, &root)?;
    to_the_plan(node, &mut remote)?;
    remote.line(node, "apply")?;
    node.wait_for("the run has begun", 60, "grep -aqs intent /var/lib/firstlight/tx/*/journal")?;
    drop(remote);
    node.wait_for("it waits", 300, "grep -aqs waiting /var/lib/firstlight/tx/*/journal")?;
    // The next one says so, and a new login ends it.
    let mut remote = Remote::open(node, &root)?;
    remote.until(node, "Type confirm to keep everything without a login")?;
    drop(remote);
    node.wait_for("it has ended", 30, "! pgrep -f '[f]irstlight wizard'")?;
    let status = node.run(&format!("{BINARY_PATH} status"))?;
    ensure!(status.status == 4, "status answers {}: {}", status.status, status.stdout);
    let mut remote = Remote::open(node, &root)?;
    remote.until(node, "Type confirm to keep everything without a login")?;
    log_in_anew(node, &admin)?;
    remote.until(node, "Code of root@pam:")?;
    drop(remote);
    hook::expect_outcome(node, "committed").map(drop)
}

/// The line of the hook, and a key of root's own.
fn prepare(node: &mut Node, admin: &KeyPair) -> Result<()> {
    node.ok(&format!("mkdir -p /etc/issue.d && : > {ISSUE_PATH}"))?;
    node.ok(&format!("echo '{} ops@desk' >> {ROOT_KEYS_PATH}", key_of(&admin.public)))?;
    Ok(())
}

/// Type and blob, without the comment.
fn key_of(line: &str) -> String {
    line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Starts it on a terminal of the node, as a shell that somebody has logged in to would.
fn begin(node: &mut Node, terminal: &str, term: &str) -> Result<()> {
    node.ok(&format!(
        "rm -f {SAVED_PATH}; stty -F /dev/{terminal} sane; TERM={term} setsid --ctty --fork {BINARY_PATH} \
         wizard --save {SAVED_PATH} < /dev/{terminal} > /dev/{terminal} 2>&1"
    ))
    .map(drop)
}

fn to_the_plan(node: &mut Node, terminal: &mut dyn Terminal) -> Result<()> {
    for (prompt, typed) in RUN {
        terminal.until(node, prompt)?;
        terminal.line(node, typed)?;
    }
    terminal.until(node, LAST)?;
    terminal.line(node, "")?;
    while terminal.until_either(node, "Enter shows more, q is enough:", "< to go back:")? {
        terminal.line(node, "")?;
    }
    Ok(())
}

fn apply(node: &mut Node, terminal: &mut dyn Terminal) -> Result<()> {
    ensure!(!node.holds("test -e /var/lib/firstlight/tx")?, "something was begun before the word was typed");
    terminal.line(node, "apply")?;
    terminal.until_late(node, "Type confirm to keep everything without a login")
}

fn log_in_anew(node: &mut Node, admin: &KeyPair) -> Result<()> {
    let login = node.ssh(Side::Management, ADMIN, admin, "true")?;
    ensure!(login.status == 0, "the admin does not get in: {}", login.stderr);
    Ok(())
}

/// The URI that waits for its first code.
fn offered(node: &mut Node, user: &str) -> Result<String> {
    let text =
        String::from_utf8(node.get("/run/firstlight/handover.txt")?).context("reading the hand-over")?;
    let title = format!("TOTP of {user}, not enrolled yet\n");
    let body = text.split("## ").find_map(|part| part.strip_prefix(&title)).context("nothing is on offer")?;
    Ok(body.trim().lines().next().unwrap_or_default().to_owned())
}

fn enrol(node: &mut Node, terminal: &mut dyn Terminal, uri: &str, user: &str) -> Result<()> {
    terminal.line(node, "000")?;
    terminal.until(node, "Not one of this secret's.")?;
    ensure!(
        !node.ok("cat /etc/pve/priv/tfa.cfg 2>/dev/null || true")?.contains(secret_of(uri)?),
        "it counts already"
    );
    let code = totp(node, uri, 0)?;
    terminal.line(node, code.trim_start_matches("totp:"))?;
    terminal.until(node, "Type kept once they lie in a safe place:")?;
    terminal.line(node, "kept")?;
    terminal.until(node, &format!("A second device for {user}"))?;
    terminal.line(node, "n")
}

fn ended(node: &mut Node, since: Instant, terminal: &str) -> Result<()> {
    node.wait_for("it has ended", 60, "! pgrep -f '[f]irstlight wizard'")?;
    say(format_args!("  {} s from the first question to the last code", since.elapsed().as_secs()));
    ensure!(!node.holds(&format!("test -e {ISSUE_PATH}"))?, "the line on the login screen is still there");
    node.ok(&format!("[ $(stat -c %a {SAVED_PATH}) = 600 ] && {BINARY_PATH} check {SAVED_PATH}"))?;
    for user in ["root@pam", "ops@pam"] {
        ensure!(node.ok("cat /etc/pve/priv/tfa.cfg")?.contains(user), "{user} has no second factor");
    }
    ensure!(
        !node.ok(&format!("stty -F /dev/{terminal} -a"))?.contains("-echo "),
        "the terminal does not echo"
    );
    hook::expect_outcome(node, "committed").map(drop)
}
