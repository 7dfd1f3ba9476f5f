//! Properties of all expressions: nothing panics, and what is known is as in plain CEL.

use cel::{Context, Program};
use proptest::prelude::*;
use serde_json::Value as Json;

use super::{
    Error, Filter,
    kind::{Base, Kind, Object},
    samples, table,
    view::View,
};
use crate::model::arbitrary;

/// Pieces of expressions, good and bad.
const TOKENS: [&str; 52] = [
    "event",
    "ns",
    "type",
    "process",
    "uid",
    "exe",
    "flags",
    "changes",
    "slot",
    "from",
    "args",
    "target",
    "x",
    "c",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    "!",
    "+",
    "-",
    "*",
    "/",
    "%",
    "?",
    ":",
    ".",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "in",
    "null",
    "true",
    "false",
    "0",
    "1",
    "2u",
    "1.5",
    "-9223372036854775808",
    "'net'",
    "\"é\"",
    "has",
    "size(",
    ".exists(c,",
    ".map(c,",
    ".matches('[')",
];

/// Strings that may be expressions.
fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec((prop::sample::select(&TOKENS[..]), any::<bool>()), 0..24).prop_map(
        |tokens| {
            let glue = |glued: bool| if glued { "" } else { " " };
            let parts = tokens.into_iter().flat_map(|(token, glued)| [token, glue(glued)]);
            parts.collect()
        },
    )
}

fn pick(choices: &'static [&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(choices).prop_map(str::to_owned).boxed()
}

/// Well-typed conditions.
fn condition() -> impl Strategy<Value = String> {
    let number = pick(&[
        "process.uid",
        "process.pid",
        "ns.inode",
        "ns.owner.inode",
        "op",
        "seq",
        "lost.count",
        "status.code",
        "lifetime_ns",
        "0",
        "7",
        "1000",
        "9223372036854775807",
        "size(flags)",
        "process.args.size()",
        "int('3')",
        "changes.size()",
    ]);
    let text = pick(&[
        "event",
        "process.comm",
        "process.exe",
        "ns.type",
        "cause",
        "errno",
        "flags[0]",
        "process.args[2]",
        // Strings as they are would have to be words of the fields beside them.
        "string('net')",
        "string('runc')",
        "string('')",
        "string(process.uid)",
        "process.caps",
    ]);
    let texts = pick(&[
        "flags",
        "process.args",
        "[string('net'), string('create')]",
        "[]",
        "(flags + [event])",
    ]);
    let leaf = prop_oneof![
        pick(&[
            "true",
            "false",
            "ns.initial",
            "process.ns.net.initial",
            "has(process.exe)",
            "ns.parent == ns.owner",
            "ns.owner in [process.ns.user]",
            "has(ns.parent)",
            "changes.exists(c, c.slot == 'net')",
            "event in ['create', 'map']",
            "'net' == ns.type",
            "errno != 'EPERM'",
            "'CLONE_NEWNET' in flags",
            "changes.all(c, has(c.from))",
        ]),
        (number.clone(), pick(&["==", "!=", "<", "<=", ">", ">="]), number.clone())
            .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (number.clone(), pick(&["+", "-", "*", "/", "%"]), number.clone(), number)
            .prop_map(|(a, op, b, c)| format!("{a} {op} {b} == {c}")),
        (text.clone(), pick(&["==", "!=", "<", ">"]), text.clone())
            .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (text.clone(), pick(&["contains", "startsWith", "endsWith"]), text.clone())
            .prop_map(|(a, name, b)| format!("{a}.{name}({b})")),
        (text.clone(), texts.clone()).prop_map(|(a, list)| format!("{a} in {list}")),
        (texts, pick(&["exists", "all", "exists_one"]), text)
            .prop_map(|(list, name, a)| format!("{list}.{name}(x, x == {a})")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            inner.prop_map(|a| format!("flags.exists(f, {a} && f != event)")),
        ]
    })
}

/// JSON as plain CEL values; every number of an event is an int.
fn plain(json: &Json) -> cel::Value {
    match json {
        Json::Null => cel::Value::Null,
        Json::Bool(value) => (*value).into(),
        Json::Number(number) => number.as_i64().unwrap().into(),
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => items.iter().map(plain).collect::<Vec<_>>().into(),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), plain(value)));
            fields.collect::<std::collections::HashMap<_, _>>().into()
        }
    }
}

/// What CEL itself says of the JSON; `None` if it has no result.
fn cel_says(source: &str, json: &Json) -> Option<bool> {
    let mut context = Context::default();
    for (name, value) in json.as_object().unwrap() {
        context.add_variable_from_value(name.clone(), plain(value));
    }
    match Program::compile(source).unwrap().execute(&context) {
        Ok(cel::Value::Bool(truth)) => Some(truth),
        _ => None,
    }
}

fn has_null(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Array(items) => items.iter().any(has_null),
        Json::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

/// Asserts that the tables find in an object what its JSON has.
fn same_fields(view: &View<'_>, object: Object, json: &Json) {
    for field in table::fields(object) {
        let json = &json[field.name];
        match field.get(view) {
            Some(value) if !(field.sparse && value.is_zero()) => same(&value, field.kind, json),
            _ => assert!(json.is_null(), "{} is {json}", field.name),
        }
    }
}

fn same(view: &View<'_>, kind: Kind, json: &Json) {
    match (view, kind.base) {
        (View::Bool(value), Base::Bool) => assert_eq!(json, value),
        (View::Int(number), Base::Int) => assert_eq!(json, number),
        (View::Text(text), Base::Text(_)) => assert_eq!(json, text.as_ref()),
        (View::List(items), _) => {
            let element = kind.element().unwrap();
            let json = json.as_array().unwrap();
            assert_eq!(items.len(), json.len());
            for (item, json) in items.iter().zip(json) {
                same(item, element, json);
            }
        }
        (_, Base::Object(object)) => same_fields(view, object, json),
        _ => panic!("{view:?} is no {kind}"),
    }
}

proptest! {
    #[test]
    fn the_tables_find_what_json_has(event in arbitrary::event()) {
        let json = serde_json::to_value(&event).unwrap();
        same_fields(&View::Event(&event), Object::Event, &json);
    }

    #[test]
    fn no_text_panics(source in any::<String>()) {
        if let Err(error) = Filter::compile(&source) {
            prop_assert!(!error.to_string().is_empty());
            prop_assert_eq!(error.snippet(&source).lines().count(), 2);
        }
    }

    #[test]
    fn no_soup_panics(source in soup()) {
        match Filter::compile(&source) {
            Ok(filter) => {
                for (event, _) in samples::all() {
                    let matched = filter.matches(&event);
                    prop_assert!(!(matched && filter.errors() > 99));
                }
            }
            Err(error) => {
                let columns = source.chars().count() + 1;
                prop_assert!(error.position().column <= columns, "{} {}", error, source);
            }
        }
    }

    #[test]
    fn what_is_known_is_as_in_plain_cel(source in condition()) {
        let filter = Filter::compile(&source);
        // Macros within each other may be.
        prop_assume!(!matches!(filter, Err(Error::Limit { .. })));
        if let Err(Error::Never { .. }) = filter {
            for (_, json) in samples::all() {
                prop_assert_ne!(cel_says(&source, &json), Some(true), "{} of {}", source, json);
            }
            return Ok(());
        }
        let filter = filter.unwrap();
        for (event, json) in samples::all() {
            let before = filter.errors();
            let matched = filter.matches(&event);
            let mine = (filter.errors() == before).then_some(matched);
            // Of null plain CEL says that it is unequal to everything; filters do not know.
            if !has_null(&json) {
                prop_assert_eq!(mine, cel_says(&source, &json), "{} of {}", source, json);
            }
        }
    }
}
