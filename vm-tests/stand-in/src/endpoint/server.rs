//! What both daemons share: listening, a thread for each connection, and saying when they are ready.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::time::Duration;

use crate::failure::Failure;

/// Listens and serves for ever. Each connection has a thread and a context of its own.
pub fn serve(address: &str, answer: fn(TcpStream, SocketAddr) -> io::Result<()>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::die(format!("unable to create socket - {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(failed)?;
    ready();
    for connection in listener.incoming() {
        let Ok(connection) = connection else { continue };
        let Ok(peer) = connection.peer_addr() else { continue };
        let _ = connection.set_read_timeout(Some(Duration::from_secs(10)));
        std::thread::spawn(move || {
            let _ = answer(connection, peer);
        });
    }
    Ok(())
}

/// Tells systemd, where it asked for it.
fn ready() {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let Ok(socket) = UnixDatagram::unbound() else { return };
    let name = path.to_string_lossy();
    let address = match name.strip_prefix('@') {
        Some(name) => UnixAddress::from_abstract_name(name),
        None => UnixAddress::from_pathname(name.as_ref()),
    };
    if let Ok(address) = address {
        let _ = socket.send_to_addr(b"READY=1", &address);
    }
}

/// The words a daemon of PVE takes; everything but `start` ends at once here, since systemd does it.
pub fn is_start(arguments: &[String]) -> bool {
    matches!(arguments.first().map(String::as_str), Some("start") | None)
}
