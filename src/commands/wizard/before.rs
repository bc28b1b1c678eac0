//! Up to the word that starts the run: the questions, and the plan that comes of them.

use super::{Ended, INDENT, Stop, Talk, WIDTH};
use crate::answer::Answer;
use crate::commands::{check, engine};
use crate::node::{Invocation, Node, read_text, run_checked};
use crate::plan::{Plan, show};
use crate::profile::Passphrase;
use crate::report::terminal::{Paint, visible, wrapped};
use crate::totp;
use crate::transaction::state::write_atomically;
use crate::wizard::{BACK, Flow, HELP, item};
use std::path::Path;

/// On a node of PVE a link into `/etc/pve` (row A4).
const ROOT_KEYS_PATH: &str = "/root/.ssh/authorized_keys";
/// perl-base is part of every Debian, and its crypt is the system's own, the one that `passwd` and sshd use (libcrypt).
/// mkpasswd need not be there, and `openssl passwd` has no yescrypt.
const PERL: &str = "/usr/bin/perl";
const CRYPT: &str = "chomp(my ($word, $setting) = <STDIN>); print crypt($word, $setting);";
/// yescrypt with the cost that Debian's PAM uses (common-password).
const SETTING: &str = "$y$j9T$";
/// Bytes of salt.
const SALT: usize = 15;

impl Talk<'_> {
    /// Until a plan is wanted: what comes of that.
    pub fn choose(&mut self, save: Option<&Path>) -> Ended {
        // For as long as the program lives: nothing has to take it apart.
        let facts = &*Box::leak(Box::new(engine::facts(self.node)?));
        let roots = read_text(self.node, Path::new(ROOT_KEYS_PATH)).ok().flatten().unwrap_or_default();
        let host = visible(&facts.host_name);
        self.say_of(
            "firstlight hardens ",
            &host,
            ". Nothing is touched before you have seen the plan and typed \"apply\". At every question: ? explains it, \
             < goes back, Enter takes what stands in [ ], Ctrl-C ends the wizard.",
        );
        let mut flow = Flow::new(facts, &roots);
        loop {
            self.questions(&mut flow)?;
            match flow.result() {
                Ok(mut answer) => {
                    answer.profile.admin.ssh_key_passphrase = Passphrase::new(flow.passphrase());
                    let (_, plan) = engine::plan(self.node, &answer)?;
                    self.page(&in_words(&answer, &plan));
                    if let Some(path) = save {
                        write_atomically(self.node, path, flow.text().as_bytes())?;
                        self.say_of("Saved as ", &path.to_string_lossy(), ", readable by root alone.");
                    }
                    if self.is_wanted(&plan) {
                        return self.begin(&answer, &plan.hash);
                    }
                    flow.back();
                }
                Err(problems) => {
                    for problem in &problems.list {
                        let what = [&*problem.key, ": ", &problem.message].concat();
                        self.say_of("This node refuses ", &what, ".");
                    }
                    flow.back_to(&problems);
                }
            }
        }
    }

    /// Asks until every question is answered.
    #[inline(never)]
    fn questions(&mut self, flow: &mut Flow<'_>) -> Result<(), Stop> {
        while let Some(question) = flow.question() {
            self.ask.show(&flow.shown());
            loop {
                let (prompt, default) = flow.prompt();
                let typed = if question.is("hidden") {
                    let typed = self.hidden(prompt, &default);
                    let asks = matches!(&*typed, "" | HELP | BACK) || !question.is("password");
                    if asks { typed } else { hash(self.node, &typed)? }
                } else {
                    self.line(prompt, &default)
                };
                let again = match &*typed {
                    HELP => Some(question.help().to_owned()),
                    BACK => {
                        flow.back();
                        None
                    }
                    _ => flow.answer(&typed),
                };
                let Some(text) = again else { break };
                self.say(&text);
            }
        }
        Ok(())
    }

    /// What is typed twice; or once, where that is `?`, `<` or nothing.
    #[inline(never)]
    fn hidden(&mut self, prompt: &str, default: &str) -> String {
        loop {
            let typed = self.typed(prompt, default, true);
            if matches!(&*typed, "" | HELP | BACK) || self.typed("The same again", "", true) == typed {
                return typed;
            }
            self.say("The two differ.");
        }
    }

    /// Whether the word was typed; `false`: back to the questions.
    #[inline(never)]
    fn is_wanted(&mut self, plan: &Plan) -> bool {
        loop {
            match &*self.line("Type apply to begin, d for the diffs, < to go back", "") {
                "apply" => return true,
                BACK => return false,
                "d" => self.page(&show::steps(plan, Paint::of_output())),
                _ => self.say(
                    "Nothing has been touched. The whole word makes these changes in one transaction, with a snapshot of \
                     /etc before it. If a step or a check fails, or nobody logs in anew in time, everything is put back.",
                ),
            }
        }
    }
}

pub(super) fn hash(node: &dyn Node, password: &str) -> Result<String, Stop> {
    // The letters of base32 are among those of a salt.
    let setting = SETTING.to_owned() + &totp::base32(&node.random(SALT)?);
    // Never on the command line, which others can read.
    let input = [password, "\n", &setting, "\n"].concat().into_bytes();
    let made = run_checked(node, &Invocation::new(PERL, &["-e", CRYPT]).input(input))?.stdout;
    if made.starts_with(&setting) { Ok(made) } else { Err(Stop::refusal("perl's crypt knows no yescrypt")) }
}

/// What was chosen, and what it changes.
#[inline(never)]
fn in_words(answer: &Answer, plan: &Plan) -> String {
    let mut text = "\nThe plan; nothing has been touched yet.\n\n".to_owned();
    text.push_str(&wrapped(&check::summary(&answer.profile), INDENT, WIDTH));
    text.push_str("\n   Changes, in this order:\n");
    let titles = plan.steps.iter().map(|step| ("-", &step.title));
    let warnings = plan.warnings.iter().map(|warning| ("Warning:", warning));
    for (mark, line) in titles.chain(warnings).chain(plan.notes.iter().map(|note| ("Note:", note))) {
        text.push_str(&item(mark, line));
    }
    text
}
