//! The places of the project and of what the harness keeps in `.vm/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::{command, output};

/// The musl target the product and the guest's endpoint are built for.
pub const TARGET: &str = "x86_64-unknown-linux-musl";

/// The project's top directory and `.vm/` below it.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The directory of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Everything the harness keeps: caches, keys, runs, failures.
    pub vm: PathBuf,
    /// Where cargo keeps what it downloads, for a build that shares nothing with any other; `None` for its own place.
    pub cargo_home: Option<PathBuf>,
}

impl Workspace {
    /// Finds the project from where cargo started us.
    pub fn find() -> Result<Self> {
        let member = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let root = match member.as_deref().and_then(Path::parent) {
            Some(root) => root.to_path_buf(),
            None => std::env::current_dir().context("finding the project")?,
        };
        let vm = root.join(".vm");
        for directory in ["cache", "run", "keys", "failures", "pictures"] {
            let path = vm.join(directory);
            fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        }
        Ok(Self { root, vm, cargo_home: None })
    }

    /// Where this process keeps its overlays and logs.
    pub fn run_directory(&self) -> PathBuf {
        self.vm.join("run").join(std::process::id().to_string())
    }

    /// Removes what this process has kept there.
    pub fn empty_run_directory(&self) -> Result<()> {
        let own = self.run_directory();
        if own.exists() {
            fs::remove_dir_all(&own).with_context(|| format!("removing {}", own.display()))?;
        }
        fs::create_dir_all(&own).with_context(|| format!("creating {}", own.display()))
    }

    /// Where pictures of what a terminal showed are kept, for people to look at.
    pub fn picture(&self, name: &str) -> PathBuf {
        self.vm.join("pictures").join(name)
    }

    /// Removes what runs of dead processes left behind.
    pub fn sweep(&self) -> Result<()> {
        let runs = self.vm.join("run");
        for entry in fs::read_dir(&runs).with_context(|| format!("reading {}", runs.display()))? {
            let entry = entry?;
            let alive = entry.file_name().to_str().is_some_and(|pid| Path::new("/proc").join(pid).exists());
            if !alive {
                fs::remove_dir_all(entry.path())
                    .with_context(|| format!("removing {}", entry.path().display()))?;
            }
        }
        Ok(())
    }

    /// A throw-away ed25519 pair of the harness, made on first use.
    pub fn key(&self, name: &str) -> Result<KeyPair> {
        let private = self.vm.join("keys").join(name);
        if !private.exists() {
            output(
                command("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C"])
                    .arg(format!("{name}@vm-tests"))
                    .arg("-f")
                    .arg(&private),
            )?;
        }
        let public = fs::read_to_string(private.with_extension("pub"))
            .with_context(|| format!("reading {}.pub", private.display()))?;
        Ok(KeyPair { private, public: public.trim().to_owned() })
    }

    /// Builds a binary for the musl target with cargo and returns its path.
    pub fn build(&self, package: &str, binary: &str, release: bool) -> Result<PathBuf> {
        self.build_for(TARGET, package, binary, release)
    }

    /// The same for another target.
    pub fn build_for(&self, target: &str, package: &str, binary: &str, release: bool) -> Result<PathBuf> {
        let mut cargo = self.cargo();
        cargo.args(["build", "--locked", "--target", target, "--package", package, "--bin", binary]);
        if release {
            // The shipped form: std rebuilt for size. The file says why.
            cargo.args(["--release", "--config", ".cargo/release.toml"]).env("RUSTC_BOOTSTRAP", "1");
        }
        crate::command::show(&mut cargo)?;
        let profile = if release { "release" } else { "debug" };
        Ok(self.target_directory().join(target).join(profile).join(binary))
    }

    /// Builds the stand-in for PVE as it goes into a guest and returns its path.
    pub fn stand_in(&self) -> Result<PathBuf> {
        let mut cargo = self.cargo();
        cargo.args(["build", "--locked", "--target", TARGET, "--profile", "guest"]);
        crate::command::show(cargo.args(["--package", "stand-in", "--bin", "stand-in"]))?;
        Ok(self.target_directory().join(TARGET).join("guest/stand-in"))
    }

    /// Cargo, started in the workspace.
    pub fn cargo(&self) -> std::process::Command {
        let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut cargo = command(&program, [] as [&str; 0]);
        cargo.current_dir(&self.root);
        // Set by `cargo run` for this member; the packages built below must not see it.
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR")
            {
                cargo.env_remove(name);
            }
        }
        if let Some(home) = &self.cargo_home {
            cargo.env("CARGO_HOME", home).env("CARGO_TARGET_DIR", self.target_directory());
        }
        cargo
    }

    /// Where cargo builds.
    pub fn target_directory(&self) -> PathBuf {
        match std::env::var_os("CARGO_TARGET_DIR").filter(|_| self.cargo_home.is_none()) {
            Some(path) => self.root.join(path),
            None => self.root.join("target"),
        }
    }
}

/// An SSH key pair of the harness.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The private key's file.
    pub private: PathBuf,
    /// The public key's line.
    pub public: String,
}
