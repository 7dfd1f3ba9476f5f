//! `xtask soak`: a long random life in namespaces, traced, and compared with what /proc shows.
//!
//! At the end the world holds still and is compared; then everybody is killed and it is compared
//! again. The seed decides what each worker does, but not how fast, so that a run cannot be
//! repeated exactly: it says what to look for, not how to see it again.

pub(crate) mod life;
mod replay;
mod world;

use std::{
    collections::BTreeSet,
    fs,
    process::{Child, ExitCode},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use self::{
    replay::{Replay, show},
    world::Name,
};
use crate::{
    bench, clock, process,
    tracer::{Recording, Tracer},
    usage,
};

/// Lives that go on side by side; each may have descendants.
const LIVES: usize = 6;
/// How long the tracer has to find the last deaths: those that something held are looked for once
/// a second.
const GRACE: Duration = Duration::from_secs(3);
/// How much more memory the tracer may have at the end than in the first quarter, in bytes.
const GROWTH: u64 = 8 << 20;

/// What was asked for.
#[derive(Debug, PartialEq)]
struct Wish {
    minutes: f64,
    seed: u64,
}

/// The world at one moment.
struct Scan {
    /// When, on the boot clock.
    at: u64,
    /// What was there, in both of two looks.
    stays: BTreeSet<Name>,
    /// What was there in either.
    seen: BTreeSet<Name>,
}

/// Runs the verb.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let wish = match parse(args) {
        Ok(wish) => wish,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            return Ok(usage());
        }
    };
    bench::become_release("soak", &with_seed(args, wish.seed))?;
    println!("soak: {} minutes, seed {}", wish.minutes, wish.seed);
    let faults = soak(&wish)?;
    for fault in &faults {
        println!("soak: {fault}");
    }
    println!("soak: {} faults, seed {}", faults.len(), wish.seed);
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn soak(wish: &Wish) -> Result<Vec<String>> {
    let mounts = mounts()?;
    let before = world::scan();
    let recording = Recording::new("soak")?;
    let tracer = Tracer::record(&recording, &["--tasks"])?;
    let memory = live(wish, &tracer)?;
    let mut lives = memory.lives;
    thread::sleep(GRACE);
    let still = scan()?;
    for life in &mut lives {
        life.kill()?;
        life.wait()?;
    }
    thread::sleep(GRACE);
    let over = scan()?;
    thread::sleep(GRACE);
    let said = tracer.stop()?;
    println!("soak: {said}");

    let mut faults = Vec::new();
    for (when, scan) in [("while alive", &still), ("when all is over", &over)] {
        let replay = Replay::read(recording.read()?, scan.at)?;
        let end = Replay::read(recording.read()?, u64::MAX)?;
        println!("soak: {when}: {}; {} alive", replay.summary(), replay.alive.len());
        faults
            .extend(compare(&before, scan, &replay, &end).map(|fault| format!("{when}: {fault}")));
        if scan.at == over.at {
            faults.extend(end.faults.iter().cloned());
            faults.extend(unfinished(&end));
            println!("soak: {} events lost, each accounted for", end.lost);
        }
    }
    if memory.late > memory.early + GROWTH {
        let (early, late) = (memory.early >> 10, memory.late >> 10);
        faults.push(format!("the tracer grew from {early} KiB to {late} KiB"));
    }
    println!("soak: memory {} KiB, then {} KiB", memory.early >> 10, memory.late >> 10);
    faults.extend(leftovers().map(|pid| format!("process {pid} is left over")));
    if self::mounts()? != mounts {
        faults.push("mounts are left over".to_owned());
    }
    Ok(faults)
}

/// What the time of life leaves.
struct Lived {
    lives: Vec<Child>,
    /// The most memory of the tracer in the first quarter, the median in the last, in bytes.
    early: u64,
    late: u64,
}

/// Keeps lives going until the time is over.
fn live(wish: &Wish, tracer: &Tracer) -> Result<Lived> {
    let time = Duration::from_secs_f64(wish.minutes * 60.0);
    let end = clock::boot()? + u64::try_from(time.as_nanos())?;
    let mut random = fastrand::Rng::with_seed(wish.seed);
    let mut lives: Vec<Child> = Vec::new();
    let (mut early, mut late) = (0, Vec::new());
    let begin = Instant::now();
    while begin.elapsed() < time {
        lives.retain_mut(|life| matches!(life.try_wait(), Ok(None)));
        while lives.len() < LIVES {
            lives.push(life::spawn(random.u64(..), 0, end)?);
        }
        let memory = process::memory(tracer.pid())?;
        if begin.elapsed() < time / 4 {
            early = early.max(memory);
        } else if begin.elapsed() > time * 3 / 4 {
            late.push(memory);
        }
        thread::sleep(Duration::from_millis(100));
    }
    late.sort_unstable();
    Ok(Lived { lives, early, late: late.get(late.len() / 2).copied().unwrap_or_default() })
}

/// Looks twice, so that what comes and goes meanwhile does not count.
fn scan() -> Result<Scan> {
    let first = world::scan();
    thread::sleep(GRACE / 2);
    let at = clock::boot()?;
    let second = world::scan();
    let stays = first.intersection(&second).cloned().collect();
    Ok(Scan { at, stays, seen: first.union(&second).cloned().collect() })
}

/// How the world and the stream up to it differ; `end` is the stream to its end.
fn compare<'a>(
    before: &'a BTreeSet<Name>,
    scan: &'a Scan,
    replay: &'a Replay,
    end: &'a Replay,
) -> impl Iterator<Item = String> + 'a {
    let kept = replay.ancestors(&scan.seen);
    let grace = u64::try_from(2 * GRACE.as_nanos()).unwrap_or(u64::MAX);
    let old = scan.at.saturating_sub(grace);
    // Alive as the stream has it to its very end: a death that is told late is not a fault.
    let invisible = replay.alive.keys().filter(move |name| {
        let hidden = !scan.seen.contains(*name) && !kept.contains(*name);
        hidden && replay.is_older(name, old) && end.is_older(name, old)
    });
    let unknown = scan.stays.iter().filter(|name| {
        let known = replay.alive.contains_key(*name);
        // What is older than the stream is alive until the stream tells of its death.
        let older = before.contains(*name) && !replay.saw_die(name);
        !known && !older
    });
    let invisible =
        invisible.map(|name| format!("{} is alive in the stream, not in /proc", show(name)));
    invisible
        .chain(unknown.map(|name| format!("{} is in /proc, but not in the stream", show(name))))
}

/// Tasks that the stream takes for running although they are not.
fn unfinished(replay: &Replay) -> Vec<String> {
    let gone = |tid: &u64| !fs::exists(format!("/proc/{tid}")).unwrap_or(true);
    replay.running().filter(gone).map(|tid| format!("task {tid} has no exit")).collect()
}

/// Workers that are still there.
fn leftovers() -> impl Iterator<Item = u32> {
    world::pids().into_iter().filter(|pid| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).nth(1) == Some(life::VERB.as_bytes())
    })
}

fn mounts() -> Result<String> {
    fs::read_to_string("/proc/self/mountinfo").context("cannot read the mounts")
}

/// The words of the command with the seed among them, for the process that goes on.
fn with_seed(args: &[String], seed: u64) -> Vec<String> {
    let mut args = args.to_vec();
    if !args.iter().any(|arg| arg == "--seed") {
        args.extend(["--seed".to_owned(), seed.to_string()]);
    }
    args
}

fn parse(args: &[String]) -> Result<Wish> {
    let mut wish = Wish { minutes: 1.0, seed: fastrand::u64(..) };
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        if arg == "--seed" {
            wish.seed = args.next().context("--seed needs a number")?.parse()?;
        } else {
            wish.minutes = arg.parse().with_context(|| format!("`{arg}` is no time"))?;
        }
    }
    ensure!((0.1..=10_000.0).contains(&wish.minutes), "between 0.1 and 10000 minutes, please");
    Ok(wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let wish = parse(&words("2.5 --seed 7")).unwrap();
        assert_eq!(wish, Wish { minutes: 2.5, seed: 7 });
        assert_eq!(with_seed(&words("2"), 7), words("2 --seed 7"));
        for text in ["0", "x", "--seed", "--seed x", "-1"] {
            assert!(parse(&words(text)).is_err(), "{text}");
        }
    }
}
