//! The answer that the wizard writes: TOML, read again by the reader of every answer.

use super::questions::{Choice, Form, Question};
use crate::answer::{self, Answer};
use crate::areas;
use crate::facts::Facts;

/// What an answer made of questions is called.
pub const SOURCE: &str = "wizard";
/// The key that stands for a pair that is made on the node.
pub const NEW_PAIR: &str = "n";

/// The lines that a question puts below `[firstlight]`, each with its table in front: `admin.name = "ops"`. Nothing is
/// checked but the numbers of choices.
pub fn lines(question: &Question, value: &str) -> Option<String> {
    let key = question.keys.first()?;
    let list = |items: &mut dyn Iterator<Item = &str>| {
        let items: Vec<String> = items.map(answer::quoted).collect();
        if items.is_empty() { String::new() } else { format!("{key} = [{}]", items.join(", ")) }
    };
    Some(match question.form {
        Form::Text => format!("{key} = {}", answer::quoted(value)),
        Form::Password if value.is_empty() => String::new(),
        Form::Password => format!("{key} = {}", answer::quoted(value)),
        Form::Texts => list(&mut words(value)),
        Form::Keys if value == NEW_PAIR => "admin.ssh-key-pair = \"node\"".to_owned(),
        Form::Keys => list(&mut value.lines()),
        Form::One(all) => chosen(all, value).filter(|(_, count)| *count == 1)?.0,
        Form::Many(all) => chosen(all, value)?.0,
    })
}

/// The lines of the choices whose numbers these are, and how many.
fn chosen(choices: &[Choice], numbers: &str) -> Option<(String, usize)> {
    let (mut lines, mut count) = (String::new(), 0);
    for word in words(numbers) {
        let number: usize = word.parse().ok()?;
        lines.push_str(choices.get(number.checked_sub(1)?)?.lines);
        lines.push('\n');
        count += 1;
    }
    Some((lines, count))
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', ',', '\t']).filter(|word| !word.is_empty())
}

/// The answer as a text, a table after the other.
pub fn text(node: &str, lines: &str) -> String {
    let mut text = format!("# Written by `firstlight wizard` on {node}.\n[firstlight]\nschema = 1\n");
    let mut tables: Vec<&str> = Vec::new();
    let parts: Vec<(&str, &str)> = lines.lines().filter_map(|line| line.split_once('.')).collect();
    for (table, _) in &parts {
        if tables.contains(table) {
            continue;
        }
        tables.push(table);
        text.push_str(&format!("\n[firstlight.{table}]\n"));
        for (_, line) in parts.iter().filter(|(other, _)| other == table) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// What the reader of answers, or this node, says against the answer: key below `firstlight.` and sentence.
pub fn complaints(text: &str, facts: &Facts) -> Vec<(String, String)> {
    let below = |key: String| key.strip_prefix("firstlight.").map(str::to_owned).unwrap_or(key);
    match answer::read(SOURCE, text.as_bytes()) {
        Err(problems) => {
            problems.list.into_iter().map(|problem| (below(problem.key), problem.message)).collect()
        }
        Ok(answer) => match areas::propose_all(&answer.profile, facts) {
            Err(refusals) => {
                refusals.into_iter().map(|refusal| (below(refusal.key), refusal.message)).collect()
            }
            Ok(_) => Vec::new(),
        },
    }
}

/// The first complaint about one of these keys.
pub fn complaint(text: &str, facts: &Facts, keys: &[&str]) -> Option<String> {
    let mut all = complaints(text, facts).into_iter();
    all.find(|(key, _)| keys.iter().any(|own| is_below(key, own))).map(|(_, message)| message)
}

/// Whether `key` is `own` or stands in that table.
pub fn is_below(key: &str, own: &str) -> bool {
    key.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Accounts that the answer would shut out.
pub fn shut_out<'a>(text: &str, facts: &'a Facts) -> Vec<&'a str> {
    answer(text).map(|answer| areas::shut_out(&answer.profile, facts)).unwrap_or_default()
}

/// The answer itself.
pub fn answer(text: &str) -> Result<Answer, answer::Problems> {
    answer::read(SOURCE, text.as_bytes())
}
