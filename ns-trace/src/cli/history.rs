//! `ns-trace history`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{AskOf, Color, Format, trace};
use crate::{
    history::parse_moment,
    model::{Kind, Selector, Time, event::EventKind},
};

const AFTER_HELP: &str = "\
Without a command the events are printed that the collector (ns-trace serve) has stored: all, or
those of the selected namespaces or process.

SELECTOR is 4026532281, net:4026532281, id:59609417, pid:1234 (a process), pid:1234:net (the
namespace that it was last seen in), container:3f2a, name:blue or a path (of one that exists now).
The file of the history is read as far as this user may read it, with or without a collector; else
the collector is asked, which shows its group the events of their own processes and the namespaces
that those have made or were in (control.members in its configuration).

An inode may have belonged to several namespaces, one after the other: all of them are meant.

TIME is 2026-11-23T10:00:00Z (RFC 3339), 2026-11-23 10:00[:00] or 2026-11-23 (local time), 10:00[:00]
(today), 2h ago, 1d 12h ago (a day has 24 hours), or now.

Examples:
  ns-trace history --since '2h ago'               what happened of late
  ns-trace history net:4026532281                 all about one namespace
  ns-trace history --user alice -e create -o json what alice made, as JSON
  ns-trace history list --at 10:00                what was there at ten
  ns-trace history diff 10:00 now                 what has come and gone since
  ns-trace history who net:4026532281             who made it, and who entered it
  ns-trace history export > events.json           a recording for trace --replay

Exit status:
  0    success; also when the reader of the output went away
  1    failure: there is no history, or nothing in it has that name
  2    wrong usage
  3    the history may not be read, and no collector may be asked";

/// Ask what happened: events, and the namespaces of any time
///
/// The collector remembers every event and the life of every namespace.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP, subcommand_negates_reqs = true)]
pub struct HistoryArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<HistoryCommand>,

    /// Which events.
    #[command(flatten)]
    pub choice: HistoryChoice,

    /// Print only how many events there are
    #[arg(long)]
    pub count: bool,

    /// How to print events
    #[arg(short = 'o', long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,

    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: Color,

    /// Show the namespaces that were there at TIME, as list does
    #[arg(long, value_name = "TIME", value_parser = parse_moment, global = true, allow_hyphen_values = true)]
    pub at: Option<Time>,

    /// Ask the collector (live; ns-trace serve), read its file (scan), or ask if that may not be read
    #[arg(long, value_name = "SOURCE", default_value = "auto", global = true)]
    pub source: AskOf,

    /// Where the history is [default: that of the collector]
    #[arg(long, value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
}

/// Which events are meant.
#[derive(Args, Debug, Default)]
pub struct HistoryChoice {
    /// Only what these namespaces or this process have to do with
    #[arg(value_name = "SELECTOR")]
    pub selector: Option<Selector>,

    /// Not before TIME
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub since: Option<Time>,

    /// Before TIME
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub until: Option<Time>,

    /// Only events of this process, all its threads included (repeatable)
    #[arg(short, long = "pid", value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pids: Vec<u32>,

    /// Only events of processes of this user, by name or number
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,

    /// Only events of processes in the container whose id begins so
    #[arg(long, value_name = "ID")]
    pub container: Option<String>,

    /// Only events about these types of namespace (repeatable, or separated by commas)
    #[arg(short = 't', long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = trace::kinds())]
    pub kinds: Vec<Kind>,

    /// Only these events (repeatable, or separated by commas)
    #[arg(short, long = "event", value_name = "EVENT", value_delimiter = ',', value_parser = trace::events())]
    pub events: Vec<EventKind>,

    /// Only events for which this CEL expression over their JSON fields is true
    #[arg(long = "where", value_name = "EXPR")]
    pub filter: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum HistoryCommand {
    /// List the namespaces that were there at a time (--at), or when the last event was stored
    List {
        /// Only these types (repeatable, or separated by commas)
        #[arg(short = 't', long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = trace::kinds())]
        kinds: Vec<Kind>,

        /// Print JSON
        #[arg(short = 'J', long)]
        json: bool,
    },

    /// Show what changed from one time to another: namespaces that came (+) and went (-)
    Diff {
        /// The first time
        #[arg(value_name = "TIME", value_parser = parse_moment)]
        from: Time,

        /// The second time
        #[arg(value_name = "TIME", value_parser = parse_moment)]
        to: Time,

        /// Only these types (repeatable, or separated by commas)
        #[arg(short = 't', long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = trace::kinds())]
        kinds: Vec<Kind>,

        /// Print JSON
        #[arg(short = 'J', long)]
        json: bool,
    },

    /// Say who made a namespace, and who entered it
    Who {
        /// Which namespace
        #[arg(value_name = "NS")]
        selector: Selector,

        /// Print JSON
        #[arg(short = 'J', long)]
        json: bool,
    },

    /// Print events as JSON lines, for trace --replay and other programs
    Export {
        /// Which events.
        #[command(flatten)]
        choice: Box<HistoryChoice>,
    },
}
