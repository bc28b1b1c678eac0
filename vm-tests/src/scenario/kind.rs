//! What a scenario is, and how it begins.

use anyhow::Result;

use crate::bench::Bench;
use crate::kit::State;

/// One test in a virtual machine.
pub struct Scenario {
    /// What a filter on the command line matches.
    pub name: &'static str,
    /// What it proves, with the ids of the requirements.
    pub proves: &'static str,
    /// Too long for the ordinary test run.
    pub long: bool,
    /// A variable of the environment that names what only an operator has; without it the scenario cannot run.
    pub needs: Option<&'static str>,
    /// Nothing of it depends on the guest.
    pub once: bool,
    /// The kept state it begins with; whoever is the first to need one makes it. None for a node of its own.
    pub state: Option<State>,
    /// The test.
    pub run: fn(&mut Bench) -> Result<()>,
}

/// A scenario of the ordinary test run.
pub const fn short(name: &'static str, proves: &'static str, run: fn(&mut Bench) -> Result<()>) -> Scenario {
    Scenario { name, proves, long: false, needs: None, once: false, state: Some(State::Fresh), run }
}

/// A scenario of `test --full`.
pub const fn long(name: &'static str, proves: &'static str, run: fn(&mut Bench) -> Result<()>) -> Scenario {
    Scenario { name, proves, long: true, needs: None, once: false, state: Some(State::Fresh), run }
}

impl Scenario {
    /// It begins with a node directly after a first boot.
    pub const fn committed(mut self) -> Self {
        self.state = Some(State::Committed);
        self
    }

    /// It needs what this variable names.
    pub const fn needs(mut self, variable: &'static str) -> Self {
        self.needs = Some(variable);
        self
    }

    /// No guest makes a difference to it.
    pub const fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Whether it can run here.
    pub fn possible(&self) -> bool {
        self.needs.is_none_or(|variable| std::env::var_os(variable).is_some())
    }

    /// It boots a node of its own.
    pub const fn own(mut self) -> Self {
        self.state = None;
        self
    }
}
