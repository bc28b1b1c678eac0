//! The result is known (row J5): a real server gets it from a node that is booted without a virtual machine, signed, once
//! per outcome, again when it was away; and the node exporter's directory has it.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bench::Bench;
use crate::container::Container;
use crate::power::disk::Disk;
use crate::power::lab::Lab;
use crate::power::record::FileSystem;
use crate::progress::say;

const FIRSTLIGHT: &str = "/usr/local/sbin/firstlight";
const KEY: &str = "not-for-anybody-else";
/// A part of an address that nobody may read but the server.
const TOKEN: &str = "T0KENofthisHOOK";
const PROMETHEUS: &str = "/var/lib/prometheus/node-exporter";
/// Keeps what each request says, and fails the first one: a server that is not up yet.
const SERVER: &str = r#"
import http.server, os
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        number = len(os.listdir("/root/told"))
        open(f"/root/told/{number:02}", "wb").write(
            f"{self.path}\n{self.headers['X-Firstlight-Signature']}\n".encode() + body)
        self.send_response(503 if number == 0 else 200)
        self.end_headers()
    def log_message(self, *words):
        pass
http.server.HTTPServer(("127.0.0.1", 8700), Hook).serve_forever()
"#;

/// A run, the same again, and one that takes it back.
pub fn told(bench: &mut Bench) -> Result<()> {
    let workspace = bench.workspace().clone();
    let (image, _) = bench.image()?;
    let payload = bench.payload()?;
    let binary = payload.binary.clone();
    let answer = fs::read_to_string(&payload.native.1).context("reading the answer")?;
    let answer = format!(
        "{answer}\n[firstlight.report]\nwebhook = \"http://127.0.0.1:8700/{TOKEN}\"\nwebhook-key = \"{KEY}\"\n\
         prometheus-textfile = \"{PROMETHEUS}\"\n"
    );
    Lab::enter(&workspace.run_directory().join("result-lab"), FileSystem::Ext4, |lab| {
        let disk = lab.file("disk");
        Disk::copy_of(&image.disk, &disk)?;
        lab.mounted(&disk, || {
            let home = lab.root().join("root");
            fs::copy(&binary, home.join("firstlight")).context("bringing the program")?;
            fs::write(home.join("answer.toml"), &answer).context("bringing the answer")?;
            fs::write(home.join("server.py"), SERVER).context("bringing a server")?;
            let node = Container::boot(&lab.root())?;
            node.ok(&format!("mkdir -p /root/told {PROMETHEUS} && /root/firstlight install"))?;
            node.ok("systemd-run --quiet --unit=server python3 /root/server.py")?;
            // The server itself may take a moment.
            node.ok("for try in 1 2 3 4 5 6 7 8 9 10; do ss -tln | grep -q :8700 && exit; sleep 0.5; done; exit 1")?;
            run_and_rollback(&node)
        })
    })
}

fn run_and_rollback(node: &Container) -> Result<()> {
    let apply = format!("{FIRSTLIGHT} apply /root/answer.toml --confirm none");
    let done = node.run(&apply)?;
    ensure!(matches!(done.status, 0 | 3), "apply ended with {}: {}", done.status, done.output);
    let told = requests(node)?;
    ensure!(told.len() == 2, "{} requests: one that fails, and one", told.len());
    for (path, signature, body) in &told {
        ensure!(path == &format!("/{TOKEN}"), "asked for {path}");
        ensure!(*signature == signed(node, body)?, "signed {signature}");
    }
    let status: Value = serde_json::from_str(&told[1].2).context("reading what the server was told")?;
    ensure!(status["status"]["outcome"] == "committed" && status["node"] == "pve1", "told {status}");
    ensure!(told[0].2 == told[1].2, "the second try says something else");
    let metrics = node.ok(&format!("cat {PROMETHEUS}/firstlight.prom"))?;
    ensure!(metrics.contains("firstlight_outcome{outcome=\"committed\"} 1\n"), "metrics: {metrics}");
    say(format_args!("  told at the second try, signed, and {} metrics", metrics.matches("# TYPE").count()));
    let again = node.run(&apply)?;
    ensure!(matches!(again.status, 0 | 3), "again ended with {}: {}", again.status, again.output);
    ensure!(requests(node)?.len() == 2, "the same outcome was told twice");
    node.ok(&format!("{FIRSTLIGHT} rollback"))?;
    let told = requests(node)?;
    let last: Value =
        serde_json::from_str(&told.last().context("no request")?.2).context("reading the last")?;
    ensure!(told.len() == 3 && last["status"]["outcome"] == "rolled-back", "{} requests, {last}", told.len());
    // What the server alone may know.
    let public =
        node.ok(&format!("journalctl; {FIRSTLIGHT} status --json; {FIRSTLIGHT} plan /root/answer.toml"))?;
    for secret in [KEY, TOKEN] {
        ensure!(!public.contains(secret), "`{secret}` is in the journal, the status or the plan");
        ensure!(!told.iter().any(|(_, _, body)| body.contains(secret)), "`{secret}` is in a body");
    }
    // A server that is gone is told of, and the run is done all the same.
    node.ok("systemctl stop server.service")?;
    let done = node.run(&apply)?;
    ensure!(
        matches!(done.status, 0 | 3),
        "without a server apply ended with {}: {}",
        done.status,
        done.output
    );
    ensure!(
        done.output.contains("warning: telling the result to report.webhook"),
        "nobody is told: {}",
        done.output
    );
    ensure!(!done.output.contains(TOKEN), "the token is in a warning: {}", done.output);
    node.ok("sshd -T | grep -qx 'passwordauthentication no'").map(drop)
}

/// Path, signature and body of each request.
fn requests(node: &Container) -> Result<Vec<(String, String, String)>> {
    let text = node.ok("cd /root/told; for file in *; do cat $file; printf '\\036'; done")?;
    let parts = text.split('\x1e').filter(|part| part.contains('\n'));
    parts
        .map(|part| {
            let mut lines = part.splitn(3, '\n').map(str::to_owned);
            let mut line = || lines.next().context("a request without its lines");
            Ok((line()?, line()?, line()?))
        })
        .collect()
}

/// By OpenSSL.
fn signed(node: &Container, body: &str) -> Result<String> {
    let quoted = body.replace('\'', "'\\''");
    let said = node.ok(&format!("printf %s '{quoted}' | openssl dgst -sha256 -hmac {KEY} -r"))?;
    Ok(format!("sha256={}", said.split(' ').next().unwrap_or_default()))
}
