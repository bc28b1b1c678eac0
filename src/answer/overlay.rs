//! Fleets (design 6): the keys of the `[[firstlight.node]]` that matches replace those above, table by table.

use super::table::{Note, Notes, Table};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const NODE: &str = "node";
const MATCH: &str = "match";
const KEY: &str = "firstlight.node";
const NO_KEY: &str = "is not what a node is told by";
/// What a node is told by.
const NAMES: [&str; 4] = ["fqdn", "mac", "serial", "asset-tag"];

/// What tells one node from all others: pairs of a name (`fqdn`, `mac`, `serial`, `asset-tag`) and a value; a node has
/// several cards.
#[derive(Clone, Default)]
pub struct Identity(pub Vec<(&'static str, String)>);

impl Identity {
    /// `pve1.example.com`, or `mac=…,serial=…`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pairs = Vec::new();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').unwrap_or(("fqdn", part));
            let name = NAMES.iter().find(|known| **known == name);
            let name =
                name.ok_or_else(|| ["`", part, "`: must be one of ", &NAMES.join("=, "), "="].concat())?;
            pairs.push((*name, value.to_owned()));
        }
        Ok(Self(pairs))
    }

    fn fits(&self, name: &str, pattern: &str) -> bool {
        self.0.iter().any(|(own, value)| *own == name && glob(pattern.as_bytes(), value.as_bytes()))
    }
}

/// How many nodes an answer tells apart; `None` where it does not.
pub(super) fn count(root: &DeTable<'_>) -> Option<usize> {
    let nodes = table_of(root)?.get(NODE)?.get_ref();
    Some(nodes.as_array().map_or(0, |nodes| nodes.len()))
}

/// The places of all nodes, or of the one that matches; none where something is wrong, which is noted.
pub(super) fn chosen(root: &DeTable<'_>, notes: &Notes, who: Option<&Identity>) -> Vec<usize> {
    let note = |at: usize, message: &str| {
        notes.list.borrow_mut().push(Note { at, key: KEY.to_owned(), message: message.to_owned() });
    };
    let Some(nodes) = table_of(root).and_then(|table| table.get(NODE)) else { return Vec::new() };
    let all = nodes.span().start;
    let of_root = table_of(root).and_then(|table| table.get("admin")?.get_ref().get("ssh-keys-of-root"));
    let folds = of_root.is_some_and(|value| value.get_ref().as_bool() == Some(true));
    let (mut found, mut places) = (Vec::new(), Vec::new());
    let list: &[_] = nodes.get_ref().as_array().map_or(&[], |nodes| nodes);
    for (index, node) in list.iter().enumerate() {
        let Some(table) = node.get_ref().as_table() else {
            note(node.span().start, "must be a table: [[firstlight.node]]");
            continue;
        };
        let at = table.get(MATCH).map_or(node.span().start, |rule| rule.span().start);
        if folds && table.get("admin").and_then(|admin| admin.get_ref().get("ssh-keys")).is_some() {
            note(at, "must not have keys of its own beside ssh-keys-of-root: write root's keys among them");
        }
        if matches(table, notes, at, who) {
            places.push(at);
            found.push(index);
        }
    }
    match (places.as_slice(), who) {
        ([], _) if !notes.list.borrow().is_empty() => {}
        ([], None) => note(all, "must be a list of tables: [[firstlight.node]]"),
        ([], Some(who)) => {
            let known: Vec<String> = who.0.iter().map(|(name, value)| [name, "=", value].concat()).collect();
            note(all, &["has no entry for this node: ", &known.join(", ")].concat());
        }
        ([_, second, ..], Some(_)) => note(*second, "matches this node, and so does another one above"),
        _ => return found,
    }
    Vec::new()
}

/// Whether all patterns of a node fit; without somebody they do.
fn matches(node: &DeTable<'_>, notes: &Notes, at: usize, who: Option<&Identity>) -> bool {
    let nothing = DeTable::default();
    let rule = node.get(MATCH).and_then(|rule| rule.get_ref().as_table());
    let rule = Table::new(notes, rule.unwrap_or(&nothing), NO_KEY).named("firstlight.node.match", at);
    let (mut patterns, mut all) = (0, true);
    for name in NAMES {
        let pattern = rule.text(name).unwrap_or_default();
        if !pattern.is_empty() {
            patterns += 1;
            all &= who.is_none_or(|who| who.fits(name, pattern));
        }
    }
    rule.finish();
    if patterns == 0 && rule.entries.is_empty() {
        let message = ["must have a pattern: ", &NAMES.join(", ")].concat();
        notes.list.borrow_mut().push(Note { at, key: rule.path, message });
    }
    all && patterns > 0
}

fn table_of<'t, 'a>(root: &'t DeTable<'a>) -> Option<&'t DeTable<'a>> {
    root.get("firstlight")?.get_ref().as_table()
}

/// Makes the answer of one node out of that of all.
pub(super) fn merge_node(root: &mut DeTable<'_>, index: usize) {
    let Some(DeValue::Table(table)) = root.get_mut("firstlight").map(Spanned::as_mut) else { return };
    // A word in their place says that they were there.
    let Some(nodes) = table.get_mut(NODE).map(Spanned::as_mut) else { return };
    let mut nodes = std::mem::replace(nodes, DeValue::Boolean(true));
    let DeValue::Array(nodes) = &mut nodes else { return };
    if let Some(DeValue::Table(node)) = nodes.get_mut(index).map(Spanned::as_mut) {
        merge(table, node, MATCH);
    }
}

/// All of it but one key.
fn merge<'a>(into: &mut DeTable<'a>, from: &mut DeTable<'a>, but: &str) {
    for (key, value) in from.iter_mut().filter(|(key, _)| key.get_ref() != but) {
        match (into.get_mut(key.get_ref().as_ref()).map(Spanned::as_mut), value.as_mut()) {
            (Some(DeValue::Table(old)), DeValue::Table(new)) => merge(old, new, ""),
            (_, new) => {
                let new = std::mem::replace(new, DeValue::Boolean(false));
                into.insert(key.clone(), Spanned::new(value.span(), new));
            }
        }
    }
}

/// `*` stands for any letters, `?` for one; large and small letters are the same.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    // Behind the last star, and the first letter that it has not taken yet.
    let mut star = None;
    while place < text.len() {
        match (pattern.get(at), text.get(place), star) {
            (Some(b'*'), ..) => {
                at += 1;
                star = Some((at, place));
            }
            (Some(sign), Some(letter), _) if *sign == b'?' || sign.eq_ignore_ascii_case(letter) => {
                at += 1;
                place += 1;
            }
            (_, _, Some((behind, taken))) => {
                star = Some((behind, taken + 1));
                (at, place) = (behind, taken + 1);
            }
            _ => return false,
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|sign| *sign == b'*'))
}
