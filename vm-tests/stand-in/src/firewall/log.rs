//! The system's log as pve-firewall writes it.

use std::os::unix::net::UnixDatagram;

use crate::context::Context;

/// An error (`<27>` in the recordings).
pub fn error(context: &Context, text: &str) {
    send(context, 27, text);
}

/// A word about what is going on (`<30>`).
pub fn info(context: &Context, text: &str) {
    send(context, 30, text);
}

/// A replay has no log: nothing is written there.
fn send(context: &Context, priority: u8, text: &str) {
    if !context.is_the_machine() {
        return;
    }
    let line = format!("<{priority}>pve-firewall[{}]: {}", std::process::id(), text.trim_end());
    if let Ok(socket) = UnixDatagram::unbound() {
        let _ = socket.send_to(line.as_bytes(), "/dev/log");
    }
}
