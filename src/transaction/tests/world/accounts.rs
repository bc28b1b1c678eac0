//! The account database, shadow's tools (which rename and sync, but not the directory), and sudo.

use super::{ended, ok, refused};
use crate::node::Output;
use crate::node::memory::Shell;
use sha2::{Digest, Sha256};

const DATABASE: [&str; 6] =
    ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/subgid"];

fn mode(file: &str) -> (u32, u32) {
    if file.contains("shadow") { (0o640, 0) } else { (0o644, 0) }
}

pub fn furnish(shell: &mut Shell<'_>) {
    let texts = [
        "root:x:0:0:root:/root:/bin/bash\nbackup:x:34:34::/var/backups:/usr/sbin/nologin\n",
        "root:$y$j9T$salt$hash:20000:0:99999:7:::\nbackup:*:20000:0:99999:7:::\n",
        "root:x:0:\nsudo:x:27:\nbackup:x:34:\n",
        "root:*::\nsudo:*::\nbackup:*::\n",
        "",
        "",
    ];
    for (file, text) in DATABASE.iter().zip(texts) {
        shell.put_as(file, text, mode(file), false);
    }
}

/// A file of the database with its backup, as commonio.c writes it: the new one is synced, its directory is not.
fn rewrite(shell: &mut Shell<'_>, file: &str, text: &str) {
    let before = shell.text(file);
    shell.put_as(&format!("{file}-"), &before, mode(file), true);
    shell.put_as(file, text, mode(file), true);
}

fn without(text: &str, name: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with(&format!("{name}:")))
        .map(|line| format!("{line}\n"))
        .collect()
}

pub fn change(shell: &mut Shell<'_>, words: &[&str]) -> Output {
    let name = *words.last().unwrap();
    let after = |option: &str| words.iter().position(|word| *word == option).map(|at| words[at + 1]);
    shell.put_as("/etc/.pwd.lock", "", (0o600, 0), false);
    for file in DATABASE {
        shell.put_as(&format!("{file}.lock"), "42", (0o600, 0), false);
    }
    let add = |shell: &mut Shell<'_>, file: &str, line: String| {
        let text = shell.text(file) + &line;
        rewrite(shell, file, &text);
    };
    match words[0] {
        "/usr/sbin/useradd" => {
            let home = after("--home-dir").unwrap();
            let shell_path = after("--shell").unwrap();
            let comment = after("--comment").unwrap_or_default();
            add(shell, "/etc/passwd", format!("{name}:x:1000:1000:{comment}:{home}:{shell_path}\n"));
            add(shell, "/etc/shadow", format!("{name}:!:20000:0:99999:7:::\n"));
            let mut groups = shell.text("/etc/group");
            if let Some(group) = after("--groups") {
                groups = groups.replace(&format!("{group}:x:27:"), &format!("{group}:x:27:{name}"));
            }
            rewrite(shell, "/etc/group", &format!("{groups}{name}:x:1000:\n"));
            add(shell, "/etc/gshadow", format!("{name}:!::\n"));
            add(shell, "/etc/subuid", format!("{name}:100000:65536\n"));
            add(shell, "/etc/subgid", format!("{name}:100000:65536\n"));
            shell.directory(home);
            shell.own(home, 0o700, 1000);
            for skeleton in [".bashrc", ".profile", ".bash_logout"] {
                shell.put_as(&format!("{home}/{skeleton}"), "# skeleton\n", (0o644, 1000), false);
            }
        }
        "/usr/sbin/usermod" => {}
        _ => {
            for file in DATABASE {
                let text = without(&shell.text(file), name);
                rewrite(shell, file, &text);
            }
        }
    }
    for file in DATABASE {
        shell.remove(&format!("{file}.lock"));
    }
    ended(shell)
}

/// `crypt(3)`: password and setting on two lines. Another password, another hash.
pub fn crypt(input: &[u8]) -> Output {
    let input = String::from_utf8(input.to_vec()).unwrap();
    let (password, setting) = input.trim_end().split_once('\n').unwrap();
    let digest: String = Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect();
    ok(format!("{setting}${}", &digest[..43]))
}

pub fn password(shell: &mut Shell<'_>, input: &[u8]) -> Output {
    let input = String::from_utf8(input.to_vec()).unwrap();
    let Some((name, hash)) = input.trim().split_once(':') else {
        return refused(1, "line 1: missing new password");
    };
    let shadow: String = shell
        .text("/etc/shadow")
        .lines()
        .map(|line| match line.strip_prefix(&format!("{name}:")) {
            Some(rest) => format!("{name}:{hash}:{}\n", rest.split_once(':').map_or("", |(_, rest)| rest)),
            None => format!("{line}\n"),
        })
        .collect();
    rewrite(shell, "/etc/shadow", &shadow);
    ended(shell)
}

pub fn sudo(shell: &mut Shell<'_>, words: &[&str]) -> Output {
    let name = *words.last().unwrap();
    let allowed = shell.text("/etc/sudoers.d/firstlight").contains(&format!("{name} ALL=(ALL:ALL) ALL"));
    if allowed {
        ok(format!("User {name} may run the following commands on pve1:\n    (ALL : ALL) ALL\n"))
    } else {
        ok(format!("User {name} is not allowed to run sudo on pve1.\n"))
    }
}

pub fn visudo(shell: &mut Shell<'_>, words: &[&str]) -> Output {
    if shell.has(words.last().unwrap()) { ok("") } else { refused(1, "visudo: unable to open") }
}
