//! The real node: the only file that touches the file system, processes and the clock.

/// The real node, or a directory that stands for one.
pub struct Machine;
