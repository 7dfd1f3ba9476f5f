//! A backend tried out: loaded, run once over the machine's tasks, and gone again.

use ns_trace_common::{Slot, Task};

use super::{
    load::{Error, Loaded, Options, Probes, self_check},
    record::{Record, RecordBuffer},
};
use crate::sys::process::own_namespace;

/// Loads the probes, lets them look at every task, and compares what they read of this process
/// with what /proc says. Nothing is attached, and nothing is left behind.
///
/// # Errors
///
/// If the kernel refuses the probes, or the comparison fails; see [`Error`].
pub fn trial(options: &Options) -> Result<(), Error> {
    let Loaded { mut probes, mut ring } = Probes::load(options)?;
    probes.snapshot()?;
    let mut records = RecordBuffer::default();
    while let Some(record) = ring.next() {
        records.clear();
        records.push(record);
        for record in records.records() {
            if let Record::Member(member) = record
                && is_self(&member.task)
            {
                return self_check(&member.task);
            }
        }
    }
    Err(Error::SelfCheck("the probes did not find this process".to_owned()))
}

/// Whether this is the calling process, whose number may be another one in the initial namespace.
fn is_self(task: &Task) -> bool {
    let pid = own_namespace("pid");
    task.vpid == std::process::id() && pid.is_ok_and(|inode| inode == task.slot(Slot::Pid).inode)
}
