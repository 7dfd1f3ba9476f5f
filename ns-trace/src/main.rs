//! The command `ns-trace`.

use std::process::ExitCode;

use clap::Parser as _;
use ns_trace::{cli::Cli, cmd};

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => cmd::run(&cli),
        Err(error) => cmd::refuse(&error),
    }
}
