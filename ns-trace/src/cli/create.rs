//! `ns-trace create`: the options of unshare(1), and more.

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum, error::ErrorKind};

use super::number::{Ids, Range, parse_flags, parse_ids, parse_range, parse_signal};
use crate::model::Selector;

const AFTER_HELP: &str = "\
What is done, and in which order, is shown by --dry-run. A step that fails undoes those before it.
All signals are passed on to the program, which stops and goes on with this process.

Examples:
  ns-trace create -Urpf --mount-proc          a shell that is root, alone with its processes
  ns-trace create -n ip link                  a command in a new network namespace
  ns-trace create --uts=/run/uts hostname a   a namespace that keeps its name when it is left
  ns-trace create -n --setup 'ip link set lo up' curl localhost
  ns-trace create -Upf --kill-child --pid-file /run/x.pid -- sleep 60
  ns-trace create --join name:blue -m sh      a network that exists, mounts of its own
  ns-trace create -Urm --dry-run true         what would be done

Exit status:
  0-255  the program's own
  128+n  signal n ended the program; to whoever waits, this process is ended by it
  126    the program cannot be executed
  127    the program is not found
  1      any other failure";

/// Make namespaces and run a program in them
///
/// Takes the options of unshare(1), and is unshare when called by that name. Without a program it
/// runs a login shell.
#[derive(Args, Debug)]
#[command(
    version,
    after_help = AFTER_HELP,
    args_override_self = true,
    infer_long_args = true,
    next_display_order = None
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct CreateWords {
    /// New mount namespace, named by FILE
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub mount: Option<OsString>,

    /// New uts namespace (host name), named by FILE
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub uts: Option<OsString>,

    /// New ipc namespace, named by FILE
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub ipc: Option<OsString>,

    /// New network namespace, named by FILE
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub net: Option<OsString>,

    /// New pid namespace for children, named by FILE; the program itself is in it with --fork
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub pid: Option<OsString>,

    /// New user namespace, named by FILE
    #[arg(short = 'U', long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub user: Option<OsString>,

    /// New cgroup namespace, named by FILE
    #[arg(short = 'C', long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub cgroup: Option<OsString>,

    /// New time namespace for children, named by FILE
    #[arg(short = 'T', long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub time: Option<OsString>,

    /// Join this namespace first, or all of a process or container (repeatable); the new ones are
    /// made on top
    #[arg(long, value_name = "SELECTOR")]
    pub join: Vec<Selector>,

    /// More flags of unshare(2), in hexadecimal
    #[arg(long, value_name = "HEX", value_parser = parse_flags)]
    pub flags: Option<u64>,

    /// Run the program as a child
    #[arg(short, long)]
    pub fork: bool,

    /// End the child by SIGNAL when this process ends, however it does (implies --fork)
    #[arg(long, value_name = "SIGNAL", num_args = 0..=1, require_equals = true, default_missing_value = "KILL", value_parser = parse_signal)]
    pub kill_child: Option<i32>,

    /// Pass signals on to the child, which is done anyway (implies --fork)
    #[arg(long)]
    pub forward_signals: bool,

    /// Mount proc on DIR, /proc if absent (implies --mount)
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "/proc")]
    pub mount_proc: Option<PathBuf>,

    /// Mount `binfmt_misc` on DIR (implies --mount and --user; without DIR also --mount-proc)
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub mount_binfmt: Option<OsString>,

    /// Register an interpreter of programs (implies --mount-binfmt)
    #[arg(short = 'l', long, value_name = "LINE")]
    pub load_interp: Option<String>,

    /// How mounts of the new mount namespace spread
    #[arg(long, value_name = "HOW", default_value = "private", hide_default_value = false)]
    pub propagation: Spreading,

    /// Make DIR the root
    #[arg(short = 'R', long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Change to DIR, in the new root
    #[arg(short, long, value_name = "DIR")]
    pub wd: Option<PathBuf>,

    /// Become user UID
    #[arg(short = 'S', long, value_name = "UID")]
    pub setuid: Option<u32>,

    /// Become group GID, and drop all others
    #[arg(short = 'G', long, value_name = "GID")]
    pub setgid: Option<u32>,

    /// Be this user in the new user namespace: a number or a name (implies --user)
    #[arg(long, value_name = "USER")]
    pub map_user: Option<OsString>,

    /// Be this group in the new user namespace: a number or a name (implies --user)
    #[arg(long, value_name = "GROUP")]
    pub map_group: Option<OsString>,

    /// Be root in the new user namespace (implies --user)
    #[arg(short = 'r', long)]
    pub map_root_user: bool,

    /// Be the same in the new user namespace (implies --user)
    #[arg(short = 'c', long)]
    pub map_current_user: bool,

    /// Map a range of users, INSIDE:OUTSIDE:COUNT, or auto, subids or all (repeatable; implies
    /// --user)
    #[arg(long, value_name = "RANGE", value_parser = parse_range)]
    pub map_users: Vec<Range>,

    /// Map a range of groups, INSIDE:OUTSIDE:COUNT, or auto, subids or all (repeatable; implies
    /// --user)
    #[arg(long, value_name = "RANGE", value_parser = parse_range)]
    pub map_groups: Vec<Range>,

    /// Map the ranges of /etc/subuid and /etc/subgid, from 0 on (implies --user)
    #[arg(long)]
    pub map_auto: bool,

    /// Map the ranges of /etc/subuid and /etc/subgid to themselves (implies --user)
    #[arg(long)]
    pub map_subids: bool,

    /// Have UID:GID own the new user namespace
    #[arg(long, value_name = "UID:GID", value_parser = parse_ids)]
    pub owner: Option<Ids>,

    /// Whether groups may be dropped in the new user namespace
    #[arg(long, value_name = "WORD")]
    pub setgroups: Option<Word>,

    /// Keep all capabilities in the new user namespace, whoever the program runs as
    #[arg(long)]
    pub keep_caps: bool,

    /// Shift the monotonic clock of the new time namespace
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub monotonic: Option<i64>,

    /// Shift the boot-time clock of the new time namespace
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub boottime: Option<i64>,

    /// Run the program with an empty environment
    #[arg(long)]
    pub clear_env: bool,

    /// With --clear-env: but for these variables, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub whitelist_env: Vec<OsString>,

    /// Write the number of the program's process to FILE
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,

    /// Wait for a line on standard input before the program begins
    #[arg(long)]
    pub pause: bool,

    /// Run COMMAND by /bin/sh in the namespaces before the program, still as root of them
    #[arg(long, value_name = "COMMAND")]
    pub setup: Option<OsString>,

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

/// How mounts spread (`mount_namespaces(7)`).
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Spreading {
    /// Neither way
    Private,
    /// Both ways
    Shared,
    /// From outside to inside
    Slave,
    /// As before
    Unchanged,
}

/// The words of setgroups.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Word {
    /// They may
    Allow,
    /// They may not
    Deny,
}

/// Who to be in the new user namespace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Who {
    /// The same as outside.
    Same,
    /// A number or a name.
    Other(OsString),
}

/// The options, with those resolved that the order on the command line matters to.
#[derive(Debug)]
pub struct CreateArgs {
    /// All of them.
    pub words: CreateWords,
    /// The user that --map-user, --map-root-user and --map-current-user ask for: the last says.
    pub user: Option<Who>,
    /// The group, likewise.
    pub group: Option<Who>,
}

impl FromArgMatches for CreateArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let words = CreateWords::from_arg_matches(matches)?;
        let last = |name: &str| matches.indices_of(name).and_then(Iterator::last);
        let given = |name, is_given: bool| is_given.then(|| last(name)).flatten();
        let root = given("map_root_user", words.map_root_user);
        let same = given("map_current_user", words.map_current_user);
        let choose = |name, own: &Option<OsString>| {
            let own = own.as_ref().map(|who| (last(name), Who::Other(who.clone())));
            let root = root.map(|at| (Some(at), Who::Other("0".into())));
            let same = same.map(|at| (Some(at), Who::Same));
            own.into_iter().chain(root).chain(same).max_by_key(|(at, _)| *at).map(|(_, who)| who)
        };
        let user = choose("map_user", &words.map_user);
        let group = choose("map_group", &words.map_group);
        if (words.monotonic.is_some() || words.boottime.is_some()) && words.time.is_none() {
            let missing = "--monotonic and --boottime shift the clocks of a new time namespace: \
                           add --time (-T)\n";
            return Err(clap::Error::raw(ErrorKind::MissingRequiredArgument, missing));
        }
        Ok(Self { words, user, group })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for CreateArgs {
    fn augment_args(command: Command) -> Command {
        CreateWords::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        CreateWords::augment_args_for_update(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<CreateArgs, clap::Error> {
        let command = CreateArgs::augment_args(Command::new("create"));
        let matches = command.try_get_matches_from([&["create"], words].concat())?;
        CreateArgs::from_arg_matches(&matches)
    }

    fn other(who: &str) -> Who {
        Who::Other(who.into())
    }

    #[test]
    fn the_last_says_who_to_be() {
        for (words, user, group) in [
            (&["-r"][..], Some(other("0")), Some(other("0"))),
            (&["-r", "-c"], Some(Who::Same), Some(Who::Same)),
            (&["-c", "-r"], Some(other("0")), Some(other("0"))),
            (&["-r", "--map-user", "5"], Some(other("5")), Some(other("0"))),
            (&["--map-user", "5", "-r"], Some(other("0")), Some(other("0"))),
            (&["--map-user=5", "--map-user=6"], Some(other("6")), None),
            (&["-U"], None, None),
        ] {
            let args = read(words).unwrap();
            assert_eq!((args.user, args.group), (user, group), "{words:?}");
        }
    }

    #[test]
    fn words_are_read_as_getopt_reads_them() {
        let args = read(&["-mun", "--pid=/run/x", "-fR/a", "ls", "-l", "--", "-u"]).unwrap().words;
        assert_eq!(args.mount, Some(OsString::new()));
        assert!(args.uts.is_some() && args.net.is_some() && args.ipc.is_none());
        assert_eq!(args.pid, Some("/run/x".into()));
        assert_eq!(args.root, Some("/a".into()));
        assert_eq!(args.command, ["ls", "-l", "--", "-u"]);
        assert_eq!(read(&["-u", "--", "-x"]).unwrap().words.command, ["-x"]);
        assert_eq!(read(&["--monot", "-5", "-T"]).unwrap().words.monotonic, Some(-5));
        assert_eq!(read(&["--kill-child"]).unwrap().words.kill_child, Some(9));
        assert_eq!(read(&["--kill-child=SIGTERM"]).unwrap().words.kill_child, Some(15));
        for words in [&["--bogus"][..], &["-z"], &["--kill-child=FOO"], &["--monotonic", "5"]] {
            assert!(read(words).is_err(), "{words:?}");
        }
    }
}
