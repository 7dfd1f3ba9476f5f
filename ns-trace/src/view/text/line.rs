//! The line that is being written.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use super::{
    super::{Charset, color::Style, escape},
    TextOptions,
};
use crate::model::{Cause, Flags, NsRef, event::Relation};

/// A line and how it is to look.
pub(super) struct Line<'a> {
    text: &'a mut String,
    options: &'a TextOptions,
}

impl Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.write_str(text)
    }
}

impl<'a> Line<'a> {
    pub(super) const fn new(text: &'a mut String, options: &'a TextOptions) -> Self {
        Self { text, options }
    }

    /// Writes in colour.
    pub(super) fn paint(&mut self, style: Style, what: fmt::Arguments<'_>) -> fmt::Result {
        let parameters = style.parameters();
        if self.options.color && !parameters.is_empty() {
            write!(self.text, "\x1b[{parameters}m{what}\x1b[0m")
        } else {
            self.text.write_fmt(what)
        }
    }

    /// The charset of the line.
    pub(super) const fn charset(&self) -> Charset {
        self.options.charset
    }

    /// A string that came from the kernel, safe to write.
    pub(super) fn escape<'b>(&self, text: &'b str) -> Cow<'b, str> {
        escape(text, self.options.charset)
    }

    /// From here to there.
    pub(super) fn arrow(&mut self) -> fmt::Result {
        self.write_str(match self.options.charset {
            Charset::Utf8 => " \u{2192} ",
            Charset::Ascii => " -> ",
        })
    }

    /// A namespace.
    pub(super) fn namespace(&mut self, ns: &NsRef, style: Style) -> fmt::Result {
        self.paint(style, format_args!("{ns}"))
    }

    /// A call with its flags: `unshare(NEWNET|NEWUSER)`.
    pub(super) fn call(&mut self, cause: Cause, flags: Flags) -> fmt::Result {
        self.write_str(cause.name())?;
        if matches!(cause, Cause::Exec | Cause::Kernel | Cause::OpenTree | Cause::Fsmount) {
            return Ok(());
        }
        self.write_char('(')?;
        for (at, name) in flags.names().enumerate() {
            if at > 0 {
                self.write_char('|')?;
            }
            self.write_str(name.trim_start_matches("CLONE_"))?;
        }
        // setns(fd, 0) takes a namespace of any type.
        if flags.bits() == 0 && cause == Cause::Setns {
            self.write_char('0')?;
        }
        self.write_char(')')
    }

    /// Whose the namespaces are, unless they are the task's own.
    pub(super) fn relation(&mut self, relation: Option<Relation>) -> fmt::Result {
        match relation {
            None | Some(Relation::Own) => Ok(()),
            Some(Relation::Host) => {
                self.write_str("  ")?;
                self.paint(Style::NOTABLE, format_args!("(the host's)"))
            }
            Some(Relation::Other) => {
                self.write_str("  ")?;
                self.paint(Style::NOTABLE, format_args!("(another's)"))
            }
        }
    }

    /// Writes `text`, cut to what is left of the width.
    pub(super) fn fit(&mut self, text: &str) -> fmt::Result {
        let Some(width) = self.options.width else {
            return self.write_str(text);
        };
        let room = width.saturating_sub(self.columns());
        if text.chars().count() <= room {
            return self.write_str(text);
        }
        let mark = self.ellipsis();
        let kept = room.saturating_sub(mark.chars().count());
        self.text.extend(text.chars().take(kept));
        self.write_str(mark)
    }

    /// What stands for what was left out.
    pub(super) const fn ellipsis(&self) -> &'static str {
        match self.options.charset {
            Charset::Utf8 => "\u{2026}",
            Charset::Ascii => "...",
        }
    }

    /// How many columns the line has so far, at one for each character: every escape sequence in it
    /// is one of ours and ends with an m, since all others are escaped.
    fn columns(&self) -> usize {
        let mut in_sequence = false;
        self.text
            .chars()
            .filter(|character| {
                let visible = !in_sequence && *character != '\x1b';
                in_sequence = *character == '\x1b' || in_sequence && *character != 'm';
                visible
            })
            .count()
    }
}
