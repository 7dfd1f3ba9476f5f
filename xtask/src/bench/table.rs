//! The table of results, in Markdown.

use std::{fmt::Write as _, fs};

use anyhow::{Context as _, Result};

use crate::command;

/// Between these lines the README has the table.
const BEGIN: &str = "<!-- bench -->";
const END: &str = "<!-- /bench -->";

/// One line of the table.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) reach: String,
    pub(super) measured: String,
    /// The same without a tracer, twice: what differs there is noise.
    pub(super) noise: String,
    pub(super) peers: String,
    /// Whether the reach was reached.
    pub(super) met: bool,
}

/// All lines, below a sentence that says what they are.
pub(super) fn markdown(about: &str, rows: &[Row]) -> String {
    let mut text =
        format!("{about}\n\n| what | reach | measured | noise | peers |\n|---|---|---|---|---|\n");
    for Row { what, reach, measured, noise, peers, met } in rows {
        let mark = if *met { "" } else { " ✗" };
        let or_dash = |text: &str| if text.is_empty() { "–".to_owned() } else { text.to_owned() };
        let (reach, noise, peers) = (or_dash(reach), or_dash(noise), or_dash(peers));
        // Writing to a string cannot fail.
        let _written =
            writeln!(text, "| {what} | {reach} | {measured}{mark} | {noise} | {peers} |");
    }
    text
}

/// Puts the table into the README; false if that has no place for it.
pub(super) fn publish(table: &str) -> Result<bool> {
    let path = command::root()?.join("README.md");
    let Ok(readme) = fs::read_to_string(&path) else { return Ok(false) };
    let Some(readme) = insert(&readme, table) else { return Ok(false) };
    fs::write(&path, readme).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

/// The text with the table between the marks.
fn insert(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

/// The table as a section of its own, for a README without the marks.
pub(super) fn section(table: &str) -> String {
    format!("## Speed\n\n{BEGIN}\n{table}{END}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_misses_its_reach_is_marked() {
        let row =
            Row { what: "a".into(), reach: "≤ 1".into(), measured: "2".into(), ..Row::default() };
        assert!(markdown("x", &[row]).ends_with("| a | ≤ 1 | 2 ✗ | – | – |\n"));
    }

    #[test]
    fn the_table_goes_between_the_marks() {
        let readme = "a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n";
        let new = insert(readme, "new\n").unwrap();
        assert_eq!(new, "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb\n");
        assert_eq!(insert(&new, "new\n"), Some(new));
        assert_eq!(insert("no marks", "new\n"), None);
    }
}
