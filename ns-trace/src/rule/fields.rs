//! Mappings of rule files, key by key; what is wrong is noted and reading goes on.

use std::sync::Arc;

use jiff::SignedDuration;
use saphyr_parser::ScalarStyle;
use strsim::damerau_levenshtein;

use super::{
    expand::Text,
    file::{File, Place, Problem},
    node::{Node, Value},
};

/// What is read, and what was wrong so far.
pub(super) struct Reading<'p> {
    pub(super) file: Arc<File>,
    pub(super) problems: &'p mut Vec<Problem>,
}

impl Reading<'_> {
    pub(super) fn wrong(&mut self, at: Place, message: impl Into<String>) {
        let problem = self.file.problem(at, message);
        self.problems.push(problem);
    }

    /// The entries of a mapping whose keys are among `known`.
    pub(super) fn fields(&mut self, node: Node, what: &str, known: &[&str]) -> Option<Fields> {
        let at = node.at;
        let Value::Map(entries) = node.value else {
            let sort = node.sort();
            self.wrong(
                at,
                format!(
                    "{what} must be a mapping with the keys {}; this is {sort}",
                    known.join(", ")
                ),
            );
            return None;
        };
        let mut fields: Vec<(String, Node)> = Vec::new();
        for (key, value) in entries {
            let Some(name) = self.word(&key, "a key") else { continue };
            if fields.iter().any(|(other, _)| *other == name) {
                self.wrong(key.at, format!("the key `{name}` is here twice"));
            } else if known.contains(&name.as_str()) {
                fields.push((name, value));
            } else {
                let near = closest(&name, known.iter().copied());
                let hint = near.map_or_else(
                    || format!("; {what} has {}", known.join(", ")),
                    |near| format!(", did you mean `{near}`?"),
                );
                self.wrong(key.at, format!("unknown key `{name}`{hint}"));
            }
        }
        Some(Fields { at, entries: fields })
    }

    /// The entries of a mapping with keys of its own.
    pub(super) fn named(&mut self, node: Node, what: &str) -> Vec<(String, Place, Node)> {
        let at = node.at;
        let Value::Map(entries) = node.value else {
            let sort = node.sort();
            self.wrong(at, format!("{what} must be a mapping from names; this is {sort}"));
            return Vec::new();
        };
        let mut named: Vec<(String, Place, Node)> = Vec::new();
        for (key, value) in entries {
            let Some(name) = self.word(&key, "a name") else { continue };
            if named.iter().any(|(other, ..)| *other == name) {
                self.wrong(key.at, format!("the name `{name}` is here twice"));
            } else {
                named.push((name, key.at, value));
            }
        }
        named
    }

    pub(super) fn list(&mut self, node: Node, what: &str) -> Vec<Node> {
        if let Value::List(items) = node.value {
            return items;
        }
        let sort = node.sort();
        self.wrong(node.at, format!("{what} must be a list; this is {sort}"));
        Vec::new()
    }

    /// A text of at least one character.
    pub(super) fn word(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.value {
            Value::Scalar { text, .. } if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Value::Scalar { .. } => {
                self.wrong(node.at, format!("{what} must not be empty"));
                None
            }
            _ => {
                self.wrong(node.at, format!("{what} must be text; this is {}", node.sort()));
                None
            }
        }
    }

    /// An expression or sentence, with its place.
    pub(super) fn text(&mut self, node: Node, what: &str) -> Option<Text> {
        self.word(&node, what)?;
        Some(Text { file: Arc::clone(&self.file), node })
    }

    pub(super) fn flag(&mut self, node: &Node, what: &str) -> Option<bool> {
        let plain = match &node.value {
            Value::Scalar { text, style: ScalarStyle::Plain } => text.as_str(),
            _ => "",
        };
        match plain {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.wrong(node.at, format!("{what} must be true or false"));
                None
            }
        }
    }

    pub(super) fn number(&mut self, node: &Node, what: &str) -> Option<u64> {
        let number = match &node.value {
            Value::Scalar { text, .. } => text.parse().ok().filter(|number| *number > 0),
            _ => None,
        };
        if number.is_none() {
            self.wrong(node.at, format!("{what} must be a whole number above 0"));
        }
        number
    }

    /// A time in nanoseconds: `30s`, `1m 30s`, `500ms`.
    pub(super) fn duration(&mut self, node: &Node, what: &str) -> Option<u64> {
        let nanos = match &node.value {
            Value::Scalar { text, .. } => duration(text).filter(|nanos| *nanos > 0),
            _ => None,
        };
        if nanos.is_none() {
            self.wrong(node.at, format!("{what} must be a time above 0, such as 30s, 1m or 500ms"));
        }
        nanos
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        what: &str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let word = self.word(node, what)?;
        let found = choices.iter().find(|(name, _)| *name == word);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.wrong(
                node.at,
                format!("{what} must be one of {}; this is `{word}`", names.join(", ")),
            );
        }
        found.map(|(_, choice)| *choice)
    }
}

/// Nanoseconds, none if it is no time from 0 to some years.
pub(super) fn duration(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let duration: SignedDuration = text.parse().ok()?;
    u64::try_from(duration.as_nanos()).ok().filter(|nanos| *nanos < 1 << 60)
}

/// The entries of a mapping that have not been looked at.
pub(super) struct Fields {
    pub(super) at: Place,
    entries: Vec<(String, Node)>,
}

impl Fields {
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(other, _)| other == name)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Node> {
        let at = self.entries.iter().position(|(other, _)| other == name)?;
        Some(self.entries.swap_remove(at).1)
    }

    /// As [`take`](Self::take), of what must be there.
    pub(super) fn need(
        &mut self,
        name: &str,
        what: &str,
        reading: &mut Reading<'_>,
    ) -> Option<Node> {
        let found = self.take(name);
        if found.is_none() {
            reading.wrong(self.at, format!("{what} has no `{name}`"));
        }
        found
    }
}

/// The word that may have been meant.
pub(super) fn closest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let near = known.map(|other| (damerau_levenshtein(word, other), other));
    let most = (word.len().min(30) / 3).max(1);
    near.filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}
