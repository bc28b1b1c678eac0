//! fail2ban, from what its server says about its jails.

use super::sshd::sorted;
use super::{Observer, Verdict};
use crate::error::Result;
use crate::gate::FAIL2BAN_PROGRAM;
use crate::node::Invocation;

/// What is asked about every jail, in this order, in one call of the client for all: the key of jail.conf(5), and the
/// question.
const QUESTIONS: [(&str, &str); 10] = [
    ("maxretry", "maxretry"),
    ("findtime", "findtime"),
    ("bantime", "bantime"),
    ("journalmatch", "journalmatch"),
    ("failregex", "failregex"),
    ("banaction", "actions"),
    ("port", "action nftables port"),
    ("actionban", "action nftables actionban"),
    ("blocktype", "action nftables blocktype"),
    ("ignoreip", "ignoreip"),
];
/// What is wanted is a part of the answer.
const PARTS: &str = "failregex banaction actionban";
const JAILS: [&str; 2] = ["sshd", "firstlight-pve"];
/// Before every command that the client reads from its standard input.
const PROMPT: &str = "fail2ban> ";

impl Observer<'_> {
    /// `wanted` has a line for each of `keys`: `maxretry = 5`.
    pub(super) fn fail2ban_jail(&mut self, jail: &str, keys: &str, wanted: &str) -> Result<Verdict> {
        let mut input = String::new();
        for jail in JAILS {
            for (_, question) in &QUESTIONS {
                input.push_str(&["get ", jail, " ", question, "\n"].concat());
            }
        }
        input.push_str("exit\n");
        let invocation = Invocation::new(FAIL2BAN_PROGRAM, &["-i"]).input(input.into_bytes());
        let output = self.once(invocation)?.stdout;
        let others = if jail == JAILS[0] { 1 } else { 1 + QUESTIONS.len() };
        let answers = output.split(PROMPT).skip(others).chain(std::iter::repeat("nothing"));
        for ((key, question), answer) in QUESTIONS.iter().zip(answers) {
            if !keys.contains(key) {
                continue;
            }
            // Without its heading, and without the signs that draw a list.
            let answer = match answer.split_once('\n') {
                Some((heading, list)) if heading.ends_with(':') => list,
                _ => answer,
            };
            let said = answer.replace("|- ", " ").replace("`- ", " ").replace('\n', "");
            let begin = ["\n", key, " = "].concat();
            let wanted =
                wanted.split(&begin).nth(1).and_then(|rest| rest.split('\n').next()).unwrap_or_default();
            let right =
                if PARTS.contains(key) { said.contains(wanted) } else { sorted(&said) == sorted(wanted) };
            if !right {
                let about = ["fail2ban says about the ", question, " of ", jail, ": ", said.trim()].concat();
                return Ok(Verdict::Fails(about));
            }
        }
        Ok(Verdict::Holds)
    }
}

#[cfg(test)]
mod tests;
