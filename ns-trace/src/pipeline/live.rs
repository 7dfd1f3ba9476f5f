//! The running kernel as a source of events.

use std::{
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    process::{self, ExitStatus},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ns_trace_common::inspect::{ALIVE, Inspect, RELATIVES};

use super::{Outcome, Stream, stream::End, watch::Watch};
use crate::{
    enrich::{Cgroups, running},
    model::event::{Body, ByEvent, Host, Loss, Lost, Reason, Source, Stage, Sync},
    probe::{
        self, Backend, Loaded, Options, Probes, Record, RecordBuffer,
        backlog::{Backlog, Message},
        reader::{Listen, Reader},
        self_check,
    },
    sys::{clock, host, signal},
    table::{Births, Finding, Program, RowId, Surroundings, Table},
};

/// How often the counters of losses are read while records come.
const LOSSES: Duration = Duration::from_millis(100);
/// How long there must be no loss before the snapshot that heals it: one taken in the middle would
/// be lost as well.
const QUIET: Duration = Duration::from_millis(200);
/// How long that can put the snapshot off: where something is always lost, it must do.
const UNQUIET: Duration = Duration::from_secs(1);
/// How long a snapshot may take; its end mark is lost if the ring is full.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the namespaces of a command are waited for when its last process has ended.
const AFTERMATH: Duration = Duration::from_millis(500);

/// Why a live stream broke off.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The probes.
    #[error(transparent)]
    Probe(#[from] probe::Error),
    /// The output.
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
    /// The ring, signals or a thread.
    #[error("cannot watch the ring: {0}")]
    Watch(#[source] io::Error),
    /// A process to trace does not exist.
    #[error("there is no process {0}")]
    NoProcess(u32),
    /// The command could not be started.
    #[error("cannot run `{command}`: {source}")]
    Command {
        /// Its name.
        command: String,
        /// Why.
        source: io::Error,
    },
}

/// How to trace.
#[derive(Debug)]
pub struct LiveOptions {
    /// How to load the probes.
    pub probes: Options,
    /// The most bytes of records that wait to be written.
    pub backlog_bytes: usize,
    /// Whether what exists at the start is told.
    pub snapshot: bool,
    /// How long to trace; `None` is without end.
    pub timeout: Option<Duration>,
    /// A command to run; the stream ends with its tree.
    pub command: Option<Command>,
    /// Where events are written, to notice that nobody reads them any more.
    pub output: Option<OwnedFd>,
}

/// A command to run.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program, looked up in PATH.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<std::ffi::OsString>,
}

/// Traces until told to end; returns what came of the command too.
///
/// # Errors
///
/// If the probes cannot run here, the command not be started, or the output not be written.
pub fn run_live(
    mut options: LiveOptions,
    mut stream: Stream,
) -> Result<(Outcome, Option<ExitStatus>), Error> {
    // Before anything that must not be left half-done.
    let signals = signal::ending().map_err(Error::Watch)?;
    let Loaded { mut probes, ring } = Probes::load(&options.probes)?;
    let births = match probes.backend() {
        Backend::Fentry => Births::Recorded,
        Backend::Tracepoint => Births::Derived,
    };
    let derives = births == Births::Derived;
    let backlog = Arc::new(Backlog::new(options.backlog_bytes, derives));
    let listen = Listen { signals: Some(signals), output: options.output.take() };
    let reader = Reader::start(ring, Arc::clone(&backlog), listen).map_err(Error::Watch)?;
    if is_in_initial_pid_namespace() {
        // Else the snapshot tells; it may be lost where the ring is small.
        stream.scope.set_root(process::id());
    }
    let mut table = Table::new(births, stream.needs_tasks());
    table.begin_walk(clock::boot_ns());
    probes.attach()?;
    probes.snapshot()?;
    let live = Live {
        options,
        probes,
        backlog,
        table,
        world: World { cgroups: Cgroups::new() },
        watch: Watch::default(),
        stream,
        findings: Vec::new(),
        losses_due: Instant::now(),
        heal_due: None,
        unhealed: None,
        walk_ends: Instant::now() + PATIENCE,
        started: false,
        child: None,
    };
    live.run(reader)
}

/// A stream under way.
struct Live {
    options: LiveOptions,
    probes: Probes,
    backlog: Arc<Backlog>,
    table: Table,
    world: World,
    watch: Watch,
    stream: Stream,
    findings: Vec<Finding>,
    losses_due: Instant,
    /// When to take the snapshot that heals a loss.
    heal_due: Option<Instant>,
    /// When the first loss since the last snapshot was noticed.
    unhealed: Option<Instant>,
    /// When to give the snapshot under way up.
    walk_ends: Instant,
    /// Whether the first `sync` is out.
    started: bool,
    child: Option<Child>,
}

/// The running command.
struct Child {
    pid: u32,
    status: Option<ExitStatus>,
    waiter: Option<thread::JoinHandle<io::Result<ExitStatus>>>,
    /// When the wait for the tree's last namespaces ends.
    deadline: Option<Instant>,
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
            let step = match message {
                Some(Message::Signal(number)) => match self.child.as_ref() {
                    // The command decides; asked twice, it is left alone.
                    Some(child) if child.status.is_none() && !interrupted => {
                        interrupted = true;
                        // Ctrl-C reaches it from the terminal already.
                        if number != signal::INTERRUPT {
                            signal::forward(child.pid, number);
                        }
                        Ok(None)
                    }
                    _ => Ok(Some(End::Signal(number))),
                },
                Some(message) => self.take(message),
                None => Ok(None),
            };
            let step = step.and_then(|end| match end {
                Some(end) => Ok(Some(end)),
                None => self.tend(),
            });
            match step {
                Ok(None) if timeout.is_some_and(|timeout| timeout <= Instant::now()) => {
                    // As timeout(1) ends it.
                    if let Some(child) = self.child.as_ref().filter(|child| child.status.is_none())
                    {
                        signal::forward(child.pid, signal::TERMINATE);
                    }
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
        // Who asks again does not want what is left.
        signal::restore();
        drop(reader.stop());
        let rest = match &end {
            // Enough is enough.
            Err(_) | Ok(End::Count | End::Closed) => Ok(None),
            Ok(_) => self.drain(),
        };
        let status = self.child.as_ref().and_then(|child| child.status);
        let ended = match (end, rest) {
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
        self.losses_due = Instant::now();
        self.heal_due = None;
        self.tend()
    }

    /// Takes one message.
    fn take(&mut self, message: Message) -> Step {
        match message {
            Message::Records(records) => self.records(records),
            Message::Lost(by_event) => {
                self.lose(Stage::Backlog, None, by_event)?;
                Ok(None)
            }
            Message::CommandEnded => {
                if let Some(child) = &mut self.child
                    && let Some(waiter) = child.waiter.take()
                {
                    let status = waiter.join().map_err(|_| io::Error::other("waiting failed"));
                    child.status = Some(status.flatten().map_err(Error::Watch)?);
                }
                Ok(None)
            }
            Message::OutputClosed => Ok(Some(End::Closed)),
            Message::Failed(error) => Err(Error::Watch(error)),
            Message::Signal(number) => Ok(Some(End::Signal(number))),
        }
    }

    fn records(&mut self, records: RecordBuffer) -> Step {
        self.stream.set_realtime_offset(clock::realtime_offset());
        for record in records.records() {
            if !self.started
                && let Record::Member(member) = record
                && is_self(&member.task)
            {
                self_check(&member.task)?;
                self.stream.scope.set_root(member.task.pid);
            }
            let end = self.table.apply(&record, &mut self.world, &mut self.findings);
            if end.is_some() {
                self.walked()?;
            }
            self.tell()?;
            if self.stream.is_full() {
                return Ok(Some(End::Count));
            }
        }
        self.backlog.recycle(records);
        Ok(None)
    }

    /// Sends what was found; before the first `sync` nothing is told.
    fn tell(&mut self) -> Result<(), Error> {
        if !self.started {
            self.findings.clear();
        }
        for finding in self.findings.drain(..) {
            self.stream.find(finding).map_err(Error::Write)?;
        }
        Ok(())
    }

    /// A snapshot is complete.
    fn walked(&mut self) -> Result<(), Error> {
        let strangers = self.relate()?;
        let reason = if self.started { Reason::Lost } else { Reason::Start };
        if self.started {
            self.tell()?;
            self.bury_all()?;
        }
        self.findings.clear();
        match reason {
            Reason::Start => {
                self.stream.scope.begin(self.table.tasks()).map_err(Error::NoProcess)?;
            }
            Reason::Lost => self.stream.scope.reconcile(self.table.tasks()),
        }
        self.started = true;
        let now = clock::boot_ns();
        let body = Body::Sync(Sync { reason, host: self.host() });
        self.findings.push(Finding { boot_ns: now, source: Source::Probe, body, row: None });
        let shown = match reason {
            Reason::Lost => strangers,
            Reason::Start if self.options.snapshot => self.table.rows().map(|(id, _)| id).collect(),
            Reason::Start => Vec::new(),
        };
        for id in shown {
            self.table.exists(id, now, &mut self.findings);
        }
        self.tell()?;
        self.stream.flush().map_err(Error::Write)?;
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

    /// Finds owner and parent of the namespaces whose birth was not seen; returns all of them.
    fn relate(&mut self) -> Result<Vec<RowId>, Error> {
        let mut all = Vec::new();
        loop {
            // Owners and parents may be strangers themselves.
            let strangers = self.table.take_strangers();
            if strangers.is_empty() {
                return Ok(all);
            }
            for (id, answer) in self.inspect(&strangers, RELATIVES)? {
                self.table.relate(id, &answer.owner, &answer.parent);
            }
            all.extend(strangers);
        }
    }

    /// Asks the kernel about namespaces.
    fn inspect(&mut self, ids: &[RowId], want: u32) -> Result<Vec<(RowId, Inspect)>, Error> {
        let asked: Vec<_> = ids
            .iter()
            .filter_map(|id| {
                let row = self.table.row(*id)?;
                let kind = row.kind as u32;
                Some((*id, Inspect { ns: row.ns, kind, want, ..Inspect::default() }))
            })
            .collect();
        let mut questions: Vec<_> = asked.iter().map(|(_, question)| *question).collect();
        self.probes.inspect(&mut questions)?;
        Ok(asked.into_iter().map(|(id, _)| id).zip(questions).collect())
    }

    /// Looks at namespaces without tasks and tells of those that are gone.
    fn bury(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let orphans = self.table.take_orphans();
        if self.probes.backend() == Backend::Fentry {
            // Deaths have records of their own.
            return Ok(());
        }
        for id in orphans {
            self.watch.add(id, now);
        }
        let mut due = self.watch.due(now);
        due.retain(|id| {
            let is_empty = self.table.row(*id).is_some_and(|row| row.members == 0);
            if !is_empty {
                self.watch.forget(*id);
            }
            is_empty
        });
        if due.is_empty() {
            return Ok(());
        }
        let boot_ns = clock::boot_ns();
        for (id, answer) in self.inspect(&due, ALIVE)? {
            if answer.alive == 0 {
                self.watch.forget(id);
                self.table.died(id, boot_ns, &mut self.findings);
            } else {
                self.watch.again(id, now);
            }
        }
        self.tell()
    }

    /// After a loss: looks at every namespace, whoever is thought to be in it.
    fn bury_all(&mut self) -> Result<(), Error> {
        let all: Vec<_> = self.table.rows().map(|(id, _)| id).collect();
        let boot_ns = clock::boot_ns();
        for (id, answer) in self.inspect(&all, ALIVE)? {
            if answer.alive == 0 {
                self.table.died(id, boot_ns, &mut self.findings);
            }
        }
        self.tell()
    }

    /// Does what is due between records.
    fn tend(&mut self) -> Step {
        if !self.started {
            let late = Instant::now() >= self.walk_ends;
            return if late { self.walk().map(|()| None) } else { Ok(None) };
        }
        self.relate()?;
        self.bury()?;
        let now = Instant::now();
        if now >= self.losses_due {
            self.losses_due = now + LOSSES;
            for (cpu, by_event) in self.probes.losses()? {
                self.lose(Stage::Ring, Some(cpu), by_event)?;
            }
        }
        if self.table.is_walking() && now >= self.walk_ends {
            self.heal_due = Some(now);
        }
        if self.heal_due.is_some_and(|due| due <= now) {
            self.heal_due = None;
            self.walk()?;
        }
        self.stream.flush().map_err(Error::Write)?;
        Ok(self.tree_is_over(now).then_some(End::Source))
    }

    /// Takes a snapshot.
    fn walk(&mut self) -> Result<(), Error> {
        self.unhealed = None;
        self.table.begin_walk(clock::boot_ns());
        self.walk_ends = Instant::now() + PATIENCE;
        Ok(self.probes.snapshot()?)
    }

    /// Says what is missing, and has the table healed.
    fn lose(&mut self, stage: Stage, cpu: Option<u32>, by_event: ByEvent) -> Result<(), Error> {
        let by_event = self.stream.missed(by_event);
        let now = Instant::now();
        let latest = *self.unhealed.get_or_insert(now) + UNQUIET;
        self.heal_due = Some((now + QUIET).min(latest));
        if by_event.sum() == 0 {
            return Ok(());
        }
        let body = Body::Lost(Lost { lost: Loss { count: by_event.sum(), stage, by_event, cpu } });
        let boot_ns = clock::boot_ns();
        self.findings.push(Finding { boot_ns, source: Source::Probe, body, row: None });
        self.tell()
    }

    /// When something is due without any message.
    fn next_due(&self) -> Option<Instant> {
        if !self.started {
            return Some(self.walk_ends);
        }
        let child = self.child.as_ref().and_then(|child| child.deadline);
        let walk = self.table.is_walking().then_some(self.walk_ends);
        [self.watch.next(), self.heal_due, walk, child, Some(self.losses_due + 9 * LOSSES)]
            .into_iter()
            .flatten()
            .min()
    }

    fn start_command(&mut self) -> Result<(), Error> {
        let Some(command) = self.options.command.take() else { return Ok(()) };
        let mut child = process::Command::new(&command.program)
            .args(&command.args)
            .spawn()
            .map_err(|source| {
                let command = command.program.display().to_string();
                Error::Command { command, source }
            })?;
        let backlog = Arc::clone(&self.backlog);
        let pid = child.id();
        let waiter = thread::Builder::new().name("command".to_owned()).spawn(move || {
            let status = child.wait();
            backlog.push(Message::CommandEnded);
            status
        });
        let waiter = Some(waiter.map_err(Error::Watch)?);
        self.child = Some(Child { pid, status: None, waiter, deadline: None });
        Ok(())
    }

    /// Whether the command and all that it started have ended, and their namespaces too or for
    /// long enough.
    fn tree_is_over(&mut self, now: Instant) -> bool {
        let Some(child) = &mut self.child else { return false };
        if child.status.is_none() || !self.stream.scope.has_ended() {
            return false;
        }
        if !self.stream.scope.has_namespaces() {
            return true;
        }
        *child.deadline.get_or_insert(now + AFTERMATH) <= now
    }
}

/// Whether the numbers of processes are the kernel's own (`PROC_PID_INIT_INO` of
/// `include/linux/proc_ns.h`).
fn is_in_initial_pid_namespace() -> bool {
    const INITIAL: u32 = 0xefff_fffc;
    crate::sys::process::own_namespace("pid").is_ok_and(|inode| inode == INITIAL)
}

/// Whether a task is this one: threads and namespaces apart, numbers are unique.
fn is_self(task: &ns_trace_common::Task) -> bool {
    let pid = crate::sys::process::own_namespace("pid");
    let slot = task.slot(ns_trace_common::Slot::Pid);
    task.vpid == process::id() && pid.is_ok_and(|inode| inode == slot.inode)
}

/// What the machine knows beyond the records.
#[derive(Debug)]
struct World {
    cgroups: Cgroups,
}

impl Surroundings for World {
    fn cgroup(&mut self, id: u64) -> Option<(Arc<str>, bool)> {
        self.cgroups.path(id)
    }

    fn program(&mut self, pid: u32) -> Option<Program> {
        let found = running(pid, ns_trace_common::exec::ARGS_LEN)?;
        Some(Program::new(found.exe.as_deref(), Some(&found.args), found.truncated))
    }
}
