//! The firstlight binary: everything is in the library.

fn main() {}
