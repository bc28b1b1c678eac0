//! firstlight: the first-boot provisioner for Proxmox VE.
//!
//! Data flows one way: answers → [`Profile`](profile::Profile), node → [`Facts`](facts::Facts), both →
//! [`Control`](control::Control)s → [`Plan`](plan::Plan) → [`transaction`] → report. Only the transaction changes
//! the node, and only through [`Node`](node::Node).

// The shipped binary formats nothing by Debug (`.cargo/release.toml`): `{:?}` would print nothing there.
#![cfg_attr(not(test), deny(clippy::use_debug))]

pub mod answer;
pub mod areas;
pub mod ask;
pub mod audit;
pub mod bake;
pub mod change;
pub mod cli;
pub mod commands;
pub mod control;
pub mod error;
pub mod factor;
pub mod facts;
pub mod gate;
pub mod handover;
pub mod hook;
pub mod install;
pub mod json;
pub mod manifest;
pub mod node;
pub mod notify;
pub mod objects;
pub mod observe;
mod packed;
pub mod payload;
pub mod plan;
pub mod profile;
pub mod progress;
pub mod provision;
pub mod qr;
pub mod reach;
pub mod report;
pub mod sabotage;
pub mod sorted;
pub mod status;
pub mod totp;
pub mod transaction;
pub mod wizard;
