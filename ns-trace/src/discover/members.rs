//! Who is where, from the slots of the tasks.

use super::draft::Draft;
use crate::model::{Holder, Kind, NsRef, ProcessRow, Slot, Slots};

/// Takes in all `processes`, which are in ascending order.
pub(super) fn enter(draft: &mut Draft<'_>, processes: &[ProcessRow]) {
    for process in processes {
        let elsewhere = u32::try_from(process.threads.len()).unwrap_or(u32::MAX);
        for ns in own(&process.slots) {
            if let Some(row) = draft.row(*ns) {
                row.processes.push(process.pid);
                row.nprocs += 1;
                row.threads += process.count.saturating_sub(elsewhere);
            }
        }
        children(draft, process.pid, process.pid, &process.slots);
        for thread in &process.threads {
            for ns in own(&thread.slots) {
                let led = process.slots.get(Slot::of(ns.kind)) == Some(ns);
                if let Some(row) = draft.row(*ns) {
                    row.threads += 1;
                    if !led {
                        let (pid, tid, kind) = (process.pid, thread.tid, ns.kind);
                        row.holders.push(Holder::Thread { pid, tid, kind });
                    }
                }
            }
            children(draft, process.pid, thread.tid, &thread.slots);
        }
    }
}

fn children(draft: &mut Draft<'_>, pid: u32, tid: u32, slots: &Slots) {
    let pairs = [(Slot::PidForChildren, Slot::Pid), (Slot::TimeForChildren, Slot::Time)];
    for (slot, own) in pairs {
        if let Some(ns) = slots.get(slot)
            && slots.get(own) != Some(ns)
        {
            draft.hold(*ns, Holder::ForChildren { pid, tid, slot });
        }
    }
}

/// The namespaces that a task is in, without those for its children.
fn own(slots: &Slots) -> impl Iterator<Item = &NsRef> {
    Kind::ALL.into_iter().filter_map(|kind| slots.get(Slot::of(kind)))
}
