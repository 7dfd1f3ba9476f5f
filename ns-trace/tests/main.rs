//! Room tests: one file per command, all in one program that is also the init of `cargo xtask vm`.
//!
//! A room of tests adds its trials in [`trials`]. What needs the kernel is registered once per
//! backend by [`context::Context::per_backend`].

mod actor;
mod churn;
mod compare;
mod completions;
mod context;
mod create;
mod doctor;
mod enter;
mod exec;
mod facts;
mod hidden;
mod history;
mod init;
mod leftovers;
mod list;
mod netns;
mod portrait;
mod rules;
mod scene;
mod serve;
mod show;
mod soak;
mod stage;
mod top;
mod trace;
mod tracer;
mod tree;
mod why;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Trial};

use self::context::Context;

#[expect(clippy::print_stderr, reason = "the last word, when the tests are over")]
fn main() -> ExitCode {
    if init::is_init() {
        return init::run();
    }
    if actor::is_actor() {
        return actor::run();
    }
    let words: Vec<_> = std::env::args().skip(1).collect();
    if let Some(code) = soak::life::worker(&words) {
        return code;
    }
    // Under nohup(1) and in the background they are ignored, and a shell cannot trap what it was
    // started to ignore.
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT].into_iter().for_each(actor::syscall::heed);
    let arguments = Arguments::from_args();
    let context = Arc::new(Context::find(&arguments));
    let conclusion = libtest_mimic::run(&arguments, trials(&context));
    if let Err(error) = context.end().and_then(|()| leftovers::expect_none()) {
        eprintln!("left behind: {error:#}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Every trial of every room.
fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    trials.extend(completions::trials(context));
    trials.extend(create::trials(context));
    trials.extend(doctor::trials(context));
    trials.extend(enter::trials(context));
    trials.extend(exec::trials(context));
    trials.extend(hidden::trials(context));
    trials.extend(history::trials(context));
    trials.extend(list::trials(context));
    trials.extend(netns::trials(context));
    trials.extend(rules::trials(context));
    trials.extend(serve::trials(context));
    trials.extend(show::trials(context));
    trials.extend(soak::trials(context));
    trials.extend(tree::trials(context));
    trials.extend(top::trials(context));
    trials.extend(trace::container::trials(context));
    trials.extend(trace::create::trials(context));
    trials.extend(trace::destroy::trials(context));
    trials.extend(trace::enter::trials(context));
    trials.extend(trace::fail::trials(context));
    trials.extend(trace::quiet::trials(context));
    trials.extend(trace::storm::trials(context));
    trials.extend(trace::flood::trials(context));
    trials.extend(trace::tasks::trials(context));
    trials.extend(trace::cleanup::trials(context));
    trials.extend(trace::filter::trials(context));
    trials.extend(trace::map::trials(context));
    trials.extend(trace::output::trials(context));
    trials.extend(trace::privilege::trials(context));
    trials.extend(trace::replay::trials(context));
    trials.extend(trace::scope::trials(context));
    trials.extend(trace::snapshot::trials(context));
    trials.extend(trace::usage::trials(context));
    trials.extend(why::trials(context));
    trials
}
