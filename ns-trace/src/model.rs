//! The words of the domain: no I/O, nothing that knows where events come from.

#[cfg(test)]
pub(crate) mod arbitrary;
mod column;
mod container;
mod errno;
pub mod event;
mod flags;
mod holder;
mod json;
mod lineage;
mod measure;
mod namespace;
mod process;
pub mod redact;
mod selector;
mod text;
mod time;
mod want;
mod world;

pub use self::{
    column::{Cell, Column, UnknownColumn},
    container::{Container, Placement, Pod, Runtime},
    errno::Errno,
    event::Event,
    flags::Flags,
    holder::Holder,
    json::{Fields, JsonWriter, write_json},
    lineage::{Ancestor, Origin},
    measure::{Bytes, parse_bytes, parse_duration},
    namespace::{NsInfo, NsRef, Slots},
    process::{Caps, Creator, Process, TaskRef},
    selector::{Selector, SelectorError},
    text::{printable, same},
    time::Time,
    want::{From, Kinds, Mounts, Want},
    world::{Life, MapLine, Maps, NsRow, ProcessRow, ThreadRow, World},
};
pub use ns_trace_common::{
    Cause, Kind, NAMESPACE_FLAGS, SLOTS, Slot,
    files::{Hold, Way},
    map::MapFile,
};
