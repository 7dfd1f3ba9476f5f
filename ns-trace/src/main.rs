//! The command `ns-trace`.

use std::process::ExitCode;

use clap::Parser as _;
use ns_trace::{cli::Cli, cmd};

fn main() -> ExitCode {
    cmd::run(&Cli::parse())
}
