//! What found no room in the ring: counted by each CPU, and said in the ring where it is missing.

use crate::{Due, Header};

/// How many counters a ledger has room for.
pub const SORTS: usize = 11;

const _: () = assert!(Due::COUNTERS as usize <= SORTS, "each sort of event has a counter");

/// One CPU's account; only programs on this CPU write to it, and only by atomic additions, so that
/// one that interrupts another leaves every count right. As large as two cache lines, so that no
/// CPU waits for another.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Ledger {
    /// Records that were numbered: those written and those for which there was no room.
    pub numbered: u64,
    /// Records for which there was no room.
    pub failed: u64,
    /// `failed` when this CPU last wrote a [`Lost`].
    pub told: u64,
    /// Calls of interest that the program of all calls saw.
    pub handled: u64,
    /// The same, as the programs of single calls count them.
    pub witnessed: u64,
    /// Events lost with them, by sort (see [`Due`]).
    pub lost: [u64; SORTS],
}

/// Records of this CPU are missing before this one; the counts are those since the start.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Lost {
    /// Kind [`RecordKind::Lost`](crate::RecordKind::Lost).
    pub header: Header,
    /// Records for which there was no room.
    pub failed: u64,
    /// Events lost with them, by sort (see [`Due`]).
    pub lost: [u64; SORTS],
}
