//! QEMU tests of firstlight: real Debian guests, PVE's first-boot contract, power cuts.
//!
//! `cargo vm demo` shows one first boot, `cargo vm test` runs every test of the project.

mod accelerator;
mod agent;
mod bench;
mod budgets;
mod check;
mod cli;
mod command;
mod container;
mod demo;
mod fuzz;
mod host;
mod image;
mod kit;
mod machine;
mod manifest;
mod network;
mod node;
mod payload;
mod picture;
mod power;
mod progress;
mod qmp;
mod release;
mod scenario;
mod schedule;
mod scores;
mod search;
mod seed;
mod suite;
mod unprivileged;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
