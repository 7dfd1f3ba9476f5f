//! The rooms: one file per command, and how their failures are told.

mod completions;
mod doctor;
mod netns;
mod show;
mod trace;
mod why;

use std::{env, process::ExitCode};

use crate::{
    cli::{Called, Cli, Command},
    report,
};

/// Runs a command and says what became of it.
#[must_use]
pub fn run(cli: &Cli) -> ExitCode {
    let (result, own_failure) = match &cli.command {
        Command::Trace(args) => {
            // With a command its own statuses are its own: ours must be told apart from them.
            let own = (!args.command.is_empty()).then_some(report::OWN_FAILURE);
            (trace::run(args), own)
        }
        Command::Show(args) => (show::run(args), None),
        Command::Why(args) => (why::run(args), None),
        Command::Doctor(args) => (doctor::run(args), None),
        Command::Netns(args) => return netns::run(args),
        Command::Completions { shell } => (completions::run(*shell), None),
    };
    match result {
        Ok(code) => code,
        Err(error) => report::failure(&error, own_failure),
    }
}

/// Says what is wrong with the command line, or shows the help that it asks for.
#[must_use]
pub fn refuse(called: &Called, error: &clap::Error) -> ExitCode {
    // Without a reader there is nobody to tell.
    drop(error.print());
    let mut words = env::args_os().skip(1);
    let has_command =
        words.next().is_some_and(|first| first == "trace") && words.any(|word| word == "--");
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if has_command && words.next().is_some() => ExitCode::from(report::OWN_FAILURE),
        _ => ExitCode::from(called.usage_status()),
    }
}
