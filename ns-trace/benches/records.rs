//! Records as the probes of the `tracepoint` backend write them.

use bytemuck::{NoUninit, Zeroable as _};
use ns_trace::probe::RecordBuffer;
use ns_trace_common::{
    Cause, Header, Kind, Ns, RecordKind, Slot, Task,
    enter::Enter,
    exec::Exec,
    exit::Exit,
    fail::Fail,
    fork::{Clone as Cloned, Fork},
    snapshot::{End, Member},
};

/// The reader of the ring hands records on in pieces of about this many bytes.
const PIECE: usize = 1 << 19;
/// Tasks that exist before anything happens, kthreadd among them.
const TASKS: u32 = 150;
/// How many inodes go round: the kernel gives the lowest free one to the next namespace.
const INODES: u64 = 16;
/// Nanoseconds between two records.
const STEP: u64 = 1_000;

const NEWUTS: u64 = 0x0400_0000;
const NEWNET: u64 = 0x4000_0000;
const EPERM: u32 = 1;

/// Two tasks in a loop of `unshare(CLONE_NEWUTS)`.
pub(crate) fn storm(calls: u64) -> Vec<RecordBuffer> {
    let mut pieces = Pieces::default();
    let mut tasks = [task(100), task(101)];
    for (call, turn) in (0..calls).zip([0, 1].into_iter().cycle()) {
        if let Some(task) = tasks.get_mut(turn) {
            set(task, Slot::Uts, fresh(Kind::Uts, call));
            let enter = Enter {
                cause: Cause::Unshare as u32,
                flags: NEWUTS,
                births: NEWUTS,
                task: *task,
                ..Enter::zeroed()
            };
            pieces.add(RecordKind::Enter, enter, b"", |enter, header| enter.header = header);
        }
    }
    pieces.done()
}

/// Every call makes a namespace and enters it; all but the last round of inodes die.
pub(crate) const fn least_events_of_storm(calls: u64) -> u64 {
    3 * calls - 2 * INODES
}

/// Processes that are forked, run a program, and end; some make namespaces on the way, some fail.
pub(crate) fn life(lives: u64) -> Vec<RecordBuffer> {
    let mut pieces = Pieces::default();
    let shell = task(100);
    for (life, tid) in (0..lives).zip(10_000..) {
        let mut child =
            Task { pid: tid, tid, ppid: shell.tid, vpid: tid, start_ns: pieces.now, ..shell };
        let is_container = life % 3 == 0;
        if is_container {
            set(&mut child, Slot::Uts, fresh(Kind::Uts, life));
            set(&mut child, Slot::Net, fresh(Kind::Net, life));
        }
        let (kind, flags) =
            if is_container { (RecordKind::Clone, NEWUTS | NEWNET) } else { (RecordKind::Fork, 0) };
        let fork = Fork {
            creator_tid: shell.tid,
            cause: Cause::Clone as u32,
            flags,
            task: child,
            ..Fork::zeroed()
        };
        if is_container {
            let cloned = Cloned { fork, births: flags, creator: shell };
            pieces.add(kind, cloned, b"", |cloned, header| cloned.fork.header = header);
        } else {
            pieces.add(kind, fork, b"", |fork, header| fork.header = header);
        }
        let exec = Exec {
            old_tid: tid,
            exe_len: 12,
            args_len: 16,
            args_total: 16,
            task: child,
            ..Exec::zeroed()
        };
        pieces.add(RecordKind::Exec, exec, b"/usr/bin/envenv\0-i\0/bin/true", |exec, header| {
            exec.header = header;
        });
        match life % 3 {
            1 => {
                set(&mut child, Slot::Uts, fresh(Kind::Uts, life));
                let enter = Enter {
                    cause: Cause::Unshare as u32,
                    flags: NEWUTS,
                    births: NEWUTS,
                    task: child,
                    ..Enter::zeroed()
                };
                pieces.add(RecordKind::Enter, enter, b"", |enter, header| enter.header = header);
            }
            2 => {
                let fail = Fail {
                    cause: Cause::Unshare as u32,
                    errno: EPERM,
                    flags: NEWNET,
                    task: child,
                    ..Fail::zeroed()
                };
                pieces.add(RecordKind::Fail, fail, b"", |fail, header| fail.header = header);
            }
            _ => {}
        }
        let exit = Exit { pid: tid, tid, start_ns: child.start_ns, ..Exit::zeroed() };
        pieces.add(RecordKind::Exit, exit, b"", |exit, header| exit.header = header);
    }
    pieces.done()
}

/// Of each life `fork`, `exec` and `exit`; of three lives two `create` and an `enter`, a `create`
/// and an `enter`, and a `fail`.
pub(crate) const fn least_events_of_life(lives: u64) -> u64 {
    3 * lives + 2 * lives
}

/// What the probes find when they start.
pub(crate) fn snapshot() -> RecordBuffer {
    let mut pieces = Pieces { now: 0, ..Pieces::default() };
    for tid in 1..TASKS {
        let member = Member { task: task(tid), ..Member::zeroed() };
        pieces.add(RecordKind::Member, member, b"", |member, header| member.header = header);
    }
    let end = End::zeroed();
    pieces.add(RecordKind::End, end, b"", |end, header| end.header = header);
    pieces.done().into_iter().next().unwrap_or_default()
}

/// Buffers that fill up one after the other.
struct Pieces {
    full: Vec<RecordBuffer>,
    open: RecordBuffer,
    now: u64,
}

impl Default for Pieces {
    fn default() -> Self {
        Self { full: Vec::new(), open: RecordBuffer::default(), now: 3_600_000_000_000 }
    }
}

impl Pieces {
    /// Adds a record with the text that follows it; `put` sets its header.
    fn add<T: NoUninit>(
        &mut self,
        kind: RecordKind,
        mut record: T,
        text: &[u8],
        put: impl FnOnce(&mut T, Header),
    ) {
        self.now += STEP;
        let len = u32::try_from(size_of::<T>() + text.len()).unwrap_or(u32::MAX);
        put(&mut record, Header { kind: kind as u16, cpu: 0, len, boot_ns: self.now, seq: 0 });
        self.open.push(&[bytemuck::bytes_of(&record), text].concat());
        if self.open.len() >= PIECE {
            self.full.push(std::mem::take(&mut self.open));
        }
    }

    fn done(mut self) -> Vec<RecordBuffer> {
        self.full.push(self.open);
        self.full
    }
}

/// A task of root's in the namespaces that the system booted with.
fn task(tid: u32) -> Task {
    let mut task = Task {
        pid: tid,
        tid,
        ppid: 1,
        vpid: tid,
        start_ns: u64::from(tid) * STEP,
        caps: 0x1ff_ffff_ffff,
        cgroup_id: 4_711,
        comm: *b"unshare\0\0\0\0\0\0\0\0\0",
        ..Task::default()
    };
    for slot in Slot::ALL {
        let number = slot.kind() as u32 + 1;
        let (id, inode) = (u64::from(number), 0xf000_0000 + number);
        set(&mut task, slot, Ns { address: u64::from(inode) << 12, id, inode, reserved: 0 });
    }
    task
}

fn set(task: &mut Task, slot: Slot, ns: Ns) {
    if let Some(place) = task.slots.get_mut(slot as usize) {
        *place = ns;
    }
}

/// The namespace that a call makes: never seen before, but by its address and inode.
fn fresh(kind: Kind, number: u64) -> Ns {
    let place = number % INODES + INODES * (kind as u64 + 1);
    let inode = 0xf000_1000 + u32::try_from(place).unwrap_or_default();
    Ns {
        address: u64::from(inode) << 12,
        id: 1_000_000 + 8 * number + kind as u64,
        inode,
        reserved: 0,
    }
}
