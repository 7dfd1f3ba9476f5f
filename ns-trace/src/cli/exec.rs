//! `ns-trace exec`: the options of nsexec(1).

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use super::number::parse_flags;

const AFTER_HELP: &str = "\
The program is looked up in PATH, runs as a child, and its status is returned.

Examples:
  ns-trace exec -cmp sh                    a shell in new mount and pid namespaces
  ns-trace exec -cU -W -P /run/x.pid id    wait, so that the maps can be written from outside
  ns-trace exec -f 4000000 hostname        flags by number: a new uts namespace

Exit status:
  0-255  the program's own
  128+n  signal n ended the program; to whoever waits, this process is ended by it
  126    the program cannot be executed
  127    the program is not found
  1      any other failure";

/// Run a program as a child in new namespaces, by clone or unshare
///
/// Takes the options of nsexec(1), and is nsexec when called by that name. Without a program it
/// runs /bin/sh.
#[derive(Args, Debug)]
#[command(version, after_help = AFTER_HELP, args_override_self = true)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct ExecArgs {
    /// Make the child in its namespaces by clone(2), not by unshare(2) afterwards
    #[arg(short)]
    pub clone: bool,

    /// New mount namespace
    #[arg(short)]
    pub mount: bool,

    /// New network namespace
    #[arg(short)]
    pub net: bool,

    /// New uts namespace
    #[arg(short)]
    pub uts: bool,

    /// New user namespace
    #[arg(short = 'U')]
    pub user: bool,

    /// New ipc namespace
    #[arg(short)]
    pub ipc: bool,

    /// New pid and mount namespaces; without -c only children of the program are in the former
    #[arg(short)]
    pub pid: bool,

    /// Write the number of the program's process to FILE
    #[arg(short = 'P', value_name = "FILE")]
    pub pid_file: Option<PathBuf>,

    /// More flags of clone(2), in hexadecimal
    #[arg(short, value_name = "HEX", value_parser = parse_flags)]
    pub flags: Option<u64>,

    /// Return the program's status, which is done anyway
    #[arg(short = 'e')]
    pub status: bool,

    /// Wait for a line on standard input before the program begins
    #[arg(short = 'W')]
    pub wait: bool,

    /// Become user UID
    #[arg(short = 's', value_name = "UID")]
    pub setuid: Option<u32>,

    /// Become group GID, and drop all others
    #[arg(short = 'S', value_name = "GID")]
    pub setgid: Option<u32>,

    /// Put the program into a freezer cgroup of its own, named after its process (cgroup v1)
    #[arg(short = 'g')]
    pub freezer: bool,

    /// Show the steps and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// With --dry-run: as JSON
    #[arg(short = 'J', long, requires = "dry_run")]
    pub json: bool,

    /// The program, and its arguments
    #[arg(value_name = "PROGRAM", trailing_var_arg = true)]
    pub command: Vec<OsString>,
}
