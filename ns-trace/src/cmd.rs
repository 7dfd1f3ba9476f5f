//! The rooms: one file per command, and how their failures are told.

mod completions;
mod doctor;
mod trace;

use std::process::ExitCode;

use crate::{
    cli::{Cli, Command},
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
        Command::Doctor(args) => (doctor::run(args), None),
        Command::Completions { shell } => (completions::run(*shell), None),
    };
    match result {
        Ok(code) => code,
        Err(error) => report::failure(&error, own_failure),
    }
}
