//! Why the numbers of a namespace cannot be set.

use std::{fs, io};

use rustix::{
    process::{getegid, geteuid},
    thread::CapabilitySet,
};

use super::{super::Reason, lacks};
use crate::model::{MapFile, MapLine};

/// The most lines that a map has (`UID_GID_MAP_MAX_EXTENTS` of `include/linux/user_namespace.h`).
const MOST_LINES: usize = 340;

/// Of `uid_map` and `gid_map`.
pub(in crate::plan) fn of_map(
    file: MapFile,
    lines: &[MapLine],
    error: &io::Error,
) -> Option<Reason> {
    let name = file.name();
    match error.raw_os_error()? {
        libc::EINVAL => Some(if lines.len() > MOST_LINES {
            Reason::new(format!("{} lines, and the kernel takes {MOST_LINES}", lines.len()), "")
        } else if let Some((one, other)) = overlap(lines) {
            Reason::new(
                format!("`{}` and `{}` overlap", told(one), told(other)),
                "each number may be mapped once, inside and outside",
            )
        } else if lines.iter().any(|line| line.count == 0) {
            Reason::new("a range of 0 numbers", "")
        } else {
            return None;
        }),
        libc::EPERM => {
            let written = fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
            if !written.trim().is_empty() {
                let map = written.split_whitespace().collect::<Vec<_>>().join(" ");
                return Some(Reason::new(
                    format!("it is written already, and can be written once: `{map}`"),
                    "maps belong to new user namespaces: --user",
                ));
            }
            let own = match file {
                MapFile::GidMap => getegid().as_raw(),
                _ => geteuid().as_raw(),
            };
            Some(Reason::new(
                format!(
                    "without capabilities outside only the own number may be mapped, which is {own} \
                     here{}",
                    if file == MapFile::GidMap { ", and only if setgroups is denied" } else { "" }
                ),
                "for more there must be a range in /etc/subuid and /etc/subgid: --map-auto",
            ))
        }
        _ => None,
    }
}

fn told(line: MapLine) -> String {
    format!("{} {} {}", line.inside, line.outside, line.count)
}

fn overlap(lines: &[MapLine]) -> Option<(MapLine, MapLine)> {
    let touch = |one: (u32, u32), other: (u32, u32)| {
        u64::from(one.0) < u64::from(other.0) + u64::from(other.1)
            && u64::from(other.0) < u64::from(one.0) + u64::from(one.1)
    };
    lines.iter().enumerate().find_map(|(index, one)| {
        let other = lines.iter().skip(index + 1).find(|other| {
            touch((one.inside, one.count), (other.inside, other.count))
                || touch((one.outside, one.count), (other.outside, other.count))
        });
        Some((*one, *other?))
    })
}

/// Of the file setgroups.
pub(in crate::plan) fn of_setgroups(allow: bool, error: &io::Error) -> Option<Reason> {
    (error.raw_os_error() == Some(libc::EPERM)).then(|| {
        let present = fs::read_to_string("/proc/self/setgroups").unwrap_or_default();
        let why = match present.trim() {
            "deny" if allow => "it is denied here or in a user namespace above, which is final",
            _ => {
                "it cannot be changed once gid_map is written, nor outside of a new user namespace"
            }
        };
        Reason::new(why, "")
    })
}

/// Of `timens_offsets`.
pub(in crate::plan) fn of_offset(error: &io::Error) -> Option<Reason> {
    match error.raw_os_error()? {
        libc::EPERM => lacks(
            "CAP_SYS_TIME",
            CapabilitySet::SYS_TIME,
            "run it as root, or add a user namespace: --user --map-root-user (-Ur)",
        ),
        libc::EACCES => {
            Some(Reason::new("a process is in that time namespace already", "--time must be given"))
        }
        libc::ERANGE => Some(Reason::new(
            "the clock would be negative, or more than 146 years ahead (time_namespaces(7))",
            "",
        )),
        libc::ENOENT => {
            Some(Reason::new("this kernel has no time namespaces", "Linux 5.6 has them"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_overlap_are_named() {
        let line = |inside, outside, count| MapLine { inside, outside, count };
        assert_eq!(overlap(&[line(0, 0, 1), line(1, 1, u32::MAX)]), None);
        let (one, other) = (line(0, 1000, 1), line(5, 1000, 1));
        assert_eq!(overlap(&[line(9, 9, 1), one, other]), Some((one, other)));
    }
}
