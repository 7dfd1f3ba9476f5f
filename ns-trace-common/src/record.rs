/// Which struct a record holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u16)]
pub enum RecordKind {
    /// [`create::Create`](crate::create::Create)
    Create = 1,
    /// [`enter::Enter`](crate::enter::Enter)
    Enter = 2,
    /// [`fail::Fail`](crate::fail::Fail)
    Fail = 3,
    /// [`destroy::Destroy`](crate::destroy::Destroy)
    Destroy = 4,
    /// [`fork::Fork`](crate::fork::Fork)
    Fork = 5,
    /// [`fork::Clone`](crate::fork::Clone)
    Clone = 6,
    /// [`exec::Exec`](crate::exec::Exec)
    Exec = 7,
    /// [`exit::Exit`](crate::exit::Exit)
    Exit = 8,
    /// [`snapshot::Member`](crate::snapshot::Member)
    Member = 9,
    /// [`snapshot::End`](crate::snapshot::End)
    End = 10,
    /// [`lost::Lost`](crate::lost::Lost)
    Lost = 11,
    /// [`repeat::Repeat`](crate::repeat::Repeat)
    Repeat = 12,
    /// [`map::Map`](crate::map::Map)
    Map = 13,
}

impl RecordKind {
    /// The kind with this wire number, if there is one.
    #[must_use]
    pub const fn from_wire(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Create,
            2 => Self::Enter,
            3 => Self::Fail,
            4 => Self::Destroy,
            5 => Self::Fork,
            6 => Self::Clone,
            7 => Self::Exec,
            8 => Self::Exit,
            9 => Self::Member,
            10 => Self::End,
            11 => Self::Lost,
            12 => Self::Repeat,
            13 => Self::Map,
            _ => return None,
        })
    }
}

/// The start of every record.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Header {
    /// A [`RecordKind`].
    pub kind: u16,
    /// The CPU that wrote it.
    pub cpu: u16,
    /// Bytes of the whole record, this header included.
    pub len: u32,
    /// When it happened: nanoseconds of the boot clock.
    pub boot_ns: u64,
    /// Its number among the records that this CPU wrote or had no room for, from 0: those of one CPU
    /// are dense, so whoever misses one knows where it was. A program that interrupts another on its
    /// CPU may take the same number or write before it; their count stays right
    /// (see [`Ledger`](crate::lost::Ledger)).
    pub seq: u64,
}

/// How many events of each sort a record stands for: what is missing when the record is lost.
///
/// One element per counter of the probes' loss map.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Due {
    /// `create` events.
    pub create: u32,
    /// `enter` events.
    pub enter: u32,
}

impl Due {
    /// Counter numbers in the loss map, one per sort of event.
    pub const CREATE: u32 = 0;
    /// See [`CREATE`](Self::CREATE).
    pub const ENTER: u32 = 1;
    /// See [`CREATE`](Self::CREATE).
    pub const FAIL: u32 = 2;
    /// See [`CREATE`](Self::CREATE).
    pub const DESTROY: u32 = 3;
    /// See [`CREATE`](Self::CREATE).
    pub const FORK: u32 = 4;
    /// See [`CREATE`](Self::CREATE).
    pub const EXEC: u32 = 5;
    /// See [`CREATE`](Self::CREATE).
    pub const EXIT: u32 = 6;
    /// Rows of a snapshot: not an event, but it makes the snapshot incomplete.
    pub const MEMBER: u32 = 7;
    /// See [`CREATE`](Self::CREATE).
    pub const MAP: u32 = 8;
    /// How many counters there are.
    pub const COUNTERS: u32 = 9;

    /// What the record of a successful call stands for: one `create` per bit of `births`, which have
    /// no record of their own, and the `enter`.
    #[must_use]
    pub const fn of_call(births: u64) -> Self {
        Self { create: births.count_ones(), enter: 1 }
    }
}
