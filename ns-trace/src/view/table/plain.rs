//! Aligned columns for people.

use std::{borrow::Cow, ops::Range};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{Heading, Table};
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

/// The lines as they are going to be printed, each with a part in every column: one text, for there
/// may be tens of thousands of them.
#[derive(Debug, Default)]
struct Lines {
    text: String,
    parts: Vec<Part>,
}

/// Where in the text it is, and how many columns of the terminal it takes.
#[derive(Debug)]
struct Part {
    range: Range<usize>,
    width: usize,
}

impl Lines {
    /// Adds what `write` writes as a part.
    fn push(&mut self, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        let text = self.text.get(start..).unwrap_or_default();
        self.parts.push(Part { range: start..self.text.len(), width: width(text) });
    }

    fn text(&self, part: &Part) -> &str {
        self.text.get(part.range.clone()).unwrap_or_default()
    }
}

/// Escaped text has no control characters: of ASCII each letter takes one column.
fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

impl Table {
    /// The table in aligned columns; an empty one is nothing at all, as with lsns.
    #[must_use]
    pub fn to_plain(&self, options: Plain) -> String {
        if self.is_empty() {
            return String::new();
        }
        let mut lines = Lines::default();
        // Headings that are not shown take their room all the same, as with lsns.
        self.columns.iter().for_each(|column| lines.push(|text| text.push_str(column.name)));
        lines.parts.reserve(self.columns.len() * self.len());
        let order = self.order();
        let mut branches = Branches::default();
        for (index, place) in order.iter().enumerate() {
            branches.last.truncate(place.depth.saturating_sub(1));
            branches.last.extend((place.depth > 0).then_some(place.is_last));
            branches.has_child = order.get(index + 1).is_some_and(|next| next.depth > place.depth);
            self.add_lines(self.row(place.row), &branches, options.charset, &mut lines);
        }
        let widths = self.widths(&lines, options);
        let mut text = String::with_capacity(2 * lines.text.len());
        let parts = lines.parts.chunks(self.columns.len().max(1));
        for parts in parts.skip(usize::from(!options.headings)) {
            self.write_line(&lines, parts, &widths, &mut text);
        }
        text
    }

    /// Adds the lines of a row: as many as its highest cell has.
    fn add_lines(&self, row: &[Cell], branches: &Branches, charset: Charset, lines: &mut Lines) {
        let cells = || self.columns.iter().zip(row);
        let wrapped = cells().filter(|(column, _)| column.wrap);
        let height = wrapped.map(|(_, cell)| shown(cell).split('\n').count()).max().unwrap_or(1);
        for number in 0..height {
            for (column, cell) in cells() {
                lines.push(|text| {
                    if column.tree {
                        branches.write(number > 0, charset, text);
                    }
                    if let Cell::Number(shown) = cell {
                        if number == 0 {
                            text.push_str(itoa::Buffer::new().format(*shown));
                        }
                        return;
                    }
                    let shown = shown(cell);
                    let line = if column.wrap {
                        shown.split('\n').nth(number)
                    } else {
                        (number == 0).then_some(&*shown)
                    };
                    text.push_str(&escape_bytes(line.unwrap_or_default(), charset));
                });
            }
        }
    }

    /// How wide the columns are: as their widest cell, those that may be cut less where the lines
    /// are too long.
    fn widths(&self, lines: &Lines, options: Plain) -> Vec<usize> {
        let mut widths = vec![0; self.columns.len()];
        for parts in lines.parts.chunks(self.columns.len().max(1)) {
            for (width, part) in widths.iter_mut().zip(parts) {
                *width = part.width.max(*width);
            }
        }
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

    fn write_line(&self, lines: &Lines, parts: &[Part], widths: &[usize], text: &mut String) {
        let last = self.columns.len().saturating_sub(1);
        for (index, ((column, room), part)) in
            self.columns.iter().zip(widths).zip(parts).enumerate()
        {
            let whole = lines.text(part);
            let is_cut = column.cut && part.width > *room;
            let shown = if is_cut { start(whole, *room) } else { whole };
            let taken = if is_cut { width(shown) } else { part.width };
            let padding = room.saturating_sub(taken);
            if is_right(column) {
                blanks(padding, text);
                text.push_str(shown);
            } else {
                text.push_str(shown);
                // Nothing is to the right of the last column that it could push away.
                blanks(if index < last { padding } else { 0 }, text);
            }
            text.push(if index < last { ' ' } else { '\n' });
        }
    }
}

/// Writes so many blanks, not one by one.
fn blanks(mut count: usize, text: &mut String) {
    const BLANKS: &str = "                                ";
    while count > 0 {
        let some = BLANKS.get(..count).unwrap_or(BLANKS);
        text.push_str(some);
        count -= some.len();
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

/// The branches of the tree before a row.
#[derive(Debug, Default)]
struct Branches {
    /// Of each row on the way from a root down to this one, the root excepted: whether it is the last
    /// of its parent's.
    last: Vec<bool>,
    has_child: bool,
}

impl Branches {
    /// Writes them, also before the further lines of the row.
    fn write(&self, further: bool, charset: Charset, text: &mut String) {
        let [fork, end, pass, blank] = match charset {
            Charset::Utf8 => ["├─", "└─", "│ ", "  "],
            Charset::Ascii => ["|-", "`-", "| ", "  "],
        };
        if let Some((own, above)) = self.last.split_last() {
            text.extend(above.iter().map(|last| if *last { blank } else { pass }));
            text.push_str(match (further, own) {
                (false, false) => fork,
                (false, true) => end,
                (true, false) => pass,
                (true, true) => blank,
            });
        }
        if further && self.has_child {
            text.push_str(pass);
        }
    }
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
