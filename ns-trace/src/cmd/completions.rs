//! `ns-trace completions`: scripts for shells.

pub(super) mod live;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::{cli::Cli, report::Failure};

/// The program, and what `clap_complete` calls it in the names of bash functions.
const NAME: &str = "ns-trace";
const IN_BASH: &str = "ns__trace";
/// What it calls it where it takes the hyphen for the mark before a subcommand (clap-rs/clap#6421,
/// open as of 4.6.11): without a
/// correction bash would complete the names of commands, but none of their options.
const IN_BASH_BY_MISTAKE: &str = "ns__subcmd__trace";

/// Prints the script.
pub(super) fn run(shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), NAME, &mut script);
    let script = String::from_utf8_lossy(&script).replace(IN_BASH_BY_MISTAKE, IN_BASH);
    let script = live::extend(shell, &script);
    match io::stdout().write_all(script.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write the script: {error}")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
