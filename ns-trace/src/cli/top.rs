//! `ns-trace top`.

use std::time::Duration;

use clap::Args;

use super::{
    Color, parse_duration,
    trace::{Choice, backends, kinds},
};
use crate::model::Kind;

const AFTER_HELP: &str = "\
Press ? for the keys: they are those of htop and less. With --where a namespace is judged as the
event `exist` about it, whose fields are `ns` and `members`, and every event by its own fields.

Without the privileges to trace, /proc is looked at instead, and the first line says so: no births,
no deaths, no events, and only namespaces of processes that may be read.

Examples:
  ns-trace top                             all namespaces, as they come and go
  ns-trace top -t net --dead 1m            network namespaces, the dead of the last minute too
  ns-trace top --where '!ns.initial'       but those that the system booted with

Exit status:
  0    success
  1    failure
  2    wrong usage; also a terminal that cannot be drawn on";

/// Watch namespaces on a live screen
///
/// A table of all namespaces that changes as they come and go: with who is in them, who made them
/// and, for the chosen one, everything that holds it; and the events as they happen.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct TopArgs {
    /// Show this type of namespace first
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = kinds())]
    pub kind: Option<Kind>,

    /// Only namespaces and events for which this CEL expression over their JSON fields is true
    #[arg(long = "where", value_name = "EXPR")]
    pub filter: Option<String>,

    /// How long to keep showing namespaces that are gone
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub dead: Duration,

    /// How long to wait before the table is drawn again
    #[arg(short = 'd', long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    pub delay: Duration,

    /// Look at /proc instead of tracing, which needs no privileges
    #[arg(long, conflicts_with = "probe")]
    pub snapshots: bool,

    /// How to get into the kernel; see ns-trace doctor
    #[arg(long, value_name = "BACKEND", default_value = "auto", value_parser = backends())]
    pub probe: Choice,

    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}
