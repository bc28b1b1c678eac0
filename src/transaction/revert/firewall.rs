//! Exactly one firewall filters at the end of a way back, whatever became of `cluster.fw` since.

use super::Way;
use crate::change;
use crate::error::Result;
use crate::facts::{cluster_firewall, pmxcfs};
use crate::manifest::{Manifest, State};
use crate::node::{Node, read_text};
use crate::objects::Objects;
use crate::transaction::Stage;
use crate::transaction::record::Inverse;
use crate::transaction::story::{Made, Story};
use std::path::{Path, PathBuf};

const PATH: &str = cluster_firewall::PATH;

/// Whether UFW has to stay as it is, because PVE's firewall cannot be switched back: its file is another cluster's by now,
/// or has no line left to switch it by.
pub fn stuck(node: &dyn Node, objects: &Objects<'_>, story: &Story, force: bool) -> Result<bool> {
    let Some(before) = enable_before(objects, story)? else { return Ok(false) };
    if change::pmxcfs_mounted(node, "").is_err() {
        return Ok(false);
    }
    let text = read_text(node, Path::new(PATH))?.unwrap_or_default();
    let joined = pmxcfs::cluster_name(node).unwrap_or_default() != story.cluster;
    let lost = !force && !cluster_firewall::has_switch(&text);
    Ok(cluster_firewall::is_enabled(&text) != (before != 0) && (joined || lost))
}

/// What is said of a step that stays.
pub fn stays(title: &str) -> String {
    [title, " stays: PVE's firewall cannot be switched back"].concat()
}

/// `enable` as it was before the transaction; `None` where it had nothing to do with it.
fn enable_before(objects: &Objects<'_>, story: &Story) -> Result<Option<u64>> {
    let about = |made: &&Made| made.scopes.iter().any(|scope| scope.path() == Path::new(PATH));
    let first = story.made.iter().find(about);
    first.map(|made| value(objects, &Manifest::take(objects.read(&made.before)?, None)?)).transpose()
}

/// Whether PVE's firewall filtered before: until it does again, UFW stays.
pub fn filtered(objects: &Objects<'_>, story: &Story) -> bool {
    enable_before(objects, story).is_ok_and(|value| value.unwrap_or_default() != 0)
}

/// `enable` as a manifest has it.
fn value(objects: &Objects<'_>, manifest: &Manifest) -> Result<u64> {
    let Some(State::File { content, .. }) = manifest.get(Path::new(PATH)).map(|entry| &entry.state) else {
        return Ok(0);
    };
    Ok(cluster_firewall::value(&String::from_utf8_lossy(&objects.read(content)?)))
}

impl Way<'_> {
    /// [`stuck`], decided once, and before UFW is touched: later, what is seen is our own doing.
    pub(super) fn ufw_stays(&self, story: &Story, stage: Stage, force: bool) -> bool {
        let begun = |made: &Made| made.inverse.is_ufw() && made.reverting.is_some();
        story.ufw_stays
            || stage == Stage::Late
                && !story.made.iter().any(begun)
                && stuck(self.node, self.objects, story, force).unwrap_or_default()
    }

    /// Where others have changed `cluster.fw` since, it stays, but for its line `enable`.
    pub(super) fn switch_back(&mut self, made: &Made, before: &Manifest, kept: &[PathBuf]) -> Result<()> {
        let path = Path::new(PATH);
        if !matches!(made.inverse, Inverse::PveFirewall(_)) || !kept.iter().any(|kept| kept == path) {
            return Ok(());
        }
        let text = read_text(self.node, path)?.unwrap_or_default();
        let wanted = value(self.objects, before)?;
        if cluster_firewall::value(&text) == wanted {
            return Ok(());
        }
        change::write_pve_firewall(self.node, &cluster_firewall::switched(&text, wanted))
    }
}
