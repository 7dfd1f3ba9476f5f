//! The probes, loaded and attached.

mod error;
mod programs;

use std::{
    io::{self, Read as _},
    os::fd::{AsFd as _, OwnedFd},
    path::PathBuf,
    sync::Arc,
    thread,
};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader,
    maps::{HashMap, Map, MapData},
    programs::Iter,
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
use rustc_hash::FxHashMap;

pub use self::error::Error;
use super::{
    abilities::Abilities,
    former::Former,
    fprobe, losses,
    misses::Misses,
    offsets::{KERNEL_BTF, Layout},
    pins::{self, Pins},
    plan::{Backend, Hook, HookKind, Plan, obstacle},
};
use crate::{
    model::event::ByEvent,
    sys::{
        bpf::{self, object, pin},
        cgroup, host,
        mapping::Mapping,
        process,
        ring::Ring,
        setting::MemoryLockLift,
        tracefs::Tracefs,
    },
};

/// The compiled probes; ns-trace/build.rs puts them there.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ns-trace-ebpf.o"));

/// The first kernel that has all that the probes call: with the ring (5.8), `bpf_ktime_get_boot_ns`
/// (5.8) and programs of tracepoints that userspace runs (5.10).
const OLDEST: (u32, u32) = (5, 10);
/// The sorts of pins.
const MAP: &str = "map";
const PROGRAM: &str = "program";
const LINK: &str = "link";

/// How many calls that make namespaces may be under way at once.
const CALLS: u32 = 8192;

/// How to load.
#[derive(Clone, Debug)]
pub struct Options {
    /// The backend; `None` takes the best that runs here.
    pub backend: Option<Backend>,
    /// Bytes of the ring, a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// The kernel's BTF; `None` takes the kernel's own.
    pub btf: Option<PathBuf>,
    /// The directory in which they are pinned: they go on when this process ends, and are found there
    /// by the next one.
    pub pins: Option<PathBuf>,
}

/// The probes.
pub struct Probes {
    /// Absent if a former process has loaded them.
    ebpf: Option<Ebpf>,
    /// Every program of the plan.
    programs: Programs,
    plan: Plan,
    misses: Misses,
    pins: Option<Pins>,
    ledgers: Arc<Mapping<Ledger>>,
    questions: Mapping<Inspect>,
    met: Mapping<u64>,
    /// Only its keys are of interest.
    repeats: HashMap<MapData, u32, [u64; size_of::<Thread>() / 8]>,
    /// The maps to be pinned.
    maps: Vec<(&'static str, OwnedFd)>,
    links: Vec<OwnedFd>,
}

/// The probes and the ring that they write to.
pub struct Loaded {
    /// The probes.
    pub probes: Probes,
    /// The ring.
    pub ring: Ring,
}

/// Programs by name.
pub(super) type Programs = FxHashMap<&'static str, OwnedFd>;

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
        let cpus = nr_cpus().map_err(|(_, source)| Error::Cpus(source))?;
        let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
        let pins = options.pins.as_ref().map(|directory| {
            let shape = format!("{plan:?} {constants:?} {cpus} {}", options.ring_bytes);
            let offsets = bytemuck::bytes_of(&layout.offsets);
            let helpers = bytemuck::bytes_of(&abilities.helpers);
            Pins::new(directory, &[OBJECT, offsets, helpers, shape.as_bytes()])
        });
        let pins = pins.transpose()?;
        if let Some(pins) = pins.as_ref().filter(|pins| pins.are_there()) {
            return Self::open(plan, cpus, pins, options.ring_bytes);
        }
        let mut done = Self::load_plan(plan, &layout, &constants, loader, options, cpus)?;
        done.probes.pins = pins;
        Ok(done)
    }

    fn load_plan<'a>(
        plan: Plan,
        layout: &'a Layout,
        constants: &'a [(&'static str, [u8; 4])],
        mut loader: EbpfLoader<'a>,
        options: &Options,
        cpus: u32,
    ) -> Result<Loaded, Error> {
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
        let is_fprobe = |hook: &Hook| matches!(hook.kind, HookKind::Fprobe(_));
        let (returns, others): (Vec<_>, Vec<_>) = plan.hooks.iter().copied().partition(is_fprobe);
        let mut programs = programs::load(&others, &mut ebpf, btf.as_ref())?;
        let returns = fprobe::load(OBJECT, &returns, &ebpf)
            .map_err(|source| Error::Attach { hook: "fprobe", source })?;
        programs.extend(returns);
        let descriptor = |name| {
            let map = ebpf.map(name).and_then(fprobe::descriptor).ok_or(Error::Part(name))?;
            map.try_clone_to_owned().map_err(Error::Mapping)
        };
        let maps = Maps::map(descriptor, cpus, options.ring_bytes)?;
        Ok(maps.with(plan, programs, Some(ebpf)))
    }

    /// Opens probes that a former process has left.
    fn open(plan: Plan, cpus: u32, pins: &Pins, ring_bytes: u32) -> Result<Loaded, Error> {
        let mut programs = Programs::default();
        for hook in &plan.hooks {
            programs.insert(hook.program, pins.open(PROGRAM, hook.program)?);
        }
        let maps = Maps::map(|name| pins.open(MAP, name), cpus, ring_bytes)?;
        let mut loaded = maps.with(plan, programs, None);
        loaded.probes.pins = Some(pins.clone());
        Ok(loaded)
    }

    /// Whether a former process has loaded and attached them.
    #[must_use]
    pub const fn were_there(&self) -> bool {
        self.ebpf.is_none()
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
        if self.were_there() {
            return Ok(());
        }
        let pins = self.pins.as_ref();
        if let Some(pins) = pins {
            pins.begin()?;
            for (name, map) in &self.maps {
                pins.keep(MAP, name, map.as_fd())?;
            }
            for (name, program) in &self.programs {
                pins.keep(PROGRAM, name, program.as_fd())?;
            }
        }
        let is_in_tracefs = |hook: &Hook| matches!(hook.kind, HookKind::Tracepoint(..));
        let tracefs = if self.plan.hooks.iter().any(is_in_tracefs) {
            Some(Tracefs::open().map_err(|source| Error::Attach { hook: "tracefs", source })?)
        } else {
            None
        };
        for hook in &self.plan.hooks {
            let program = self.programs.get(hook.program).ok_or(Error::Part(hook.program))?;
            let failed = |hook| move |source| Error::Attach { hook, source };
            let link = match hook.kind {
                HookKind::Fprobe(name) => {
                    bpf::attach_fprobe(program.as_fd(), name).map_err(failed(name))?
                }
                HookKind::Tracepoint(category, name) => {
                    let tracefs = tracefs.as_ref().ok_or(Error::Part("tracefs"))?;
                    let event = tracefs.id(category, name).and_then(bpf::open_tracepoint);
                    let link =
                        event.and_then(|event| bpf::attach_perf_event(program.as_fd(), event));
                    link.map_err(failed(name))?
                }
                HookKind::Kprobe(name) | HookKind::Kretprobe(name) => {
                    let is_return = matches!(hook.kind, HookKind::Kretprobe(_));
                    let event = bpf::open_kprobe(name, is_return);
                    let link =
                        event.and_then(|event| bpf::attach_perf_event(program.as_fd(), event));
                    link.map_err(failed(name))?
                }
                HookKind::Iterator(_) | HookKind::OnDemand => continue,
                HookKind::RawTracepoint(name) => {
                    bpf::attach_raw_tracepoint(program.as_fd(), Some(name)).map_err(failed(name))?
                }
                HookKind::Entry(name) | HookKind::Return(name) => {
                    bpf::attach_raw_tracepoint(program.as_fd(), None).map_err(failed(name))?
                }
            };
            if let Some(pins) = pins {
                pins.keep(LINK, hook.program, link.as_fd())?;
            }
            self.links.push(link);
        }
        pins.map_or(Ok(()), Pins::finish)
    }

    /// The programs that hang on something, by name.
    ///
    /// # Errors
    ///
    /// EMFILE.
    pub fn attached(&self) -> io::Result<Vec<(&'static str, OwnedFd)>> {
        let hooks = self
            .plan
            .hooks
            .iter()
            .filter(|hook| !matches!(hook.kind, HookKind::Iterator(_) | HookKind::OnDemand));
        let named = hooks.filter_map(|hook| Some((hook.program, self.programs.get(hook.program)?)));
        named.map(|(name, program)| Ok((name, program.try_clone()?))).collect()
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
                let ebpf = self.ebpf.as_mut().ok_or(Error::Part(hook.program))?;
                return iterate(ebpf, hook.program);
            }
        }
        self.run("snapshot", &[])
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
                self.run("inspect", &[batch.len() as u64])?;
            } else {
                for question in 0..batch.len() as u64 {
                    self.run("inspect_one", &[question])?;
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
            self.run("repeats", &[tid.into()])?;
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
        let misses = self.misses.look(&self.plan, &self.programs, &self.ledgers);
        misses.map_err(|source| Error::Attach { hook: "all", source })
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

    /// What is known of the runs of theirs that the kernel left out.
    #[must_use]
    pub const fn misses(&self) -> &Misses {
        &self.misses
    }

    /// Goes on from what a former process knew of them.
    pub fn set_misses(&mut self, misses: Misses) {
        self.misses = misses;
    }

    /// Names the ring that they write to: no other has this name, on whatever machine.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell its number.
    pub fn ring_name(&self) -> Result<String, Error> {
        let ring = self.maps.iter().find(|(name, _)| *name == "EVENTS");
        let (_, ring) = ring.ok_or(Error::Part("EVENTS"))?;
        let (id, _) = pin::map_info(ring.as_fd()).map_err(Error::Mapping)?;
        Ok(pins::ring_name(id))
    }

    /// Has them end with this process after all, or at once if they were there before.
    ///
    /// # Errors
    ///
    /// Those of removing files.
    pub fn unpin(self) -> Result<(), Error> {
        self.pins.as_ref().map_or(Ok(()), Pins::remove)
    }

    /// Other sets that are pinned at the same place and whose records can be read.
    #[must_use]
    pub fn formers(&self) -> Vec<Former> {
        self.pins.as_ref().map(Pins::others).unwrap_or_default()
    }

    /// Removes all other sets that are pinned at the same place; returns how many there were.
    ///
    /// # Errors
    ///
    /// Those of removing files.
    pub fn unpin_others(&self) -> Result<usize, Error> {
        self.pins.as_ref().map_or(Ok(0), Pins::remove_others)
    }

    fn run(&self, name: &'static str, arguments: &[u64]) -> Result<(), Error> {
        let program = self.programs.get(name).ok_or(Error::Part(name))?;
        let refused = |source| Error::Attach { hook: name, source };
        object::run_on_demand(program.as_fd(), arguments).map_err(refused)
    }
}

/// The maps that userspace uses.
struct Maps {
    ring: Ring,
    ledgers: Mapping<Ledger>,
    questions: Mapping<Inspect>,
    met: Mapping<u64>,
    repeats: HashMap<MapData, u32, [u64; size_of::<Thread>() / 8]>,
    descriptors: Vec<(&'static str, OwnedFd)>,
}

impl Maps {
    fn map(
        open: impl Fn(&'static str) -> Result<OwnedFd, Error>,
        cpus: u32,
        ring_bytes: u32,
    ) -> Result<Self, Error> {
        let ring = Ring::new(open("EVENTS")?, ring_bytes as usize).map_err(Error::Mapping)?;
        let told = |source| Error::Map { name: "REPEATS", source };
        let repeats = MapData::from_fd(open("REPEATS")?).map_err(told)?;
        let mut descriptors = Vec::new();
        for name in ["EVENTS", "LEDGERS", "INSPECT", "MET", "REPEATS"] {
            descriptors.push((name, open(name)?));
        }
        Ok(Self {
            ring,
            ledgers: mapping(&open("LEDGERS")?, cpus)?,
            questions: mapping(&open("INSPECT")?, BATCH)?,
            met: mapping(&open("MET")?, TIDS / u64::BITS)?,
            repeats: HashMap::try_from(Map::HashMap(repeats)).map_err(told)?,
            descriptors,
        })
    }

    fn with(self, plan: Plan, programs: Programs, ebpf: Option<Ebpf>) -> Loaded {
        let probes = Probes {
            ebpf,
            programs,
            plan,
            misses: Misses::default(),
            pins: None,
            ledgers: Arc::new(self.ledgers),
            questions: self.questions,
            met: self.met,
            repeats: self.repeats,
            maps: self.descriptors,
            links: Vec::new(),
        };
        Loaded { probes, ring: self.ring }
    }
}

/// The memory of a mappable array of `len` elements.
fn mapping<T: Pod>(map: &OwnedFd, len: u32) -> Result<Mapping<T>, Error> {
    Mapping::new(map, len as usize).map_err(Error::Mapping)
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
