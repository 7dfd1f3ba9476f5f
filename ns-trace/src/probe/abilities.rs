//! What the kernel's BPF can do, asked of the kernel itself: versions say little about what
//! distributions have carried back.

use ns_trace_common::Helpers;

use crate::sys::bpf;

/// What not every supported kernel can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Abilities {
    /// For the probes.
    pub helpers: Helpers,
    /// Whether a program can loop without end in sight, by `bpf_loop` (5.17).
    pub loops: bool,
}

impl Abilities {
    /// Asks the kernel. Who may not ask is told of a kernel that can do everything: what it says
    /// when the probes are loaded explains more than a guess.
    #[must_use]
    pub fn ask() -> Self {
        let has = |helper| bpf::has_helper(helper).unwrap_or(true);
        Self {
            helpers: Helpers {
                current_task_btf: has(bpf::GET_CURRENT_TASK_BTF).into(),
                task_pt_regs: has(bpf::TASK_PT_REGS).into(),
            },
            loops: has(bpf::LOOP),
        }
    }
}
