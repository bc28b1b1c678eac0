//! Completions for bash, zsh and fish, made of the table of the command line and of the help texts. They lie in
//! `completions/`; `FIRSTLIGHT_WRITE=1 cargo test completions` writes them anew.

use super::form::{self, HIDDEN};
use super::manual::{Part, commands, help_of, hold};

/// What may stand behind an option, or as an operand.
#[derive(Clone, Copy, PartialEq)]
enum Value {
    None,
    File,
    Directory,
    Words(&'static str),
    /// Something that only the operator knows.
    Free,
}

fn value_of(option: &str, takes: &str) -> Value {
    match (takes, option) {
        ("=", "out") => Value::Directory,
        ("=", "exe" | "save") => Value::File,
        ("=", "confirm") => Value::Words("login none"),
        ("=", _) => Value::Free,
        _ => Value::None,
    }
}

fn operand_of(name: &str) -> Value {
    match name {
        "check" | "bake" | "plan" | "apply" | "audit" => Value::File,
        _ => Value::Free,
    }
}

/// Every command of the table: its words, its options with what they take and mean.
struct Shape {
    command: &'static str,
    word: &'static str,
    options: Vec<(&'static str, Value, String)>,
}

fn shapes() -> Vec<Shape> {
    let shape = |name: &'static str| {
        let (command, word) = name.split_once(' ').unwrap_or((name, ""));
        let options = form::find(name).unwrap();
        let options = options.options().filter(|(option, _)| !HIDDEN.contains(option));
        let options =
            options.map(|(option, takes)| (option, value_of(option, takes), meaning(command, option)));
        Shape { command, word, options: options.collect() }
    };
    form::names().into_iter().map(shape).collect()
}

/// What the help says of an option, up to the first stop.
fn meaning(command: &str, option: &str) -> String {
    let flag = format!("--{option}");
    let item = help_of(command).body.into_iter().find_map(|part| match part {
        Part::Item(term, text) if term.split([' ', '[', '=']).next() == Some(&flag) => Some(text),
        _ => None,
    });
    // Some stand in a sentence of the help, and not in a line of their own.
    let text = item.unwrap_or_else(|| match option {
        "json" => "for programs".to_owned(),
        "keep" => "how many of each stay".to_owned(),
        _ => String::new(),
    });
    text.split([':', ';', ',', '(']).next().unwrap_or_default().trim().to_owned()
}

fn first_words() -> String {
    let mut words: Vec<String> = commands().into_iter().map(|(command, _)| command).collect();
    words.extend(["help", "--help", "--version"].map(str::to_owned));
    words.join(" ")
}

fn second_words(command: &str) -> Vec<&'static str> {
    shapes().iter().filter(|shape| shape.command == command).map(|shape| shape.word).collect()
}

fn bash() -> String {
    let mut cases = String::new();
    for shape in shapes() {
        let options: Vec<String> = shape.options.iter().map(|(option, ..)| format!("--{option}")).collect();
        let name = format!("{} {}", shape.command, shape.word);
        let files = if operand_of(shape.command) == Value::File { "; files=f" } else { "" };
        let pattern = if shape.word.is_empty() { format!("\"{name}\"*") } else { format!("\"{name}\"") };
        let options = options.iter().map(String::as_str).chain(["--help"]).collect::<Vec<_>>().join(" ");
        cases += &format!("        {pattern}) words='{options}'{files} ;;\n");
    }
    BASH.replace("@FIRST@", &first_words())
        .replace("@SNAPSHOTS@", &second_words("snapshots").join(" "))
        .replace("@TOTP@", &second_words("totp").join(" "))
        .replace("@CASES@\n", &cases)
}

const BASH: &str = "\
# bash completion for firstlight                            -*- shell-script -*-
_firstlight() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words='' files=''
    COMPREPLY=()
    case $COMP_CWORD:${COMP_WORDS[1]-} in
        1:*) mapfile -t COMPREPLY < <(compgen -W '@FIRST@' -- \"$current\"); return ;;
        2:snapshots) mapfile -t COMPREPLY < <(compgen -W '@SNAPSHOTS@ --help' -- \"$current\"); return ;;
        2:totp) mapfile -t COMPREPLY < <(compgen -W '@TOTP@ --help' -- \"$current\"); return ;;
    esac
    case $before in
        --confirm) mapfile -t COMPREPLY < <(compgen -W 'login none' -- \"$current\"); return ;;
        --out) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$current\"); return ;;
        --exe | --save) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$current\"); return ;;
        --plan | --to | --keep) return ;;
    esac
    case \"${COMP_WORDS[1]-} ${COMP_WORDS[2]-}\" in
@CASES@
    esac
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")
    elif [[ $files ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")
    fi
} && complete -F _firstlight firstlight
";

fn quoted(text: &str) -> String {
    text.replace('\'', "’").replace('`', "")
}

fn zsh() -> String {
    let described: String = commands()
        .iter()
        .map(|(command, meaning)| format!("    '{command}:{}'\n", quoted(meaning)))
        .collect();
    let mut cases = String::new();
    for shape in shapes() {
        let name = format!("{} {}", shape.command, shape.word);
        let mut arguments = vec!["'--help[how to use it]'".to_owned()];
        for (option, value, meaning) in &shape.options {
            let meaning = quoted(meaning);
            arguments.push(match value {
                Value::None => format!("'--{option}[{meaning}]'"),
                Value::File => format!("'--{option}[{meaning}]:file:_files'"),
                Value::Directory => format!("'--{option}[{meaning}]:directory:_files -/'"),
                Value::Words(words) => format!("'--{option}[{meaning}]:word:({words})'"),
                Value::Free => format!("'--{option}[{meaning}]:value:'"),
            });
        }
        if operand_of(shape.command) == Value::File {
            arguments.push("'1:answer file:_files'".to_owned());
        }
        cases += &format!("  '{}') _arguments {} ;;\n", name.trim(), arguments.join(" "));
    }
    ZSH.replace("@COMMANDS@\n", &described)
        .replace("@SNAPSHOTS@", &second_words("snapshots").join(" "))
        .replace("@TOTP@", &second_words("totp").join(" "))
        .replace("@CASES@\n", &cases)
}

const ZSH: &str = "\
#compdef firstlight
local -a commands
commands=(
@COMMANDS@
)
if (( CURRENT == 2 )); then
  _describe command commands
  _arguments '--help[how to use it]' '--version[the version]'
  return
fi
local name=$words[2] skip=1
case $name in
  snapshots | totp)
    if (( CURRENT == 3 )); then
      [[ $name == totp ]] && compadd @TOTP@ || compadd @SNAPSHOTS@
      return
    fi
    name+=\" $words[3]\" skip=2 ;;
esac
shift skip words
(( CURRENT -= skip ))
case $name in
@CASES@
esac
";

fn fish() -> String {
    let mut lines = String::from("# fish completion for firstlight\ncomplete -c firstlight -f\n");
    for (command, meaning) in commands() {
        let meaning = quoted(&meaning);
        lines += &format!("complete -c firstlight -n __fish_use_subcommand -a {command} -d '{meaning}'\n");
    }
    lines += "complete -c firstlight -n __fish_use_subcommand -l version -d 'the version'\n";
    lines += "complete -c firstlight -l help -d 'how to use it'\n";
    for command in ["snapshots", "totp"] {
        let words = second_words(command).join(" ");
        lines += &format!(
            "complete -c firstlight -n '__fish_seen_subcommand_from {command}; and not __fish_seen_subcommand_from {words}' -a '{words}'\n"
        );
    }
    for shape in shapes() {
        let seen = |word: &str| format!("__fish_seen_subcommand_from {word}");
        let when = match shape.word {
            "" => seen(shape.command),
            word => format!("{}; and {}", seen(shape.command), seen(word)),
        };
        for (option, value, meaning) in &shape.options {
            let takes = match value {
                Value::None => String::new(),
                Value::File => " -r -F".to_owned(),
                Value::Directory => " -x -a '(__fish_complete_directories)'".to_owned(),
                Value::Words(words) => format!(" -x -a '{words}'"),
                Value::Free => " -x".to_owned(),
            };
            lines +=
                &format!("complete -c firstlight -n '{when}' -l {option}{takes} -d '{}'\n", quoted(meaning));
        }
        if operand_of(shape.command) == Value::File {
            lines += &format!("complete -c firstlight -n '{when}' -F\n");
        }
    }
    lines
}

#[test]
fn completions_know_every_command_and_option() {
    for (path, text) in [
        ("completions/firstlight.bash", bash()),
        ("completions/_firstlight", zsh()),
        ("completions/firstlight.fish", fish()),
    ] {
        for shape in shapes() {
            assert!(text.contains(shape.command) && text.contains(shape.word), "{path}: {}", shape.command);
            for (option, _, meaning) in &shape.options {
                let written =
                    if path.ends_with("fish") { format!("-l {option}") } else { format!("--{option}") };
                assert!(text.contains(&written), "{path} does not know --{option} of {}", shape.command);
                assert!(!meaning.is_empty(), "the help of {} does not explain --{option}", shape.command);
            }
        }
        hold(path, &text);
    }
}

/// What bash itself completes.
#[test]
fn bash_completes_commands_options_and_files() {
    let complete = |words: &[&str]| {
        let list: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let script = format!(
            "compopt() {{ :; }}; . completions/firstlight.bash; COMP_WORDS=({}); COMP_CWORD={}; _firstlight; \
             echo \"${{COMPREPLY[@]}}\"",
            list.join(" "),
            words.len() - 1
        );
        let mut bash = std::process::Command::new("bash");
        let bash = bash.args(["-euc", &script]).current_dir(env!("CARGO_MANIFEST_DIR"));
        let done = bash.output().unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete(&["firstlight", "ro"]), "rollback");
    assert_eq!(complete(&["firstlight", "snapshots", ""]), "list show diff prune --help");
    assert_eq!(complete(&["firstlight", "apply", "--"]), "--plan --confirm --help");
    assert_eq!(complete(&["firstlight", "apply", "--confirm", "l"]), "login");
    assert_eq!(complete(&["firstlight", "check", "answer-files/minimal"]), "answer-files/minimal.toml");
    assert_eq!(complete(&["firstlight", "snapshots", "diff", "--"]), "--json --help");
    assert_eq!(complete(&["firstlight", "status", "answer-files/minimal"]), "");
}
