//! Events against expectations, field by field.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::facts::same_moment;

/// Stands in an expectation for a value that is looked at elsewhere.
pub(crate) const ANY: &str = "<any>";

/// Fields of every event that no test foretells.
const STAMPS: [&str; 3] = ["seq", "time", "boot_ns"];

/// Checks that `event` is what is `expected`: the same fields, no more and no fewer.
///
/// Three things need not be equal: [`ANY`]; what /proc and nsfs hide, see [`hidden`]; and
/// `start_ns`, which /proc has in ticks.
pub(crate) fn expect(event: &Value, expected: &Value) -> Result<()> {
    let mut full = json!({ "schema": "ns-trace/1", "source": "probe" });
    if let (Some(full), Some(expected)) = (full.as_object_mut(), expected.as_object()) {
        full.extend(expected.clone());
        full.extend(STAMPS.map(|stamp| (stamp.to_owned(), ANY.into())));
    }
    same(event, &full).map_err(|error| error.context(event.clone()))
}

/// Checks that a part of an event is what is `expected`, as [`expect`] does.
pub(crate) fn same(actual: &Value, expected: &Value) -> Result<()> {
    let mut differences = Vec::new();
    compare("", actual, expected, &mut differences);
    if differences.is_empty() { Ok(()) } else { bail!("{}", differences.join("; ")) }
}

fn compare(path: &str, actual: &Value, expected: &Value, out: &mut Vec<String>) {
    match (actual, expected) {
        (_, Value::String(any)) if any == ANY => {}
        (Value::Object(actual), Value::Object(expected)) => {
            for (key, value) in actual {
                if !expected.contains_key(key) {
                    out.push(format!("{path}.{key} should not be there, it is {value}"));
                }
            }
            for (key, value) in expected {
                let inner = format!("{path}.{key}");
                match actual.get(key) {
                    None => out.push(format!("{inner} is missing")),
                    Some(_) if hidden(key, value, expected.get("type")) => {}
                    Some(number) if key == "start_ns" && same_moment(number, value) => {}
                    Some(actual) => compare(&inner, actual, value, out),
                }
            }
        }
        (Value::Array(actual), Value::Array(expected)) if actual.len() == expected.len() => {
            for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
                compare(&format!("{path}[{index}]"), actual, expected, out);
            }
        }
        _ if actual == expected => {}
        _ => out.push(format!("{path} is {actual}, not {expected}")),
    }
}

/// Whether a value is null only because the kernel does not show it: the ids of mount and net
/// namespaces before 6.18 (the probes see them), and a pid namespace before its first process.
fn hidden(key: &str, value: &Value, kind: Option<&Value>) -> bool {
    let kind = kind.and_then(Value::as_str);
    value.is_null()
        && (key == "pid_for_children" || key == "id" && matches!(kind, Some("mnt" | "net")))
}
