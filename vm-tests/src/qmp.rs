//! QEMU's control socket: one JSON object per line.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// A connection to QEMU's control socket.
pub struct Qmp {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Qmp {
    /// Connects as soon as QEMU has made its socket.
    pub fn connect(socket: &Path, patience: Duration) -> Result<Self> {
        let deadline = Instant::now() + patience;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => {
                    return Err(error).context("connecting to QEMU's control socket");
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        // savevm of a busy guest under emulation is the slowest answer there is.
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        let writer = stream.try_clone().context("using QEMU's control socket")?;
        let mut qmp = Self { reader: BufReader::new(stream), writer };
        qmp.line().context("reading QEMU's greeting")?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Runs a command and returns its answer.
    pub fn execute(&mut self, name: &str, arguments: Value) -> Result<Value> {
        let request = format!("{}\n", json!({ "execute": name, "arguments": arguments }));
        self.writer.write_all(request.as_bytes()).with_context(|| format!("sending {name} to QEMU"))?;
        loop {
            let line = self.line().with_context(|| format!("waiting for QEMU's answer to {name}"))?;
            if let Some(answer) = answer(&line).with_context(|| format!("QEMU refused {name}"))? {
                return Ok(answer);
            }
        }
    }

    /// Runs a command of the human monitor; any text it prints is a complaint.
    pub fn monitor(&mut self, line: &str) -> Result<()> {
        let said = self.execute("human-monitor-command", json!({ "command-line": line }))?;
        match said.as_str().map(str::trim) {
            None | Some("") => Ok(()),
            Some(complaint) => bail!("QEMU's monitor on `{line}`: {complaint}"),
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("QEMU closed its control socket");
        }
        Ok(line)
    }
}

/// The answer in a line; `None` for an event, which nobody asked for.
fn answer(line: &str) -> Result<Option<Value>> {
    let value: Value = serde_json::from_str(line).context("reading a line of QEMU's")?;
    if let Some(error) = value.get("error") {
        bail!("{}", error.get("desc").and_then(Value::as_str).unwrap_or("unknown error"));
    }
    Ok(value.get("return").cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_no_answers() {
        assert!(answer(r#"{"event": "RESET", "data": {}}"#).unwrap().is_none());
        assert_eq!(answer(r#"{"return": {"a": 1}}"#).unwrap().unwrap()["a"], 1);
    }

    #[test]
    fn an_error_keeps_its_description() {
        let error = answer(r#"{"error": {"class": "GenericError", "desc": "no such snapshot"}}"#);
        assert_eq!(error.unwrap_err().to_string(), "no such snapshot");
    }
}
