//! The namespaces found so far.

use std::sync::{Arc, Mutex};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Known, files, listns, members, mounts, relatives};
use crate::{
    model::{Hold, Holder, Kind, Mounts, NsRef, NsRow, ProcessRow, Slot, Slots, Want},
    sys::process::initial_in_sight,
};

/// The rows of a world in the making.
pub(super) struct Draft<'a> {
    pub(super) want: &'a Want,
    /// Each apart: they are large, and a map that grows would move them.
    rows: FxHashMap<(Kind, u32), Box<NsRow>>,
    /// The inodes of the initial namespaces, by kind.
    initial: [Option<u32>; 8],
    /// Which have been asked.
    asked: FxHashSet<(Kind, u32)>,
    /// What tells that mounts have changed, by the inode of the mount namespace.
    events: FxHashMap<u32, u64>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(want: &'a Want) -> Self {
        let initial = Kind::ALL.map(|kind| initial_in_sight(kind.name()));
        Self {
            want,
            rows: FxHashMap::default(),
            initial,
            asked: FxHashSet::default(),
            events: FxHashMap::default(),
        }
    }

    /// The row of a namespace, new if it was not met yet; `None` if its kind is not wanted.
    pub(super) fn row(&mut self, ns: NsRef) -> Option<&mut NsRow> {
        if !self.want.kinds.contains(ns.kind) {
            return None;
        }
        let row = self.rows.entry((ns.kind, ns.inode)).or_insert_with(|| {
            let initial = ns.initial || self.initial[ns.kind as usize] == Some(ns.inode);
            Box::new(NsRow::new(NsRef { initial, ..ns }))
        });
        row.info.id = row.info.id.or(ns.id);
        Some(row)
    }

    /// Notes what keeps a namespace.
    pub(super) fn hold(&mut self, ns: NsRef, holder: Holder) {
        if let Some(row) = self.row(ns) {
            row.holders.push(holder);
        }
    }

    /// Takes in who is where.
    pub(super) fn members(&mut self, processes: &[ProcessRow]) {
        members::enter(self, processes);
    }

    /// Takes in namespaces whose relatives are known; what else is wanted they are still asked for.
    pub(super) fn known(&mut self, known: &[Known]) {
        let Want { relatives, netnsid, maps, .. } = *self.want;
        for one in known {
            let is_settled = match one.ns.kind {
                Kind::Net => !netnsid,
                Kind::User => !maps,
                _ => true,
            };
            let Some(row) = self.row(one.ns) else {
                continue;
            };
            if relatives {
                row.info.owner = one.owner;
                row.info.parent = one.parent;
                row.owner_uid = Some(one.uid);
            }
            if one.event != 0 {
                self.events.insert(one.ns.inode, one.event);
            }
            if is_settled {
                self.asked.insert((one.ns.kind, one.ns.inode));
            }
        }
    }

    /// Takes in what open files hold, some of which was `seen` already; returns how many processes let
    /// nobody see theirs.
    pub(super) fn files(&mut self, processes: &[ProcessRow], seen: Option<files::Seen>) -> u32 {
        let slots: FxHashMap<_, _> =
            processes.iter().map(|process| (process.pid, &process.slots)).collect();
        let is_looked_at = |process: &&ProcessRow| {
            seen.as_ref().is_none_or(|seen| seen.in_sight.contains(&process.pid))
        };
        let looked_at: Vec<_> = processes.iter().filter(is_looked_at).collect();
        let found = files::scan(&looked_at, self.want);
        let seen = seen.map(|seen| seen.holders).unwrap_or_default();
        for (ns, holder) in found.holders.into_iter().chain(seen) {
            let is_member = |pid| {
                let own = slots.get(pid).and_then(|slots| slots.get(Slot::of(ns.kind)));
                own.is_some_and(|own| own.inode == ns.inode)
            };
            match &holder {
                Holder::File { hold: Hold::Nsfs, .. } => self.hold(ns, holder),
                // Every socket would be one: what its process does already.
                Holder::Socket { pid, .. }
                | Holder::File { pid, .. }
                | Holder::Memory { pid, .. }
                    if is_member(pid) => {}
                _ => self.hold(ns, holder),
            }
        }
        found.unreadable
    }

    /// Takes in what is mounted, some of which may be remembered; the mount namespaces are those met so
    /// far, if none are given.
    pub(super) fn mounts(
        &mut self,
        given: Option<&[(NsRow, u64)]>,
        remembered: &Mutex<mounts::Remembered>,
    ) {
        if self.want.mounts >= Mounts::Own {
            for (ns, place) in mounts::own() {
                if let Some(row) = self.row(ns)
                    && !row.nsfs.contains(&place)
                {
                    row.nsfs.push(place);
                }
            }
        }
        if self.want.mounts == Mounts::Every {
            for (row, event) in given.into_iter().flatten().filter(|(_, event)| *event != 0) {
                self.events.insert(row.info.inode, *event);
            }
            let rows = self.rows.values().map(|row| &**row);
            let met = rows.filter(|row| row.info.kind == Kind::Mnt && given.is_none());
            let mnt: Vec<_> = given.into_iter().flatten().map(|(row, _)| row).chain(met).collect();
            let now = |ns: &NsRef| self.events.get(&ns.inode).copied();
            for (ns, holder) in mounts::scan(&mnt, self.want.held, now, remembered) {
                self.hold(ns, holder);
            }
        }
    }

    /// Takes in what only the kernel knows.
    pub(super) fn listed(&mut self) {
        let ids: FxHashSet<_> = self.rows.values().filter_map(|row| row.info.id).collect();
        for ns in listns::scan(|id| ids.contains(&id)) {
            self.row(ns);
        }
    }

    /// Leaves all namespaces that were met so far unasked.
    pub(super) fn settle(&mut self) {
        self.asked.extend(self.rows.keys());
    }

    /// Asks every namespace about itself that was not asked yet, and those that they name.
    pub(super) fn ask(&mut self) {
        let want = self.want;
        if !(want.relatives || want.ids || want.netnsid || want.maps) {
            return;
        }
        let rows = self.rows.iter().filter(|(key, _)| !self.asked.contains(*key));
        let rows: Vec<_> = rows.map(|(_, row)| &**row).collect();
        let known = |ns: NsRef| self.rows.contains_key(&(ns.kind, ns.inode));
        let mut answers = relatives::ask(&rows, want, known);
        self.asked.extend(self.rows.keys());
        while let Some(answer) = answers.pop() {
            self.answered(&answer);
            for (ns, fd) in answer.strangers {
                if let Some(row) = self.row(ns) {
                    let ns = row.info.to_ref();
                    if self.asked.insert((ns.kind, ns.inode)) {
                        let known = |ns: NsRef| self.rows.contains_key(&(ns.kind, ns.inode));
                        answers.push(relatives::ask_open(&fd, ns, want, known));
                    }
                }
            }
        }
    }

    fn answered(&mut self, answer: &relatives::Answer) {
        let Some(row) = self.row(answer.ns) else {
            return;
        };
        row.info.owner = answer.owner.or(row.info.owner);
        row.info.parent = answer.parent.or(row.info.parent);
        row.owner_uid = answer.uid.or(row.owner_uid);
        row.netnsid = answer.netnsid;
        row.maps.clone_from(&answer.maps);
    }

    /// All of them, by inode and kind; names in `processes` are completed.
    pub(super) fn finish(mut self, processes: &mut [ProcessRow]) -> Vec<NsRow> {
        self.name_relatives();
        if self.want.ids {
            self.name_slots(processes);
        }
        let names: FxHashMap<_, _> =
            self.rows.iter().map(|(key, row)| (*key, row.info.to_ref())).collect();
        let mut rows: Vec<_> = self.rows.into_values().map(|row| *row).collect();
        rows.sort_unstable_by_key(|row| (row.info.inode, row.info.kind));
        for row in &mut rows {
            for holder in &mut row.holders {
                if let Holder::Mount { mnt_ns, .. } | Holder::ProcMount { mnt_ns, .. } = holder
                    && let Some(name) = names.get(&(mnt_ns.kind, mnt_ns.inode))
                {
                    *mnt_ns = *name;
                }
            }
            row.holders.sort_unstable();
            row.holders.dedup();
        }
        rows
    }

    /// Puts the ids into the slots. Most processes share theirs, and shall do so afterwards.
    fn name_slots(&self, processes: &mut [ProcessRow]) {
        let mut named = FxHashMap::default();
        for process in processes {
            let threads = process.threads.iter_mut().map(|thread| &mut thread.slots);
            for slots in threads.chain([&mut process.slots]) {
                let full = named.entry(Arc::as_ptr(&slots.0)).or_insert_with(|| {
                    let full = slots.0.map(|ns| ns.map(|ns| self.full(ns)));
                    // The old one stays, so that no other takes its address meanwhile.
                    (slots.clone(), Slots(Arc::new(full)))
                });
                *slots = full.1.clone();
            }
        }
    }

    /// Completes the names of owners and parents, and counts the levels.
    fn name_relatives(&mut self) {
        let keys: Vec<_> = self.rows.keys().copied().collect();
        for key in keys {
            let Some(info) = self.rows.get(&key).map(|row| row.info.clone()) else {
                continue;
            };
            let owner = info.owner.map(|ns| self.full(ns));
            let parent = info.parent.map(|ns| self.full(ns));
            let level = self.level(&info.to_ref());
            let own = info.to_ref();
            if let Some(parent) = parent {
                self.hold(parent, Holder::Child(own));
            }
            if let Some(owner) = owner
                && own.kind != Kind::User
            {
                self.hold(owner, Holder::Owned(own));
            }
            if let Some(row) = self.rows.get_mut(&key) {
                row.info.owner = owner;
                row.info.parent = parent;
                row.info.level = level;
            }
        }
    }

    /// The name with all that is known of it.
    pub(super) fn full(&self, ns: NsRef) -> NsRef {
        self.rows.get(&(ns.kind, ns.inode)).map_or(
            NsRef { initial: self.initial[ns.kind as usize] == Some(ns.inode), ..ns },
            |row| row.info.to_ref(),
        )
    }

    /// How many parents lie between it and the initial one; `None` if those are out of sight.
    fn level(&self, ns: &NsRef) -> Option<u32> {
        let mut row = self.rows.get(&(ns.kind, ns.inode))?;
        let mut level = 0;
        while !row.info.initial {
            let parent = row.info.parent?;
            row = self.rows.get(&(parent.kind, parent.inode))?;
            level += 1;
        }
        ns.kind.nests().then_some(level)
    }
}
