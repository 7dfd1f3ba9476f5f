//! The probes in the kernel: which of them this kernel takes, and what they say.
//!
//! [`Plan`] says what to load, [`Probes`] loads and attaches it, [`reader`] carries records out of
//! the ring, and [`Record`] reads them. This room knows nothing of what the records add up to.

mod abilities;
mod arch;
pub mod backlog;
pub mod btf;
pub mod coverage;
#[cfg(test)]
pub(crate) mod fixtures;
mod former;
mod fprobe;
mod load;
mod losses;
mod misses;
pub mod offsets;
mod overlap;
pub mod pins;
mod plan;
pub mod reader;
mod record;
mod trial;
mod walk;

pub use self::{
    abilities::Abilities,
    former::Former,
    load::{Error, Loaded, Options, Probes, self_check},
    losses::{Gaps, Losses},
    misses::Misses,
    overlap::Overlap,
    plan::{Backend, Hook, HookKind, Obstacle, Plan, obstacle},
    record::{Record, RecordBuffer, Records, due, untold},
    trial::trial,
    walk::Walk,
};
