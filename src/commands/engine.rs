//! Every call of the commands into the engine. Thin on purpose: the commands decide nothing about a node, and
//! this file decides nothing at all.

use super::Stop;
use crate::answer::{self, Answer, Identity};
use crate::audit::{self, Audit};
use crate::bake::{self, Baked};
use crate::error::{Error, Result};
use crate::factor::Shown;
use crate::facts::{self, Facts};
use crate::hook::{self, End};
use crate::install;
use crate::manifest::{self, Manifest, Scope};
use crate::node::{Machine, Node, exists, goes_upwards};
use crate::objects::{ObjectId, Objects};
use crate::plan::Plan;
use crate::profile::{Confirm, Profile};
use crate::progress::Watch;
use crate::provision::{self, Planned};
use crate::report::Login;
use crate::transaction::preview::Preview;
use crate::transaction::state::{OBJECTS_DIR, PROFILE_PATH, TransactionId};
use crate::transaction::{self, Limits, Outcome, Stage};
use std::path::{Path, PathBuf};

/// A line of standard input, of at most so many bytes.
pub fn read_line(most: u64) -> Result<String> {
    use std::io::{BufRead, Read};
    let mut line = String::new();
    let read = std::io::stdin().lock().take(most).read_line(&mut line);
    read.map_err(|error| Error::new("reading standard input", error))?;
    Ok(line)
}

/// The machine that this process runs on.
pub fn node() -> Result<Box<dyn Node>> {
    Ok(Box::new(Machine::open(Path::new("/"))?))
}

/// Whether this process may change the machine.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Processor time of this process alone, without the tools it called, in milliseconds (design 11).
pub fn own_milliseconds() -> Option<i64> {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let milliseconds = |time: nix::sys::time::TimeVal| time.tv_sec() * 1000 + time.tv_usec() / 1000;
    Some(milliseconds(usage.user_time()) + milliseconds(usage.system_time()))
}

/// The running program.
pub fn own_executable() -> Result<PathBuf> {
    std::env::current_exe().map_err(|error| Error::new("finding the running program", error))
}

/// The answer in a file of the operator's, for all of its nodes, or for one of them.
pub fn read_answer(
    node: &dyn Node,
    file: &Path,
    who: Option<&dyn Fn() -> Identity>,
) -> std::result::Result<Answer, Stop> {
    let source = file.to_string_lossy();
    let bytes = node.read(&absolute(file)?)?;
    answer::read_for(&source, &bytes, who).map_err(|problems| Stop::refusal(problems.to_string()))
}

/// The same for the node that `--for` names.
pub fn read_answer_for(
    node: &dyn Node,
    file: &Path,
    name: Option<&str>,
) -> std::result::Result<Answer, Stop> {
    let who =
        name.map(Identity::parse).transpose().map_err(|words| Stop::refusal(["--for ", &words].concat()))?;
    let given = || who.clone().unwrap_or_default();
    read_answer(node, file, who.is_some().then_some(&given))
}

/// The answer in `file`, or the profile of record.
pub fn answer_or_record(node: &dyn Node, file: Option<&Path>) -> std::result::Result<Answer, Stop> {
    let found = answer_or_none(node, file)?;
    found.ok_or_else(|| Stop::refusal("no run was committed on this node yet: name an ANSWER"))
}

/// The same; `None` on a node where no run was committed.
pub fn answer_or_none(node: &dyn Node, file: Option<&Path>) -> std::result::Result<Option<Answer>, Stop> {
    let record = Path::new(PROFILE_PATH);
    if file.is_none() && !exists(node, record)? {
        return Ok(None);
    }
    read_answer(node, file.unwrap_or(record), Some(&|| facts::identity(node))).map(Some)
}

/// What is true on the node of what the profile wants, or else of the defaults.
pub fn audit(node: &dyn Node, profile: Option<&Profile>) -> Result<Audit> {
    let facts = facts::gather(node)?;
    profile.map_or_else(|| audit::untouched(node, &facts), |profile| Ok(audit::run(node, profile, &facts)))
}

/// Mails a result to root.
pub fn mail(node: &dyn Node, audit: &Audit) -> Result<()> {
    audit::mail(node, audit)
}

/// A path of the operator's as the node knows it, which itself goes no way upwards.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    let whole = std::path::absolute(path).map_err(|error| finding(path, error))?;
    match (whole.parent(), whole.file_name()) {
        (Some(parent), Some(name)) if goes_upwards(parent) => Ok(resolve(parent)?.join(name)),
        _ => Ok(whole),
    }
}

/// A directory with all links resolved.
pub fn resolve(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| finding(path, error))
}

fn finding(path: &Path, error: std::io::Error) -> Error {
    Error::new(format!("finding {}", path.display()), error)
}

/// The installer's answer and the first-boot executable.
pub fn bake(answer: &Answer, executable: &[u8]) -> std::result::Result<Baked, Stop> {
    bake::bake(answer, executable).map_err(|problems| Stop::refusal(problems.to_string()))
}

/// What the node is.
pub fn facts(node: &dyn Node) -> Result<Facts> {
    provision::facts(node)
}

/// Makes the secrets that the answer wants made here; what is to be scanned.
pub fn make_secrets(node: &dyn Node, answer: &mut Answer) -> Result<Vec<Shown>> {
    bake::make_secrets(node, answer)
}

/// What the node is, and what is still needed on it.
pub fn plan(node: &dyn Node, answer: &Answer) -> std::result::Result<(Box<Facts>, Plan), Stop> {
    match provision::plan(node, answer)? {
        Planned::Plan(facts, plan) => Ok((facts, plan)),
        Planned::Refused(problems) => Err(Stop::refusal(problems.to_string())),
    }
}

/// Makes the plan true, or puts everything back.
pub fn apply(
    node: &dyn Node,
    plan: &Plan,
    answer: &Answer,
    door: &'static str,
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<Outcome> {
    provision::apply(node, plan, answer, door, limits, watch)
}

/// By when a run must be over, and who confirms it: as the command line says, else the answer, else a login where the
/// operator may be about to lock themselves out.
pub fn limits(node: &dyn Node, answer: &Answer, facts: &Facts, confirm: Option<Confirm>) -> Limits {
    let confirm = confirm.or(answer.profile.confirm);
    let default = || if is_over_ssh(node) { Confirm::Login } else { Confirm::None };
    provision::limits(&answer.profile, facts, confirm.unwrap_or_else(default))
}

/// Whether this process was started in an SSH session; sudo forgets the variable, the family of processes does not.
fn is_over_ssh(node: &dyn Node) -> bool {
    std::env::var_os("SSH_CONNECTION").is_some()
        || transaction::descends_from(node, std::process::id(), &["sshd", "sshd-session"])
}

/// Commits what waits for confirmation. The caller holds the lock.
pub fn confirm(node: &dyn Node) -> Result<Option<Outcome>> {
    transaction::confirm_locked(node, "`firstlight confirm`")
}

/// Keeps the deadline of the open transaction until it is over.
pub fn keep_deadline(node: &dyn Node, watch: &mut dyn Watch) -> Result<Option<Outcome>> {
    transaction::keep_deadline(node, watch)
}

/// The transaction that waits for confirmation.
pub fn waiting(node: &dyn Node) -> Result<Option<TransactionId>> {
    transaction::waiting(node)
}

/// Takes back what waits for confirmation, and whatever was cut off.
pub fn withdraw(node: &dyn Node, force: bool, watch: &mut dyn Watch) -> Result<Option<Outcome>> {
    transaction::withdraw(node, force, watch)
}

/// Says at every login that the run of the first boot was not confirmed.
pub fn say_unconfirmed(node: &dyn Node) -> Result<()> {
    hook::say_unconfirmed(node)
}

/// Deals with a run that was cut off.
pub fn recover(node: &dyn Node, stage: Stage, watch: &mut dyn Watch) -> Result<Option<Outcome>> {
    transaction::recover(node, stage, watch)
}

/// The transactions that a rollback takes back, newest first; with `to` without `id` itself.
pub fn chain(
    node: &dyn Node,
    id: Option<TransactionId>,
    to: bool,
) -> std::result::Result<Vec<TransactionId>, Stop> {
    let mut chain = transaction::chain(node, id)?;
    if to {
        chain.pop();
    }
    match chain.last() {
        Some(_) => Ok(chain),
        None => Err(Stop::refusal("nothing stands that was committed after it")),
    }
}

/// What taking these back would do.
pub fn preview(node: &dyn Node, chain: Vec<TransactionId>, force: bool) -> Result<Preview> {
    transaction::preview::preview(node, chain, force)
}

/// Takes committed transactions back.
pub fn rollback(
    node: &dyn Node,
    id: Option<TransactionId>,
    force: bool,
    watch: &mut dyn Watch,
) -> Result<Outcome> {
    transaction::rollback(node, id, force, watch)
}

/// Runs as PVE's first-boot executable.
pub fn hook(node: &dyn Node, word: &str, watch: &mut dyn Watch) -> Result<End> {
    let executable = own_executable()?;
    match word {
        "fully-up" => hook::run(node, &executable, watch),
        _ => hook::refuse_word(node, &executable, word),
    }
}

/// Takes away what the login screen says about a node that is not hardened.
pub fn clear_notes(node: &dyn Node) -> Result<()> {
    hook::clear_notes(node)
}

/// Puts the running program and its units in place.
pub fn install(node: &dyn Node) -> Result<()> {
    install::install(node, &own_executable()?)
}

/// Takes the program and its units away.
pub fn uninstall(node: &dyn Node) -> Result<()> {
    install::uninstall(node)
}

/// How to log in by an answer.
pub fn login(node: &dyn Node, answer: &Answer, facts: &Facts) -> Login {
    Login {
        admin: answer.profile.admin.name.as_str().to_owned(),
        port: answer.profile.ssh.port.number(),
        addresses: provision::addresses(&answer.profile, facts),
        // Read again: the run may have made one anew.
        host_keys: facts::host_keys(node),
    }
}

/// The same by the profile of record: what is true once a run is committed. `None` while there is none, or while it
/// cannot be read: a report must not fail for that.
pub fn login_of_record(node: &dyn Node, facts: &Facts) -> Option<Login> {
    answer_or_record(node, None).ok().map(|answer| login(node, &answer, facts))
}

/// What stood on the node before a transaction.
pub fn snapshot(node: &dyn Node, id: TransactionId) -> std::result::Result<Manifest, Stop> {
    if !exists(node, &id.snapshot())? {
        let hint = "firstlight snapshots list";
        return Err(Stop::refusal(format!("transaction {id} has no snapshot\n  hint: {hint}")));
    }
    Ok(Manifest::take(node.read(&id.snapshot())?, None)?)
}

/// What stands now at the same places.
pub fn current(node: &dyn Node, snapshot: &Manifest) -> Result<Manifest> {
    let mut scopes = vec![Scope::Tree("/etc".into())];
    let outside = snapshot.entries.keys().filter(|path| !path.starts_with("/etc"));
    scopes.extend(outside.cloned().map(Scope::Entry));
    manifest::capture(node, &scopes, &transaction::skipped(), None)
}

/// A content of a snapshot.
pub fn content(node: &dyn Node, id: &ObjectId) -> Result<Vec<u8>> {
    Objects::new(node, Path::new(OBJECTS_DIR)).read(id)
}

/// Forgets all but the newest `keep` transactions.
pub fn prune(node: &dyn Node, keep: usize) -> Result<(Vec<TransactionId>, usize)> {
    transaction::prune(node, keep)
}
