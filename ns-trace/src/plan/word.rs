//! How steps put things.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use serde::{Serializer, ser::SerializeSeq as _};

use crate::model::{Flags, Kind, printable};

/// The names of flags, as in a call.
pub(super) fn flags(flags: Flags) -> String {
    let mut names: Vec<_> = flags.names().map(str::to_owned).collect();
    if flags.rest() != 0 || names.is_empty() {
        names.push(format!("{:#x}", flags.rest()));
    }
    names.join("|")
}

/// `new uts and net namespaces`.
pub(super) fn new_namespaces(flags: Flags) -> String {
    let names: Vec<_> = flags.kinds().map(Kind::name).collect();
    match names.split_last() {
        None => format!("what {:#x} asks for", flags.bits()),
        Some((one, [])) => format!("a new {one} namespace"),
        Some((last, rest)) => format!("new {} and {last} namespaces", rest.join(", ")),
    }
}

/// Bytes for people.
pub(super) fn text(bytes: impl AsRef<OsStr>) -> String {
    printable(bytes.as_ref().as_bytes()).0
}

/// Words as a shell takes them.
pub(super) fn command(words: &[impl AsRef<OsStr>]) -> String {
    let quote = |word: &OsStr| {
        let word = text(word);
        let is_plain =
            |letter: char| letter.is_ascii_alphanumeric() || "-_=./:,+@%".contains(letter);
        if !word.is_empty() && word.chars().all(is_plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    words.iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// A path or another word in JSON.
pub(super) fn as_text<S: Serializer>(word: &impl AsRef<OsStr>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&text(word))
}

/// Words in JSON.
pub(super) fn as_texts<S: Serializer, T: AsRef<OsStr>>(
    words: &[T],
    to: S,
) -> Result<S::Ok, S::Error> {
    let mut texts = to.serialize_seq(Some(words.len()))?;
    for word in words {
        texts.serialize_element(&text(word))?;
    }
    texts.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted_into_a_shell() {
        assert_eq!(command(&["sh", "-c", "it's $x"]), r"sh -c 'it'\''s $x'");
        assert_eq!(command(&["", "a/b"]), "'' a/b");
    }

    #[test]
    fn namespaces_are_listed_by_name() {
        assert_eq!(new_namespaces(Flags::from_bits(0x0400_0000)), "a new uts namespace");
        let three = Flags::from_bits(0x1002_0000 | 0x2000_0000);
        assert_eq!(new_namespaces(three), "new mnt, pid and user namespaces");
        assert_eq!(flags(Flags::from_bits(0x0400_0100)), "CLONE_NEWUTS|0x100");
    }
}
