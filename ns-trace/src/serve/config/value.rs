//! Values of keys: read from TOML, and written as TOML.

use std::{fmt, path::PathBuf, time::Duration};

use toml::de::{DeArray, DeValue};

use crate::model::{Bytes, parse_bytes, parse_duration};

type Read<T> = Result<T, String>;

fn mismatch(expected: &str, found: &DeValue<'_>) -> String {
    format!("expected {expected}, found {}", found.type_str())
}

pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Read<&'v str> {
    value.as_str().ok_or_else(|| mismatch("a string", value))
}

pub(super) fn switch(value: &DeValue<'_>) -> Read<bool> {
    value.as_bool().ok_or_else(|| mismatch("true or false", value))
}

pub(super) fn path(value: &DeValue<'_>) -> Read<PathBuf> {
    match text(value)? {
        path if path.starts_with('/') => Ok(path.into()),
        other => Err(format!("expected a path from the root, found `{other}`")),
    }
}

/// A whole number within bounds.
pub(super) fn number(value: &DeValue<'_>, least: usize, most: usize) -> Read<usize> {
    let integer = value.as_integer().ok_or_else(|| mismatch("a whole number", value))?;
    let number = usize::from_str_radix(integer.as_str(), integer.radix()).ok();
    let number = number.filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("must be between {least} and {most}"))
}

/// A number of bytes: a whole number, or text such as `16M`; within bounds.
pub(super) fn size(value: &DeValue<'_>, least: u64, most: u64) -> Read<u64> {
    let bytes = match value {
        DeValue::Integer(integer) => {
            u64::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(u64::MAX)
        }
        DeValue::String(text) => parse_bytes(text)?.0,
        _ => return Err(mismatch("a size such as \"16M\"", value)),
    };
    let is_right = (least..=most).contains(&bytes);
    let (least, most) = (Bytes(least), Bytes(most));
    is_right.then_some(bytes).ok_or_else(|| format!("must be between {least} and {most}"))
}

/// A time such as `1h`, or a number of seconds.
pub(super) fn duration(value: &DeValue<'_>) -> Read<Duration> {
    match value {
        DeValue::Integer(integer) => {
            let seconds = u64::from_str_radix(integer.as_str(), integer.radix());
            parse_duration(
                &seconds.map_err(|_other| "not a number of seconds".to_owned())?.to_string(),
            )
        }
        DeValue::String(text) => parse_duration(text),
        _ => Err(mismatch("a duration such as \"1h\"", value)),
    }
}

/// A list.
pub(super) fn array<'v, 'a>(value: &'v DeValue<'a>) -> Read<&'v DeArray<'a>> {
    value.as_array().ok_or_else(|| mismatch("a list of strings", value))
}

/// A list of texts as TOML; `None` if it is empty.
pub(super) fn texts(texts: impl Iterator<Item = impl fmt::Display>) -> Option<String> {
    let all: Vec<_> = texts.map(quoted).collect();
    (!all.is_empty()).then(|| format!("[{}]", all.join(", ")))
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(value: &DeValue<'_>, words: &[(&'static str, T)]) -> Read<T> {
    let text = text(value)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("expected one of {}, found `{text}`", words.join(", "))
    })
}

/// A list of a few words.
pub(super) fn some_of<T: Copy>(value: &DeValue<'_>, words: &[(&'static str, T)]) -> Read<Vec<T>> {
    array(value)?.iter().map(|one| one_of(one.get_ref(), words)).collect()
}

/// The word for a meaning.
pub(super) fn word<T: PartialEq>(words: &[(&'static str, T)], meaning: &T) -> String {
    let found = words.iter().find(|(_, other)| other == meaning);
    quoted(found.map_or("", |(word, _)| word))
}

/// A list of words; `None` if it is empty.
pub(super) fn list<T: PartialEq>(words: &[(&'static str, T)], meanings: &[T]) -> Option<String> {
    let all: Vec<_> = meanings.iter().map(|meaning| word(words, meaning)).collect();
    (!all.is_empty()).then(|| format!("[{}]", all.join(", ")))
}

/// Text as TOML.
pub(super) fn quoted(text: impl fmt::Display) -> String {
    // A string of JSON is one of TOML but for DEL, which TOML wants escaped as well.
    serde_json::Value::String(text.to_string()).to_string().replace('\u{7f}', "\\u007f")
}

/// A time as TOML, in the largest unit of which it is a whole number.
pub(super) fn shown(duration: Duration) -> String {
    const UNITS: [(&str, u128); 5] = [
        ("h", 3_600_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1000),
        ("ns", 1),
    ];
    let nanos = duration.as_nanos();
    let unit = UNITS.iter().find(|(_, long)| nanos.is_multiple_of(*long));
    quoted(unit.map_or_else(String::new, |(unit, long)| format!("{}{unit}", nanos / long)))
}
