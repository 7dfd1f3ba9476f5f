//! The words of the domain: no I/O, nothing that knows where events come from.

#[cfg(test)]
pub(crate) mod arbitrary;
mod container;
mod errno;
pub mod event;
mod flags;
mod json;
mod namespace;
mod process;
mod text;
mod time;

pub use self::{
    container::{Container, Placement, Pod, Runtime},
    errno::Errno,
    event::Event,
    flags::Flags,
    json::{Fields, JsonWriter, write_json},
    namespace::{NsInfo, NsRef, Slots},
    process::{Caps, Creator, Process, TaskRef},
    text::printable,
    time::Time,
};
pub use ns_trace_common::{Cause, Kind, NAMESPACE_FLAGS, SLOTS, Slot, map::MapFile};
