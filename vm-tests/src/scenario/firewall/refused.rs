//! What design 4 allows and refuses on a node that others depend on, each refusal with its sentence, exit 2 and nothing
//! touched.

use anyhow::{Result, ensure};

use super::kernel::{self, Filter};
use super::{ANSWER_PATH, CLUSTER, HOST, MANAGEMENT, RUN};
use crate::bench::{BINARY_PATH, Bench};
use crate::network::{Reach, Side};
use crate::node::Node;
use crate::progress::say;

/// One refusal: what stands in the answer's place of the management networks and the mode, and what is said.
struct Case {
    what: &'static str,
    changes: &'static [(&'static str, &'static str)],
    says: &'static str,
}

const MODE: &str = "mode = \"pve\"";
const TABLE: &str = "[firstlight.firewall]\nmode = \"pve\"";
const ROOTLESS: &str =
    "[firstlight.ssh]\nroot-login = \"no\"\n\n[firstlight.firewall]\ndatacenter = true\nmode = \"pve\"";
const SERVICES: &str = "services = [\"nfs\"]";

/// A standalone node with a public address.
const ALONE: &[Case] = &[
    Case {
        what: "nobody says who manages a public node",
        changes: &[(MANAGEMENT, "")],
        says: "is required on a node with the public address 203.0.113.10: the networks that may reach SSH and 8006, or \
               [\"any\"]",
    },
    Case {
        what: "remote networks alone",
        changes: &[(MANAGEMENT, "management = [\"192.0.2.0/24\"]")],
        says: "must hold the network of the node's gateway or a live SSH client; if the admins really are elsewhere only, \
               set management-only-remote = true",
    },
];

/// The first of three nodes.
const MEMBER: &[Case] = &[
    Case {
        what: "the datacenter's firewall",
        changes: &[],
        says: "firstlight.firewall.datacenter: must be true on this cluster member: the datacenter firewall is everybody's",
    },
    Case {
        what: "a network that does not hold the other nodes",
        changes: &[
            (MANAGEMENT, "management = [\"10.0.20.0/28\", \"10.0.20.128/25\"]"),
            (MODE, "mode = \"pve\"\ndatacenter = true"),
        ],
        says: "must be false on this cluster member, or one of `management` must hold all nodes (10.0.20.0/24): \
               10.0.20.0/28 would cut them off from each other",
    },
    Case {
        what: "outgoing packets dropped, corosync's too",
        changes: &[(MODE, "mode = \"pve\"\ndatacenter = true\noutgoing = \"drop\"")],
        says: "must hold \"cluster\" on this cluster member: outgoing = \"drop\" would cut it off",
    },
    Case {
        what: "UFW without corosync",
        changes: &[(MODE, "mode = \"ufw\"")],
        says: "must hold \"cluster\" on this cluster member: UFW would cut corosync off from the other nodes",
    },
    Case {
        what: "root without SSH",
        changes: &[("sudo = \"none\"", "sudo = \"nopasswd\""), (TABLE, ROOTLESS)],
        says: "must be \"key\" on a cluster member: the other nodes log in as root",
    },
    Case {
        what: "another port for SSH",
        changes: &[(
            TABLE,
            "[firstlight.ssh]\nport = 2222\n\n[firstlight.firewall]\ndatacenter = true\nmode = \"pve\"",
        )],
        says: "must be 22 on a cluster member: the other nodes use no other port",
    },
];

/// The same once somebody has switched the datacenter's firewall on.
const MEMBER_ON: &[Case] = &[Case {
    what: "UFW beside the datacenter's firewall",
    changes: &[(MODE, "mode = \"ufw\""), (SERVICES, "services = [\"cluster\"]")],
    says: "must be \"pve\" on this cluster member: the datacenter firewall is on, and it is everybody's",
}];

/// Files that somebody else wrote: path, content, and what is said of them.
const FOREIGN: &[(&str, &str, &str)] = &[
    (HOST, "[OPTIONS]\nnftables: 1\n", "needs PVE's iptables firewall: host.fw of pve1 has `nftables: 1`"),
    (
        HOST,
        "[RULES]\nIN DROP -p tcp -dport 22 # nobody\n",
        "must not refuse the management networks: `IN DROP -p tcp -dport 22 # nobody` in host.fw comes before every rule",
    ),
    (
        CLUSTER,
        "[OPTIONS]\nenable: 0\n[ALIASES]\nlocal_network 10.0.0.0/8 # wide\n",
        "must be false: /etc/pve/firewall/cluster.fw has the alias `local_network 10.0.0.0/8 # wide`",
    ),
];

/// Files that PVE itself does not read as they were meant: the gate says so, in PVE's words.
const DAMAGED: &[(&str, &str)] = &[
    ("[OPTIONS]\\r\\nenable: 0\\r\\n[RULES]\\r\\nIN Ping(ACCEPT)\\r\\n", "skip line"),
    ("\\357\\273\\277[OPTIONS]\\nenable: 0\\n", "skip line"),
    ("[OPTIONS]\\nenable: 0\\n[RULES]\\nIN ACCEPT -dport 22\\n", "missing property"),
    ("[OPTIONS]\\nenable: 0\\n[RULES]\\nIN ACCEPT -source +nosuch -p tcp -dport 22\\n", "no such ipset"),
];

/// Every refusal, one after the other on one node.
pub fn refused(bench: &mut Bench) -> Result<()> {
    let plain = super::answer(bench, &[])?;
    let texts = |bench: &mut Bench, cases: &[Case]| -> Result<Vec<String>> {
        cases.iter().map(|case| super::answer(bench, case.changes)).collect()
    };
    let (alone, member, member_on) = (texts(bench, ALONE)?, texts(bench, MEMBER)?, texts(bench, MEMBER_ON)?);
    let node = super::node(bench)?;
    let before = node.manifest()?;
    for (case, text) in ALONE.iter().zip(&alone) {
        refuse(node, text, case.what, case.says)?;
    }
    for (path, content, says) in FOREIGN {
        node.ok(&format!("mkdir -p $(dirname {path}) && cat > {path} <<'EOF'\n{content}EOF"))?;
        refuse(node, &plain, &content.replace('\n', " "), says)?;
        node.ok(&format!("rm {path}"))?;
    }
    for (content, says) in DAMAGED {
        node.ok(&format!("mkdir -p /etc/pve/firewall && printf '{content}' > {CLUSTER}"))?;
        gated(node, &plain, says)?;
        node.ok(&format!("rm {CLUSTER}"))?;
    }
    node.pve().cluster_of_three()?;
    for (case, text) in MEMBER.iter().zip(&member) {
        refuse(node, text, case.what, case.says)?;
    }
    node.ok(&format!("printf '[OPTIONS]\\nenable: 1\\n[IPSET management]\\n10.0.20.0/24\\n' > {CLUSTER}"))?;
    for (case, text) in MEMBER_ON.iter().zip(&member_on) {
        refuse(node, text, case.what, case.says)?;
    }
    node.ok(&format!("rm {CLUSTER}"))?;
    node.pve().standalone()?;
    super::super::kept::expect_etc(node, &before)
}

fn refuse(node: &mut Node, answer: &str, what: &str, says: &str) -> Result<()> {
    let files = kernel::files(node)?;
    let said = super::apply(node, answer)?;
    // The text is folded to 80 columns.
    let text = format!("{}{}", said.stdout, said.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(said.status == 2, "{what}: exit {}: {text}", said.status);
    ensure!(text.contains(says), "{what}: it does not say `{says}`: {text}");
    kernel::expect_same(&files, &kernel::files(node)?, "/etc/pve")?;
    ensure!(!node.holds("test -e /var/lib/firstlight/tx/0001")?, "{what}: a transaction was begun");
    say(format_args!("  refused: {what}"));
    Ok(())
}

/// Before the first effect: exit 1, and the node is untouched.
fn gated(node: &mut Node, answer: &str, says: &str) -> Result<()> {
    let files = kernel::files(node)?;
    let said = super::apply(node, answer)?;
    let text = format!("{}{}", said.stdout, said.stderr);
    ensure!(said.status == 1, "exit {}: {text}", said.status);
    ensure!(text.contains("firewall.files") && text.contains(says), "it does not say `{says}`: {text}");
    super::super::hook::expect_outcome(node, "untouched")?;
    kernel::expect_same(&files, &kernel::files(node)?, "/etc/pve")?;
    node.ok("rm -r /var/lib/firstlight/tx/*").map(drop)
}

/// What design 4 allows: everybody, remote networks alone, and a member that may change the datacenter's firewall.
pub fn allowed(bench: &mut Bench) -> Result<()> {
    let any = super::answer(bench, &[(MANAGEMENT, "management = [\"any\"]")])?;
    let remote = super::answer(
        bench,
        &[(MANAGEMENT, "management = [\"192.0.2.0/24\"]\nmanagement-only-remote = true")],
    )?;
    let member = super::answer(
        bench,
        &[
            (MANAGEMENT, "management = [\"10.0.20.0/24\"]\ndatacenter = true"),
            (SERVICES, "services = [\"cluster\", \"migration\"]"),
            ("services-from = [\"10.0.30.0/24\"]", ""),
        ],
    )?;
    let node = super::node(bench)?;
    super::commit(node, &any)?;
    kernel::expect_only(node, Filter::Pve)?;
    expect(node, &[(Side::Outsider, 22, Reach::Open), (Side::Outsider, 8006, Reach::Open)])?;
    // Consoles, SPICE and migration are not for everybody.
    expect(node, &[5900, 3128, 60_000, 111].map(|port| (Side::Outsider, port, Reach::Silent)))?;

    let node = super::node(bench)?;
    super::commit(node, &remote)?;
    kernel::expect_only(node, Filter::Pve)?;
    expect(
        node,
        &[
            (Side::Outsider, 22, Reach::Silent),
            (Side::Management, 22, Reach::Silent),
            (Side::Management, 8006, Reach::Silent),
        ],
    )?;

    let node = super::node(bench)?;
    node.pve().cluster_of_three()?;
    super::commit(node, &member)?;
    kernel::expect_only(node, Filter::Pve)?;
    expect(
        node,
        &[
            (Side::Management, 22, Reach::Open),
            (Side::Management, 8006, Reach::Open),
            (Side::Management, 60_050, Reach::Refused),
            (Side::Management, 60_051, Reach::Silent),
            (Side::Outsider, 22, Reach::Silent),
        ],
    )?;
    let rules = node.ok("iptables-save")?;
    for other in ["10.0.20.11", "10.0.20.12"] {
        let line = format!("-s {other}/32 -d 10.0.20.10/32");
        ensure!(
            rules.lines().any(|rule| rule.contains(&line) && rule.contains("5404:5405")),
            "no corosync from {other}: {rules}"
        );
    }
    ensure!(rules.contains("5405:5412"), "no further links of corosync: {rules}");
    let again = node.run_within(&format!("{BINARY_PATH} apply {ANSWER_PATH}"), RUN)?;
    ensure!(again.status == 0, "a second run: {}{}", again.stdout, again.stderr);
    Ok(())
}

fn expect(node: &mut Node, knocks: &[(Side, u16, Reach)]) -> Result<()> {
    let wanted: Vec<Reach> = knocks.iter().map(|(.., reach)| *reach).collect();
    let asked: Vec<(Side, &str, u16)> =
        knocks.iter().map(|(side, port, _)| (*side, side.node_address(), *port)).collect();
    let found = node.knock(&asked)?;
    ensure!(found == wanted, "{asked:?}: {found:?}, not {wanted:?}");
    Ok(())
}
