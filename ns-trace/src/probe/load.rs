//! The probes, loaded and attached.

use std::{
    io::{self, Read as _},
    os::fd::{AsFd as _, OwnedFd},
    path::PathBuf,
    sync::Arc,
    thread,
};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader, RawTracePointRunOptions, TestRun as _,
    maps::{HashMap, Map, MapData, MapError, RingBuf},
    programs::{FEntry, FExit, Iter, Program, ProgramError, ProgramFd, RawTracePoint},
    util::nr_cpus,
};
use bytemuck::Pod;
use ns_trace_common::{
    ABSENT, Births, Due, Slot, Task,
    inspect::{BATCH, Inspect},
    lost::Ledger,
    repeat::Thread,
    snapshot::TIDS,
};

use super::{
    abilities::Abilities,
    fprobe, losses,
    misses::Misses,
    offsets::{self, KERNEL_BTF, Layout},
    plan::{Backend, Hook, HookKind, Obstacle, Plan, obstacle},
};
use crate::{
    model::event::ByEvent,
    sys::{
        bpf, cgroup, host, mapping::Mapping, process, setting::MemoryLockLift, tracefs::Tracefs,
    },
};

/// The compiled probes; ns-trace/build.rs puts them there.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ns-trace-ebpf.o"));

/// The first kernel that has all that the probes call: with the ring (5.8), `bpf_ktime_get_boot_ns`
/// (5.8) and programs of tracepoints that userspace runs (5.10).
const OLDEST: (u32, u32) = (5, 10);

/// How many calls that make namespaces may be under way at once.
const CALLS: u32 = 8192;

/// Why the probes are not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel is older than the first that has all that the probes call.
    #[error(
        "Linux {0} is too old: BPF has had ring buffers and all else that the probes use since Linux 5.10"
    )]
    Old(String),
    /// The kernel's types are unknown.
    #[error(transparent)]
    Offsets(#[from] offsets::Error),
    /// What the offsets say is not what /proc says.
    #[error("the kernel's BTF does not describe the running kernel: {0}")]
    SelfCheck(String),
    /// The backend asked for cannot run here.
    #[error("the {backend} backend cannot run here: {obstacle}")]
    Unavailable {
        /// The backend.
        backend: Backend,
        /// Why.
        obstacle: Obstacle,
    },
    /// No backend can run here.
    #[error("no backend can run here: {0}")]
    NoBackend(String),
    /// The object could not be loaded.
    #[error("cannot load the probes: {0}")]
    Object(#[from] EbpfError),
    /// A program was refused.
    #[error("the kernel refuses the probe `{program}`: {}", reason(source))]
    Program {
        /// The program's name.
        program: &'static str,
        /// Why.
        source: ProgramError,
    },
    /// A map is not as expected.
    #[error("cannot use the map `{name}`: {source}")]
    Map {
        /// The map's name.
        name: &'static str,
        /// Why.
        source: MapError,
    },
    /// The object lacks a part.
    #[error("the probes lack `{0}`")]
    Part(&'static str),
    /// Something else that attaching needs.
    #[error("cannot attach `{hook}`: {source}")]
    Attach {
        /// The tracepoint or function.
        hook: &'static str,
        /// Why.
        source: io::Error,
    },
    /// How many CPUs there are is unknown.
    #[error("cannot tell how many CPUs there are: {0}")]
    Cpus(#[source] io::Error),
    /// The kernel refuses what a single look needs.
    #[error("the kernel refuses {what}: {source}")]
    Refused {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The memory of a map could not be mapped.
    #[error("cannot map memory: {0}")]
    Mapping(#[source] io::Error),
}

/// Why a program was refused, in one line: the verifier's last word stands for its whole log.
fn reason(error: &ProgramError) -> String {
    let ProgramError::LoadError { io_error, verifier_log } = error else {
        return error.to_string();
    };
    let log = verifier_log.to_string();
    match last_word(&log) {
        Some(word) => format!("{io_error}: {word}"),
        None => io_error.to_string(),
    }
}

/// The line with which the verifier ends, before it says how much work it had.
fn last_word(log: &str) -> Option<&str> {
    const FIGURES: [&str; 3] = ["verification time ", "stack depth ", "processed "];
    let is_word =
        |line: &&str| !line.is_empty() && !FIGURES.iter().any(|figure| line.starts_with(figure));
    log.lines().map(str::trim).rfind(is_word)
}

/// How to load.
#[derive(Clone, Debug)]
pub struct Options {
    /// The backend; `None` takes the best that runs here.
    pub backend: Option<Backend>,
    /// Bytes of the ring, a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// The kernel's BTF; `None` takes the kernel's own.
    pub btf: Option<PathBuf>,
}

/// The probes.
pub struct Probes {
    ebpf: Ebpf,
    /// The programs that hang on fprobe.
    returns: fprobe::Programs,
    plan: Plan,
    misses: Misses,
    ledgers: Arc<Mapping<Ledger>>,
    questions: Mapping<Inspect>,
    met: Mapping<u64>,
    /// Only its keys are of interest.
    repeats: HashMap<MapData, u32, [u64; size_of::<Thread>() / 8]>,
    /// Links that aya does not know of.
    links: Vec<OwnedFd>,
}

/// The probes and the ring that they write to.
pub struct Loaded {
    /// The probes.
    pub probes: Probes,
    /// The ring.
    pub ring: RingBuf<MapData>,
}

impl Probes {
    /// Loads the probes; nothing is attached yet.
    ///
    /// # Errors
    ///
    /// If this kernel cannot run them; see [`Error`].
    pub fn load(options: &Options) -> Result<Loaded, Error> {
        if host::version().is_some_and(|version| version < OLDEST) {
            return Err(Error::Old(host::kernel()));
        }
        let _lift = MemoryLockLift::new();
        let path = options.btf.clone().unwrap_or_else(|| KERNEL_BTF.into());
        // Both read the kernel's whole BTF, which is most of the time that starting takes.
        let (layout, mut loader) = thread::scope(|scope| {
            let layout = scope.spawn(|| Layout::read(&path, &Plan::functions()));
            let loader = EbpfLoader::new();
            (layout.join(), loader)
        });
        let layout = layout.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let abilities = Abilities::ask();
        let backend = choose(options.backend, &layout, &abilities)?;
        let plan = Plan::new(backend, &layout, &abilities);
        let births = plan.births as u32;
        let legacy = legacy_state(&layout);
        let constants = [("BIRTHS", births.to_ne_bytes()), ("LEGACY", legacy.to_ne_bytes())];
        loader.override_global("HELPERS", bytemuck::bytes_of(&abilities.helpers), true);
        Self::load_plan(plan, &layout, &constants, loader, options)
    }

    fn load_plan<'a>(
        plan: Plan,
        layout: &'a Layout,
        constants: &'a [(&'static str, [u8; 4])],
        mut loader: EbpfLoader<'a>,
        options: &Options,
    ) -> Result<Loaded, Error> {
        let cpus = nr_cpus().map_err(|(_, source)| Error::Cpus(source))?;
        let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
        let completes = plan.births == Births::Completed;
        loader
            .btf(None)
            .override_global("OFFSETS", bytemuck::bytes_of(&layout.offsets), true)
            .map_max_entries("EVENTS", options.ring_bytes)
            .map_max_entries("LEDGERS", cpus)
            .map_max_entries("BORN", if completes { CALLS } else { 1 });
        for (name, value) in constants {
            loader.override_global(name, value, true);
        }
        let mut ebpf = loader.load(OBJECT)?;
        // aya's own reader of the kernel's BTF is slow, and only programs on functions need it.
        let needs_btf = plan.hooks.iter().any(|hook| hook.kind.is_tracing());
        let btf = needs_btf.then(Btf::from_sys_fs).transpose().map_err(EbpfError::from)?;
        let mut returns = Vec::new();
        for hook in &plan.hooks {
            if let HookKind::Fprobe(_) = hook.kind {
                returns.push(*hook);
                continue;
            }
            let program = ebpf.program_mut(hook.program).ok_or(Error::Part(hook.program))?;
            load_program(hook, program, btf.as_ref())
                .map_err(|source| Error::Program { program: hook.program, source })?;
        }
        let returns = fprobe::load(OBJECT, &returns, &ebpf)
            .map_err(|source| Error::Attach { hook: "fprobe", source })?;
        let ring = take_map(&mut ebpf, "EVENTS", RingBuf::try_from)?;
        let ledgers = Arc::new(take_mapping(&mut ebpf, "LEDGERS", cpus)?);
        let questions = take_mapping(&mut ebpf, "INSPECT", BATCH)?;
        let repeats = take_map(&mut ebpf, "REPEATS", HashMap::try_from)?;
        let met = take_mapping(&mut ebpf, "MET", TIDS / u64::BITS)?;
        let misses = Misses::default();
        let probes = Self {
            ebpf,
            returns,
            plan,
            misses,
            ledgers,
            questions,
            met,
            repeats,
            links: Vec::new(),
        };
        Ok(Loaded { probes, ring })
    }

    /// The backend in use.
    #[must_use]
    pub const fn backend(&self) -> Backend {
        self.plan.backend
    }

    /// Attaches every probe of the plan. They are detached when `self` is dropped, and by the
    /// kernel if the process dies.
    ///
    /// # Errors
    ///
    /// If the kernel refuses one; those attached before it are detached with `self`.
    pub fn attach(&mut self) -> Result<(), Error> {
        let is_in_tracefs = |hook: &Hook| matches!(hook.kind, HookKind::Tracepoint(..));
        let tracefs = if self.plan.hooks.iter().any(is_in_tracefs) {
            Some(Tracefs::open().map_err(|source| Error::Attach { hook: "tracefs", source })?)
        } else {
            None
        };
        for hook in &self.plan.hooks {
            if let HookKind::Fprobe(name) = hook.kind {
                let program = self.returns.get(hook.program).ok_or(Error::Part(hook.program))?;
                let link = bpf::attach_fprobe(program.as_fd(), name);
                self.links.push(link.map_err(|source| Error::Attach { hook: name, source })?);
                continue;
            }
            let program = self.ebpf.program_mut(hook.program).ok_or(Error::Part(hook.program))?;
            let refused = |source| Error::Program { program: hook.program, source };
            match (hook.kind, program) {
                (HookKind::RawTracepoint(name), Program::RawTracePoint(program)) => {
                    program.attach(name).map(drop).map_err(refused)?;
                }
                (HookKind::Tracepoint(category, name), Program::TracePoint(program)) => {
                    let tracefs = tracefs.as_ref().ok_or(Error::Part("tracefs"))?;
                    let event = tracefs.id(category, name).and_then(bpf::open_tracepoint);
                    let link = event
                        .and_then(|event| link(event, program.fd()))
                        .map_err(|source| Error::Attach { hook: name, source })?;
                    self.links.push(link);
                }
                (
                    kind @ (HookKind::Kprobe(name) | HookKind::Kretprobe(name)),
                    Program::KProbe(program),
                ) => {
                    let is_return = matches!(kind, HookKind::Kretprobe(_));
                    let link = bpf::open_kprobe(name, is_return)
                        .and_then(|event| link(event, program.fd()))
                        .map_err(|source| Error::Attach { hook: name, source })?;
                    self.links.push(link);
                }
                (HookKind::Entry(_), Program::FEntry(program)) => {
                    program.attach().map(drop).map_err(refused)?;
                }
                (HookKind::Return(_), Program::FExit(program)) => {
                    program.attach().map(drop).map_err(refused)?;
                }
                (HookKind::Iterator(_) | HookKind::OnDemand, _) => {}
                _ => return Err(Error::Part(hook.program)),
            }
        }
        Ok(())
    }

    /// Walks all tasks; their records and an end mark appear in the ring.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to run the program.
    pub fn snapshot(&mut self) -> Result<(), Error> {
        self.met.elements().fill(0);
        self.rest_of_snapshot()
    }

    /// Walks the tasks that the walk has not met yet: those for which there was no room in the ring,
    /// as [`lost_members`](Self::lost_members) tells.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to run the program.
    pub fn rest_of_snapshot(&mut self) -> Result<(), Error> {
        for hook in &self.plan.hooks {
            if let HookKind::Iterator(_) = hook.kind {
                return iterate(&mut self.ebpf, hook.program);
            }
        }
        run(&mut self.ebpf, "snapshot", &[])
    }

    /// Answers questions about namespaces, in place and in batches.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to run the program.
    pub fn inspect(&mut self, questions: &mut [Inspect]) -> Result<(), Error> {
        for batch in questions.chunks_mut(BATCH as usize) {
            let shared = self.questions.elements();
            shared.iter_mut().zip(&*batch).for_each(|(shared, question)| *shared = *question);
            if self.plan.hooks.iter().any(|hook| hook.program == "inspect") {
                run(&mut self.ebpf, "inspect", &[batch.len() as u64])?;
            } else {
                for question in 0..batch.len() as u64 {
                    run(&mut self.ebpf, "inspect_one", &[question])?;
                }
            }
            let answers = self.questions.elements();
            batch.iter_mut().zip(answers).for_each(|(question, answer)| *question = *answer);
        }
        Ok(())
    }

    /// Has what was counted instead of told be told in the ring.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to run the program.
    pub fn repeats(&mut self) -> Result<(), Error> {
        let tids: Result<Vec<u32>, _> = self.repeats.keys().collect();
        for tid in tids.map_err(|source| Error::Map { name: "REPEATS", source })? {
            run(&mut self.ebpf, "repeats", &[tid.into()])?;
        }
        Ok(())
    }

    /// What was missed since the last call because the kernel did not run a probe, each run as one
    /// event.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell.
    pub fn missed(&mut self) -> Result<ByEvent, Error> {
        let misses = self.misses.look(&self.plan, &self.ebpf, &self.returns, &self.ledgers);
        misses.map_err(|source| Error::Program { program: "all", source })
    }

    /// How many rows of snapshots were lost so far.
    #[must_use]
    pub fn lost_members(&self) -> u64 {
        losses::counters(&self.ledgers)
            .map(|counts| counts.get(Due::MEMBER as usize).copied().unwrap_or(0))
            .sum()
    }

    /// What each CPU counts as lost.
    #[must_use]
    pub const fn ledgers(&self) -> &Arc<Mapping<Ledger>> {
        &self.ledgers
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        // The kernel takes some 60 ms for each of these, waiting for readers: let them wait together.
        thread::scope(|scope| {
            for link in self.links.drain(..) {
                scope.spawn(|| drop(link));
            }
        });
    }
}

/// The backend asked for, or the first that runs here.
fn choose(
    wanted: Option<Backend>,
    layout: &Layout,
    abilities: &Abilities,
) -> Result<Backend, Error> {
    if let Some(backend) = wanted {
        return match obstacle(backend, layout, abilities) {
            None => Ok(backend),
            Some(obstacle) => Err(Error::Unavailable { backend, obstacle }),
        };
    }
    let mut reasons = Vec::new();
    for backend in Backend::ALL {
        match obstacle(backend, layout, abilities) {
            None => return Ok(backend),
            Some(obstacle) => reasons.push(format!("{backend}: {obstacle}")),
        }
    }
    Err(Error::NoBackend(reasons.join("; ")))
}

/// Where in a `css_set` the state of the controller is that shows containers of cgroup version 1.
fn legacy_state(layout: &Layout) -> u32 {
    let Some(legacy) = cgroup::legacy() else { return ABSENT };
    let mut controllers = layout.controllers.iter();
    let found = controllers.find(|(name, _)| name == legacy.controller);
    found.map_or(ABSENT, |(_, offset)| *offset)
}

fn load_program(hook: &Hook, program: &mut Program, btf: Option<&Btf>) -> Result<(), ProgramError> {
    match (hook.kind, program, btf) {
        (_, Program::RawTracePoint(program), _) => program.load(),
        (_, Program::TracePoint(program), _) => program.load(),
        (_, Program::KProbe(program), _) => program.load(),
        (HookKind::Entry(function), Program::FEntry(program), Some(btf)) => {
            FEntry::load(program, function, btf)
        }
        (HookKind::Return(function), Program::FExit(program), Some(btf)) => {
            FExit::load(program, function, btf)
        }
        (HookKind::Iterator(sort), Program::Iter(program), Some(btf)) => program.load(sort, btf),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

fn link(event: OwnedFd, program: Result<&ProgramFd, ProgramError>) -> io::Result<OwnedFd> {
    let program = program.map_err(io::Error::other)?;
    bpf::attach_perf_event(program.as_fd(), event)
}

fn take_map<T>(
    ebpf: &mut Ebpf,
    name: &'static str,
    open: impl FnOnce(Map) -> Result<T, MapError>,
) -> Result<T, Error> {
    let map = ebpf.take_map(name).ok_or(Error::Part(name))?;
    open(map).map_err(|source| Error::Map { name, source })
}

/// The memory of a mappable array of `len` elements.
fn take_mapping<T: Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
    len: u32,
) -> Result<Mapping<T>, Error> {
    let Some(Map::Array(array)) = ebpf.take_map(name) else {
        return Err(Error::Part(name));
    };
    Mapping::new(array.fd(), len as usize).map_err(Error::Mapping)
}

fn run(ebpf: &mut Ebpf, name: &'static str, arguments: &[u64]) -> Result<(), Error> {
    let program = ebpf.program_mut(name).ok_or(Error::Part(name))?;
    let refused = |source| Error::Program { program: name, source };
    let program: &mut RawTracePoint = program.try_into().map_err(refused)?;
    let mut options = RawTracePointRunOptions::new();
    options.args.iter_mut().zip(arguments).for_each(|(place, argument)| *place = *argument);
    program.test_run(options).map(drop).map_err(refused)
}

/// Reads from an iterator to its end: it writes nothing, but visits one object after the other.
fn iterate(ebpf: &mut Ebpf, name: &'static str) -> Result<(), Error> {
    let program = ebpf.program_mut(name).ok_or(Error::Part(name))?;
    let refused = |source| Error::Program { program: name, source };
    let program: &mut Iter = program.try_into().map_err(refused)?;
    let link = program.attach().and_then(|link| program.take_link(link)).map_err(refused)?;
    let failed = |source| Error::Attach { hook: name, source };
    let mut file = link.into_file().map_err(io::Error::other).map_err(failed)?;
    loop {
        match file.read(&mut [0; 8]) {
            Ok(0) => return Ok(()),
            // The kernel takes a break after a million objects.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Compares what the probes read of this very process with what /proc says.
///
/// # Errors
///
/// If they differ: then the offsets are not this kernel's, and nothing else may be believed.
pub fn self_check(task: &Task) -> Result<(), Error> {
    for slot in Slot::ALL {
        // Older kernels hide a pid namespace for children that has no process yet.
        let Ok(inode) = process::own_namespace(slot.name()) else { continue };
        let read = task.slot(slot).inode;
        if inode != read {
            let name = slot.name();
            let what = format!("/proc/self/ns/{name} is {inode}, the probes read {read}");
            return Err(Error::SelfCheck(what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifiers_last_word_is_what_it_refuses() {
        let log = "0: R1=ctx() R10=fp0\n299: (61) r1 = *(u32 *)(r2 +0)\ncannot access ptr member\n\
                   verification time 41913 usec\nstack depth 64+0+8\nprocessed 295 insns\n\n";
        assert_eq!(last_word(log), Some("cannot access ptr member"));
        assert_eq!(last_word("processed 295 insns\n"), None);
        assert_eq!(last_word(""), None);
    }
}
