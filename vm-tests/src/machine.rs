//! One QEMU process: its command line, its life and its death.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::accelerator::Pace;
use crate::command::{command, output};
use crate::image::Image;
use crate::network::{Network, Side};
use crate::qmp::Qmp;

/// Lines of the serial log that an error carries.
const TAIL: usize = 15;

/// How disks are copied: without their holes, and without their blocks where the file system can.
pub const COPY: [&str; 2] = ["--sparse=always", "--reflink=auto"];

/// The screen of a machine that has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// VGA's text of 80×25, as the BIOS leaves it.
    Text,
    /// What UEFI leaves: pixels, on which the kernel writes 128×48 characters.
    Pixels,
}

impl Screen {
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Text => &["-device", "VGA"],
            Self::Pixels => &["-bios", UEFI_PATH, "-device", "VGA,edid=on,xres=1024,yres=768"],
        }
    }
}

/// UEFI for a machine, from Debian's `ovmf`.
pub const UEFI_PATH: &str = "/usr/share/ovmf/OVMF.fd";

/// What a machine is made of; it survives the machine's death.
pub struct Hardware {
    pub pace: Pace,
    pub kernel: PathBuf,
    pub initrd: PathBuf,
    /// Writable qcow2 disks, the root disk first.
    pub disks: Vec<PathBuf>,
    /// Where QEMU writes down every write and flush of the root disk, if it does; such a machine has no snapshots.
    pub writes: Option<PathBuf>,
    /// Words added to the kernel's command line.
    pub kernel_words: String,
    /// QEMU's words for what the firmware holds.
    pub firmware: Vec<String>,
    /// None for a machine that talks on its serial line alone.
    pub screen: Option<Screen>,
    /// Where the serial log of all boots is kept.
    pub serial: PathBuf,
    /// Whether somebody types into the serial line, too.
    pub typed: bool,
    /// Short paths: a socket's name holds 108 bytes at most.
    pub sockets: tempfile::TempDir,
}

impl Hardware {
    /// A machine whose root disk is an overlay over a base image.
    pub fn new(image: &Image, base: &Path, pace: Pace, directory: &Path) -> Result<Self> {
        let hardware = Self::with_disk(image, pace, directory)?;
        let mut create = command("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]);
        output(create.arg(base).args(&hardware.disks))?;
        Ok(hardware)
    }

    /// A machine whose root disk is a copy of an overlay with kept states in it.
    pub fn copy(image: &Image, overlay: &Path, pace: Pace, directory: &Path) -> Result<Self> {
        let hardware = Self::with_disk(image, pace, directory)?;
        output(command("cp", COPY).arg(overlay).args(&hardware.disks))?;
        Ok(hardware)
    }

    fn with_disk(image: &Image, pace: Pace, directory: &Path) -> Result<Self> {
        if directory.exists() {
            fs::remove_dir_all(directory).with_context(|| format!("removing {}", directory.display()))?;
        }
        fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
        let disk = directory.join("root.qcow2");
        Ok(Self {
            pace,
            kernel: image.kernel.clone(),
            initrd: image.initrd.clone(),
            disks: vec![disk],
            writes: None,
            kernel_words: String::new(),
            firmware: Vec::new(),
            screen: None,
            serial: directory.join("serial.log"),
            typed: false,
            sockets: tempfile::tempdir().context("making a directory for sockets")?,
        })
    }

    /// Adds an empty disk; it takes effect at the next start.
    pub fn add_disk(&mut self, size: &str) -> Result<()> {
        let name = format!("disk{}.qcow2", self.disks.len());
        let disk = self.serial.with_file_name(name);
        output(command("qemu-img", ["create", "-q", "-f", "qcow2"]).arg(&disk).arg(size))?;
        self.disks.push(disk);
        Ok(())
    }

    /// The socket behind the guest agent's port.
    pub fn agent_socket(&self) -> PathBuf {
        self.sockets.path().join("agent")
    }

    /// The socket behind the serial line, where one types into it.
    pub fn serial_socket(&self) -> PathBuf {
        self.sockets.path().join("serial")
    }

    fn control_socket(&self) -> PathBuf {
        self.sockets.path().join("qmp")
    }
}

/// A running QEMU.
pub struct Machine {
    child: Child,
    serial: PathBuf,
    /// QEMU's control socket.
    pub qmp: Qmp,
}

impl Machine {
    /// Starts QEMU, from a snapshot if one is named; without a network the guest's cards have loose wires.
    pub fn start(hardware: &Hardware, network: Option<&Network>, snapshot: Option<&str>) -> Result<Self> {
        for socket in [hardware.agent_socket(), hardware.control_socket()] {
            if socket.exists() {
                fs::remove_file(&socket).context("removing an old socket")?;
            }
        }
        let complaints = hardware.serial.with_extension("qemu");
        // pdeathsig: whatever ends us, also a kill -9, ends the guest.
        let mut qemu = command("setpriv", ["--pdeathsig", "KILL"]);
        if let Some(network) = network {
            qemu.args(["ip", "netns", "exec", &network.node_namespace()]);
        }
        qemu.arg("qemu-system-x86_64").args(arguments(hardware, network.is_some()));
        if let Some(name) = snapshot {
            qemu.args(["-loadvm", name]);
        }
        let child = qemu
            .stdout(Stdio::null())
            .stderr(fs::File::create(&complaints).context("creating QEMU's log")?)
            .spawn()
            .context("starting QEMU")?;
        let mut child = child;
        match Qmp::connect(&hardware.control_socket(), Duration::from_secs(60)) {
            Ok(qmp) => Ok(Self { child, serial: hardware.serial.clone(), qmp }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let said = fs::read_to_string(&complaints).unwrap_or_default();
                Err(error.context(format!("starting QEMU: {}", said.trim())))
            }
        }
    }

    /// An error with the end of the serial log if QEMU is no more.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait().context("looking after QEMU")? {
            None => Ok(()),
            Some(status) => {
                bail!("QEMU has exited ({status}); the last the guest said:\n{}", tail(&self.serial))
            }
        }
    }

    /// Ends QEMU without any warning: a power cut.
    pub fn kill(&mut self) -> Result<()> {
        // It may be dead already, which is what we want.
        let _ = self.child.kill();
        self.child.wait().context("ending QEMU").map(drop)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

const KERNEL_WORDS: &str = "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=yes panic=5";

/// A disk above which QEMU writes a log in the format of the kernel's dm-log-writes.
fn recorded(disk: &Path, writes: &Path) -> String {
    serde_json::json!({
        "driver": "blklogwrites",
        "node-name": "disk0",
        "file": { "driver": "qcow2", "file": { "driver": "file", "filename": disk } },
        "log": { "driver": "file", "filename": writes },
    })
    .to_string()
}

fn arguments(hardware: &Hardware, wired: bool) -> Vec<String> {
    let text = |path: &Path| path.display().to_string();
    let mut arguments: Vec<String> = hardware.pace.accelerator.options().map(str::to_owned).to_vec();
    let mut add = |parts: &[&str]| arguments.extend(parts.iter().map(|part| (*part).to_owned()));
    add(&["-smp", &hardware.pace.processors().to_string()]);
    add(&["-m", "1024", "-nodefaults", "-no-user-config", "-display", "none"]);
    add(&["-rtc", "base=utc,clock=host"]);
    add(hardware.screen.map_or(&[], Screen::options));
    add(&hardware.firmware.iter().map(String::as_str).collect::<Vec<_>>());
    add(&["-kernel", &text(&hardware.kernel), "-initrd", &text(&hardware.initrd)]);
    add(&["-append", &format!("{KERNEL_WORDS} {}", hardware.kernel_words)]);
    let log = text(&hardware.serial);
    add(&[
        "-chardev",
        &if hardware.typed {
            let socket = text(&hardware.serial_socket());
            format!("socket,id=serial,path={socket},server=on,wait=off,logfile={log},logappend=on")
        } else {
            format!("file,id=serial,path={log},append=on")
        },
    ]);
    add(&["-serial", "chardev:serial"]);
    add(&["-qmp", &format!("unix:{},server=on,wait=off", text(&hardware.control_socket()))]);
    for (number, disk) in hardware.disks.iter().enumerate() {
        // writeback: what the guest has flushed survives a power cut, what it has not may be lost.
        match &hardware.writes {
            Some(writes) if number == 0 => add(&["-blockdev", &recorded(disk, writes)]),
            _ => add(&[
                "-drive",
                &format!("file={},if=none,id=disk{number},format=qcow2,cache=writeback", text(disk)),
            ]),
        }
        add(&["-device", &format!("virtio-blk-pci,drive=disk{number},addr=0x{:x}", 0x8 + number)]);
    }
    // Slots 18 and 19: ens18 and ens19 in the guest, as on PVE under PVE.
    for (side, slot) in [(Side::Management, 0x12), (Side::Outsider, 0x13)] {
        let tap = side.tap();
        // A hub in which nothing else is plugged in needs nothing of the host.
        let wire = if wired {
            format!("tap,id={tap},ifname={tap},script=no,downscript=no")
        } else {
            format!("hubport,id={tap},hubid={slot}")
        };
        add(&["-netdev", &wire]);
        add(&[
            "-device",
            &format!("virtio-net-pci,netdev={tap},mac=52:54:00:00:14:{slot:02x},addr=0x{slot:x}"),
        ]);
    }
    add(&[
        "-chardev",
        &format!("socket,id=agent,path={},server=on,wait=off", text(&hardware.agent_socket())),
    ]);
    add(&[
        "-device",
        "virtio-serial-pci",
        "-device",
        "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
    ]);
    arguments
}

/// The last lines of the serial log.
pub fn tail(serial: &Path) -> String {
    let log = fs::read(serial).unwrap_or_default();
    let text = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n")
}
