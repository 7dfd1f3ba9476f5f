//! A world as bytes: what follows the first line of an answer to `look`.
//!
//! Ten thousand namespaces are a few hundred kilobytes so, and read in a millisecond. Numbers are of
//! variable length (LEB128), lists and texts have their length before them, what may be missing has a
//! 0 or a 1 before it. A text, a creator or a set of slots that comes again is but a number. A namespace
//! of which more is known than the table tells is one line of JSON in the place of its fields. The
//! version of the protocol is also that of this.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::model::{
    Cause, Creator, Kind, NsInfo, NsRef, NsRow, ProcessRow, SLOTS, Slots, ThreadRow, World,
};

/// A row that is packed, and one that is JSON.
const PACKED: u8 = 0;
const JSON: u8 = 1;
/// What else stands in the byte of the kind.
const INITIAL: u8 = 1 << 4;
const HAS_ID: u8 = 1 << 5;

/// The bytes of a world.
#[must_use]
pub fn pack(world: &World) -> Vec<u8> {
    let mut out = Packer::default();
    out.list(&world.namespaces, Packer::row);
    out.end(&world.processes, world.unreadable)
}

/// The bytes of a world in the making, whose namespaces come from a table.
#[derive(Debug)]
pub struct Begun(Packer);

impl Begun {
    /// So many namespaces.
    pub fn new<'r, R: Iterator<Item = Told<'r>> + Clone>(rows: R) -> Self {
        let mut out = Packer::default();
        out.number(rows.clone().count() as u64);
        rows.for_each(|row| out.told(&row));
        Self(out)
    }

    /// And the processes.
    #[must_use]
    pub fn end(self, processes: &[ProcessRow]) -> Vec<u8> {
        self.0.end(processes, 0)
    }
}

/// What a table tells of a namespace.
#[derive(Debug)]
pub struct Told<'r> {
    /// What it is.
    pub info: NsInfo,
    /// Who made its owner, if that is known.
    pub owner_uid: Option<u32>,
    /// Processes in it.
    pub processes: &'r [u32],
    /// How many there are.
    pub nprocs: u32,
    /// How many threads.
    pub threads: u32,
    /// Who made it.
    pub creator: Option<&'r Arc<Creator>>,
    /// What made it.
    pub cause: Option<Cause>,
    /// When it was freed.
    pub died: Option<u64>,
}

/// The world in such bytes; `None` if they are none.
#[must_use]
pub fn unpack(bytes: &[u8]) -> Option<World> {
    let mut from = Unpacker { bytes, texts: Vec::new(), creators: Vec::new(), slots: Vec::new() };
    let world = World {
        namespaces: from.list(Unpacker::row)?,
        processes: from.list(Unpacker::process)?,
        unreadable: from.number()?,
    };
    from.bytes.is_empty().then_some(world)
}

/// What is known by its address lives as long as others of its sort are packed.
#[derive(Debug, Default)]
struct Packer {
    bytes: Vec<u8>,
    texts: FxHashMap<Arc<str>, usize>,
    creators: FxHashMap<usize, usize>,
    slots: FxHashMap<usize, usize>,
}

impl Packer {
    fn number(&mut self, number: impl Into<u64>) {
        let mut rest = number.into();
        while rest >= 0x80 {
            self.bytes.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest.to_le_bytes()[0]);
    }

    fn optional<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.bytes.push(value.is_some().into());
        if let Some(value) = value {
            put(self, value);
        }
    }

    /// What is known to be missing is not mentioned.
    fn some<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        if let Some(value) = value {
            put(self, value);
        }
    }

    fn list<T>(&mut self, items: &[T], mut put: impl FnMut(&mut Self, &T)) {
        self.number(items.len() as u64);
        for item in items {
            put(self, item);
        }
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &Arc<str>) {
        if let Some(place) = self.texts.get(text) {
            self.number(*place as u64);
            return;
        }
        let place = self.texts.len() + 1;
        self.texts.insert(Arc::clone(text), place);
        self.number(0_u8);
        self.raw(text.as_bytes());
    }

    fn name(&mut self, ns: &NsRef) {
        let is_initial = if ns.initial { INITIAL } else { 0 };
        let has_id = if ns.id.is_some() { HAS_ID } else { 0 };
        self.bytes.push(ns.kind as u8 | is_initial | has_id);
        self.number(ns.inode);
        self.some(ns.id, Self::number);
    }

    fn slots(&mut self, slots: &Slots) {
        let key = Arc::as_ptr(&slots.0).addr();
        if let Some(place) = self.slots.get(&key) {
            self.number(*place as u64);
            return;
        }
        let place = self.slots.len() + 1;
        self.slots.insert(key, place);
        self.number(0_u8);
        slots.0.iter().for_each(|ns| self.optional(ns.as_ref(), Self::name));
    }

    fn row(&mut self, row: &NsRow) {
        let is_more = !row.holders.is_empty()
            || !row.nsfs.is_empty()
            || row.netnsid.is_some()
            || row.maps.is_some();
        // Rows are always JSON.
        if is_more && let Ok(text) = serde_json::to_vec(row) {
            self.bytes.push(JSON);
            self.raw(&text);
            return;
        }
        self.told(&Told {
            info: row.info.clone(),
            owner_uid: row.owner_uid,
            processes: &row.processes,
            nprocs: row.nprocs,
            threads: row.threads,
            creator: row.creator.as_ref(),
            cause: row.cause,
            died: row.died,
        });
    }

    fn told(&mut self, row: &Told<'_>) {
        let info = &row.info;
        let has = [
            info.born.is_some(),
            info.owner.is_some(),
            info.parent.is_some(),
            info.level.is_some(),
            row.owner_uid.is_some(),
            row.creator.is_some(),
            row.cause.is_some(),
            row.died.is_some(),
        ];
        let has = has.iter().rev().fold(0, |has, one| has << 1 | u8::from(*one));
        self.bytes.extend_from_slice(&[PACKED, has]);
        self.name(&info.to_ref());
        self.some(info.born, Self::number);
        self.some(info.owner.as_ref(), Self::name);
        self.some(info.parent.as_ref(), Self::name);
        self.some(info.level, Self::number);
        self.some(row.owner_uid, Self::number);
        self.some(row.creator, Self::creator);
        self.some(row.cause.map(|cause| cause as u32), Self::number);
        self.some(row.died, Self::number);
        let mut last = 0;
        self.list(row.processes, |out, pid| {
            out.number(pid.wrapping_sub(last));
            last = *pid;
        });
        self.number(row.nprocs);
        self.number(row.threads);
    }

    fn creator(&mut self, creator: &Arc<Creator>) {
        let key = Arc::as_ptr(creator).addr();
        if let Some(place) = self.creators.get(&key) {
            self.number(*place as u64);
            return;
        }
        let place = self.creators.len() + 1;
        self.creators.insert(key, place);
        self.number(0_u8);
        self.number(creator.pid);
        self.number(creator.tid);
        self.number(creator.start_ns);
        self.text(&creator.comm);
        self.optional(creator.exe.as_ref(), Self::text);
        self.number(creator.uid);
    }

    fn end(mut self, processes: &[ProcessRow], unreadable: u32) -> Vec<u8> {
        self.list(processes, Self::process);
        self.number(unreadable);
        self.bytes
    }

    fn process(&mut self, process: &ProcessRow) {
        self.number(process.pid);
        self.number(process.ppid);
        self.number(process.uid);
        self.text(&process.comm);
        self.number(process.count);
        self.optional(process.args.as_deref(), |out, args| {
            out.list(args, |out, arg| out.raw(arg.as_bytes()));
        });
        self.slots(&process.slots);
        self.list(&process.threads, |out, thread| {
            out.number(thread.tid);
            out.text(&thread.comm);
            out.slots(&thread.slots);
        });
    }
}

struct Unpacker<'b> {
    bytes: &'b [u8],
    texts: Vec<Arc<str>>,
    creators: Vec<Arc<Creator>>,
    slots: Vec<Slots>,
}

impl<'b> Unpacker<'b> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn number<T: TryFrom<u64>>(&mut self) -> Option<T> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return number.try_into().ok();
            }
        }
        None
    }

    #[expect(clippy::option_option, reason = "the outer one is whether the bytes can be read")]
    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        let has = self.byte()? != 0;
        self.some(has, read)
    }

    #[expect(clippy::option_option, reason = "the outer one is whether the bytes can be read")]
    fn some<T>(
        &mut self,
        has: bool,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if has { read(self).map(Some) } else { Some(None) }
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len: usize = self.number()?;
        // An item has a byte at least: no more room is made than there can be items.
        let mut items = Vec::with_capacity(len.min(self.bytes.len()));
        for _ in 0..len {
            items.push(read(self)?);
        }
        Some(items)
    }

    fn raw(&mut self) -> Option<&'b str> {
        let len = self.number()?;
        let (raw, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        std::str::from_utf8(raw).ok()
    }

    fn text(&mut self) -> Option<Arc<str>> {
        let place: usize = self.number()?;
        if place == 0 {
            let text = Arc::from(self.raw()?);
            self.texts.push(Arc::clone(&text));
            return Some(text);
        }
        self.texts.get(place - 1).cloned()
    }

    fn name(&mut self) -> Option<NsRef> {
        let byte = self.byte()?;
        let kind = *Kind::ALL.get(usize::from(byte & 0xf))?;
        let (inode, id) = (self.number()?, self.some(byte & HAS_ID != 0, Self::number)?);
        Some(NsRef { kind, inode, id, initial: byte & INITIAL != 0 })
    }

    fn slots(&mut self) -> Option<Slots> {
        let place: usize = self.number()?;
        if place != 0 {
            return self.slots.get(place - 1).cloned();
        }
        let mut names = [None; SLOTS];
        for name in &mut names {
            *name = self.optional(Self::name)?;
        }
        let slots = Slots(Arc::new(names));
        self.slots.push(slots.clone());
        Some(slots)
    }

    fn row(&mut self) -> Option<NsRow> {
        if self.byte()? != PACKED {
            return serde_json::from_str(self.raw()?).ok();
        }
        let all = self.byte()?;
        let has = |place: u8| all & 1 << place != 0;
        let mut row = NsRow::new(self.name()?);
        row.info.born = self.some(has(0), Self::number)?;
        row.info.owner = self.some(has(1), Self::name)?;
        row.info.parent = self.some(has(2), Self::name)?;
        row.info.level = self.some(has(3), Self::number)?;
        row.owner_uid = self.some(has(4), Self::number)?;
        row.creator = self.some(has(5), Self::creator)?;
        row.cause = self.some(has(6), Self::number)?.map(Cause::from_wire);
        row.died = self.some(has(7), Self::number)?;
        let mut last = 0_u32;
        for _ in 0..self.number::<usize>()? {
            last = last.wrapping_add(self.number()?);
            row.processes.push(last);
        }
        row.nprocs = self.number()?;
        row.threads = self.number()?;
        Some(row)
    }

    fn creator(&mut self) -> Option<Arc<Creator>> {
        let place: usize = self.number()?;
        if place != 0 {
            return self.creators.get(place - 1).cloned();
        }
        let creator = Arc::new(Creator {
            pid: self.number()?,
            tid: self.number()?,
            start_ns: self.number()?,
            comm: self.text()?,
            exe: self.optional(Self::text)?,
            uid: self.number()?,
        });
        self.creators.push(Arc::clone(&creator));
        Some(creator)
    }

    fn process(&mut self) -> Option<ProcessRow> {
        Some(ProcessRow {
            pid: self.number()?,
            ppid: self.number()?,
            uid: self.number()?,
            comm: self.text()?,
            count: self.number()?,
            args: self
                .optional(|from| from.list(|from| from.raw().map(str::to_owned)))?
                .map(Arc::from),
            slots: self.slots()?,
            threads: self.list(|from| {
                Some(ThreadRow { tid: from.number()?, comm: from.text()?, slots: from.slots()? })
            })?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Holder, arbitrary};

    /// A world whose strings and names are arbitrary.
    fn world() -> impl Strategy<Value = World> {
        let row = (arbitrary::ns_ref(), arbitrary::ns_ref(), any::<[Option<u64>; 2]>());
        let rows = prop::collection::vec((row, any::<Vec<u32>>(), arbitrary::text()), 0..9);
        (rows, any::<u32>()).prop_map(|(rows, unreadable)| {
            let mut world = World { unreadable, ..World::default() };
            let mut last = None;
            for ((ns, other, [born, died]), processes, text) in rows {
                let comm: Arc<str> = text.into();
                let creator = Arc::new(Creator {
                    pid: ns.inode,
                    tid: other.inode,
                    start_ns: born.unwrap_or_default(),
                    comm: Arc::clone(&comm),
                    exe: born.map(|_| Arc::clone(&comm)),
                    uid: unreadable,
                });
                // Of some it is the same.
                let creator = last.get_or_insert(creator);
                let mut row = NsRow {
                    owner_uid: died.map(|_| other.inode),
                    nprocs: other.inode,
                    threads: ns.inode,
                    creator: died.map(|_| Arc::clone(creator)),
                    cause: born.map(|_| Cause::Setns),
                    died,
                    processes: processes.into(),
                    ..NsRow::new(ns)
                };
                (row.info.born, row.info.owner) = (born, Some(other));
                if ns.initial {
                    row.holders.push(Holder::Child(other));
                    row.nsfs.push(PathBuf::from("/run/netns/a"));
                }
                last.take_if(|_| ns.initial);
                world.namespaces.push(row);
                let mut names = [None; SLOTS];
                names[ns.kind as usize] = Some(ns);
                let slots = Slots(Arc::new(names));
                let thread = ThreadRow { tid: 7, comm: Arc::clone(&comm), slots: slots.clone() };
                world.processes.push(ProcessRow {
                    pid: ns.inode,
                    args: born.map(|_| vec![comm.to_string(), String::new()].into()),
                    slots,
                    threads: vec![thread],
                    comm,
                    ..ProcessRow::default()
                });
            }
            world
        })
    }

    proptest! {
        #[test]
        fn a_world_is_read_as_it_is_packed(world in world()) {
            prop_assert_eq!(unpack(&pack(&world)), Some(world));
        }

        /// Whatever comes, it is a world or none.
        #[test]
        fn no_bytes_are_too_strange(
            world in world(),
            junk in any::<Vec<u8>>(),
            at in any::<prop::sample::Index>(),
        ) {
            let mut bytes = pack(&world);
            let at = at.index(bytes.len());
            bytes.splice(at..(at + junk.len() / 8).min(bytes.len()), junk);
            if let Some(world) = unpack(&bytes) {
                prop_assert_eq!(unpack(&pack(&world)), Some(world));
            }
        }
    }
}
