//! Records in the system's journal, as daemons write them.

use std::os::unix::net::UnixDatagram;

use crate::context::Context;

/// Facility of daemons.
const DAEMON: u8 = 3 << 3;

/// How urgent a record is, as syslog counts.
#[derive(Clone, Copy)]
pub enum Priority {
    /// crit
    Critical = 2,
    /// err
    Error = 3,
    /// warning
    Warning = 4,
    /// notice
    Notice = 5,
    /// info
    Information = 6,
}

/// Writes a record under this name, with the process's number. Without a journal it is lost, as on the real node.
pub fn write(context: &Context, name: &str, priority: Priority, text: &str) {
    let Ok(socket) = UnixDatagram::unbound() else { return };
    let priority = DAEMON | priority as u8;
    let record = format!("<{priority}>{name}[{}]: {text}", std::process::id());
    let _ = socket.send_to(record.as_bytes(), context.path("/dev/log"));
}
