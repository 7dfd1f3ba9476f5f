//! `ns-trace show`.

use clap::Args;

use super::{AskOf, SELECTOR};
use crate::model::Selector;

/// Show everything about one namespace or one process
///
/// Of a namespace: its type, ids and place among the others, who is in it, what holds it. Of a process:
/// all ten namespaces beside those of init, its user namespaces up to the first with their maps, and
/// the threads that are elsewhere.
#[derive(Args, Debug)]
#[command(after_help = SELECTOR)]
pub struct ShowArgs {
    /// Which namespace or process
    #[arg(value_name = "NS|PID")]
    pub selector: Selector,

    /// Print JSON
    #[arg(short = 'J', long)]
    pub json: bool,

    /// Ask the collector (live; ns-trace serve), look at /proc (scan), or ask if one answers
    #[arg(long, value_name = "SOURCE", default_value = "auto")]
    pub source: AskOf,
}
