//! `ns-trace trace`.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser as _},
};

use super::{AskOf, Bytes, Color, parse_bytes, parse_duration};
use crate::{
    model::{Fields, Kind, event::EventKind},
    probe::Backend,
};

const AFTER_HELP: &str = "\
The first event is `sync` with the reason `start`: every probe is attached, and what happens from
then on is seen. `sync` and `lost` pass every filter.

Examples:
  ns-trace trace                                  everything, readable
  ns-trace trace -o json | jq .                   everything, one JSON object a line
  ns-trace trace -t net -e create,destroy         births and deaths of network namespaces
  ns-trace trace -- unshare -Urn true             what a command does
  ns-trace trace --where 'process.uid != 0'       what others than root do
  ns-trace trace --rules -e alert                 alerts alone; see ns-trace rules

Exit status:
  0    success; also when the reader of the output went away
  1    failure
  2    wrong usage
  3    a privilege is missing
  4    the kernel lacks a feature that is needed
With a command its own status is returned (128 + n if signal n ended it, 126 if it cannot be run,
127 if it is not found), 124 when --timeout is over, and 125 for failures of ns-trace itself.
With --exit-code it is 10 if a rule matched, with a command too: whether -e asks for alerts or not,
but not where --where or -t leaves the alert out.";

/// Stream namespace events as they happen
///
/// Shows which task creates, enters and fails to enter which namespaces by clone, clone3, unshare
/// and setns, and when the kernel frees them.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct TraceArgs {
    /// Only events about these types of namespace (repeatable, or separated by commas)
    #[arg(short = 't', long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = kinds())]
    pub kinds: Vec<Kind>,

    /// Only these events (repeatable, or separated by commas)
    #[arg(short, long = "event", value_name = "EVENT", value_delimiter = ',', value_parser = events())]
    pub events: Vec<EventKind>,

    /// Only events of this process, all its threads included (repeatable)
    #[arg(short, long = "pid", value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pids: Vec<u32>,

    /// With --pid: of its descendants too
    #[arg(long, requires = "pids")]
    pub follow: bool,

    /// Only events for which this CEL expression over their JSON fields is true
    #[arg(long = "where", value_name = "EXPR")]
    pub filter: Option<String>,

    /// Raise alerts by the rules in PATH, files or directories; without PATH by
    /// those that come with ns-trace (`shipped`) and those in /etc/ns-trace/rules.d
    #[arg(long, value_name = "PATH", num_args = 0..)]
    pub rules: Option<Vec<PathBuf>>,

    /// Return 10 if a rule matched, also where -e leaves its alert out
    #[arg(long, requires = "rules")]
    pub exit_code: bool,

    /// Also fork, exec and exit of tasks
    #[arg(long)]
    pub tasks: bool,

    /// No failed calls
    #[arg(long)]
    pub no_fail: bool,

    /// First the namespaces that exist
    #[arg(long, conflicts_with = "replay")]
    pub snapshot: bool,

    /// How to print events
    #[arg(short = 'o', long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,

    /// How much of each event to print as JSON
    #[arg(long, value_name = "FIELDS", default_value = "full", value_parser = fields())]
    pub fields: Fields,

    /// Read events from a recorded stream of JSON lines (- for standard input) instead of the kernel
    #[arg(long, value_name = "FILE", conflicts_with_all = ["probe", "buffer", "backlog", "btf", "command"])]
    pub replay: Option<PathBuf>,

    /// Write to FILE instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// End after N events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// End after DURATION: 10 (seconds), 1m30s, 500ms; a command is told to end too (SIGTERM)
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub timeout: Option<Duration>,

    /// How to get into the kernel; see ns-trace doctor
    #[arg(long, value_name = "BACKEND", default_value = "auto", value_parser = backends())]
    pub probe: Choice,

    /// Size of the ring between kernel and tracer, a power of two
    #[arg(long, value_name = "SIZE", default_value_t = Bytes(16 << 20), value_parser = parse_ring)]
    pub buffer: Bytes,

    /// How many bytes of records may wait to be written before events are lost
    #[arg(long, value_name = "SIZE", default_value_t = Bytes(512 << 20), value_parser = parse_bytes)]
    pub backlog: Bytes,

    /// Read the kernel's types from FILE instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,

    /// Ask the collector (live; ns-trace serve), trace with own probes (scan), or ask if one answers
    /// that traces what is wanted
    #[arg(long, value_name = "SOURCE", default_value = "auto")]
    pub source: AskOf,

    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: Color,

    /// Run this command when every probe is attached; trace only it and what it starts, until all
    /// of that has ended
    #[arg(last = true, value_name = "COMMAND", num_args = 1.., conflicts_with_all = ["pids", "follow"])]
    pub command: Vec<OsString>,
}

/// How events are printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// One line for people
    Text,
    /// One JSON object a line
    Json,
}

/// The backend asked for; `None` inside is automatic. (A plain `Option` would mean that the option
/// may be left out.)
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Choice(pub Option<Backend>);

/// The smallest ring: one page, as the kernel wants it.
const SMALLEST_RING: u64 = 4096;
/// The largest: the kernel refuses more.
const LARGEST_RING: u64 = 1 << 30;

fn parse_ring(text: &str) -> Result<Bytes, String> {
    let Bytes(bytes) = parse_bytes(text)?;
    if !(SMALLEST_RING..=LARGEST_RING).contains(&bytes) {
        let (least, most) = (Bytes(SMALLEST_RING), Bytes(LARGEST_RING));
        return Err(format!("must be between {least} and {most}"));
    }
    if !bytes.is_power_of_two() {
        let above = bytes.next_power_of_two();
        let (below, above) = (Bytes(above / 2), Bytes(above));
        return Err(format!("not a power of two; try {below} or {above}"));
    }
    Ok(Bytes(bytes))
}

pub(super) fn kinds() -> impl clap::builder::TypedValueParser<Value = Kind> {
    named(Kind::ALL.map(Kind::name), |name| Kind::ALL.into_iter().find(|kind| kind.name() == name))
}

pub(super) fn events() -> impl clap::builder::TypedValueParser<Value = EventKind> {
    named(EventKind::ALL.map(EventKind::name), |name| {
        EventKind::ALL.into_iter().find(|kind| kind.name() == name)
    })
}

fn fields() -> impl clap::builder::TypedValueParser<Value = Fields> {
    named(["full", "compact"], |name| {
        Some(if name == "compact" { Fields::Compact } else { Fields::Full })
    })
}

pub(super) fn backends() -> impl clap::builder::TypedValueParser<Value = Choice> {
    named(["auto", "fentry", "kprobe", "tracepoint"], |name| {
        Some(Choice(Backend::ALL.into_iter().find(|backend| backend.name() == name)))
    })
}

/// A parser for one of `names`.
fn named<T: Clone + Send + Sync + 'static, const N: usize>(
    names: [&'static str; N],
    find: impl Fn(&str) -> Option<T> + Clone + Send + Sync + 'static,
) -> impl clap::builder::TypedValueParser<Value = T> {
    PossibleValuesParser::new(names)
        .try_map(move |name| find(&name).ok_or_else(|| format!("unknown name `{name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_powers_of_two_within_bounds() {
        assert_eq!(parse_ring("4K"), Ok(Bytes(4096)));
        assert_eq!(parse_ring("5000"), Err("not a power of two; try 4KiB or 8KiB".to_owned()));
        assert!(parse_ring("2048").is_err());
        assert!(parse_ring("2G").is_err());
        assert_eq!(parse_ring("0"), Err("must be between 4KiB and 1GiB".to_owned()));
        assert!(parse_ring(&u64::MAX.to_string()).is_err());
    }
}
