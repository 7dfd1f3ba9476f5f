//! Reading kernel structs through the offsets that userspace resolved from BTF.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use ns_trace_common::{ABSENT, Helpers, Offsets};

/// Where the running kernel keeps things; userspace overwrites it before loading, and the verifier
/// then treats every field as a constant.
#[unsafe(no_mangle)]
pub static OFFSETS: Offsets = {
    // SAFETY: the struct is nothing but u32 fields; all bits zero is a value of it.
    unsafe { core::mem::zeroed() }
};

/// What the running kernel's BPF can do; as with [`OFFSETS`].
#[unsafe(no_mangle)]
pub static HELPERS: Helpers = Helpers { current_task_btf: 0, task_pt_regs: 0 };

/// Whether the kernel has a helper: `has!(task_pt_regs)`.
macro_rules! has {
    ($helper:ident) => {
        $crate::memory::constant(&$crate::memory::HELPERS.$helper) != 0
    };
}
pub(crate) use has;

/// The offset of a member: `offset!(task_pid)`.
macro_rules! offset {
    ($($path:tt)+) => { $crate::memory::constant(&$crate::memory::OFFSETS.$($path)+) };
}
pub(crate) use offset;

/// Reads a field that userspace has set.
#[inline(always)]
pub fn constant(field: &'static u32) -> u32 {
    // SAFETY: it is a reference. The read must be volatile, or the compiler would fold in what
    // stands in the source.
    unsafe { core::ptr::read_volatile(field) }
}

/// Whether this kernel has the member at `offset`.
#[inline(always)]
pub fn present(offset: u32) -> bool {
    offset != ABSENT
}

/// A way of reading kernel memory.
pub trait Memory {
    /// Reads the value at `base + offset`; zeros if that is not readable.
    ///
    /// # Safety
    ///
    /// Every bit pattern must be a value of `T`.
    unsafe fn read<T: Copy>(base: *const u8, offset: u32) -> T;

    /// Reads the pointer at `base + offset`.
    ///
    /// # Safety
    ///
    /// None beyond [`read`](Self::read)'s: a pointer may have any bits.
    #[inline(always)]
    unsafe fn pointer(base: *const u8, offset: u32) -> *const u8 {
        // SAFETY: a pointer may have any bits.
        unsafe { Self::read(base, offset) }
    }
}

/// Plain loads, for pointers whose BTF type the verifier knows: what hangs off the current task.
///
/// The kernel turns a load that faults into zeros (`PROBE_MEM`), so no check for null is needed.
/// A load is several times cheaper than a probed read when it runs, but each pointer loaded from the
/// current task costs the verifier some milliseconds (it searches all types of the kernel by name):
/// only what runs often reads this way, and each pointer once.
pub enum Direct {}

impl Memory for Direct {
    #[inline(always)]
    unsafe fn read<T: Copy>(base: *const u8, offset: u32) -> T {
        // SAFETY: the verifier admits the load only if `base` is of a known type.
        unsafe { core::ptr::read_volatile(base.add(offset as usize).cast()) }
    }
}

/// [`Direct`] where the kernel tells the type of the current task (5.11), else [`Probed`].
///
/// Which of them is asked anew for each read: for a whole task decide once, as `task::own` does.
pub enum Own {}

impl Memory for Own {
    #[inline(always)]
    unsafe fn read<T: Copy>(base: *const u8, offset: u32) -> T {
        // SAFETY: as promised by the caller.
        unsafe {
            if has!(current_task_btf) {
                Direct::read(base, offset)
            } else {
                Probed::read(base, offset)
            }
        }
    }
}

/// `bpf_probe_read_kernel`, for any address.
pub enum Probed {}

impl Memory for Probed {
    #[inline(always)]
    unsafe fn read<T: Copy>(base: *const u8, offset: u32) -> T {
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: the helper checks the address itself and always fills the value, with zeros if it
        // cannot read; so its result need not be looked at, and the verifier has no branch to follow.
        unsafe {
            bpf_probe_read_kernel(
                value.as_mut_ptr().cast(),
                size_of::<T>() as u32,
                base.wrapping_add(offset as usize).cast(),
            );
            value.assume_init()
        }
    }
}
