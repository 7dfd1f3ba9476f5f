//! Who may know whom: a room of ns-trace imports only from the rows above it.

use super::{
    Violation,
    source::{File, Token},
};

/// The rooms, the one that knows least first. Rooms in one row do not know each other.
const ROWS: [&[&str]; 13] = [
    &["model"],
    &["sys", "expr"],
    &["name"],
    &["discover", "probe", "plan"],
    &["table", "enrich"],
    &["rule", "history"],
    &["sink"],
    &["pipeline"],
    &["view"],
    &["serve"],
    &["report"],
    &["cli", "cmd"],
    &["doc"],
];

/// Rooms that are one: the words of a command and what it does.
const TWINS: [&str; 2] = ["cli", "cmd"];

/// Who must not know whom although the row allows it.
const STRANGERS: [(&str, &str); 4] =
    [("history", "probe"), ("sink", "probe"), ("view", "probe"), ("view", "sys")];

/// What a value knows nothing of, by the room and the module of the standard library.
const IMPURE: [(&str, &str, &str); 6] = [
    ("model", "fs", "does no I/O"),
    ("model", "net", "does no I/O"),
    ("model", "process", "does no I/O"),
    ("table", "fs", "does no I/O"),
    ("table", "net", "does no I/O"),
    ("table", "process", "does no I/O"),
];

/// Clocks that the table must not read: time comes with the events.
const CLOCKS: [&str; 2] = ["Instant", "SystemTime"];

/// Checks the imports of every file of ns-trace.
pub(super) fn table(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files {
        let Some(inner) = file.path.strip_prefix("ns-trace/src/") else {
            continue;
        };
        if !file.is_rust() || ["lib.rs", "main.rs"].contains(&inner) {
            continue;
        }
        let room = inner.split(['/', '.']).next().unwrap_or_default();
        if row(room).is_none() {
            let sentence =
                format!("`{room}` is not in the table of rooms (xtask/src/tidy/rooms.rs)");
            violations.push(file.violation(1, sentence));
            continue;
        }
        let tokens = file.outside_of_tests();
        for (line, known) in known_rooms(tokens, depth(inner)) {
            if let Some(why) = refusal(room, known) {
                violations
                    .push(file.violation(line, format!("`{room}` must not know `{known}`: {why}")));
            }
        }
        violations.extend(impurities(file, room, tokens));
    }
    violations
}

fn row(room: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&room))
}

fn refusal(room: &str, known: &str) -> Option<&'static str> {
    if room == known || TWINS.contains(&room) && TWINS.contains(&known) {
        return None;
    }
    // What is no room is an item at the root of the crate.
    let (own, other) = (row(room)?, row(known)?);
    if STRANGERS.contains(&(room, known)) {
        return Some("these two are strangers on purpose");
    }
    match own.cmp(&other) {
        std::cmp::Ordering::Greater => None,
        std::cmp::Ordering::Equal => Some("rooms in the same row do not know each other"),
        std::cmp::Ordering::Less => Some("it stands in a row below"),
    }
}

fn impurities(file: &File, room: &str, tokens: &[Token]) -> Vec<Violation> {
    let modules = heads(tokens, &["std", "::"]).into_iter().filter_map(|(line, module)| {
        let found = IMPURE.iter().find(|(who, what, _)| *who == room && *what == module);
        found.map(|(_, _, why)| file.violation(line, format!("`{room}` {why}")))
    });
    let clocks =
        tokens.iter().filter(|token| room == "table" && CLOCKS.contains(&token.text.as_str()));
    let clocks = clocks.map(|token| file.violation(token.line, "`table` reads no clock"));
    modules.chain(clocks).collect()
}

/// How deep the module of a file lies: 1 for `table.rs`, 2 for `table/apply.rs`.
fn depth(inner: &str) -> usize {
    inner.split('/').count()
}

/// All modules at the root of the crate that the code names, and where.
fn known_rooms(tokens: &[Token], depth: usize) -> Vec<(usize, &str)> {
    let mut root = Vec::new();
    for _ in 0..depth {
        root.extend(["super", "::"]);
    }
    let mut rooms = heads(tokens, &["crate", "::"]);
    rooms.extend(heads(tokens, &root));
    rooms
}

/// The words right behind a path: `b` and `d` in `a::b::c` and `a::{b::c, d}` behind `a::`.
fn heads<'a>(tokens: &'a [Token], path: &[&str]) -> Vec<(usize, &'a str)> {
    let mut heads = Vec::new();
    let starts = |window: &[Token]| window.iter().map(|token| &token.text).eq(path);
    for start in
        (0..tokens.len()).filter(|start| tokens.get(*start..start + path.len()).is_some_and(starts))
    {
        let rest = tokens.get(start + path.len()..).unwrap_or_default();
        let mut depth = 0_usize;
        let mut head = true;
        for token in rest {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                "," => head = depth == 1,
                word if head => {
                    heads.push((token.line, word));
                    head = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    heads
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(path: &str, text: &str) -> Vec<String> {
        let files = [File::new(path, text.to_owned())];
        table(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_room_knows_the_rows_above_it() {
        let text = "use crate::model::Kind;\nuse crate::{discover, sys::{spawn, caps}};";
        assert_eq!(sentences("ns-trace/src/table/apply.rs", text), [""; 0]);
        assert_eq!(sentences("ns-trace/src/cmd/list.rs", "use crate::cli::List;"), [""; 0]);
        assert_eq!(sentences("ns-trace/src/main.rs", "use crate::cmd;"), [""; 0]);
    }

    #[test]
    fn it_does_not_know_those_beside_and_below() {
        let text =
            "use crate::{\n model::Kind,\n table::{self, view},\n};\nfn f(x: crate::probe::P) {}";
        assert_eq!(
            sentences("ns-trace/src/discover.rs", text),
            [
                "ns-trace/src/discover.rs:3: `discover` must not know `table`: it stands in a row below",
                "ns-trace/src/discover.rs:5: `discover` must not know `probe`: rooms in the same \
                 row do not know each other",
            ]
        );
        assert_eq!(sentences("ns-trace/src/view/text.rs", "use crate::sys;").len(), 1);
    }

    #[test]
    fn super_leads_to_the_root_as_well() {
        let text = "use super::{Table, super::view};\nuse super::super::view::Columns;";
        assert_eq!(sentences("ns-trace/src/table/apply.rs", text).len(), 1);
        assert_eq!(sentences("ns-trace/src/table.rs", "use super::view::Columns;").len(), 1);
        assert_eq!(sentences("ns-trace/src/table/view.rs", "use super::view::Columns;"), [""; 0]);
    }

    #[test]
    fn comments_strings_and_tests_may_name_everything() {
        let text = "//! See [`crate::view`].\nconst A: &str = \"crate::view\";\n\
                    #[cfg(test)]\nmod tests { use crate::view; }";
        assert_eq!(sentences("ns-trace/src/model.rs", text), [""; 0]);
    }

    #[test]
    fn the_table_is_a_value() {
        let text = "use std::{collections::HashMap, fs};\nuse std::time::Instant;";
        assert_eq!(sentences("ns-trace/src/table.rs", text).len(), 2);
        assert_eq!(sentences("ns-trace/src/sys.rs", text), [""; 0]);
    }

    #[test]
    fn an_unknown_room_is_a_violation() {
        assert_eq!(sentences("ns-trace/src/misc/x.rs", "").len(), 1);
    }
}
