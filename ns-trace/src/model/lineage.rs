//! Where tasks and namespaces come from.

use std::sync::Arc;

use super::{Caps, Cause, Container, Creator, NsInfo};

/// A process that another descends from, as it was when it was last heard of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ancestor {
    /// Its number in the initial pid namespace.
    pub pid: u32,
    /// The number of the process that made it, whoever adopted it since.
    pub ppid: u32,
    /// When it was made: nanoseconds of the boot clock.
    pub start_ns: u64,
    /// Its name, at most 15 bytes.
    pub comm: Arc<str>,
    /// The file that it runs. None if unknown.
    pub exe: Option<Arc<str>>,
    /// Its real user number.
    pub uid: u32,
    /// Its effective user number. None if unknown.
    pub euid: Option<u32>,
    /// Its effective capabilities. None if unknown.
    pub caps: Option<Caps>,
    /// The container that it is in.
    pub container: Option<Arc<Container>>,
}

/// What is known of a namespace beside what an event says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    /// The namespace and its relatives.
    pub ns: NsInfo,
    /// The call that made it. None if it is older than the tracer.
    pub cause: Option<Cause>,
    /// The task that made it. None if it is older than the tracer.
    pub creator: Option<Arc<Creator>>,
    /// The container that its maker was in.
    pub container: Option<Arc<Container>>,
    /// How many tasks are in it; of a recording, when a snapshot last counted. None if nobody did.
    pub members: Option<u32>,
}
