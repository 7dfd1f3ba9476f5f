//! Which namespaces are shown, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use super::{Top, Tree, column::Column, column::place};
use crate::model::{
    Event, Kind, NsRef, NsRow, Time,
    event::{Body, Exist, SchemaName, Source},
};

/// Names a namespace for as long as the screen lives: the inode alone may be another's by now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Key {
    kind: Kind,
    inode: u32,
    id: Option<u64>,
    born: Option<u64>,
}

impl Key {
    pub(super) const fn of(row: &NsRow) -> Self {
        let info = &row.info;
        Self { kind: info.kind, inode: info.inode, id: info.id, born: info.born }
    }
}

/// A line of the list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Shown {
    /// The number of the row.
    pub(super) row: usize,
    /// How deep it lies in the tree.
    pub(super) depth: usize,
}

impl Top {
    /// Finds out anew what is shown; whoever is chosen stays so.
    pub(super) fn refresh(&mut self) {
        let count = self.picture.world.namespaces.len() + self.picture.dead.len();
        let mut rows: Vec<usize> =
            (0..count).filter(|at| self.row(*at).is_some_and(|row| self.is_wanted(row))).collect();
        let world = &self.picture.world;
        rows.sort_by(|a, b| {
            let (Some(a), Some(b)) = (self.row(*a), self.row(*b)) else {
                return std::cmp::Ordering::Equal;
            };
            let order = self.column.order((a, b), world);
            let order = if self.is_reversed { order.reverse() } else { order };
            order.then_with(|| place(a).cmp(&place(b)))
        });
        self.shown = match self.tree {
            Tree::Flat => rows.into_iter().map(|row| Shown { row, depth: 0 }).collect(),
            Tree::Owner => self.planted(&rows, |row| row.info.owner),
            Tree::Parent => self.planted(&rows, |row| row.info.parent),
        };
        let stays = self.chosen.and_then(|chosen| {
            let is_it = |shown: &Shown| self.row(shown.row).map(Key::of) == Some(chosen);
            self.shown.iter().position(is_it)
        });
        self.at = stays.unwrap_or(self.at).min(self.shown.len().saturating_sub(1));
        // On its own page even one that is gone stays.
        if self.chosen.is_none() || stays.is_none() {
            self.chosen = self.chosen_row().map(Key::of);
        }
    }

    fn is_wanted(&self, row: &NsRow) -> bool {
        self.tab.is_none_or(|kind| row.info.kind == kind)
            && self.filter.as_ref().is_none_or(|filter| filter.matches(&as_event(row)))
            && self.has_text(row)
    }

    /// Whether the text that is looked for is in one of the columns.
    fn has_text(&self, row: &NsRow) -> bool {
        let wanted = self.search.to_lowercase();
        let (world, now) = (&self.picture.world, self.picture.boot_ns);
        let is_in = |text: String| text.to_lowercase().contains(&wanted);
        wanted.is_empty()
            || Column::ALL.into_iter().any(|column| is_in(column.text(row, world, now)))
            || row.info.id.is_some_and(|id| is_in(id.to_string()))
            || row.processes.iter().any(|pid| {
                world.process(*pid).is_some_and(|process| is_in(process.comm.to_string()))
            })
    }

    /// Puts rows below those that `above` names, each group in the order of `rows`.
    fn planted(&self, rows: &[usize], above: impl Fn(&NsRow) -> Option<NsRef>) -> Vec<Shown> {
        let mut by_name = BTreeMap::new();
        for at in rows {
            if let Some(row) = self.row(*at).filter(|row| row.died.is_none()) {
                by_name.insert((row.info.kind, row.info.inode), *at);
            }
        }
        let mut below: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
        for at in rows {
            let Some(row) = self.row(*at) else { continue };
            let above = above(row).and_then(|ns| by_name.get(&(ns.kind, ns.inode)).copied());
            below.entry(above.filter(|above| above != at)).or_default().push(*at);
        }
        let mut shown = Vec::new();
        let mut done = BTreeSet::new();
        let mut open: Vec<Shown> = Vec::new();
        let push = |open: &mut Vec<Shown>, above: Option<usize>, depth: usize| {
            let below = below.get(&above).map(Vec::as_slice).unwrap_or_default();
            open.extend(below.iter().rev().map(|row| Shown { row: *row, depth }));
        };
        push(&mut open, None, 0);
        while let Some(next) = open.pop() {
            if done.insert(next.row) {
                shown.push(next);
                push(&mut open, Some(next.row), next.depth + 1);
            }
        }
        shown
    }

    /// The events that concern a namespace, the latest first.
    pub(super) fn events_of<'a>(&'a self, row: &'a NsRow) -> impl Iterator<Item = &'a Event> {
        let ns = row.info.to_ref();
        let is_it =
            move |other: &NsRef| (other.kind, other.inode, other.id) == (ns.kind, ns.inode, ns.id);
        let born = row.info.born.unwrap_or(0);
        self.events.iter().rev().filter(move |event| {
            event.boot_ns >= born
                && match &event.body {
                    Body::Create(event) => is_it(&event.ns.to_ref()),
                    Body::Destroy(event) => is_it(&event.ns.to_ref()),
                    Body::Exist(event) => is_it(&event.ns.to_ref()),
                    Body::Map(event) => is_it(&event.ns.to_ref()),
                    Body::Enter(event) => event
                        .changes
                        .iter()
                        .any(|change| [&change.from, &change.to].into_iter().flatten().any(is_it)),
                    _ => false,
                }
        })
    }
}

/// A namespace as filters see it: the event that says that it exists.
fn as_event(row: &NsRow) -> Event {
    let body = Body::Exist(Exist { ns: row.info.clone(), members: row.threads });
    Event {
        schema: SchemaName::V1,
        seq: 0,
        time: Time(0),
        boot_ns: 0,
        source: Source::Snapshot,
        body,
        container: None,
        pod: None,
        lossy: false,
    }
}
