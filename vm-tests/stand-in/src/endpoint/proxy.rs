//! `pveproxy`: on 8006, everything but its page goes on to pvedaemon.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::context::Context;
use crate::endpoint::http::{Answer, Request, send};
use crate::endpoint::server;
use crate::failure::Failure;

/// Both kinds of addresses: IPv4 clients are seen as `::ffff:…` (contract 5.1).
const ADDRESS: &str = "[::]:8006";
/// pvedaemon.
pub const DAEMON: &str = "127.0.0.1:85";
/// How the client's address goes on.
pub const CLIENT: &str = "PVEClientIP";
/// Where requests are logged.
const LOG: &str = "/var/log/pveproxy/access.log";
/// What the start page shows.
const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Proxmox Virtual Environment</title></head></html>\n";

/// `pveproxy start`
pub fn proxy(_: &Context, arguments: &[String]) -> Result<(), Failure> {
    if server::is_start(arguments) { server::serve(ADDRESS, answer) } else { Ok(()) }
}

fn answer(connection: TcpStream, peer: SocketAddr) -> io::Result<()> {
    let Some(request) = Request::read(&connection)? else { return Ok(()) };
    let bytes = if request.path().starts_with("/api2/") {
        let passed = pass_on(&request, peer);
        passed.unwrap_or_else(|error| plain(595, &error.to_string(), "").bytes())
    } else if request.path() == "/" {
        plain(200, "OK", PAGE).bytes()
    } else {
        plain(404, "not found", "").bytes()
    };
    log(&request, peer, &bytes);
    send(&connection, &bytes);
    Ok(())
}

fn plain(status: u16, reason: &str, body: &str) -> Answer {
    Answer { status, reason: reason.to_owned(), kind: "text/html; charset=UTF-8", body: body.to_owned() }
}

/// The daemon closes the connection after its answer.
fn pass_on(request: &Request, peer: SocketAddr) -> io::Result<Vec<u8>> {
    let mut daemon = TcpStream::connect(DAEMON)?;
    daemon.write_all(&request.bytes(CLIENT, &peer.ip().to_string()))?;
    let mut bytes = Vec::new();
    daemon.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A line of the access log (contract 5.2): the month is a number.
fn log(request: &Request, peer: SocketAddr, bytes: &[u8]) {
    let context = Context::of_the_process();
    let head = String::from_utf8_lossy(bytes.get(..64).unwrap_or(bytes)).into_owned();
    let status = head.split(' ').nth(1).unwrap_or("-").to_owned();
    let length = bytes.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |head| bytes.len() - head - 4);
    let line = format!(
        "{} - - [{}] \"{} {} HTTP/1.1\" {status} {length}\n",
        peer.ip(),
        date(context.now()),
        request.method,
        request.target,
    );
    let opened = OpenOptions::new().create(true).append(true).open(context.path(LOG));
    let _ = opened.and_then(|mut file| file.write_all(line.as_bytes()));
}

/// `DD/MM/YYYY:HH:MM:SS +0000`
fn date(now: u64) -> String {
    let (days, seconds) = (now / 86_400, now % 86_400);
    let mut year = 1970;
    let mut rest = days;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while rest >= 365 + u64::from(leap(year)) {
        rest -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    format!(
        "{:02}/{month:02}/{year}:{:02}:{:02}:{:02} +0000",
        rest + 1,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn a_month_is_a_number() {
        assert_eq!(date(0), "01/01/1970:00:00:00 +0000");
        assert_eq!(date(1_709_208_000), "29/02/2024:12:00:00 +0000");
        assert_eq!(date(1_795_326_778), "22/11/2026:05:52:58 +0000");
    }
}
