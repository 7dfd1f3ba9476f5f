//! Bytes from the kernel as text.

use std::fmt::Write as _;

/// Turns bytes into text; what is not UTF-8 becomes `\xNN` and the second value `true`.
#[must_use]
pub fn printable(bytes: &[u8]) -> (String, bool) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.to_owned(), false);
    }
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    (text, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_text_is_kept() {
        assert_eq!(printable("gr\u{fc}n".as_bytes()), ("gr\u{fc}n".to_owned(), false));
    }

    #[test]
    fn other_bytes_are_escaped_and_said() {
        assert_eq!(printable(b"a\xff\xfeb"), ("a\\xff\\xfeb".to_owned(), true));
    }
}
