//! Many calls at once: nothing lost, nothing doubled, and losses counted to the last one.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    actor::Actor,
    context::{Context, Room, calls},
    tracer::{self, PATIENCE, Tracer},
};

/// How long a storm may take, and its last events.
const STORM: Duration = Duration::from_mins(3);

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    trials.extend(context.alone_per_backend("trace::storm::counts_are_exact", counts));
    for size in ["4K", "64K"] {
        let title = format!("trace::storm::ring_of_{size}_counts_what_it_lost");
        trials.extend(context.alone_per_backend(&title, move |room| losses(room, size)));
    }
    trials.extend(context.alone_per_backend("trace::storm::walk_beyond_the_ring", long_walk));
    trials
}

/// Two processes that call `unshare(CLONE_NEWUTS)` as fast as they can, `calls` times in all; returns
/// their numbers when both have ended.
fn storm(calls: u64) -> Result<[u64; 2]> {
    let mut actors = [Actor::start()?, Actor::start()?];
    let pids = actors.each_ref().map(|actor| u64::from(actor.pid()));
    for actor in &mut actors {
        actor.tell(&format!("repeat {} 4000000", calls / 2))?;
    }
    for mut actor in actors {
        let answer = actor.answer()?;
        ensure!(answer.get("error").is_none(), "{answer}");
        actor.end()?;
    }
    Ok(pids)
}

/// A file in memory that is gone afterwards.
struct Output(PathBuf);

impl Output {
    fn new() -> Self {
        Self(format!("/dev/shm/ns-trace-test-{}.ndjson", std::process::id()).into())
    }

    fn size(&self) -> u64 {
        fs::metadata(&self.0).map_or(0, |metadata| metadata.len())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// The events of the storm's processes in a file, by sort, and how many others there are.
///
/// There are millions of lines: each is only searched, for its name and the first process in it.
fn count(path: &Path, pids: &[u64]) -> Result<HashMap<String, u64>> {
    const NAME: &str = "\"event\":\"";
    const PID: &str = ":{\"pid\":";
    let pids = pids.iter().map(u64::to_string).collect::<Vec<_>>();
    let mut counts = HashMap::<String, u64>::new();
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut line = String::new();
    let mut lines = 0_u64;
    while file.read_line(&mut line)? != 0 {
        lines += 1;
        ensure!(line.ends_with("}\n"), "cut: {line}");
        let (_, rest) = line.split_once(NAME).context("no event")?;
        let (name, rest) = rest.split_once('"').context("no name")?;
        let pid = rest.split_once(PID).and_then(|(_, rest)| rest.split_once(','));
        let is_ours = pid.is_some_and(|(pid, _)| pids.iter().any(|ours| ours == pid));
        let key = if is_ours || name == "lost" { name } else { "other" };
        match counts.get_mut(key) {
            Some(count) => *count += 1,
            None => drop(counts.insert(key.to_owned(), 1)),
        }
        if lines.is_power_of_two() {
            let event: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
            ensure!(event["seq"] == lines, "not number {lines}: {line}");
        }
        line.clear();
    }
    Ok(counts)
}

/// Every call has its events, in a file that is complete soon after.
#[expect(clippy::print_stdout, reason = "how fast it was is worth knowing")]
fn counts(room: &Room) -> Result<()> {
    let calls = calls(1_000_000, 20_000);
    let output = Output::new();
    let mut command = Command::new(tracer::program());
    command.args(["trace", "-o", "json", "--probe", room.backend(), "--output"]).arg(&output.0);
    let tracer = Tracer::spawn(&mut command)?;
    let deadline = Instant::now() + PATIENCE;
    while output.size() == 0 {
        ensure!(Instant::now() < deadline, "no `sync`");
        thread::sleep(Duration::from_millis(5));
    }
    let start = Instant::now();
    let pids = storm(calls)?;
    let end = Instant::now();
    // Complete is what does not grow any more.
    let (mut size, mut complete) = (output.size(), end);
    while complete.elapsed() < Duration::from_secs(2) {
        thread::sleep(Duration::from_millis(50));
        let now = output.size();
        if now != size {
            (size, complete) = (now, Instant::now());
        }
        ensure!(end.elapsed() < STORM, "the file still grows");
    }
    tracer.signal(Signal::TERM)?;
    let ended = tracer.end()?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    let counts = count(&output.0, &pids)?;
    println!(
        "storm [{}]: {calls} calls in {:.1} s, complete {:.1} s later, {counts:?}",
        room.backend(),
        (end - start).as_secs_f64(),
        (complete - end).as_secs_f64(),
    );
    for name in ["create", "enter", "destroy"] {
        let count = counts.get(name).copied().unwrap_or_default();
        ensure!(count == calls, "{count} times `{name}` of {calls}: {counts:?}, {}", ended.stderr);
    }
    ensure!(!counts.contains_key("lost"), "{counts:?}");
    // Without optimisation the tracer takes as long as it takes.
    let late = complete - end;
    let is_slow = cfg!(debug_assertions);
    ensure!(is_slow || late < Duration::from_secs(5), "complete after {late:?}");
    Ok(())
}

/// What does not fit is counted: seen and lost together are all.
fn losses(room: &Room, size: &str) -> Result<()> {
    let calls = calls(100_000, 4000);
    let tracer = room.start(&["--buffer", size, "--fields", "compact"])?;
    let running = storm(calls / 2)?;
    // One that does not read at all loses something on a machine of any speed.
    tracer.signal(Signal::STOP)?;
    let stopped = storm(calls / 2);
    tracer.signal(Signal::CONT)?;
    let pids = [running, stopped?].concat();
    tracer.signal(Signal::TERM)?;
    let ended = tracer.end()?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    for name in ["create", "enter"] {
        let of_name = |event: &&Arc<Value>| event["event"] == name;
        let is_ours = |event: &Value| pids.iter().any(|pid| event["process"]["pid"] == *pid);
        let (ours, others): (Vec<_>, Vec<_>) =
            ended.events.iter().filter(of_name).partition(|event| is_ours(event));
        let lost = |event: &Arc<Value>| event["lost"]["by_event"][name].as_u64();
        let lost: u64 = ended.events.iter().filter_map(lost).sum();
        let seen = u64::try_from(ours.len())?;
        ensure!(lost > 0, "nothing was lost");
        // Calls of others may have been lost as well, if there were any.
        let exact = if others.is_empty() { seen + lost == calls } else { seen + lost >= calls };
        ensure!(exact, "{seen} times `{name}` and {lost} lost of {calls}");
    }
    Ok(())
}

/// There are more tasks than the ring has room for: each is met nevertheless, at the start and after
/// a loss, and not taken for gone.
fn long_walk(room: &Room) -> Result<()> {
    let mut actor = Actor::start()?;
    actor.act("unshare 4000000")?;
    let pid = actor.pid();
    let link = fs::read_link(format!("/proc/{pid}/ns/uts"))?;
    let tracer = room.start(&["--buffer", "4K", "--fields", "compact", "--snapshot"])?;
    let is_own = |event: &Value, name: &str| {
        let shown = format!("uts:[{}]", event["ns"]["inode"]);
        event["event"] == name && link.as_os_str() == shown.as_str()
    };
    tracer.wait("the actor's namespace", |event| is_own(event, "exist"))?;
    storm(2000)?;
    let is_healed = |event: &Value| event["event"] == "sync" && event["reason"] == "lost";
    tracer.wait("a `sync` after the loss", is_healed)?;
    let place = tracer.len();
    actor.act("unshare 8000000")?;
    let is_ours = |event: &Value| event["event"] == "enter" && event["process"]["pid"] == pid;
    let enter = tracer.wait_since(place, "the next call", is_ours)?;
    ensure!(enter["changes"][0]["from"]["type"] == "ipc", "{enter}");
    let events = tracer.since(0);
    ensure!(!events.iter().any(|event| is_own(event, "destroy")), "taken for gone");
    actor.end()
}
