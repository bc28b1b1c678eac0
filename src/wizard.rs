//! The questions of the wizard as a flow: what is asked next on this node, what was typed, and the answer that comes of it.
//! Pure: shows nothing, reads nothing, and knows no terminal.

mod question;
#[cfg(test)]
mod tests;

use question::PAIR;
pub use question::Question;

use crate::answer::{self, Answer, Problems, public_key};
use crate::areas::{UIDS_OF_PEOPLE, firewall, shut_out};
use crate::facts::{Facts, User};
use crate::profile::PublicKey;
use crate::provision;
use crate::report::terminal::{visible, wrapped};

/// What an answer made of questions is called.
const SOURCE: &str = "wizard";
const HEADER: &str = "# Written by `firstlight wizard`.\n[firstlight]\nschema = 1\n";
const BELOW: &str = "firstlight.";
/// Leaves the way in alone, so that an admin without a key is none yet.
const NO_SSH: &str = "ssh.enabled = false\n";
/// In front of a line of the wizard.
pub const INDENT: &str = "   ";
/// Columns that its lines fill.
pub const WIDTH: usize = 79;
/// Who the admin is where nobody is there yet.
const ADMIN: &str = "ops";
/// What stands for root's keys.
const ROOTS: &str = "r";
/// Goes back one question.
pub const BACK: &str = "<";
/// Explains the question.
pub const HELP: &str = "?";
const KEEP: &str = "as before";

/// The conversation so far.
pub struct Flow<'a> {
    facts: &'a Facts,
    /// Keys that people use to log in as root.
    roots: Vec<PublicKey>,
    /// What was given to each question; behind [`at`](Self::at) only what was given before.
    given: Vec<String>,
    at: usize,
    /// Questions that were answered, for the way back.
    trail: Vec<usize>,
    /// The question about keys has one, and may get more.
    more: bool,
}

impl<'a> Flow<'a> {
    /// Before the first question; `roots` is the text of root's `authorized_keys`.
    #[inline(never)]
    pub fn new(facts: &'a Facts, roots: &str) -> Self {
        let mut roots = keys_of(roots);
        // The nodes of a cluster know each other by such keys; nobody else is root@ somewhere for long.
        roots.retain(|key| !key.comment.starts_with("root@"));
        Self { facts, roots, given: Vec::new(), at: 0, trail: Vec::new(), more: false }
    }

    /// The question that is open; `None` when all are answered.
    pub fn question(&self) -> Option<Question> {
        Question::at(self.at)
    }

    /// What a person sees in front of the question.
    pub fn shown(&self) -> String {
        let Some(question) = self.question().filter(|_| !self.more) else { return String::new() };
        let mut about = question.text().to_owned();
        let asks_keys = question.is("keys") && !self.roots.is_empty();
        if asks_keys {
            about.push_str(" Or type r for what root already has:");
        }
        if question.key() == "firewall.management" {
            let networks = joined(&mut self.facts.addresses.iter().map(|(_, network)| network.to_string()));
            let peers = joined(&mut self.facts.ssh_peers.iter().map(ToString::to_string));
            let peers = if peers.is_empty() { "nobody" } else { &peers };
            let parts = [" This node is in ", &networks, "; over SSH ", peers, " is connected."];
            about.push_str(&parts.concat());
        }
        let number = self.trail.len() + 1;
        let mut text = format!("\n{number}. {}\n{}", question.title(), wrapped(&about, INDENT, WIDTH));
        if asks_keys {
            text.push_str(&wrapped(&listed(&self.roots), INDENT, WIDTH));
        }
        for (number, (label, _)) in (1..).zip(question.choices()) {
            let number = format!("{number}");
            let against = self.against(question, &number);
            let (open, close) = if against.is_some() { (" Not on this node: ", ".") } else { ("", "") };
            text.push_str(&item(&number, &[label, open, &against.unwrap_or_default(), close].concat()));
        }
        text
    }

    /// In front of the cursor, and what Enter stands for.
    #[inline(never)]
    pub fn prompt(&self) -> (&'static str, String) {
        let Some(question) = self.question() else { return ("", String::new()) };
        if self.more {
            return ("Another key, or Enter to go on", String::new());
        }
        let default = match self.before() {
            "" => self.default(question),
            _ if question.is("keys") || question.is("hidden") => KEEP.to_owned(),
            before => before.to_owned(),
        };
        (question.prompt(), default)
    }

    /// One question back, as far as there is one.
    pub fn back(&mut self) {
        if !std::mem::take(&mut self.more) {
            self.at = self.trail.pop().unwrap_or(self.at);
        }
    }

    /// Back to the question that decides what the first of these is about; to the last one where none does.
    #[inline(never)]
    pub fn back_to(&mut self, problems: &Problems) {
        let key = problems.list.first().map(|problem| below(&problem.key)).unwrap_or_default();
        let decides = |place: &usize| Question::at(*place).is_some_and(|question| question.decides(key));
        let last = self.trail.len().saturating_sub(1);
        self.trail.truncate(self.trail.iter().position(decides).unwrap_or(last) + 1);
        self.back();
    }

    /// Takes what was typed; a password comes as its hash. What is to be said where the same question is still open.
    pub fn answer(&mut self, typed: &str) -> Option<String> {
        let question = self.question()?;
        let typed = typed.trim();
        if self.more && typed.is_empty() {
            self.go_on();
            return None;
        }
        let (before, keys) = (self.before(), question.is("keys"));
        let kept = (keys || question.is("hidden")) && matches!(typed, "" | KEEP) && !before.is_empty();
        let value = match typed {
            _ if kept => before.to_owned(),
            ROOTS if keys && !self.roots.is_empty() => {
                self.roots.iter().map(|key| key.line() + "\n").collect()
            }
            _ if self.more => format!("{before}\n{typed}"),
            _ => typed.to_owned(),
        };
        if let Some(reason) = self.against(question, &value) {
            return Some(["Not accepted: ", &reason, "."].concat());
        }
        let (at, taken) = (self.at, keys_of(&value));
        self.given.resize_with(self.given.len().max(at + 1), String::new);
        if let Some(place) = self.given.get_mut(at) {
            *place = value;
        }
        // A key that was typed is shown as its owner can compare it.
        if keys && !kept && !taken.is_empty() {
            self.more = true;
            return Some("Taken:\n".to_owned() + &listed(&taken));
        }
        self.go_on();
        None
    }

    /// The answer so far.
    pub fn text(&self) -> String {
        let mut text = HEADER.to_owned();
        for place in &self.trail {
            let value = self.given.get(*place).map(String::as_str).unwrap_or_default();
            let lines = Question::at(*place).and_then(|question| question.lines(value));
            text.push_str(&lines.unwrap_or_default());
        }
        text
    }

    /// Of the pair that is to be made, if one is.
    pub fn passphrase(&self) -> &str {
        let asks = |place: &&usize| Question::at(**place).is_some_and(|question| question.is("passphrase"));
        let place = self.trail.iter().find(asks);
        place.and_then(|place| self.given.get(*place)).map(String::as_str).unwrap_or_default()
    }

    /// The answer itself, or everything that speaks against it.
    pub fn result(&self) -> Result<Answer, Problems> {
        self.judged(&self.text())
    }

    /// By the reader of every answer, and by what this node allows.
    fn judged(&self, text: &str) -> Result<Answer, Problems> {
        let answer = answer::read(SOURCE, text.as_bytes())?;
        provision::proposal(&answer, self.facts)?;
        Ok(answer)
    }

    /// What was given to the open question before.
    fn before(&self) -> &str {
        self.given.get(self.at).map(String::as_str).unwrap_or_default()
    }

    fn go_on(&mut self) {
        self.more = false;
        self.trail.push(self.at);
        self.at += 1;
        while self.question().is_some_and(|question| !self.is_asked(question)) {
            self.at += 1;
        }
    }

    fn is_asked(&self, question: Question) -> bool {
        if question.is("passphrase") {
            return self.text().contains(PAIR);
        }
        if question.is("needed") {
            return self.complaint(self.text(), question).is_some();
        }
        !(question.is("pve") && self.facts.pve_version.is_none()
            || question.is("firewall") && self.text().contains("firewall.enabled = false"))
    }

    /// What speaks against a value.
    fn against(&self, question: Question, value: &str) -> Option<String> {
        let Some(lines) = question.lines(value) else {
            return Some("type the number of what stands there".to_owned());
        };
        let mut text = self.text() + &lines;
        if self.trail.is_empty() {
            text.push_str(NO_SSH);
        }
        self.complaint(text, question)
    }

    /// What the reader of answers, or this node, says first about what the question decides.
    fn complaint(&self, text: String, question: Question) -> Option<String> {
        let mut problems = self.judged(&text).err()?.list.into_iter();
        problems.find(|problem| question.decides(below(&problem.key))).map(|problem| problem.message)
    }

    /// What this node suggests.
    fn default(&self, question: Question) -> String {
        let facts = self.facts;
        match question.key() {
            "admin.name" => {
                let is_person = |user: &&User| UIDS_OF_PEOPLE.contains(&user.uid) && user.has_login_shell();
                let person = facts.users.iter().find(is_person);
                person.map_or(ADMIN, |user| user.name.as_str()).to_owned()
            }
            "admin.ssh-keys" if !self.roots.is_empty() => ROOTS.to_owned(),
            "ssh.allow-users" => {
                let answer = answer::read(SOURCE, self.text().as_bytes());
                answer.map(|answer| shut_out(&answer.profile, facts).join(" ")).unwrap_or_default()
            }
            "firewall.management" => joined(&mut firewall::offered(facts).iter().map(ToString::to_string)),
            // A consent is typed.
            _ if question.is("one") && !question.is("needed") => {
                let allowed = |number: &&&str| self.against(question, number).is_none();
                ["1", "2", "3"].iter().find(allowed).copied().unwrap_or_default().to_owned()
            }
            _ => String::new(),
        }
    }
}

fn below(key: &str) -> &str {
    key.strip_prefix(BELOW).unwrap_or(key)
}

fn joined(items: &mut dyn Iterator<Item = String>) -> String {
    let mut text = String::new();
    for item in items {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&item);
    }
    text
}

/// A paragraph behind a mark of its own: `- user ops: new`.
pub fn item(mark: &str, text: &str) -> String {
    let lines = wrapped(&format!("{mark} {text}"), "     ", WIDTH);
    format!("{INDENT}{}", lines.trim_start())
}

/// Whatever is a key; the reader of answers has a sentence about the rest.
fn keys_of(lines: &str) -> Vec<PublicKey> {
    lines.lines().filter_map(|line| public_key(line).ok()).collect()
}

/// Fingerprints as `ssh-keygen -l` prints them.
fn listed(keys: &[PublicKey]) -> String {
    let mut text = String::new();
    for key in keys {
        text.push_str(&format!("{} {}\n", key.fingerprint, visible(&key.comment)));
    }
    text
}
