//! Logging in to the node over SSH, by nothing but what the caller names.

use anyhow::{Context, Result};

use super::Node;
use crate::agent::Output;
use crate::network::Side;
use crate::workspace::KeyPair;

impl Node {
    /// Logs in over SSH from a side and runs a command.
    pub fn ssh(&self, side: Side, user: &str, key: &KeyPair, remote: &str) -> Result<Output> {
        self.ssh_with(side, user, &["-o", "PreferredAuthentications=publickey"], Some(key), remote)
    }

    /// The same with options of the caller's; without a key only what the options allow is tried.
    pub fn ssh_with(
        &self,
        side: Side,
        user: &str,
        options: &[&str],
        key: Option<&KeyPair>,
        remote: &str,
    ) -> Result<Output> {
        let done = self.ssh_command(side, user, options, key, remote)?.output().context("running ssh")?;
        Ok(Output {
            status: i64::from(done.status.code().unwrap_or(-1)),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        })
    }

    /// The same, not yet started.
    pub fn ssh_command(
        &self,
        side: Side,
        user: &str,
        options: &[&str],
        key: Option<&KeyPair>,
        remote: &str,
    ) -> Result<std::process::Command> {
        let mut ssh = self.network()?.command(side, "ssh");
        ssh.args(SSH_OPTIONS).args(options);
        if let Some(key) = key {
            ssh.arg("-i").arg(&key.private);
        }
        ssh.arg(format!("{user}@{}", side.node_address())).arg(remote);
        Ok(ssh)
    }

    /// A program that is started in the place of a side.
    pub fn command_from(&self, side: Side, program: &str) -> Result<std::process::Command> {
        Ok(self.network()?.command(side, program))
    }

    /// The command line that logs in from the management host.
    pub fn login_line(&self, user: &str, key: &KeyPair) -> Result<String> {
        Ok(format!(
            "ip netns exec {} ssh -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -i {} {user}@{}",
            self.network()?.namespace(Side::Management),
            key.private.display(),
            Side::Management.node_address()
        ))
    }
}

/// Login by nothing but what the caller names, and no memory of host keys: every guest has the same.
pub const SSH_OPTIONS: &[&str] = &[
    "-F",
    "none",
    "-T",
    "-o",
    "BatchMode=yes",
    "-o",
    "IdentitiesOnly=yes",
    "-o",
    "IdentityAgent=none",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "LogLevel=ERROR",
    "-o",
    "ConnectTimeout=60",
];
