//! The kinds of virtual machines: one per processor that ns-trace runs on.

/// A board and the processor on it, as QEMU emulates them.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Machine {
    /// What Rust calls the processor.
    pub(super) arch: &'static str,
    /// What Debian calls it.
    pub(super) debian: &'static str,
    /// The program that emulates it.
    pub(super) qemu: &'static str,
    /// The board.
    pub(super) board: &'static str,
    /// The model of the processor: the oldest, and what its kernels and tests make use of. Each
    /// feature more is one more that the kernel asks for in its hot paths, and that has to be
    /// emulated: with all of them (`max`) the tests take a fifth longer.
    pub(super) cpu: &'static str,
    /// What the kernel calls the serial line that QEMU shows.
    pub(super) console: &'static str,
}

pub(super) static X86_64: Machine = Machine {
    arch: "x86_64",
    debian: "amd64",
    qemu: "qemu-system-x86_64",
    board: "pc",
    cpu: "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+rdrand,+fsgsbase",
    console: "ttyS0",
};

pub(super) static AARCH64: Machine = Machine {
    arch: "aarch64",
    debian: "arm64",
    qemu: "qemu-system-aarch64",
    board: "virt",
    cpu: "cortex-a57",
    console: "ttyAMA0",
};
