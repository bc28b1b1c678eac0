//! What all workers share: made once, by whoever asks first.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Result};

use crate::accelerator::{Accelerator, Pace};
use crate::image::{Image, Release};
use crate::manifest::Manifest;
use crate::node::Kept;
use crate::payload::Payload;
use crate::progress::Step;
use crate::workspace::Workspace;

/// A state of a node that many scenarios begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing of firstlight has ever run; its files may lie in `/root/vm-tests`.
    Fresh,
    /// Directly after a first boot that committed.
    Committed,
}

/// A kept state, or why there is none.
type Outcome = std::result::Result<Kept, String>;

/// The product, the images and the kept states of one run.
pub struct Kit {
    /// The project.
    pub workspace: Workspace,
    /// Workers, and so guests, side by side.
    pub jobs: usize,
    /// What all guests are made of.
    pub release: Release,
    making: Mutex<()>,
    payload: OnceLock<Payload>,
    accelerator: OnceLock<Accelerator>,
    original: OnceLock<Manifest>,
    fresh: Mutex<Option<Outcome>>,
    committed: Mutex<Option<Outcome>>,
}

impl Kit {
    /// Nothing is made yet.
    pub fn new(workspace: &Workspace, jobs: usize, release: Release) -> Self {
        Self {
            workspace: workspace.clone(),
            jobs,
            release,
            making: Mutex::new(()),
            payload: OnceLock::new(),
            accelerator: OnceLock::new(),
            original: OnceLock::new(),
            fresh: Mutex::new(None),
            committed: Mutex::new(None),
        }
    }

    /// The product, built and baked on first use.
    pub fn payload(&self) -> Result<&Payload> {
        let _one = lock(&self.making);
        if self.payload.get().is_none() {
            let payload = Payload::make(&self.workspace)?;
            return Ok(self.payload.get_or_init(|| payload));
        }
        self.payload.get().context("the product is not built")
    }

    /// The stand-in for PVE, built on first use.
    pub fn stand_in(&self) -> Result<Vec<u8>> {
        let _one = lock(&self.making);
        let step = Step::begin("building the stand-in for PVE");
        let path = self.workspace.stand_in()?;
        step.done();
        std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
    }

    /// The image of the guests, and how they are started.
    pub fn image(&self) -> Result<(Image, Pace)> {
        let _one = lock(&self.making);
        let image = Image::obtain(&self.workspace, self.release)?;
        let accelerator = match self.accelerator.get() {
            Some(known) => *known,
            None => {
                let found = Accelerator::detect(&self.workspace, &image)?;
                *self.accelerator.get_or_init(|| found)
            }
        };
        Ok((image, Pace { accelerator, jobs: self.jobs }))
    }

    /// `/etc` of a fresh node, if one was booted already.
    pub fn original(&self) -> Option<&Manifest> {
        self.original.get()
    }

    /// Remembers `/etc` of a fresh node.
    pub fn set_original(&self, manifest: Manifest) {
        // The first one counts: it was read before anything else happened.
        let _ = self.original.set(manifest);
    }

    /// The kept state; the first to ask makes it, and the others wait for that.
    pub fn kept(&self, state: State, make: impl FnOnce() -> Result<Kept>) -> Result<Kept> {
        let mut slot = lock(match state {
            State::Fresh => &self.fresh,
            State::Committed => &self.committed,
        });
        match &*slot {
            Some(Ok(kept)) => Ok(kept.clone()),
            Some(Err(why)) => Err(anyhow::anyhow!("{}: {why}", state.title())),
            None => {
                let made = make();
                *slot = Some(match &made {
                    Ok(kept) => Ok(kept.clone()),
                    Err(error) => Err(format!("{error:#}")),
                });
                made.context(state.title())
            }
        }
    }

    /// Where the disk of a kept state lies.
    pub fn overlay(&self, state: State) -> PathBuf {
        self.workspace.run_directory().join(format!("{}.qcow2", state.name()))
    }
}

impl State {
    /// For files, namespaces and directories.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Committed => "committed",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Fresh => "making a fresh node",
            Self::Committed => "making a node by its first boot",
        }
    }
}

/// A worker that died while it held a lock left nothing half-made behind it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
