//! fail2ban, from what its server says about its jails.

use super::sshd::sorted;
use super::{Observer, Verdict};
use crate::error::Result;
use crate::gate::FAIL2BAN_PROGRAM;
use crate::node::Invocation;

/// What is asked about every jail, in this order, in one call of the client for all: the key of jail.conf(5), the
/// question, and whether what is wanted is all of the answer or a part of it.
const QUESTIONS: [(&str, &str, bool); 10] = [
    ("maxretry", "maxretry", true),
    ("findtime", "findtime", true),
    ("bantime", "bantime", true),
    ("journalmatch", "journalmatch", true),
    ("failregex", "failregex", false),
    ("banaction", "actions", false),
    ("port", "action nftables port", true),
    ("actionban", "action nftables actionban", false),
    ("blocktype", "action nftables blocktype", true),
    ("ignoreip", "ignoreip", true),
];
const JAILS: [&str; 2] = ["sshd", "firstlight-pve"];
/// Before every command that the client reads from its standard input.
const PROMPT: &str = "fail2ban> ";

impl Observer<'_> {
    /// `wanted` has a line for each of `keys`: `maxretry = 5`.
    pub(super) fn fail2ban_jail(&mut self, jail: &str, keys: &str, wanted: &str) -> Result<Verdict> {
        let mut input = String::new();
        for jail in JAILS {
            for (_, question, _) in QUESTIONS {
                input.push_str(&["get ", jail, " ", question, "\n"].concat());
            }
        }
        input.push_str("exit\n");
        let invocation = Invocation::new(FAIL2BAN_PROGRAM, &["-i"]).input(input.into_bytes());
        let output = self.once(invocation)?.stdout;
        let others = if jail == JAILS[0] { 0 } else { QUESTIONS.len() };
        let mut answers = output.split(PROMPT).skip(1 + others);
        for (key, question, whole) in QUESTIONS {
            let said = plain(answers.next().unwrap_or("nothing"));
            let value = |line: &'_ str| line.strip_prefix(key)?.strip_prefix(" = ").map(str::to_owned);
            let wanted = wanted.lines().find_map(value).unwrap_or_default();
            let right = if whole { sorted(&said) == sorted(&wanted) } else { said.contains(&wanted) };
            if !right && keys.split(' ').any(|asked| asked == key) {
                let about = ["fail2ban says about the ", question, " of ", jail, ": ", &said].concat();
                return Ok(Verdict::Fails(about));
            }
        }
        Ok(Verdict::Holds)
    }
}

/// The values of an answer: without its heading, and without the signs that draw a list.
fn plain(answer: &str) -> String {
    let mut values = String::new();
    for line in answer.lines().map(str::trim).filter(|line| !line.ends_with(':')) {
        let value = line.trim_start_matches(['|', '`']).trim_start_matches("- ");
        values.push_str(&[" ", value].concat());
    }
    values.trim().to_owned()
}

#[cfg(test)]
mod tests;
