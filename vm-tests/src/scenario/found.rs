//! Where the first boot finds its answer (design 6): firmware, a partition, a file, a URL; and what is wrong with each.

use anyhow::{Context, Result, ensure};

use super::hook::{self, End, INSTALLED_PATH};
use crate::bench::{BINARY_PATH, Bench};
use crate::command::{command, output};
use crate::host;
use crate::node::Node;
use crate::progress::say;

/// Seconds natively: three tries of a server that is not there.
const ROLLBACK: u64 = 120;
const SERVED: &str = "/root/served";
const CREDENTIAL: &str = "firstlight.answer";

/// An answer that makes this account and does nothing else.
fn answer(name: &str, key: &str) -> String {
    let off = ["ssh", "firewall", "packages", "fail2ban", "updates", "kernel", "services", "apparmor"];
    let off: String = off.iter().map(|area| format!("{area}.enabled = false\n")).collect();
    format!(
        "[firstlight]\nschema = 1\n{off}repositories.enabled = false\naudit.enabled = false\ntotp.enabled = false\n\
         admin = {{ name = \"{name}\", ssh-keys = [\"{}\"], sudo = \"none\", pve-role = \"\" }}\n",
        key.trim()
    )
}

/// SMBIOS and fw_cfg, as a hypervisor or a board hands a credential over; each is a boot.
pub fn in_firmware(bench: &mut Bench) -> Result<()> {
    let key = bench.payload()?.admin_key.public.clone();
    let directory = bench.workspace().run_directory();
    for kind in ["smbios", "fwcfg"] {
        let file = directory.join(format!("{kind}.toml"));
        std::fs::write(&file, answer(kind, &key)).context("writing an answer")?;
        let encoded = output(command("base64", ["--wrap=0"]).arg(&file))?;
        let words = match kind {
            "smbios" => [
                "-smbios".to_owned(),
                format!("type=11,value=io.systemd.credential.binary:{CREDENTIAL}={}", encoded.trim()),
            ],
            _ => [
                "-fw_cfg".to_owned(),
                format!("name=opt/io.systemd.credentials/{CREDENTIAL},file={}", file.display()),
            ],
        };
        let node = bench.with_firmware(&words)?;
        expect(node, kind)?;
        say(format_args!("  found: {kind}"));
    }
    Ok(())
}

/// The rest, on one node: a partition of two kinds, a file, a URL by curl and by wget, and what is refused.
pub fn on_the_node(bench: &mut Bench) -> Result<()> {
    host::install_for_tests(&["mkfs.vfat", "mcopy"])?;
    let key = bench.payload()?.admin_key.public.clone();
    let directory = bench.workspace().run_directory();
    let node = bench.armed()?;
    node.ok("mkdir -p /etc/firstlight")?;
    node.put("/etc/firstlight/answer.toml", answer("file", &key).as_bytes(), 0o600)?;
    expect(node, "file")?;
    for kind in ["ext4", "vfat"] {
        let (file, image) = (directory.join("firstlight.toml"), directory.join(format!("{kind}.img")));
        std::fs::write(&file, answer(kind, &key)).context("writing an answer")?;
        let contents = directory.join(kind);
        std::fs::create_dir_all(&contents).context("making a directory")?;
        std::fs::copy(&file, contents.join("firstlight.toml")).context("copying an answer")?;
        if kind == "ext4" {
            let words = ["-q", "-t", "ext4", "-O", "^has_journal", "-L", "FIRSTLIGHT", "-d"];
            output(command("mke2fs", words).arg(&contents).arg(&image).arg("1M"))?;
        } else {
            output(command("mkfs.vfat", ["-n", "FIRSTLIGHT", "-C"]).arg(&image).arg("1024"))?;
            output(command("mcopy", ["-i"]).arg(&image).arg(&file).arg("::firstlight.toml"))?;
        }
        let bytes = std::fs::read(&image).context("reading a partition")?;
        node.put("/root/partition.img", &bytes, 0o600)?;
        let device = node.ok("losetup --find --show /root/partition.img && udevadm settle")?;
        // It comes before the file, which is still there.
        expect(node, kind)?;
        ensure!(!node.holds("grep -q /run/firstlight /proc/mounts")?, "the partition is still mounted");
        node.ok(&format!("losetup --detach {} && udevadm settle", device.trim()))?;
    }
    node.ok("rm -r /etc/firstlight /root/partition.img")?;
    at_a_url(node, &key)
}

fn at_a_url(node: &mut Node, key: &str) -> Result<()> {
    node.ok(&format!("mkdir -p {SERVED}"))?;
    let url = "http://127.0.0.1:8600/answer.toml";
    node.ok(&format!(
        "systemd-run --quiet --unit=served python3 -m http.server --bind 127.0.0.1 --directory {SERVED} 8600"
    ))?;
    node.wait_for("it serves", 30, "curl -s -o /dev/null http://127.0.0.1:8600/")?;
    let mut digest = String::new();
    for (tool, next) in
        [("curl", "mv /usr/bin/curl /usr/bin/curl.away"), ("wget", "mv /usr/bin/curl.away /usr/bin/curl")]
    {
        node.put(&format!("{SERVED}/answer.toml"), answer(tool, key).as_bytes(), 0o644)?;
        digest = node.ok(&format!("sha256sum < {SERVED}/answer.toml"))?;
        digest.truncate(64);
        booted_with(node, &format!("firstlight.answer={url} firstlight.answer-sha256={digest}"))?;
        expect(node, tool)?;
        say(format_args!("  fetched by {tool}"));
        // The second one goes without curl.
        node.ok(next)?;
    }
    let wrong = "0".repeat(64);
    for (words, told) in [
        (format!("firstlight.answer={url} firstlight.answer-sha256={wrong}"), "its SHA-256 is"),
        (format!("firstlight.answer={url}.not firstlight.answer-sha256={digest}"), "404"),
        (format!("firstlight.answer=http://127.0.0.1:8601/ firstlight.answer-sha256={digest}"), "curl: (7)"),
        (format!("firstlight.answer=http://no.such.host/ firstlight.answer-sha256={digest}"), "curl: (6)"),
        (format!("firstlight.answer={url}"), "firstlight.answer-sha256="),
    ] {
        booted_with(node, &words)?;
        let end = hook::run_from(node, BINARY_PATH)?;
        let said = node.ok(&format!("journalctl -q -b -o cat -u {} | tail -n 40", hook::UNIT))?;
        ensure!(end.status != 0 && said.contains(told), "{words}: {end:?}, without `{told}`: {said}");
        ensure!(!node.holds("test -e /run/firstlight/answer.toml")?, "what was fetched is still there");
        forget(node)?;
        say(format_args!("  refused: {told}"));
    }
    Ok(())
}

/// The kernel was started with these words, as far as anybody can see.
fn booted_with(node: &mut Node, words: &str) -> Result<()> {
    node.put("/root/cmdline", format!("BOOT_IMAGE=/vmlinuz quiet {words}\n").as_bytes(), 0o644)?;
    node.ok("umount /proc/cmdline 2> /dev/null; mount --bind /root/cmdline /proc/cmdline").map(drop)
}

/// The hook finds the answer that names this admin, and does what it says.
fn expect(node: &mut Node, name: &str) -> Result<()> {
    let end = hook::run_from(node, BINARY_PATH)?;
    ensure!(matches!(&end, End { status: 0, .. }), "{name}: the hook ended so: {end:?}");
    hook::expect_outcome(node, "committed")?;
    node.ok(&format!("getent passwd {name}")).with_context(|| format!("not the answer of {name}"))?;
    node.run_within(&format!("{INSTALLED_PATH} rollback"), ROLLBACK)?;
    forget(node)
}

/// Nothing ever ran here.
fn forget(node: &mut Node) -> Result<()> {
    // PVE's unit remains active once it has succeeded.
    let unit = hook::UNIT;
    node.ok(&format!(
        "{INSTALLED_PATH} uninstall; rm -rf /var/lib/firstlight /run/firstlight; systemctl stop {unit}"
    ))
    .map(drop)
}
