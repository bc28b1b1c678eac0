//! The areas, one subject each: from Profile and Facts to what is wanted. They never write, run or print.

use crate::control::{Proposal, Refusal};
use crate::facts::Facts;
use crate::profile::Profile;

/// One subject of the hardening.
pub trait Area {
    /// The name of its table in the answer: `ssh`.
    fn name(&self) -> &'static str;
    /// Whether the answer wants it.
    fn enabled(&self, profile: &Profile) -> bool;
    /// What shall be true on this node; pure. All refusals at once.
    fn propose(&self, profile: &Profile, facts: &Facts) -> Result<Proposal, Vec<Refusal>>;
}
