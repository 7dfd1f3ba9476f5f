//! The only raw system calls.

pub mod account;
pub mod bpf;
pub mod capability;
pub mod cgroup;
pub mod clock;
pub mod detached;
pub mod file;
pub mod fork;
pub mod host;
pub mod job;
pub mod mapping;
pub mod memory;
pub mod mounts;
pub mod netnsid;
pub mod notify;
pub mod nsfs;
pub mod process;
pub mod program;
pub mod ring;
pub mod rtnetlink;
pub mod seccomp;
pub mod setting;
pub mod signal;
pub mod tracefs;
pub mod unshare;
pub mod worker;
