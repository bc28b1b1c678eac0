//! The command line: words in, a [`Command`] out, or a sentence that says what would be right. Touches nothing.

#[cfg(test)]
mod completion;
mod form;
mod help;
#[cfg(test)]
mod manual;

use crate::profile::Confirm;
use crate::transaction::state::TransactionId;
use form::{Words, nearest};
use std::ffi::OsString;
use std::path::PathBuf;

pub use help::{PROGRAM, help, where_to_look};

/// What to do.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub enum Command {
    /// Print a help text.
    Help(&'static str),
    /// Print the version.
    Version,
    /// Run as PVE's first-boot executable, with its one argument.
    Hook(String),
    /// Validate an answer.
    Check {
        /// The answer file.
        answer: PathBuf,
        /// The node of a fleet that is meant.
        node: Option<String>,
    },
    /// Make the installer's answer and the first-boot executable.
    Bake {
        /// The answer file.
        answer: PathBuf,
        /// Where the two files go.
        out: PathBuf,
        /// Another executable than the running one.
        executable: Option<PathBuf>,
        /// The node of a fleet that is meant.
        node: Option<String>,
    },
    /// Show what would change.
    Plan {
        /// The answer file; `None` for the profile of record.
        answer: Option<PathBuf>,
        /// For programs.
        json: bool,
    },
    /// Change it.
    Apply {
        /// The answer file; `None` for the profile of record.
        answer: Option<PathBuf>,
        /// The only plan that may be applied.
        plan: Option<String>,
        /// What ends it; `None` for what the answer says, or the default.
        confirm: Option<Confirm>,
    },
    /// Ask for the answers.
    Wizard {
        /// Where they are kept as an answer file.
        save: Option<PathBuf>,
    },
    /// Tell what is true now.
    Audit {
        /// The answer file; `None` for the profile of record, or the defaults.
        answer: Option<PathBuf>,
        /// For whom.
        form: AuditForm,
    },
    /// Commit what waits for confirmation.
    Confirm,
    /// Tell what happened.
    Status {
        /// Seconds to wait for the end.
        wait: Option<u64>,
        /// For programs.
        json: bool,
    },
    /// Take committed transactions back.
    Rollback(Rollback),
    /// Look at the snapshots.
    Snapshots(Snapshots),
    /// Look after the second factor of a user.
    Totp(Factor, String),
    /// Write what others need to help.
    Bundle {
        /// Where to.
        file: PathBuf,
    },
    /// Put the executable and its units in place.
    Install,
    /// Take them away.
    Uninstall,
    /// Deal with an unfinished transaction.
    Recover {
        /// Files only: before the network.
        early: bool,
    },
    /// Keep the deadline of the open transaction: for `firstlight-deadline.service`.
    Deadline,
}

/// How an audit is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum AuditForm {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For what reads the results of tests.
    Junit,
    /// Kept and compared with the last one: for `firstlight-audit.service`.
    Record,
}

/// What to do with a second factor.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Factor {
    /// Its code and secret, once more.
    Show,
    /// Whether a code is right.
    Verify,
    /// A new one in its place.
    Reset,
}

/// Which transactions to take back, and how.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Rollback {
    /// The oldest one; `None` for the last one alone.
    pub id: Option<TransactionId>,
    /// `id` itself stays.
    pub to: bool,
    /// Also what somebody changed since.
    pub force: bool,
    /// Only show it.
    pub dry_run: bool,
    /// For programs.
    pub json: bool,
}

/// What to do with the snapshots.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub enum Snapshots {
    /// Name them.
    List,
    /// Name the entries of one, or print one content.
    Show {
        /// Whose snapshot.
        id: TransactionId,
        /// One path.
        path: Option<PathBuf>,
    },
    /// Compare one with the node, or with another.
    Diff {
        /// Whose snapshot.
        id: TransactionId,
        /// The other one; `None` for the node as it is.
        other: Option<TransactionId>,
        /// For programs.
        json: bool,
        /// One path.
        path: Option<PathBuf>,
    },
    /// Remove old ones.
    Prune {
        /// How many stay.
        keep: usize,
    },
}

/// Why the words are no command; a sentence.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Usage(pub String);

/// The hook's words: PVE's units give one of them as the only argument.
const HOOK_WORDS: [&str; 3] = ["before-network", "network-online", "fully-up"];
/// Longest wait without a number: apt's own patience and the 10 minutes of a first boot fit.
const WAIT_SECONDS: u64 = 1800;

/// Reads the arguments, the program's name left out.
pub fn parse(arguments: Vec<OsString>) -> Result<Command, Usage> {
    if let [word] = arguments.as_slice()
        && let Some(word) = HOOK_WORDS.iter().find(|&hook| word == hook)
    {
        return Ok(Command::Hook((*word).to_owned()));
    }
    let mut arguments = arguments.into_iter();
    let Some(first) = arguments.next() else { return Ok(Command::Help(help(""))) };
    let first = first.to_string_lossy().into_owned();
    match first.as_str() {
        "-h" | "--help" | "help" => return Ok(Command::Help(help(&first_word(&mut arguments)))),
        "-V" | "--version" => return Ok(Command::Version),
        _ => {}
    }
    let name = full_name(first, &mut arguments)?;
    if let Some((command, "--help" | "-h")) = name.split_once(' ') {
        return Ok(Command::Help(help(command)));
    }
    let Some(form) = form::find(&name) else { return Err(unknown(&name)) };
    let words = form.read(arguments)?;
    if words.help {
        return Ok(Command::Help(help(&name)));
    }
    build(&name, words)
}

/// `snapshots` and `totp` take a second word.
fn full_name(first: String, arguments: &mut dyn Iterator<Item = OsString>) -> Result<String, Usage> {
    let seconds = match first.as_str() {
        "snapshots" => "list, show, diff, prune",
        "totp" => "show, verify, reset",
        _ => return Ok(first),
    };
    match first_word(arguments).as_str() {
        "" => Err(Usage(format!("`{first}` needs one of {seconds}"))),
        second => Ok(format!("{first} {second}")),
    }
}

fn first_word(arguments: &mut dyn Iterator<Item = OsString>) -> String {
    arguments.next().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default()
}

fn unknown(name: &str) -> Usage {
    let names = form::names();
    let hint = match nearest(name, &names) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    };
    let what = if name.starts_with('-') { "option" } else { "command" };
    Usage(format!("unknown {what} `{name}`{hint}"))
}

fn build(name: &str, mut words: Words) -> Result<Command, Usage> {
    Ok(match name {
        "check" => Command::Check { answer: words.required("ANSWER")?.into(), node: node(&words) },
        "bake" => {
            let answer = words.required("ANSWER")?.into();
            let out = words.value("out").ok_or_else(|| Usage("`bake` needs --out DIR".to_owned()))?;
            Command::Bake {
                answer,
                out: out.into(),
                executable: words.value("exe").map(PathBuf::from),
                node: node(&words),
            }
        }
        "plan" => Command::Plan { json: words.flag("json"), answer: words.operand().map(PathBuf::from) },
        "apply" => {
            let confirm = confirmation(&mut words)?;
            let plan = words.value("plan").map(|hash| plan_hash(&hash)).transpose()?;
            Command::Apply { plan, confirm, answer: words.operand().map(PathBuf::from) }
        }
        "wizard" => Command::Wizard { save: words.value("save").map(PathBuf::from) },
        "audit" => audit(words)?,
        "status" => Command::Status { wait: seconds(&mut words)?, json: words.flag("json") },
        "rollback" => Command::Rollback(rollback(&mut words)?),
        "bundle" => Command::Bundle { file: words.required("FILE")?.into() },
        "install" => Command::Install,
        "uninstall" => Command::Uninstall,
        "confirm" => Command::Confirm,
        "totp show" => Command::Totp(Factor::Show, user(&mut words)?),
        "totp verify" => Command::Totp(Factor::Verify, user(&mut words)?),
        "totp reset" => Command::Totp(Factor::Reset, user(&mut words)?),
        "recover" if words.flag("deadline") => Command::Deadline,
        "recover" => Command::Recover { early: words.flag("early") },
        _ => Command::Snapshots(snapshots(name, words)?),
    })
}

fn node(words: &Words) -> Option<String> {
    words.value("for").map(|node| node.to_string_lossy().into_owned())
}

fn audit(mut words: Words) -> Result<Command, Usage> {
    let mut form = AuditForm::Text;
    for (name, chosen) in
        [("json", AuditForm::Json), ("junit", AuditForm::Junit), ("record", AuditForm::Record)]
    {
        if words.flag(name) {
            if form != AuditForm::Text {
                return Err(Usage("--json, --junit and --record exclude each other".to_owned()));
            }
            form = chosen;
        }
    }
    Ok(Command::Audit { answer: words.operand().map(PathBuf::from), form })
}

fn user(words: &mut Words) -> Result<String, Usage> {
    let user = words.required("USER")?.to_string_lossy().into_owned();
    match user.split_once('@') {
        Some((name, realm)) if !name.is_empty() && !realm.is_empty() && !user.contains('/') => Ok(user),
        _ => Err(Usage(format!("`{user}` is no user of PVE: they have a realm, as in root@pam"))),
    }
}

fn rollback(words: &mut Words) -> Result<Rollback, Usage> {
    let (operand, to) = (words.operand(), words.value("to"));
    if operand.is_some() && to.is_some() {
        return Err(Usage("ID and --to ID exclude each other".to_owned()));
    }
    let (dry_run, json) = (words.flag("dry-run"), words.flag("json"));
    if json && !dry_run {
        return Err(Usage("--json needs --dry-run".to_owned()));
    }
    let force = words.flag("force");
    let id = operand.as_ref().or(to.as_ref()).map(transaction).transpose()?;
    Ok(Rollback { id, to: to.is_some(), force, dry_run, json })
}

fn snapshots(name: &str, mut words: Words) -> Result<Snapshots, Usage> {
    Ok(match name {
        "snapshots show" => {
            let id = transaction(&words.required("ID")?)?;
            Snapshots::Show { id, path: path(&mut words)? }
        }
        "snapshots diff" => {
            let id = transaction(&words.required("ID")?)?;
            let json = words.flag("json");
            let first = words.operand();
            match first.as_ref().and_then(|word| TransactionId::parse(word.to_str()?)) {
                Some(other) => Snapshots::Diff { id, other: Some(other), path: path(&mut words)?, json },
                None => {
                    if let Some(more) = words.operand() {
                        return Err(Usage(format!("`{}` is one word too many", more.to_string_lossy())));
                    }
                    Snapshots::Diff { id, other: None, path: absolute(first)?, json }
                }
            }
        }
        "snapshots prune" => Snapshots::Prune { keep: keep(&mut words)? },
        _ => Snapshots::List,
    })
}

fn confirmation(words: &mut Words) -> Result<Option<Confirm>, Usage> {
    match words.value("confirm") {
        None => Ok(None),
        Some(word) if word == "none" => Ok(Some(Confirm::None)),
        Some(word) if word == "login" => Ok(Some(Confirm::Login)),
        Some(word) => Err(Usage(format!("--confirm takes login or none, not `{}`", word.to_string_lossy()))),
    }
}

fn plan_hash(word: &OsString) -> Result<String, Usage> {
    let text = word.to_string_lossy().to_ascii_lowercase();
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text);
    }
    Err(Usage("--plan takes the 64 hexadecimal digits that `plan` prints".to_owned()))
}

fn seconds(words: &mut Words) -> Result<Option<u64>, Usage> {
    if !words.flag("wait") {
        return Ok(None);
    }
    let Some(word) = words.value("wait") else { return Ok(Some(WAIT_SECONDS)) };
    match word.to_str().and_then(|text| text.parse().ok()) {
        Some(seconds) => Ok(Some(seconds)),
        None => Err(Usage(format!("--wait takes seconds, not `{}`", word.to_string_lossy()))),
    }
}

fn transaction(word: &OsString) -> Result<TransactionId, Usage> {
    word.to_str().and_then(TransactionId::parse).ok_or_else(|| {
        Usage(format!("`{}` is no transaction; `snapshots list` names them", word.to_string_lossy()))
    })
}

fn path(words: &mut Words) -> Result<Option<PathBuf>, Usage> {
    absolute(words.operand())
}

fn absolute(word: Option<OsString>) -> Result<Option<PathBuf>, Usage> {
    match word.map(PathBuf::from) {
        Some(path) if !path.is_absolute() => {
            Err(Usage(format!("`{}` must be an absolute path", path.display())))
        }
        path => Ok(path),
    }
}

fn keep(words: &mut Words) -> Result<usize, Usage> {
    let Some(word) = words.value("keep") else { return Ok(crate::transaction::KEPT) };
    match word.to_str().and_then(|text| text.parse().ok()) {
        Some(number) if number > 0 => Ok(number),
        _ => Err(Usage(format!("--keep takes a number from 1, not `{}`", word.to_string_lossy()))),
    }
}

#[cfg(test)]
#[path = "cli/tests.rs"]
mod tests;
