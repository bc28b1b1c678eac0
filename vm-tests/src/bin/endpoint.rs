//! What answers in a guest where PVE's web interface would: a login page on 8006, or a package source that
//! wants a subscription on 8401.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

/// Address and answer of one mode.
struct Mode {
    name: &'static str,
    address: &'static str,
    status: &'static str,
    body: &'static str,
}

const MODES: &[Mode] = &[
    Mode {
        name: "login",
        address: "[::]:8006",
        status: "200 OK",
        body: "<title>Proxmox Virtual Environment</title>\n",
    },
    Mode {
        name: "subscription",
        address: "127.0.0.1:8401",
        status: "401 Unauthorized",
        body: "a subscription is needed\n",
    },
];

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let Some(mode) = MODES.iter().find(|mode| mode.name == wanted) else {
        eprintln!("usage: endpoint login|subscription");
        return ExitCode::from(2);
    };
    match serve(mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("listening on {}: {error}", mode.address);
            ExitCode::FAILURE
        }
    }
}

fn serve(mode: &'static Mode) -> io::Result<()> {
    let listener = TcpListener::bind(mode.address)?;
    for connection in listener.incoming() {
        // A client that went away, or one that says nothing, is its own problem.
        let Ok(connection) = connection else { continue };
        std::thread::spawn(move || {
            let _ = answer(connection, mode);
        });
    }
    Ok(())
}

fn answer(mut connection: TcpStream, mode: &Mode) -> io::Result<()> {
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    write!(
        connection,
        "HTTP/1.1 {}\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        mode.status,
        mode.body.len(),
        mode.body
    )
}
