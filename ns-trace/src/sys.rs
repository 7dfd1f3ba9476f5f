//! The only raw system calls.

pub mod bpf;
pub mod capability;
pub mod cgroup;
pub mod clock;
pub mod host;
pub mod mapping;
pub mod memory;
pub mod process;
pub mod signal;
pub mod tracefs;
