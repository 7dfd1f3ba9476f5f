//! The running kernel as a source of events.

mod answer;
mod command;
mod deaths;
mod health;
mod keep;
mod learn;
mod options;
mod turn;
mod world;

use std::{
    io,
    process::{self, ExitStatus},
    sync::Arc,
    time::{Duration, Instant},
};

use ns_trace_common::{Slot, Task, repeat::PAUSE_NS};

use self::{
    command::Child,
    keep::{Former, Keeping},
    turn::Turn,
    world::World,
};
pub use self::{
    command::Command,
    keep::Keep,
    options::{Attached, Error, LiveOptions, Obstacle},
};
use super::{Outcome, Stream, journal::Note, stream::End, watch::Watch};
use crate::{
    model::event::{Body, ByEvent, Host, Loss, Reason, Source, Stage, Sync},
    probe::{
        self, Loaded, Losses, Overlap, Probes, Record, RecordBuffer,
        backlog::{Backlog, Message},
        reader::{Listen, Reader},
        self_check,
    },
    sys::{
        clock, host, memory,
        process::{initial_namespace, own_namespace},
        signal,
    },
    table::{Finding, Table},
};

/// How often the counters of losses are read while records come.
const LOSSES: Duration = Duration::from_millis(100);
/// How often the probes are asked for calls that they counted instead of telling.
const REPEATS: Duration = Duration::from_nanos(PAUSE_NS);
/// How long a snapshot may take; its end mark is lost if the ring is full.
const PATIENCE: Duration = Duration::from_secs(2);

/// Traces until told to end; returns what came of the command too.
///
/// # Errors
///
/// If the probes cannot run here, the command not be started, or the output not be written.
pub fn run_live(
    mut options: LiveOptions,
    mut stream: Stream,
) -> Result<(Outcome, Option<ExitStatus>), Error> {
    memory::give_back_large_pieces();
    // Before anything that must not be left half-done.
    let listen = listen(&mut options).map_err(Error::Watch)?;
    let mut loaded = Probes::load(&options.probes)?;
    let keep_dead = options.viewer.as_ref().map_or(Duration::ZERO, |viewer| viewer.keep_dead);
    let keep_dead = u64::try_from(keep_dead.as_nanos()).unwrap_or(u64::MAX);
    let table = || Table::new(stream.needs_tasks()).keeping_dead(keep_dead);
    let mut world = World::new();
    let mut taken = match &options.keep {
        Some(keep) => Some(keep::take_up(keep, &mut loaded, table(), &mut world)?),
        None => None,
    };
    let mut switch = None;
    if let (Some(keep), Some((_, Err(_)))) = (&options.keep, &taken) {
        switch = keep::switch(keep, &loaded.probes, table(), &mut world)?;
        if switch.is_none() && loaded.probes.were_there() {
            loaded = keep::afresh(loaded.probes, &options.probes)?;
            taken = Some(keep::take_up(keep, &mut loaded, table(), &mut world)?);
        }
    }
    let (keeping, former) =
        taken.map_or((None, None), |(keeping, former)| (Some(keeping), former.ok()));
    let (former, switch) = match switch {
        Some((former, switch)) => (Some(former), Some(switch)),
        None => (former, None),
    };
    let is_resumed = former.is_some();
    let Former { mut table, losses, is_start } = former.unwrap_or_else(|| Former {
        table: table(),
        losses: Losses::default(),
        is_start: false,
    });
    let Loaded { mut probes, ring } = loaded;
    // All that is in the ring may have to wait there: it finds room in the backlog as well.
    let ring_bytes = options.keep.as_ref().map_or(0, |_| options.probes.ring_bytes as usize);
    let backlog = Arc::new(Backlog::new(options.backlog_bytes.max(ring_bytes)));
    let ledgers = Arc::clone(probes.ledgers());
    let gaps = keeping.as_ref().map(Keeping::gaps).unwrap_or_default();
    let settled = keeping.as_ref().map(|keeping| Arc::clone(&keeping.settled));
    let position = ring.position();
    let reader = Reader::start(ring, ledgers, Arc::clone(&backlog), listen, gaps, settled);
    let reader = reader.map_err(Error::Watch)?;
    if is_in_initial_pid_namespace() {
        // Else the snapshot tells; it may be lost where the ring is small.
        stream.scope.set_root(process::id());
    }
    let walk_began = clock::boot_ns();
    if is_resumed {
        stream.meet(&table);
        stream.scope.begin(table.tasks()).map_err(Error::NoProcess)?;
    } else {
        table.begin_walk(walk_began);
    }
    probes.attach()?;
    if let Some(Attached(begin)) = options.attached.take() {
        begin(&probes).map_err(Error::Begin)?;
    }
    if !is_resumed {
        probes.snapshot()?;
        probes.unpin_others()?;
    }
    memory::give_back_free_pieces();
    let lost_members = if is_resumed { probes.lost_members() } else { 0 };
    let mut live = Live {
        options,
        probes,
        backlog,
        table,
        world,
        watch: Watch::default(),
        stream,
        findings: Vec::new(),
        losses,
        losses_due: Instant::now(),
        repeats_due: Instant::now() + REPEATS,
        picture_due: Instant::now(),
        // What happened meanwhile is told first.
        heal_due: is_resumed.then(Instant::now),
        unhealed: None,
        walk_ends: Instant::now() + PATIENCE,
        lost_members,
        checked: false,
        started: is_resumed,
        is_resuming: is_resumed,
        keeping,
        position,
        overlap: None,
        is_rest_due: false,
        walk_began,
        asked: 0,
        unlearned: Vec::new(),
        turn: Turn::new(),
        child: None,
    };
    if is_start {
        live.start_again()?;
    }
    if let Some(switch) = switch {
        live.take_over(switch)?;
    }
    live.run(reader)
}

/// What is listened to besides the ring.
fn listen(options: &mut LiveOptions) -> io::Result<Listen> {
    let signals = match options.inquiries {
        None => signal::ending()?,
        Some(_) => signal::watch(&[signal::INTERRUPT, signal::TERMINATE])?,
    };
    let bell = options.inquiries.as_ref().map(|inquiries| inquiries.bell()).transpose()?;
    Ok(Listen { signals: Some(signals), output: options.output.take(), bell })
}

/// A stream under way.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Live {
    options: LiveOptions,
    probes: Probes,
    backlog: Arc<Backlog>,
    table: Table,
    world: World,
    watch: Watch,
    stream: Stream,
    findings: Vec<Finding>,
    /// The losses that were told.
    losses: Losses,
    losses_due: Instant,
    /// When to ask for what was counted instead of told.
    repeats_due: Instant,
    /// When to show the table, if anybody is shown it.
    picture_due: Instant,
    /// When to take the snapshot that heals a loss.
    heal_due: Option<Instant>,
    /// When the first loss since the last snapshot was noticed.
    unhealed: Option<Instant>,
    /// When to give the snapshot under way up.
    walk_ends: Instant,
    /// When the last snapshot began: nanoseconds of the boot clock.
    walk_began: u64,
    /// Whether the snapshot needs another run, once there is room for it.
    is_rest_due: bool,
    /// How many rows of snapshots were lost up to the last run.
    lost_members: u64,
    /// Whether the snapshot has met this very process, and read of it what /proc says.
    checked: bool,
    /// Whether events are told: the first `sync` is out, or another process has sent it.
    started: bool,
    /// Whether what happened before this process began is still being told.
    is_resuming: bool,
    /// What another process needs to go on.
    keeping: Option<Keeping>,
    /// What probes that were replaced have told as well.
    overlap: Option<Overlap>,
    /// Where in the ring the records end that were taken.
    position: u64,
    /// How many wait for an answer.
    asked: u64,
    /// Processes of which it may be unknown what they run.
    unlearned: Vec<u32>,
    turn: Turn,
    child: Option<Child>,
}

/// A step's result: whether and why to end.
type Step = Result<Option<End>, Error>;

impl Live {
    fn run(mut self, reader: Reader) -> Result<(Outcome, Option<ExitStatus>), Error> {
        // One that the clock cannot reach is none.
        let timeout = self.options.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut interrupted = false;
        let end = loop {
            let deadline = [timeout, self.next_due()].into_iter().flatten().min();
            let message = self.backlog.pop(deadline);
            let is_idle = message.is_none();
            let step = match message {
                Some(Message::Signal(number)) => match self.child.as_ref() {
                    // The command decides; asked twice, it is left alone.
                    Some(child) if child.status.is_none() && !interrupted => {
                        interrupted = true;
                        child.forward(number);
                        Ok(None)
                    }
                    _ => Ok(Some(End::Signal(number))),
                },
                Some(message) => self.take(message),
                None => Ok(None),
            };
            let step = step.and_then(|end| match end {
                Some(end) => Ok(Some(end)),
                None => self.tend(is_idle),
            });
            let step = step.and_then(|end| self.keep().map(|()| end));
            match step {
                Ok(None) if timeout.is_some_and(|timeout| timeout <= Instant::now()) => {
                    break Ok(End::Timeout);
                }
                Ok(None) => {}
                Ok(Some(end)) => break Ok(end),
                Err(error) => break Err(error),
            }
        };
        self.finish(reader, end)
    }

    /// Takes what is still on its way, and ends.
    fn finish(
        mut self,
        reader: Reader,
        end: Result<End, Error>,
    ) -> Result<(Outcome, Option<ExitStatus>), Error> {
        if matches!(end, Ok(End::Timeout)) {
            self.stop_command();
        }
        if !matches!(end, Ok(End::Signal(_))) {
            self.await_command()?;
        }
        // Who asks again does not want what is left.
        signal::restore();
        if end.is_ok() {
            self.probes.repeats()?;
        }
        drop(reader.stop());
        let rest = match &end {
            // Enough is enough.
            Err(_) | Ok(End::Count | End::Closed) => Ok(None),
            Ok(_) => self.drain(),
        };
        let status = self.child.as_ref().and_then(|child| child.status);
        let kept = self.keep();
        let ended = match (end, rest.and_then(|end| kept.map(|()| end))) {
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            (Ok(end), Ok(_)) => Ok(end),
        };
        let ended = match ended {
            Ok(end) => Ok(end),
            Err(Error::Write(error)) => Err(error),
            Err(error) => return Err(error),
        };
        let outcome = self.stream.finish(ended).map_err(Error::Write)?;
        Ok((outcome, status))
    }

    fn drain(&mut self) -> Step {
        while let Some(message) = self.backlog.pop(Some(Instant::now())) {
            // A signal that came just before.
            if matches!(message, Message::Signal(_)) {
                break;
            }
            if let Some(end) = self.take(message)? {
                return Ok(Some(end));
            }
        }
        if self.keeping.is_none() {
            self.table.give_up_before(u64::MAX, &mut self.findings);
            self.tell()?;
        }
        self.losses_due = Instant::now();
        self.repeats_due = self.losses_due;
        self.heal_due = None;
        self.tend(true)
    }

    /// Takes one message.
    fn take(&mut self, message: Message) -> Step {
        match message {
            Message::Records(records) => self.records(records),
            Message::Lost(by_event) => {
                self.lose(Stage::Backlog, None, by_event)?;
                Ok(None)
            }
            Message::Missing { cpu, records: count } => {
                let (stage, by_event) = (Stage::Ring, ByEvent::default());
                self.say_lost(Loss { count, stage, by_event, cpu: Some(cpu.into()) })?;
                self.note(&Note::Missing { cpu, records: count });
                Ok(None)
            }
            Message::Asked(questions) => {
                self.asked += questions;
                Ok(None)
            }
            Message::CommandEnded => {
                if let Some(child) = &mut self.child {
                    child.reap().map_err(Error::Watch)?;
                }
                Ok(None)
            }
            Message::Rest => {
                self.table.give_back();
                self.watch.give_back();
                self.findings = Vec::new();
                memory::give_back_free_pieces();
                Ok(None)
            }
            Message::OutputClosed => Ok(Some(End::Closed)),
            Message::Failed(error) => Err(Error::Watch(error)),
            Message::Signal(number) => Ok(Some(End::Signal(number))),
        }
    }

    fn records(&mut self, records: RecordBuffer) -> Step {
        let was_started = self.started;
        self.stream.set_realtime_offset(clock::realtime_offset());
        for record in records.records() {
            if let Some(overlap) = &mut self.overlap
                && overlap.was_told(&record)
            {
                continue;
            }
            let written = match record {
                Record::Member(member) => Some(member.header.boot_ns),
                Record::End(end) => Some(end.header.boot_ns),
                _ => None,
            };
            if written.is_some_and(|written| written < self.walk_began) {
                // Of a snapshot that was given up, maybe by another process.
                continue;
            }
            if !self.checked
                && let Record::Member(member) = record
                && is_self(&member.task)
            {
                self_check(&member.task)?;
                self.checked = true;
                self.stream.scope.set_root(member.task.pid);
            }
            if let Record::Lost(lost) = record {
                let cpu = lost.header.cpu;
                let by_event = self.losses.learn(cpu, &lost.lost);
                self.lose(Stage::Ring, Some(cpu.into()), by_event)?;
            }
            let end = self.table.apply(&record, &mut self.world, &mut self.findings);
            if let Some(end) = end
                && !self.goes_on()?
            {
                self.table.end_walk(end.header.boot_ns, end.cut != 0);
                self.walked()?;
            }
            self.tell()?;
            if self.stream.is_full() {
                return Ok(Some(End::Count));
            }
        }
        let unheard = self.table.take_unheard();
        if unheard.sum() != 0 {
            self.lose(Stage::Backlog, None, unheard)?;
        }
        let is_start = !was_started && self.started;
        self.note_records(&records);
        if is_start {
            // Whoever sees the start can rely on what comes after it.
            self.keep()?;
        }
        let latest = records.headers().last().map_or(0, |header| header.boot_ns);
        self.overlap.take_if(|overlap| overlap.is_over(latest));
        self.backlog.recycle(records);
        Ok(None)
    }

    /// Sends what was found; before the first `sync` nothing is told.
    fn tell(&mut self) -> Result<(), Error> {
        if !self.started {
            self.findings.clear();
        }
        for finding in self.findings.drain(..) {
            self.stream.find(finding, &self.table).map_err(Error::Write)?;
        }
        Ok(())
    }

    /// A snapshot is complete.
    fn walked(&mut self) -> Result<(), Error> {
        if !self.checked {
            let what = "the snapshot of all tasks has not met this process".to_owned();
            return Err(probe::Error::SelfCheck(what).into());
        }
        self.relate()?;
        let reason = match (self.started, std::mem::take(&mut self.is_resuming)) {
            (false, _) => Reason::Start,
            (true, false) => Reason::Lost,
            (true, true) => Reason::Resume,
        };
        if let Some(keeping) = &mut self.keeping {
            keeping.renew();
        }
        if self.started {
            let quiet = u64::try_from(health::QUIET.as_nanos()).unwrap_or(u64::MAX);
            let old = clock::boot_ns().saturating_sub(quiet);
            self.table.give_up_before(old, &mut self.findings);
            self.tell()?;
            self.bury_all()?;
            self.relate()?;
        }
        self.findings.clear();
        self.learn_for_rules();
        self.stream.meet(&self.table);
        match reason {
            Reason::Start => {
                self.stream.scope.begin(self.table.tasks()).map_err(Error::NoProcess)?;
            }
            Reason::Lost | Reason::Resume => self.stream.scope.reconcile(self.table.tasks()),
        }
        self.started = true;
        let now = clock::boot_ns();
        let body = Body::Sync(Sync { reason, host: self.host() });
        self.findings.push(Finding { boot_ns: now, source: Source::Probe, body, row: None });
        let moved = self.table.take_moved();
        let shown = match reason {
            Reason::Lost | Reason::Resume => {
                let mut shown = self.table.untold();
                for id in moved {
                    if !shown.contains(&id) {
                        shown.push(id);
                    }
                }
                shown
            }
            Reason::Start if self.options.snapshot => self.table.rows().map(|(id, _)| id).collect(),
            Reason::Start => Vec::new(),
        };
        for id in shown {
            self.table.exists(id, now, &mut self.findings);
        }
        self.table.all_told();
        self.tell()?;
        self.learn_all();
        if reason != Reason::Start || self.keeping.is_none() {
            self.stream.flush().map_err(Error::Write)?;
        }
        if reason == Reason::Start {
            self.start_command()?;
        }
        Ok(())
    }

    fn host(&self) -> Host {
        Host {
            name: host::name(),
            boot_id: host::boot_id(),
            kernel: host::kernel(),
            backend: self.probes.backend().name().to_owned(),
        }
    }

    /// Does what is due between records.
    fn tend(&mut self, is_idle: bool) -> Step {
        self.go_on()?;
        if !self.started {
            let late = Instant::now() >= self.walk_ends;
            return if late { self.walk().map(|()| None) } else { Ok(None) };
        }
        self.relate()?;
        self.bury()?;
        let now = Instant::now();
        self.care(now, is_idle)?;
        self.learn(is_idle);
        self.stream.flush().map_err(Error::Write)?;
        self.answer()?;
        if !self.show(now) {
            return Ok(Some(End::Closed));
        }
        Ok(self.tree_is_over(now).then_some(End::Source))
    }

    /// Shows the table, if that is due; false if nobody wants to see it any more.
    fn show(&mut self, now: Instant) -> bool {
        let Some(viewer) = self.options.viewer.as_mut().filter(|_| self.picture_due <= now) else {
            return true;
        };
        self.picture_due = now + viewer.every;
        let picture = answer::picture(&mut self.table, &self.stream);
        (viewer.show)(picture)
    }

    /// When something is due without any message.
    fn next_due(&self) -> Option<Instant> {
        let keeping = self.keeping.as_ref();
        let keeping = keeping.filter(|keeping| keeping.is_pending() || self.is_rest_due);
        let settle = keeping.map(|_| Instant::now() + keep::SETTLE);
        if !self.started {
            return [Some(self.walk_ends), settle].into_iter().flatten().min();
        }
        let child = self.child.as_ref().and_then(|child| child.deadline);
        let walk = self.table.is_walking().then_some(self.walk_ends);
        let picture = self.options.viewer.as_ref().map(|_| self.picture_due);
        let learn = (!self.unlearned.is_empty()).then(Instant::now);
        let repeats = Some(self.repeats_due);
        [self.watch.next(), self.heal_due, walk, child, picture, settle, learn, repeats]
            .into_iter()
            .flatten()
            .min()
    }
}

/// Whether the numbers of processes are the kernel's own.
fn is_in_initial_pid_namespace() -> bool {
    own_namespace("pid").is_ok_and(|inode| initial_namespace("pid") == Some(inode))
}

/// Whether a task is this one: threads and namespaces apart, numbers are unique.
fn is_self(task: &Task) -> bool {
    let pid = own_namespace("pid");
    let slot = task.slot(Slot::Pid);
    task.vpid == process::id() && pid.is_ok_and(|inode| inode == slot.inode)
}
