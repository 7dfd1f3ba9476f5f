//! Room tests: one file per command, all in one program that is also the init of `cargo xtask vm`.
//!
//! A room of tests adds its trials in [`trials`]. What needs the kernel is registered once per
//! backend by [`context::Context::per_backend`].

mod actor;
mod context;
mod facts;
mod init;
mod trace;
mod tracer;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Trial};

use self::context::Context;

fn main() -> ExitCode {
    if init::is_init() {
        return init::run();
    }
    if actor::is_actor() {
        return actor::run();
    }
    let arguments = Arguments::from_args();
    let context = Arc::new(Context::find(&arguments));
    let conclusion = libtest_mimic::run(&arguments, trials(&context));
    context.end();
    conclusion.exit_code()
}

/// Every trial of every room.
fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    trials.extend(trace::create::trials(context));
    trials.extend(trace::cleanup::trials(context));
    trials.extend(trace::filter::trials(context));
    trials.extend(trace::output::trials(context));
    trials.extend(trace::privilege::trials(context));
    trials.extend(trace::replay::trials(context));
    trials.extend(trace::scope::trials(context));
    trials.extend(trace::snapshot::trials(context));
    trials.extend(trace::usage::trials(context));
    trials
}
