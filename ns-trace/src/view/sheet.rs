//! Findings as a sheet for people: titled sections of aligned rows, each with its mark.
//!
//! ```text
//! Backends
//!   ✗ fentry      the kernel refuses programs on functions
//!   ✓ tracepoint  takes it
//! ```

use std::fmt::Write as _;

use super::{Charset, color::Style, escape};

/// What a row says at a glance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mark {
    /// It is as it should be.
    Good,
    /// It is missing, and something does not work without it.
    Bad,
    /// It deserves a look.
    Notable,
    /// It could not be looked at.
    Unknown,
    /// It is a fact, neither good nor bad.
    Fact,
}

impl Mark {
    const fn sign(self, charset: Charset) -> &'static str {
        match (self, charset) {
            (Self::Good, Charset::Utf8) => "✓",
            (Self::Good, Charset::Ascii) => "+",
            (Self::Bad, Charset::Utf8) => "✗",
            (Self::Bad, Charset::Ascii) => "x",
            (Self::Notable, _) => "!",
            (Self::Unknown, _) => "?",
            (Self::Fact, Charset::Utf8) => "·",
            (Self::Fact, Charset::Ascii) => "-",
        }
    }

    const fn style(self) -> Style {
        match self {
            Self::Good => Style::GREEN,
            Self::Bad => Style::LOUD,
            Self::Notable => Style::NOTABLE,
            Self::Unknown | Self::Fact => Style::DIM,
        }
    }
}

/// A sheet.
#[derive(Clone, Debug)]
pub struct Sheet {
    color: bool,
    charset: Charset,
    sections: Vec<(String, Vec<Row>)>,
}

#[derive(Clone, Debug)]
struct Row {
    mark: Mark,
    cells: Vec<String>,
}

impl Sheet {
    /// An empty sheet.
    #[must_use]
    pub const fn new(color: bool, charset: Charset) -> Self {
        Self { color, charset, sections: Vec::new() }
    }

    /// Begins a section.
    pub fn section(&mut self, title: &str) {
        self.sections.push((title.to_owned(), Vec::new()));
    }

    /// Adds a row to the last section; its cells stand below those of the other rows.
    pub fn row<const N: usize>(&mut self, mark: Mark, cells: [&str; N]) {
        if let Some((_, rows)) = self.sections.last_mut() {
            let cells = cells.iter().map(|cell| escape(cell, self.charset).into_owned()).collect();
            rows.push(Row { mark, cells });
        }
    }

    /// The sheet as text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (index, (title, rows)) in self.sections.iter().enumerate() {
            if index > 0 {
                text.push('\n');
            }
            self.paint(&mut text, Style::BOLD, title);
            text.push('\n');
            let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
            let width = |column: usize| {
                // A row's last cell has nothing to its right that it could push away.
                let inner = rows.iter().filter(|row| column + 1 < row.cells.len());
                inner.filter_map(|row| row.cells.get(column)).map(|cell| cell.chars().count()).max()
            };
            let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
            for row in rows {
                text.push_str("  ");
                self.paint(&mut text, row.mark.style(), row.mark.sign(self.charset));
                let line = text.len();
                for (cell, width) in row.cells.iter().zip(&widths) {
                    // Writing to a string cannot fail.
                    let _ = write!(text, " {cell:width$} ");
                }
                let len = text.get(line..).map_or(0, |cells| cells.trim_end().len());
                text.truncate(line + len);
                text.push('\n');
            }
        }
        text
    }

    fn paint(&self, text: &mut String, style: Style, what: &str) {
        // Writing to a string cannot fail.
        let _ = if self.color && !style.parameters().is_empty() {
            write!(text, "\x1b[{}m{what}\x1b[0m", style.parameters())
        } else {
            text.write_str(what)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(color: bool, charset: Charset) -> String {
        let mut sheet = Sheet::new(color, charset);
        sheet.section("One");
        sheet.row(Mark::Good, ["short", "a", "rest"]);
        sheet.row(Mark::Bad, ["much longer", "bc", "\x1b]0;x"]);
        sheet.row(Mark::Fact, ["alone, and longer than the rest"]);
        sheet.section("Two");
        sheet.row(Mark::Notable, ["x", ""]);
        sheet.render()
    }

    #[test]
    fn cells_stand_below_each_other() {
        let expected = "One\n  ✓ short        a   rest\n  ✗ much longer  bc  \\x1b]0;x\n  \
                        · alone, and longer than the rest\n\nTwo\n  ! x\n";
        assert_eq!(sample(false, Charset::Utf8), expected);
    }

    #[test]
    fn ascii_locales_get_ascii() {
        assert!(sample(false, Charset::Ascii).is_ascii());
        assert!(sample(true, Charset::Utf8).contains("\x1b[32m✓\x1b[0m short"));
    }
}
