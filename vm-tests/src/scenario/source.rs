//! A package source that wants a subscription.

use anyhow::{Result, ensure};

use super::{hook, kept};
use crate::bench::Bench;
use crate::image::ENDPOINT_PATH;

const SOURCE: &str =
    "Types: deb\\nURIs: http://127.0.0.1:8401/\\nSuites: ./\\nSigned-By: /usr/share/keyrings/vm-tests.gpg\\n";

/// One source answers 401: what is needed comes from the other, and the status says so.
pub fn unauthorised(bench: &mut Bench) -> Result<()> {
    let node = bench.armed()?;
    node.ok(&format!("systemd-run --quiet --unit=vm-tests-subscription {ENDPOINT_PATH} subscription"))?;
    node.wait_for("the source answers", 30, "curl -s -o /dev/null http://127.0.0.1:8401/")?;
    node.ok(&format!("printf '{SOURCE}' > /etc/apt/sources.list.d/enterprise.sources"))?;
    let end = hook::run(node)?;
    let status = hook::expect_committed(node, &end)?;
    kept::expect_installed(node)?;
    let text = status.to_string();
    ensure!(text.contains("127.0.0.1:8401"), "the status does not name the source that failed: {text}");
    Ok(())
}
