//! A tool with sub commands, such as `pveum`: which command a line means, its usage, `help`.

use serde_json::Value;

use crate::api::{Method, Returns};
use crate::cluster_files;
use crate::command_line::options::{Accepted, FORMAT_OPTIONS, usage};
use crate::command_line::output::Wanted;
use crate::command_line::parameter::Parameter;
use crate::context::Context;
use crate::failure::Failure;

/// A tool.
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// Its commands, in the groups and the order of its own usage text.
    pub groups: &'static [&'static [Command]],
    /// Old names: the words of the command they stand for.
    pub aliases: &'static [(&'static str, &'static str)],
}

/// What a command prints.
#[derive(Clone, Copy)]
pub enum Print {
    /// Nothing.
    Nothing,
    /// What the method gave back, with the options of the output; these columns in text tables if there are any.
    Result(Option<Returns>),
    /// Text of its own.
    Text(fn(&Value) -> String),
    /// What the method gave back, but text of its own in the format of text.
    ResultOrText(fn(&Value) -> String),
}

/// One command of a tool.
pub struct Command {
    /// Its words, as in `user tfa list`.
    pub words: &'static str,
    /// The method it calls.
    pub method: &'static Method,
    /// Positional arguments.
    pub positional: &'static [&'static str],
    /// Parameters that the command sets itself.
    pub fixed: &'static [(&'static str, &'static str)],
    /// What it prints.
    pub print: Print,
}

impl Command {
    /// A command that prints nothing.
    pub const fn new(
        words: &'static str,
        method: &'static Method,
        positional: &'static [&'static str],
        print: Print,
    ) -> Self {
        Self { words, method, positional, fixed: &[], print }
    }

    /// Sets parameters.
    #[must_use]
    pub const fn fixed(mut self, fixed: &'static [(&'static str, &'static str)]) -> Self {
        self.fixed = fixed;
        self
    }

    fn has_format_options(&self) -> bool {
        matches!(self.print, Print::Result(_) | Print::ResultOrText(_))
    }

    fn parameters(&self) -> Vec<&'static Parameter> {
        let set = |name: &str| self.fixed.iter().any(|(fixed, _)| *fixed == name);
        self.method.parameters.iter().filter(|parameter| !set(parameter.name)).collect()
    }

    fn usage(&self, program: &str) -> String {
        let fixed: Vec<&str> = self.fixed.iter().map(|(name, _)| *name).collect();
        let prefix = format!("{program} {}", self.words);
        usage(&prefix, &self.parameters(), self.positional, &fixed, self.has_format_options())
    }

    fn run(&self, program: &str, context: &Context, arguments: &[String]) -> Result<(), Failure> {
        let usage = self.usage(program);
        let mut accepted = self.parameters();
        if self.has_format_options() {
            accepted.extend(&FORMAT_OPTIONS);
        }
        let accepted = Accepted { parameters: accepted, positional: self.positional, usage: &usage };
        let mut parameters = accepted.read(context, arguments)?;
        for (name, value) in self.fixed {
            parameters.set(name, *value);
        }
        let wanted = Wanted::taken_from(&mut parameters);
        let value = self.method.call(context, &parameters).map_err(|failure| failure.with_usage(&usage))?;
        match self.print {
            Print::Nothing => Ok(()),
            Print::Result(returns) => wanted.print(context, &value, returns.unwrap_or(self.method.returns)),
            Print::ResultOrText(_) if !wanted.is_text() => wanted.print(context, &value, self.method.returns),
            Print::Text(text) | Print::ResultOrText(text) => {
                context.print(&text(&value));
                Ok(())
            }
        }
    }
}

/// Runs the command that the arguments name.
pub fn run(program: &Program, context: &Context, arguments: &[String]) -> Result<(), Failure> {
    if arguments.is_empty() {
        return Err(program.refuse("no command specified", ""));
    }
    // The tools connect to pmxcfs before they look at what they were asked to do.
    cluster_files::ask_for_access(context)?;
    let words = program.without_aliases(arguments);
    match program.resolve(&words) {
        Resolved::Command(command, count) => {
            command.run(program.name, context, words.get(count..).unwrap_or_default())
        }
        Resolved::Help(extra) => {
            context.print(&program.help(extra)?);
            Ok(())
        }
        Resolved::Incomplete(words) => {
            Err(program.refuse(&format!("incomplete command '{} {words}'", program.name), &words))
        }
        Resolved::Unknown(words) => {
            Err(program.refuse(&format!("unknown command '{} {words}'", program.name), ""))
        }
    }
}

/// What a line of words means.
enum Resolved<'a> {
    Command(&'static Command, usize),
    Help(&'a [String]),
    Incomplete(String),
    Unknown(String),
}

impl Program {
    fn commands(&self) -> impl Iterator<Item = &'static Command> {
        self.groups.iter().copied().flatten()
    }

    /// The words with an old name at their beginning replaced.
    fn without_aliases(&self, arguments: &[String]) -> Vec<String> {
        let first = arguments.first().map(String::as_str).unwrap_or_default();
        match self.aliases.iter().find(|(old, _)| *old == first) {
            Some((_, words)) => {
                words.split(' ').map(str::to_owned).chain(arguments.iter().skip(1).cloned()).collect()
            }
            None => arguments.to_vec(),
        }
    }

    /// Follows the words; each may be the unique beginning of one.
    fn resolve<'a>(&self, words: &'a [String]) -> Resolved<'a> {
        let mut path: Vec<String> = Vec::new();
        for (index, word) in words.iter().enumerate() {
            if index == 0 && word == "help" {
                return Resolved::Help(words.get(1..).unwrap_or_default());
            }
            let next = self.next_words(&path);
            let full = if next.contains(&word.as_str()) {
                word.as_str()
            } else {
                let mut beginning = next.iter().filter(|next| next.starts_with(word.as_str()));
                match (beginning.next(), beginning.next()) {
                    (Some(only), None) => only,
                    _ => {
                        path.push(word.clone());
                        return Resolved::Unknown(path.join(" "));
                    }
                }
            };
            path.push(full.to_owned());
            let joined = path.join(" ");
            if let Some(command) = self.commands().find(|command| command.words == joined) {
                return Resolved::Command(command, index + 1);
            }
        }
        Resolved::Incomplete(path.join(" "))
    }

    /// The words that may follow these.
    fn next_words(&self, path: &[String]) -> Vec<&'static str> {
        let mut next: Vec<&'static str> = self
            .commands()
            .filter_map(|command| {
                let mut words = command.words.split(' ');
                path.iter().all(|wanted| words.next() == Some(wanted)).then(|| words.next()).flatten()
            })
            .collect();
        next.dedup();
        next
    }

    /// Usage of the commands that begin with these words.
    fn usage(&self, words: &str, separator: &str) -> String {
        let of_group = |group: &&[Command]| {
            let lines: Vec<String> = group
                .iter()
                .filter(|command| {
                    words.is_empty()
                        || command.words == words
                        || command.words.starts_with(&format!("{words} "))
                })
                .map(|command| format!("       {}\n", command.usage(self.name)))
                .collect();
            lines.concat()
        };
        let groups: Vec<String> =
            self.groups.iter().map(of_group).filter(|group| !group.is_empty()).collect();
        groups.join(separator)
    }

    fn refuse(&self, reason: &str, words: &str) -> Failure {
        let text = format!(
            "ERROR: {reason}\nUSAGE: {} <COMMAND> [ARGS] [OPTIONS]\n\n{}",
            self.name,
            self.full_usage(words)
        );
        Failure::die(text.trim_end_matches('\n'))
    }

    fn full_usage(&self, words: &str) -> String {
        let help = format!("       {} help [<extra-args>] [OPTIONS]\n", self.name);
        let usage = self.usage(words, "\n");
        if words.is_empty() { format!("{usage}\n{help}") } else { usage }
    }

    fn help(&self, extra: &[String]) -> Result<String, Failure> {
        if extra.is_empty() {
            let usage = self.full_usage("");
            return Ok(format!("USAGE: {} <COMMAND> [ARGS] [OPTIONS]\n\n{usage}", self.name));
        }
        let usage = self.usage(&extra.join(" "), "");
        if usage.is_empty() {
            return Err(self.refuse(&format!("unknown command '{} {}'", self.name, extra.join(" ")), ""));
        }
        Ok(format!("USAGE: {}", usage.trim_start()))
    }
}
