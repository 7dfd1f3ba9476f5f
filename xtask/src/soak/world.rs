//! The namespaces that /proc shows: those of tasks, of descriptors and of mounts.

use std::{collections::BTreeSet, fs, path::Path};

/// A namespace by type and inode: enough among those that are alive.
pub(super) type Name = (String, u64);

/// All that there are.
pub(super) fn scan() -> BTreeSet<Name> {
    let mut names = BTreeSet::new();
    for pid in pids() {
        // Threads may differ from each other, in namespaces as in descriptors.
        for task in entries(&format!("/proc/{pid}/task")) {
            let task = format!("/proc/{pid}/task/{task}");
            for directory in ["ns", "fd"] {
                let directory = format!("{task}/{directory}");
                names.extend(entries(&directory).iter().filter_map(|entry| {
                    let link = fs::read_link(Path::new(&directory).join(entry)).ok()?;
                    name(link.to_str()?)
                }));
            }
        }
        // nsfs mounts show what they hold as their root.
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        names.extend(mounts.lines().filter_map(|line| name(line.split(' ').nth(3)?)));
    }
    names
}

/// All processes.
pub(super) fn pids() -> Vec<u32> {
    entries("/proc").iter().filter_map(|entry| entry.parse().ok()).collect()
}

/// What is in a directory; nothing if it is gone or out of reach.
fn entries(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Reads `uts:[4026531838]`.
fn name(link: &str) -> Option<Name> {
    let (kind, rest) = link.split_once(":[")?;
    let inode = rest.strip_suffix(']')?.parse().ok()?;
    let kinds = ["mnt", "pid", "ipc", "uts", "net", "user", "cgroup", "time"];
    kinds.contains(&kind).then(|| (kind.to_owned(), inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_namespaces_are_read() {
        assert_eq!(name("uts:[4026531838]"), Some(("uts".to_owned(), 4_026_531_838)));
        assert_eq!(name("socket:[12]"), None);
        assert_eq!(name("/dev/null"), None);
    }

    #[test]
    fn own_namespaces_are_found() {
        let link = fs::read_link("/proc/self/ns/uts").unwrap();
        assert!(scan().contains(&name(link.to_str().unwrap()).unwrap()));
    }
}
