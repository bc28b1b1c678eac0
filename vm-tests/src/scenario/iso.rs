//! Installation media: an ISO with PVE's layout goes through `iso-hooks/prepare-iso`, and what comes out is looked into.
//! No machine is started.

mod medium;
pub mod real;
mod server;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use self::medium::{Kind, PVE};
use crate::bench::Bench;
use crate::command::{command, output};
use crate::host;
use crate::progress::say;

/// The mode that the installer reads from an ISO with its answer in it.
const FROM_ISO: &str = "mode = \"iso\"\npartition_label = \"proxmox-ais\"\n\n[http]\n";
/// An answer for a node that is installed already.
const OURS: &str = "[firstlight]\nschema = 1\n[firstlight.admin]\nname = \"ops\"\nssh-key-pair = \"node\"\n";
/// Part of both password hashes of the example.
const SECRET: &str = "G6pzGlbe2DHaJ9nXUz3TsTvwUh4pHKutBxYJbNr";

/// Where the script is tried.
struct Desk {
    directory: tempfile::TempDir,
    hooks: PathBuf,
    firstlight: PathBuf,
    answer: PathBuf,
    iso: PathBuf,
}

/// What the script said.
struct Said {
    status: i32,
    text: String,
}

impl Desk {
    fn set(bench: &mut Bench) -> Result<Self> {
        host::install_for_tests(&["xorriso", "zstd", "openssl", "python3", "shellcheck"])?;
        let directory = tempfile::tempdir().context("making a directory")?;
        let root = bench.workspace().root.clone();
        Ok(Self {
            iso: medium::make(directory.path(), "proxmox-ve_9.0-1.iso", PVE)?,
            directory,
            hooks: root.join("iso-hooks"),
            firstlight: bench.payload()?.binary.clone(),
            answer: root.join("answer-files/pve.toml"),
        })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The script, with nothing of the host's own in the way.
    fn script(&self) -> Command {
        let mut script = command("/bin/sh", [self.hooks.join("prepare-iso")]);
        script.arg("--firstlight").arg(&self.firstlight);
        script
    }

    /// Runs the script on the ISO and the answer.
    fn prepare(&self, out: &str, words: &[&str]) -> Result<Said> {
        run(self.script().args([&self.iso, &self.answer]).arg("--out").arg(self.at(out)).args(words))
    }

    /// The same, which must succeed.
    fn prepared(&self, out: &str, words: &[&str]) -> Result<String> {
        let said = self.prepare(out, words)?;
        ensure!(said.status == 0, "prepare-iso {words:?} ended with {}: {}", said.status, said.text);
        let left = leftovers(&self.at(out))?;
        ensure!(left.is_empty(), "prepare-iso {words:?} left {left:?} behind");
        Ok(said.text)
    }
}

fn run(script: &mut Command) -> Result<Said> {
    let done = script.output().context("running prepare-iso")?;
    let text = [done.stdout, done.stderr].concat();
    Ok(Said { status: done.status.code().unwrap_or(-1), text: String::from_utf8_lossy(&text).into_owned() })
}

/// What nobody asked for.
fn leftovers(directory: &Path) -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(Vec::new()) };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| name.starts_with('.')).collect())
}

/// Files and modes of a prepared ISO, with and without Proxmox's assistant; network boot; a web server; refusals.
pub fn prepared(bench: &mut Bench) -> Result<()> {
    let desk = Desk::set(bench)?;
    let scripts =
        [desk.hooks.join("prepare-iso"), desk.hooks.join("../vm-tests/src/scenario/iso/assistant.sh")];
    output(&mut command("shellcheck", scripts.iter().map(|path| path.as_os_str())))?;
    from_iso(&desk)?;
    say("  the ISO: both files byte for byte, everything else at its place");
    network_boot(&desk)?;
    say("  network boot: kernel, initrd by gzip, a script for iPXE, an ISO without /boot");
    from_web(&desk)?;
    say("  a web server: fetched with the fingerprint that was printed, and with no other");
    with_assistant(&desk)?;
    say("  Proxmox's assistant: no secret in its arguments, its refusal is seen");
    let refused = refusals(&desk)?;
    say(format_args!("  {refused} refusals, each with its sentence and nothing left behind"));
    Ok(())
}

fn from_iso(desk: &Desk) -> Result<()> {
    desk.prepared("iso", &["--without-assistant"])?;
    let iso = desk.at("iso/proxmox-ve_9.0-1-auto-from-iso.iso");
    contains(&iso, &desk.at("iso"), FROM_ISO)?;
    medium::still_boots(&desk.iso, &iso)?;
    let identity = medium::identity(&iso)?;
    ensure!(identity == medium::identity(&desk.iso)? && identity.contains(medium::UUID), "{identity}");
    for (name, mode) in [("answer.toml", 0o600), ("first-boot", 0o700), ("", 0o700)] {
        let is = fs::metadata(desk.at("iso").join(name))?.permissions().mode() & 0o777;
        ensure!(is == mode, "{name} has mode {is:o}");
    }
    private(&iso)?;

    // One ISO for a fleet, or for one node of it alone.
    let fleet = desk.hooks.join("../answer-files/fleet.toml");
    let node = ["--for", "pve2.example.com"];
    for (out, words) in [("fleet", &[][..]), ("one-of-it", &node)] {
        let mut script = desk.script();
        script
            .args([&desk.iso, &fleet])
            .args(words)
            .arg("--without-assistant")
            .arg("--out")
            .arg(desk.at(out));
        let said = run(&mut script)?;
        ensure!(said.status == 0, "{out}: {}", said.text);
        let baked = desk.at("baked");
        output(Command::new(&desk.firstlight).arg("check").arg(fleet.canonicalize()?).args(words))?;
        let mut bake = Command::new(&desk.firstlight);
        output(bake.arg("bake").arg(fleet.canonicalize()?).args(words).arg("--out").arg(&baked))?;
        let iso = desk.at(out).join("proxmox-ve_9.0-1-auto-from-iso.iso");
        contains(&iso, &baked, FROM_ISO).context(out)?;
    }
    Ok(())
}

/// The ISO holds what the answer holds.
fn private(iso: &Path) -> Result<()> {
    let mode = fs::metadata(iso)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{} has mode {mode:o}", iso.display());
    Ok(())
}

/// The three files in an ISO.
fn contains(iso: &Path, baked: &Path, mode: &str) -> Result<()> {
    let file = |path: &str| medium::file(iso, path)?.with_context(|| format!("there is no {path}"));
    ensure!(file("/auto-installer-mode.toml")? == mode.as_bytes(), "another mode than {mode}");
    for (path, name) in [("/answer.toml", "answer.toml"), ("/proxmox-first-boot", "first-boot")] {
        ensure!(file(path)? == fs::read(baked.join(name))?, "{path} is not what was baked");
    }
    let answer = String::from_utf8(file("/answer.toml")?)?;
    ensure!(answer.contains("[global]") && !answer.contains("firstlight."), "not strict: {answer}");
    Ok(())
}

fn network_boot(desk: &Desk) -> Result<()> {
    desk.prepared("pxe", &["--without-assistant", "--pxe"])?;
    let iso = desk.at("pxe/proxmox-ve_9.0-1-auto-from-iso.iso");
    contains(&iso, &desk.at("pxe"), FROM_ISO)?;
    ensure!(medium::identity(&iso)? == medium::identity(&desk.iso)?, "another volume");
    ensure!(medium::file(&iso, "/boot/linux26")?.is_none(), "/boot is still in the ISO");
    ensure!(medium::file(&iso, "/pve-base.squashfs")?.is_some(), "more than /boot is gone");
    let kernel = medium::file(&desk.iso, "/boot/linux26")?;
    ensure!(Some(fs::read(desk.at("pxe/vmlinuz"))?) == kernel, "vmlinuz is another kernel");
    let initrd = command("gzip", ["-dc"]).arg(desk.at("pxe/initrd.img")).output().context("running gzip")?;
    ensure!(initrd.stdout == medium::initrd_content(), "initrd.img holds something else");
    let script = fs::read_to_string(desk.at("pxe/boot.ipxe"))?;
    ensure!(script.starts_with("#!ipxe\n") && script.contains("proxmox-start-auto-installer"), "{script}");
    ensure!(script.contains("\ninitrd proxmox-ve_9.0-1-auto-from-iso.iso proxmox.iso\n"), "{script}");
    Ok(())
}

fn from_web(desk: &Desk) -> Result<()> {
    let (certificate, _) = server::certificate(desk.directory.path())?;
    let pem = certificate.display().to_string();
    let words = [
        "--without-assistant",
        "--certificate",
        &pem,
        "--from-url",
        "https://deploy.example/pve1/first-boot",
    ];
    let said = desk.prepared("web", &words)?;
    let fingerprint = said.lines().find_map(|line| line.strip_prefix("SHA-256 fingerprint: "));
    let fingerprint = fingerprint.with_context(|| format!("no fingerprint: {said}"))?;
    let iso = desk.at("web/proxmox-ve_9.0-1-auto-from-iso.iso");
    ensure!(
        medium::file(&iso, "/proxmox-first-boot")?.is_none(),
        "the executable is in the ISO all the same"
    );
    let answer = String::from_utf8(medium::file(&iso, "/answer.toml")?.context("no answer in the ISO")?)?;
    let wanted = format!(
        "source = \"from-url\"\nurl = \"https://deploy.example/pve1/first-boot\"\ncert-fingerprint = \"{fingerprint}\"\n"
    );
    ensure!(answer.contains(&wanted), "{answer}");

    let token = desk.at("token");
    fs::write(&token, "rack:0123-4567\n")?;
    let token = token.display().to_string();
    let url = "https://deploy.example/pve1/answer.toml";
    let words = ["--certificate", &pem, "--answer-url", url, "--token-file", &token];
    desk.prepared("post", &words)?;
    let iso = desk.at("post/proxmox-ve_9.0-1-auto-from-http-url-fp.iso");
    let mode = String::from_utf8(medium::file(&iso, "/auto-installer-mode.toml")?.context("no mode")?)?;
    let http = format!("url = \"{url}\"\ncert_fingerprint = \"{fingerprint}\"\ntoken = \"rack:0123-4567\"\n");
    ensure!(mode == FROM_ISO.replace("iso", "http") + &http, "{mode}");
    ensure!(medium::file(&iso, "/answer.toml")?.is_none(), "the answer is in the ISO all the same");

    // One ISO for a rack, over the network: the DHCP server says where each node's answer is.
    let mut dhcp = desk.script();
    dhcp.arg(&desk.iso).args(["--answer-url", "dhcp", "--certificate", &pem, "--pxe", "--without-assistant"]);
    let said = run(dhcp.arg("--out").arg(desk.at("dhcp")))?;
    ensure!(said.status == 0 && desk.at("dhcp/boot.ipxe").exists(), "{}", said.text);
    ensure!(!desk.at("dhcp/first-boot").exists(), "something was baked without an answer");
    let mode =
        medium::file(&desk.at("dhcp/proxmox-ve_9.0-1-auto-from-http-fp.iso"), "/auto-installer-mode.toml")?;
    let wanted = FROM_ISO.replace("iso", "http") + &format!("cert_fingerprint = \"{fingerprint}\"\n");
    ensure!(mode == Some(wanted.into_bytes()), "another mode for DHCP");

    server::fetched(&desk.hooks, desk.directory.path(), &desk.at("web"), fingerprint)
}

/// An assistant that records its arguments, refuses what the real one refuses, and says 0 whatever happens.
fn with_assistant(desk: &Desk) -> Result<()> {
    let source = desk.hooks.join("../vm-tests/src/scenario/iso/assistant.sh");
    let assistant = desk.at("proxmox-auto-install-assistant");
    fs::copy(&source, &assistant).context("copying the assistant")?;
    fs::set_permissions(&assistant, fs::Permissions::from_mode(0o755))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(
        [desk.directory.path().to_owned()].into_iter().chain(std::env::split_paths(&path)),
    )?;
    let arguments = desk.at("proxmox-auto-install-assistant.arguments");
    let with = |out: &str, words: &[&str]| {
        let mut script = desk.script();
        script.env("PATH", &path).args([&desk.iso, &desk.answer]).arg("--out").arg(desk.at(out)).args(words);
        run(&mut script)
    };
    for (out, words) in [("there", &[][..]), ("there-pxe", &["--pxe"])] {
        let said = with(out, words)?;
        ensure!(said.status == 0, "with the assistant: {}", said.text);
        let iso = desk.at(out).join("proxmox-ve_9.0-1-auto-from-iso.iso");
        contains(&iso, &desk.at(out), FROM_ISO)?;
        private(&iso)?;
        let given = fs::read_to_string(&arguments).context("the assistant was not asked")?;
        ensure!(given.starts_with("prepare-iso\n") && !given.contains(SECRET), "{given}");
    }
    ensure!(fs::read_to_string(desk.at("there/answer.toml"))?.contains(SECRET), "no secret to look for");
    ensure!(fs::read_to_string(desk.at("there-pxe/boot.ipxe"))?.contains("-auto-from-iso.iso"), "no script");

    fs::remove_file(&arguments)?;
    ensure!(with("alone", &["--without-assistant"])?.status == 0 && !arguments.exists(), "it was asked");

    for (text, complaint) in [
        (
            "#!/bin/sh\necho 'Error: no such country' >&2\n",
            "made no proxmox-ve_9.0-1-auto-from-iso.iso: Error: no such",
        ),
        ("#!/bin/sh\nshift 10\ncp \"$2\" \"$1\"\n", "the ISO that was made has no /auto-installer-mode.toml"),
    ] {
        let other = desk.at("other-assistant");
        fs::write(&other, text)?;
        fs::set_permissions(&other, fs::Permissions::from_mode(0o755))?;
        let said = with("refused", &["--assistant", &other.display().to_string()])?;
        ensure!(said.status == 1 && said.text.contains(complaint), "{}: {}", said.status, said.text);
        ensure!(leftovers(&desk.at("refused"))?.is_empty(), "something is left behind");
    }
    Ok(())
}

/// Everything that is refused, and how many of it.
fn refusals(desk: &Desk) -> Result<usize> {
    let kinds = [
        ("pbs.iso", Kind { product: "pbs", ..PVE }, "is no ISO of Proxmox VE but of Proxmox PBS"),
        ("old.iso", Kind { release: "8.2", ..PVE }, "first-boot executables came with 8.3"),
        ("manual.iso", Kind { flag: "nothing", ..PVE }, "there is no /auto-installer-capable in it"),
    ];
    let mut refused: Vec<(PathBuf, PathBuf, Vec<&str>, i32, &str)> = Vec::new();
    for (name, kind, sentence) in kinds {
        refused.push((
            medium::make(desk.directory.path(), name, kind)?,
            desk.answer.clone(),
            vec![],
            1,
            sentence,
        ));
    }
    fs::write(desk.at("text.iso"), "not an ISO\n")?;
    let ours = desk.at("ours.toml");
    fs::write(&ours, OURS)?;
    let prepared = desk.at("iso/proxmox-ve_9.0-1-auto-from-iso.iso");
    let answers = desk.hooks.join("../answer-files");
    let (iso, answer) = (|| desk.iso.clone(), || desk.answer.clone());
    let url = "https://deploy.example/first-boot";
    let token = desk.at("token").display().to_string();
    let assistant = desk.at("other-assistant").display().to_string();
    let pem = desk.at("certificate.pem").display().to_string();
    refused.extend([
        (desk.at("text.iso"), answer(), vec![], 1, "is no ISO of Proxmox VE: there is no /.cd-info in it"),
        (desk.at("none.iso"), answer(), vec![], 1, "none.iso: there is no such file"),
        (prepared, answer(), vec![], 1, "is prepared already"),
        (iso(), ours, vec![], 2, "global: is required to bake"),
        (iso(), answers.join("invalid/unknown-key.toml"), vec![], 2, "unknown-key.toml:"),
        (iso(), answers.join("complete.toml"), vec!["--from-url", url], 1, "has a [first-boot] already"),
        (iso(), answer(), vec!["--from-url", "ftp://x/y"], 2, "a URL with https:// or http://"),
        (iso(), answer(), vec!["--from-url", "https://x/\"y"], 2, "a URL without blanks"),
        (
            iso(),
            answer(),
            vec!["--from-url", "http://x/y", "--certificate", &pem],
            2,
            "no certificate without https",
        ),
        (iso(), answer(), vec!["--certificate", &pem], 2, "--certificate of which server?"),
        (iso(), answer(), vec!["--from-url", url, "--certificate", &token], 1, "holds no certificate in PEM"),
        (iso(), answer(), vec!["--token-file", &token], 2, "--token-file is for --answer-url"),
        (iso(), answer(), vec!["--answer-url", url, "--token-file", &pem], 1, "must hold NAME:SECRET"),
        (
            iso(),
            answer(),
            vec!["--answer-url", url, "--token-file", &token, "--assistant", &assistant],
            1,
            "takes a token in its arguments",
        ),
        (iso(), answer(), vec!["--nonsense"], 2, "there is no option --nonsense"),
        (iso(), answer(), vec!["one-more"], 2, "one ISO and one ANSWER at a time"),
        (iso(), answer(), vec!["--pxe", "--from-url"], 2, "--from-url wants a value"),
    ]);
    for (iso, answer, words, status, sentence) in &refused {
        let mut script = desk.script();
        let said = run(script.args([iso, answer]).arg("--out").arg(desk.at("refused")).args(words))?;
        nothing_made(desk, &said, *status, sentence)?;
    }
    let taken = desk.prepare("iso", &["--without-assistant"])?;
    ensure!(
        taken.status == 1 && taken.text.contains("-auto-from-iso.iso exists: remove it"),
        "{}",
        taken.text
    );
    let mut script = desk.script();
    let without =
        run(script.args([&desk.iso, &desk.answer]).env("PATH", "/nowhere").args(["--out", "refused"]))?;
    nothing_made(desk, &without, 1, "xorriso is missing: apt-get install xorriso")?;
    nothing_made(desk, &in_little_room(desk)?, 1, "there is no room in")?;
    Ok(refused.len() + 3)
}

/// The script with a file system of 8 MiB to write into.
fn in_little_room(desk: &Desk) -> Result<Said> {
    let room = desk.at("refused");
    fs::create_dir_all(&room)?;
    let script = desk.script();
    let mut inside = command("unshare", ["--mount", "sh", "-c"]);
    inside.arg("mount -t tmpfs -o size=8m tmpfs \"$0\" && exec \"$@\"").arg(&room);
    inside.arg(script.get_program()).args(script.get_args().collect::<Vec<&OsStr>>());
    run(inside.args([&desk.iso, &desk.answer]).arg("--without-assistant").arg("--out").arg(&room))
}

fn nothing_made(desk: &Desk, said: &Said, status: i32, sentence: &str) -> Result<()> {
    ensure!(
        said.status == status && said.text.contains(sentence),
        "not refused with {status} and `{sentence}` but {}: {}",
        said.status,
        said.text
    );
    let Ok(entries) = fs::read_dir(desk.at("refused")) else { return Ok(()) };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(["answer.toml", "first-boot"].contains(&name.as_str()), "`{sentence}` left {name} behind");
    }
    Ok(())
}
