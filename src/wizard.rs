//! The questions of the wizard as a flow: what is asked next on this node, what was typed, and the answer that comes of it.
//! Pure: shows nothing, reads nothing, and knows no terminal.

mod draft;
mod questions;
#[cfg(test)]
mod tests;

pub use draft::{SOURCE, answer, is_below};
pub use questions::{Choice, Form, Question};

use crate::answer::public_key;
use crate::areas::firewall;
use crate::facts::Facts;
use crate::profile::{Network, PublicKey};
use crate::report::terminal::{visible, wrapped};
use draft::NEW_PAIR;
use questions::{QUESTIONS, When};

const WIDTH: usize = 79;
/// Who the admin is where nobody is there yet.
const ADMIN: &str = "ops";
/// Debian's range for people (adduser.conf).
const PEOPLE: std::ops::RangeInclusive<u32> = 1000..=59999;
/// What stands for root's keys.
const ROOTS: &str = "r";
const KEEP: &str = "as before";
/// Goes back one question.
pub const BACK: &str = "<";
/// Explains the question.
pub const HELP: &str = "?";

/// What came of what was typed.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub enum Reply {
    /// Go on: the next question, or the end.
    Next,
    /// The same question once more, after this.
    Again(String),
}

/// The conversation so far.
pub struct Flow<'a> {
    facts: &'a Facts,
    /// Keys that people use to log in as root.
    roots: Vec<PublicKey>,
    /// What was given to each question; behind [`at`](Self::at) only what was given before.
    given: Vec<Option<String>>,
    at: usize,
    /// Questions that were answered, for the way back.
    trail: Vec<usize>,
    /// The question about keys has one, and may get more.
    more: bool,
}

impl<'a> Flow<'a> {
    /// Before the first question; `roots` is the text of root's `authorized_keys`.
    pub fn new(facts: &'a Facts, roots: &str) -> Self {
        let mut roots = keys_of(roots);
        // The nodes of a cluster know each other by such keys; nobody else is root@ somewhere for long.
        roots.retain(|key| !key.comment.starts_with("root@"));
        let given = QUESTIONS.iter().map(|_| None).collect();
        Self { facts, roots, given, at: 0, trail: Vec::new(), more: false }
    }

    /// The question that is open; `None` when all are answered.
    pub fn question(&self) -> Option<&'static Question> {
        QUESTIONS.get(self.at)
    }

    /// What a person sees in front of the question.
    pub fn shown(&self) -> String {
        let Some(question) = self.question() else { return String::new() };
        if self.more {
            return String::new();
        }
        let mut text = format!("\n{}. {}\n", self.trail.len() + 1, question.title);
        let mut about = question.text.to_owned();
        if question.form == Form::Keys {
            let pairs = self.against(question, NEW_PAIR).is_none();
            about.push_str(if pairs { ". Or type n for a new pair, made on this node" } else { "" });
            about.push_str(if self.roots.is_empty() {
                "."
            } else {
                ". Or type r for what root already has:"
            });
        }
        text.push_str(&wrapped(&about, "   ", WIDTH));
        match question.form {
            Form::Keys => text.push_str(&listed(&self.roots)),
            Form::One(choices) | Form::Many(choices) => {
                for (number, choice) in self.offered(question, choices) {
                    let label = wrapped(choice.label, "      ", WIDTH);
                    text.push_str(&format!("   {number}  {}", label.trim_start()));
                }
            }
            _ => {}
        }
        if is_about(question, "firewall.management") {
            text.push_str(&self.whereabouts());
        }
        text
    }

    /// In front of the cursor, and what Enter stands for.
    pub fn prompt(&self) -> (&'static str, String) {
        let Some(question) = self.question() else { return ("", String::new()) };
        if self.more {
            return ("Another key, or Enter to go on", String::new());
        }
        let before = self.given.get(self.at).and_then(Option::as_deref);
        let default = match (before, question.form) {
            (Some(given), Form::Keys | Form::Password) if !given.is_empty() => KEEP.to_owned(),
            (Some(given), form) if !matches!(form, Form::Keys | Form::Password) => given.to_owned(),
            _ => self.default(question),
        };
        (question.prompt, default)
    }

    /// What `?` says, with the reasons for what is not offered.
    pub fn help(&self) -> String {
        let Some(question) = self.question() else { return String::new() };
        let mut text = wrapped(question.help, "   ", WIDTH);
        if let Form::One(choices) = question.form {
            for (number, choice) in (1..).zip(choices) {
                if let Some(reason) = self.against(question, &choice_number(number)) {
                    let label = choice.label.split(['.', ':']).next().unwrap_or_default();
                    text.push_str(&wrapped(&format!("Not on this node: {label}: {reason}"), "   ", WIDTH));
                }
            }
        }
        text
    }

    /// One question back; `false` at the first one.
    pub fn back(&mut self) -> bool {
        if std::mem::take(&mut self.more) {
            return true;
        }
        match self.trail.pop() {
            Some(before) => self.at = before,
            None => return false,
        }
        true
    }

    /// Back to the question that decides `key` (below `firstlight.`), as far as there is one.
    pub fn back_to(&mut self, key: &str) {
        let decides = |place: &usize| {
            QUESTIONS.get(*place).is_some_and(|question| question.keys.iter().any(|own| is_below(key, own)))
        };
        match self.trail.iter().position(decides) {
            Some(first) => {
                self.at = self.trail.get(first).copied().unwrap_or_default();
                self.trail.truncate(first);
            }
            None => {
                self.back();
            }
        }
    }

    /// Takes what was typed; a password comes as its hash.
    pub fn answer(&mut self, typed: &str) -> Reply {
        let Some(question) = self.question() else { return Reply::Next };
        let typed = typed.trim();
        let before = self.given.get(self.at).cloned().flatten();
        if self.more && typed.is_empty() {
            return self.go_on();
        }
        let value = match (question.form, typed) {
            (Form::Keys | Form::Password, "" | KEEP) if before.is_some() => {
                before.clone().unwrap_or_default()
            }
            (Form::Keys, ROOTS) if !self.roots.is_empty() => lines_of(&self.roots),
            (Form::Keys, _) if self.more && typed != NEW_PAIR => {
                format!("{}\n{typed}", before.clone().unwrap_or_default())
            }
            _ => typed.to_owned(),
        };
        if let Some(reason) = self.against(question, &value) {
            return Reply::Again(wrapped(&format!("Not accepted: {reason}."), "   ", WIDTH));
        }
        let new = before.as_deref() != Some(&value);
        if let Some(place) = self.given.get_mut(self.at) {
            *place = Some(value.clone());
        }
        // A key that was typed is shown as its owner can compare it.
        if question.form == Form::Keys && new && value.contains(' ') {
            self.more = true;
            return Reply::Again(format!("   Taken:\n{}", listed(&keys_of(&value))));
        }
        self.go_on()
    }

    /// The answer so far.
    pub fn text(&self) -> String {
        self.write("")
    }

    fn go_on(&mut self) -> Reply {
        self.more = false;
        self.trail.push(self.at);
        loop {
            self.at += 1;
            match self.question() {
                Some(question) if !self.is_asked(question) => {
                    if let Some(place) = self.given.get_mut(self.at) {
                        *place = None;
                    }
                }
                _ => return Reply::Next,
            }
        }
    }

    fn is_asked(&self, question: &Question) -> bool {
        match question.when {
            When::Always => true,
            When::Pve => self.facts.pve_version.is_some(),
            When::Firewall => !self.lines().contains("firewall.enabled = false"),
            When::Needed => {
                draft::complaint(&self.text(), self.facts, question.keys.get(..1).unwrap_or_default())
                    .is_some()
            }
        }
    }

    /// What speaks against a value.
    fn against(&self, question: &Question, value: &str) -> Option<String> {
        match draft::lines(question, value) {
            None => Some("type the number of what stands there".to_owned()),
            // Before the keys are known their absence must not hide what the node says.
            Some(_) if self.trail.is_empty() => {
                let text =
                    format!("{}\n[firstlight.ssh]\nenabled = false\n", self.text_with(question, value));
                draft::complaint(&text, self.facts, question.keys)
            }
            Some(_) => draft::complaint(&self.text_with(question, value), self.facts, question.keys),
        }
    }

    /// The choices that this node allows, with their numbers.
    fn offered(&self, question: &Question, choices: &'static [Choice]) -> Vec<(usize, &'static Choice)> {
        (1..)
            .zip(choices)
            .filter(|(number, _)| self.against(question, &choice_number(*number)).is_none())
            .collect()
    }

    fn text_with(&self, question: &Question, value: &str) -> String {
        self.write(&draft::lines(question, value).unwrap_or_default())
    }

    fn write(&self, last: &str) -> String {
        draft::text(&self.facts.host_name, &format!("{}{last}", self.lines()))
    }

    /// The lines of every question that was answered.
    fn lines(&self) -> String {
        let mut lines = String::new();
        for place in &self.trail {
            if let (Some(question), Some(Some(value))) = (QUESTIONS.get(*place), self.given.get(*place)) {
                lines.push_str(&draft::lines(question, value).unwrap_or_default());
                lines.push('\n');
            }
        }
        lines
    }

    /// What this node suggests.
    fn default(&self, question: &Question) -> String {
        let own = question.keys.first().copied().unwrap_or_default();
        match (own, question.form) {
            ("admin.name", _) => {
                let person =
                    self.facts.users.iter().find(|user| PEOPLE.contains(&user.uid) && user.has_login_shell());
                person.map_or(ADMIN, |user| user.name.as_str()).to_owned()
            }
            ("admin.ssh-keys", _) if !self.roots.is_empty() => ROOTS.to_owned(),
            ("ssh.allow-users", _) => draft::shut_out(&self.text(), self.facts).join(" "),
            ("firewall.management", _) => joined(&firewall::offered(self.facts)),
            // A consent is typed.
            (_, Form::One(choices)) if question.when != When::Needed => self
                .offered(question, choices)
                .first()
                .map(|(number, _)| number.to_string())
                .unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// Where the node and the admin are.
    fn whereabouts(&self) -> String {
        let networks: Vec<Network> = self.facts.addresses.iter().map(|(_, network)| *network).collect();
        let mut text = wrapped(&format!("This node is in {}.", joined(&networks)), "   ", WIDTH);
        for peer in &self.facts.ssh_peers {
            text.push_str(&format!("   Somebody is logged in from {peer}.\n"));
        }
        text
    }
}

fn is_about(question: &Question, key: &str) -> bool {
    question.keys.first() == Some(&key)
}

fn choice_number(number: usize) -> String {
    number.to_string()
}

fn joined(networks: &[Network]) -> String {
    networks.iter().map(Network::to_string).collect::<Vec<_>>().join(" ")
}

/// Whatever is a key; the reader of answers has a sentence about the rest.
fn keys_of(lines: &str) -> Vec<PublicKey> {
    lines.lines().filter_map(|line| public_key(line).ok()).collect()
}

fn lines_of(keys: &[PublicKey]) -> String {
    keys.iter().map(PublicKey::line).collect::<Vec<_>>().join("\n")
}

/// Fingerprints as `ssh-keygen -l` prints them.
fn listed(keys: &[PublicKey]) -> String {
    keys.iter().map(|key| format!("   {} {}\n", key.fingerprint, visible(&key.comment))).collect()
}
