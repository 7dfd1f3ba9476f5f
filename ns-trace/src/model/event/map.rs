//! Who is who in a user namespace.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Errno, MapFile, NsInfo, Process};

/// A number map of a user namespace was written, or `setgroups`; or somebody tried to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Map {
    /// The user namespace whose file it is.
    pub ns: NsInfo,
    /// What was written, as far as the writer's memory still said when the call returned.
    pub map: MapWrite,
    /// The name of the error; null if the write succeeded.
    pub errno: Option<Errno>,
    /// The task that wrote: in or outside that namespace.
    pub process: Arc<Process>,
}

/// What was written to which file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MapWrite {
    /// The file in `/proc/<pid>`.
    pub file: MapFile,
    /// The ranges of a map, up to the first line that is none.
    pub lines: Vec<MapLine>,
    /// What was written to `setgroups`: `allow` or `deny` if it succeeded. Absent for the maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Arc<str>>,
    /// Whether more than 1024 bytes were written, of which the first are shown; absent if not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub truncated: bool,
}

/// A range of numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MapLine {
    /// The first number in the namespace.
    pub inside: u32,
    /// The first number in its parent.
    pub outside: u32,
    /// How many there are.
    pub count: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl MapWrite {
    /// Reads what was written, of `total` bytes the first.
    #[must_use]
    pub fn new(file: MapFile, text: &[u8], total: usize) -> Self {
        let truncated = total > text.len();
        if file == MapFile::Setgroups {
            let (value, _) = super::super::printable(text.trim_ascii());
            return Self { file, lines: Vec::new(), value: Some(value.into()), truncated };
        }
        // The last line may be cut within a number.
        let whole = match text.iter().rposition(|byte| *byte == b'\n') {
            Some(end) if truncated => text.get(..end).unwrap_or_default(),
            None if truncated => &[],
            _ => text,
        };
        let lines = whole.split(|byte| *byte == b'\n').map_while(MapLine::parse).collect();
        Self { file, lines, value: None, truncated }
    }
}

impl MapLine {
    /// Reads `inside outside count`, as the kernel does (`map_write` of `kernel/user_namespace.c`).
    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let mut number = || words.next()?.parse().ok();
        let line = Self { inside: number()?, outside: number()?, count: number()? };
        words.next().is_none().then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(text: &str, total: usize) -> Vec<[u32; 3]> {
        let written = MapWrite::new(MapFile::UidMap, text.as_bytes(), total);
        assert_eq!(written.truncated, total > text.len());
        written.lines.iter().map(|line| [line.inside, line.outside, line.count]).collect()
    }

    #[test]
    fn maps_are_read_line_by_line() {
        let text = "0 1000 1\n  1 \t100000   65536\n";
        assert_eq!(ranges(text, text.len()), [[0, 1000, 1], [1, 100_000, 65536]]);
        assert_eq!(ranges("0 0 4294967295", 14), [[0, 0, u32::MAX]]);
        assert_eq!(ranges("0 0\n1 1 1", 9), [[0; 3]; 0], "up to the first that is no range");
        assert_eq!(ranges("0 0 1\n1 1 1 1\n", 14), [[0, 0, 1]]);
        assert_eq!(ranges("0 0 4294967296", 14), [[0; 3]; 0]);
        assert_eq!(ranges("", 0), [[0; 3]; 0]);
    }

    #[test]
    fn a_line_that_is_cut_is_none() {
        assert_eq!(ranges("0 0 1\n1 1 65", 13), [[0, 0, 1]]);
        assert_eq!(ranges("0 0 65", 9), [[0; 3]; 0]);
    }

    #[test]
    fn setgroups_has_a_value() {
        let written = MapWrite::new(MapFile::Setgroups, b"deny\n", 5);
        assert_eq!((written.value.as_deref(), written.lines.len()), (Some("deny"), 0));
    }
}
