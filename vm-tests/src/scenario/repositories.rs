//! Package sources of Proxmox on a node of PVE, as apt itself reads them; and the admin's key pair that is made there.

use anyhow::{Context, Result, ensure};

use super::hook::INSTALLED_PATH;
use super::totp_faults;
use crate::bench::{BINARY_PATH, Bench};
use crate::image::Release;
use crate::network::Side;
use crate::node::Node;
use crate::payload::{ADMIN, without};
use crate::workspace::KeyPair;

const ANSWER_PATH: &str = "/root/vm-tests/sources.toml";
const ENTERPRISE_PATH: &str = "/root/vm-tests/enterprise.toml";
const HANDOVER_PATH: &str = "/root/firstlight-handover.txt";
/// What is searched for.
const NEEDLE: &str = "/var/tmp/needle";
/// Sources of packages that apt would read.
const READ: &str = "apt-get --no-release-info --format '$(REPO_URI) $(COMPONENT)' indextargets 'Created-By: Packages' \
    | grep proxmox.com | sort -u";
/// What PVE's installer leaves (pve-contract 6.4; that an ISO of PVE 8 brings Ceph Quincy is reported, not verified); `@` is
/// Debian's name of the release.
const BEFORE_9: &str = "d=/etc/apt/sources.list.d; for r in pve:pve-enterprise ceph-squid:enterprise; do \
    printf 'Types: deb\\nURIs: https://enterprise.proxmox.com/debian/%s\\nSuites: @\\nComponents: %s\\nSigned-By: \
    /usr/share/keyrings/proxmox-archive-keyring.gpg\\n' ${r%:*} ${r#*:} > $d/${r%%[-:]*}.sources; done; \
    mv $d/pve.sources $d/pve-enterprise.sources; \
    cp /usr/share/keyrings/vm-tests.gpg /usr/share/keyrings/proxmox-archive-keyring.gpg";
const BEFORE_8: &str = "d=/etc/apt/sources.list.d; u=https://enterprise.proxmox.com/debian; \
    echo \"deb $u/pve @ pve-enterprise\" > $d/pve-enterprise.list; \
    echo \"deb $u/ceph-quincy @ enterprise\" > $d/ceph.list; \
    cp /usr/share/keyrings/vm-tests.gpg /etc/apt/trusted.gpg.d/proxmox-release-@.gpg";
/// An old line beside it.
const BY_HAND: &str = "printf '# by hand\\ndeb https://enterprise.proxmox.com/debian/pve @ pve-enterprise' \
    > /etc/apt/sources.list.d/old.list";
const FILES: &str = "cd /etc/apt && sha256sum sources.list.d/* && stat -c '%n %a %u %Y' sources.list.d/*";

/// A server of the guest's own that wants a login for everything, under the name of the one for subscribers; and a source that
/// is read there, in the place of the others.
const REFUSING: &str = "systemd-run --quiet --unit=vm-401 perl /root/vm-tests/401.pl && \
    echo 127.0.0.1 enterprise.proxmox.com >> /etc/hosts; cp -a /etc/apt/sources.list.d /root/vm-tests/kept; \
    cd /etc/apt/sources.list.d && rm -f old.list ceph.* pve-enterprise.* && \
    echo deb http://enterprise.proxmox.com/debian/pve @ pve-enterprise > pve-enterprise.list";
const SERVER: &str = "use IO::Socket::INET; \
    my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 80, Listen => 9) or die; \
    while (my $c = $s->accept) { while (<$c>) { last if /^\\r?$/ } \
    print $c \"HTTP/1.1 401 Unauthorized\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n\"; close $c }";
const NO_MORE: &str = "systemctl stop vm-401.service; sed -i /enterprise.proxmox.com/d /etc/hosts; \
    rm -rf /etc/apt/sources.list.d && mv /root/vm-tests/kept /etc/apt/sources.list.d";

/// Without a key: neither of the enterprise sources is read, both of those for everybody are; a package comes from the node's
/// own repository although they cannot be reached; all files are back after a rollback. The same with a source that answers 401.
/// With a key nothing is touched.
pub fn sources(bench: &mut Bench) -> Result<()> {
    let answer = totp_faults::answer(bench.payload()?, "file")
        .replace("[firstlight.repositories]\nenabled = false\n", "");
    let answer = answer.replace("sudo = \"none\"", "sudo = \"password\"") + &without(&["totp"]);
    let codename = bench.release().codename();
    let (as_installed, ceph) = match bench.release() {
        Release::Trixie => (BEFORE_9, "squid"),
        Release::Bookworm => (BEFORE_8, "quincy"),
    };
    let free = format!(
        "http://download.proxmox.com/debian/ceph-{ceph}/ no-subscription\n\
         http://download.proxmox.com/debian/pve/ pve-no-subscription\n"
    );
    let node = bench.pve()?;
    node.put(ANSWER_PATH, answer.as_bytes(), 0o600)?;
    let enterprise = format!("{answer}\n[firstlight.repositories]\npve = \"enterprise\"\nceph = \"keep\"\n");
    node.put(ENTERPRISE_PATH, enterprise.as_bytes(), 0o600)?;
    for command in [as_installed, BY_HAND] {
        node.ok(&command.replace('@', codename))?;
    }
    let before = node.ok(FILES)?;
    apply(node, ANSWER_PATH)?;
    ensure!(node.ok(READ)? == free, "apt reads {}", node.ok(READ)?);
    let old = node.ok("cat /etc/apt/sources.list.d/old.list")?;
    let off = format!("# by hand\n# deb https://enterprise.proxmox.com/debian/pve {codename} pve-enterprise");
    ensure!(old == off, "{old}");
    let status = node.run(&format!("{INSTALLED_PATH} status"))?.stdout;
    ensure!(
        status.contains("download.proxmox.com"),
        "the status does not name what was not reached: {status}"
    );
    let again = node.run_within(&format!("{INSTALLED_PATH} apply {ANSWER_PATH}"), 600)?;
    ensure!(again.stdout.contains("othing to do"), "a second run: {}{}", again.stdout, again.stderr);
    rollback(node)?;
    ensure!(node.ok(FILES)? == before, "the sources are not as before: {}", node.ok(FILES)?);
    node.put("/root/vm-tests/401.pl", SERVER.as_bytes(), 0o600)?;
    node.ok(&REFUSING.replace('@', codename))?;
    ensure!(node.run("dpkg -s sudo")?.status != 0, "sudo is there already: nothing would be fetched");
    apply(node, ENTERPRISE_PATH)?;
    node.ok("dpkg -s sudo")?;
    let status = node.run(&format!("{INSTALLED_PATH} status"))?.stdout;
    ensure!(status.contains("401"), "the status does not tell of the refusal: {status}");
    rollback(node)?;
    node.ok(NO_MORE)?;
    node.ok("printf 'pve1c-0123456789\\n' > /etc/subscription")?;
    apply(node, ANSWER_PATH)?;
    ensure!(node.ok(FILES)? == before, "with a key the sources are touched: {}", node.ok(FILES)?);
    Ok(())
}

fn apply(node: &mut Node, answer: &str) -> Result<()> {
    let said = node.run_within(&format!("{BINARY_PATH} apply {answer} --confirm none"), 1200)?;
    ensure!(
        [0, 3].contains(&said.status),
        "apply ended with {}: {}{}",
        said.status,
        said.stdout,
        said.stderr
    );
    Ok(())
}

fn rollback(node: &mut Node) -> Result<()> {
    let back = node.run_within(&format!("{INSTALLED_PATH} rollback"), 600)?;
    ensure!(back.status == 0, "rollback ended with {}: {}{}", back.status, back.stdout, back.stderr);
    Ok(())
}

/// The private key from the hand-over logs in, and stands nowhere else on the node.
pub fn key_pair(bench: &mut Bench) -> Result<()> {
    let answer = totp_faults::answer(bench.payload()?, "file") + &without(&["totp"]);
    let answer = answer.replace("sudo = \"none\"", "sudo = \"none\"\nssh-key-pair = \"node\"");
    let directory = bench.workspace().run_directory().join("made");
    std::fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
    let node = bench.pve()?;
    node.put(ANSWER_PATH, answer.as_bytes(), 0o600)?;
    apply(node, ANSWER_PATH)?;
    let private = node.ok(&format!("sed -n '/BEGIN OPENSSH/,/END OPENSSH/p' {HANDOVER_PATH}"))?;
    let key = KeyPair { private: directory.join("key"), public: String::new() };
    std::fs::write(&key.private, &private).context("writing the key")?;
    std::fs::set_permissions(&key.private, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .context("writing the key")?;
    let shell = node.ssh(Side::Management, ADMIN, &key, "id -un")?;
    ensure!(shell.stdout.trim() == ADMIN, "the key does not log in: {}{}", shell.stdout, shell.stderr);
    let secret = private.lines().nth(2).context("no key was handed over")?;
    // Out of a file: the guest's agent logs every command.
    node.put(NEEDLE, secret.as_bytes(), 0o600)?;
    let found = node.ok(&format!(
        "grep -rlFf {NEEDLE} /etc /root /home /var/lib/firstlight /var/log /run /tmp 2>/dev/null || true"
    ))?;
    ensure!(found.trim() == HANDOVER_PATH, "the private key is in {found}");
    let said = node.ok(&format!("journalctl --no-pager | grep -cFf {NEEDLE} || true"))?;
    ensure!(said.trim() == "0", "the private key is in the journal");
    Ok(())
}
