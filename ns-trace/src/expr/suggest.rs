//! Guesses at what was meant.

use strsim::damerau_levenshtein;

use super::{error::meant, field::fields, kind::Object, table};

/// A field that may have been meant by `name`, which `object` at `prefix` does not have.
pub(super) fn field(object: Object, prefix: &str, name: &str) -> Option<String> {
    let here = closest(name, table::fields(object).iter().map(|field| field.name));
    if let Some(near) = here {
        return Some(format!("{prefix}{near}"));
    }
    if !matches!(object, Object::Event | Object::Sighting) {
        return None;
    }
    // Forgotten objects: `uid` is `process.uid`.
    fields()
        .map(|(path, _)| path)
        .filter(|path| path.rsplit('.').next() == Some(name) && !path.contains('['))
        .min_by_key(|path| path.matches('.').count())
}

/// A function that may have been meant by `name`.
pub(super) fn function(name: &str, known: &[&'static str]) -> Option<String> {
    closest(name, known.iter().copied()).map(str::to_owned)
}

/// What to say of a word that is none of the `known`.
pub(super) fn word(name: &str, known: &[&'static str]) -> String {
    /// Nobody reads more.
    const MOST: usize = 16;
    match closest(name, known.iter().copied()) {
        Some(near) => meant(Some(near)),
        None if known.len() > MOST => String::new(),
        None => format!("; it can be {}", known.join(", ")),
    }
}

fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Whoever wrote this much had no known name in mind.
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let most = (name.len() / 3).max(1);
    let lower = name.to_lowercase();
    known
        .map(|other| (damerau_levenshtein(&lower, &other.to_lowercase()), other))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_and_forgotten_objects_are_found() {
        for (name, meant) in [
            ("evnet", Some("event")),
            ("proces", Some("process")),
            ("uid", Some("process.uid")),
            ("comm", Some("process.comm")),
            ("type", Some("ns.type")),
            ("container_image", None),
        ] {
            assert_eq!(field(Object::Event, "", name).as_deref(), meant, "{name}");
        }
        let near = field(Object::Process, "process.", "cmom");
        assert_eq!(near.as_deref(), Some("process.comm"));
        assert_eq!(field(Object::Process, "process.", "name"), None);
    }
}
