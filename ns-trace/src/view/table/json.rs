//! One JSON object that holds the rows, those below others in their `children`.

use std::fmt::Write as _;

use super::Table;
use crate::model::Cell;

const INDENT: &str = "   ";

impl Table {
    /// The table as JSON, line by line as libsmartcols writes it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = format!("{{\n{INDENT}\"{}\": [\n", self.name);
        let order = self.order();
        let mut open = 0;
        for (index, place) in order.iter().enumerate() {
            let depth = place.depth;
            if index == 0 {
                indent(2, &mut text);
            }
            text.push_str("{\n");
            let inside = 3 + 2 * depth;
            let cells = self.columns.iter().zip(self.row(place.row));
            for (number, (column, cell)) in cells.enumerate() {
                text.push_str(if number > 0 { ",\n" } else { "" });
                indent(inside, &mut text);
                let _ = write!(text, "\"{}\": ", column.key);
                value(cell, &mut text);
            }
            match order.get(index + 1).map(|place| place.depth) {
                Some(next) if next > depth => {
                    text.push_str(",\n");
                    indent(inside, &mut text);
                    text.push_str("\"children\": [\n");
                    indent(inside + 1, &mut text);
                    open += 1;
                }
                next => {
                    text.push('\n');
                    indent(inside - 1, &mut text);
                    text.push('}');
                    let stay = next.unwrap_or(0);
                    while open > stay {
                        open -= 1;
                        text.push('\n');
                        indent(3 + 2 * open, &mut text);
                        text.push_str("]\n");
                        indent(2 + 2 * open, &mut text);
                        text.push('}');
                    }
                    if next.is_some() {
                        text.push(',');
                    }
                }
            }
        }
        let _ = write!(text, "\n{INDENT}]\n}}\n");
        text
    }
}

fn indent(steps: usize, text: &mut String) {
    for _ in 0..steps {
        text.push_str(INDENT);
    }
}

fn value(cell: &Cell, out: &mut String) {
    // Writing to a string cannot fail, and neither can making JSON of one.
    let _ = match cell {
        Cell::Empty => out.write_str("null"),
        Cell::Number(number) | Cell::Seconds(number) => write!(out, "{number}"),
        Cell::Text(text) | Cell::Digest(text) => {
            out.write_str(&serde_json::to_string(&**text).unwrap_or_default())
        }
    };
}
