//! What stands indented in the documentation: every command of it is typed in a session, or run by a test that is named
//! here, or it is no command.

use super::sessions::{PVE, SESSIONS};

/// A command that another test runs.
pub struct ByTest {
    pub file: &'static str,
    /// As it stands there, without a comment.
    pub command: &'static str,
    /// A scenario, or a check.
    pub test: &'static str,
    /// Where it is run, relative to the project, and by which words.
    pub source: (&'static str, &'static str),
}

const fn by(
    file: &'static str,
    command: &'static str,
    test: &'static str,
    source: &'static str,
    words: &'static str,
) -> ByTest {
    ByTest { file, command, test, source: (source, words) }
}

const ISO: &str = "vm-tests/src/scenario/iso.rs";
const SITE: &str = "vm-tests/src/scenario/ansible.rs";

/// Commands for the operator's own machine, and those that want somebody at a keyboard.
pub const BY_TEST: &[ByTest] = &[
    by("README.md", "cargo vm demo", "demo", "vm-tests/src/scenario.rs", "crate::demo::unattended"),
    // By CI, which calls nothing else.
    by("README.md", "cargo vm test", "unit", ".ci/run", "cargo vm test"),
    by(
        "README.md",
        "RUSTC_BOOTSTRAP=1 cargo build --release --locked --target x86_64-unknown-linux-musl --config .cargo/release.toml",
        "size",
        "vm-tests/src/check.rs",
        "RUSTC_BOOTSTRAP=1 cargo build --release",
    ),
    by(
        "README.md",
        "firstlight wizard --save answer.toml",
        "wizard-screen",
        "vm-tests/src/scenario/wizard.rs",
        "wizard --save",
    ),
    by(
        "docs/wizard.md",
        "firstlight wizard [--save FILE]",
        "wizard-screen",
        "vm-tests/src/scenario/wizard.rs",
        "wizard --save",
    ),
    by(
        "docs/totp.md",
        "sudo firstlight totp verify root@pam",
        "totp-first-boot",
        "vm-tests/src/scenario/totp_users.rs",
        "totp verify",
    ),
    by("README.md", "iso-hooks/prepare-iso proxmox-ve.iso answer.toml --out out", "iso", ISO, "--out"),
    by(
        "iso-hooks/README.md",
        "iso-hooks/prepare-iso proxmox-ve.iso answer.toml --out out/",
        "iso",
        ISO,
        "--out",
    ),
    by("docs/fleets.md", "firstlight check fleet.toml --for pve2.example.com", "iso", ISO, ".arg(\"check\")"),
    by("docs/fleets.md", "iso-hooks/prepare-iso proxmox-ve.iso fleet.toml --out out/", "iso", ISO, "--out"),
    by(
        "docs/fleets.md",
        "iso-hooks/prepare-iso proxmox-ve.iso --answer-url dhcp --certificate certificate.pem --pxe --out pxe/",
        "iso",
        ISO,
        "\"dhcp\"",
    ),
    by(
        "docs/fleets.md",
        "iso-hooks/prepare-iso proxmox-ve.iso fleet.toml --out out/ --certificate certificate.pem --from-url https://deploy.example.com/rack/first-boot",
        "iso",
        ISO,
        "--from-url",
    ),
    by(
        "docs/fleets.md",
        "install -D -o www-data -m 0400 -t /srv/firstlight-deploy/rack out/first-boot",
        "iso",
        "vm-tests/src/scenario/iso/server.rs",
        "www-data",
    ),
    by("docs/fleets.md", "firstlight bake pve1.toml --out baked/pve1", "iso", ISO, "bake"),
    by(
        "docs/fleets.md",
        "install -D -o www-data -m 0400 -t /srv/firstlight-deploy/pve1 baked/pve1/answer.toml baked/pve1/first-boot",
        "iso",
        "vm-tests/src/scenario/iso/server.rs",
        "www-data",
    ),
    by(
        "docs/fleets.md",
        "prepare-iso proxmox-ve.iso --answer-url https://PDM/api2/json/auto-install/answer --certificate FILE --token-file FILE --out out/",
        "iso",
        ISO,
        "--token-file",
    ),
    by(
        "docs/fleets.md",
        "ansible-playbook -i inventory.ini site.yml -e ansible_user=root -e firstlight_binary=firstlight",
        "ansible-native",
        SITE,
        "firstlight_binary",
    ),
    by(
        "docs/fleets.md",
        "cd iso-hooks/ansible",
        "ansible-native",
        "vm-tests/src/scenario/ansible/desk.rs",
        "site.yml",
    ),
    by(
        "docs/fleets.md",
        "ansible-playbook -i inventory.ini site.yml --check --diff --ask-become-pass",
        "ansible-native",
        SITE,
        "--check",
    ),
    by(
        "docs/fleets.md",
        "ansible-playbook -i inventory.ini site.yml --ask-become-pass",
        "ansible",
        "vm-tests/src/scenario/ansible/desk.rs",
        "site.yml",
    ),
    by(
        "docs/json.md",
        "openssl dgst -sha256 -hmac \"$KEY\" body.json",
        "result",
        "vm-tests/src/scenario/result.rs",
        "-hmac",
    ),
    by(
        "docs/release.md",
        "cargo vm release --target aarch64-unknown-linux-musl",
        "aarch64",
        "vm-tests/src/check/supply.rs",
        "aarch64",
    ),
    by(
        "docs/release.md",
        "cargo vm release --out DIR",
        "reproducible",
        "vm-tests/src/release.rs",
        ".make(&place",
    ),
    by("docs/release.md", "cargo vm release", "reproducible", "vm-tests/src/release.rs", "TARGET)?.make("),
    by(
        "docs/speed.md",
        "cargo run --release --example snapshot_bench -- --write DIRECTORY …",
        "benchmark",
        "vm-tests/src/check.rs",
        "snapshot_bench",
    ),
    by("docs/size.md", "cargo vm test crates", "crates", "vm-tests/src/check/supply.rs", "cargo-bloat"),
    by(
        "docs/release.md",
        "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=url.PATH_OF_THE_COPY.insteadOf GIT_CONFIG_VALUE_0=https://github.com/RustSec/advisory-db cargo vm test advisories",
        "advisories",
        "vm-tests/src/check/supply.rs",
        "advisories",
    ),
    by("CONTRIBUTING.md", "cargo vm test coverage", "coverage", "vm-tests/src/check/coverage.rs", "llvm-cov"),
];

/// What is no command, by how its line begins.
pub const TEXT: &[(&str, &[&str])] = &[
    (
        "docs/architecture.md",
        &[
            "answer file ──→ Profile ─┐",
            "node ─────────→ Facts ───┘",
            "lock → recover → plan",
            "/var/lib/firstlight/",
        ],
    ),
    ("docs/audit.md", &["score = ", "[[", "control = ", "reason = ", "until = "]),
    ("docs/fleets.md", &["dhcp-", "[firstlight.report]", "webhook = ", "prometheus-textfile = "]),
    ("docs/recovery.md", &["f 644 ", "d 755 ", "l 777 ", "a 0 0 "]),
];

/// Whether somebody runs it, or nobody needs to.
pub fn is_known(file: &str, text: &str) -> bool {
    let mut typed = SESSIONS.iter().chain(PVE).filter(|session| session.files.contains(&file));
    typed.any(|session| session.lines.contains(&text))
        || BY_TEST.iter().any(|by| by.file == file && by.command == text)
        || TEXT.iter().any(|(of, lines)| *of == file && lines.iter().any(|line| text.starts_with(line)))
}
