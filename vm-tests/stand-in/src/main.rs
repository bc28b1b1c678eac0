//! The multi-call program: `pvesh`, `pveum` and the others are links to it.

use std::process::ExitCode;

use stand_in::calls;
use stand_in::context::Context;

fn main() -> ExitCode {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let called = words.next().unwrap_or_default();
    let mut program = called.rsplit('/').next().unwrap_or_default().to_owned();
    let mut arguments: Vec<String> = words.collect();
    // `stand-in pvesh get /version` works as well, for a look without links.
    if program == "stand-in" && !arguments.is_empty() {
        program = arguments.remove(0);
    }
    let context = Context::of_the_process();
    context.wait_if_slow();
    calls::count(&context, &program, &arguments);
    let status = stand_in::run(&program, &arguments, &context);
    calls::hold(&context, &program, &arguments);
    ExitCode::from(status)
}
