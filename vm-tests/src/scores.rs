//! What other people's tools say of a node before and after: ssh-audit from the management host, lynis in the guest, and
//! the audit's own time beside that of lynis. `cargo vm scores` prints the table, and keeps it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bench::{BINARY_PATH, Bench};
use crate::command::{command, output};
use crate::host;
use crate::image::Release;
use crate::network::Side;
use crate::node::Node;
use crate::payload::{self, ADMIN};
use crate::progress::{Step, say};
use crate::scenario::hook::INSTALLED_PATH;
use crate::workspace::{KeyPair, Workspace};

/// As measured in the project's notes before: another version has other opinions.
const SSH_AUDIT: &str = "ssh-audit==3.9.0";
/// What `compatible` keeps for clients without a post-quantum key exchange (row B4), and ssh-audit warns of for that.
const CURVE25519: &[&str] = &["curve25519-sha256", "curve25519-sha256@libssh.org"];
/// What ssh-audit's policies for Debian 12 keep beside it, whose OpenSSH has one key exchange with a post-quantum part.
const OLDER_STRICT: &[&str] = &[
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group-exchange-sha256",
];
/// What OpenSSH 9.2, Debian 12's and PVE 8's, offers by default (its ssh_config(5)).
const OPENSSH_9_2: &str = "sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,\
    ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,\
    diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256";
/// A scan is what fail2ban bans for, whoever scans: management networks are not exempt unless the answer says so (F4).
const UNWATCHED: &str = "if test -e /usr/bin/fail2ban-client; then systemctl stop fail2ban.service; fi";
const WATCHED: &str = "if test -e /usr/bin/fail2ban-client; then systemctl start fail2ban.service; \
                       until fail2ban-client status sshd; do sleep 1; done; fi";
/// Seconds of a machine with KVM.
const LYNIS: u64 = 600;
const AUDIT: u64 = 120;
const APPLY: u64 = 300;
/// The audit must be so many times faster (design 11).
const FASTER: f64 = 20.0;
/// With `answer-files/strict.toml`; the defaults stop before what can get in the way of somebody's work.
const LEAST_INDEX: u64 = 85;
const LEAST_OF_DEFAULTS: u64 = 75;

/// Index, warnings, seconds.
type Lynis = (u64, Vec<String>, f64);

/// What ssh-audit says of the algorithms that sshd offers.
#[derive(Debug, PartialEq)]
struct Algorithms {
    failed: Vec<String>,
    warned: Vec<String>,
    all: usize,
}

/// One node, as the tools see it.
struct Scores {
    algorithms: Algorithms,
    /// What is against ssh-audit's policy.
    against: Vec<String>,
    /// lynis: index, warnings, seconds.
    lynis: Lynis,
    /// Our own audit: score, findings, seconds with the tools it calls, milliseconds of its own.
    audit: (u64, u64, f64, u64),
}

/// Prints the table.
pub fn print(bench: &mut Bench) -> Result<ExitCode> {
    host::prepare()?;
    let table = measured(bench)?.0;
    let path = bench.workspace().vm.join("scores.md");
    std::fs::write(&path, &table).with_context(|| format!("writing {}", path.display()))?;
    say(format_args!("\n{table}\nkept in {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

/// The same with what the design promises (`cargo vm test --full scores`).
pub fn promised(bench: &mut Bench) -> Result<()> {
    let (table, after, strict) = measured(bench)?;
    say(table);
    after.algorithms.expect("compatible", CURVE25519)?;
    strict.algorithms.expect("strict", warned_of(bench.release()))?;
    ensure!(strict.against.is_empty(), "strict: {}", strict.against.join("; "));
    let reasons = bench.workspace().root.join("docs/hardening.md");
    let reasons =
        std::fs::read_to_string(&reasons).with_context(|| format!("reading {}", reasons.display()))?;
    for (scores, least) in [(after, LEAST_OF_DEFAULTS), (strict, LEAST_INDEX)] {
        let (index, warnings, took) = scores.lynis;
        ensure!(index >= least, "lynis says {index} and not {least}, with {warnings:?}");
        let unexplained = warnings.iter().find(|warning| !reasons.contains(warning.as_str()));
        ensure!(
            unexplained.is_none(),
            "lynis warns of {unexplained:?}, for which docs/hardening.md has no reason"
        );
        let times = took / scores.audit.2;
        ensure!(times >= FASTER, "the audit is {times:.1} times faster than lynis, not {FASTER}");
    }
    Ok(())
}

/// ssh-audit's part of it, and which clients get in: minutes.
pub fn algorithms(bench: &mut Bench) -> Result<()> {
    let tool = ssh_audit(bench.workspace())?;
    let answer = strict_answer(bench)?;
    let (key, release) = (bench.payload()?.admin_key.clone(), bench.release());
    let node = bench.committed()?;
    node.ok(UNWATCHED)?;
    judged(&ask_ssh_audit(node, &tool, &[])?).expect("compatible", CURVE25519)?;
    expect_clients(node, &key, true)?;
    apply_strict(node, &answer)?;
    node.ok(UNWATCHED)?;
    judged(&ask_ssh_audit(node, &tool, &[])?).expect("strict", warned_of(release))?;
    let reasons = against(node, &tool, release)?;
    ensure!(reasons.is_empty(), "strict: {}", reasons.join("; "));
    expect_clients(node, &key, warned_of(release).contains(&"curve25519-sha256"))
}

/// Logs in with the key exchanges of OpenSSH 9.2, and with curve25519 alone, which `strict` refuses.
fn expect_clients(node: &mut Node, key: &KeyPair, curve: bool) -> Result<()> {
    for (kex, expected) in [(OPENSSH_9_2, true), ("curve25519-sha256", curve)] {
        let option = format!("KexAlgorithms={kex}");
        let done = node.ssh_with(Side::Management, ADMIN, &["-o", &option], Some(key), "true")?;
        ensure!((done.status == 0) == expected, "{kex}: ssh ended with {}: {}", done.status, done.stderr);
    }
    if !curve {
        let refused = "no matching key exchange method found. Their offer: curve25519-sha256,ext-info-c";
        node.ok(&format!("journalctl -q -b -o cat | grep -qF '{refused}'"))
            .context("refused for another reason")?;
    }
    Ok(())
}

fn measured(bench: &mut Bench) -> Result<(String, Scores, Scores)> {
    let workspace = bench.workspace();
    let tools = Tools {
        release: bench.release(),
        ssh_audit: ssh_audit(workspace)?,
        lynis: lynis(workspace)?,
        points: workspace.vm.join("scores"),
    };
    let answer = strictest(bench)?;
    let before = scores(bench.armed()?, BINARY_PATH, &tools, "stock")?;
    let after = scores(bench.committed()?, INSTALLED_PATH, &tools, "after")?;
    let node = bench.committed()?;
    apply_strict(node, &answer)?;
    // What it installs starts with the next boot.
    node.reboot()?;
    let strict = scores(node, INSTALLED_PATH, &tools, "strict")?;
    Ok((table(bench.release(), &before, &after, &strict)?, after, strict))
}

/// `answer-files/strict.toml` with our key and our password.
fn strictest(bench: &mut Bench) -> Result<String> {
    let key = bench.payload()?.admin_key.public.clone();
    payload::example(bench.workspace(), "strict", &key)
}

/// The answer of the first boot, with the other set of algorithms.
fn strict_answer(bench: &mut Bench) -> Result<String> {
    let answer = std::fs::read_to_string(&bench.payload()?.answer).context("reading the answer")?;
    Ok(format!("{answer}\n[firstlight.ssh]\nalgorithms = \"strict\"\n"))
}

fn apply_strict(node: &mut Node, answer: &str) -> Result<()> {
    node.put("/root/strict.toml", answer.as_bytes(), 0o600)?;
    let done = node.run_within(&format!("{INSTALLED_PATH} apply --confirm none /root/strict.toml"), APPLY)?;
    ensure!(matches!(done.status, 0 | 3), "apply ended with {}: {}{}", done.status, done.stdout, done.stderr);
    Ok(())
}

fn table(release: Release, before: &Scores, after: &Scores, strict: &Scores) -> Result<String> {
    let mut text =
        format!("| tool | stock {} | after | with `strict.toml` |\n|---|---|---|---|\n", release.title());
    let mut row = |name: &str, cell: &dyn Fn(&Scores) -> String| {
        writeln!(text, "| {name} | {} | {} | {} |", cell(before), cell(after), cell(strict))
    };
    row("ssh-audit 3.9.0, algorithms", &|it| {
        let Algorithms { failed, warned, all } = &it.algorithms;
        format!("{} fail, {} warn of {all}", failed.len(), warned.len())
    })?;
    row(&format!("ssh-audit, policy \"{}\"", policies(release).join("\" or \"")), &|it| {
        if it.against.is_empty() { "passes" } else { "fails" }.to_owned()
    })?;
    row("lynis 3.1.4, hardening index", &|it| it.lynis.0.to_string())?;
    row("lynis, warnings", &|it| match it.lynis.1.as_slice() {
        [] => "0".to_owned(),
        warnings => format!("{} ({})", warnings.len(), warnings.join(", ")),
    })?;
    row("`firstlight audit`, score", &|it| format!("{}, {} findings", it.audit.0, it.audit.1))?;
    row("seconds: `lynis --quick` / `firstlight audit` (its own)", &|it| {
        let (own, took) = (it.audit.3 as f64 / 1000.0, it.lynis.2);
        format!("{took:.1} / {:.1} ({own:.2}), {:.0} times", it.audit.2, took / it.audit.2)
    })?;
    Ok(text)
}

/// Other people's tools.
struct Tools {
    release: Release,
    ssh_audit: PathBuf,
    /// As a tar.
    lynis: Vec<u8>,
    /// Where it is kept what lynis gave for each of its tests.
    points: PathBuf,
}

fn scores(node: &mut Node, binary: &str, tools: &Tools, which: &str) -> Result<Scores> {
    let tool = &tools.ssh_audit;
    let step = Step::begin("ssh-audit");
    node.ok(UNWATCHED)?;
    let report = ask_ssh_audit(node, tool, &[])?;
    let against = against(node, tool, tools.release)?;
    node.ok(WATCHED)?;
    step.done();
    let since = Instant::now();
    let said = node.run_within(&format!("{binary} audit --json"), AUDIT)?;
    let took = since.elapsed().as_secs_f64();
    let audit: Value = serde_json::from_str(&said.stdout)
        .with_context(|| format!("reading the audit: {}{}", said.stdout, said.stderr))?;
    let number = |key: &str| audit[key].as_u64().with_context(|| format!("the audit has no {key}"));
    Ok(Scores {
        algorithms: judged(&report),
        against,
        lynis: ask_lynis(node, tools, which)?,
        audit: (number("score")?, number("findings")?, took, number("own_milliseconds")?),
    })
}

/// By the worst that ssh-audit notes beside each algorithm.
fn judged(report: &Value) -> Algorithms {
    let mut judged = Algorithms { failed: Vec::new(), warned: Vec::new(), all: 0 };
    for kind in ["kex", "key", "enc", "mac"] {
        for algorithm in report[kind].as_array().into_iter().flatten() {
            let has = |word: &str| algorithm["notes"][word].as_array().is_some_and(|notes| !notes.is_empty());
            let name = algorithm["algorithm"].as_str().unwrap_or("without a name").to_owned();
            judged.all += 1;
            if has("fail") {
                judged.failed.push(name);
            } else if has("warn") {
                judged.warned.push(name);
            }
        }
    }
    judged
}

impl Algorithms {
    /// Nothing fails, and ssh-audit warns of these alone.
    fn expect(&self, set: &str, warned: &[&str]) -> Result<()> {
        let Algorithms { failed, all, .. } = self;
        say(format_args!("  {set}: {} fail, {} warn of {all}", failed.len(), self.warned.len()));
        ensure!(*all > 0 && failed.is_empty(), "{set}: ssh-audit fails {failed:?} of {all}");
        ensure!(self.warned == warned, "{set}: ssh-audit warns of {:?} and not of {warned:?}", self.warned);
        Ok(())
    }
}

/// The later ones are for later updates of Debian's OpenSSH: one of them must pass.
fn policies(release: Release) -> &'static [&'static str] {
    match release {
        Release::Trixie => &["Hardened Debian 13 (version 1)"],
        Release::Bookworm => &["Hardened Debian 12 (version 2)", "Hardened Debian 12 (version 3)"],
    }
}

/// What ssh-audit warns of with `strict`, which follows the policy.
fn warned_of(release: Release) -> &'static [&'static str] {
    match release {
        Release::Trixie => &[],
        Release::Bookworm => OLDER_STRICT,
    }
}

/// What is against the policies; nothing when one of them passes.
fn against(node: &mut Node, tool: &Path, release: Release) -> Result<Vec<String>> {
    let mut reasons = Vec::new();
    for policy in policies(release) {
        let said = ask_ssh_audit(node, tool, &["-P", policy])?;
        if said["passed"].as_bool().context("the policy neither passes nor fails")? {
            return Ok(Vec::new());
        }
        reasons.push(format!("{policy}: {}", said["errors"]));
    }
    Ok(reasons)
}

/// From the management host. sshd remembers who connects without logging in (PerSourcePenalties), and forgets it when it
/// starts anew.
fn ask_ssh_audit(node: &mut Node, tool: &Path, more: &[&str]) -> Result<Value> {
    node.ok("systemctl restart ssh.service")?;
    let said = node
        .command_from(Side::Management, "python3")?
        .env("PYTHONPATH", tool)
        .args(["-m", "ssh_audit", "--json", "--timeout=60", "--skip-rate-test"])
        .args(more)
        .arg(Side::Management.node_address())
        .output()
        .context("running ssh-audit")?;
    // Its status says what it found.
    serde_json::from_slice(&said.stdout)
        .with_context(|| format!("reading ssh-audit: {}", String::from_utf8_lossy(&said.stderr)))
}

fn ask_lynis(node: &mut Node, tools: &Tools, which: &str) -> Result<Lynis> {
    node.put("/root/lynis.tar", &tools.lynis, 0o600)?;
    node.ok("tar -C / -xf /root/lynis.tar && rm /root/lynis.tar")?;
    let step = Step::begin("lynis audit system --quick");
    let done = node.run_within(
        "lynis audit system --quick --no-colors --report-file /root/lynis.dat > /root/lynis.log 2>&1; true",
        LYNIS,
    )?;
    let took = step.done().as_secs_f64();
    ensure!(done.status == 0, "lynis: {}", done.stderr);
    let report = node.ok("cat /root/lynis.dat")?;
    let points = node.ok("grep -E 'Performing test ID|Hardening: assigned' /var/log/lynis.log")?;
    std::fs::create_dir_all(&tools.points).with_context(|| format!("creating {}", tools.points.display()))?;
    let path = tools.points.join(which);
    std::fs::write(&path, points).with_context(|| format!("writing {}", path.display()))?;
    let values = |key: &str| -> Vec<String> {
        report.lines().filter_map(|line| line.strip_prefix(key)).map(str::to_owned).collect()
    };
    let index = values("hardening_index=").first().context("lynis gives no index")?.parse()?;
    let warning = |text: String| text.split('|').next().unwrap_or_default().to_owned();
    Ok((index, values("warning[]=").into_iter().map(warning).collect(), took))
}

/// ssh-audit from the Python registry, kept in the cache.
fn ssh_audit(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.vm.join("cache").join(SSH_AUDIT.replace("==", "-"));
    if !directory.join("ssh_audit").exists() {
        host::install_for_tests(&["python3", "pip3"])?;
        let step = Step::begin(format!("installing {SSH_AUDIT}"));
        let words = ["-m", "pip", "install", "--quiet", "--no-deps", "--target"];
        output(command("python3", words).arg(&directory).arg(SSH_AUDIT))?;
        step.done();
    }
    Ok(directory)
}

/// Debian 13's lynis as a tar: shell scripts that need nothing but what every node has.
fn lynis(workspace: &Workspace) -> Result<Vec<u8>> {
    let (all, own) =
        (workspace.run_directory().join("lynis-all.tar"), workspace.run_directory().join("lynis"));
    std::fs::create_dir_all(&own).with_context(|| format!("creating {}", own.display()))?;
    let step = Step::begin("getting Debian 13's lynis");
    let words = ["--quiet", "--variant=extract", "--components=main", "--include=lynis", "trixie"];
    output(command("mmdebstrap", words).arg(&all))?;
    let parts = ["./etc/lynis", "./usr/sbin/lynis", "./usr/share/lynis"];
    output(command("tar", ["-C"]).arg(&own).arg("-xf").arg(&all).args(parts))?;
    let tar = workspace.run_directory().join("lynis.tar");
    output(command("tar", ["-C"]).arg(&own).arg("-cf").arg(&tar).arg("."))?;
    step.done();
    std::fs::read(&tar).with_context(|| format!("reading {}", tar.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_is_counted_by_the_worst_that_is_said_of_it() {
        let report = serde_json::json!({
            "kex": [{ "algorithm": "a", "notes": { "fail": ["x"], "warn": ["y"] } }],
            "key": [{ "algorithm": "b", "notes": { "info": ["z"] } }],
            "enc": [{ "algorithm": "c", "notes": { "warn": ["y"] } }],
            "mac": [],
        });
        let all = judged(&report);
        assert_eq!(all, Algorithms { failed: vec!["a".into()], warned: vec!["c".into()], all: 3 });
        assert!(all.expect("compatible", &["c"]).is_err());
        let warned = Algorithms { failed: vec![], ..all };
        assert!(warned.expect("compatible", &["c"]).is_ok() && warned.expect("strict", &[]).is_err());
    }

    #[test]
    fn the_table_has_a_row_for_each_tool() {
        let stock =
            || Algorithms { failed: vec![String::new(); 6], warned: vec![String::new(); 12], all: 30 };
        let scores = |lynis| Scores {
            algorithms: stock(),
            against: vec!["kex".to_owned()],
            lynis,
            audit: (40, 20, 2.0, 30),
        };
        let with = || scores((62, vec!["FIRE-4512".to_owned()], 60.0));
        let text = table(Release::Trixie, &with(), &with(), &scores((85, vec![], 60.0))).unwrap();
        assert!(text.contains("| 6 fail, 12 warn of 30 |") && text.contains("| 1 (FIRE-4512) |"), "{text}");
        assert!(text.contains("| 60.0 / 2.0 (0.03), 30 times |") && text.lines().count() == 8, "{text}");
    }
}
