//! Which users and groups are mapped into a new user namespace.

use std::{ffi::OsStr, fs};

use rustix::process::{getegid, geteuid, getuid};

use crate::{
    cli::{CreateArgs, Range, Who, Word},
    model::{MapFile, MapLine},
    plan::Map,
    report::Failure,
    sys::account,
};

/// The maps to write.
#[derive(Debug, Default)]
pub(super) struct Maps {
    /// By a process with rights outside.
    pub(super) outside: Vec<Map>,
    /// By the process itself.
    pub(super) inside: Vec<Map>,
}

/// What users and groups differ in.
struct Side {
    file: MapFile,
    /// Who is meant by a name.
    database: &'static str,
    /// What is granted to users.
    grants: &'static str,
    own: u32,
}

impl Maps {
    /// What the options ask for; `is_root` if this process becomes root before it makes namespaces.
    pub(super) fn new(args: &CreateArgs, is_root: bool) -> Result<Self, Failure> {
        let words = &args.words;
        let users = Side {
            file: MapFile::UidMap,
            database: "passwd",
            grants: "/etc/subuid",
            own: if is_root { 0 } else { geteuid().as_raw() },
        };
        let groups = Side {
            file: MapFile::GidMap,
            database: "group",
            grants: "/etc/subgid",
            own: if is_root { 0 } else { getegid().as_raw() },
        };
        let common = words.map_auto.then_some(Range::Auto);
        let common: Vec<_> =
            common.into_iter().chain(words.map_subids.then_some(Range::Subids)).collect();
        let mut maps = Self::default();
        for (side, who, ranges) in
            [(users, &args.user, &words.map_users), (groups, &args.group, &words.map_groups)]
        {
            let single = who.as_ref().map(|who| side.single(who)).transpose()?;
            let mut lines = Vec::new();
            for range in common.iter().chain(ranges) {
                lines.extend(side.lines(*range)?);
            }
            let has_ranges = !lines.is_empty();
            if let Some(single) = single {
                if !has_ranges
                    && side.file == MapFile::GidMap
                    && words.setgroups == Some(Word::Allow)
                {
                    return Err(Failure::new(
                        "--setgroups=allow and a map of one group exclude each other: without \
                         rights outside only who cannot drop groups may map one",
                    )
                    .hint("map groups by ranges: --map-auto, --map-groups"));
                }
                lines = insert(single, &lines);
            }
            if lines.is_empty() {
                continue;
            }
            // The owner may not map whom we are.
            let ranges = has_ranges || words.owner.is_some();
            let map = Map { file: side.file, lines, ranges };
            if ranges { maps.outside.push(map) } else { maps.inside.push(map) }
        }
        Ok(maps)
    }
}

impl Side {
    /// The line that makes us `who`.
    fn single(&self, who: &Who) -> Result<MapLine, Failure> {
        let inside = match who {
            Who::Same => self.own,
            Who::Other(name) => self.number(name)?,
        };
        Ok(MapLine { inside, outside: self.own, count: 1 })
    }

    fn number(&self, name: &OsStr) -> Result<u32, Failure> {
        if let Some(number) = name.to_str().and_then(|name| name.parse().ok()) {
            return Ok(number);
        }
        let account = account::find(self.database, name);
        account.map(|account| account.id).ok_or_else(|| {
            let what = if self.file == MapFile::GidMap { "group" } else { "user" };
            Failure::new(format!("there is no {what} `{}`", name.to_string_lossy()))
                .hint(format!("`getent {}` lists all", self.database))
        })
    }

    fn lines(&self, range: Range) -> Result<Vec<MapLine>, Failure> {
        match range {
            Range::Line(line) => Ok(vec![line]),
            Range::Auto => {
                let granted = self.granted()?;
                Ok(vec![MapLine { inside: 0, ..granted }])
            }
            Range::Subids => Ok(vec![self.granted()?]),
            Range::All => {
                let path = format!("/proc/self/{}", self.file.name());
                let text = fs::read_to_string(&path)
                    .map_err(|error| Failure::new(format!("cannot read {path}: {error}")))?;
                Ok(text
                    .lines()
                    .filter_map(|line| {
                        let mut numbers = line.split_whitespace().map(str::parse);
                        let (inside, count) = (numbers.next()?.ok()?, numbers.nth(1)?.ok()?);
                        Some(MapLine { inside, outside: inside, count })
                    })
                    .collect())
            }
        }
    }

    /// The first range that is granted to us, to itself.
    fn granted(&self) -> Result<MapLine, Failure> {
        let uid = getuid().as_raw();
        let name = account::find("passwd", uid.to_string().as_ref()).map(|account| account.name);
        let text = fs::read_to_string(self.grants).unwrap_or_default();
        let range = grant(&text, name.as_deref(), uid).or_else(|| {
            let kind = if self.file == MapFile::GidMap { "-g" } else { "-u" };
            account::granted(kind, name.as_deref()?)
        });
        let range = range.map(|(outside, count)| MapLine { inside: outside, outside, count });
        range.ok_or_else(|| {
            let option = if self.file == MapFile::GidMap { "gids" } else { "uids" };
            let who = name.as_ref().map_or_else(
                || format!("user {uid}, who has no name,"),
                |name| format!("user `{}`", name.to_string_lossy()),
            );
            let user =
                name.as_ref().map_or_else(|| uid.to_string(), |name| name.to_string_lossy().into());
            Failure::new(format!("{who} is granted no range in {}", self.grants))
                .hint(format!("as root: usermod --add-sub{option} 100000-165535 {user}"))
        })
    }
}

/// The first range of a file such as /etc/subuid for somebody, by name or number (subuid(5)).
fn grant(text: &str, name: Option<&OsStr>, uid: u32) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let who = fields.next()?;
        let is_ours = name.is_some_and(|name| name == who) || who.parse() == Ok(uid);
        let range = (fields.next()?.parse().ok()?, fields.next()?.trim().parse().ok()?);
        is_ours.then_some(range)
    })
}

/// Adds one number to ranges; what else was mapped to it, or was what it is mapped to, moves up, so
/// that both sides of a range stay without gaps as far as the shorter goes.
fn insert(single: MapLine, ranges: &[MapLine]) -> Vec<MapLine> {
    let mut lines = vec![single];
    for range in ranges {
        let mut inside = parts(range.inside, range.count, single.inside);
        let mut outside = parts(range.outside, range.count, single.outside);
        while let (Some(one), Some(other)) = (inside.pop(), outside.pop()) {
            let count = one.1.min(other.1);
            lines.push(MapLine { inside: one.0, outside: other.0, count });
            for (side, (first, length)) in [(&mut inside, one), (&mut outside, other)] {
                if length > count {
                    side.push((first + count, length - count));
                }
            }
        }
    }
    lines
}

/// The numbers from `first` on without one of them, in at most two pieces, the first one last.
fn parts(first: u32, count: u32, without: u32) -> Vec<(u32, u32)> {
    let Some(before) = without.checked_sub(first).filter(|before| *before < count) else {
        return vec![(first, count)];
    };
    let pieces = [(without.saturating_add(1), count - before - 1), (first, before)];
    pieces.into_iter().filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(single: [u32; 2], ranges: &[[u32; 3]]) -> Vec<[u32; 3]> {
        let single = MapLine { inside: single[0], outside: single[1], count: 1 };
        let ranges: Vec<_> = ranges
            .iter()
            .map(|[inside, outside, count]| MapLine {
                inside: *inside,
                outside: *outside,
                count: *count,
            })
            .collect();
        let all = insert(single, &ranges);
        all.into_iter().map(|line| [line.inside, line.outside, line.count]).collect()
    }

    #[test]
    fn a_number_that_is_mapped_alone_makes_room() {
        assert_eq!(lines([0, 0], &[[0, 100_000, 10]]), [[0, 0, 1], [1, 100_000, 9]]);
        assert_eq!(
            lines([5, 1000], &[[0, 100_000, 10]]),
            [[5, 1000, 1], [0, 100_000, 5], [6, 100_005, 4]]
        );
        assert_eq!(
            lines([5, 1003], &[[0, 1000, 10]]),
            [[5, 1003, 1], [0, 1000, 3], [3, 1004, 2], [6, 1006, 4]]
        );
        assert_eq!(lines([5, 1005], &[[0, 1000, 10]]), [[5, 1005, 1], [0, 1000, 5], [6, 1006, 4]]);
        assert_eq!(lines([70, 0], &[[0, 100, 5]]), [[70, 0, 1], [0, 100, 5]]);
        assert_eq!(lines([0, 0], &[[0, 7, 1]]), [[0, 0, 1]]);
    }

    #[test]
    fn no_number_is_mapped_twice() {
        for inside in 0..12 {
            for outside in 0..12 {
                let all = lines([inside, outside], &[[2, 1, 5], [7, 6, 4]]);
                for side in [0, 1] {
                    let mut numbers: Vec<_> =
                        all.iter().flat_map(|line| line[side]..line[side] + line[2]).collect();
                    let count = numbers.len();
                    numbers.sort_unstable();
                    numbers.dedup();
                    assert_eq!(numbers.len(), count, "{all:?}");
                }
            }
        }
    }

    #[test]
    fn grants_are_by_name_or_number() {
        let text = "other:1:2\n1000:300000:65536\nme:100000:65536\n";
        assert_eq!(grant(text, Some("me".as_ref()), 7), Some((100_000, 65536)));
        assert_eq!(grant(text, None, 1000), Some((300_000, 65536)));
        assert_eq!(grant(text, Some("who".as_ref()), 8), None);
    }
}
