//! What a fault needs a kernel of its own for: a disk that errs, and a clock that jumps.

use anyhow::{Context, Result, ensure};

use super::first::hardened;
use super::{hook, kept};
use crate::bench::{BINARY_PATH, Bench};
use crate::manifest::Manifest;
use crate::node::Node;
use crate::progress::say;

const ANSWER_PATH: &str = "/root/vm-tests/ufw.toml";
/// dpkg has unpacked one of the packages and has more to do.
const IN_PACKAGES: &str = "test -e /var/lib/dpkg/info/fail2ban.list";
/// The intent for the sshd drop-in is on disk.
const IN_FILES: &str =
    "grep -aqs entry=/etc/ssh/sshd_config.d/00-firstlight.conf /var/lib/firstlight/tx/*/journal";
/// Seconds a run takes natively.
const RUN: u64 = 300;

/// The state directory on a disk of its own, behind device-mapper.
const STATE_DISK: &str = "\
    truncate --size=512M /var/tmp/state && loop=$(losetup --find --show /var/tmp/state) && modprobe dm-flakey && \
    dmsetup create state --table \"0 $(blockdev --getsz $loop) linear $loop 0\" && \
    mkfs.ext4 -q /dev/mapper/state && mkdir -p -m 700 /var/lib/firstlight && \
    mount /dev/mapper/state /var/lib/firstlight && chmod 700 /var/lib/firstlight && echo $loop > /run/loop";
/// From now on every read and write of it is an error.
const ERR: &str = "\
    loop=$(cat /run/loop); dmsetup suspend --nolockfs state && \
    dmsetup load state --table \"0 $(blockdev --getsz $loop) flakey $loop 0 0 3600\" && dmsetup resume state";
/// The disk is sound again, as after a boot: what had not reached it is lost.
const HEAL: &str = "\
    umount /var/lib/firstlight; loop=$(cat /run/loop); dmsetup suspend --nolockfs state; \
    dmsetup load state --table \"0 $(blockdev --getsz $loop) linear $loop 0\" && dmsetup resume state && \
    mount /dev/mapper/state /var/lib/firstlight";

/// EIO from the disk that holds the journal: put back, or exit 5 with the commands to type; a healed disk recovers.
pub fn errors(bench: &mut Bench) -> Result<()> {
    let before = bench.original()?;
    for (name, moment) in [("packages", IN_PACKAGES), ("files", IN_FILES)] {
        let node = bench.armed()?;
        node.ok(STATE_DISK)?;
        start(node)?;
        at(node, moment, ERR)?;
        let code = end(node)?;
        let said = node.ok("cat /run/apply.log")?;
        ensure!(code == 1 || code == 5, "an apply without its disk ended with {code}: {said}");
        ensure!(code != 5 || said.contains("Break glass") && said.contains("firstlight recover"), "{said}");
        ensure!(node.run("touch /var/lib/firstlight/probe")?.status != 0, "the disk does not err");
        node.ok(HEAL)?;
        recovered(node, &before)?;
        say(format_args!("  the state's disk errs among the {name}: exit {code}, then old"));
    }
    Ok(())
}

fn recovered(node: &mut Node, before: &Manifest) -> Result<()> {
    let done = node.run_within(&format!("{BINARY_PATH} recover"), RUN)?;
    ensure!(done.status == 0, "recovery ended with {}: {}{}", done.status, done.stdout, done.stderr);
    hook::expect_outcome(node, "reverted")?;
    kept::expect_etc(node, before)?;
    kept::expect_no_trace(node)
}

/// The clock jumps back more than a year among the packages and ahead among the files: it changes nothing.
pub fn clock(bench: &mut Bench) -> Result<()> {
    let admin = bench.payload()?.admin_key.clone();
    let node = bench.armed()?;
    start(node)?;
    at(node, IN_PACKAGES, "date --set='-400 days'")?;
    at(node, IN_FILES, "date --set='+430 days'")?;
    let code = end(node)?;
    ensure!(code == 0, "the run ended with {code}: {}", node.ok("cat /run/apply.log")?);
    hook::expect_outcome(node, "committed")?;
    hardened(node, &admin)?;
    let again = node.run_within(&format!("{BINARY_PATH} apply {ANSWER_PATH}"), RUN)?;
    ensure!(
        again.status == 0 && again.stdout.contains("nothing to do"),
        "a second run: {}{}",
        again.stdout,
        again.stderr
    );
    Ok(())
}

/// `algorithms = "strict"`: an RSA host key of 4096 bits that sshd offers, and the old one back after a rollback.
pub fn strict(bench: &mut Bench) -> Result<()> {
    const BITS: &str = "ssh-keygen -l -f /etc/ssh/ssh_host_rsa_key.pub | cut -d ' ' -f 1";
    let before = bench.original()?;
    let admin = bench.payload()?.admin_key.clone();
    let node = bench.armed()?;
    ensure!(node.ok(BITS)? == "3072\n", "the guest's own RSA host key is not Debian's");
    node.ok(&format!("printf '\\n[firstlight.ssh]\\nalgorithms = \"strict\"\\n' >> {ANSWER_PATH}"))?;
    start(node)?;
    let code = end(node)?;
    ensure!(code == 0, "the run ended with {code}: {}", node.ok("cat /run/apply.log")?);
    ensure!(node.ok(BITS)? == "4096\n", "the RSA host key was not made anew");
    offered(node)?;
    hardened(node, &admin)?;
    // The admin's sudo has left a note, and a home that holds anything of theirs would be kept.
    node.ok("rm -f /home/ops/.sudo_as_admin_successful")?;
    let back = node.run_within(&format!("{BINARY_PATH} rollback"), RUN)?;
    ensure!(back.status == 0, "the rollback ended with {}: {}{}", back.status, back.stdout, back.stderr);
    offered(node).context("after the rollback")?;
    kept::expect_etc(node, &before)?;
    kept::expect_no_trace(node)
}

/// sshd shows the RSA host key that lies on the disk.
fn offered(node: &mut Node) -> Result<()> {
    // OpenSSH 10 says on standard output, too, whom it has asked.
    let ask = "ssh-keyscan -T 60 -t rsa 127.0.0.1 2> /run/keyscan | grep -v '^#'; cat /run/keyscan >&2";
    let shown = node.ok(ask)?;
    let kept = node.ok("cut -d ' ' -f 1-2 /etc/ssh/ssh_host_rsa_key.pub")?;
    let shown = shown.trim_start_matches("127.0.0.1 ");
    ensure!(shown == kept, "sshd shows the RSA host key `{shown}`, and on the disk is `{kept}`");
    Ok(())
}

/// Starts an apply that nobody's session holds.
fn start(node: &mut Node) -> Result<()> {
    node.ok(&format!(
        "(setsid sh -c '{BINARY_PATH} apply --confirm none {ANSWER_PATH} > /run/apply.log 2>&1 < /dev/null; \
         echo $? > /run/apply.code') > /dev/null 2>&1 &"
    ))
    .map(drop)
}

/// Waits for a moment of the run and acts; a run that has ended by then is an error. One that ends of it is none.
fn at(node: &mut Node, moment: &str, act: &str) -> Result<()> {
    let watch = format!(
        "until {moment} || test -e /run/apply.code; do sleep 0.02; done; test ! -e /run/apply.code && {{ {act}; }}"
    );
    let seen = node.run_within(&watch, RUN)?;
    ensure!(seen.status == 0, "the moment never came, or acting failed: {}{}", seen.stdout, seen.stderr);
    Ok(())
}

/// Waits for the apply and gives its exit code.
fn end(node: &mut Node) -> Result<i64> {
    let code =
        node.run_within("until test -s /run/apply.code; do sleep 0.2; done; cat /run/apply.code", RUN)?;
    ensure!(code.status == 0, "the apply has no end");
    Ok(code.stdout.trim().parse()?)
}
