//! The live world: which tasks there are, which namespaces, and who is in which.
//!
//! A pure value: records go in, [`Finding`]s come out; no clock and no I/O. What records do not
//! carry and the world outside may know comes through [`Surroundings`].

mod apply;
mod birth;
mod dead;
mod focus;
mod member;
#[cfg(test)]
mod property;
mod relation;
mod repeat;
mod roll;
mod rows;
mod state;
mod tell;
#[cfg(test)]
mod tests;
mod walk;
mod world;

use std::sync::Arc;

use ns_trace_common::{Ns, inspect::Inspect};
use rustc_hash::FxHashMap;

use self::{
    birth::Making,
    dead::Dead,
    member::{Member, Set},
    repeat::Heard,
    rows::Rows,
    walk::Walk,
};
pub use self::{
    focus::Focus,
    member::{Identity, Program},
    roll::{Roll, Tally},
    rows::{Row, RowId},
    state::State,
};
use crate::model::{
    Ancestor, Kind, NsRef, Placement, SLOTS, Slots,
    event::{Body, ByEvent, Destroy, Exist, Source},
};

/// What the records do not say of a task.
pub trait Surroundings {
    /// Where a task runs: by the ids of its cgroups in the unified hierarchy and in that of a
    /// controller of version 1, which is 0 if there is none.
    fn placement(&mut self, cgroup: u64, legacy: u64) -> Placement;

    /// What a process older than the tracer runs.
    fn program(&mut self, pid: u32) -> Option<Program>;
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// When: nanoseconds of the boot clock.
    pub boot_ns: u64,
    /// How it was found.
    pub source: Source,
    /// What.
    pub body: Body,
    /// The namespace that a `create`, `destroy` or `exist` is about.
    pub row: Option<RowId>,
}

/// The world.
#[derive(Debug)]
pub struct Table {
    /// Whether `fork`, `exec` and `exit` are told.
    tells_tasks: bool,
    rows: Rows,
    dead: Dead,
    tasks: FxHashMap<u32, Member>,
    /// Births whose call has not returned yet, by thread number.
    unfinished: FxHashMap<u32, Making>,
    /// The inode of the initial namespace of each kind; 0 until the walk has met kthreadd.
    initial: [u32; 8],
    ops: u64,
    /// Calls that later ones may be like, by thread number.
    heard: FxHashMap<u32, Heard>,
    /// Calls since [`take_unheard`](Self::take_unheard) that are like one that was lost.
    unheard: ByEvent,
    walk: Option<Walk>,
    /// Namespaces that have lost their last task since [`take_orphans`](Self::take_orphans).
    orphans: Vec<RowId>,
    /// Namespaces that snapshots have shown tasks to have moved to unseen, since
    /// [`take_moved`](Self::take_moved).
    moved: Vec<RowId>,
    /// Namespaces of unknown origin or depth since [`take_strangers`](Self::take_strangers).
    strangers: Vec<RowId>,
    /// Whether all namespaces that there are were met.
    is_complete: bool,
}

impl Table {
    /// An empty world.
    #[must_use]
    pub fn new(tells_tasks: bool) -> Self {
        Self {
            tells_tasks,
            rows: Rows::default(),
            dead: Dead::default(),
            tasks: FxHashMap::default(),
            unfinished: FxHashMap::default(),
            initial: [0; 8],
            ops: 0,
            heard: FxHashMap::default(),
            unheard: ByEvent::default(),
            walk: None,
            orphans: Vec::new(),
            moved: Vec::new(),
            strangers: Vec::new(),
            is_complete: false,
        }
    }

    /// The namespace behind an id, if it still lives.
    #[must_use]
    pub fn row(&self, id: RowId) -> Option<&Row> {
        self.rows.get(id)
    }

    /// All living namespaces.
    pub fn rows(&self) -> impl Iterator<Item = (RowId, &Row)> {
        self.rows.iter()
    }

    /// All tasks, threads each: the numbers of process and parent.
    pub fn tasks(&self) -> impl Iterator<Item = (u32, u32)> + Clone {
        self.tasks.values().map(|member| (member.task.pid, member.task.ppid))
    }

    /// How many tasks have a namespace in a slot right now; `None` if it is not alive.
    #[must_use]
    pub fn members(&self, ns: &NsRef) -> Option<u32> {
        let row = self.rows.by_inode(ns.inode).and_then(|id| self.rows.get(id));
        row.filter(|row| row.info().to_ref() == *ns).map(|row| row.members)
    }

    /// All processes, as those that descend from them see them.
    pub fn processes(&self) -> impl Iterator<Item = Ancestor> {
        let processes = self.tasks.values().filter(|member| member.task.pid == member.task.tid);
        processes.map(Member::ancestor)
    }

    /// Gives up the room that was needed once and is not now.
    pub fn give_back(&mut self) {
        self.rows.give_back();
        self.tasks.shrink_to_fit();
        self.unfinished.shrink_to_fit();
        self.heard.shrink_to_fit();
    }

    /// The namespaces that lost their last task since the last call, and may end any time.
    pub fn take_orphans(&mut self) -> Vec<RowId> {
        std::mem::take(&mut self.orphans)
    }

    /// The namespaces that tasks have moved to unseen, as snapshots since the last call have shown.
    pub fn take_moved(&mut self) -> Vec<RowId> {
        std::mem::take(&mut self.moved)
    }

    /// The namespaces met since the last call whose birth was not seen, or was in one of these:
    /// owner and parent, or the depth, are unknown until [`relate`](Self::relate).
    pub fn take_strangers(&mut self) -> Vec<RowId> {
        std::mem::take(&mut self.strangers)
    }

    /// The namespaces that no event has told of, nor will when a call returns: their births were
    /// lost, or went unseen.
    #[must_use]
    pub fn untold(&self) -> Vec<RowId> {
        let untold = self.rows.iter().filter(|(_, row)| !row.told && row.born.is_none());
        untold.map(|(id, _)| id).collect()
    }

    /// Takes what exists now for known to whoever listens.
    pub fn all_told(&mut self) {
        self.rows.iter_mut().for_each(|row| row.told = true);
    }

    /// Fills in what the kernel answered of a living namespace: who owns it, who its parent is and
    /// how deep it lies.
    pub fn relate(&mut self, id: RowId, answer: &Inspect) {
        let Some(kind) = self.rows.get(id).map(|row| row.kind) else { return };
        if answer.alive == 0 {
            return;
        }
        let owner = self.relative(Kind::User, &answer.owner);
        let parent = self.relative(kind, &answer.parent);
        let Some(row) = self.rows.get_mut(id) else { return };
        row.owner = owner;
        row.parent = parent;
        row.level = kind.nests().then_some(answer.level);
    }

    /// Takes in what the kernel answered of a namespace after a loss.
    ///
    /// Owner and parent never change: with others it is another namespace, made unseen at the same
    /// place and under the same inode. (Where it has a number of its own that shows by itself, and
    /// what was wrong is what was known.)
    pub fn confirm(&mut self, id: RowId, answer: &Inspect) {
        let known = self.rows.get(id).map(|row| (row.owner, row.parent));
        self.relate(id, answer);
        if let Some(row) = self.rows.get_mut(id)
            && row.ns.id == 0
            && known.is_some_and(|known| known.0.is_some() && known != (row.owner, row.parent))
        {
            (row.born, row.creator, row.cause, row.told) = (None, None, None, false);
        }
    }

    /// A namespace that another points at: alive, but perhaps met here for the first time.
    fn relative(&mut self, kind: Kind, ns: &Ns) -> Option<NsRef> {
        let ns_ref = self.name(kind, ns)?;
        if self.rows.find(kind, ns).is_none() && self.rows.by_inode(ns.inode).is_none() {
            let id = self.meet(kind, ns);
            self.orphans.push(id);
        }
        Some(ns_ref)
    }

    /// The kernel has let a namespace go.
    pub fn died(&mut self, id: RowId, boot_ns: u64, out: &mut Vec<Finding>) {
        self.finish_birth(id, out);
        let Some(row) = self.rows.remove(id) else { return };
        let destroy = Destroy {
            ns: row.info(),
            creator: row.creator.clone(),
            lifetime_ns: row.born.map(|born| boot_ns.saturating_sub(born)),
            last_task_boot_ns: row.last_task_ns,
        };
        if let Some(walk) = &mut self.walk {
            walk.died(row.kind, row.ns, boot_ns);
        }
        let is_unheard = row.listed.is_some() && !row.told;
        self.dead.bury(row, boot_ns);
        if is_unheard {
            return;
        }
        let body = Body::Destroy(destroy);
        out.push(Finding { boot_ns, source: Source::Probe, body, row: Some(id) });
    }

    /// Tells of a namespace that it exists.
    pub fn exists(&mut self, id: RowId, boot_ns: u64, out: &mut Vec<Finding>) {
        let Some(row) = self.rows.get_mut(id) else { return };
        row.told = true;
        let body = Body::Exist(Exist { ns: row.info(), members: row.members });
        out.push(Finding { boot_ns, source: Source::Snapshot, body, row: Some(id) });
    }

    /// The name of a namespace; `None` for an empty slot.
    fn name(&self, kind: Kind, ns: &Ns) -> Option<NsRef> {
        let initial = self.initial.get(kind as usize) == Some(&ns.inode);
        (ns.inode != 0).then(|| NsRef {
            kind,
            inode: ns.inode,
            id: (ns.id != 0).then_some(ns.id),
            initial,
        })
    }

    /// Takes in a namespace that the kernel has in its own lists; `None` if it is known, or if another
    /// has its inode by now.
    ///
    /// They were listed from `began` on. It is not told of, not even that it has ended, before somebody
    /// tells that it [exists](Self::exists).
    pub fn meet_listed(&mut self, found: &Inspect, began: u64) -> Option<RowId> {
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u32 == found.kind)?;
        if found.ns.inode == 0 || self.rows.by_inode(found.ns.inode).is_some() {
            return None;
        }
        let id = self.meet(kind, &found.ns);
        if let Some(row) = self.rows.get_mut(id) {
            row.listed = Some(began);
        }
        self.orphans.push(id);
        Some(id)
    }

    /// The namespaces that nothing but a list has told of, up to a time.
    #[must_use]
    pub fn listed_before(&self, boot_ns: u64) -> Vec<RowId> {
        let is_due = |row: &Row| !row.told && row.listed.is_some_and(|listed| listed <= boot_ns);
        self.rows.iter().filter(|(_, row)| is_due(row)).map(|(id, _)| id).collect()
    }

    /// Leaves out a namespace that was met and never told of: it was gone already.
    pub fn forget(&mut self, id: RowId) {
        let _gone = self.rows.remove(id);
    }

    /// Says whether all namespaces that there are have been met; what comes to be afterwards is told by
    /// an event, as long as none is lost.
    pub fn set_complete(&mut self, is_complete: bool) {
        self.is_complete = is_complete;
    }

    /// Whether no living namespace has this inode, as far as lists that change while they are read tell.
    #[must_use]
    pub fn is_nowhere(&self, inode: u32) -> bool {
        self.is_complete && self.rows.by_inode(inode).is_none()
    }

    /// Adds a namespace whose birth was not seen.
    fn meet(&mut self, kind: Kind, ns: &Ns) -> RowId {
        let initial = self.initial.get(kind as usize) == Some(&ns.inode);
        let id = self.rows.add(Row::new(kind, *ns, initial));
        self.strangers.push(id);
        id
    }

    /// Finds the rows for a task's slots, meeting those that are new. Most are those of `near`, where
    /// it was before or its maker is.
    fn resolve(
        &mut self,
        key: &[Ns; SLOTS],
        near: Option<&Set>,
        boot_ns: u64,
        out: &mut Vec<Finding>,
    ) -> Set {
        let mut rows = [None; SLOTS];
        let mut names = [None; SLOTS];
        for (index, slot) in crate::model::Slot::ALL.into_iter().enumerate() {
            let (Some(ns), kind) = (key.get(index), slot.kind()) else { continue };
            let (Some(row), Some(name)) = (rows.get_mut(index), names.get_mut(index)) else {
                continue;
            };
            *name = self.name(kind, ns);
            if name.is_some() {
                let known = near.and_then(|near| near.row(index, ns));
                let known = known.filter(|id| self.rows.get(*id).is_some());
                *row = known.or_else(|| Some(self.row_of(kind, ns, boot_ns, out)));
            }
        }
        Set { key: *key, rows, slots: Slots(Arc::new(names)) }
    }

    /// The names of what is in a task's slots. The picture may be old: it says nothing about which
    /// namespaces are alive.
    fn names(&self, key: &[Ns; SLOTS]) -> Set {
        let mut names = [None; SLOTS];
        for (name, (ns, slot)) in names.iter_mut().zip(key.iter().zip(crate::model::Slot::ALL)) {
            *name = self.name(slot.kind(), ns);
        }
        Set { key: *key, rows: [None; SLOTS], slots: Slots(Arc::new(names)) }
    }

    /// The row of a namespace that is alive right now.
    fn row_of(&mut self, kind: Kind, ns: &Ns, boot_ns: u64, out: &mut Vec<Finding>) -> RowId {
        if let Some(id) = self.rows.find(kind, ns) {
            return id;
        }
        self.supersede(ns.inode, boot_ns, out);
        let id = self.meet(kind, ns);
        if let Some(row) = self.rows.get_mut(id) {
            row.since = boot_ns;
        }
        id
    }

    /// A living namespace has this inode: whoever was known by it before is gone, since the kernel
    /// hands an inode out only when it is free.
    fn supersede(&mut self, inode: u32, boot_ns: u64, out: &mut Vec<Finding>) {
        if let Some(former) = self.rows.by_inode(inode) {
            self.died(former, boot_ns, out);
        }
    }

    /// Counts a task into the namespaces of `set`.
    fn join(&mut self, set: &Set) {
        for id in set.distinct() {
            if let Some(row) = self.rows.get_mut(id) {
                row.members += 1;
            }
        }
    }

    /// Counts a task out of the namespaces of `set`.
    fn leave(&mut self, set: &Set, boot_ns: u64) {
        for id in set.distinct() {
            let Some(row) = self.rows.get_mut(id) else { continue };
            row.members = row.members.saturating_sub(1);
            if row.members == 0 {
                row.last_task_ns = Some(boot_ns);
                if !row.initial {
                    self.orphans.push(id);
                }
            }
        }
    }
}

#[cfg(test)]
impl Table {
    pub(crate) fn insert_for_tests(&mut self, row: Row) -> RowId {
        self.rows.add(row)
    }
}
