//! The probes that look at what exists, in an object of their own: a look takes milliseconds, and
//! reading the tracer's object would take longer.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![allow(dead_code, reason = "the tracer uses more of what they share")]

mod arch;
mod bare;
mod call;
mod emit;
mod files;
mod inspect;
mod list;
mod maps;
mod memory;
mod snapshot;
mod task;
