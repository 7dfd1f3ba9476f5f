//! The namespaces found so far.

use rustc_hash::FxHashMap;

use crate::model::{Holder, Kind, NsRef, NsRow, ProcessRow, Slot, Slots, Want};

/// The rows of a world in the making.
pub(super) struct Draft<'a> {
    want: &'a Want,
    rows: FxHashMap<(Kind, u32), NsRow>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(want: &'a Want) -> Self {
        Self { want, rows: FxHashMap::default() }
    }

    /// The row of a namespace, new if it was not met yet; `None` if its kind is not wanted.
    pub(super) fn row(&mut self, ns: NsRef) -> Option<&mut NsRow> {
        if !self.want.kinds.contains(ns.kind) {
            return None;
        }
        let row = self.rows.entry((ns.kind, ns.inode)).or_insert_with(|| NsRow::new(ns));
        row.info.id = row.info.id.or(ns.id);
        Some(row)
    }

    /// Notes what keeps a namespace.
    pub(super) fn hold(&mut self, ns: NsRef, holder: Holder) {
        if let Some(row) = self.row(ns) {
            row.holders.push(holder);
        }
    }

    /// Takes in who is where; `processes` are in ascending order.
    pub(super) fn members(&mut self, processes: &[ProcessRow]) {
        for process in processes {
            let elsewhere = u32::try_from(process.threads.len()).unwrap_or(u32::MAX);
            for ns in own(&process.slots) {
                if let Some(row) = self.row(*ns) {
                    row.processes.push(process.pid);
                    row.threads += process.count.saturating_sub(elsewhere);
                }
            }
            self.children(process.pid, process.pid, &process.slots);
            for thread in &process.threads {
                for ns in own(&thread.slots) {
                    let led = process.slots.get(slot_of(ns.kind)) == Some(ns);
                    if let Some(row) = self.row(*ns) {
                        row.threads += 1;
                        if !led {
                            let holder = Holder::Thread { pid: process.pid, tid: thread.tid };
                            row.holders.push(holder);
                        }
                    }
                }
                self.children(process.pid, thread.tid, &thread.slots);
            }
        }
    }

    fn children(&mut self, pid: u32, tid: u32, slots: &Slots) {
        let pairs = [(Slot::PidForChildren, Slot::Pid), (Slot::TimeForChildren, Slot::Time)];
        for (slot, own) in pairs {
            if let Some(ns) = slots.get(slot)
                && slots.get(own) != Some(ns)
            {
                self.hold(*ns, Holder::ForChildren { pid, tid, slot });
            }
        }
    }

    /// All of them, by inode and kind.
    pub(super) fn finish(self) -> Vec<NsRow> {
        let mut rows: Vec<_> = self.rows.into_values().collect();
        rows.sort_unstable_by_key(|row| (row.info.inode, row.info.kind));
        for row in &mut rows {
            row.holders.sort_unstable();
            row.holders.dedup();
        }
        rows
    }
}

/// The namespaces that a task is in, without those for its children.
fn own(slots: &Slots) -> impl Iterator<Item = &NsRef> {
    Kind::ALL.into_iter().filter_map(|kind| slots.get(slot_of(kind)))
}

/// The slot of a task itself.
fn slot_of(kind: Kind) -> Slot {
    match kind {
        Kind::Pid => Slot::Pid,
        Kind::Time => Slot::Time,
        _ => Slot::unshared(kind),
    }
}
