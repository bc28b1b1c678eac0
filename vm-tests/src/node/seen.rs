//! What is to be seen of a node from outside: its screen and its disk.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::Node;
use crate::command::{command, output};

impl Node {
    /// Takes a picture (PNG) of the screen.
    pub fn screenshot(&mut self, path: &Path) -> Result<()> {
        self.check()?;
        let machine = self.machine.as_mut().context("the node is switched off")?;
        machine.qmp.execute("screendump", json!({ "filename": path, "format": "png" })).map(drop)
    }

    /// Presses a key of the keyboard, or several at once: `shift-a`.
    pub fn press(&mut self, key: &str) -> Result<()> {
        self.check()?;
        let machine = self.machine.as_mut().context("the node is switched off")?;
        machine.qmp.monitor(&format!("sendkey {key}"))
    }

    /// The serial line, to type into; what the guest says stands in its log.
    pub fn serial_line(&self) -> Result<std::os::unix::net::UnixStream> {
        std::os::unix::net::UnixStream::connect(self.hardware.serial_socket())
            .context("opening the serial line")
    }

    /// Copies the disk as the guest has it now into a raw file.
    pub fn copy_disk(&mut self, path: &Path) -> Result<()> {
        self.ok("sync")?;
        self.check()?;
        let disk = self.hardware.disks.first().context("the node has no disk")?;
        let machine = self.machine.as_mut().context("the node is switched off")?;
        // QEMU writes all it has of the disk when it stops the guest.
        machine.qmp.monitor("stop")?;
        let convert = ["convert", "--force-share", "-O", "raw", "-S", "4096"];
        let copied = output(command("qemu-img", convert).arg(disk).arg(path));
        machine.qmp.monitor("cont")?;
        copied.context("copying the disk of a node").map(drop)
    }
}
