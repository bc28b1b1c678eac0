//! QR codes on the node's own screen, as QEMU shows it and a reader of codes sees it.

use std::path::Path;

use anyhow::{Result, ensure};

use super::second_factor::{HANDOVER_PATH, Handed, log_in, totp};
use super::totp_faults::{ANSWER_PATH, answer, apply};
use crate::bench::{BINARY_PATH, Bench};
use crate::host;
use crate::machine::Screen;
use crate::node::Node;
use crate::payload::ADMIN_PASSWORD;
use crate::picture::codes;
use crate::progress::say;

/// VGA's text of 80×25: half blocks, with a font that has them.
pub fn text(bench: &mut Bench) -> Result<()> {
    decoded(bench, Screen::Text, "80x25", "25 80")
}

/// UEFI's pixels, 128×48 characters: full blocks, with the font that is there.
pub fn pixels(bench: &mut Bench) -> Result<()> {
    host::install_for_tests(&["OVMF.fd"])?;
    decoded(bench, Screen::Pixels, "128x48", "48 128")
}

/// What a run leaves on the screen, and what the admin sees there who asks.
fn decoded(bench: &mut Bench, screen: Screen, name: &str, size: &str) -> Result<()> {
    let workspace = bench.workspace().clone();
    let answer = answer(bench.payload()?, "console");
    let node = bench.pve_with_screen(screen)?;
    node.put(ANSWER_PATH, answer.as_bytes(), 0o600)?;
    plain_font(node, size)?;
    let said = apply(node)?;
    ensure!(matches!(said.status, 0 | 3), "apply ended with {}: {}{}", said.status, said.stdout, said.stderr);
    let handed = Handed::read(node, HANDOVER_PATH)?;
    let path = |what: &str| workspace.picture(&format!("totp-{name}-{what}.png"));
    // The last one that was drawn is the one that is left.
    read(node, &path("run"), handed.uri("ops@pam")?, ("ops@pam", ADMIN_PASSWORD))?;
    // The font stays until the last code was seen.
    let loaded = matches!(screen, Screen::Text);
    for user in ["ops@pam", "root@pam"] {
        ensure!(half_blocks(node)? == loaded, "before the codes were seen: half blocks {}", !loaded);
        let code = totp(node, handed.uri(user)?, 0)?;
        let code = code.trim_start_matches("totp:");
        node.ok(&format!("echo {code} | {BINARY_PATH} totp verify {user}"))?;
    }
    ensure!(!half_blocks(node)?, "all codes were seen, and the former font is not back");
    plain_font(node, size)?;
    node.ok(&format!(
        "systemctl stop getty@tty1.service; printf '\\033[2J\\033[H' > /dev/tty1; (TERM=linux setsid --ctty --wait \
         {BINARY_PATH} totp show root@pam < /dev/tty1 > /dev/tty1 2>&1; touch /run/shown) > /dev/null 2>&1 < /dev/null &"
    ))?;
    read(node, &path("show"), handed.uri("root@pam")?, ("root@pam", "not a secret"))?;
    if loaded {
        ensure!(
            half_blocks(node)? && !node.holds("test -e /run/shown")?,
            "it does not wait until somebody has read it"
        );
        node.press("ret")?;
    }
    node.wait_for("totp show has ended", 20, "test -e /run/shown")?;
    ensure!(!half_blocks(node)?, "the former font is not back");
    if loaded {
        let left = path("left");
        node.screenshot(&left)?;
        ensure!(codes(&left)?.is_empty(), "the code is still on the screen");
    }
    Ok(())
}

/// Whether the screen's font has them.
fn half_blocks(node: &mut Node) -> Result<bool> {
    node.holds("setfont -C /dev/tty1 -ou /run/map && grep -qi 'U+2580' /run/map")
}

/// PVE's own font, as console-setup loads it at a boot: it has no half blocks, or this would prove nothing.
fn plain_font(node: &mut Node, size: &str) -> Result<()> {
    node.ok("systemctl unmask keyboard-setup.service console-setup.service; rm -f /run/console-setup/font-loaded; systemctl restart \
             console-setup.service")?;
    let found = node.ok("stty -F /dev/tty1 size")?;
    ensure!(found.trim() == size, "the screen is {} and should be {size}", found.trim());
    let map = node.ok("setfont -C /dev/tty1 -ou /run/map && cat /run/map && rm /run/map")?;
    ensure!(map.contains("U+0041") || map.contains("U+0061"), "the font has no letters: {map}");
    ensure!(!map.to_uppercase().contains("U+2580"), "console-setup's font has half blocks");
    Ok(())
}

/// The picture of the screen holds this code, and a code of it logs in.
fn read(node: &mut Node, path: &Path, uri: &str, login: (&str, &str)) -> Result<()> {
    // What was written is drawn a moment later.
    let deadline = std::time::Instant::now() + node.limit(10);
    let codes = loop {
        node.screenshot(path)?;
        let codes = codes(path)?;
        if !codes.is_empty() || std::time::Instant::now() > deadline {
            break codes;
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
    };
    ensure!(codes == [uri], "{} codes are on the screen: {}", codes.len(), path.display());
    let code = totp(node, &codes[0], 0)?;
    ensure!(
        log_in(node, login.0, login.1, &code)? == 200,
        "8006 refuses the code that was read from the screen"
    );
    say(format_args!("  {}: a code of {} bytes lets {} in", path.display(), uri.len(), login.0));
    Ok(())
}
