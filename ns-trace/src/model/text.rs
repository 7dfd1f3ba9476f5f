//! Bytes from the kernel as text.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serializer;

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

/// Writes a path as text, what is not UTF-8 in it as `\xNN`.
pub(super) fn path<S: Serializer>(path: impl AsRef<PathBuf>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&shown(path.as_ref()))
}

/// Writes paths as [`path`] does.
pub(super) fn paths<S: Serializer>(paths: &[PathBuf], out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(paths.iter().map(|path| shown(path)))
}

fn shown(path: &Path) -> String {
    printable(path.as_os_str().as_encoded_bytes()).0
}

/// Whether two shared texts, or lists of them, are alike, each of which may be missing. Those that are
/// alike are mostly the very same, and only of sized types does [`Arc`] look for that first.
pub fn same<'t, T: ?Sized + PartialEq + 't>(
    one: impl Into<Option<&'t Arc<T>>>,
    other: impl Into<Option<&'t Arc<T>>>,
) -> bool {
    match (one.into(), other.into()) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
        (one, other) => one.is_none() && other.is_none(),
    }
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
