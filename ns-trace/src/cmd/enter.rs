//! `ns-trace enter`: from the options of nsenter(1), and selectors, to a plan.

pub(super) mod joined;

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use self::joined::Joined;
use super::How;
use crate::{
    cli::{Becoming, EnterArgs},
    model::{Flags, Kind, Selector},
    plan::{
        Context, Directory, Environment, Exec, Fork, HostExec, Identity, JoinCgroup,
        KeepCapabilities, OpenDirectory, OpenRoot, Plan, Step, Target, Unshare,
    },
    report::Failure,
    sys::nsfs,
};

/// There where `SELinux` is in use (`is_selinux_enabled(3)`).
const SELINUX: &str = "/sys/fs/selinux/enforce";

/// Makes the plan.
pub(super) fn plan(args: &EnterArgs) -> Result<(Plan, How), Failure> {
    let (selectors, command) = words(args)?;
    let joined = Joined::new(args, &selectors)?;
    let target = joined.target.clone();
    let target = target.as_ref();
    let mut plan = Plan::default();
    let (enters_user, enters_pid) = (joined.has(Kind::User), joined.has(Kind::Pid));
    let becomes_root = enters_user && !args.preserve_credentials;
    let enter = joined.step(becomes_root);
    let environment = environment(args, target)?;
    let cgroup = if args.join_cgroup { Some(JoinCgroup::of(wanted(target)?)?) } else { None };
    let context = if args.follow_context { context(&wanted(target)?)? } else { None };
    let identity = Identity {
        gid: id(args.setgid, target, MetadataExt::gid)?.or(becomes_root.then_some(0)),
        uid: id(args.setuid, target, MetadataExt::uid)?.or(becomes_root.then_some(0)),
    };
    plan.steps.extend(enter.map(Step::Enter));
    let new = args.unshare.iter().fold(0, |bits, kind| bits | kind.flag());
    if new != 0 {
        plan.push(Step::Unshare(Unshare { flags: Flags::from_bits(new) }));
    }
    directories(args, target, &mut plan)?;
    plan.steps.extend(cgroup.map(Step::JoinCgroup));
    plan.steps.extend(context.map(Step::Context));
    let for_children = Kind::Pid.flag() | Kind::Time.flag();
    let forks = (enters_pid || new & for_children != 0) && !args.no_fork;
    if forks || args.kill_child.is_some() {
        plan.push(Step::Fork(Fork { death_signal: args.kill_child, ..Fork::default() }));
    }
    if identity != Identity::default() {
        plan.push(Step::Identity(identity));
    }
    if args.keep_caps && enters_user {
        plan.push(Step::KeepCapabilities(KeepCapabilities {}));
    }
    plan.push(if args.host_exec {
        Step::HostExec(HostExec { command, environment })
    } else {
        Step::Exec(Exec { command, environment })
    });
    Ok((plan, How::new(args.dry_run, args.json)))
}

/// Parts selectors from the program.
///
/// Before `--` stand selectors if all of it are some; without `--` it is the program, unless
/// nothing else says which namespaces, and all of it are selectors.
fn words(args: &EnterArgs) -> Result<(Vec<Selector>, Vec<OsString>), Failure> {
    let mark = args.words.iter().position(|word| word == "--");
    let (before, after) = match mark {
        Some(at) => (args.words.get(..at), args.words.get(at + 1..)),
        None => (args.words.get(..), None),
    };
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let has_options = has_namespaces(args);
    if before.is_empty() || has_options && mark.is_none() {
        return Ok((Vec::new(), if mark == Some(0) { after } else { before }.to_vec()));
    }
    if mark.is_none() && before.first().is_some_and(|word| is_program(word)) {
        // Nothing to enter: nsenter runs the program where it is.
        return Ok((Vec::new(), before.to_vec()));
    }
    let selectors: Result<Vec<Selector>, _> = before
        .iter()
        .map(|word| {
            let text = word.to_str().ok_or_else(|| "a selector is text".to_owned())?;
            text.parse().map_err(|error: crate::model::SelectorError| error.to_string())
        })
        .collect();
    match selectors {
        Ok(selectors) => Ok((selectors, after.to_vec())),
        // A program whose arguments have a `--` of their own.
        Err(_) if has_options => Ok((Vec::new(), args.words.clone())),
        Err(error) => Err(Failure::new(error).hint(
            "selectors stand in front of `--`, the program behind it: ns-trace enter pid:1234 -- ls",
        )),
    }
}

/// Whether options say which namespaces to enter.
const fn has_namespaces(args: &EnterArgs) -> bool {
    args.target.is_some()
        || args.mount.is_some()
        || args.uts.is_some()
        || args.ipc.is_some()
        || args.net.is_some()
        || args.pid.is_some()
        || args.user.is_some()
        || args.cgroup.is_some()
        || args.time.is_some()
}

/// Whether a word can only be a program.
fn is_program(word: &OsStr) -> bool {
    match word.to_str().map(str::parse) {
        Some(Ok(Selector::Path(path))) => {
            fs::File::open(path).is_ok_and(|file| nsfs::kind(&file).is_err())
        }
        Some(Ok(_)) => false,
        // With a colon it is meant to be a selector.
        Some(Err(_)) | None => !word.as_bytes().contains(&b':'),
    }
}

fn wanted(target: Option<&Target>) -> Result<Target, Failure> {
    let missing = || Failure::new("no target PID specified").hint("say whose: --target PID (-t)");
    target.cloned().ok_or_else(missing)
}

/// What the owner of the process is in /proc, if that is asked for.
fn id(
    word: Option<Becoming>,
    target: Option<&Target>,
    of: impl Fn(&fs::Metadata) -> u32,
) -> Result<Option<u32>, Failure> {
    Ok(match word {
        None => None,
        Some(Becoming::Id(id)) => Some(id),
        Some(Becoming::Follow) => {
            let pid = wanted(target)?.pid;
            let found = fs::metadata(format!("/proc/{pid}"));
            let gone = |error| Failure::new(format!("cannot look at process {pid}: {error}"));
            Some(of(&found.map_err(gone)?))
        }
    })
}

fn environment(args: &EnterArgs, target: Option<&Target>) -> Result<Environment, Failure> {
    let Some(target) = target.filter(|_| args.env) else { return Ok(Environment::Inherit) };
    let text = target.read("environ")?;
    let variable = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
        let (name, value) = line.split_at(at);
        Some((OsString::from_vec(name.to_vec()), OsStr::from_bytes(value.get(1..)?).to_owned()))
    };
    Ok(Environment::Only(text.split(|byte| *byte == 0).filter_map(variable).collect()))
}

/// The context of the target; none where `SELinux` is not in use, as nsenter has it.
fn context(target: &Target) -> Result<Option<Context>, Failure> {
    if !Path::new(SELINUX).exists() {
        return Ok(None);
    }
    let text = target.read("attr/current")?;
    let text = String::from_utf8_lossy(&text);
    Ok(Some(Context { context: text.trim_end_matches(['\0', '\n']).to_owned() }))
}

/// Root and working directory.
fn directories(args: &EnterArgs, target: Option<&Target>, plan: &mut Plan) -> Result<(), Failure> {
    let path = |word: &OsString, link: &str| -> Result<PathBuf, Failure> {
        if word.is_empty() {
            return Ok(format!("/proc/{}/{link}", wanted(target)?.pid).into());
        }
        Ok(word.into())
    };
    if let Some(root) = &args.root {
        let stay = args.wd.is_none() && args.wdns.is_none();
        plan.push(Step::OpenRoot(OpenRoot { directory: path(root, "root")?, stay }));
    }
    if let Some(directory) = args.wdns.clone() {
        plan.push(Step::Directory(Directory { directory }));
    }
    if let Some(directory) = &args.wd {
        plan.push(Step::OpenDirectory(OpenDirectory { directory: path(directory, "cwd")? }));
    }
    Ok(())
}
