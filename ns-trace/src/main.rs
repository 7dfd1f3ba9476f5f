//! The command `ns-trace`.

use std::process::ExitCode;

use ns_trace::{cli::Cli, cmd};

fn main() -> ExitCode {
    match Cli::read() {
        Ok(cli) => cmd::run(&cli),
        Err(error) => cmd::refuse(&error),
    }
}
