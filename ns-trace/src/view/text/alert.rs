//! What rules say.

use std::fmt::{self, Write as _};

use super::{super::color::Style, line::Line};
use crate::model::event::{Alert, Severity};

pub(super) fn alert(event: &Alert, line: &mut Line<'_>) -> fmt::Result {
    let style = match event.severity {
        Severity::Critical | Severity::High => Style::LOUD,
        Severity::Medium => Style::NOTABLE,
        Severity::Low | Severity::Info => Style::PLAIN,
    };
    line.paint(style, format_args!("{}", event.severity.name()))?;
    let (rule, message) = (line.escape(&event.rule), line.escape(&event.message));
    write!(line, "  {rule}  {message}")?;
    match event.repeat {
        None => Ok(()),
        Some(1) => line.paint(Style::NOTABLE, format_args!("  1 more held back")),
        Some(held) => line.paint(Style::NOTABLE, format_args!("  {held} more held back")),
    }
}
