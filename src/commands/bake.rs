//! `firstlight bake`: the two files of an unattended installation. For anybody, on any machine.

use super::{Ended, Stop, engine, screen};
use crate::answer::Answer;
use crate::change::key_pair;
use crate::error::{Error, Result};
use crate::factor::Shown;
use crate::node::{Node, exists};
use crate::profile::{KeyPair, Passphrase};
use crate::qr::Code;
use crate::report::terminal::{print, visible};
use crate::transaction::state::write_atomically;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// The admin's private key, beside the two files.
const KEY_FILE: &str = "ssh-key";

/// Writes `answer.toml` and `first-boot` into `out`, and what the answer wants made here.
pub fn run(node: &dyn Node, file: &Path, out: &Path, executable: Option<&Path>, name: Option<&str>) -> Ended {
    let mut answer = engine::read_answer_for(node, file, name)?;
    let made_here =
        answer.profile.admin.ssh_key_pair == KeyPair::Bake || answer.profile.totp.secret == "bake";
    if made_here && name.is_none() && answer.nodes > 0 {
        return Err(Stop::refusal("what is made here belongs to one node: bake --for NODE, once for each"));
    }
    let shown = engine::make_secrets(node, &mut answer)?;
    let executable = match executable {
        Some(path) => engine::absolute(path)?,
        None => engine::own_executable()?,
    };
    let out = directory(node, out)?;
    let mut pair = String::new();
    if answer.profile.admin.ssh_key_pair == KeyPair::Bake {
        pair = make_pair(node, &out.join(KEY_FILE), &mut answer)?;
    }
    let baked = engine::bake(&answer, &node.read(&executable)?)?;
    let (answer, first_boot) = (out.join("answer.toml"), out.join("first-boot"));
    // Both may hold secrets: nobody else reads them, at no moment.
    write_atomically(node, &answer, baked.answer_toml.as_bytes())?;
    write_atomically(node, &first_boot, &baked.first_boot)?;
    node.set_mode(&first_boot, 0o700)?;
    let looks = std::io::stdout().is_terminal();
    let codes = if looks { String::new() } else { in_a_file(node, &out, &shown)? };
    let (answer, first_boot) = (answer.to_string_lossy(), first_boot.to_string_lossy());
    print(&visible_lines(&format!(
        "{answer}\n{first_boot}, {} bytes\n{codes}{pair}\nBoth may hold secrets. The next step, where Proxmox's tool is:\n\n  \
         proxmox-auto-install-assistant prepare-iso ISO --fetch-from iso \\\n    --answer-file {answer} \\\n    \
         --on-first-boot {first_boot}\n",
        baked.first_boot.len()
    )));
    if looks && !shown.is_empty() {
        screen::show(node, &shown);
    }
    Ok(0)
}

/// Makes the admin's pair, gives the answer its public key, and names the file of the private one. A pair that is there
/// stays, so that a second baking locks nobody out.
fn make_pair(node: &dyn Node, private: &Path, answer: &mut Answer) -> Result<String> {
    let path = private.to_string_lossy();
    let name = answer.profile.admin.name.as_str();
    let host = answer.pve.as_ref().and_then(|pve| pve.fqdn.as_deref());
    let [at, host] = host.map_or([""; 2], |host| ["@", host]);
    let public = key_pair(node, &[name, at, host].concat(), private, &Passphrase::default())?;
    answer.take_key(&public).map_err(|problem| Error::new([&path, ".pub"].concat(), problem))?;
    Ok([&path, ": the admin's private key, which no node gets; `ssh-keygen -p` gives it a passphrase\n"]
        .concat())
}

/// Where nobody looks, what is to be scanned is in a file for the operator alone, which is named.
fn in_a_file(node: &dyn Node, out: &Path, all: &[Shown]) -> Result<String> {
    if all.is_empty() {
        return Ok(String::new());
    }
    let path = out.join("totp-codes.txt");
    let mut text = String::new();
    for Shown { title, uri, secret, .. } in all {
        let code = Code::of(uri.as_bytes()).map(|code| code.half_blocks()).unwrap_or_default();
        for line in ["## ", title, "\n\n", uri, "\n", secret, "\n\n", &code, "\n\n"] {
            text.push_str(line);
        }
    }
    write_atomically(node, &path, text.as_bytes())?;
    Ok(format!("{}, codes to scan: remove it once that is done\n", path.display()))
}

/// The directory with all links resolved, because the node never writes through one; made when it is missing.
fn directory(node: &dyn Node, out: &Path) -> std::result::Result<PathBuf, Stop> {
    let out = engine::absolute(out)?;
    if let Ok(resolved) = out.canonicalize() {
        return Ok(resolved);
    }
    let (Some(parent), Some(name)) = (out.parent(), out.file_name()) else { return Ok(out) };
    let made = engine::resolve(parent)?.join(name);
    if !exists(node, &made)? {
        node.make_directory(&made, 0o700)?;
    }
    Ok(made)
}

fn visible_lines(text: &str) -> String {
    text.lines().map(|line| visible(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Machine;
    use crate::node::scripted::Scripted;
    use crate::payload::{Sealed, tests::tiny_elf, unseal};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn c1_baked_codes_are_in_a_file_that_its_owner_alone_reads_and_not_on_standard_output() {
        let node = Scripted::new();
        node.files.directory("/out");
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        let shown = |user: &str| Shown {
            title: format!("TOTP of {user}"),
            uri: crate::totp::uri("pve1", user, secret),
            secret: crate::totp::grouped(secret),
            keys: Vec::new(),
        };
        let said = in_a_file(&node, Path::new("/out"), &[shown("root@pam"), shown("ops@pam")]).unwrap();
        assert_eq!(said, "/out/totp-codes.txt, codes to scan: remove it once that is done\n");
        let text = node.files.text("/out/totp-codes.txt");
        assert_eq!(node.lookup(Path::new("/out/totp-codes.txt")).unwrap().unwrap().mode, 0o600);
        for user in ["root@pam", "ops@pam"] {
            let code = Code::of(shown(user).uri.as_bytes()).unwrap();
            assert!(text.contains(&code.half_blocks()) && text.contains(&format!("## TOTP of {user}\n")));
        }
        assert_eq!(in_a_file(&node, Path::new("/nowhere"), &[]).unwrap(), "");
    }

    #[test]
    fn a3_a_pair_that_is_baked_stays_with_the_operator_and_the_public_key_travels() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        let answer = include_str!("../../answer-files/ufw.toml")
            .replace("sudo = \"password\"\n", "sudo = \"password\"\nssh-key-pair = \"bake\"\n");
        std::fs::write(place("answer"), &answer).unwrap();
        std::fs::write(place("elf"), tiny_elf()).unwrap();
        let node = Machine::open(Path::new("/")).unwrap();
        let bake = || {
            let ended = run(&node, &place("answer"), &place("out"), Some(&place("elf")), None);
            assert!(ended.is_ok_and(|code| code == 0));
            let read = |name: &str| std::fs::read_to_string(place("out").join(name)).unwrap();
            (
                std::fs::read(place("out/first-boot")).unwrap(),
                read("ssh-key"),
                read("ssh-key.pub"),
                read("answer.toml"),
            )
        };
        let (first_boot, private, public, of_pve) = bake();
        assert!(private.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
        assert!(
            public.starts_with("ssh-ed25519 ") && public.ends_with(" ops@pve1.example.com\n"),
            "{public}"
        );
        let mode = std::fs::metadata(place("out/ssh-key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let Sealed::Answer(sealed) = unseal(&first_boot) else { panic!("no answer in it") };
        let text = std::str::from_utf8(sealed).unwrap();
        assert!(
            !text.contains("ssh-key-pair") && !text.contains("PRIVATE") && !of_pve.contains("PRIVATE"),
            "{text}"
        );
        let answer = crate::answer::read("embedded", sealed).unwrap_or_else(|problems| panic!("{problems}"));
        let keys: Vec<String> = answer.profile.admin.ssh_keys.iter().map(|key| key.line()).collect();
        assert!(keys.len() == 2 && keys[0] == public.trim_end(), "{keys:?}");
        assert!(answer.record.contains(public.trim_end()));
        // Baked again, it is the same pair.
        let (_, again, ..) = bake();
        assert_eq!(again, private);
    }
}
