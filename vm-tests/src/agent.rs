//! The guest agent: commands and files over virtio-serial, independent of the network that is under test.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

/// Sent before a synchronisation, and by the agent before its answer to one: no JSON holds this byte.
const DELIMITER: u8 = 0xff;
/// Content per write: the agent reads a whole line into memory first.
const CHUNK: usize = 96 * 1024;
/// An answer to anything but a synchronisation is quick, even under emulation with others beside it.
const ANSWER: Duration = Duration::from_secs(60);

/// What a command in the guest did.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit status; 128 + number for a signal.
    pub status: i64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A connection to the agent of one guest.
pub struct Agent {
    stream: UnixStream,
    buffer: Vec<u8>,
    last_id: u64,
}

impl Agent {
    /// Connects to the socket behind the guest's agent port.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).context("connecting to the guest agent's socket")?;
        stream.set_read_timeout(Some(Duration::from_millis(100)))?;
        Ok(Self { stream, buffer: Vec::new(), last_id: u64::from(std::process::id()) << 16 })
    }

    /// One attempt to reach the agent: throws away everything older and waits for our own number.
    pub fn synchronise(&mut self, patience: Duration) -> Result<()> {
        self.last_id += 1;
        let request =
            json!({ "execute": "guest-sync-delimited", "arguments": { "id": self.last_id } }).to_string();
        let mut bytes = vec![DELIMITER];
        bytes.extend_from_slice(request.as_bytes());
        bytes.push(b'\n');
        self.stream.write_all(&bytes).context("writing to the guest agent")?;
        let deadline = Instant::now() + patience;
        loop {
            let line = self.line(deadline)?;
            if sync_id(&line) == Some(self.last_id) {
                return Ok(());
            }
        }
    }

    /// Runs `/bin/sh -c COMMAND` in the guest, and asks for its end at this interval at the latest: the agent writes
    /// each question into the journal, which costs an emulated guest a tenth of its processor when asked quickly.
    pub fn shell(&mut self, command: &str, limit: Duration, slowest: Duration) -> Result<Output> {
        let pid = self.start(command)?;
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_millis(10);
        loop {
            let state = self.execute("guest-exec-status", json!({ "pid": pid }))?;
            if state["exited"].as_bool() == Some(true) {
                let status = state["exitcode"]
                    .as_i64()
                    .or_else(|| state["signal"].as_i64().map(|signal| 128 + signal))
                    .unwrap_or(-1);
                return Ok(Output {
                    status,
                    stdout: text(&state["out-data"])?,
                    stderr: text(&state["err-data"])?,
                });
            }
            if Instant::now() > deadline {
                bail!("no end after {} s: {command}", limit.as_secs());
            }
            std::thread::sleep(pause);
            pause = (pause * 5 / 4).min(slowest);
        }
    }

    fn start(&mut self, command: &str) -> Result<u64> {
        let answer = self.execute(
            "guest-exec",
            json!({ "path": "/bin/sh", "arg": ["-c", command], "capture-output": true }),
        )?;
        answer["pid"].as_u64().context("the guest agent gave no process id")
    }

    /// Writes a file in the guest.
    pub fn put(&mut self, path: &str, content: &[u8]) -> Result<()> {
        let handle = self.execute("guest-file-open", json!({ "path": path, "mode": "w" }))?;
        for chunk in content.chunks(CHUNK) {
            let arguments = json!({ "handle": handle, "buf-b64": BASE64.encode(chunk) });
            let written = self.execute("guest-file-write", arguments)?;
            if written["count"].as_u64() != u64::try_from(chunk.len()).ok() {
                bail!("the guest agent wrote {path} only in part");
            }
        }
        self.execute("guest-file-close", json!({ "handle": handle }))?;
        Ok(())
    }

    /// Reads a file of the guest.
    pub fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        let handle = self.execute("guest-file-open", json!({ "path": path, "mode": "r" }))?;
        let mut content = Vec::new();
        loop {
            let part = self.execute("guest-file-read", json!({ "handle": handle, "count": CHUNK }))?;
            content.extend(BASE64.decode(part["buf-b64"].as_str().unwrap_or_default())?);
            if part["eof"].as_bool() != Some(false) {
                break;
            }
        }
        self.execute("guest-file-close", json!({ "handle": handle }))?;
        Ok(content)
    }

    fn execute(&mut self, name: &str, arguments: Value) -> Result<Value> {
        // In one piece: every write is a message to the guest.
        let request = format!("{}\n", json!({ "execute": name, "arguments": arguments }));
        self.stream
            .write_all(request.as_bytes())
            .with_context(|| format!("sending {name} to the guest agent"))?;
        let line = self.line(Instant::now() + ANSWER).with_context(|| format!("waiting for {name}"))?;
        let answer: Value = serde_json::from_str(&line).context("reading an answer of the guest agent")?;
        if let Some(error) = answer.get("error") {
            bail!("guest agent, {name}: {}", error["desc"].as_str().unwrap_or("unknown error"));
        }
        Ok(answer["return"].clone())
    }

    fn line(&mut self, deadline: Instant) -> Result<String> {
        loop {
            if let Some(line) = take_line(&mut self.buffer) {
                return Ok(line);
            }
            let mut bytes = [0; 64 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => bail!("QEMU closed the guest agent's socket"),
                Ok(count) => self.buffer.extend_from_slice(bytes.get(..count).unwrap_or_default()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error).context("reading from the guest agent"),
            }
            if Instant::now() > deadline && !self.buffer.contains(&b'\n') {
                bail!("the guest agent does not answer");
            }
        }
    }
}

/// Takes the first whole line out of the buffer, without whatever stood before a delimiter.
fn take_line(buffer: &mut Vec<u8>) -> Option<String> {
    let end = buffer.iter().position(|byte| *byte == b'\n')?;
    let line: Vec<u8> = buffer.drain(..=end).collect();
    let start = line.iter().rposition(|byte| *byte == DELIMITER).map_or(0, |at| at + 1);
    Some(String::from_utf8_lossy(line.get(start..).unwrap_or_default()).trim().to_owned())
}

fn sync_id(line: &str) -> Option<u64> {
    serde_json::from_str::<Value>(line).ok()?.get("return")?.as_u64()
}

fn text(data: &Value) -> Result<String> {
    let bytes = BASE64.decode(data.as_str().unwrap_or_default()).context("decoding a command's output")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubbish_before_a_delimiter_is_dropped() {
        let mut buffer = b"{\"half an ans\xff{\"return\": 7}\n{\"ret".to_vec();
        assert_eq!(take_line(&mut buffer).as_deref(), Some("{\"return\": 7}"));
        assert_eq!(buffer, b"{\"ret");
        assert!(take_line(&mut buffer).is_none());
    }

    #[test]
    fn only_a_number_is_a_synchronisation() {
        assert_eq!(sync_id("{\"return\": 7}"), Some(7));
        assert_eq!(sync_id("{\"return\": {\"pid\": 7}}"), None);
        assert_eq!(sync_id("not json"), None);
    }

    #[test]
    fn output_is_decoded() {
        assert_eq!(text(&json!("aGk=")).unwrap(), "hi");
        assert_eq!(text(&Value::Null).unwrap(), "");
    }
}
