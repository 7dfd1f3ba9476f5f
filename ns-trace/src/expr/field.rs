//! The fields of events: their names and types, and how to get them without making JSON.
//!
//! The tables say the same as the JSON schema of [`Event`](crate::model::Event); tests compare
//! them name by name and type by type.

use super::{
    kind::{Base, Kind, Object},
    table,
    view::View,
};

/// A field of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// The name in JSON.
    pub(super) name: &'static str,
    /// The type of its values.
    pub(super) kind: Kind,
    /// Whether JSON has it only if it is not false or zero.
    pub(super) sparse: bool,
    /// Gets the value from the object; `None` if it is null, or if this object has no such field.
    pub(super) get: for<'e> fn(&View<'e>) -> Option<View<'e>>,
}

impl Field {
    /// The field of `object` with that name.
    pub(super) fn find(object: Object, name: &str) -> Option<&'static Self> {
        table::fields(object).iter().find(|field| field.name == name)
    }

    /// The value in `object`, `None` if there is none.
    pub(super) fn get<'e>(&self, object: &View<'e>) -> Option<View<'e>> {
        match object {
            // The fields of the event are the sighting's own.
            View::Sighting(sighting) => {
                (self.get)(object).or_else(|| (self.get)(&View::Event(sighting.event)))
            }
            _ => (self.get)(object),
        }
    }
}

/// A field of an event: the way to it through the objects around it.
#[derive(Clone, Debug, Default)]
pub(super) struct Path(pub(super) Vec<&'static Field>);

impl Path {
    /// The value, `None` if it is null or absent.
    pub(super) fn value<'e>(&self, event: View<'e>) -> Option<View<'e>> {
        self.0.iter().try_fold(event, |object, field| field.get(&object))
    }

    /// Whether the event has the field with a value; `None` if the object around it is missing.
    pub(super) fn present(&self, event: View<'_>) -> Option<bool> {
        let (field, around) = self.0.split_last()?;
        let object = around.iter().try_fold(event, |object, field| field.get(&object))?;
        let value = field.get(&object);
        Some(value.is_some_and(|value| !(field.sparse && value.is_zero())))
    }
}

/// Every field that expressions can use, with the name of its type.
///
/// The fields of list elements have `[]` in their path: `changes[].slot` stands for
/// `changes[0].slot` and for `c.slot` in `changes.exists(c, …)`.
pub fn fields() -> impl Iterator<Item = (String, &'static str)> {
    fields_of(Object::Event).into_iter()
}

/// Every field of `root`, with the name of its type.
pub(super) fn fields_of(root: Object) -> Vec<(String, &'static str)> {
    let mut rows = Vec::new();
    collect(root, "", &mut |path, kind| {
        let base = Kind::of(kind.base);
        // Of an object that is no value there is nothing to compare but null.
        if !matches!(base.base, Base::Object(object) if !object.is_value()) {
            rows.push((path.to_owned(), kind.name()));
        }
    });
    rows
}

/// Calls `row` for every field, objects before what is in them.
fn collect(object: Object, prefix: &str, row: &mut dyn FnMut(&str, Kind)) {
    for field in table::fields(object) {
        let path = format!("{prefix}{}", field.name);
        row(&path, field.kind);
        if let Base::Object(inner) = field.kind.base {
            let lists = "[]".repeat(field.kind.lists.into());
            collect(inner, &format!("{path}{lists}."), row);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use schemars::schema_for;
    use serde_json::Value;

    use super::{
        super::{Filter, samples},
        *,
    };
    use crate::model::Event;

    /// Shows `note` every piece of a JSON schema that is about a field; elements of lists have `[]`.
    fn walk(schema: &Value, root: &Value, path: &str, note: &mut dyn FnMut(&str, &Value)) {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.strip_prefix("#").unwrap();
            walk(root.pointer(name).unwrap(), root, path, note);
        }
        for all in ["anyOf", "oneOf", "allOf"] {
            for part in schema[all].as_array().into_iter().flatten() {
                walk(part, root, path, note);
            }
        }
        note(path, schema);
        if schema["items"].is_object() {
            walk(&schema["items"], root, &format!("{path}[]"), note);
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let dot = if path.is_empty() { "" } else { "." };
            walk(field, root, &format!("{path}{dot}{name}"), note);
        }
    }

    /// The JSON types of a piece of a schema.
    fn types(schema: &Value) -> Vec<String> {
        let mut types: Vec<_> = match &schema["type"] {
            Value::String(name) => vec![name.as_str()],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        types.extend(schema.get("const").map(|_| "string"));
        types.into_iter().filter(|name| *name != "null").map(str::to_owned).collect()
    }

    /// The words of a piece of a schema.
    fn words(schema: &Value) -> Vec<String> {
        let listed = schema["enum"].as_array().into_iter().flatten().chain(schema.get("const"));
        listed.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// What `of` says of each field of events by their schema.
    fn by_schema(of: fn(&Value) -> Vec<String>) -> BTreeMap<String, BTreeSet<String>> {
        let schema = schema_for!(Event).to_value();
        let mut found = BTreeMap::<_, BTreeSet<_>>::new();
        walk(&schema, &schema, "", &mut |path, piece| {
            found.entry(path.to_owned()).or_default().extend(of(piece));
        });
        found
    }

    #[test]
    fn the_tables_say_what_the_schema_says() {
        let schema_fields: BTreeSet<_> = by_schema(types)
            .into_iter()
            .filter(|(path, _)| !path.is_empty() && !path.ends_with("[]"))
            .map(|(path, types)| (path, Vec::from_iter(types).join("|")))
            .collect();

        let mut table_fields = BTreeSet::new();
        collect(Object::Event, "", &mut |path, kind| {
            let json = match (kind.lists, kind.base) {
                (0, Base::Bool) => "boolean",
                (0, Base::Int) => "integer",
                (0, Base::Text(_)) => "string",
                (0, Base::Object(_)) => "object",
                (1, _) => "array",
                _ => "none",
            };
            table_fields.insert((path.to_owned(), json.to_owned()));
        });
        let missing: Vec<_> = schema_fields.difference(&table_fields).collect();
        let surplus: Vec<_> = table_fields.difference(&schema_fields).collect();
        assert!(missing.is_empty() && surplus.is_empty(), "{missing:#?} {surplus:#?}");
    }

    #[test]
    fn the_words_of_the_tables_are_those_of_the_schema() {
        let in_schema = by_schema(words);
        assert_eq!(in_schema["relation"].len(), 3, "{in_schema:?}");
        collect(Object::Event, "", &mut |path, kind| {
            let words: BTreeSet<_> = kind.words().names().into_iter().map(str::to_owned).collect();
            // To the schema these are text.
            if !matches!(path, "flags" | "errno") {
                assert_eq!(words, in_schema[path], "{path}");
            }
        });
    }

    /// Writes conditions that hold for JSON at `path`, and notes which fields they use.
    fn conditions(json: &Value, path: &str, plain: &str, out: &mut Vec<(String, String)>) {
        let equal = |value: &dyn std::fmt::Display| format!("{path} == {value}");
        match json {
            Value::Null => out.push((plain.to_owned(), equal(&"null"))),
            Value::Object(fields) => {
                for (name, value) in fields {
                    let dot = if path.is_empty() { "" } else { "." };
                    let inside = |of: &str| format!("{of}{dot}{name}");
                    conditions(value, &inside(path), &inside(plain), out);
                }
                out.extend(
                    path.ends_with(char::is_alphabetic)
                        .then(|| (plain.to_owned(), format!("{path} != null"))),
                );
            }
            Value::Array(items) => {
                out.push((plain.to_owned(), format!("size({path}) == {}", items.len())));
                for (at, item) in items.iter().enumerate().filter(|(_, item)| item.is_object()) {
                    conditions(item, &format!("{path}[{at}]"), &format!("{plain}[]"), out);
                }
                if items.iter().all(Value::is_string) {
                    out.push((plain.to_owned(), equal(json)));
                }
            }
            other => out.push((plain.to_owned(), equal(other))),
        }
    }

    #[test]
    fn every_field_has_the_value_that_json_has() {
        let mut used = BTreeSet::new();
        for (event, json) in samples::all() {
            let mut list = Vec::new();
            conditions(&json, "", "", &mut list);
            for (field, condition) in list {
                let filter = Filter::compile(&condition).unwrap();
                assert!(filter.matches(&event), "{condition} in {json}");
                assert_eq!(filter.errors(), 0, "{condition}");
                used.insert(field);
            }
        }
        for (field, _) in fields() {
            assert!(used.contains(&field), "{field} is in no sample");
        }
    }

    #[test]
    fn fields_are_listed_with_their_types() {
        let rows: BTreeMap<_, _> = fields().collect();
        for (path, kind) in [
            ("event", "string"),
            ("process.uid", "int"),
            ("process.ns.net", "namespace"),
            ("process.ns.net.initial", "bool"),
            ("flags", "list(string)"),
            ("changes", "list(change)"),
            ("changes[].from.type", "string"),
        ] {
            assert_eq!(rows.get(path), Some(&kind), "{path}");
        }
        assert!(!rows.contains_key("process"));
    }
}
