//! The walk's programs and maps, loaded without aya's loader: that reads all types of the kernel and
//! tries out what its BPF can do, which takes many times as long as the walk itself.

use std::{
    collections::{HashMap, hash_map::Entry},
    io, mem,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    thread,
    time::Duration,
};

use aya::{
    EbpfError,
    maps::{Map, MapData, MapError, RingBuf},
    util::nr_cpus,
};
use aya_obj::{EbpfSectionKind, Object, btf::BtfFeatures};
use bytemuck::Pod;
use ns_trace_common::{
    ABSENT, Offsets,
    files::{self, Held},
    inspect::{BATCH, Inspect},
    lost::Ledger,
    snapshot,
};

use crate::{
    probe::Error,
    sys::{
        bpf::{
            self,
            object::{
                self, Functions, create_map, load_on_demand, load_types, run_on_demand,
                set_constants,
            },
        },
        mapping::Mapping,
        setting::MemoryLockLift,
    },
};

/// The compiled probes; ns-trace/build.rs puts them there.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ns-trace-walk.o"));

/// The sorts of types that kernels know whose programs can loop: all but 64-bit enumerations (6.0).
const TYPES: BtfFeatures = BtfFeatures::new(true, true, true, false, true, true, true, false);

/// How long the reader of a walk under way sleeps: a walk of a thousand tasks takes a millisecond. To
/// look all the time would slow it down.
const PAUSE: Duration = Duration::from_micros(250);

/// What walks, and what it writes to.
pub(super) struct Programs {
    /// What programs are loaded from; `None` once all are.
    object: Option<Object>,
    types: OwnedFd,
    /// Those that were needed so far: what the verifier need not look at takes no time.
    loaded: HashMap<&'static str, OwnedFd>,
    pub(super) ring: RingBuf<MapData>,
    pub(super) ledgers: Mapping<Ledger>,
    pub(super) questions: Mapping<Inspect>,
    /// What is looked through by several threads; `None` while it is.
    pub(super) files: Option<Mapping<Held>>,
    /// Which tasks were met, a bit each.
    pub(super) met: Mapping<u64>,
    /// Programs that are yet to be loaded name them by their descriptors.
    _maps: HashMap<String, OwnedFd>,
}

impl Programs {
    /// Loads all of it, with a ring of so many bytes.
    pub(super) fn load(offsets: &Offsets, ring_bytes: u32) -> Result<Self, Error> {
        let _lift = MemoryLockLift::new();
        let cpus = nr_cpus().map_err(|(_, source)| Error::Cpus(source))?;
        let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
        let mut object = Object::parse(OBJECT).map_err(EbpfError::from)?;
        let legacy = ABSENT.to_ne_bytes();
        let globals = [("OFFSETS", bytemuck::bytes_of(offsets)), ("LEGACY", &legacy)];
        let globals: HashMap<_, _> =
            globals.into_iter().map(|(name, value)| (name, (value, true))).collect();
        object.patch_map_data(globals).map_err(EbpfError::from)?;

        let mut definitions = mem::take(&mut object.maps);
        let mut maps = HashMap::new();
        for (name, map) in &mut definitions {
            match name.as_str() {
                "EVENTS" => map.set_max_entries(ring_bytes),
                "LEDGERS" => map.set_max_entries(cpus),
                _ => {}
            }
            maps.insert(name.clone(), create(map).map_err(refused("a map"))?);
        }
        let places = maps
            .iter()
            .filter_map(|(name, fd)| Some((name.as_str(), fd.as_raw_fd(), definitions.get(name)?)));
        let text = object.functions.keys().map(|(section, _)| *section).collect();
        object.relocate_maps(places, &text).map_err(EbpfError::from)?;
        object.relocate_calls(&text).map_err(EbpfError::from)?;

        let types = object.fixup_and_sanitize_btf(&TYPES).map_err(EbpfError::from)?;
        let types = types.ok_or(Error::Part("types"))?.to_bytes();
        let types = load_types(&types).map_err(refused("types"))?;
        let ring = maps.remove("EVENTS").ok_or(Error::Part("EVENTS"))?;
        let told = |source: MapError| Error::Map { name: "EVENTS", source };
        let ring = MapData::from_fd(ring).map_err(told)?;
        Ok(Self {
            object: Some(object),
            types,
            loaded: HashMap::new(),
            ring: RingBuf::try_from(Map::RingBuf(ring)).map_err(told)?,
            ledgers: mapping(&maps, "LEDGERS", cpus)?,
            questions: mapping(&maps, "INSPECT", BATCH)?,
            files: Some(mapping(&maps, "FILES", files::MOST_SHARES * files::BATCH)?),
            met: mapping(&maps, "MET", snapshot::TIDS / u64::BITS)?,
            _maps: maps,
        })
    }

    /// Loads those programs that were not needed yet, and lets go of what they are loaded from.
    pub(super) fn complete(&mut self) -> Result<(), Error> {
        for name in ["snapshot", "list", "inspect", "files"] {
            self.program(name)?;
        }
        self.object = None;
        Ok(())
    }

    /// Walks the tasks that no run has met yet, and has what the ring holds then read; if that
    /// `is_shared`, meanwhile too.
    pub(super) fn snapshot(
        &mut self,
        is_shared: bool,
        arguments: &[u64],
        mut read: impl FnMut(&mut RingBuf<MapData>),
    ) -> Result<(), Error> {
        if is_shared {
            let program = self.own_program("snapshot")?;
            thread::scope(|scope| {
                let walk = scope.spawn(|| run_on_demand(program.as_fd(), arguments));
                while !walk.is_finished() {
                    thread::sleep(PAUSE);
                    read(&mut self.ring);
                }
                walk.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .map_err(refused("snapshot"))?;
        } else {
            self.run("snapshot", arguments)?;
        }
        read(&mut self.ring);
        Ok(())
    }

    /// Answers so many questions.
    pub(super) fn inspect(&mut self, questions: usize) -> Result<(), Error> {
        self.run("inspect", &[questions as u64])
    }

    /// Asks for what the kernel lists.
    pub(super) fn list(&mut self, arguments: &[u64]) -> Result<(), Error> {
        self.run("list", arguments)
    }

    fn run(&mut self, name: &'static str, arguments: &[u64]) -> Result<(), Error> {
        run_on_demand(self.program(name)?, arguments).map_err(refused(name))
    }

    /// A program, loaded if it was not yet.
    fn program(&mut self, name: &'static str) -> Result<BorrowedFd<'_>, Error> {
        let program: &OwnedFd = match self.loaded.entry(name) {
            Entry::Occupied(loaded) => loaded.into_mut(),
            Entry::Vacant(room) => {
                let object = self.object.as_ref().ok_or(Error::Part(name))?;
                let program = object.programs.get(name).ok_or(Error::Part(name))?;
                let function = object.functions.get(&program.function_key());
                let function = function.ok_or(Error::Part(name))?;
                let info = function.func_info.func_info_bytes();
                let count = function.func_info.len();
                let functions = Functions { types: self.types.as_fd(), info: &info, count };
                let loaded = load_on_demand(&function.instructions, functions);
                room.insert(loaded.map_err(refused(name))?)
            }
        };
        Ok(program.as_fd())
    }

    /// The same for threads that run it while this one has the maps.
    pub(super) fn own_program(&mut self, name: &'static str) -> Result<OwnedFd, Error> {
        self.program(name)?.try_clone_to_owned().map_err(refused(name))
    }
}

/// Whether programs can loop here (5.17).
pub(super) fn check_loops() -> Result<(), Error> {
    match bpf::has_helper(bpf::LOOP) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::NoBackend("programs cannot loop before Linux 5.17".to_owned())),
        Err(source) => Err(refused("any program")(source)),
    }
}

fn create(map: &aya_obj::Map) -> io::Result<OwnedFd> {
    let made = create_map(&object::Map {
        kind: map.map_type(),
        key_len: map.key_size(),
        value_len: map.value_size(),
        entries: map.max_entries(),
        flags: map.map_flags(),
    })?;
    if map.section_kind() == EbpfSectionKind::Rodata {
        set_constants(made.as_fd(), map.data(), map.value_size())?;
    }
    Ok(made)
}

fn mapping<T: Pod>(
    maps: &HashMap<String, OwnedFd>,
    name: &'static str,
    len: u32,
) -> Result<Mapping<T>, Error> {
    let map = maps.get(name).ok_or(Error::Part(name))?;
    Mapping::new(map, len as usize).map_err(Error::Mapping)
}

pub(super) fn refused(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Refused { what, source }
}
