//! Settings of the kernel, as /proc/sys and securityfs show them.

use std::{fs, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{detached::Detached, mounts};

/// Reads a setting named as sysctl(8) does: `kernel.perf_event_paranoid`.
///
/// # Errors
///
/// ENOENT if the kernel has none of that name, EACCES if only root may read it.
pub fn read(name: &str) -> io::Result<String> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

/// What the kernel keeps even root from doing: `none`, `integrity` or `confidentiality`.
///
/// # Errors
///
/// If the kernel has no lockdown, or securityfs is neither mounted nor can be made.
pub fn lockdown() -> io::Result<String> {
    let mounts = mounts::all().unwrap_or_default();
    let mounted = mounts.into_iter().find(|mount| mount.kind == "securityfs");
    let text = match mounted {
        Some(mount) => fs::read_to_string(mount.place.join("lockdown"))?,
        None => Detached::open("securityfs")?.read("lockdown")?,
    };
    marked(&text).ok_or_else(|| io::Error::other(format!("unexpected `{}`", text.trim())))
}

/// The word in brackets of `none [integrity] confidentiality`.
fn marked(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word.to_owned())
}

/// How many bytes this process may lock in memory; `None` is no limit.
#[must_use]
pub fn memory_lock_limit() -> Option<u64> {
    getrlimit(Resource::Memlock).current
}

/// Allows this process to lock as much memory as there is.
///
/// # Errors
///
/// EPERM if its hard limit forbids it and it lacks `CAP_SYS_RESOURCE`.
pub fn lift_memory_lock_limit() -> io::Result<()> {
    let limit = getrlimit(Resource::Memlock);
    let lift = |maximum| setrlimit(Resource::Memlock, Rlimit { current: maximum, maximum });
    // What the hard limit allows is better than nothing.
    lift(None).or_else(|error| lift(limit.maximum).and(Err(error)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lockdown_in_force_is_the_one_in_brackets() {
        assert_eq!(marked("none [integrity] confidentiality\n").as_deref(), Some("integrity"));
        assert_eq!(marked("none"), None);
    }

    #[test]
    fn settings_are_read_by_their_dotted_names() {
        assert!(read("kernel.ostype").is_ok_and(|value| value == "Linux"));
        assert!(read("kernel.no_such_setting").is_err());
    }
}
