//! A long random life in namespaces, traced, and compared with what /proc and the kernel show.
//!
//! At the end the world holds still and is compared; then everybody is killed and it is compared
//! again. The seed decides what each worker does, but not how fast, so that a run cannot be
//! repeated exactly: it says what to look for, not how to see it again.

pub(crate) mod life;
mod replay;
mod world;

use std::{
    env, fs,
    path::Path,
    process::{Child, Command},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;

use self::{
    replay::{Replay, show},
    world::World,
};
use crate::{
    context::{Context, Room},
    facts::Task,
    scene::boot_ns,
    trace::run::{self, Folder},
    tracer::{self, Tracer},
};

/// Set to how many seconds the life goes on, and to the seed of it.
const SECONDS: &str = "NS_TRACE_TEST_SECONDS";
const SEED: &str = "NS_TRACE_TEST_SEED";

/// Lives that go on side by side; each may have descendants.
const LIVES: usize = 6;
/// How long the tracer has to find the last deaths: those that something held are looked for once
/// a second.
const GRACE: Duration = Duration::from_secs(3);
/// How much more memory the tracer may have at rest, when all is over, than in the first quarter of
/// the life, in KiB. In between it may have more: what it has not written yet, on a slow machine.
const GROWTH: u64 = 8 << 10;

/// The trials of this group.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = context.alone_on_the_best("soak::random_life", random_life);
    trials.push(run::trial(
        context,
        "soak::a_stream_is_replayed",
        replay::tests::births_and_deaths_pair_up,
    ));
    trials.push(run::trial(
        context,
        "soak::faults_are_found",
        replay::tests::what_cannot_be_is_a_fault,
    ));
    trials.push(run::trial(context, "soak::a_stream_has_moments", replay::tests::up_to_a_moment));
    trials.push(run::trial(context, "soak::links_are_read", world::links_are_read));
    trials
}

/// A number in the environment.
fn number(name: &str) -> Result<Option<u64>> {
    let Ok(text) = env::var(name) else { return Ok(None) };
    Ok(Some(text.parse().with_context(|| format!("{name}={text} is no number"))?))
}

#[expect(clippy::print_stdout, reason = "the seed is what makes it possible to look again")]
fn random_life(room: &Room) -> Result<()> {
    let seconds = number(SECONDS)?.unwrap_or(20);
    let seed = number(SEED)?.unwrap_or_else(|| fastrand::u64(..));
    println!("soak: {seconds} s on the {} backend, {SEED}={seed}", room.backend());
    let faults = soak(room, Duration::from_secs(seconds), seed)?;
    ensure!(faults.is_empty(), "{SEED}={seed}: {} faults:\n{}", faults.len(), faults.join("\n"));
    Ok(())
}

/// A tracer that writes to a file, and the file.
struct Recorder {
    tracer: Tracer,
    folder: Folder,
}

impl Recorder {
    fn start(room: &Room) -> Result<Self> {
        let folder = Folder::new()?;
        let file = folder.path("events");
        let mut command = Command::new(tracer::program());
        command.args(["trace", "-o", "json", "--tasks", "--probe", room.backend()]);
        let tracer = Tracer::spawn(command.args(["--output", &file]))?;
        run::until("the first `sync`", || {
            Ok(fs::metadata(&file).is_ok_and(|metadata| metadata.len() > 0))
        })?;
        Ok(Self { tracer, folder })
    }

    /// Memory of its own, in KiB: that of the ring is the kernel's as well.
    fn memory(&self) -> Result<u64> {
        let line = Task::leader(self.tracer.pid().into()).status("RssAnon")?;
        let number = line.split_whitespace().next().context("no memory")?;
        Ok(number.parse()?)
    }

    /// Ends it; returns what it said, and the folder with its file.
    fn end(self) -> Result<(String, Folder)> {
        self.tracer.signal(Signal::TERM)?;
        let ended = self.tracer.end()?;
        ensure!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
        Ok((ended.stderr.trim().to_owned(), self.folder))
    }
}

#[expect(clippy::print_stdout, reason = "what there was is worth knowing")]
fn soak(room: &Room, time: Duration, seed: u64) -> Result<Vec<String>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let before = World::scan();
    let recorder = Recorder::start(room)?;
    let Lived { mut lives, memory: early } = live(time, seed, &recorder)?;
    thread::sleep(GRACE);
    let still = World::look(GRACE / 2);
    for life in &mut lives {
        life.kill()?;
        life.wait()?;
    }
    thread::sleep(GRACE);
    let over = World::look(GRACE / 2);
    thread::sleep(GRACE);
    let late = recorder.memory()?;
    let (said, folder) = recorder.end()?;
    println!("soak: {said}");

    let mut faults = Vec::new();
    let file = folder.path("events");
    let end = Replay::read(Path::new(&file), u64::MAX)?;
    for (when, world) in [("while alive", &still), ("when all is over", &over)] {
        let replay = Replay::read(Path::new(&file), world.at)?;
        println!("soak: {when}: {}; {} alive", replay.summary(), replay.alive.len());
        faults
            .extend(compare(&before, world, &replay, &end).map(|fault| format!("{when}: {fault}")));
        let unequal = differ(&before, world, &replay, &end);
        faults.extend(unequal.into_iter().map(|fault| format!("{when}: {fault}")));
        if world.at == over.at {
            faults.extend(unfinished(&over, &replay, &end));
        }
    }
    faults.extend(end.faults.iter().cloned());
    println!("soak: {} events lost, each accounted for", end.lost);
    println!("soak: memory {early} KiB at first, {late} KiB at rest");
    if late > early + GROWTH {
        faults.push(format!("the tracer grew from {early} KiB to {late} KiB"));
    }
    faults.extend(leftovers().map(|pid| format!("process {pid} is left over")));
    if fs::read_to_string("/proc/self/mountinfo")? != mounts {
        faults.push("mounts are left over".to_owned());
    }
    Ok(faults)
}

/// What the time of life leaves.
struct Lived {
    lives: Vec<Child>,
    /// The most memory of the tracer in the first quarter, in KiB.
    memory: u64,
}

/// Keeps lives going until the time is over.
fn live(time: Duration, seed: u64, recorder: &Recorder) -> Result<Lived> {
    let end = boot_ns() + u64::try_from(time.as_nanos())?;
    let place = life::Place::new(&recorder.folder, end)?;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut lives: Vec<Child> = Vec::new();
    let mut memory = 0;
    let begin = Instant::now();
    while begin.elapsed() < time {
        lives.retain_mut(|life| matches!(life.try_wait(), Ok(None)));
        while lives.len() < LIVES {
            lives.push(life::spawn(&place, random.u64(..), 0)?);
        }
        if begin.elapsed() < time / 4 {
            memory = memory.max(recorder.memory()?);
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(Lived { lives, memory })
}

/// How the world and the stream up to it differ; `end` is the stream to its end.
fn compare<'a>(
    before: &'a World,
    world: &'a World,
    replay: &'a Replay,
    end: &'a Replay,
) -> impl Iterator<Item = String> + 'a {
    let kept = replay.ancestors(&world.seen);
    let grace = u64::try_from(2 * GRACE.as_nanos()).unwrap_or(u64::MAX);
    let old = world.at.saturating_sub(grace);
    // Alive as the stream has it to its very end: a death that is told late is not a fault, and
    // what is held out of sight may live.
    let invisible = replay.alive.keys().filter(move |name| {
        let hidden = !world.seen.contains(*name) && !kept.contains(*name);
        hidden && replay.is_older(name, old) && end.is_older(name, old)
    });
    let unknown = world.stays.iter().filter(|name| {
        let known = replay.alive.contains_key(*name);
        // What is older than the stream is alive until the stream tells of its death.
        let older = before.seen.contains(*name) && !replay.saw_die(name);
        !known && !older
    });
    let unlisted = world.listed.iter().filter(|id| {
        !before.listed.contains(id) && !replay.alive.values().any(|row| row.id == Some(**id))
    });
    let invisible =
        invisible.map(|name| format!("{} is alive in the stream, not in /proc", show(name)));
    let unknown = unknown.map(|name| format!("{} is in /proc, but not in the stream", show(name)));
    let unlisted = unlisted.map(|id| format!("the kernel lists {id}, the stream does not know it"));
    invisible.chain(unknown).chain(unlisted)
}

/// How the stream differs from a fresh discovery: in who there is, under which number, and in whom
/// they belong to.
fn differ(before: &World, world: &World, replay: &Replay, end: &Replay) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, found) in &world.found {
        match replay.alive.get(name) {
            // What discovery cannot open has no number.
            Some(row) if found.id.is_some() && row.id != found.id => faults.push(format!(
                "{} has the id {:?}, in the stream {:?}",
                show(name),
                found.id,
                row.id
            )),
            Some(row) if !found.keeps.iter().all(|kept| row.keeps.contains(kept)) => {
                faults.push(format!(
                    "{} belongs to {:?}, in the stream to {:?}",
                    show(name),
                    found.keeps,
                    row.keeps
                ));
            }
            // What is older than the stream is alive until the stream tells of its death.
            None if !before.found.contains_key(name) && !before.seen.contains(name) => {
                faults.push(format!("{} is discovered, but not in the stream", show(name)));
            }
            _ => {}
        }
    }
    let is_known = |name: &&world::Name| world.found.contains_key(*name);
    if !replay.alive.is_empty() && !replay.alive.keys().any(|name| is_known(&name)) {
        faults.push("nothing was discovered of what the stream knows".to_owned());
    }
    let grace = u64::try_from(2 * GRACE.as_nanos()).unwrap_or(u64::MAX);
    let old = world.at.saturating_sub(grace);
    // In flight within a socket it is out of sight, and may live on.
    let lasting =
        replay.alive.keys().filter(|name| replay.is_older(name, old) && end.is_older(name, old));
    let missed = lasting.filter(|name| !is_known(name));
    faults.extend(missed.map(|name| format!("{} is in the stream, not discovered", show(name))));
    faults
}

/// Tasks that had ended when the world was looked at, but never do in the stream.
fn unfinished(world: &World, replay: &Replay, end: &Replay) -> Vec<String> {
    let running = replay.running().filter(|task| end.is_running(*task));
    let gone = running.filter(|(tid, _)| !world.tasks.contains(tid));
    gone.map(|(tid, _)| format!("task {tid} has no exit")).collect()
}

/// Workers that are still there.
fn leftovers() -> impl Iterator<Item = u32> {
    world::pids().into_iter().filter(|pid| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).nth(1) == Some(life::VERB.as_bytes())
    })
}
