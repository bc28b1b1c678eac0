//! firstlight: the first-boot provisioner for Proxmox VE.
//!
//! Data flows one way: answers → [`Profile`](profile::Profile), node → [`Facts`](facts::Facts), both →
//! [`Control`](control::Control)s → `Plan` → `Transaction` → `Report`. Only the transaction changes the node,
//! and only through [`Node`](node::Node).

pub mod areas;
pub mod change;
pub mod control;
pub mod error;
pub mod facts;
pub mod gate;
pub mod node;
pub mod observe;
pub mod profile;
