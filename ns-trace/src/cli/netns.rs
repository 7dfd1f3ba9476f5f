//! `ns-trace netns`.

mod words;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Subcommand};

pub use self::words::canonical;
use super::trace::kinds;
use crate::model::{Kind, Selector};

const AFTER_HELP: &str = "\
Commands and options may be shortened, and options written with one dash, as ip(8) has them:
`ns-trace netns -j l`, `ns-trace netns -all del`.

Files:
  /run/netns/NAME                  a network namespace that has a name; shared with ip-netns(8)
  /run/ns-trace/names/TYPE/NAME    one of another type that has a name (pin)
  /etc/netns/NAME/                 what exec shows a program in place of the files in /etc

Examples:
  ns-trace netns add blue                       a new network namespace with a name
  ns-trace netns exec blue ip address           run a program in it
  ns-trace netns -all exec ip -br link          run a program in each
  ns-trace netns identify 1234                  the names of the one that process 1234 is in
  ns-trace netns -j monitor                     names that come and go, one JSON object a line
  ns-trace netns pin pid:1234:uts blue          keep the uts namespace of process 1234 by a name
  ns-trace enter name:blue -- hostname          and enter it when no process is in it any more

Exit status:
  0    success; also when the reader of the output went away
  1    failure; a word is missing
  2    the kernel refuses a number (set, list-id nsid)
  3    a privilege is missing
  255  other wrong usage, a name that cannot be one, and failures of exec itself
With exec it is the program's own: 128 + n if signal n ended it, 126 if it cannot be run, 127 if it
is not found; with -all that of the first that failed.";

/// Name network namespaces, and run programs in them
///
/// Does what `ip netns` does, with the same words, output and files, so that both may be used side
/// by side. A name is a file on which the namespace is mounted: it keeps the namespace alive
/// without a process in it. Without a command it lists the names.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct NetnsArgs {
    /// How, and where.
    #[command(flatten)]
    pub options: NetnsOptions,

    /// What to do.
    #[command(subcommand)]
    pub command: Option<NetnsCommand>,
}

/// What may stand in front of each command.
#[derive(Args, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct NetnsOptions {
    /// Print JSON
    #[arg(short, long)]
    pub json: bool,

    /// With --json: on several lines, indented
    #[arg(short, long)]
    pub pretty: bool,

    /// delete, exec: all names
    #[arg(short, long)]
    pub all: bool,

    /// Do everything in the network namespace NAME
    #[arg(short, long, value_name = "NAME")]
    pub netns: Option<OsString>,

    /// Read commands from FILE, one a line (- for standard input), and end with the first that fails
    #[arg(short, long, value_name = "FILE")]
    pub batch: Option<PathBuf>,

    /// With --batch: go on when a command fails
    #[arg(long)]
    pub force: bool,

    /// monitor: print the time in front of each line
    #[arg(short, long, visible_alias = "tshort", visible_alias = "ts")]
    pub timestamp: bool,
}

/// The commands, in the order in which shortened ones are looked for.
#[derive(Debug, Subcommand)]
pub enum NetnsCommand {
    /// List the names
    ///
    /// The number is the one by which the current network namespace knows it (see set).
    #[command(visible_alias = "show", alias = "lst")]
    List {
        /// Names of this type; without, of network namespaces
        #[arg(long = "type", value_name = "TYPE", value_parser = kinds())]
        kind: Option<Kind>,
    },

    /// List the numbers by which the current network namespace knows others
    ///
    /// target-nsid N lists those of the namespace with the number N; nsid N shows only that one.
    #[command(override_usage = "ns-trace netns list-id [target-nsid N] [nsid N]")]
    ListId {
        /// target-nsid N, nsid N
        #[arg(value_name = "WORD")]
        words: Vec<String>,
    },

    /// Make a new network namespace and give it a name
    Add {
        /// The name
        name: OsString,
    },

    /// Give a number to a network namespace: the current one knows it by that from then on
    Set {
        /// Its name, the path of a file of it, or the number of a process in it
        name: OsString,
        /// The number, or auto for any
        #[arg(value_name = "NETNSID", allow_negative_numbers = true)]
        id: String,
    },

    /// Take a name away; the namespace ends with what else holds it
    #[command(alias = "del")]
    Delete {
        /// The name; none with --all
        name: Option<OsString>,
    },

    /// Print all names of the network namespace of a process
    Identify {
        /// The number of the process; without, the namespace of this one
        pid: Option<String>,
    },

    /// Print the numbers of the processes in a network namespace
    ///
    /// Also of those of which only a thread is in it.
    Pids {
        /// The name
        name: OsString,
    },

    /// Run a program in a network namespace
    ///
    /// The program sees a /sys of that network namespace, with all that is mounted below it
    /// (cgroups, bpf, tracing), and the files of /etc/netns/NAME in place of those in /etc.
    #[command(override_usage = "ns-trace netns exec NAME COMMAND [ARG]...\n       \
                                ns-trace netns --all exec COMMAND [ARG]...")]
    Exec {
        /// The name (none with --all), the program and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0.., value_name = "WORD")]
        words: Vec<OsString>,
    },

    /// Print names as they come and go
    Monitor,

    /// Give a name to the network namespace of a process
    Attach {
        /// The name
        name: OsString,
        /// The number of the process
        pid: String,
    },
    /// Give a name to a namespace of any type
    ///
    /// The name keeps the namespace alive without a process in it, and is a selector: name:NAME. A
    /// mount namespace can be named only from one that is older.
    Pin {
        /// Which: 4026532281, uts:4026532281, id:59609417, pid:1234:uts, name:blue, /path/to/file;
        /// with --type also pid:1234 and container:3f2a
        selector: Selector,
        /// The name
        name: OsString,
        /// The type that is meant, if there are several
        #[arg(long = "type", value_name = "TYPE", value_parser = kinds())]
        kind: Option<Kind>,
    },

    /// Take a name away from a namespace of any type
    Unpin {
        /// The name
        name: OsString,
        /// The type that is meant, if the name is that of several
        #[arg(long = "type", value_name = "TYPE", value_parser = kinds())]
        kind: Option<Kind>,
    },
}
