//! Making namespaces for the own process (unshare(2)).

use std::io;

use rustix::thread::UnshareFlags;

use crate::model::Kind;

/// Puts this process into a new namespace of each of these types; of pid and time namespaces its
/// children only.
///
/// # Errors
///
/// EPERM without `CAP_SYS_ADMIN` in the own user namespace, unless it makes a user namespace; ENOSPC
/// above `user.max_*_namespaces`; EINVAL in a process of several threads.
pub fn unshare(kinds: &[Kind]) -> io::Result<()> {
    by_flags(kinds.iter().fold(0, |bits, kind| bits | kind.flag()))
}

/// As [`unshare`], with flags as the call has them.
///
/// # Errors
///
/// Those of unshare(2).
pub fn by_flags(bits: u64) -> io::Result<()> {
    let Ok(bits) = u32::try_from(bits) else {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    };
    // SAFETY: no flag parts descriptors or memory of threads; there is one thread only.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::from_bits_retain(bits)) }?;
    Ok(())
}
