//! Users and second factors where PVE refuses, or the power goes: the node is as it was, or as it should be.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::hook::{self, INSTALLED_PATH};
use super::second_factor::{Handed, log_in, seen, totp};
use super::secrets::nowhere_else;
use crate::agent::Output;
use crate::bench::{BINARY_PATH, Bench};
use crate::node::Node;
use crate::payload::{ADMIN, ADMIN_PASSWORD, ADMIN_PASSWORD_HASH, Payload};
use crate::search::FREE;
use crate::workspace::Workspace;

/// Where an answer lies that wants users and factors alone.
pub const ANSWER_PATH: &str = "/root/vm-tests/users.toml";
/// Where such an answer wants its secrets.
const HANDOVER_PATH: &str = "/root/firstlight-handover.txt";
/// What PVE says about users, in an order of its own, and how many have the mark of a factor in user.cfg. Root has no line
/// there until PVE writes the file for the first time, and no end of its time in either case.
pub const IN_PVE: &str = "for path in users acl tfa domains groups users/guest@pve/token; do pvesh get /access/$path --output-format json 2>/dev/null | sed 's/\"expire\":0,//g'; \
                          done; cat /etc/pve/user.cfg 2>/dev/null | grep -c ':x:$'; getent passwd ops || true";
/// The second run has written down that it failed.
const FAILED: &str = "grep -aqs \"^[0-9a-f]*.failed.\" /var/lib/firstlight/tx/0002/journal";
/// Seconds a run may take natively.
const RUN: u64 = 120;

/// An answer for users, PVE and factors, and nothing that needs packages.
pub fn answer(payload: &Payload, handover: &str) -> String {
    format!(
        "[firstlight]\nschema = 1\nhandover = \"{handover}\"\n\n[firstlight.admin]\nname = \"{ADMIN}\"\nsudo = \"none\"\n\
         ssh-keys = [\"{}\"]\npassword-hash = \"{ADMIN_PASSWORD_HASH}\"\n\n\
         [firstlight.ssh]\nenabled = false\n\n[firstlight.firewall]\nenabled = false\n\n\
         [firstlight.fail2ban]\nenabled = false\n\n[firstlight.updates]\nenabled = false\n",
        payload.admin_key.public
    )
}

/// 4: PVE takes the code for wrong, somebody holds a lock; then it goes well.
pub fn refused(bench: &mut Bench) -> Result<()> {
    let workspace = bench.workspace().clone();
    let node = prepared(bench)?;
    let before = node.ok(IN_PVE)?;

    node.pve().refuse_codes(true)?;
    let said = apply(node)?;
    ensure!(
        said.status == 1,
        "with a wrong code apply ended with {}: {}{}",
        said.status,
        said.stdout,
        said.stderr
    );
    put_back(node, &before, &["TOTP of root@pam", "failed to verify TOTP challenge"])?;
    let told = format!("{}{}", said.stdout, said.stderr);
    ensure!(told.contains("failed to verify TOTP challenge"), "it does not say what PVE said: {told}");
    ensure!(!told.contains("otpauth") && !told.contains("secret="), "it tells a secret: {told}");
    node.pve().refuse_codes(false)?;

    // PVE's tools wait ten seconds; the lock goes as soon as the run has failed, as that of a busy node would.
    let lock = "/etc/pve/priv/lock/file-priv_tfa_cfg";
    node.ok(&format!(
        "mkdir -p /etc/pve/priv/lock && mkdir {lock} && \
         (setsid sh -c 'until {FAILED}; do sleep 0.1; done; rmdir {lock}' > /dev/null 2>&1 < /dev/null &)"
    ))?;
    let said = apply(node)?;
    ensure!(
        said.status == 1,
        "with a lock held apply ended with {}: {}{}",
        said.status,
        said.stdout,
        said.stderr
    );
    put_back(node, &before, &["TOTP of root@pam", "got lock request timeout"])?;

    for how in ["dead", "no quorum"] {
        between_calls(node, how, &before).with_context(|| format!("pmxcfs {how} between two calls"))?;
    }
    let handed = succeeds(node, &workspace)?;
    // What is in the file was in blocks of older ones, too.
    let file = |needle: &str, file: &str| needle != "a planted line" && [HANDOVER_PATH, FREE].contains(&file);
    nowhere_else(node, &workspace, &handed, &file, false)
}

/// 3: pmxcfs goes while one of PVE's tools is at work, and comes back later.
fn between_calls(node: &mut Node, how: &str, before: &str) -> Result<()> {
    if how == "no quorum" {
        node.pve().cluster_of_three()?;
    }
    node.pve().hold(Some("pvesh create /access/tfa/ops@pam"))?;
    start(node)?;
    node.pve().wait_for_held()?;
    if how == "dead" {
        node.pve().kill(true)?
    } else {
        node.pve().quorum(false)?
    }
    node.ok("sleep 1.1")?;
    node.pve().hold(None)?;
    let said = node.run_within(&format!("{INSTALLED_PATH} status --wait=300"), 330)?;
    ensure!(said.status == 5, "with pmxcfs {how} status ended with {}: {}", said.status, said.stdout);
    if how == "dead" {
        node.pve().up()?
    } else {
        node.pve().quorum(true)?
    }
    node.pve().wait_until_up()?;
    node.wait_for("/etc/pve can be written", 20, "test $(stat -c %a /etc/pve/local) = 755")?;
    let back = node.run_within(&format!("{INSTALLED_PATH} recover"), RUN)?;
    ensure!(matches!(back.status, 0 | 1), "recover: {} {}{}", back.status, back.stdout, back.stderr);
    put_back(node, before, &[])?;
    if how == "no quorum" { node.pve().standalone() } else { Ok(()) }
}

/// 7: the power goes when PVE has enrolled and nobody has written that down; then when pmxcfs has lost what was.
pub fn cuts(bench: &mut Bench) -> Result<()> {
    let workspace = bench.workspace().clone();
    let node = prepared(bench)?;
    let before = node.ok(IN_PVE)?;

    node.pve().hold(Some("pvesh create /access/tfa/root@pam"))?;
    start(node)?;
    node.pve().wait_for_held()?;
    node.ok("grep -q otpauth /etc/pve/priv/tfa.cfg && sync /var/lib/pve-cluster/config.db-wal")?;
    cut(node)?;
    put_back(node, &before, &[])?;

    node.pve().hold(Some("pvesh create /access/tfa/root@pam"))?;
    start(node)?;
    node.pve().wait_for_held()?;
    // What comes now is done, and written down as done: root's factor is on the disk, the recovery keys are not.
    node.pve().unwritten(true)?;
    node.pve().hold(Some("pvesh create /access/tfa/ops@pam"))?;
    node.pve().wait_for_held()?;
    node.ok("grep -q '\"recovery\"' /etc/pve/priv/tfa.cfg")?;
    let status = hook::status(node)?;
    let steps = status["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lost = |step: &&Value| {
        step["title"].as_str().is_some_and(|title| title.starts_with("recovery keys of root@pam"))
    };
    let lost = steps.iter().find(lost).context("no step makes root's recovery keys")?;
    ensure!(lost["outcome"] == "done", "what is to be lost is not written down as done: {lost}");
    cut(node)?;
    put_back(node, &before, &[])?;

    succeeds(node, &workspace).map(drop)
}

fn prepared(bench: &mut Bench) -> Result<&mut Node> {
    let answer = answer(bench.payload()?, "file");
    let node = bench.pve()?;
    node.put(ANSWER_PATH, answer.as_bytes(), 0o600)?;
    Ok(node)
}

/// Runs `apply` for nobody who looks.
pub fn apply(node: &mut Node) -> Result<Output> {
    node.run_within(&format!("{BINARY_PATH} apply --confirm none {ANSWER_PATH}"), RUN)
}

fn start(node: &mut Node) -> Result<()> {
    node.ok(&format!(
        "(setsid {BINARY_PATH} apply --confirm none {ANSWER_PATH} > /run/apply.log 2>&1 < /dev/null &)"
    ))
    .map(drop)
}

/// Cuts the power, and waits until recovery has done what it can at the next boot.
fn cut(node: &mut Node) -> Result<()> {
    node.power_cut()?;
    node.power_on()?;
    node.wait_until_up()?;
    node.pve().wait_until_up()?;
    node.pve().synchronise_clock()
}

/// Users, factors and marks are what they were, and the status says why.
fn put_back(node: &mut Node, before: &str, said: &[&str]) -> Result<()> {
    let status = hook::expect_outcome(node, "reverted")?;
    for words in said {
        ensure!(
            status["message"].as_str().unwrap_or_default().contains(words),
            "the status does not say `{words}`: {status}"
        );
    }
    let after = node.ok(IN_PVE)?;
    ensure!(after == before, "PVE's users are not what they were:\n{before}\n{after}");
    ensure!(!node.holds(&format!("test -e {HANDOVER_PATH}"))?, "something is still handed over");
    let left = node.ok("find /etc/pve/priv -name '*.tmp.*' -o -path '*/lock/*'")?;
    ensure!(left.is_empty(), "left behind below /etc/pve: {left}");
    Ok(())
}

/// A later run does it, and what it has put into the file lets in.
fn succeeds(node: &mut Node, workspace: &Workspace) -> Result<Handed> {
    let said = apply(node)?;
    ensure!(
        matches!(said.status, 0 | 3),
        "a later run ended with {}: {}{}",
        said.status,
        said.stdout,
        said.stderr
    );
    let handed = Handed::read(node, HANDOVER_PATH)?;
    let text = node.get(HANDOVER_PATH)?;
    let (codes, modules) = seen(workspace, &text, "totp-file.pgm")?;
    let mut wanted: Vec<&String> = handed.uris.values().collect();
    wanted.sort();
    ensure!(
        codes.iter().collect::<Vec<_>>() == wanted && modules == 33,
        "the file shows {} codes",
        codes.len()
    );
    for (user, password) in [("root@pam", "not a secret"), ("ops@pam", ADMIN_PASSWORD)] {
        let code = totp(node, handed.uri(user)?, 0)?;
        ensure!(log_in(node, user, password, &code)? == 200, "8006 refuses the code of {user}");
    }
    let told = node.run(&format!("{INSTALLED_PATH} status"))?;
    ensure!(matches!(told.status, 0 | 3), "status ended with {}: {}", told.status, told.stdout);
    Ok(handed)
}
