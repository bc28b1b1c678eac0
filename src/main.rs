//! The firstlight binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(firstlight::commands::run(std::env::args_os().skip(1).collect()))
}
