//! firstlight: the first-boot provisioner for Proxmox VE.
//!
//! Data flows one way: answers → [`Profile`](profile::Profile), node → `Facts`, both → `Controls` →
//! `Plan` → `Transaction` → `Report`. Only the transaction changes the node.

pub mod answer;
pub mod bake;
pub mod payload;
pub mod profile;
