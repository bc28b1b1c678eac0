//! What is loaded compared with what should be: the listing of `compile`, the commands that make the difference go
//! away, and whether there is one. Pure; `kernel` reads and loads.

use std::collections::{BTreeMap, BTreeSet};

use super::compile::{Compiled, Ruleset};
use super::digest;

/// PVE's chains of a table with their checksums, and the built-in chains that jump to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chains {
    /// Chains and checksums; `unknown` without one.
    pub signatures: BTreeMap<String, String>,
    /// `INPUT` and the like.
    pub hooks: BTreeSet<String>,
}

/// A chain of ebtables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BridgeChain {
    /// What happens at its end.
    pub policy: String,
    /// Its lines.
    pub lines: Vec<String>,
}

/// Everything that is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Active {
    /// Sets and checksums.
    pub sets: BTreeMap<String, String>,
    /// `iptables -t filter`.
    pub filter_v4: Chains,
    /// `ip6tables -t filter`.
    pub filter_v6: Chains,
    /// `iptables -t raw`.
    pub raw_v4: Chains,
    /// `ip6tables -t raw`.
    pub raw_v6: Chains,
    /// Chains of ebtables.
    pub bridge: BTreeMap<String, BridgeChain>,
    /// This machine cannot filter bridges: nothing of it counts as a change.
    pub without_bridge: bool,
}

/// What to load, in the order it is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// For `ipset restore`, first: sets that rules will refer to.
    pub sets: String,
    /// For `ipset restore`, last: sets nobody refers to any more.
    pub sets_to_remove: String,
    /// For `iptables-restore`.
    pub filter_v4: String,
    /// For `iptables-restore -T raw`.
    pub raw_v4: String,
    /// For `ip6tables-restore`.
    pub filter_v6: String,
    /// For `ip6tables-restore -T raw`.
    pub raw_v6: String,
    /// For `ebtables-restore`.
    pub bridge: String,
    /// Whether anything differs.
    pub changes: bool,
    /// What `pve-firewall compile` prints.
    pub listing: String,
}

const HOOKS: [&str; 4] = ["INPUT", "OUTPUT", "FORWARD", "PREROUTING"];

/// Chains that built-in ones jump to are emptied, never removed.
fn is_hooked(chain: &str) -> bool {
    HOOKS.iter().any(|hook| chain.strip_prefix("PVEFW-") == Some(hook))
}

/// Compares and says what to do.
pub fn commands(wanted: &Compiled, active: &Active) -> Commands {
    let mut commands = Commands::default();
    let mut listing = "ipset cmdlist:\n".to_owned();
    let (sets, removals) = sets(&wanted.sets, &active.sets, &mut listing);
    commands.changes = !sets.is_empty() || !removals.is_empty();
    (commands.sets, commands.sets_to_remove) = (sets, removals);
    let mut table = |title: &str, name: &str, rules: &Ruleset, chains: &Chains| {
        listing.push_str(&format!("\n{title} cmdlist:\n"));
        let (text, changed) = table(name, rules, chains, &mut listing);
        commands.changes |= changed;
        text
    };
    commands.filter_v4 = table("iptables", "filter", &wanted.filter_v4, &active.filter_v4);
    commands.filter_v6 = table("ip6tables", "filter", &wanted.filter_v6, &active.filter_v6);
    listing.push_str("\nebtables cmdlist:\n");
    let (bridge, changed) = bridge(&wanted.bridge, &active.bridge, &mut listing);
    commands.changes |= changed && !active.without_bridge;
    commands.bridge = bridge;
    let mut table = |title: &str, rules: &Ruleset, chains: &Chains| {
        listing.push_str(&format!("\n{title} table raw cmdlist:\n"));
        let (text, changed) = self::table("raw", rules, chains, &mut listing);
        commands.changes |= changed;
        text
    };
    commands.raw_v4 = table("iptables", &wanted.raw_v4, &active.raw_v4);
    commands.raw_v6 = table("ip6tables", &wanted.raw_v6, &active.raw_v6);
    commands.listing = listing;
    commands
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Create,
    Update,
    Exists,
}

fn action(
    signature: &str,
    active: Option<&str>,
    name: &str,
    lines: &[String],
    listing: &mut String,
) -> Action {
    let (action, word) = match active {
        None => (Action::Create, "create"),
        Some(known) if known == signature => (Action::Exists, "exists"),
        Some(_) => (Action::Update, "update"),
    };
    listing.push_str(&format!("{word} {name} ({signature})\n"));
    for line in lines {
        listing.push_str(&format!("\t{line}\n"));
    }
    action
}

fn sets(wanted: &Ruleset, active: &BTreeMap<String, String>, listing: &mut String) -> (String, String) {
    let mut text = String::new();
    for stale in active.keys().filter(|name| name.ends_with("_swap")) {
        text.push_str(&format!("destroy {stale}\n"));
    }
    let mut updates = String::new();
    for (name, lines) in wanted {
        let known = active.get(name).map(String::as_str);
        match action(&digest::of_set(lines), known, name, lines, listing) {
            Action::Exists => {}
            Action::Create => text.extend(lines.iter().map(|line| format!("{line}\n"))),
            Action::Update => {
                let swap = format!("{name}_swap");
                updates
                    .extend(lines.iter().map(|line| format!("{}\n", line.replacen(name.as_str(), &swap, 1))));
                updates.push_str(&format!("swap {swap} {name}\nflush {swap}\ndestroy {swap}\n"));
            }
        }
    }
    let mut removals = String::new();
    for (name, signature) in active.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
        listing.push_str(&format!("delete {name} ({signature})\n"));
        removals.push_str(&format!("flush {name}\ndestroy {name}\n"));
    }
    (text + &updates, removals)
}

fn table(name: &str, wanted: &Ruleset, active: &Chains, listing: &mut String) -> (String, bool) {
    let start = format!("*{name}\n");
    let mut text = start.clone();
    let mut changed = Vec::new();
    for (chain, lines) in wanted {
        let signature = digest::of_lines(lines);
        let known = active.signatures.get(chain).map(String::as_str);
        match action(&signature, known, chain, lines, listing) {
            Action::Exists => continue,
            Action::Create => text.push_str(&format!(":{chain} - [0:0]\n")),
            Action::Update => {}
        }
        changed.push((chain, lines, signature));
    }
    for hook in HOOKS {
        let chain = format!("PVEFW-{hook}");
        if wanted.contains_key(&chain) && !active.hooks.contains(hook) {
            text.push_str(&format!("-A {hook} -j {chain}\n"));
        }
    }
    for (chain, lines, signature) in changed {
        text.push_str(&format!("-F {chain}\n"));
        text.extend(lines.iter().map(|line| format!("{line}\n")));
        text.push_str(&format!("-A {chain} -m comment --comment \"PVESIG:{signature}\"\n"));
    }
    let unwanted: Vec<_> =
        active.signatures.iter().filter(|(chain, _)| !wanted.contains_key(*chain)).collect();
    for (chain, signature) in &unwanted {
        listing.push_str(&format!("delete {chain} ({signature})\n"));
        text.push_str(&format!("-F {chain}\n"));
    }
    for (chain, _) in unwanted.iter().filter(|(chain, _)| !is_hooked(chain)) {
        text.push_str(&format!("-X {chain}\n"));
    }
    let changes = text != start;
    text.push_str("COMMIT\n");
    (text, changes)
}

fn bridge(wanted: &Ruleset, active: &BTreeMap<String, BridgeChain>, listing: &mut String) -> (String, bool) {
    const JUMP: &str = "-A FORWARD -j PVEFW-FORWARD";
    let mut changes = false;
    let mut chains: BTreeMap<&str, (&str, &[String])> = BTreeMap::new();
    for (name, lines) in wanted {
        let known = active.get(name).map(|chain| digest::of_lines(&chain.lines));
        changes |= action(&digest::of_lines(lines), known.as_deref(), name, lines, listing) != Action::Exists;
        chains.insert(name, ("ACCEPT", lines));
    }
    for (name, chain) in active.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
        let own = name.starts_with("PVEFW-");
        changes |= own;
        let word = if own { "delete" } else { "ignore" };
        listing.push_str(&format!("{word} {name} ({})\n", digest::of_lines(&chain.lines)));
        if !own {
            chains.insert(name, (&chain.policy, &chain.lines));
        }
    }
    let mut text = "*filter\n".to_owned();
    for (name, (policy, _)) in &chains {
        text.push_str(&format!(":{name} {policy}\n"));
    }
    let mut include = chains.contains_key("PVEFW-FORWARD");
    for (name, (_, lines)) in &chains {
        for line in *lines {
            if *name == "FORWARD" && line == JUMP {
                if !include {
                    continue;
                }
                include = false;
            }
            text.push_str(&format!("{line}\n"));
        }
    }
    if include {
        text.push_str(&format!("{JUMP}\n"));
    }
    (text, changes)
}

/// The commands for a table that take away everything of PVE.
pub fn removal(table: &str, active: &Chains) -> String {
    let mut text = format!("*{table}\n");
    for hook in HOOKS.into_iter().filter(|hook| active.hooks.contains(*hook)) {
        text.push_str(&format!("-D {hook} -j PVEFW-{hook}\n"));
    }
    for option in ["-F", "-X"] {
        text.extend(active.signatures.keys().map(|chain| format!("{option} {chain}\n")));
    }
    text.push_str("COMMIT\n");
    text
}

/// Reads what `iptables-save` prints of one table.
pub fn read_chains(saved: &str, wanted_table: &str) -> Chains {
    let mut chains = Chains::default();
    let mut table = "";
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if table != wanted_table {
            continue;
        } else if let Some(rest) = line.strip_prefix(':') {
            let chain = rest.split(' ').next().unwrap_or_default();
            if is_ours(chain) {
                chains.signatures.insert(chain.to_owned(), "unknown".to_owned());
            }
        } else if let Some(rest) = line.strip_prefix("-A ") {
            let (chain, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let signature = rest.split_once("--comment \"PVESIG:").and_then(|(_, text)| text.split_once('"'));
            if let Some((signature, _)) = signature {
                if is_ours(chain) {
                    chains.signatures.insert(chain.to_owned(), signature.to_owned());
                }
            } else if HOOKS.contains(&chain) && rest.strip_prefix("-j PVEFW-") == Some(chain) {
                chains.hooks.insert(chain.to_owned());
            }
        }
    }
    chains
}

fn is_ours(chain: &str) -> bool {
    chain.starts_with("PVEFW-") && chain.len() > "PVEFW-".len()
        || chain.strip_prefix("GROUP-").is_some_and(|rest| rest.ends_with("-IN") || rest.ends_with("-OUT"))
}

/// Reads what `ipset save` prints, into checksums of PVE's sets. What newer versions add for their hashes is ignored.
pub fn read_sets(saved: &str) -> BTreeMap<String, String> {
    let mut sets: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in saved.lines() {
        let Some(name) = line.split(' ').nth(1).filter(|name| name.starts_with("PVEFW-")) else { continue };
        let words = line.split(' ').collect::<Vec<_>>();
        let value = words.iter().position(|word| *word == "initval");
        let kept: Vec<&str> = match value {
            Some(at) => {
                let after = words.get(at + 2..).unwrap_or_default();
                words.get(..at).unwrap_or_default().iter().chain(after).copied().collect()
            }
            None => words,
        };
        sets.entry(name.to_owned()).or_default().push(kept.join(" ").trim_end().to_owned());
    }
    sets.into_iter().map(|(name, lines)| (name, digest::of_set(&lines))).collect()
}

/// Reads what `ebtables-save` prints.
pub fn read_bridge(saved: &str) -> BTreeMap<String, BridgeChain> {
    let mut chains: BTreeMap<String, BridgeChain> = BTreeMap::new();
    let mut table = "";
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if table != "filter" {
            continue;
        } else if let Some((chain, policy)) = line.strip_prefix(':').and_then(|rest| rest.split_once(' ')) {
            policy.clone_into(&mut chains.entry(chain.to_owned()).or_default().policy);
        } else if let Some((chain, _)) = line.strip_prefix("-A ").and_then(|rest| rest.split_once(' ')) {
            chains.entry(chain.to_owned()).or_default().lines.push(line.trim_end().to_owned());
        }
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruleset(name: &str, lines: &[&str]) -> Ruleset {
        Ruleset::from([(name.to_owned(), lines.iter().map(|line| (*line).to_owned()).collect())])
    }

    const CREATE: &str = "create PVEFW-0-ok-v4 hash:net family inet hashsize 64 maxelem 64 bucketsize 12";

    #[test]
    fn a_set_is_made_then_swapped_then_left_alone_and_at_last_removed() {
        let wanted = Compiled {
            sets: ruleset("PVEFW-0-ok-v4", &[CREATE, "add PVEFW-0-ok-v4 10.0.0.1"]),
            ..Compiled::default()
        };
        let first = commands(&wanted, &Active::default());
        assert_eq!(first.sets, format!("{CREATE}\nadd PVEFW-0-ok-v4 10.0.0.1\n"));
        let saved = format!("{CREATE} initval 0xf505d932\nadd PVEFW-0-ok-v4 10.0.0.1\n");
        let same = Active { sets: read_sets(&saved), ..Active::default() };
        assert!(!commands(&wanted, &same).changes, "what newer versions add does not count");
        let other = Active { sets: read_sets(&saved.replace("10.0.0.1", "10.0.0.2")), ..Active::default() };
        let update = commands(&wanted, &other).sets;
        assert!(
            update.starts_with("create PVEFW-0-ok-v4_swap ")
                && update.ends_with("destroy PVEFW-0-ok-v4_swap\n")
        );
        let last = commands(&Compiled::default(), &same);
        assert_eq!(last.sets_to_remove, "flush PVEFW-0-ok-v4\ndestroy PVEFW-0-ok-v4\n");
    }

    #[test]
    fn chains_are_compared_by_their_checksum_and_hooked_once() {
        let wanted = Compiled {
            filter_v4: ruleset("PVEFW-INPUT", &["-A PVEFW-INPUT -j PVEFW-HOST-IN"]),
            ..Compiled::default()
        };
        let first = commands(&wanted, &Active::default()).filter_v4;
        assert_eq!(
            first,
            "*filter\n:PVEFW-INPUT - [0:0]\n-A INPUT -j PVEFW-INPUT\n-F PVEFW-INPUT\n-A PVEFW-INPUT -j PVEFW-HOST-IN\n\
             -A PVEFW-INPUT -m comment --comment \"PVESIG:+5iMmLaxKXynOB/+5xibfx7WhFk\"\nCOMMIT\n"
        );
        let saved = first.replace("-F PVEFW-INPUT\n", "");
        let same = Active { filter_v4: read_chains(&saved, "filter"), ..Active::default() };
        assert!(!commands(&wanted, &same).changes);
        let gone = commands(&Compiled::default(), &same).filter_v4;
        assert_eq!(gone, "*filter\n-F PVEFW-INPUT\nCOMMIT\n", "a hooked chain is emptied, not removed");
        assert_eq!(
            removal("filter", &same.filter_v4),
            "*filter\n-D INPUT -j PVEFW-INPUT\n-F PVEFW-INPUT\n-X PVEFW-INPUT\nCOMMIT\n"
        );
    }

    #[test]
    fn foreign_chains_stay_out_of_it() {
        let saved =
            "*filter\n:INPUT DROP [0:0]\n:ufw-user-input - [0:0]\n-A INPUT -j ufw-user-input\nCOMMIT\n";
        assert_eq!(read_chains(saved, "filter"), Chains::default());
        let bridge = read_bridge("*filter\n:FORWARD ACCEPT\n:mine ACCEPT\n-A FORWARD -j mine\n");
        let text = commands(&Compiled::default(), &Active { bridge, ..Active::default() });
        assert!(!text.changes);
        assert!(text.bridge.contains("-A FORWARD -j mine\n"));
    }
}
