//! What /proc says of a process.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

/// Ticks of /proc/PID/stat per second: the ABI's, whatever the kernel counts in (proc(5)).
const TICKS: u64 = 100;

/// CPU time so far, in user and in kernel mode, of all threads.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold blanks and brackets; what follows the last of them are numbers.
    let (_, rest) = text.rsplit_once(')').context("a stat without a name")?;
    let mut fields = rest.split_whitespace();
    let mut ticks =
        |skip| -> Result<u64> { Ok(fields.nth(skip).context("a short stat")?.parse()?) };
    // Fields 14 and 15; the first here is field 3.
    let ticks = ticks(11)? + ticks(0)?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}

/// Proportional set size in bytes, the ring of the probes left out: that is the kernel's as much as
/// the process's, and of whatever size was asked for.
pub(crate) fn memory(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(pss(&text))
}

/// Processes that hold programs or events of the kernel's tracing: what they attach to costs every
/// other process something. Ourselves and what is out of sight left out.
pub(crate) fn tracers() -> Vec<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holders = pids.filter(|pid| *pid != std::process::id() && traces(*pid));
    holders
        .map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("{} ({pid})", name.trim())
        })
        .collect()
}

fn traces(pid: u32) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|target| {
        let target = target.to_string_lossy();
        ["anon_inode:bpf-prog", "anon_inode:bpf_link", "anon_inode:[perf_event]"]
            .iter()
            .any(|kind| target.contains(kind))
    })
}

fn pss(smaps: &str) -> u64 {
    let (mut sum, mut counts) = (0, true);
    for line in smaps.lines() {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some(name) = key.strip_suffix(':') {
            if name == "Pss" && counts {
                let value = rest.trim().strip_suffix(" kB").and_then(|kib| kib.parse::<u64>().ok());
                sum += 1024 * value.unwrap_or_default();
            }
        } else {
            // The head of a mapping: addresses, rights, offset, device, inode, path.
            counts = !rest.contains("bpf");
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_is_left_out() {
        let smaps = "\
7f00-7f10 rw-p 00000000 00:00 0 \n\
Size:                 16 kB\n\
Pss:                   8 kB\n\
Pss_Dirty:             4 kB\n\
VmFlags: rd wr\n\
7f10-7f20 r--s 00001000 00:0f 1063 anon_inode:bpf-map\n\
Pss:               32768 kB\n\
7f20-7f30 r-xp 00001000 08:01 77 /usr/bin/ns-trace\n\
Pss:                   1 kB\n";
        assert_eq!(pss(smaps), 9 * 1024);
    }

    #[test]
    fn own_figures_are_there() {
        assert!(cpu(std::process::id()).is_ok());
        assert!(memory(std::process::id()).unwrap() > 0);
    }
}
