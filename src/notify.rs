//! The result, told to others (row J5): a webhook, and a text file for Prometheus' node exporter. By whoever ends a piece of
//! work and still holds the lock. What fails here is a warning: the work is done.

use crate::answer::{self, quoted};
use crate::audit::record;
use crate::change::CREDENTIALS_DIR;
use crate::error::{Error, Result};
use crate::facts;
use crate::node::{Invocation, Node, exists, read_text};
use crate::profile::{Report, Secret};
use crate::report::json::Json;
use crate::status::{Status, json};
use crate::transaction::state::{RUN_DIR, make_directories, record_path, transactions, write_atomically};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A key that stands in an answer itself, for runs that end in another process: the profile of record has no secrets.
const KEY_PATH: &str = "/var/lib/firstlight/webhook-key";
/// What the webhook was told last.
const TOLD_PATH: &str = "/var/lib/firstlight/told";
const WGET: &str = "/usr/bin/wget";
/// The URL comes from the standard input: it may hold a token.
const WGET_WORDS: &str = "--no-verbose --output-document=/dev/null --tries=3 --waitretry=5 --timeout=10 \
    --retry-connrefused --retry-on-http-error=500,502,503,504 --header=Content-Type:application/json \
    --post-file=/run/firstlight/result.json --input-file=-";
const CURL: &str = "/usr/bin/curl";
const CURL_WORDS: &str = "--silent --show-error --fail --retry 3 --retry-delay 5 --retry-all-errors --max-time 10 \
    --output /dev/null --header Content-Type:application/json --data-binary @/run/firstlight/result.json --config -";
const SECONDS: u64 = 90;
const BLOCK: usize = 64;

/// Keeps the key of an answer, before its run begins.
pub fn keep_key(node: &dyn Node, report: &Report) -> Result<()> {
    match &report.webhook_key {
        Some(Secret::Value(key)) if !report.webhook.is_empty() => {
            write_atomically(node, Path::new(KEY_PATH), key.as_bytes())
        }
        _ => Ok(()),
    }
}

/// Tells the result to whom the last run's answer names.
pub fn tell(node: &dyn Node, status: &Status) -> Result<()> {
    let Some(id) = transactions(node)?.pop() else { return Ok(()) };
    let profile = read_text(node, &record_path(id))?.unwrap_or_default();
    let Ok(answer) = answer::read("the profile of record", profile.as_bytes()) else { return Ok(()) };
    let report = answer.profile.report;
    if report.enabled && !report.prometheus_textfile.is_empty() {
        write_metrics(node, Path::new(&report.prometheus_textfile), status)?;
    }
    let told = format!("{id} {} {}", status.outcome.word(), status.exit_code);
    if !report.enabled
        || report.webhook.is_empty()
        || read_text(node, Path::new(TOLD_PATH))?.as_ref() == Some(&told)
    {
        return Ok(());
    }
    post(node, &report, status)?;
    write_atomically(node, Path::new(TOLD_PATH), told.as_bytes())
}

fn post(node: &dyn Node, report: &Report, status: &Status) -> Result<()> {
    let name = facts::host_name(node);
    let body = Json::Object(vec![("node", Json::text(&name)), ("status", json::value(status))]).to_string();
    let key = match &report.webhook_key {
        Some(Secret::File(path)) => Some(PathBuf::from(path)),
        Some(Secret::Credential(name)) => Some(Path::new(CREDENTIALS_DIR).join(name)),
        _ => exists(node, Path::new(KEY_PATH))?.then(|| KEY_PATH.into()),
    };
    let mut header = String::new();
    if let Some(key) = key {
        header = ["X-Firstlight-Signature:sha256=", &hmac(&node.read(&key)?, body.as_bytes())].concat();
    }
    make_directories(node, Path::new(RUN_DIR))?;
    let file = Path::new(RUN_DIR).join("result.json");
    write_atomically(node, &file, body.as_bytes())?;
    let wget = exists(node, Path::new(WGET))?;
    let (program, words) = if wget { (WGET, WGET_WORDS) } else { (CURL, CURL_WORDS) };
    let mut arguments: Vec<&str> = words.split(' ').collect();
    if !header.is_empty() {
        arguments.extend(["--header", &header]);
    }
    let url = &report.webhook;
    let input = if wget { [url, "\n"].concat() } else { ["url = ", &quoted(url), "\n"].concat() };
    let said = node.run(&Invocation::new(program, &arguments).input(input.into_bytes()).limit(SECONDS));
    node.remove_file(&file)?;
    let said = said?;
    if said.success() {
        return Ok(());
    }
    // The tool names the URL.
    Err(Error::new("telling the result to report.webhook", said.complaint().replace(url.as_str(), "…")))
}

/// HMAC-SHA256 (RFC 2104) in hexadecimal. A line end behind a key in a file is none of it.
fn hmac(key: &[u8], body: &[u8]) -> String {
    let key = key.trim_ascii_end();
    let hashed = Sha256::digest(key);
    let key = if key.len() > BLOCK { hashed.as_slice() } else { key };
    let keyed = |with: u8, message: &[u8]| {
        let mut block = key.to_vec();
        block.resize(BLOCK, 0);
        block.iter_mut().for_each(|byte| *byte ^= with);
        block.extend_from_slice(message);
        Sha256::digest(&block)
    };
    keyed(0x5c, &keyed(0x36, body)).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `firstlight.prom`, readable for everybody; there is no secret in it.
fn write_metrics(node: &dyn Node, directory: &Path, status: &Status) -> Result<()> {
    let ended = status.story().and_then(|story| story.ended).unwrap_or_default() / 1000;
    let mut text = format!(
        "# TYPE firstlight_exit_code gauge\nfirstlight_exit_code {}\n# TYPE firstlight_outcome gauge\n\
         firstlight_outcome{{outcome=\"{}\"}} 1\n# TYPE firstlight_ended_seconds gauge\nfirstlight_ended_seconds {ended}\n",
        status.exit_code,
        status.outcome.word()
    );
    for (name, value) in record::figures(node) {
        text.push_str(&format!("# TYPE firstlight_audit_{name} gauge\nfirstlight_audit_{name} {value}\n"));
    }
    let path: PathBuf = directory.join("firstlight.prom");
    write_atomically(node, &path, text.as_bytes())?;
    node.set_mode(&path, 0o644)
}

#[cfg(test)]
mod tests;
