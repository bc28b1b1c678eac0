//! The connections themselves, made by the node's own tools inside the namespace.

use super::key::{HOSTS_PATH, KEY_PATH};
use super::wire::{IP_PROGRAM, NAMESPACE};
use super::{Course, Finding, Trial};
use crate::error::{Error, Result};
use crate::node::{Invocation, Node, Output};
use std::time::Duration;

pub(super) const SSH_PROGRAM: &str = "/usr/bin/ssh";
pub(super) const BASH_PROGRAM: &str = "/usr/bin/bash";
/// How ssh begins when it did not get as far as sshd.
const NO_CONNECTION: &str = "ssh: connect to host";
const TIMEOUT_PROGRAM: &str = "/usr/bin/timeout";
/// Status of `timeout` when the time was up.
const TIME_IS_UP: i32 = 124;
/// Tries of a connection that is refused at once (sshd restarts). What was silent for so long stays silent, and a
/// login that was refused is not tried again: it counts against its address.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(2);
/// Nothing but what stands here: no configuration, no agent, no other key, no memory of hosts.
const OPTIONS: [&str; 11] = [
    "BatchMode=yes",
    "ConnectTimeout=15",
    "GlobalKnownHostsFile=/dev/null",
    "HostKeyAlias=firstlight",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "LogLevel=ERROR",
    "PreferredAuthentications=publickey",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "ControlPath=none",
];
/// Prints the ports that are open, all at once; the others end it by time.
const SCRIPT: &str = "for port; do (exec 3<>\"/dev/tcp/$0/$port\") && echo \"$port\" & done; wait";
const PATIENCE_SECONDS: &str = "10";
/// Two packets that were answered by nobody are enough.
const SILENCE_SECONDS: &str = "3";

fn inside(words: &[&str]) -> Invocation {
    let mut arguments = vec!["netns", "exec", NAMESPACE];
    arguments.extend_from_slice(words);
    Invocation::new(IP_PROGRAM, &arguments)
}

/// A whole login of the admin.
pub(super) fn login(node: &dyn Node, course: &Course, trial: &Trial) -> Result<Finding> {
    let (port, to) = (course.ssh.to_string(), trial.to.to_string());
    let known = format!("UserKnownHostsFile={HOSTS_PATH}");
    let mut words = vec![SSH_PROGRAM, "-F", "none", "-n", "-T", "-p", &port, "-i", KEY_PATH, "-o", &known];
    for option in OPTIONS {
        words.extend(["-o", option]);
    }
    words.extend(["-l", &course.user, &to, "true"]);
    let mut complaint = String::new();
    for number in 0..TRIES {
        if number > 0 {
            node.sleep(PAUSE);
        }
        let output = node.run(&inside(&words))?;
        if output.success() {
            return Ok(Finding { id: id("ssh", trial), holds: true, message: String::new() });
        }
        complaint = output.complaint();
        if !complaint.starts_with(NO_CONNECTION) || complaint.contains("timed out") {
            break;
        }
    }
    let what = if complaint.starts_with(NO_CONNECTION) {
        format!("SSH from {} (management) is not reached", trial.from)
    } else {
        format!("SSH from {} (management): {} cannot log in", trial.from, course.user)
    };
    Ok(Finding { id: id("ssh", trial), holds: false, message: format!("{what}: {complaint}") })
}

/// Plain connections: the other ports from inside, and every port from outside.
pub(super) fn ports(node: &dyn Node, course: &Course, trial: &Trial) -> Result<Vec<Finding>> {
    let ssh = Some(course.ssh).filter(|_| !trial.inside);
    let ports: Vec<u16> = ssh.into_iter().chain(course.ports(trial.to)).collect();
    if ports.is_empty() {
        return Ok(Vec::new());
    }
    let open = open(node, trial, &ports)?;
    let finding = |port: &u16| {
        let (ssh, is_open) = (*port == course.ssh, open.contains(port));
        let what = if ssh { "SSH".to_owned() } else { format!("port {port}") };
        let message = match (trial.inside, is_open) {
            (true, true) | (false, false) => String::new(),
            (true, false) => {
                format!(
                    "{what} from {} (management) is not reached: no connection within {PATIENCE_SECONDS} s",
                    trial.from
                )
            }
            (false, true) => {
                format!("{what} is reached from {}, which is in none of the management networks", trial.from)
            }
        };
        let service = if ssh { "ssh".to_owned() } else { port.to_string() };
        Finding { id: id(&service, trial), holds: message.is_empty(), message }
    };
    Ok(ports.iter().map(finding).collect())
}

fn open(node: &dyn Node, trial: &Trial, ports: &[u16]) -> Result<Vec<u16>> {
    let (to, words): (String, Vec<String>) =
        (trial.to.to_string(), ports.iter().map(u16::to_string).collect());
    let limit = if trial.inside { PATIENCE_SECONDS } else { SILENCE_SECONDS };
    let mut arguments = vec![TIMEOUT_PROGRAM, limit, BASH_PROGRAM, "-c", SCRIPT, &to];
    arguments.extend(words.iter().map(String::as_str));
    let invocation = inside(&arguments);
    let output = node.run(&invocation)?;
    let Output { status, stdout, stderr } = &output;
    // A namespace without a way to us proves nothing about outsiders.
    if !matches!(*status, 0 | 1 | TIME_IS_UP) || stderr.contains("Network is unreachable") {
        return Err(Error::new(format!("running {}", invocation.line()), output.complaint()));
    }
    Ok(stdout.lines().filter_map(|line| line.trim().parse().ok()).collect())
}

fn id(service: &str, trial: &Trial) -> String {
    let side = if trial.inside { "management" } else { "outside" };
    format!("reach.{service}.{side}.{}", trial.from)
}
