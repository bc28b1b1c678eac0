//! Defects that the tests must notice: builds with the feature `sabotage` leave out what `FIRSTLIGHT_SABOTAGE` names.
//! Every other build leaves out nothing, and pays nothing for it.

/// Builds that the exploration of crashes must refuse: one fsync less, one fsync of a directory less, one intent less.
pub const DEFECTS: [&str; 3] = ["journal-fsync", "store-directory-fsync", "account-intent"];

/// Whether this is left out.
pub fn leaves_out(defect: &str) -> bool {
    debug_assert!(DEFECTS.contains(&defect));
    cfg!(feature = "sabotage") && std::env::var_os("FIRSTLIGHT_SABOTAGE").is_some_and(|name| name == defect)
}
