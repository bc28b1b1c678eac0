//! What corosync-quorumtool would print.

use crate::context::Context;
use crate::pmxcfs::cluster::{Cluster, Node, Switches};

/// Nodes that are in sight: without quorum this one alone.
fn visible<'a>(context: &Context, cluster: &'a Cluster) -> Vec<&'a Node> {
    let alone = Switches::below(context.root()).no_quorum();
    cluster.nodes.iter().filter(|node| !alone || node.name == context.node()).collect()
}

/// `-siH`
pub fn status(context: &Context, cluster: &Cluster) -> String {
    let nodes = visible(context, cluster);
    let all: u32 = cluster.nodes.iter().map(|node| node.votes).sum();
    let votes: u32 = nodes.iter().map(|node| node.votes).sum();
    let needed = all / 2 + 1;
    let quorate = votes >= needed;
    let own = cluster.nodes.iter().find(|node| node.name == context.node()).map_or(0, |node| node.id);
    let ring = nodes.iter().map(|node| node.id).min().unwrap_or(own);
    let blocked = if quorate { "" } else { " Activity blocked" };
    let flags = if quorate { "Quorate" } else { "" };
    let yes = if quorate { "Yes" } else { "No" };
    let members: String = nodes
        .iter()
        .map(|node| {
            let local = if node.id == own { " (local)" } else { "" };
            format!("0x{:08x} {:>10} {}{local}\n", node.id, node.votes, node.address)
        })
        .collect();
    format!(
        "Quorum information\n------------------\nQuorum provider:  corosync_votequorum\nNodes:            {}\n\
         Node ID:          0x{own:08x}\nRing ID:          {ring}.a\nQuorate:          {yes}\n\n\
         Votequorum information\n----------------------\nExpected votes:   {all}\nHighest expected: {all}\n\
         Total votes:      {votes}\nQuorum:           {needed}{blocked}\nFlags:            {flags}\n\n\
         Membership information\n----------------------\n    Nodeid      Votes Name\n{members}",
        nodes.len()
    )
}

/// `-l`
pub fn nodes(context: &Context, cluster: &Cluster) -> String {
    let members: String = visible(context, cluster)
        .iter()
        .map(|node| {
            let local = if node.name == context.node() { " (local)" } else { "" };
            format!("{:>10} {:>10} {}{local}\n", node.id, node.votes, node.name)
        })
        .collect();
    format!("\nMembership information\n----------------------\n    Nodeid      Votes Name\n{members}")
}
