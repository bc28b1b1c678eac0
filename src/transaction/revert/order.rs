//! What has to wait on a way back: an older step for the newer ones that it shares a place with.

use crate::change::kernel_path;
use crate::manifest::Scope;
use crate::transaction::record::Inverse;
use crate::transaction::story::Made;

/// Steps that are not taken back yet, or could not be.
#[derive(Default)]
pub(super) struct Ahead<'a> {
    scopes: Vec<&'a Scope>,
    /// Kernel settings: their values before the newer step are those of the older one.
    settings: Vec<&'a str>,
    /// Whether the switch of PVE's firewall is among them.
    pub(super) pve: bool,
}

impl<'a> Ahead<'a> {
    pub(super) fn add(&mut self, made: &'a Made) {
        self.scopes.extend(&made.scopes);
        self.pve |= matches!(made.inverse, Inverse::PveFirewall(_));
        self.settings.extend(made.inverse.settings().iter().map(|(name, _)| name.as_str()));
    }

    /// Whether the step and one of these may have touched the same.
    pub(super) fn shares(&self, made: &Made) -> bool {
        let set = |name: &str| self.settings.iter().any(|other| kernel_path(other) == kernel_path(name));
        made.scopes.iter().any(|scope| self.scopes.iter().any(|other| scope.overlaps(other)))
            || made.inverse.settings().iter().any(|(name, _)| set(name))
    }
}
