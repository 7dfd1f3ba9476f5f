//! `ns-trace create`: from the options of unshare(1) to a plan.

mod map;

use std::{env, ffi::OsString, path::PathBuf};

use self::map::Maps;
use super::{How, enter::joined::Joined};
use crate::{
    cli::{CreateArgs, CreateWords, Spreading, Word},
    model::{Flags, Kind, MapFile, Slot},
    plan::{
        Clock, Directory, Environment, Exec, FileSystem, Fork, Identity, Interpreter,
        KeepCapabilities, Mount, Offset, Pause, PidFile, Pin, Plan, Propagation, Root, Setgroups,
        Setup, Spread, Step, Unshare,
    },
    report::Failure,
};

/// Where `binfmt_misc` lies by default.
const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// Makes the plan.
pub(super) fn plan(args: &CreateArgs) -> Result<(Plan, How), Failure> {
    let words = &args.words;
    let joined = Joined::by_selectors(&words.join)?;
    let enters_user = joined.has(Kind::User);
    let wanted = Wanted::new(args, &joined);
    let maps = Maps::new(args, enters_user)?;
    if enters_user && !maps.outside.is_empty() {
        return Err(Failure::new(
            "ranges are mapped, and owners chosen, from outside; who joins a user namespace has left it",
        )
        .hint("map one user on top of it: --map-root-user, --map-user"));
    }
    if words.setup.is_some() && wanted.flags.contains(Kind::Pid) && !wanted.fork {
        return Err(Failure::new(
            "--setup would be the first process of the new pid namespace, which ends with it",
        )
        .hint("add --fork"));
    }
    let mut plan = Plan::default();
    plan.steps.extend(joined.step(enters_user).map(Step::Enter));
    if enters_user {
        // Whoever we were may be nobody in there.
        plan.push(Step::Identity(Identity { uid: Some(0), gid: Some(0) }));
    }
    if let Some(ids) = words.owner {
        let owner = Identity { uid: Some(ids.uid), gid: Some(ids.gid) };
        plan.push(Step::Identity(owner));
    }
    if wanted.flags.bits() != 0 {
        plan.push(Step::Unshare(Unshare { flags: wanted.flags }));
    }
    plan.steps.extend(maps.outside.iter().cloned().map(Step::Map));
    for (clock, seconds) in [(Clock::Boottime, words.boottime), (Clock::Monotonic, words.monotonic)]
    {
        plan.steps.extend(seconds.map(|seconds| Step::Offset(Offset { clock, seconds })));
    }
    if wanted.fork {
        let death_signal = words.kill_child;
        plan.push(Step::Fork(Fork { death_signal, ..Fork::default() }));
    }
    plan.steps.extend(pins(words));
    plan.steps.extend(words.pid_file.clone().map(|file| Step::PidFile(PidFile { file })));
    for map in maps.inside {
        if map.file == MapFile::GidMap {
            // Who maps no more than the own group must not be able to leave groups that forbid.
            plan.push(Step::Setgroups(Setgroups { allow: false }));
        }
        plan.push(Step::Map(map));
    }
    let setgroups = words.setgroups.map(|word| Setgroups { allow: word == Word::Allow });
    plan.steps.extend(setgroups.map(Step::Setgroups));
    mounts(words, &wanted, &mut plan);
    if words.pause {
        plan.push(Step::Pause(Pause {}));
    }
    plan.steps.extend(words.setup.clone().map(|command| Step::Setup(Setup { command })));
    if words.setgid.is_some() || words.setuid.is_some() {
        plan.push(Step::Identity(Identity { uid: words.setuid, gid: words.setgid }));
    }
    if words.keep_caps && wanted.flags.contains(Kind::User) {
        plan.push(Step::KeepCapabilities(KeepCapabilities {}));
    }
    plan.push(Step::Exec(Exec { command: words.command.clone(), environment: environment(words) }));
    Ok((plan, How::new(words.dry_run, words.json)))
}

/// What the options ask for, and what they imply.
struct Wanted {
    flags: Flags,
    fork: bool,
    /// Where to mount proc.
    proc: Option<PathBuf>,
    /// Where to mount `binfmt_misc`.
    binfmt: Option<PathBuf>,
}

impl Wanted {
    fn new(args: &CreateArgs, joined: &Joined) -> Self {
        let words = &args.words;
        let given = words.mount_binfmt.as_ref().filter(|directory| !directory.is_empty());
        let given = given.map(PathBuf::from);
        let is_binfmt = words.mount_binfmt.is_some() || words.load_interp.is_some();
        let binfmt = is_binfmt.then(|| given.clone().unwrap_or_else(|| BINFMT.into()));
        // The default place of the one is in the other.
        let needs_proc = (is_binfmt && given.is_none()).then(|| PathBuf::from("/proc"));
        let proc = words.mount_proc.clone().or(needs_proc);
        let maps = args.user.is_some()
            || args.group.is_some()
            || words.map_auto
            || words.map_subids
            || !words.map_users.is_empty()
            || !words.map_groups.is_empty();
        let kinds = [
            (Kind::Mnt, words.mount.is_some() || proc.is_some() || binfmt.is_some()),
            (Kind::Uts, words.uts.is_some()),
            (Kind::Ipc, words.ipc.is_some()),
            (Kind::Net, words.net.is_some()),
            (Kind::Pid, words.pid.is_some()),
            (Kind::User, words.user.is_some() || maps || is_binfmt),
            (Kind::Cgroup, words.cgroup.is_some()),
            (Kind::Time, words.time.is_some()),
        ];
        let bits = kinds.iter().filter(|(_, is_wanted)| *is_wanted);
        let bits = bits.fold(words.flags.unwrap_or(0), |bits, (kind, _)| bits | kind.flag());
        let asked = words.fork || words.kill_child.is_some() || words.forward_signals;
        // Who joins a pid namespace is not in it, but its children are.
        let fork = asked || joined.has(Kind::Pid);
        Self { flags: Flags::from_bits(bits), fork, proc, binfmt }
    }
}

/// The names of namespaces, in the order in which unshare(1) gives them.
fn pins(words: &CreateWords) -> impl Iterator<Item = Step> {
    let files = [
        (Slot::User, &words.user),
        (Slot::Cgroup, &words.cgroup),
        (Slot::Ipc, &words.ipc),
        (Slot::Uts, &words.uts),
        (Slot::Net, &words.net),
        (Slot::PidForChildren, &words.pid),
        (Slot::Mnt, &words.mount),
        (Slot::TimeForChildren, &words.time),
    ];
    let named = files.into_iter().filter_map(|(slot, file)| Some((slot, file.as_ref()?)));
    let named = named.filter(|(_, file)| !file.is_empty());
    named.map(|(slot, file)| Step::Pin(Pin { slot, file: file.into() }))
}

/// What is mounted where, and the root.
fn mounts(words: &CreateWords, wanted: &Wanted, plan: &mut Plan) {
    let spread = match words.propagation {
        Spreading::Private => Some(Spread::Private),
        Spreading::Shared => Some(Spread::Shared),
        Spreading::Slave => Some(Spread::Slave),
        Spreading::Unchanged => None,
    };
    if wanted.flags.contains(Kind::Mnt) {
        plan.steps.extend(spread.map(|to| Step::Propagation(Propagation { to })));
    }
    let binfmt = wanted.binfmt.as_ref().map(|on| {
        let mount = Mount { file_system: FileSystem::Binfmt, on: on.clone(), private: false };
        let line = words.load_interp.clone();
        (mount, line.map(|line| Interpreter { at: on.clone(), line }))
    });
    let is_early = words.root.is_some() && words.load_interp.as_deref().is_some_and(is_fixed);
    if let Some((mount, Some(interpreter))) = binfmt.clone().filter(|_| is_early) {
        plan.push(Step::Mount(mount));
        plan.push(Step::Interpreter(interpreter));
    }
    plan.steps.extend(words.root.clone().map(|directory| Step::Root(Root { directory })));
    let directory = words.wd.clone().or_else(|| words.root.is_some().then(|| PathBuf::from("/")));
    plan.steps.extend(directory.map(|directory| Step::Directory(Directory { directory })));
    if let Some(on) = wanted.proc.clone() {
        let private = words.root.is_none() && spread != Some(Spread::Private);
        plan.push(Step::Mount(Mount { file_system: FileSystem::Proc, on, private }));
    }
    if let Some((mount, interpreter)) = binfmt.filter(|_| !is_early) {
        plan.push(Step::Mount(mount));
        plan.steps.extend(interpreter.map(Step::Interpreter));
    }
}

/// Whether an interpreter is opened at once, and so found in the old root (flag `F`).
fn is_fixed(line: &str) -> bool {
    let separator = line.chars().next().unwrap_or(':');
    line.rsplit(separator).next().is_some_and(|flags| flags.contains('F'))
}

fn environment(words: &CreateWords) -> Environment {
    if !words.clear_env {
        return Environment::Inherit;
    }
    let kept = words.whitelist_env.iter();
    let kept = kept.filter_map(|name| Some((name.clone(), env::var_os(name)?)));
    Environment::Only(kept.collect::<Vec<(OsString, OsString)>>())
}
