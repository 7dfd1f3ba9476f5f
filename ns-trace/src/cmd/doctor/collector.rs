//! The collector that runs here, and what it may still do.

use std::fs;

use super::report::Collector;
use crate::{serve::client, sys::capability};

/// The one that commands ask; `None` if there is none, or it is out of sight.
pub(super) fn collector() -> Option<Collector> {
    let lock = client::socket().with_file_name("lock");
    let pid: u32 = fs::read_to_string(lock).ok()?.trim().parse().ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // A lock that a killed one has left may name another process by now.
    let is_it = line(&status, "Name").is_some_and(|name| name.starts_with("ns-trace"));
    is_it.then(|| read(pid, &status))
}

fn read(pid: u32, status: &str) -> Collector {
    let held = line(status, "CapEff").and_then(|set| u64::from_str_radix(set, 16).ok());
    let names = |held: u64| {
        let named = capability::named().into_iter().filter(|(_, bit)| held & bit.bits() != 0);
        named.map(|(name, _)| name).collect()
    };
    Collector {
        pid,
        capabilities: held.map(names),
        no_new_privileges: line(status, "NoNewPrivs").map(|value| value == "1"),
        // `SECCOMP_MODE_FILTER`.
        seccomp: line(status, "Seccomp").map(|value| value == "2"),
    }
}

/// A line of `/proc/PID/status` (`proc_pid_status(5)`).
fn line<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(other, _)| *other == name).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read() {
        let status = "Name:\tns-trace\nCapEff:\t0000008000280004\nNoNewPrivs:\t1\nSeccomp:\t2\n";
        let told = read(7, status);
        let names = ["CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_BPF"];
        assert_eq!(told.capabilities.unwrap(), names);
        assert_eq!((told.no_new_privileges, told.seccomp), (Some(true), Some(true)));
        let bare = read(7, "Name:\tns-trace\nCapEff:\t0000000000000000\nNoNewPrivs:\t0\n");
        assert_eq!(bare.capabilities.unwrap().len(), 0);
        assert_eq!((bare.no_new_privileges, bare.seccomp), (Some(false), None));
    }
}
