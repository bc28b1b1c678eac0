//! The firstlight binary: everything is in the library.

use std::alloc::System;
use std::process::ExitCode;
use zeroizing_alloc::ZeroAlloc;

/// Memory is wiped when it is given back, so that no secret stays behind in this process, whatever copied it.
#[global_allocator]
static MEMORY: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    ExitCode::from(firstlight::commands::run(std::env::args_os().skip(1).collect()))
}
