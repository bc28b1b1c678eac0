//! Which PVE this is, and `/version`: the one that was recorded, or the one before it where a test has switched it on.

use serde_json::{Value, json};

use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::Parameters;
use crate::context::Context;
use crate::failure::Failure;

/// Below Debian 12; the harness switches it on there. Unlike the other, it was not recorded: its differences are those of
/// its source (pve-contract).
const PVE_8: &str = "pve-8";

/// Versions of one release.
pub struct Versions {
    /// Of pve-manager.
    pub manager: &'static str,
    /// What `/version` calls the release.
    pub release: &'static str,
    /// The commit that pve-manager was built from.
    pub repository_id: &'static str,
    /// Of other packages, in the order in which `pveversion` tells them.
    pub packages: &'static [(&'static str, &'static str)],
}

/// As recorded (pve-observed, head).
static NINE: Versions = Versions {
    manager: "9.2.11",
    release: "9.2",
    repository_id: "14a22df35955d97d",
    packages: &[
        ("libpve-access-control", "9.1.1"),
        ("libpve-cluster-api-perl", "9.1.6"),
        ("libpve-cluster-perl", "9.1.6"),
        ("pve-cluster", "9.1.6"),
        ("pve-firewall", "6.0.4"),
    ],
};

/// The versions whose source was read (pve-contract 0); the commit is nowhere in it.
static EIGHT: Versions = Versions {
    manager: "8.4.21",
    release: "8.4",
    repository_id: "0000000000000000",
    packages: &[
        ("libpve-access-control", "8.2.3"),
        ("libpve-cluster-api-perl", "8.1.3"),
        ("libpve-cluster-perl", "8.1.3"),
        ("pve-cluster", "8.1.3"),
        ("pve-firewall", "5.1.2"),
    ],
};

impl Versions {
    /// Those of this node.
    pub fn of(context: &Context) -> &'static Self {
        if is_8(context) { &EIGHT } else { &NINE }
    }
}

/// Whether it is the release before the recorded one.
pub fn is_8(context: &Context) -> bool {
    context.is_switched(PVE_8)
}

static GET: Method = Method::new(Verb::Get, "/version", version).returns(Returns::Object);

/// The one method.
pub static METHODS: &[&Method] = &[&GET];

fn version(context: &Context, _parameters: &Parameters) -> Result<Value, Failure> {
    let versions = Versions::of(context);
    Ok(json!({ "release": versions.release, "repoid": versions.repository_id, "version": versions.manager }))
}
