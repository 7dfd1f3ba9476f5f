//! Strings that came from the kernel, made safe for a terminal.
//!
//! A process chooses its own name, arguments and cgroup, and so could move the cursor, recolour or
//! reorder what a person reads, or type into the terminal. Whatever a terminal might act on or hide
//! is written as an escape of bash's `$'…'` quoting: `\x1b`, `\u202e`. Backslashes that were there
//! before stay as they are: this is for reading, JSON is exact.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

/// What the terminal (or whoever reads) understands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Charset {
    /// UTF-8.
    #[default]
    Utf8,
    /// ASCII, for locales that are not UTF-8. Their terminals read the bytes of other characters
    /// one by one, and some of those are control characters of the C1 set.
    Ascii,
}

impl Charset {
    const fn can_show(self, character: char) -> bool {
        match self {
            Self::Utf8 => !is_unsafe(character),
            Self::Ascii => character == ' ' || character.is_ascii_graphic(),
        }
    }

    fn can_show_all(self, text: &str) -> bool {
        // Nearly all there is; one is as good as the other then.
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return true;
        }
        text.chars().all(|character| self.can_show(character))
    }
}

/// `text` with everything escaped that is not plainly visible.
#[must_use]
pub fn escape(text: &str, charset: Charset) -> Cow<'_, str> {
    if charset.can_show_all(text) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        // Writing to a string cannot fail.
        let _ = write_char(character, charset, &mut safe);
    }
    Cow::Owned(safe)
}

/// `text` with the bytes of everything that is not plainly visible as `\xNN`, as libsmartcols does.
#[must_use]
pub fn escape_bytes(text: &str, charset: Charset) -> Cow<'_, str> {
    if charset.can_show_all(text) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if charset.can_show(character) {
            safe.push(character);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\x{byte:02x}");
            }
        }
    }
    Cow::Owned(safe)
}

/// Writes one argument of a command line, quoted as a shell needs it and escaped.
pub(crate) fn write_argument(
    argument: &str,
    charset: Charset,
    out: &mut impl Write,
) -> fmt::Result {
    if !charset.can_show_all(argument) {
        out.write_str("$'")?;
        for character in argument.chars() {
            if matches!(character, '\'' | '\\') {
                out.write_char('\\')?;
            }
            write_char(character, charset, out)?;
        }
        return out.write_char('\'');
    }
    if !argument.is_empty() && argument.chars().all(needs_no_quotes) {
        return out.write_str(argument);
    }
    write!(out, "'{}'", argument.replace('\'', r"'\''"))
}

fn write_char(character: char, charset: Charset, out: &mut impl Write) -> fmt::Result {
    if charset.can_show(character) {
        return out.write_char(character);
    }
    match (character, u32::from(character)) {
        ('\n', _) => out.write_str("\\n"),
        ('\r', _) => out.write_str("\\r"),
        ('\t', _) => out.write_str("\\t"),
        (_, code @ 0..0x80) => write!(out, "\\x{code:02x}"),
        (_, code @ 0x80..0x1_0000) => write!(out, "\\u{code:04x}"),
        (_, code) => write!(out, "\\U{code:08x}"),
    }
}

/// Whether a terminal could act on a character or show nothing for it: control characters (C0, DEL,
/// C1), separators of lines and paragraphs, and the format characters, among them those that turn
/// the direction of text.
const fn is_unsafe(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    matches!(character,
        '\u{80}'..='\u{9f}'
        // Line and paragraph separator.
        | '\u{2028}' | '\u{2029}'
        // General category Cf, as of Unicode 17.
        | '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}'
        // Fillers, which are blank.
        | '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

fn needs_no_quotes(character: char) -> bool {
    !character.is_ascii() || character.is_ascii_alphanumeric() || "_@%+=:,./-".contains(character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::arbitrary;

    fn argument(text: &str) -> String {
        let mut out = String::new();
        write_argument(text, Charset::Utf8, &mut out).unwrap();
        out
    }

    #[test]
    fn what_a_terminal_acts_on_is_escaped() {
        for (text, safe) in [
            ("\x1b[2J", r"\x1b[2J"),
            ("\u{9b}31m", r"\u009b31m"),
            ("a\x7f\x08\0b", r"a\x7f\x08\x00b"),
            ("two\nlines\r\t", r"two\nlines\r\t"),
            ("\u{202e}cod.exe", r"\u202ecod.exe"),
            ("\u{2066}\u{2028}\u{e0041}", r"\u2066\u2028\U000e0041"),
        ] {
            assert_eq!(escape(text, Charset::Utf8), safe);
        }
    }

    #[test]
    fn other_text_stays() {
        for text in ["unshare", "gr\u{fc}n", "\u{65e5}\u{672c}", r"a\xff", "\u{1f600}", "e\u{301}"]
        {
            assert!(matches!(escape(text, Charset::Utf8), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn arguments_can_be_pasted_into_a_shell() {
        for (text, quoted) in [
            ("--map-root-user", "--map-root-user"),
            ("/usr/bin/gr\u{fc}n", "/usr/bin/gr\u{fc}n"),
            ("", "''"),
            ("echo hi; id", "'echo hi; id'"),
            ("it's", r"'it'\''s'"),
            (r"a\b", r"'a\b'"),
            ("a'\\\x1b", r"$'a\'\\\x1b'"),
        ] {
            assert_eq!(argument(text), quoted);
        }
    }

    proptest! {
        #[test]
        fn nothing_unsafe_is_left(text in arbitrary::text()) {
            prop_assert!(escape(&text, Charset::Ascii).is_ascii());
            prop_assert!(!escape(&text, Charset::Utf8).chars().any(is_unsafe));
            prop_assert!(!argument(&text).chars().any(is_unsafe));
        }
    }
}
