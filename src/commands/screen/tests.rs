//! What is on the screen, and which signs it is made of.

use super::*;
use crate::node::Output;
use crate::node::scripted::Scripted;
use crate::totp;

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn shown() -> Shown {
    Shown {
        title: "TOTP of root@pam".to_owned(),
        uri: totp::uri("pve1", "root@pam", SECRET),
        secret: totp::grouped(SECRET),
        keys: (0..10).map(|number| format!("1876-1e04-2308-{number:04x}")).collect(),
    }
}

fn code() -> Code {
    Code::of(shown().uri.as_bytes()).unwrap()
}

/// What is left of a text on a terminal.
fn bare(text: &str) -> String {
    let mut bare = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter == '\x1b' {
            let _ = letters.by_ref().find(|letter| *letter == 'm');
        } else {
            bare.push(letter);
        }
    }
    bare
}

#[test]
fn c2_code_secret_and_recovery_keys_fit_a_serial_line_of_80_by_24() {
    for style in [Style::Half, Style::Plain] {
        let text = bare(&render(&shown(), Some(&code()), Some(style), 80));
        assert!(text.lines().count() <= 23, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("GEZD GNBV GY3T QOJQ") && text.contains("1876-1e04-2308-0009"));
    }
}

#[test]
fn c2_full_blocks_fit_a_framebuffer_of_128_by_48() {
    let text = bare(&render(&shown(), Some(&code()), Some(Style::Full), 128));
    assert!(text.lines().count() < 48, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 128), "{text}");
}

#[test]
fn c2_without_a_code_there_is_the_secret_and_what_to_do() {
    let text = render(&shown(), Some(&code()), None, 80);
    assert!(text.contains("  GEZD GNBV GY3T QOJQ\n") && text.contains("over SSH"), "{text}");
    let token = Shown {
        title: "PVE API token ops@pam!x".to_owned(),
        keys: vec!["ops@pam!ansible=01234567-89ab-cdef-0123-456789abcdef".to_owned()],
        ..Shown::default()
    };
    let code = Code::of(token.uri.as_bytes());
    let text = render(&token, code.as_ref(), code.as_ref().map(|_| Style::Half), 80);
    assert!(text.contains("=01234567-89ab-cdef-0123-456789abcdef\n"), "whole, beside no drawing: {text}");
    assert!(!text.contains("Scan it") && !text.contains('\x1b'), "{text}");
}

/// setfont on a screen whose first font has these signs; `/now` is the font that it has.
fn fonts(node: &Scripted, map: &'static str) {
    node.files.put("/now", "former");
    node.on("/usr/bin/setfont -C /dev/tty1", move |files, invocation| {
        let now = files.text("/now");
        match invocation.arguments[3].as_str() {
            "-ou" => {
                let map = if now == "former" { map } else { "0xdf\tU+2580\n" };
                files.put(&invocation.arguments[4], map);
            }
            "-O" => files.put(&invocation.arguments[4], now),
            path => files.put("/now", files.text(path)),
        }
        Output { status: 0, stdout: String::new(), stderr: String::new() }
    });
}

#[test]
fn c2_a_font_is_loaded_for_the_time_of_the_screen_and_the_former_one_comes_back() {
    let node = Scripted::new();
    node.files.directory(RUN_DIR);
    node.says("/usr/bin/stty -F /dev/tty1 size", "25 80\n");
    node.files.put(FONT_PATH, "ours");
    fonts(&node, "0x041\tU+0041\n");
    let style = || Terminal { node: &node, device: "/dev/tty1", screen: true }.style(&code());
    assert_eq!(style(), Some(Style::Half));
    assert_eq!(style(), Some(Style::Half), "a second code on the same screen");
    assert_eq!(
        (node.files.text("/now"), node.files.text(FORMER_PATH)),
        ("ours".to_owned(), "former".to_owned())
    );
    all_seen(&node);
    assert!(node.files.text("/now") == "former" && !node.files.has(FORMER_PATH));
    let ran = node.ran().len();
    all_seen(&node);
    assert_eq!(node.ran().len(), ran, "once");
}

#[test]
fn c2_a_screen_is_asked_for_half_blocks_before_they_are_drawn() {
    let screen = |size: &str, map: &'static str, font: bool| {
        let node = Scripted::new();
        node.files.directory(RUN_DIR);
        node.says("/usr/bin/stty -F /dev/tty1 size", size);
        if font {
            node.files.put(FONT_PATH, "font");
        }
        fonts(&node, map);
        let style = Terminal { node: &node, device: "/dev/tty1", screen: true }.style(&code());
        (style, node.ran().iter().filter(|line| line.ends_with("psf.gz")).count())
    };
    let (with, without) = ("0x0df\tU+2580\n", "0x041\tU+0041\n");
    assert_eq!(screen("25 80\n", with, true), (Some(Style::Half), 0));
    assert_eq!(screen("25 80\n", without, true), (Some(Style::Half), 1), "a font that has them");
    assert_eq!(
        screen("48 128\n", without, true),
        (Some(Style::Full), 0),
        "no font is touched where blanks do"
    );
    assert_eq!(screen("25 80\n", without, false), (None, 0));
    assert_eq!(screen("10 80\n", with, false), (None, 0));
    let node = Scripted::new();
    node.refuses("/usr/bin/stty", 1, "no tty");
    let serial = Terminal { node: &node, device: "/dev/ttyS0", screen: false };
    assert_eq!(serial.style(&code()), Some(Style::Half), "24 rows, where nobody knows");
}
