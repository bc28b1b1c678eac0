//! The same on a real terminal: a process of its own, whose keys and screen are at the other end of a pseudo-terminal.

use super::*;
use crate::ask::pty::Pty;
use crate::report::terminal::complain;
use nix::sys::signal::{SigSet, Signal};

/// Tells the test below that it is the process on the terminal.
const CHILD: &str = "FIRSTLIGHT_ON_A_TERMINAL";
const XTERM: [(&str, &str); 3] = [("TERM", "xterm"), ("LANG", "C.UTF-8"), (CHILD, "1")];

/// Not a test: the program that the others start.
#[test]
fn the_wizard_on_the_terminal_of_a_parent() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let node = fresh();
    let Some(mut tty) = Tty::open() else {
        complain("no terminal\n");
        std::process::exit(2);
    };
    let code = match with(&node, None, &mut tty) {
        Ok(code) => code,
        Err(stop) => {
            complain(&format!("error: {}\n", stop.text));
            stop.code
        }
    };
    std::process::exit(code.into());
}

fn start(environment: &[(&str, &str)]) -> Pty {
    let program = engine::own_executable().unwrap();
    let name = "commands::wizard::tests::terminal::the_wizard_on_the_terminal_of_a_parent";
    // The harness has a thread of its own, which must not get the signals: they are blocked from the start, as in the
    // product while it asks.
    let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
    let mask: SigSet = signals.into_iter().collect();
    mask.thread_block().unwrap();
    let pty = Pty::start(&program.to_string_lossy(), &["--exact", name, "--nocapture", "-q"], environment);
    mask.thread_unblock().unwrap();
    pty
}

/// The prompts of a default run, and what is typed there.
const RUN: [(&str, &str); 10] = [
    ("Login name [ops]: ", "ops"),
    ("Public key: ", KEY),
    ("Another key, or Enter to go on: ", ""),
    ("Password: ", PASSWORD),
    ("The same again: ", PASSWORD),
    ("Which [1]: ", ""),
    ("Networks [10.0.20.0/24]: ", ""),
    ("Who gets one [1]: ", ""),
    ("Which [1]: ", ""),
    ("Numbers, or Enter for nothing: ", ""),
];

fn run_to(pty: &mut Pty, prompts: usize) {
    for (prompt, typed) in RUN.into_iter().take(prompts) {
        pty.prompt(prompt);
        pty.line(typed);
    }
}

#[test]
fn j2_the_main_path_on_a_terminal_of_80_columns_and_24_rows() {
    let mut pty = start(&XTERM);
    let mut screens = String::new();
    let mut shot = |pty: &Pty, title: &str| {
        let screen = pty.screen();
        assert!(screen.lines().count() <= 24, "{screen}");
        screens.push_str(&format!("===== {title}\n{screen}"));
    };
    run_to(&mut pty, 1);
    pty.prompt("Public key: ");
    pty.line("?");
    pty.sees("ssh-keygen -lf FILE");
    pty.prompt("Public key: ");
    pty.line("<");
    pty.prompt("Login name [ops]: ");
    pty.line("root");
    pty.sees("Not accepted: must not be root");
    run_to(&mut pty, 3);
    pty.prompt("Password: ");
    shot(&pty, "a key was pasted");
    for (prompt, typed) in RUN.into_iter().skip(3) {
        if prompt.starts_with("Networks") {
            pty.prompt(prompt);
            shot(&pty, "networks");
        }
        pty.prompt(prompt);
        pty.line(typed);
    }
    pty.prompt("q is enough: ");
    while !pty.screen().trim_end().ends_with("< to go back:") {
        shot(&pty, "the plan");
        let sent = pty.sent().len();
        pty.line("");
        pty.asks_after(sent);
    }
    shot(&pty, "before the word");
    assert!(!pty.sent().contains(PASSWORD));
    pty.line("apply");
    pty.sees("Type confirm to keep everything without a login");
    assert!(pty.is_restored(), "while it waits the terminal is the kernel's");
    pty.line("confirm");
    pty.prompt("Code of root@pam: ");
    let screen = pty.screen();
    assert!(screen.contains("Scan it, or type in the secret:"), "{screen}{:?}", pty.sent());
    let words: Vec<&str> = screen.split_whitespace().collect();
    let group = |word: &&str| word.len() == 4 && !["TOTP", "USER"].contains(word);
    let base32 = |word: &&str| word.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'));
    let secret: String = words.iter().copied().filter(group).filter(base32).collect();
    assert_eq!(secret.len(), 32, "in groups of four: {screen}");
    pty.line("123");
    pty.sees("Not one of this secret's.");
    pty.prompt("Code of root@pam: ");
    let key = totp::from_base32(&secret).unwrap();
    // The model of the node has a clock of its own, which stands still but for what waits.
    let clock = fresh().now();
    pty.line(&totp::code(&key, clock, 0));
    pty.prompt("safe place: ");
    pty.line("kept");
    pty.prompt("y or n [n]: ");
    pty.line("");
    pty.prompt("Code of ops@pam: ");
    pty.line("");
    let code = pty.ends();
    assert!(matches!(code, 0 | 3), "{code}: {}", pty.screen());
    assert!(pty.is_restored());
    snapshot("screens", &screens);
}

#[test]
fn j2_ctrl_c_a_dropped_line_and_a_request_to_stop_leave_the_terminal_as_it_was_at_every_question() {
    for prompts in 0..=RUN.len() {
        for signal in [None, Some(Signal::SIGTERM), Some(Signal::SIGHUP)] {
            let mut pty = start(&XTERM);
            run_to(&mut pty, prompts);
            let next = RUN.get(prompts).map_or("to go back: ", |(prompt, _)| prompt);
            if prompts == RUN.len() {
                pty.prompt("q is enough: ");
            } else {
                pty.prompt(next);
            }
            match signal {
                None => pty.keys("\x03"),
                Some(signal) => pty.signal(signal),
            }
            assert_eq!(pty.ends(), 2, "{next}");
            assert!(pty.is_restored(), "{next} {signal:?}");
            pty.says("the wizard was ended, nothing was changed");
        }
    }
}

#[test]
fn j2_a_lone_escape_and_arrow_keys_destroy_nothing() {
    let mut pty = start(&XTERM);
    pty.prompt("Login name [ops]: ");
    pty.keys("\x1b");
    std::thread::sleep(std::time::Duration::from_millis(200));
    pty.keys("\x1b[A\x1b[B\x1b[3~");
    std::thread::sleep(std::time::Duration::from_millis(200));
    pty.keys("mex\x7f");
    pty.line("");
    pty.prompt("Public key: ");
    pty.line("<");
    pty.prompt("Login name [me]: ");
    // The same keys over a slow line, in halves.
    for half in ["o\x1b", "[", "Dp", "\x1b[1;", "5Cs"] {
        pty.keys(half);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    pty.line("");
    pty.prompt("Public key: ");
    pty.line("<");
    pty.prompt("Login name [ops]: ");
}

#[test]
fn j2_a_terminal_that_can_do_nothing_gets_plain_lines() {
    let mut pty = start(&[("TERM", "dumb"), ("NO_COLOR", "1"), (CHILD, "1")]);
    run_to(&mut pty, RUN.len());
    pty.prompt("q is enough: ");
    assert!(!pty.sent().contains('\x1b'), "{:?}", pty.sent());
    assert!(!pty.sent().contains(PASSWORD) && pty.sent().is_ascii());
    pty.keys("\x03");
    assert_eq!(pty.ends(), 2);
    assert!(pty.is_restored());
}
