//! Keys: one line says how a key is called, what it is for, how it is read and how it is printed.

use std::fmt::Write as _;

use strsim::damerau_levenshtein;
use toml::de::{DeTable, DeValue};

use super::problem::Finder;

/// A key of a table that fills a `T`.
pub(super) struct Key<T: 'static> {
    pub(super) name: &'static str,
    /// What its value looks like.
    pub(super) value: &'static str,
    pub(super) help: &'static str,
    /// Reads the value, or says what is wrong with it.
    pub(super) set: fn(&mut T, &DeValue<'_>) -> Result<(), String>,
    /// The value as TOML; `None` if there is none.
    pub(super) get: fn(&T) -> Option<String>,
}

/// A key as the reference describes it.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// What its value looks like.
    pub value: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// The value it has if it is not there, as TOML.
    pub default: Option<String>,
}

/// Reads a table.
pub(super) fn fill<T>(
    keys: &[Key<T>],
    prefix: &str,
    table: &DeTable<'_>,
    into: &mut T,
    found: &mut Finder<'_>,
) {
    for (name, value) in table {
        let Some(key) = keys.iter().find(|key| key.name == name.get_ref().as_ref()) else {
            let names = keys.iter().map(|key| key.name);
            found.add(name.span(), unknown(&format!("{prefix}.{}", name.get_ref()), names));
            continue;
        };
        if let Err(why) = (key.set)(into, value.get_ref()) {
            found.add(value.span(), format_args!("{prefix}.{}: {why}", key.name));
        }
    }
}

/// What is said of a key that there is not.
pub(super) fn unknown(path: &str, known: impl Iterator<Item = &'static str>) -> String {
    let name = path.rsplit('.').next().unwrap_or_default();
    let near = known.map(|other| (damerau_levenshtein(name, other), other)).min();
    let near = near.filter(|(distance, _)| *distance <= (name.len() / 3).max(1));
    let guess = near.map(|(_, near)| format!("; did you mean `{near}`?"));
    format!("unknown key `{path}`{}", guess.unwrap_or_default())
}

/// Describes the keys of a table.
pub(super) fn describe<T>(keys: &[Key<T>], default: &T) -> Vec<Described> {
    let described = |key: &Key<T>| Described {
        name: key.name,
        value: key.value,
        help: key.help,
        default: (key.get)(default),
    };
    keys.iter().map(described).collect()
}

/// Prints a table; what has no value is left out.
pub(super) fn print<T: 'static>(
    keys: impl IntoIterator<Item = &'static Key<T>>,
    header: &str,
    from: &T,
    out: &mut String,
) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{header}");
    for key in keys {
        if let Some(value) = (key.get)(from) {
            let _ = writeln!(out, "{} = {value}", key.name);
        }
    }
    out.push('\n');
}
