//! `ns-trace serve`.

use std::path::PathBuf;

use clap::Args;

const AFTER_HELP: &str = "\
Without a configuration it traces, keeps the table and the latest events, and answers: list, tree,
show, why and trace at control.sock, which asks no privileges of them, and programs by HTTP at
http.sock. What happened it remembers for ns-trace history. doc/config.md describes every key.

Signals:
  SIGTERM, SIGINT  end in good order: what has happened so far reaches the sinks
  SIGHUP           read the configuration again; what is wrong with it is said, and nothing changes

Files:
  /etc/ns-trace/config.toml  the configuration
  /etc/ns-trace/config.d     files *.toml read after it, by name; what they say counts, sinks add up
  /var/lib/ns-trace/history.db  what happened; for others than root in $XDG_STATE_HOME/ns-trace
  /sys/fs/bpf/ns-trace       probes that go on during a restart; see `pin` in doc/config.md
  /run/ns-trace              its lock, its sockets, and what the next one must know of those; for others than root $XDG_RUNTIME_DIR/ns-trace

Exit status:
  0    told to end
  1    failure; another collector runs already
  2    wrong usage, or a wrong configuration
  3    a privilege is missing
  4    the kernel lacks a feature that is needed";

/// Run the collector: trace, keep the table, and answer from it
///
/// Runs in the foreground, as a service manager wants it (Type=notify).
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub struct ServeArgs {
    /// Read FILE instead of /etc/ns-trace/config.toml and config.d
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Check the configuration, say all that is wrong with it, and end
    #[arg(long)]
    pub check: bool,

    /// Print the configuration, defaults included, and end
    #[arg(long, conflicts_with = "check")]
    pub print_config: bool,

    /// Leave the probes in the kernel at the end, for the next collector to tell what happened
    /// meanwhile (pin = "always")
    #[arg(long, conflicts_with_all = ["check", "print_config"])]
    pub pin: bool,

    /// Remove probes that were left in the kernel, and what is kept about them, and end
    #[arg(long, conflicts_with_all = ["check", "print_config", "pin"])]
    pub unpin: bool,

    /// Where lock and sockets are made; of two collectors one needs another
    #[arg(long, value_name = "DIRECTORY")]
    pub runtime_dir: Option<PathBuf>,
}
