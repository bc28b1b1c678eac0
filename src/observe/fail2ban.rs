//! fail2ban, from what its server says about its jails, and what there is for it to read.

use super::{Observer, Verdict};
use crate::error::Result;
use crate::gate::FAIL2BAN_PROGRAM;
use crate::node::Invocation;

/// What is asked about every jail, in this order: one call of the client for all.
const QUESTIONS: [&str; 10] = [
    "maxretry",
    "findtime",
    "bantime",
    "journalmatch",
    "failregex",
    "actions",
    "action nftables port",
    "action nftables actionban",
    "action nftables blocktype",
    "ignoreip",
];
/// Where what is wanted is a part of the answer.
const PARTS: [&str; 3] = ["failregex", "actions", "action nftables actionban"];
const JAILS: [&str; 2] = ["sshd", "firstlight-pve"];
/// Before every command that the client reads from its standard input.
const PROMPT: &str = "fail2ban> ";
/// journald's names and numbers of levels that keep `info`, sshd's that say so much.
const KEPT: [&str; 5] = ["", "info", "debug", "6", "7"];
const LOGGED: [&str; 5] = ["INFO", "VERBOSE", "DEBUG", "DEBUG2", "DEBUG3"];

impl Observer<'_> {
    pub(super) fn fail2ban_jail(&mut self, jail: &str, wanted: &str) -> Result<Verdict> {
        let output = self.fail2ban()?;
        let answers: Vec<&str> = output.split(PROMPT).skip(1).collect();
        for (question, wanted) in wanted.lines().filter_map(|line| line.split_once('\t')) {
            let place = (JAILS.iter().position(|name| *name == jail))
                .zip(QUESTIONS.iter().position(|known| *known == question))
                .map(|(jail, question)| jail * QUESTIONS.len() + question);
            let answer = place.and_then(|place| answers.get(place)).copied().unwrap_or_default();
            let said = plain(answer);
            let right = if PARTS.contains(&question) {
                said.contains(wanted)
            } else {
                sorted(&said) == sorted(wanted)
            };
            if !right {
                let said = if said.is_empty() { "nothing" } else { &said };
                return Ok(Verdict::Fails(format!("fail2ban says about the {question} of {jail}: {said}")));
            }
        }
        Ok(Verdict::Holds)
    }

    /// What the client prints for all questions; kept.
    fn fail2ban(&mut self) -> Result<String> {
        let mut input = String::new();
        for jail in JAILS {
            for question in QUESTIONS {
                input.push_str(&format!("get {jail} {question}\n"));
            }
        }
        input.push_str("exit\n");
        let invocation = Invocation::new(FAIL2BAN_PROGRAM, &["-i"]).input(input.into_bytes());
        Ok(self.once(invocation)?.stdout)
    }

    /// Whether a failed login comes to be read at all.
    pub(super) fn logins_logged(&mut self) -> Result<Verdict> {
        let configuration = self.cat_config("systemd/journald.conf")?;
        let value = |key: &str| {
            let value =
                |line: &str| line.trim().strip_prefix(key)?.trim_start().strip_prefix('=').map(str::to_owned);
            configuration.lines().filter_map(value).next_back().unwrap_or_default().trim().to_owned()
        };
        let (level, storage) = (value("MaxLevelStore"), value("Storage"));
        if !KEPT.contains(&level.as_str()) || storage == "none" {
            return Ok(Verdict::Fails(format!(
                "journald keeps too little: MaxLevelStore={level} Storage={storage}"
            )));
        }
        self.sshd("", "loglevel", &LOGGED.map(str::to_owned))
    }
}

/// The values of an answer: without its heading, and without the signs that draw a list.
fn plain(answer: &str) -> String {
    let lines = answer.lines().map(str::trim).filter(|line| !line.ends_with(':'));
    let values = lines.map(|line| line.trim_start_matches(['|', '`']).trim_start_matches("- "));
    values.collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn sorted(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.sort_unstable();
    words
}

#[cfg(test)]
mod tests;
