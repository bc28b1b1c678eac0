//! HTTP/1.1, one request a connection.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};

/// The largest head and body taken.
const LARGEST: u64 = 512 * 1024;

/// A request.
#[derive(Default)]
pub struct Request {
    /// GET, POST, PUT or DELETE.
    pub method: String,
    /// Path with its query.
    pub target: String,
    /// Names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// The words behind the status: the real server puts the error there.
    pub reason: String,
    /// Its media type.
    pub kind: &'static str,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// An answer in JSON.
    pub fn json(status: u16, reason: &str, value: &serde_json::Value) -> Self {
        Self {
            status,
            reason: reason.to_owned(),
            kind: "application/json;charset=UTF-8",
            body: value.to_string(),
        }
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        format!(
            "HTTP/1.1 {} {}\r\nCache-Control: max-age=0\r\nConnection: close\r\nPragma: no-cache\r\n\
             Server: pve-api-daemon/3.0\r\nContent-Length: {}\r\nContent-Type: {}\r\n\r\n{}",
            self.status,
            self.reason.trim_end(),
            self.body.len(),
            self.kind,
            self.body
        )
        .into_bytes()
    }
}

impl Request {
    /// Reads a request; None if the client sent none.
    pub fn read(stream: impl Read) -> io::Result<Option<Self>> {
        let mut reader = BufReader::new(stream.take(LARGEST));
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut request = Self {
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            ..Self::default()
        };
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? <= 2 {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                request.headers.push((name.trim().to_lowercase(), value.trim().to_owned()));
            }
        }
        let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        reader.take(length).read_to_end(&mut request.body)?;
        Ok(Some(request))
    }

    /// The value of a header, whose name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The path without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Parameters of the query and of a form, in their order.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let query = self.target.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default();
        let form = String::from_utf8_lossy(&self.body).trim().to_owned();
        [query, form]
            .iter()
            .flat_map(|text| text.split('&'))
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name), decode(value))
            })
            .collect()
    }

    /// The request as it goes on to another server, with one more header.
    pub fn bytes(&self, name: &str, value: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (known, text) in self.headers.iter().filter(|(known, _)| *known != name.to_lowercase()) {
            let _ = write!(head, "{known}: {text}\r\n");
        }
        let _ = write!(head, "{name}: {value}\r\n\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend(&self.body);
        bytes
    }
}

/// Decodes `%XX` and `+`.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let parsed =
                    std::str::from_utf8(&digits).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
                bytes.extend(parsed);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends an answer; a client that went away is its own problem.
pub fn send(mut stream: impl Write, bytes: &[u8]) {
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
}
