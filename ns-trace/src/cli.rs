//! The command line: types only, no behaviour.

mod doctor;
mod trace;
mod value;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use self::{
    doctor::DoctorArgs,
    trace::{Format, TraceArgs},
    value::{Bytes, parse_bytes, parse_duration},
};

/// What the exit status says, for the end of every help text.
const EXIT_STATUS: &str = "\
Exit status:
  0    success; also when the reader of the output went away
  1    failure
  2    wrong usage
  3    a privilege is missing
  4    the kernel lacks a feature that is needed";

/// Linux namespaces, live.
#[derive(Debug, Parser)]
#[command(name = "ns-trace", version, about, after_help = EXIT_STATUS, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The rooms.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "clap would take them for the help, in place of the arguments' own"
)]
pub enum Command {
    Trace(Box<TraceArgs>),
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    ///
    /// Put what it prints where the shell looks, for example:
    ///
    /// ns-trace completions bash > /usr/share/bash-completion/completions/ns-trace
    #[command(after_help = EXIT_STATUS)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}
