//! `ns-trace tree`.

use clap::Args;

use super::{
    AskOf,
    list::{Output, Relation, kinds, parse_output},
};
use crate::model::Kind;

const AFTER_HELP: &str = "\
Examples:
  ns-trace tree                       every namespace below the user namespace that owns it
  ns-trace tree parent -t pid -t user the pid and user namespaces by level
  ns-trace tree process -J            by processes, as JSON

Exit status:
  0    success; also when the reader of the output went away
  1    failure
  2    wrong usage
  3    a privilege is missing
  4    the kernel lacks a feature that is needed";

/// Show how namespaces belong together
///
/// With namespaces that have no process, but own others or have children.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct TreeArgs {
    /// What a namespace lies below
    #[arg(value_name = "BY", default_value = "owner")]
    pub relation: Relation,

    /// Print JSON: what lies below a namespace is in its `children`
    #[arg(short = 'J', long)]
    pub json: bool,

    /// No headings
    #[arg(short = 'n', long)]
    pub noheadings: bool,

    /// These columns, separated by commas; +LIST adds to those that are shown anyway
    #[arg(short, long, value_name = "LIST", value_parser = parse_output)]
    pub output: Option<Output>,

    /// Only namespaces of this type (repeatable)
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = kinds())]
    pub kinds: Vec<Kind>,

    /// Cut nothing at the edge of the terminal
    #[arg(short = 'u', long)]
    pub notruncate: bool,

    /// Ask the collector (live; ns-trace serve), look at /proc (scan), or ask if one answers
    #[arg(long, value_name = "SOURCE", default_value = "auto")]
    pub source: AskOf,
}
