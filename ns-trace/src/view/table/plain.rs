//! Aligned columns for people.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{Heading, Place, Table};
use crate::{
    model::Cell,
    view::{Charset, escape::escape_bytes, quantity::Lasting},
};

/// How much of a long name people read.
const DIGEST: usize = 12;

/// How a table is shown to people.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain {
    /// Whether there are headings.
    pub headings: bool,
    /// How wide the terminal is; `None` cuts nothing.
    pub width: Option<usize>,
    /// What it can show.
    pub charset: Charset,
}

impl Table {
    /// The table in aligned columns; an empty one is nothing at all, as with lsns.
    #[must_use]
    pub fn to_plain(&self, options: Plain) -> String {
        if self.is_empty() {
            return String::new();
        }
        let order = self.order();
        let mut lines: Vec<Vec<Vec<String>>> = Vec::with_capacity(order.len() + 1);
        // Headings that are not shown take their room all the same, as with lsns.
        lines.push(self.columns.iter().map(|column| vec![column.name.to_owned()]).collect());
        lines.extend(order.iter().map(|place| self.cells_of(place, options.charset)));

        let widths = self.widths(&lines, options);
        let mut text = String::new();
        for cells in lines.iter().skip(usize::from(!options.headings)) {
            let height = cells.iter().map(Vec::len).max().unwrap_or(1);
            for line in 0..height {
                let parts = cells.iter().map(|cell| cell.get(line).map_or("", String::as_str));
                self.write_line(parts, &widths, &mut text);
            }
        }
        text
    }

    /// The cells of a row, each with its lines.
    fn cells_of(&self, place: &Place, charset: Charset) -> Vec<Vec<String>> {
        let row = &self.rows[place.row].cells;
        let texts = self.columns.iter().zip(row).map(|(column, cell)| {
            let shown = shown(cell);
            if column.wrap {
                shown.split('\n').map(|line| escape_bytes(line, charset).into_owned()).collect()
            } else {
                vec![escape_bytes(&shown, charset).into_owned()]
            }
        });
        let mut cells: Vec<Vec<String>> = texts.collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(1);
        let has_child =
            || self.rows.iter().skip(place.row).any(|row| row.parent == Some(place.row));
        for (column, cell) in self.columns.iter().zip(&mut cells) {
            if column.tree {
                cell.resize(height.max(cell.len()), String::new());
                for (number, line) in cell.iter_mut().enumerate() {
                    let branch = branch(place, number > 0, &has_child, charset);
                    line.insert_str(0, &branch);
                }
            }
        }
        cells
    }

    /// How wide the columns are: as their widest cell, those that may be cut less where the lines
    /// are too long.
    fn widths(&self, lines: &[Vec<Vec<String>>], options: Plain) -> Vec<usize> {
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.flatten().map(|text| text.width()).max().unwrap_or(0)
        };
        let mut widths: Vec<_> = (0..self.columns.len()).map(width).collect();
        let Some(limit) = options.width else {
            return widths;
        };
        let total = widths.iter().sum::<usize>() + widths.len().saturating_sub(1);
        let mut excess = total.saturating_sub(limit);
        for (column, width) in self.columns.iter().zip(&mut widths).rev() {
            if column.cut {
                let less = excess.min(width.saturating_sub(column.name.width()));
                *width -= less;
                excess -= less;
            }
        }
        widths
    }

    #[expect(single_use_lifetimes, reason = "impl Trait cannot do without yet")]
    fn write_line<'a>(
        &self,
        parts: impl Iterator<Item = &'a str>,
        widths: &[usize],
        text: &mut String,
    ) {
        let last = self.columns.len().saturating_sub(1);
        for (index, ((column, width), part)) in
            self.columns.iter().zip(widths).zip(parts).enumerate()
        {
            let part = if column.cut { start(part, *width) } else { part };
            let padding = " ".repeat(width.saturating_sub(part.width()));
            if is_right(column) {
                text.push_str(&padding);
                text.push_str(part);
            } else {
                text.push_str(part);
                // Nothing is to the right of the last column that it could push away.
                text.push_str(if index < last { &padding } else { "" });
            }
            text.push(if index < last { ' ' } else { '\n' });
        }
    }
}

/// A tree leans to the left.
const fn is_right(column: &Heading) -> bool {
    column.right && !column.tree
}

/// A cell as people read it.
fn shown(cell: &Cell) -> Cow<'_, str> {
    match cell {
        Cell::Seconds(0) => "0 s".into(),
        Cell::Seconds(seconds) => Lasting(seconds.saturating_mul(1_000_000_000)).to_string().into(),
        Cell::Digest(text) => text.get(..DIGEST).unwrap_or(text).into(),
        _ => cell.text().unwrap_or_default(),
    }
}

/// The branches of the tree before a row, and before the further lines of it.
fn branch(place: &Place, further: bool, has_child: &dyn Fn() -> bool, charset: Charset) -> String {
    let [fork, end, pass, blank] = match charset {
        Charset::Utf8 => ["├─", "└─", "│ ", "  "],
        Charset::Ascii => ["|-", "`-", "| ", "  "],
    };
    let mut text = String::new();
    if let Some((own, above)) = place.last.split_last() {
        text.extend(above.iter().map(|last| if *last { blank } else { pass }));
        text.push_str(match (further, own) {
            (false, false) => fork,
            (false, true) => end,
            (true, false) => pass,
            (true, true) => blank,
        });
    }
    if further && has_child() {
        text.push_str(pass);
    }
    text
}

/// The start of `text` that is at most `width` columns wide.
fn start(text: &str, width: usize) -> &str {
    let mut room = width;
    for (at, letter) in text.char_indices() {
        match room.checked_sub(letter.width().unwrap_or(0)) {
            Some(rest) => room = rest,
            None => return text.get(..at).unwrap_or(text),
        }
    }
    text
}
