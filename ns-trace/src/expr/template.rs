//! Sentences with fields in them: `{process.comm} entered {changes}`.

use std::fmt::Write as _;

use super::{
    Error, Position, Sighting,
    field::{Field, Path},
    kind::{Base, Kind, Object},
    suggest,
    view::View,
};
use crate::model::{NsRef, event::Target};

/// A sentence with fields in braces; `{{` and `}}` are braces.
#[derive(Clone, Debug)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Field(Path),
}

impl Template {
    /// Reads a sentence and checks its fields.
    ///
    /// # Errors
    ///
    /// If a field is unknown or an object, or a brace is alone.
    pub fn compile(source: &str) -> Result<Self, Error> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut characters = source.char_indices().peekable();
        let syntax = |message: &str, offset| {
            let at = Position::of(source, offset);
            Error::Syntax { message: message.to_owned(), at }
        };
        while let Some((offset, character)) = characters.next() {
            match character {
                '{' | '}' if characters.next_if(|(_, next)| *next == character).is_some() => {
                    text.push(character);
                }
                '}' => return Err(syntax("a `}` alone; `}}` stands for one", offset)),
                '{' => {
                    let start = offset + 1;
                    let end = source.get(start..).and_then(|rest| rest.find('}'));
                    let Some(end) = end.map(|end| start + end) else {
                        return Err(syntax("a `{` without its `}`; `{{` stands for one", offset));
                    };
                    let name = source.get(start..end).unwrap_or_default();
                    parts.push(Part::Text(std::mem::take(&mut text)));
                    parts.push(Part::Field(path(name, Position::of(source, start))?));
                    while characters.next_if(|(at, _)| *at <= end).is_some() {}
                }
                _ => text.push(character),
            }
        }
        parts.push(Part::Text(text));
        Ok(Self(parts))
    }

    /// The sentence about one event; what is not known is `?`.
    #[must_use]
    pub fn render(&self, sighting: Sighting<'_>) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(path) => match path.value(View::Sighting(sighting)) {
                    Some(value) => show(&value, &mut out),
                    None => out.push('?'),
                },
            }
        }
        out
    }
}

fn path(name: &str, at: Position) -> Result<Path, Error> {
    let mut path = Path::default();
    let mut object = Some(Object::Sighting);
    let mut prefix = String::new();
    for part in name.trim().split('.') {
        let suggestion = object.and_then(|object| suggest::field(object, &prefix, part));
        let field = object.and_then(|object| Field::find(object, part));
        let Some(field) = field else {
            return Err(Error::Field { name: format!("{prefix}{part}"), suggestion, at });
        };
        path.0.push(field);
        prefix.push_str(part);
        prefix.push('.');
        object = match field.kind {
            Kind { base: Base::Object(object), lists: 0 } => Some(object),
            _ => None,
        };
    }
    match object {
        Some(object) if !is_shown(object) => {
            Err(Error::Object { name: name.trim().to_owned(), at })
        }
        _ => Ok(path),
    }
}

/// Whether an object has a short form for people.
const fn is_shown(object: Object) -> bool {
    object.is_value() || matches!(object, Object::NsInfo | Object::Target)
}

/// Appends a value as people write it.
fn show(value: &View<'_>, out: &mut String) {
    let side = |ns: Option<NsRef>| ns.map_or("?".to_owned(), |ns| ns.to_string());
    // Writing to a string cannot fail.
    let _ = match value {
        View::Bool(truth) => write!(out, "{truth}"),
        View::Int(number) => write!(out, "{number}"),
        View::Text(text) => write!(out, "{text}"),
        View::Ns(ns) | View::Target(Target::Namespace(ns)) => write!(out, "{ns}"),
        View::NsInfo(ns) => write!(out, "{}", ns.to_ref()),
        View::Target(Target::Process(process)) => write!(out, "process {}", process.pid),
        View::Change(change) => {
            write!(out, "{}: {} -> {}", change.slot.name(), side(change.from), side(change.to))
        }
        View::MapLine(line) => write!(out, "{} {} {}", line.inside, line.outside, line.count),
        View::Ancestor(ancestor) => write!(out, "{}", ancestor.comm),
        View::List(items) => {
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                show(item, out);
            }
            Ok(())
        }
        _ => Ok(()),
    };
}

#[cfg(test)]
mod tests {
    use super::{super::samples, *};

    fn render(source: &str, sort: &str) -> String {
        let event = samples::event(sort);
        let template =
            Template::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        template.render(Sighting { event: &event, lineage: &[], before: None, row: None })
    }

    #[test]
    fn fields_stand_in_braces() {
        assert_eq!(render("{process.comm} ({process.pid})", "create"), "runc (4242)");
        assert_eq!(
            render("{{{ process.uid }}} {flags}", "create"),
            "{1000} CLONE_NEWNET, CLONE_NEWUSER"
        );
        assert_eq!(render("{ns.owner} é {errno} {row.members}", "create"), "user:1 é ? ?");
        assert_eq!(
            render("{changes}|{lineage}", "enter"),
            "net: net:1 -> net:8, user: ? -> user:12|"
        );
        assert_eq!(render("{map.lines} of {ns}", "map"), "0 1000 1, 1 0 9 of user:4026532281");
    }

    #[test]
    fn unknown_fields_and_stray_braces_are_refused() {
        for (source, message, column) in [
            ("é {process.com}", "unknown field `process.com`, did you mean `process.comm`?", 4),
            (
                "{process}",
                "`process` is an object: name one of its fields, or compare it with null",
                2,
            ),
            ("{flags.x}", "unknown field `flags.x`", 2),
            ("a } b", "a `}` alone; `}}` stands for one", 3),
            ("{a", "a `{` without its `}`; `{{` stands for one", 1),
            ("{}", "unknown field ``", 2),
        ] {
            let error = Template::compile(source).unwrap_err();
            assert_eq!(
                (error.to_string(), error.position().column),
                (message.to_owned(), column),
                "{source}"
            );
        }
    }
}
