//! Linux namespaces, live.
//!
//! ```text
//!  kernel ── probe ──▶ ring ──▶ decode ─┐
//!  /proc ─── discover ─▶ snapshot ──────┼─▶ table ─▶ enrich ─▶ rule ──▶ sinks
//!  disk ──── replay ────────────────────┘
//! ```
//! Three sources, one pipeline: live, snapshot and replay never take different code paths.
//!
//! # Invariants
//!
//! 1. *Threads come late.* `main` is synchronous and single-threaded; only rooms that stream start
//!    threads, since setns(2) and unshare(2) of user, mount and time namespaces refuse
//!    multi-threaded processes.
//! 2. *The table is a value.* Same records, same table: no clock and no I/O inside.
//! 3. *An inode is not a name.* Inodes are reused at once, also across types; a namespace is kind,
//!    inode and the kernel's 64-bit id where there is one, and a row of its own where there is none.
//! 4. *No event is lost silently.* Every stage counts its drops; a loss is an event with its count,
//!    and the table then resynchronises.
//! 5. *Attach first, then snapshot, then reconcile, then go live.* A snapshot row never resurrects
//!    what was already seen to end.
//! 6. *Observing does not pin.* Nothing keeps a namespace alive longer than the look at it.
//!
//! A module imports only from modules declared above it; `cargo xtask tidy` enforces that.

pub mod cli;
pub mod cmd;
pub mod discover;
#[cfg(test)]
mod doc;
pub mod enrich;
pub mod expr;
pub mod history;
pub mod model;
pub mod name;
pub mod pipeline;
pub mod plan;
pub mod probe;
mod report;
pub mod rule;
pub mod serve;
pub mod sink;
pub mod sys;
pub mod table;
pub mod view;
