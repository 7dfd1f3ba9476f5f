//! `ns-trace enter`: the options of nsenter(1), and more.

mod words;

use std::{ffi::OsString, path::PathBuf, str::FromStr};

use clap::Args;

pub use self::words::canonical as canonical_enter;
use super::{number::parse_signal, trace::kinds};
use crate::model::Kind;

const AFTER_HELP: &str = "\
Selectors stand in front of `--`: 4026532281 or net:4026532281 (an inode), id:59609417, pid:1234
(all namespaces of a process), pid:1234:net, name:blue, container:3f2a..., /run/netns/blue. Several
may be given. A namespace that no process is in can be entered as well, if anything leads to it.
What is done, and in which order, is shown by --dry-run.

Examples:
  ns-trace enter -t 1234 -a                     a shell where process 1234 is
  ns-trace enter -t 1234 -m -p ps ax            two of its namespaces
  ns-trace enter net:4026532281 -- ip address   a network namespace by its inode
  ns-trace enter pid:1234 name:blue -- id       all of a process, but the network is another
  ns-trace enter container:3f2a -- sh           where a container is
  ns-trace enter -t 1234 -m --host-exec gdb     a program of this side in a foreign file system
  ns-trace enter -t 1234 -aU --dry-run          what would be done

Exit status:
  0-255  the program's own
  128+n  signal n ended the program; to whoever waits, this process is ended by it
  126    the program cannot be executed
  127    the program is not found
  1      any other failure";

/// Join namespaces and run a program in them
///
/// Takes the options of nsenter(1), and is nsenter when called by that name; and selectors.
/// Without a program it runs a login shell.
#[derive(Args, Debug)]
#[command(
    version,
    after_help = AFTER_HELP,
    infer_long_args = true,
    next_display_order = None,
    override_usage = "ns-trace enter [OPTIONS] [--] [PROGRAM [ARG]...]\n       \
                      ns-trace enter [OPTIONS] SELECTOR... [-- PROGRAM [ARG]...]"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct EnterArgs {
    /// The process whose namespaces are meant; :INODE is its number in pidfs (Linux 6.9), which is
    /// never given out again
    #[arg(short, long, value_name = "PID[:INODE]")]
    pub target: Option<TargetWord>,

    /// All namespaces of the target
    #[arg(short, long, overrides_with = "all")]
    pub all: bool,

    /// The mount namespace
    #[arg(short, long, value_name = "FILE|:ID", num_args = 0..=1, require_equals = true, default_missing_value = "", overrides_with = "mount")]
    pub mount: Option<OsString>,

    /// The UTS namespace (host name)
    #[arg(short, long, value_name = "FILE|:ID", num_args = 0..=1, require_equals = true, default_missing_value = "", overrides_with = "uts")]
    pub uts: Option<OsString>,

    /// The IPC namespace
    #[arg(short, long, value_name = "FILE|:ID", num_args = 0..=1, require_equals = true, default_missing_value = "", overrides_with = "ipc")]
    pub ipc: Option<OsString>,

    /// The network namespace
    #[arg(short, long, value_name = "FILE|:ID", num_args = 0..=1, require_equals = true, default_missing_value = "", overrides_with = "net")]
    pub net: Option<OsString>,

    /// The network namespace of a socket, a descriptor of the target
    #[arg(
        short = 'N',
        long,
        value_name = "FD",
        requires = "target",
        conflicts_with = "net",
        overrides_with = "net_socket"
    )]
    pub net_socket: Option<u32>,

    /// The pid namespace; the program is a child, as this process stays outside
    #[arg(short, long, value_name = "FILE|:ID", num_args = 0..=1, require_equals = true, default_missing_value = "", overrides_with = "pid")]
    pub pid: Option<OsString>,

    /// The pid namespace of the target's children, where it differs from its own
    #[arg(long, requires = "target", conflicts_with = "pid", overrides_with = "pid_for_children")]
    pub pid_for_children: bool,

    /// The user namespace; the program becomes root in there
    #[arg(short = 'U', long, value_name = "FILE|:ID", num_args = 0..=1, require_equals = true, default_missing_value = "", overrides_with = "user")]
    pub user: Option<OsString>,

    /// The user namespace that owns the others, or is the parent of the one that is given
    #[arg(long, overrides_with = "user_parent")]
    pub user_parent: bool,

    /// The cgroup namespace
    #[arg(short = 'C', long, value_name = "FILE|:ID", num_args = 0..=1, require_equals = true, default_missing_value = "", overrides_with = "cgroup")]
    pub cgroup: Option<OsString>,

    /// The time namespace
    #[arg(short = 'T', long, value_name = "FILE|:ID", num_args = 0..=1, require_equals = true, default_missing_value = "", overrides_with = "time")]
    pub time: Option<OsString>,

    /// Then make new namespaces of these types (repeatable, or separated by commas)
    #[arg(long, value_name = "TYPE", value_delimiter = ',', value_parser = kinds())]
    pub unshare: Vec<Kind>,

    /// Become this user; follow: that of the target
    #[arg(short = 'S', long, value_name = "UID|follow", overrides_with = "setuid")]
    pub setuid: Option<Becoming>,

    /// Become this group and no other; follow: that of the target
    #[arg(short = 'G', long, value_name = "GID|follow", overrides_with = "setgid")]
    pub setgid: Option<Becoming>,

    /// Keep users and groups when entering a user namespace
    #[arg(long, overrides_with = "preserve_credentials")]
    pub preserve_credentials: bool,

    /// With a user namespace: let the program keep all capabilities
    #[arg(long, overrides_with = "keep_caps")]
    pub keep_caps: bool,

    /// The root directory: of the target, or DIR as seen from outside
    #[arg(short, long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "", overrides_with = "root")]
    pub root: Option<OsString>,

    /// The working directory: of the target, or DIR as seen from outside
    #[arg(short = 'w', long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "", overrides_with = "wd")]
    pub wd: Option<OsString>,

    /// The working directory, as seen from inside
    #[arg(short = 'W', long, value_name = "DIR", conflicts_with = "wd", overrides_with = "wdns")]
    pub wdns: Option<PathBuf>,

    /// The environment of the target in place of our own
    #[arg(short, long, requires = "target", overrides_with = "env")]
    pub env: bool,

    /// Do not fork when entering a pid namespace: only children of the program are in it
    #[arg(short = 'F', long, overrides_with = "no_fork")]
    pub no_fork: bool,

    /// Join the cgroups of the target, of version 1 as well
    #[arg(short = 'c', long, requires = "target", overrides_with = "join_cgroup")]
    pub join_cgroup: bool,

    /// Run the program in the `SELinux` context of the target; nothing where `SELinux` is not in use
    #[arg(short = 'Z', long, requires = "target", overrides_with = "follow_context")]
    pub follow_context: bool,

    /// Fork, and send this signal to the program when this process ends, even if it is killed
    #[arg(long, value_name = "SIGNAL", num_args = 0..=1, require_equals = true, default_missing_value = "KILL", value_parser = parse_signal, overrides_with = "kill_child")]
    pub kill_child: Option<i32>,

    /// Run a program of this side, with its own libraries, in the mount namespace that is entered
    #[arg(long, overrides_with = "host_exec")]
    pub host_exec: bool,

    /// Only show what would be done
    #[arg(long, overrides_with = "dry_run")]
    pub dry_run: bool,

    /// With --dry-run: as JSON
    #[arg(short = 'J', long, requires = "dry_run", overrides_with = "json")]
    pub json: bool,

    /// Selectors, and the program with its arguments; without, a login shell
    #[arg(value_name = "WORD", last = true, hide = true)]
    pub words: Vec<OsString>,
}

/// A process, and its inode in pidfs if that is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TargetWord {
    /// The number.
    pub pid: u32,
    /// The inode.
    pub inode: Option<u64>,
}

impl FromStr for TargetWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (pid, inode) = match text.split_once(':') {
            Some((pid, inode)) => (pid, Some(inode)),
            None => (text, None),
        };
        let pid = pid.parse().ok().filter(|pid| (1..=i32::MAX.unsigned_abs()).contains(pid));
        let pid = pid.ok_or("not the number of a process")?;
        let inode = inode.map(str::parse).transpose();
        let inode = inode.map_err(|_no_number| "not an inode in pidfs behind the colon")?;
        Ok(Self { pid, inode })
    }
}

/// Whom to become.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Becoming {
    /// This one.
    Id(u32),
    /// The one of the target.
    Follow,
}

impl FromStr for Becoming {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "follow" => Ok(Self::Follow),
            // The largest stands for nobody in particular (setuid(2)).
            _ => match text.parse() {
                Ok(id) if id != u32::MAX => Ok(Self::Id(id)),
                _ => Err("neither a number nor `follow`".to_owned()),
            },
        }
    }
}
