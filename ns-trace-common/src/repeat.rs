//! Calls that a thread makes over and over: counted in the kernel, told now and then.

use crate::Header;

/// How long the next call of a kind is only counted after one was told: nanoseconds.
pub const PAUSE_NS: u64 = 1_000_000_000;
/// How many kinds of calls are known of a thread; a power of two.
pub const KINDS: usize = 8;
/// How many threads are watched at a time; the calls of others are all told.
pub const THREADS: u32 = 4096;
/// Into how many buckets threads fall by their number; a power of two.
pub const BUCKETS: u32 = 4096;

/// A failed call, or a setns(2) from one set of namespaces to another.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Kind {
    /// The [`Cause`](crate::Cause) in the upper half, the error number in the lower: 0 is success.
    pub call: u64,
    /// The flags of the call, the nstype of setns(2).
    pub flags: u64,
    /// Of a failure its target; of a success a digest of the namespaces before.
    pub from: u64,
    /// Of a failure its target; of a success a digest of the namespaces after.
    pub to: u64,
    /// The kind's number among those of its thread, from 1; 0 is none.
    pub serial: u64,
    /// Calls that were counted instead of told, by whatever kinds had this place; only grows.
    pub held: u64,
    /// `held` when a [`Repeat`] last told of it.
    pub told: u64,
    /// When a call of this kind was last told, or a count of them: nanoseconds of the boot clock.
    pub told_ns: u64,
    /// When the last call was made: nanoseconds of the boot clock.
    pub last_ns: u64,
}

/// What is known of a thread. Only the thread itself writes to it, all but `told` and `told_ns`.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Thread {
    /// `start_boottime`, which tells it from an earlier thread with the same number.
    pub start_ns: u64,
    /// A digest of its namespaces after its last setns(2); 0 if another call has changed them since.
    pub place: u64,
    /// The kind of its last setns(2), 0 as above.
    pub last: u64,
    /// The number of its newest kind.
    pub newest: u64,
    /// The kinds, each at its number modulo [`KINDS`].
    pub kinds: [Kind; KINDS],
}

/// How many calls of one kind were held back.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Held {
    /// [`Kind::serial`]; 0 is none.
    pub serial: u64,
    /// [`Kind::call`]
    pub call: u64,
    /// [`Kind::held`]
    pub held: u64,
    /// [`Kind::told`] before this record.
    pub told: u64,
    /// [`Kind::last_ns`]
    pub last_ns: u64,
}

/// A thread has made calls that were not told.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Repeat {
    /// Kind [`RecordKind::Repeat`](crate::RecordKind::Repeat).
    pub header: Header,
    /// Thread number in the initial pid namespace.
    pub tid: u32,
    /// Always 0; keeps the size a multiple of 8.
    pub reserved: u32,
    /// [`Thread::start_ns`]
    pub start_ns: u64,
    /// [`Thread::last`]: the thread is where that kind leads.
    pub last: u64,
    /// Its kinds.
    pub held: [Held; KINDS],
}
