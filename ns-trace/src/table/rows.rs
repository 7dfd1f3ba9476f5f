//! Living namespaces.

use std::sync::Arc;

use ns_trace_common::Ns;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::model::{Cause, Creator, Kind, NsInfo, NsRef, Origin};

/// Names a row for good: places are reused, but never under the same id.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RowId {
    place: u32,
    generation: u32,
}

impl RowId {
    /// Where the row is among all places, the free ones included.
    const fn place(self) -> usize {
        self.place as usize
    }
}

/// A namespace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The type.
    pub kind: Kind,
    /// What the probes know it by.
    #[serde(with = "super::state::raw")]
    pub ns: Ns,
    /// Whether it is the one that the system booted with.
    pub initial: bool,
    /// When it was made: nanoseconds of the boot clock; `None` if that was not seen.
    pub born: Option<u64>,
    /// The user namespace that owns it.
    pub owner: Option<NsRef>,
    /// The parent, of pid and user namespaces only.
    pub parent: Option<NsRef>,
    /// The depth below the initial namespace, of pid and user namespaces only.
    pub level: Option<u32>,
    /// Who made it.
    pub creator: Option<Arc<Creator>>,
    /// The call that made it.
    pub cause: Option<Cause>,
    /// How many tasks have it in a slot.
    pub members: u32,
    /// When the last of them left: nanoseconds of the boot clock.
    pub last_task_ns: Option<u64>,
    /// When the kernel let it go: nanoseconds of the boot clock; `None` while it lives.
    pub died: Option<u64>,
    /// Whether an event has told of it.
    pub(super) told: bool,
    /// When the kernel's lists were begun to be read that alone have told of it: nanoseconds of the boot
    /// clock.
    pub(super) listed: Option<u64>,
    /// When it was first heard of: nanoseconds of the boot clock.
    pub(super) since: u64,
}

impl Row {
    /// A namespace of which nothing else is known.
    #[must_use]
    pub const fn new(kind: Kind, ns: Ns, initial: bool) -> Self {
        Self {
            kind,
            ns,
            initial,
            born: None,
            owner: None,
            parent: None,
            level: None,
            creator: None,
            cause: None,
            members: 0,
            last_task_ns: None,
            died: None,
            told: false,
            listed: None,
            since: 0,
        }
    }

    /// Where it comes from, as far as that is known.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin {
            ns: self.info(),
            cause: self.cause,
            creator: self.creator.clone(),
            container: None,
            members: Some(self.members),
        }
    }

    /// The namespace as events show it.
    #[must_use]
    pub fn info(&self) -> NsInfo {
        NsInfo {
            kind: self.kind,
            inode: self.ns.inode,
            id: (self.ns.id != 0).then_some(self.ns.id),
            initial: self.initial,
            born: self.born,
            owner: self.owner,
            parent: self.parent,
            level: self.level,
        }
    }
}

/// Living namespaces by inode and kind, and where among them each is.
#[derive(Debug)]
pub(super) struct InOrder<'t> {
    pub(super) rows: Vec<&'t Row>,
    /// By the place of a row.
    places: Vec<Option<(RowId, usize)>>,
}

impl InOrder<'_> {
    /// Which one has this id; none if it is gone, though its place may be another's by now.
    pub(super) fn place(&self, id: RowId) -> Option<usize> {
        let found = self.places.get(id.place()).copied().flatten();
        found.filter(|(known, _)| *known == id).map(|(_, at)| at)
    }
}

/// All rows, found by id or inode.
#[derive(Debug, Default)]
pub(super) struct Rows {
    places: Vec<Place>,
    free: Vec<u32>,
    inodes: FxHashMap<u32, RowId>,
    /// That of new places: higher than any that a place had which was given up.
    generation: u32,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    row: Option<Row>,
}

impl Rows {
    /// Adds a row; it takes its inode over.
    pub(super) fn add(&mut self, row: Row) -> RowId {
        let inode = row.ns.inode;
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: self.generation, row: None });
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let mut id = RowId { place, generation: 0 };
        if let Some(slot) = self.places.get_mut(place as usize) {
            slot.row = Some(row);
            id.generation = slot.generation;
        }
        self.inodes.insert(inode, id);
        id
    }

    /// Removes a row and frees its place under another generation.
    pub(super) fn remove(&mut self, id: RowId) -> Option<Row> {
        let place = self.places.get_mut(id.place as usize)?;
        if place.generation != id.generation {
            return None;
        }
        let row = place.row.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.place);
        if self.inodes.get(&row.ns.inode) == Some(&id) {
            self.inodes.remove(&row.ns.inode);
        }
        Some(row)
    }

    /// Gives up the room that rows do not need now.
    pub(super) fn give_back(&mut self) {
        let last = self.places.iter().rposition(|place| place.row.is_some());
        let len = last.map_or(0, |last| last + 1);
        let given_up = self.places.drain(len..).map(|place| place.generation).max();
        self.generation = self.generation.max(given_up.unwrap_or(0));
        self.free.retain(|place| (*place as usize) < len);
        self.places.shrink_to_fit();
        self.free.shrink_to_fit();
        self.inodes.shrink_to_fit();
    }

    pub(super) fn get(&self, id: RowId) -> Option<&Row> {
        let place = self.places.get(id.place as usize)?;
        place.row.as_ref().filter(|_| place.generation == id.generation)
    }

    pub(super) fn get_mut(&mut self, id: RowId) -> Option<&mut Row> {
        let place = self.places.get_mut(id.place as usize)?;
        place.row.as_mut().filter(|_| place.generation == id.generation)
    }

    /// The row with this inode: at any moment one inode belongs to one namespace at most, whatever
    /// the type.
    pub(super) fn by_inode(&self, inode: u32) -> Option<RowId> {
        self.inodes.get(&inode).copied()
    }

    /// The row of exactly this namespace.
    pub(super) fn find(&self, kind: Kind, ns: &Ns) -> Option<RowId> {
        let id = self.by_inode(ns.inode)?;
        self.get(id).filter(|row| row.kind == kind && row.ns == *ns).map(|_| id)
    }

    /// All of them, in order.
    pub(super) fn in_order(&self) -> InOrder<'_> {
        let mut rows: Vec<_> = self.iter().collect();
        // They are so mostly: they were made one after the other.
        rows.sort_by_key(|(_, row)| (row.ns.inode, row.kind));
        let mut places = vec![None; self.places.len()];
        for (at, (id, _)) in rows.iter().enumerate() {
            if let Some(place) = places.get_mut(id.place()) {
                *place = Some((*id, at));
            }
        }
        InOrder { rows: rows.into_iter().map(|(_, row)| row).collect(), places }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.places.iter_mut().filter_map(|place| place.row.as_mut())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RowId, &Row)> {
        self.places.iter().zip(0..).filter_map(|(place, number)| {
            let id = RowId { place: number, generation: place.generation };
            place.row.as_ref().map(|row| (id, row))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_was_given_up_comes_back_under_another_id() {
        let row = |inode| Row::new(Kind::Uts, Ns { inode, ..Ns::default() }, false);
        let mut rows = Rows::default();
        let kept = rows.add(row(1));
        let gone: Vec<_> = (2..9).map(|inode| rows.add(row(inode))).collect();
        for id in &gone {
            rows.remove(*id);
        }
        rows.give_back();
        assert_eq!(rows.places.len(), 1);
        let new: Vec<_> = (2..9).map(|inode| rows.add(row(inode))).collect();
        assert!(gone.iter().all(|id| rows.get(*id).is_none()));
        let ids: rustc_hash::FxHashSet<_> = gone.iter().chain(&new).chain([&kept]).collect();
        assert_eq!(ids.len(), 15);
    }
}
