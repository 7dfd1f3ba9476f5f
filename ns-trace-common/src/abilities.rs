/// Which BPF helpers this kernel has, of those that not every supported one has; 1 is yes.
///
/// Userspace puts them into read-only data before loading, so the verifier drops the calls that the
/// kernel does not know.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Helpers {
    /// `bpf_get_current_task_btf` (5.11): the current task, whose type the verifier knows.
    pub current_task_btf: u32,
    /// `bpf_task_pt_regs` (5.15): the saved registers of a task.
    pub task_pt_regs: u32,
}
