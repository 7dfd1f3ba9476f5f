//! New namespaces for this process.

use std::io;

/// Moves this process into new namespaces, one for each bit (unshare(2)).
///
/// # Errors
///
/// Those of unshare(2).
pub fn unshare(flags: u64) -> io::Result<()> {
    let Ok(flags) = u32::try_from(flags) else {
        // The system call takes a long, the library an int.
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    };
    // SAFETY: the one thread of this process owns all that it shares; no memory is unshared.
    let result = unsafe { libc::unshare(flags.cast_signed()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
