//! JSON from YAML with short forms, and one value over another.

use saphyr_parser::ScalarStyle;
use serde_json::{Map, Value as Json, json};

use super::super::{
    file::Place,
    node::{Node, Value},
};
use crate::model::Kind;

/// What stands for a namespace that the system booted with.
pub(super) const HOST: &str = "host";

/// Fields that are text whatever they look like.
const TEXTS: [&str; 6] = ["comm", "exe", "args", "cgroup", "value", "caps"];

/// The JSON of a node; `key` is the name of the field that it is in.
pub(super) fn json(node: &Node, key: &str) -> Json {
    match &node.value {
        Value::List(items) => {
            // The short form is that of the field, not of what is in its list.
            let key = if key == "changes" { "" } else { key };
            items.iter().map(|item| json(item, key)).collect()
        }
        Value::Map(entries) => {
            let field = |(name, value): &(Node, Node)| {
                let name = name_of(name).to_owned();
                let value = json(value, &name);
                (name, value)
            };
            let object: Map<_, _> = entries.iter().map(field).collect();
            if key == "changes" { changes(&object) } else { object.into() }
        }
        Value::Scalar { text, style } => scalar(text, *style, key),
    }
}

fn scalar(text: &str, style: ScalarStyle, key: &str) -> Json {
    if style != ScalarStyle::Plain || TEXTS.contains(&key) {
        return if style == ScalarStyle::Plain && text == "null" {
            Json::Null
        } else {
            text.into()
        };
    }
    if key == "container" && text != "null" {
        return json!({"id": text, "runtime": "docker"});
    }
    match text {
        "true" => true.into(),
        "false" => false.into(),
        "null" | "~" | "" => Json::Null,
        _ => {
            let number = text.parse::<u64>().ok().map(Json::from);
            number.or_else(|| namespace(text)).unwrap_or_else(|| text.into())
        }
    }
}

/// What `net:7` and `net:host` stand for.
pub(super) fn namespace(text: &str) -> Option<Json> {
    let (kind, inode) = text.split_once(':')?;
    let at = Kind::ALL.into_iter().position(|other| other.name() == kind)?;
    let initial = inode == HOST;
    let inode = match inode {
        HOST => 4_026_531_834 + u32::try_from(at).ok()?,
        _ => inode.parse().ok()?,
    };
    Some(json!({"type": kind, "inode": inode, "id": inode, "initial": initial}))
}

/// `{net: net:7}` is one change of that slot, from where the container's or host's was.
fn changes(object: &Map<String, Json>) -> Json {
    let change = |(slot, to): (&String, &Json)| {
        let from = to.get("type").and_then(Json::as_str).and_then(|kind| {
            let was = if to.get("initial") == Some(&Json::Bool(true)) { "900" } else { HOST };
            namespace(&format!("{kind}:{was}"))
        });
        json!({"slot": slot, "from": from, "to": to})
    };
    object.iter().map(change).collect()
}

/// Puts `upper` over `lower`: objects field by field.
pub(super) fn over(lower: &mut Json, upper: Json) {
    match (lower, upper) {
        (Json::Object(lower), Json::Object(upper)) => {
            for (name, value) in upper {
                over(lower.entry(name).or_insert(Json::Null), value);
            }
        }
        (lower, upper) => *lower = upper,
    }
}

/// The first field that was written and is not `known`, and where.
pub(super) fn surplus(node: &Node, known: &Json) -> Option<(Place, String)> {
    match (&node.value, known) {
        (Value::Map(entries), Json::Object(fields)) => entries.iter().find_map(|(key, value)| {
            let name = name_of(key);
            let is_nothing = matches!(&value.value, Value::Scalar { text, .. } if ["null", "false", "0"].contains(&text.as_str()));
            match fields.get(name) {
                _ if ["after", "times"].contains(&name) => None,
                Some(known) => surplus(value, known),
                // Left out of events where they are nothing.
                None if is_nothing => None,
                None => Some((key.at, name.to_owned())),
            }
        }),
        (Value::List(items), Json::Array(known)) => {
            items.iter().zip(known).find_map(|(item, known)| surplus(item, known))
        }
        _ => None,
    }
}

/// The text of a scalar.
pub(super) fn name_of(node: &Node) -> &str {
    match &node.value {
        Value::Scalar { text, .. } => text,
        _ => "",
    }
}
