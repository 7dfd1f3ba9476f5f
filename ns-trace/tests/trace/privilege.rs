//! What rights a tracer needs, and what it says without them.

use std::{
    fs::{self, File},
    os::fd::AsRawFd as _,
    process::Command,
    sync::Arc,
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use ns_trace::sys::{
    capability::{FIRST, LOCK, TRACE},
    host,
};
use rustix::{
    process::{Gid, Uid},
    thread::{
        CapabilitySet, CapabilitySets, configure_capability_in_ambient_set, set_capabilities,
        set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};

use super::run::{self, Folder, Run, trial, trial_per_backend};
use crate::{
    actor::Actor,
    context::{Context, Room},
    facts::{SLOTS, Task},
    tracer::{Tracer, program},
};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = trial_per_backend(
        context,
        "trace::privilege",
        &[
            ("four_capabilities_are_enough", four_capabilities_are_enough),
            ("the_reader_comes_first", the_reader_comes_first),
        ],
    );
    trials.extend([
        trial(
            context,
            "trace::privilege::a_missing_capability_is_named",
            a_missing_capability_is_named,
        ),
        trial(context, "trace::privilege::without_any_all_are_named", without_any_all_are_named),
        trial(
            context,
            "trace::privilege::a_user_namespace_is_no_place",
            a_user_namespace_is_no_place,
        ),
        trial(context, "trace::privilege::a_folder_of_others_is_not_written", a_folder_of_others),
        trial(context, "trace::privilege::a_replay_needs_none", a_replay_needs_none),
    ]);
    trials
}

/// Nobody, everywhere.
const NOBODY: u32 = 65534;

fn all() -> CapabilitySet {
    TRACE.iter().fold(CapabilitySet::empty(), |all, needed| all | needed.bit)
}

/// What tracing needs on this kernel: one more where programs and maps count against the memory that
/// one may lock.
pub(crate) fn enough() -> CapabilitySet {
    let counts = host::version().is_some_and(|version| version < (5, 11));
    if counts { all() | LOCK.bit } else { all() }
}

/// Runs `start` in a thread that is nobody with just these capabilities, and so is what it starts.
/// The command that it gets is `ns-trace trace`.
pub(crate) fn as_nobody<T: Send>(
    held: CapabilitySet,
    start: impl FnOnce(Command) -> Result<T> + Send,
) -> Result<T> {
    // Where it is may be hidden from others.
    let file = File::open(program())?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let thread = || {
        set_keep_capabilities(true)?;
        set_thread_groups(&[])?;
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        let sets = CapabilitySets { effective: held, permitted: held, inheritable: held };
        set_capabilities(None, sets)?;
        for bit in held {
            configure_capability_in_ambient_set(bit, true)?;
        }
        let mut command = Command::new(path);
        command.arg("trace");
        start(command)
    };
    let joined = thread::scope(|scope| scope.spawn(thread).join());
    joined.unwrap_or_else(|_panic| bail!("it panicked"))
}

fn run_as_nobody(held: CapabilitySet, args: &[&str], input: &str) -> Result<Run> {
    as_nobody(held, |mut command| run::run(command.args(args), input.as_bytes()))
}

fn four_capabilities_are_enough(room: &Room) -> Result<()> {
    let mut actor = Actor::start()?;
    let pid = actor.pid().to_string();
    let held = enough();
    let tracer = as_nobody(held, |mut command| {
        command.args(["-o", "json", "--probe", room.backend(), "-p", &pid]);
        Tracer::spawn(&mut command)
    })?;
    tracer.wait("sync", |event| event["event"] == "sync")?;
    let task = Task::leader(tracer.pid().into());
    ensure!(task.status("Uid")?.split_whitespace().all(|uid| uid == NOBODY.to_string()));
    ensure!(task.status("CapEff")? == format!("{:016x}", held.bits()));
    actor.act("unshare 4000000")?;
    let entered = tracer.wait("the enter", |event| event["event"] == "enter")?;
    let (seen, slots) = (&entered["process"]["ns"], actor.who()?.slots()?);
    for slot in SLOTS {
        ensure!(seen[slot]["inode"] == slots[slot]["inode"], "{slot}: {entered}");
    }
    tracer.finish()?;
    actor.end()
}

/// With the right to it, the thread that empties the ring comes before all others; without, it reads
/// as well.
fn the_reader_comes_first(room: &Room) -> Result<()> {
    for (more, nice) in [(CapabilitySet::empty(), "0"), (FIRST.bit, "-20")] {
        let tracer = as_nobody(enough() | more, |mut command| {
            Tracer::spawn(command.args(["-o", "json", "--probe", room.backend()]))
        })?;
        tracer.wait("sync", |event| event["event"] == "sync")?;
        let tasks = fs::read_dir(format!("/proc/{}/task", tracer.pid()))?;
        let mut seen = Vec::new();
        for task in tasks {
            let stat = fs::read_to_string(task?.path().join("stat"))?;
            let (name, fields) = stat.rsplit_once(") ").context("no stat")?;
            // proc(5): the 19th field, of which two are before.
            let nice = fields.split(' ').nth(16).context("no nice value")?;
            seen.push((name.ends_with("(ring"), nice.to_owned()));
        }
        let readers =
            seen.iter().filter(|(is_reader, _)| *is_reader).map(|(_, nice)| nice.as_str());
        ensure!(readers.eq([nice]), "with {more:?}: {seen:?}");
        // Who could not return does not stand back.
        let others: &[_] = if more.is_empty() { &["0"] } else { &["0", "2"] };
        let is_well = |(is_reader, nice): &(bool, String)| *is_reader || others.contains(&&**nice);
        ensure!(seen.iter().all(is_well), "with {more:?}: {seen:?}");
        tracer.finish()?;
    }
    Ok(())
}

/// The capabilities that a message names as missing.
fn named(run: &Run) -> Vec<&'static str> {
    TRACE.iter().map(|needed| needed.name).filter(|name| run.stderr.contains(name)).collect()
}

fn a_missing_capability_is_named() -> Result<()> {
    for needed in &TRACE {
        let held = all() - needed.bit;
        let run = run_as_nobody(held, &["--timeout", "1"], "")?;
        run.ends(3, &["ns-trace: cannot trace: missing ", needed.name, needed.purpose, "hint: "])?;
        ensure!(named(&run) == [needed.name], "{run:?}");
        ensure!(run.stdout.is_empty(), "{run:?}");
        let hint = format!("setcap {}+ep", needed.name.to_ascii_lowercase());
        ensure!(run.stderr.contains(&hint), "{run:?}");
        let own = std::env::current_exe()?.display().to_string();
        run_as_nobody(held, &["--", &own], "")?.ends(125, &[needed.name])?;
    }
    Ok(())
}

fn without_any_all_are_named() -> Result<()> {
    let run = run_as_nobody(CapabilitySet::empty(), &[], "")?;
    run.ends(3, &["ns-trace: cannot trace: missing ", "run as root"])?;
    ensure!(named(&run).len() == TRACE.len(), "{run:?}");
    Ok(())
}

fn a_user_namespace_is_no_place() -> Result<()> {
    let mut actor = Actor::start()?;
    actor.act("unshare 10000000")?;
    for (args, code) in [("", 3), (" -- /proc/self/exe", 125)] {
        let program = program();
        let answer = actor.act(&format!("run {} trace{args}", program.to_string_lossy()))?;
        let words = ["ns-trace: cannot trace: this is not the initial user namespace", "hint: "];
        let stderr = answer["stderr"].as_str().context("no stderr")?;
        ensure!(answer["code"] == code, "{answer}");
        ensure!(words.iter().all(|word| stderr.contains(word)), "{answer}");
        ensure!(stderr.lines().count() == 2, "{answer}");
    }
    actor.end()
}

fn a_folder_of_others() -> Result<()> {
    let folder = Folder::new()?;
    let file = folder.path("events");
    let run = run_as_nobody(all(), &["--output", &file], "")?;
    run.ends(1, &["ns-trace: cannot write ", &file, "Permission denied"])?;
    ensure!(fs::metadata(&file).is_err());
    Ok(())
}

fn a_replay_needs_none() -> Result<()> {
    let args = ["--replay", "-", "-e", "destroy"];
    run_as_nobody(CapabilitySet::empty(), &args, super::replay::RECORDING)?
        .ends(0, &["ns-trace: 3 events in "])
}
