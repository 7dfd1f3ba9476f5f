//! The JSON Schema of events.

use proptest::prelude::*;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::fresh;
use crate::model::{Event, arbitrary};

fn schema() -> Value {
    // As written: what is always there is required, null included.
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Event>().to_value();
    let title = "An event of ns-trace: one line of `ns-trace trace -o json`";
    schema.as_object_mut().unwrap().insert("title".to_owned(), title.into());
    schema
}

/// Whether a value is as the schema wants it; knows the keywords that [`schema`] uses.
fn accepts(root: &Value, schema: &Value, value: &Value) -> bool {
    let Some(keywords) = schema.as_object() else { return schema.as_bool().unwrap() };
    let deeper = |schema: &Value| accepts(root, schema, value);
    keywords.iter().all(|(keyword, says)| match keyword.as_str() {
        "$ref" => {
            let pointer = says.as_str().unwrap().strip_prefix('#').unwrap();
            deeper(root.pointer(pointer).unwrap())
        }
        "type" => match says {
            Value::Array(types) => types.iter().any(|name| is_of_type(name, value)),
            name => is_of_type(name, value),
        },
        "const" => says == value,
        "enum" => says.as_array().unwrap().contains(value),
        "oneOf" => says.as_array().unwrap().iter().filter(|schema| deeper(schema)).count() == 1,
        "anyOf" => says.as_array().unwrap().iter().any(deeper),
        "required" => {
            says.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some())
        }
        "properties" => {
            says.as_object().unwrap().iter().all(|(name, schema)| {
                value.get(name).is_none_or(|inner| accepts(root, schema, inner))
            })
        }
        "items" => {
            value.as_array().is_none_or(|all| all.iter().all(|one| accepts(root, says, one)))
        }
        "minimum" => value.as_f64().is_none_or(|number| number >= says.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|number| number <= says.as_f64().unwrap()),
        // Patterns are for the types' own tests.
        "pattern" | "$schema" | "$defs" | "title" | "description" | "format" | "default" => true,
        other => panic!("unknown keyword `{other}`"),
    })
}

fn is_of_type(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type `{other}`"),
    }
}

#[test]
fn the_schema_is_fresh() {
    let text = serde_json::to_string_pretty(&schema()).unwrap();
    fresh("doc/ns-trace-1.schema.json", &(text + "\n"));
}

proptest! {
    #[test]
    fn every_event_is_as_the_schema_says(event in arbitrary::event()) {
        let schema = schema();
        let value = serde_json::to_value(&event).unwrap();
        prop_assert!(accepts(&schema, &schema, &value), "{value}");
    }

    #[test]
    fn an_event_without_one_of_its_fields_is_refused(
        event in arbitrary::event(),
        at in any::<prop::sample::Index>(),
    ) {
        let schema = schema();
        let mut value = serde_json::to_value(&event).unwrap();
        let fields = value.as_object_mut().unwrap();
        let field = fields.keys().nth(at.index(fields.len())).unwrap().clone();
        // Absent where there is nothing to say.
        prop_assume!(!["lossy", "flags_raw", "container", "pod", "repeat"].contains(&field.as_str()));
        let is_alert = fields.get("event").is_some_and(|event| event == "alert");
        prop_assume!(!(is_alert && ["ns", "process"].contains(&field.as_str())));
        fields.remove(&field);
        prop_assert!(!accepts(&schema, &schema, &value), "accepted without `{field}`");
    }
}
