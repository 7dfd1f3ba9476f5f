//! One blank between cells, for programs that split lines.

use std::fmt::Write as _;

use super::Table;
use crate::model::Cell;

impl Table {
    /// The table with a blank between cells and no padding, in the order of the tree but without its
    /// branches; an empty one is nothing at all, as with lsns.
    #[must_use]
    pub fn to_raw(&self, headings: bool) -> String {
        let mut text = String::new();
        if self.is_empty() {
            return text;
        }
        if headings {
            let names: Vec<_> = self.columns.iter().map(|column| column.name).collect();
            text.push_str(&names.join(" "));
            text.push('\n');
        }
        for (_, cells) in self.cells() {
            for (index, cell) in cells.iter().enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                write(cell, &mut text);
            }
            text.push('\n');
        }
        text
    }
}

/// Writes a cell; what could be taken for the end of one is written as `\xNN`, and so is everything
/// that is not ASCII.
fn write(cell: &Cell, out: &mut String) {
    let lines = cell.to_string();
    for byte in lines.bytes() {
        match byte {
            // Lists of paths.
            b'\n' => out.push(','),
            b'\\' | 0..=b' ' | 0x7f.. => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\x{byte:02x}");
            }
            _ => out.push(char::from(byte)),
        }
    }
}
