//! QEMU tests of firstlight.

fn main() {}
