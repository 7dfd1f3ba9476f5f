//! Probes that go on while no collector runs: what happens meanwhile is told by the next one, once and
//! in order.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use aya::{
    maps::{MapData, loaded_maps},
    programs::{
        ProgramInfo,
        links::{FdLink, PinnedLink},
        loaded_links, loaded_programs,
    },
};
use rustix::{
    fs::readlink,
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::Signal,
    system::uname,
};
use serde_json::Value;

use super::{Collector, Test, eventually, http, make, serve};
use crate::{
    actor::Actor,
    context::Room,
    init, stage,
    tracer::{PATIENCE, Tracer, program},
};

pub(super) const TRIALS: [(&str, Test); 5] = [
    ("serve::pin::restarts_lose_nothing", restarts),
    ("serve::pin::what_the_ring_cannot_hold_is_lost_by_number", too_much),
    ("serve::pin::a_full_disk_ends_nothing", full),
    ("serve::pin::other_options_replace_the_probes", replaced),
    ("serve::pin::nothing_is_left_when_it_is_unpinned", unpinned),
];

/// Where a test has its pins and its history.
pub(super) struct Base(PathBuf);

impl Base {
    pub(super) fn pins(&self) -> PathBuf {
        self.0.join("bpf/pins")
    }

    /// Where the history is.
    pub(super) fn file(&self) -> PathBuf {
        self.0.join("history/history.db")
    }

    /// What a configuration says of the history.
    pub(super) fn history(&self) -> String {
        format!("[history]\nenabled = true\npath = \"{}\"\n", self.file().display())
    }

    /// Starts a collector with further keys of `[probe]`.
    fn start(&self, room: &Room, probe: &str) -> Result<Collector> {
        let probe = format!("{}{probe}", pinned(&self.pins()));
        Collector::start_with(room, &self.history(), &probe)
    }

    /// Waits until the history has an event that `is_it` says yes to.
    fn wait(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.events()?.iter().any(|event| is_it(event)) {
            ensure!(Instant::now() < deadline, "the history has no {what}");
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// What the history has.
    pub(super) fn events(&self) -> Result<Vec<Arc<Value>>> {
        let mut command = Command::new(program());
        let output = command.args(["history", "export", "--file"]).arg(self.file()).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| Ok(Arc::new(serde_json::from_slice(line)?))).collect()
    }
}

/// Runs a test with a BPF file system of its own, in which pins go with it.
pub(super) fn with_pins(test: impl FnOnce(&Base) -> Result<()> + Send) -> Result<()> {
    stage::apart(|| {
        let name = format!("ns-trace-test-{}-pin", std::process::id());
        let base = Base(std::env::temp_dir().join(name));
        let place = base.0.join("bpf");
        fs::create_dir_all(&place)?;
        mount("bpf", &place, "bpf", MountFlags::empty(), None)?;
        let done = if can_pin()? { test(&base) } else { refuses(&base.pins()) };
        unmount(&place, UnmountFlags::DETACH)?;
        fs::remove_dir_all(&base.0)?;
        done
    })
}

/// Whether this kernel is new enough: Linux 5.17.
fn can_pin() -> Result<bool> {
    let release = uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split('.').map(str::parse::<u32>);
    let version = (numbers.next().context("no version")??, numbers.next().context("none")??);
    Ok(version >= (5, 17))
}

/// An older one says that it cannot.
fn refuses(pins: &Path) -> Result<()> {
    let report = Command::new(program()).args(["doctor", "-J"]).output()?;
    let report: Value = serde_json::from_slice(&report.stdout)?;
    let obstacle = report["pins"]["obstacle"].as_str().unwrap_or_default();
    ensure!(obstacle.contains("before Linux 5.17"), "{}", report["pins"]);
    let (refused, said) = start_with(pins)?;
    ensure!(refused == Some(4) && said.contains("before Linux 5.17"), "{refused:?}: {said}");
    Ok(())
}

/// Starts a collector that cannot pin, and returns what it says.
fn start_with(pins: &Path) -> Result<(Option<i32>, String)> {
    let directory = format!("ns-trace-test-{}-refused", std::process::id());
    let directory = std::env::temp_dir().join(directory);
    fs::create_dir(&directory)?;
    let at = |name: &str| directory.join(name).to_string_lossy().into_owned();
    fs::write(at("config.toml"), format!("[probe]\n{}", pinned(pins)))?;
    let output = serve(&["--config", &at("config.toml"), "--runtime-dir", &at("run")])?;
    fs::remove_dir_all(directory)?;
    Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// What a configuration says of pins; further keys of `[probe]` may follow.
pub(super) fn pinned(pins: &Path) -> String {
    format!("pin = \"always\"\npin_directory = \"{}\"\n", pins.display())
}

/// Makes namespaces one after the other in a thread of its own.
pub(super) struct Maker {
    thread: thread::JoinHandle<Result<Vec<u64>>>,
    made: Arc<AtomicUsize>,
    allowed: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    pub(super) pid: u32,
}

impl Maker {
    /// Makes as many as are allowed, until it is to end.
    pub(super) fn start() -> Result<Self> {
        let (made, allowed) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let is_over = Arc::<AtomicBool>::default();
        let mut actor = Actor::start()?;
        let pid = actor.pid();
        let (count, most, over) = (Arc::clone(&made), Arc::clone(&allowed), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            let mut inodes = Vec::new();
            loop {
                if inodes.len() >= most.load(Ordering::Acquire) {
                    if over.load(Ordering::Acquire) {
                        return Ok(inodes);
                    }
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
                actor.act("unshare 4000000")?;
                let link = readlink(format!("/proc/{pid}/ns/uts"), Vec::new())?;
                let link = link.to_string_lossy().into_owned();
                let inode = link.trim_start_matches("uts:[").trim_end_matches(']');
                inodes.push(inode.parse()?);
                count.fetch_add(1, Ordering::AcqRel);
            }
        });
        Ok(Self { thread, made, allowed, is_over, pid })
    }

    /// Has it make so many in all, in its own time.
    pub(super) fn allow(&self, number: usize) {
        self.allowed.store(number, Ordering::Release);
    }

    /// Has it make so many in all, and waits for them.
    pub(super) fn make(&self, number: usize) -> Result<()> {
        self.allow(number);
        self.wait(number)
    }

    /// Waits until it has made so many.
    pub(super) fn wait(&self, number: usize) -> Result<()> {
        let mut deadline = Instant::now() + PATIENCE;
        let mut before = 0;
        loop {
            let made = self.made.load(Ordering::Relaxed);
            if made >= number {
                return Ok(());
            }
            if made > before {
                (before, deadline) = (made, Instant::now() + PATIENCE);
            }
            ensure!(Instant::now() < deadline, "only {made} namespaces are made");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Has so many made by a process that ends then, whose number is returned.
    fn start_and_end(number: usize) -> Result<u32> {
        let maker = Self::start()?;
        let pid = maker.pid;
        maker.make(number)?;
        maker.end()?;
        Ok(pid)
    }

    /// The inodes of those that it has made, in order; all are gone then but for the last one, which
    /// ends with its maker.
    pub(super) fn end(self) -> Result<Vec<u64>> {
        self.is_over.store(true, Ordering::Release);
        self.thread.join().map_err(|_panic| anyhow!("the maker has panicked"))?
    }
}

/// The inodes in the `create` events by a process, in order.
pub(super) fn made_by(pid: u32, events: &[Arc<Value>]) -> Vec<u64> {
    let its = events.iter().filter(|event| is_made_by(pid, event));
    its.filter_map(|event| event["ns"]["inode"].as_u64()).collect()
}

/// How many of those that a process has made have ended.
fn gone(pid: u32, events: &[Arc<Value>]) -> usize {
    let is_its =
        |event: &&Arc<Value>| event["event"] == "destroy" && event["creator"]["pid"] == pid;
    events.iter().filter(is_its).count()
}

fn is_made_by(pid: u32, event: &Value) -> bool {
    event["event"] == "create" && event["process"]["pid"] == pid
}

/// Checks that events are numbered without a gap, and that all that was made is among them once, in
/// order, from `unshare` to `enter` and to the end.
pub(super) fn expect_all(pid: u32, made: &[u64], events: &[Arc<Value>]) -> Result<()> {
    for (seq, event) in (1_u64..).zip(events) {
        ensure!(event["seq"] == seq, "event number {seq} says {}", event["seq"]);
        ensure!(event["event"] != "lost", "{event}");
    }
    let told = made_by(pid, events);
    let differs = told.iter().zip(made).position(|(told, made)| told != made);
    ensure!(told == made, "{} of {}, other from {differs:?}", told.len(), made.len());
    let entered: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "enter" && event["process"]["pid"] == pid)
        .filter_map(|event| event["changes"][0]["to"]["inode"].as_u64())
        .collect();
    ensure!(entered == made, "{} enter of {}", entered.len(), made.len());
    // Where a task comes from is known although another collector has seen it enter.
    let unknown = events.iter().find(|event| {
        event["event"] == "enter"
            && event["process"]["pid"] == pid
            && event["changes"][0]["from"].is_null()
    });
    ensure!(unknown.is_none(), "{unknown:?}");
    Ok(())
}

fn restarts(room: &Room) -> Result<()> {
    with_pins(|base| {
        let number = if init::is_ours() { 1000 } else { 10_000 };
        let mut collector = base.start(room, "")?;
        let maker = Maker::start()?;
        for restart in 1..=5 {
            maker.make(number * restart / 6)?;
            collector.kill();
            // Some while no collector runs, others while one starts.
            maker.make(number * restart / 6 + number / 20)?;
            maker.allow(number * restart / 6 + number / 10);
            collector.run()?;
        }
        maker.make(number)?;
        finish(base, collector, maker)
    })
}

/// What a restart needs cannot be written for a while: nothing is lost, but what would be by a restart.
fn full(room: &Room) -> Result<()> {
    with_pins(|base| {
        let mut collector = base.start(room, "")?;
        let ended = collector.end(Signal::TERM)?;
        ensure!(ended.status.success(), "{}", ended.stderr);
        let place = collector.runtime();
        mount("tmpfs", &place, "tmpfs", MountFlags::empty(), Some(c"size=8m"))?;
        let done = fills_up(base, &mut collector);
        unmount(&place, UnmountFlags::DETACH)?;
        let (pid, made) = done?;
        expect_all(pid, &made, &base.events()?)
    })
}

/// Starts the collector on a small disk, and fills that for a while; returns what was made afterwards,
/// and by whom.
fn fills_up(base: &Base, collector: &mut Collector) -> Result<(u32, Vec<u64>)> {
    collector.run()?;
    let errors = || -> Result<u64> {
        let (_, metrics, _) = http::ask(collector, "GET /metrics", "")?;
        let name = "nstrace_journal_errors_total ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.with_context(|| metrics.clone())?.parse()?)
    };
    make(collector.tracer()?)?;
    let ballast = collector.runtime().join("ballast");
    let written = fs::write(&ballast, vec![0; 8 << 20]);
    ensure!(written.is_err() && errors()? == 0, "the disk is larger than it was made");
    eventually("no failure is noticed", || {
        make(collector.tracer()?)?;
        Ok(errors()? > 0)
    })?;
    for _ in 0..4 {
        make(collector.tracer()?)?;
    }
    fs::remove_file(&ballast)?;
    eventually("it is not written again", || {
        make(collector.tracer()?)?;
        Ok(collector.tracer()?.has_said("a restart loses nothing again"))
    })?;
    ensure!(errors()? == 1, "it is said more than once");
    // From then on a restart loses nothing again.
    let maker = Maker::start()?;
    maker.make(20)?;
    let ended = collector.end(Signal::KILL)?;
    for sentence in ["going on without, and trying again", "a restart loses nothing again"] {
        let count = ended.stderr.matches(sentence).count();
        ensure!(count == 1, "`{sentence}` is said {count} times: {}", ended.stderr);
    }
    maker.make(40)?;
    collector.run()?;
    let (pid, made) = (maker.pid, maker.end()?);
    eventually("the last one is gone", || Ok(gone(pid, &base.events()?) == made.len()))?;
    let ended = collector.end(Signal::TERM)?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    ensure!(collector.unpin_command().output()?.status.success(), "it is not unpinned");
    Ok((pid, made))
}

/// Waits until the last namespace of a maker is gone, ends the collector and its pins, and checks what
/// the history has.
fn finish(base: &Base, collector: Collector, maker: Maker) -> Result<()> {
    let pid = maker.pid;
    let made = maker.end()?;
    let deadline = Instant::now() + 4 * PATIENCE;
    loop {
        let found = gone(pid, &base.events()?);
        if found >= made.len() {
            break;
        }
        ensure!(Instant::now() < deadline, "{found} of {} are gone", made.len());
        thread::sleep(Duration::from_secs(2));
    }
    collector.unpin()?;
    let events = base.events()?;
    let found = gone(pid, &events);
    ensure!(found == made.len(), "{found} are gone of {}", made.len());
    expect_all(pid, &made, &events)
}

fn too_much(room: &Room) -> Result<()> {
    with_pins(|base| {
        let reference = Tracer::start(room.backend(), &[])?;
        let mut collector = base.start(room, "buffer = \"256KiB\"\n")?;
        // Both see this one, and everything after it.
        let first = Maker::start_and_end(1)?;
        collector.kill();
        let pid = Maker::start_and_end(1000)?;
        collector.run()?;
        // When that has arrived, so has what was in the ring, and there is room again.
        base.wait("end of what was missed", |event| event["reason"] == "resume")?;
        let last = Maker::start_and_end(1)?;
        base.wait("last `create`", |event| is_made_by(last, event))?;
        collector.unpin()?;
        let events = base.events()?;
        let deadline = Instant::now() + PATIENCE;
        let mut all;
        // Until the reference has seen the last one as well.
        while {
            all = reference.since(0);
            position(last, &all).is_none() || made_by(pid, &all).len() < 1000
        } {
            ensure!(Instant::now() < deadline, "the reference is late");
            thread::sleep(Duration::from_millis(20));
        }
        // How many were told, and how many lost.
        let between = |events: &[Arc<Value>]| -> Result<(u64, u64)> {
            let first = position(first, events).context("the first is missing")?;
            let last = position(last, events).context("the last is missing")?;
            let between = events.get(first..last).context("they are in another order")?;
            let told = between.iter().filter(|event| event["event"] == "create").count() as u64;
            let losses = between.iter().filter(|event| event["event"] == "lost");
            let missing = |event: &Arc<Value>| event["lost"]["by_event"]["create"].as_u64();
            Ok((told, losses.filter_map(missing).sum()))
        };
        let ((told, missing), (happened, missed)) = (between(&events)?, between(&all)?);
        ensure!(missed == 0, "the reference has lost {missed}");
        ensure!(missing > 0 && told > 0, "{told} told, {missing} lost");
        ensure!(told + missing == happened, "{told} told and {missing} lost of {happened}");
        Ok(())
    })
}

/// Where the first `create` by a process is.
fn position(pid: u32, events: &[Arc<Value>]) -> Option<usize> {
    events.iter().position(|event| is_made_by(pid, event))
}

fn replaced(room: &Room) -> Result<()> {
    with_pins(|base| {
        let mut collector = base.start(room, "")?;
        let sets = || -> Result<Vec<_>> {
            let mut sets = Vec::new();
            for entry in fs::read_dir(base.pins())? {
                sets.push(entry?.path());
            }
            Ok(sets)
        };
        let before = sets()?;
        let maker = Maker::start()?;
        maker.make(50)?;
        collector.kill();
        maker.make(200)?;
        maker.allow(1000);
        // Another ring, so all is made anew.
        let larger = format!("{}buffer = \"32MiB\"\n", pinned(&base.pins()));
        collector.configure_probe(room, &base.history(), &larger)?;
        collector.run()?;
        maker.make(1050)?;
        let deadline = Instant::now() + PATIENCE;
        // Until what the former ones have told has arrived, they stay.
        while sets()?.iter().any(|set| before.contains(set)) {
            ensure!(Instant::now() < deadline, "the former probes are left: {:?}", sets()?);
            thread::sleep(Duration::from_millis(20));
        }
        let after = sets()?;
        ensure!(before.len() == 1 && after.len() == 1, "{before:?}, {after:?}");
        finish(base, collector, maker)
    })
}

/// Checks that nobody else may read the files in a directory, or lock them.
fn private(directory: &Path) -> Result<()> {
    let mut files = 0;
    for entry in fs::read_dir(directory)? {
        let (path, metadata) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        if metadata.is_file() {
            files += 1;
            ensure!(metadata.mode() & 0o777 == 0o600, "{}: {:o}", path.display(), metadata.mode());
        }
    }
    ensure!(files >= 2, "neither a lock nor a state");
    Ok(())
}

fn unpinned(room: &Room) -> Result<()> {
    // In the directory of another file system there are no pins.
    let elsewhere = std::env::temp_dir().join("ns-trace-no-pins");
    if can_pin()? {
        let (status, said) = start_with(&elsewhere)?;
        ensure!(status == Some(1) && said.contains("not in a BPF file system"), "{said}");
        ensure!(said.contains("mount -t bpf bpf /sys/fs/bpf"), "{said}");
        ensure!(!elsewhere.exists(), "a directory is left");
    }
    with_pins(|base| {
        let pins = base.pins();
        let mut collector = base.start(room, "")?;
        make(collector.tracer()?)?;
        let ids = ids(&pins)?;
        private(&collector.runtime())?;
        // A collector that runs is left alone.
        let refused = collector.unpin_command().output()?;
        ensure!(refused.status.code() == Some(1), "{refused:?}");
        collector.kill();
        ensure!(ids.iter().all(there_is), "not all of {ids:?} are left");
        collector.run()?;
        make(collector.tracer()?)?;
        // A rule that is missing keeps nothing pinned.
        let config = collector.path("config.toml");
        let text = fs::read_to_string(&config)? + "\n[rules]\npaths = [\"/no/such/rules\"]\n";
        fs::write(&config, text)?;
        let check = serve(&["--check", "--config", &config.to_string_lossy()])?;
        ensure!(check.status.code() == Some(2), "{check:?}");
        collector.unpin()?;
        ensure!(!pins.exists(), "the directory is left");
        let deadline = Instant::now() + PATIENCE;
        while let Some(id) = ids.iter().find(|id| there_is(id)) {
            ensure!(Instant::now() < deadline, "{id:?} is left");
            thread::sleep(Duration::from_millis(20));
        }
        // One that was killed leaves its sockets too.
        let mut collector = base.start(room, "")?;
        collector.kill();
        ensure!(collector.runtime().join("http.sock").exists(), "it was not killed");
        let output = collector.unpin_command().output()?;
        ensure!(output.status.success() && !collector.runtime().exists(), "{output:?}");
        Ok(())
    })
}

/// Something that is pinned, by the kernel's number.
#[derive(Debug)]
enum Id {
    Program(u32),
    Map(u32),
    Link(u32),
}

/// All that is pinned in the one set.
fn ids(pins: &Path) -> Result<Vec<Id>> {
    let set = fs::read_dir(pins)?.next().context("nothing is pinned")??.path();
    let mut ids = Vec::new();
    for entry in fs::read_dir(set)? {
        let path = entry?.path();
        let name = path.file_name().context("no name")?.to_string_lossy().into_owned();
        ids.push(match name.split_once('_').context("no sort")?.0 {
            "program" => Id::Program(ProgramInfo::from_pin(&path)?.id()),
            "map" => Id::Map(MapData::from_pin(&path)?.info()?.id()),
            "link" => Id::Link(FdLink::from(PinnedLink::from_pin(&path)?).info()?.id()),
            other => bail!("what is {other}?"),
        });
    }
    ensure!(ids.len() > 15, "{ids:?}");
    Ok(ids)
}

fn there_is(id: &Id) -> bool {
    match id {
        Id::Program(id) => loaded_programs().flatten().any(|program| program.id() == *id),
        Id::Map(id) => loaded_maps().flatten().any(|map| map.id() == *id),
        Id::Link(id) => loaded_links().flatten().any(|link| link.id() == *id),
    }
}
