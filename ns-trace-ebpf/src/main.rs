//! The probes: what runs in the kernel.
//!
//! One file per hook family, named as the record that it writes. A probe is a thin entry; it reads
//! through [`memory`] and [`task`], and writes straight into the ring: the BPF stack is too small
//! for a record.
//!
//! Each probe says in a `match-proto: VERSIONS[ ARCHITECTURE]: PROTOTYPE` line what it hooks on which
//! kernels; tests compare that with what kernels say (ns-trace/src/probe/fixtures/prototypes.rs).
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod arch;
mod birth;
mod call;
mod create;
mod destroy;
mod emit;
mod enter;
mod exec;
mod exit;
mod fail;
mod fork;
mod inspect;
mod list;
mod map;
mod maps;
mod memory;
mod repeat;
mod snapshot;
mod task;

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier proves that no path leads here: nothing above panics.
    loop {}
}
