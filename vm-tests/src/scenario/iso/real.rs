//! The whole way with an operator's own PVE ISO: prepared, installed, hardened at its first boot, knocked at, restarted,
//! taken back. Nobody of this project has had such an ISO yet: what follows was written from what PVE's source says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{Desk, run};
use crate::accelerator::Pace;
use crate::agent::Output;
use crate::bench::Bench;
use crate::command::{command, output};
use crate::network::{Network, Reach, Side};
use crate::node::SSH_OPTIONS;
use crate::payload::{ADMIN, ADMIN_PASSWORD_HASH};
use crate::progress::{Step, say};
use crate::qmp::Qmp;
use crate::scenario::hook::{INSTALLED_PATH, UNIT};
use crate::workspace::{KeyPair, Workspace};

/// Where the operator says which ISO.
pub const VARIABLE: &str = "PVE_ISO";
/// Seconds natively: an installation, and a boot until SSH answers.
const INSTALLATION: u64 = 1200;
const BOOT: u64 = 300;

/// PVE's firewall and all that needs no package: the test's networks end in the air.
fn answer(root: &str, admin: &str) -> String {
    format!(
        r#"[global]
country = "at"
fqdn = "pve1.example.com"
keyboard = "en-us"
mailto = "admin@example.com"
timezone = "UTC"
root-password-hashed = "{ADMIN_PASSWORD_HASH}"
root-ssh-keys = ["{root}"]
reboot-mode = "power-off"

[network]
source = "from-answer"
cidr = "10.0.20.10/24"
gateway = "10.0.20.5"
dns = "10.0.20.5"
filter.ID_NET_NAME_MAC = "*525400001412"

[disk-setup]
filesystem = "ext4"
disk-list = ["vda"]

[firstlight]
schema = 1

[firstlight.admin]
name = "{ADMIN}"
ssh-keys = ["{admin}"]
sudo = "none"

[firstlight.firewall]
mode = "pve"
management = ["10.0.20.0/24"]

[firstlight.totp]
enabled = false
{}"#,
        crate::payload::without(&["fail2ban", "updates", "repositories"])
    )
}

/// Prepares the operator's ISO, by Proxmox's assistant too where it is, and runs the whole way with what xorriso made.
pub fn whole_way(bench: &mut Bench) -> Result<()> {
    let iso =
        std::env::var_os(VARIABLE).map(PathBuf::from).with_context(|| format!("{VARIABLE} is not set"))?;
    let desk = Desk::set(bench)?;
    let workspace = bench.workspace().clone();
    let (_, pace) = bench.image()?;
    let (root, admin) = (workspace.key("root")?, bench.payload()?.admin_key.clone());
    let file = desk.at("pve1.toml");
    fs::write(&file, answer(&root.public, &admin.public)).context("writing the answer")?;
    // As large as the ISO: not in /tmp.
    let place = tempfile::tempdir_in(workspace.vm.join("run")).context("making a directory")?;
    let prepare = |out: &str, words: &[&str]| -> Result<PathBuf> {
        let out = place.path().join(out);
        let said = run(desk.script().args([&iso, &file]).arg("--out").arg(&out).args(words))?;
        ensure!(said.status == 0, "prepare-iso ended with {}: {}", said.status, said.text);
        let made = fs::read_dir(&out)?.filter_map(|entry| Some(entry.ok()?.path()));
        made.into_iter()
            .find(|path| path.extension().is_some_and(|end| end == "iso"))
            .with_context(|| format!("no ISO: {}", said.text))
    };
    if crate::command::on_path("proxmox-auto-install-assistant") {
        prepare("assistant", &[])?;
    } else {
        say("  Proxmox's assistant is not here: xorriso alone");
    }
    let medium = prepare("xorriso", &["--without-assistant"])?;
    super::medium::still_boots(&iso, &medium)?;
    let mut pve = Pve::new(&workspace, pace, place.path(), root)?;
    pve.install(&medium)?;
    pve.first_boot()?;
    pve.filters(&admin)?;
    pve.stays()?;
    pve.goes_back()
}

/// A machine that PVE is installed on. It has no agent: SSH is the only way in.
struct Pve {
    pace: Pace,
    network: Network,
    directory: PathBuf,
    picture: PathBuf,
    root: KeyPair,
    machine: Option<Child>,
}

impl Pve {
    fn new(workspace: &Workspace, pace: Pace, directory: &Path, root: KeyPair) -> Result<Self> {
        let disk = directory.join("disk.qcow2");
        output(command("qemu-img", ["create", "-q", "-f", "qcow2"]).arg(disk).arg("32G"))?;
        Ok(Self {
            pace,
            network: Network::create("pve")?,
            directory: directory.to_owned(),
            picture: workspace.picture("iso-pve.ppm"),
            root,
            machine: None,
        })
    }

    /// Starts the machine from its disk, or from a medium.
    fn start(&mut self, medium: Option<&Path>) -> Result<Qmp> {
        let control = self.directory.join("qmp");
        if control.exists() {
            fs::remove_file(&control).context("removing an old socket")?;
        }
        let mut qemu = command("setpriv", ["--pdeathsig", "KILL", "ip", "netns", "exec"]);
        qemu.arg(self.network.node_namespace()).arg("qemu-system-x86_64");
        qemu.args(self.pace.accelerator.options()).args(["-smp", "2", "-m", "3072", "-nodefaults"]);
        qemu.args(["-no-user-config", "-display", "none", "-device", "VGA", "-no-reboot"]);
        qemu.arg("-qmp").arg(format!("unix:{},server=on,wait=off", control.display()));
        let disk = self.directory.join("disk.qcow2");
        qemu.arg("-drive").arg(format!("file={},if=virtio,format=qcow2", disk.display()));
        if let Some(medium) = medium {
            qemu.arg("-cdrom").arg(medium).args(["-boot", "d"]);
        }
        for (side, slot) in [(Side::Management, 0x12), (Side::Outsider, 0x13)] {
            let tap = side.tap();
            qemu.arg("-netdev").arg(format!("tap,id={tap},ifname={tap},script=no,downscript=no"));
            let mac = format!("52:54:00:00:14:{slot:02x}");
            qemu.arg("-device").arg(format!("virtio-net-pci,netdev={tap},mac={mac},addr=0x{slot:x}"));
        }
        let complaints = fs::File::create(self.directory.join("qemu.log")).context("creating QEMU's log")?;
        self.machine = Some(qemu.stdout(Stdio::null()).stderr(complaints).spawn().context("starting QEMU")?);
        Qmp::connect(&control, Duration::from_secs(60))
            .with_context(|| fs::read_to_string(self.directory.join("qemu.log")).unwrap_or_default())
    }

    /// Whether the machine has ended; leaves a picture of its screen.
    fn ended(&mut self, qmp: &mut Qmp) -> Result<bool> {
        // A machine that is just ending has no screen any more.
        let _ = qmp.monitor(&format!("screendump {}", self.picture.display()));
        let machine = self.machine.as_mut().context("the machine is off")?;
        Ok(machine.try_wait().context("looking after QEMU")?.is_some())
    }

    fn install(&mut self, medium: &Path) -> Result<()> {
        let step = Step::begin("installing PVE without a question");
        let mut qmp = self.start(Some(medium))?;
        let deadline = Instant::now() + self.pace.limit(INSTALLATION);
        while !self.ended(&mut qmp)? {
            ensure!(Instant::now() < deadline, "not installed in time; screen: {}", self.picture.display());
            std::thread::sleep(Duration::from_secs(10));
        }
        step.done();
        Ok(())
    }

    /// Boots from the disk and waits until root gets in.
    fn boot(&mut self) -> Result<()> {
        let mut qmp = self.start(None)?;
        let deadline = Instant::now() + self.pace.limit(BOOT);
        while self.ssh("root", &self.root, "true")?.status != 0 {
            if self.ended(&mut qmp)? || Instant::now() > deadline {
                bail!("PVE does not come up; screen: {}", self.picture.display());
            }
            std::thread::sleep(Duration::from_secs(3));
        }
        Ok(())
    }

    fn ssh(&self, user: &str, key: &KeyPair, line: &str) -> Result<Output> {
        let mut ssh = self.network.command(Side::Management, "ssh");
        ssh.args(SSH_OPTIONS).arg("-i").arg(&key.private);
        ssh.arg(format!("{user}@{}", Side::Management.node_address())).arg(line);
        let done = ssh.output().context("running ssh")?;
        Ok(Output {
            status: i64::from(done.status.code().unwrap_or(-1)),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        })
    }

    fn ok(&self, line: &str) -> Result<String> {
        let done = self.ssh("root", &self.root, line)?;
        ensure!(done.status == 0, "`{line}` ended with {}: {}{}", done.status, done.stdout, done.stderr);
        Ok(done.stdout)
    }

    fn status(&self) -> Result<serde_json::Value> {
        let done = self.ssh("root", &self.root, &format!("{INSTALLED_PATH} status --wait=1200 --json"))?;
        serde_json::from_str(&done.stdout).with_context(|| format!("status: {}{}", done.stdout, done.stderr))
    }

    fn first_boot(&mut self) -> Result<()> {
        let step = Step::begin("the first boot");
        self.boot()?;
        say(format_args!("  {}", self.ok("pveversion")?.trim()));
        let ended = format!(
            "until systemctl is-active -q {UNIT}; do ! systemctl is-failed -q {UNIT} || exit 1; sleep 2; done"
        );
        self.ok(&format!("timeout 1200 sh -c '{ended}'"))?;
        let status = self.status()?;
        ensure!(status["outcome"] == "committed" && status["door"] == "hook", "{status}");
        ensure!(
            self.ok("ls /var/lib/proxmox-first-boot")?.trim() == "proxmox-first-boot",
            "PVE's flag is there"
        );
        step.done();
        let audit = self.ssh("root", &self.root, &format!("{INSTALLED_PATH} audit"))?;
        say(format_args!("{}", audit.stdout.trim_end()));
        ensure!(matches!(audit.status, 0 | 3), "audit ended with {}", audit.status);
        Ok(())
    }

    /// The admin gets in; strangers reach neither SSH nor the web interface.
    fn filters(&self, admin: &KeyPair) -> Result<()> {
        let login = self.ssh(ADMIN, admin, "id -un")?;
        ensure!(login.stdout.trim() == ADMIN, "the admin does not get in: {}", login.stderr);
        self.ok("ip link set ens19 up && ip address add 203.0.113.10/24 dev ens19")?;
        ensure!(self.ok("pve-firewall status")?.contains("enabled/running"), "PVE's firewall is off");
        for port in [22, 8006] {
            for (side, wanted) in [(Side::Management, Reach::Open), (Side::Outsider, Reach::Silent)] {
                let found = self.network.probe(side, port)?;
                ensure!(found == wanted, "port {port} from {side:?} is {found:?}, not {wanted:?}");
            }
        }
        Ok(())
    }

    /// A restart changes nothing, and PVE does not start the hook again.
    fn stays(&mut self) -> Result<()> {
        // -no-reboot: the machine ends where it would start again.
        self.ssh("root", &self.root, "systemctl reboot")?;
        let deadline = Instant::now() + self.pace.limit(BOOT);
        let machine = self.machine.as_mut().context("the machine is off")?;
        while machine.try_wait().context("looking after QEMU")?.is_none() {
            ensure!(Instant::now() < deadline, "PVE does not restart");
            std::thread::sleep(Duration::from_secs(1));
        }
        self.boot()?;
        let status = self.status()?;
        let runs = status["transactions"].as_array().map_or(0, Vec::len);
        ensure!(runs == 1 && status["outcome"] == "committed", "after a restart: {status}");
        self.ok(&format!("! systemctl is-active -q {UNIT}")).map(drop)
    }

    fn goes_back(&self) -> Result<()> {
        let back = self.ssh("root", &self.root, &format!("{INSTALLED_PATH} rollback"))?;
        ensure!(matches!(back.status, 0 | 3), "rollback: {}{}", back.stdout, back.stderr);
        ensure!(!self.ok("pve-firewall status")?.contains("enabled/running"), "PVE's firewall is still on");
        ensure!(!self.ok("pveum user list")?.contains(&format!("{ADMIN}@pam")), "the admin is still in PVE");
        Ok(())
    }
}

impl Drop for Pve {
    fn drop(&mut self) {
        if let Some(machine) = &mut self.machine {
            // It may have ended by itself.
            let _ = machine.kill();
            let _ = machine.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    /// Nobody has run it with PVE yet: it is at least an answer.
    #[test]
    fn the_answer_is_toml_with_both_keys() {
        let text = super::answer("ssh-ed25519 ROOT r", "ssh-ed25519 ADMIN a");
        assert!(
            text.contains("root-ssh-keys = [\"ssh-ed25519 ROOT r\"]")
                && text.contains("[firstlight.updates]")
        );
    }
}
