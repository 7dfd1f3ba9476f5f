//! `ns-trace why`.

use clap::Args;

use super::{AskOf, SELECTOR};
use crate::model::Selector;

/// Say what keeps a namespace alive, and what would free it
///
/// Lists the processes in it and everything else that holds it: threads that are elsewhere than their
/// process, what children will be put into, open files and sockets, files in messages and those
/// registered for asynchronous input and output, attached memory, mounts in every mount namespace,
/// namespaces below it and those that it owns.
#[derive(Args, Debug)]
#[command(after_help = SELECTOR)]
pub struct WhyArgs {
    /// Which namespace
    #[arg(value_name = "NS")]
    pub selector: Selector,

    /// Print JSON
    #[arg(short = 'J', long)]
    pub json: bool,

    /// Ask the collector (live; ns-trace serve), look at /proc (scan), or ask if one answers
    #[arg(long, value_name = "SOURCE", default_value = "auto")]
    pub source: AskOf,
}
