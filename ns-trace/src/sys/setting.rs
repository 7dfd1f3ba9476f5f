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

/// While it lives this process may lock as much memory as there is, or at least as its hard limit
/// allows.
///
/// Before 5.11 the kernel counts BPF programs and maps against that limit when they are made, and
/// says EPERM if they exceed it. A command that is run later is not to inherit what we need.
#[derive(Debug)]
pub struct MemoryLockLift {
    before: Rlimit,
}

impl MemoryLockLift {
    /// Lifts the limit, as far as this process may.
    #[must_use]
    pub fn new() -> Self {
        let before = getrlimit(Resource::Memlock);
        let lift = |maximum| setrlimit(Resource::Memlock, Rlimit { current: maximum, maximum });
        // Who may do neither is told by what fails.
        let _ = lift(None).or_else(|_| lift(before.maximum));
        Self { before }
    }
}

impl Default for MemoryLockLift {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for MemoryLockLift {
    fn drop(&mut self) {
        // Who may raise a limit may lower it.
        let _ = setrlimit(Resource::Memlock, self.before);
    }
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
    fn the_limit_of_locked_memory_is_lifted_for_a_time() {
        let before = getrlimit(Resource::Memlock);
        let lift = MemoryLockLift::new();
        assert_eq!(memory_lock_limit(), getrlimit(Resource::Memlock).maximum);
        drop(lift);
        assert_eq!(getrlimit(Resource::Memlock), before);
    }

    #[test]
    fn settings_are_read_by_their_dotted_names() {
        assert!(read("kernel.ostype").is_ok_and(|value| value == "Linux"));
        assert!(read("kernel.no_such_setting").is_err());
    }
}
