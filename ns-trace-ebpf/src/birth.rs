//! Which births of a call have records of their own.

use aya_ebpf::{macros::map, maps::HashMap};
use ns_trace_common::Births;

use crate::{call::tid, memory::constant};

/// A constant of [`Births`]; userspace sets it.
#[unsafe(no_mangle)]
pub static BIRTHS: u32 = 0;

/// The births that hooks saw of calls under way: `CLONE_NEW*` bits by thread number.
#[map]
static BORN: HashMap<u32, u64> = HashMap::with_max_entries(8192, 0);

#[inline(always)]
fn are(births: Births) -> bool {
    constant(&BIRTHS) == births as u32
}

/// A hook saw the birth of a namespace with this flag, in a call that will end.
#[inline(always)]
pub fn seen(flag: u64) {
    if !are(Births::Completed) {
        return;
    }
    match BORN.get_ptr_mut(tid()) {
        // SAFETY: the verifier knows the bounds; nobody but the thread itself changes its element.
        Some(flags) => unsafe { *flags |= flag },
        None => drop(BORN.insert(tid(), flag, 0)),
    }
}

/// The current thread's call has succeeded, and has made these kinds: those that no hook saw.
#[inline(always)]
pub fn unseen(made: u64) -> u64 {
    if are(Births::Hooked) || made == 0 {
        return 0;
    }
    if are(Births::Derived) {
        return made;
    }
    // SAFETY: nobody but the thread itself changes its element.
    let seen = unsafe { BORN.get(tid()) }.copied().unwrap_or(0);
    forget();
    made & !seen
}

/// The current thread's call has failed, and what it made is gone.
#[inline(always)]
pub fn forget() {
    if are(Births::Completed) {
        // There may have been none.
        drop(BORN.remove(tid()));
    }
}
