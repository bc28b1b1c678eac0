//! `pvecm`: what an audit asks, and `updatecerts`.
//!
//! Texts from transcripts 00, 11 and 25 and the source of pve-cluster 9.1.6. With corosync running (a switch of the
//! test) `status` goes on with what `corosync-quorumtool -siH` prints, in the shape its source has.

mod certificates;
mod quorum;

use std::fs;
use std::process::Command;

use crate::command_line::options::Accepted;
use crate::command_line::parameter::{Parameter, Parameters};
use crate::context::Context;
use crate::failure::Failure;
use crate::pmxcfs::cluster::{Cluster, Switches};

const EXPECTED: &[Parameter] = &[Parameter::integer("expected").minimum(1)];
const UPDATE: &[Parameter] = &[
    Parameter::boolean("force").optional(),
    Parameter::boolean("silent").optional(),
    Parameter::boolean("unmerge-known-hosts").optional(),
];

/// One command: its name, usage, parameters, and what it does.
struct Word {
    name: &'static str,
    usage: &'static str,
    parameters: &'static [Parameter],
    positional: &'static [&'static str],
    run: fn(&Context, &Parameters) -> Result<(), Failure>,
}

/// The commands that are stood in for; `create`, `add` and the others are not.
const WORDS: &[Word] = &[
    Word { name: "status", usage: "pvecm status", parameters: &[], positional: &[], run: status },
    Word { name: "nodes", usage: "pvecm nodes", parameters: &[], positional: &[], run: nodes },
    Word {
        name: "expected",
        usage: "pvecm expected <expected>",
        parameters: EXPECTED,
        positional: &["expected"],
        run: expected,
    },
    Word {
        name: "updatecerts",
        usage: "pvecm updatecerts  [OPTIONS]",
        parameters: UPDATE,
        positional: &[],
        run: certificates::update,
    },
];

/// `pvecm`
pub fn run(context: &Context, arguments: &[String]) -> Result<(), Failure> {
    let Some((word, rest)) = arguments.split_first() else { return Err(refuse("no command specified")) };
    let Some(known) = WORDS.iter().find(|known| known.name == word) else {
        return Err(refuse(&format!("unknown command 'pvecm {word}'")));
    };
    let accepted = Accepted {
        parameters: known.parameters.iter().collect(),
        positional: known.positional,
        usage: known.usage,
    };
    let parameters = accepted.read(context, rest)?;
    parameters.verify(known.parameters).map_err(|failure| failure.with_usage(known.usage))?;
    (known.run)(context, &parameters)
}

fn refuse(reason: &str) -> Failure {
    let usage: Vec<String> = WORDS.iter().map(|word| format!("       {}", word.usage)).collect();
    Failure::die(format!("ERROR: {reason}\nUSAGE: pvecm <COMMAND> [ARGS] [OPTIONS]\n{}", usage.join("\n")))
}

/// The configuration of the cluster; an error of every command on a node of its own.
fn configuration(context: &Context) -> Result<Cluster, Failure> {
    match fs::read_to_string(context.path("/etc/pve/corosync.conf")) {
        Ok(text) => Ok(Cluster::parse(&text)),
        Err(_) => Err(Failure::die(
            "Error: Corosync config '/etc/pve/corosync.conf' does not exist - is this node part of a cluster?",
        )),
    }
}

/// What the tool says where corosync's own tool is not installed, as on the recorded node.
fn without_corosync(line: u32) -> Failure {
    Failure::die(format!(
        "Can't exec \"corosync-quorumtool\": No such file or directory at /usr/share/perl5/PVE/CLI/pvecm.pm line {line}, <DATA> line 960."
    ))
}

fn corosync_runs(context: &Context) -> bool {
    Switches::below(context.root()).corosync()
}

fn status(context: &Context, _: &Parameters) -> Result<(), Failure> {
    let cluster = configuration(context)?;
    let secure = if cluster.secure { "on" } else { "off" };
    let rows = [
        ("Name:", cluster.name.as_str()),
        ("Config Version:", &cluster.version.to_string()),
        ("Transport:", "knet"),
        ("Secure auth:", secure),
    ];
    let rows: String = rows.iter().map(|(label, value)| format!("{label:<17} {value}\n")).collect();
    context.print(&format!("Cluster information\n-------------------\n{rows}\n"));
    if !corosync_runs(context) {
        return Err(without_corosync(566));
    }
    context.print(&quorum::status(context, &cluster));
    Ok(())
}

fn nodes(context: &Context, _: &Parameters) -> Result<(), Failure> {
    let cluster = configuration(context)?;
    if !corosync_runs(context) {
        return Err(without_corosync(590));
    }
    context.print(&quorum::nodes(context, &cluster));
    Ok(())
}

fn expected(context: &Context, _: &Parameters) -> Result<(), Failure> {
    configuration(context)?;
    if corosync_runs(context) { Ok(()) } else { Err(without_corosync(614)) }
}

/// Runs a tool of the system, without its output.
fn system(program: &str, arguments: &[&str]) -> Result<(), Failure> {
    let done = Command::new(program).args(arguments).output();
    match done {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => Err(Failure::die(String::from_utf8_lossy(&done.stderr).trim_end().to_owned())),
        Err(error) => Err(Failure::die(format!("{program}: {error}"))),
    }
}
