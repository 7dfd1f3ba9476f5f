//! The description of the API (`OpenAPI` 3.1).

use axum::Json;
use serde_json::{Value, json};

use crate::model::event::Severity;

pub(super) async fn openapi() -> Json<Value> {
    Json(document())
}

fn answer(kind: &str, schema: &Value) -> Value {
    json!({
        "200": { "description": "The answer", "content": { kind: { "schema": schema } } },
        "default": {
            "description": "A problem (RFC 9457)",
            "content": { "application/problem+json": { "schema": name("Problem") } },
        },
    })
}

fn name(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn object(properties: &Value) -> Value {
    let required: Vec<_> = properties.as_object().into_iter().flat_map(|all| all.keys()).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn parameter(name: &str, place: &str, schema: &Value, about: &str) -> Value {
    let required = place == "path";
    json!({ "name": name, "in": place, "required": required, "schema": schema, "description": about })
}

fn get(about: &str, parameters: &[Value], responses: &Value) -> Value {
    json!({ "get": { "summary": about, "parameters": parameters, "responses": responses } })
}

fn document() -> Value {
    let (text, number) = (json!({ "type": "string" }), json!({ "type": "integer", "minimum": 0 }));
    let kinds = json!({
        "type": "string", "enum": ["mnt", "pid", "ipc", "uts", "net", "user", "cgroup", "time"],
    });
    let page = "At most so many; `next` is the `after` of those behind them";
    let columns = "A CEL expression over the columns of `ns-trace list`, in lower case";
    let fields = "A CEL expression over the fields of events";
    let id = "Go on after the event with this id; `lost` says what is not kept any more";
    let only = "Only of this type";
    let list = [
        parameter("where", "query", &text, columns),
        parameter("type", "query", &kinds, only),
        parameter("limit", "query", &number, page),
        parameter("after", "query", &number, "Only inodes above"),
    ];
    let stream = [
        parameter("where", "query", &text, fields),
        parameter("type", "query", &kinds, only),
        parameter("Last-Event-ID", "header", &text, id),
    ];
    let severities = Severity::ALL.map(Severity::name);
    let severities = json!({ "type": "string", "enum": severities });
    let alerts = [
        parameter("where", "query", &text, fields),
        parameter("rule", "query", &text, "Only of the rule with this id"),
        parameter("severity", "query", &severities, "Only as bad as this, or worse"),
        parameter(
            "limit",
            "query",
            &number,
            "At most so many; `next` is the `before` of older ones",
        ),
        parameter("before", "query", &number, "Only with a smaller `seq`"),
    ];
    let time = "RFC 3339, a local time such as 2026-11-23 10:00, or `2h ago`";
    let selector = "About this namespace: an inode, TYPE:INODE or id:ID";
    let past = [
        parameter("since", "query", &text, &format!("Not before: {time}")),
        parameter("until", "query", &text, &format!("Before: {time}")),
        parameter("ns", "query", &text, selector),
        parameter("pid", "query", &number, "Of this process"),
        parameter("uid", "query", &number, "Of processes of this user"),
        parameter("container", "query", &text, "Of containers whose ids begin so"),
        parameter("event", "query", &text, "Of this sort"),
        parameter("type", "query", &kinds, only),
        parameter("where", "query", &text, fields),
        parameter("limit", "query", &number, page),
        parameter("after", "query", &number, "Only events with a `seq` above"),
    ];
    let inode = [parameter("inode", "path", &number, "Of the namespace")];
    let pid = [parameter("pid", "path", &number, "In the initial pid namespace")];
    let json = |schema| answer("application/json", &name(schema));
    let plain = || answer("text/plain", &text);
    json!({
        "openapi": "3.1.0",
        "info": { "title": "ns-trace", "version": "1", "summary": "Linux namespaces, live" },
        "paths": {
            "/api/v1/namespaces": get("The namespaces that exist", &list, &json("Namespaces")),
            "/api/v1/namespaces/{inode}": get("All about one", &inode, &json("Namespace")),
            "/api/v1/processes/{pid}": get("A process", &pid, &json("Process")),
            "/api/v1/events": get(
                "What happens: each `data` is an event of schema ns-trace/1",
                &stream,
                &answer("text/event-stream", &text),
            ),
            "/api/v1/alerts": get("The latest alerts, the latest first", &alerts, &json("Alerts")),
            "/api/v1/history": get("What happened", &past, &json("History")),
            "/metrics": get("Counters for Prometheus", &[], &plain()),
            "/healthz": get("Whether the pipeline goes on", &[], &plain()),
            "/readyz": get("Whether events are seen", &[], &plain()),
            "/openapi.json": get("This", &[], &answer("application/json", &json!({ "type": "object" }))),
        },
        "components": { "schemas": schemas(&text, &number, &kinds, &severities) },
    })
}

fn schemas(text: &Value, number: &Value, kinds: &Value, severities: &Value) -> Value {
    let maybe = |schema: &Value| json!({ "anyOf": [schema, { "type": "null" }] });
    let list = |schema: &Value| json!({ "type": "array", "items": schema });
    let truth = json!({ "type": "boolean" });
    let slots =
        ns_trace_common::Slot::ALL.map(|slot| (slot.name().to_owned(), maybe(&name("NsRef"))));
    let slots = Value::Object(slots.into_iter().collect());
    json!({
        "Problem": object(&json!({
            "type": text, "title": text, "status": number, "detail": text,
        })),
        "NsRef": object(&json!({
            "type": kinds, "inode": number, "id": maybe(number), "initial": truth,
        })),
        "NsInfo": object(&json!({
            "type": kinds, "inode": number, "id": maybe(number), "initial": truth,
            "born": maybe(number), "owner": maybe(&name("NsRef")), "parent": maybe(&name("NsRef")),
            "level": maybe(number),
        })),
        "Creator": object(&json!({
            "pid": number, "tid": number, "start_ns": number, "comm": text, "exe": maybe(text),
            "uid": number,
        })),
        "Item": object(&json!({
            "ns": name("NsInfo"), "creator": maybe(&name("Creator")), "cause": maybe(text),
            "threads": number, "processes": list(number),
        })),
        "Namespaces": object(&json!({
            "namespaces": list(&name("Item")), "next": maybe(number),
        })),
        "Member": object(&json!({
            "pid": number, "ppid": number, "uid": number, "comm": text, "threads": number,
            "ended": { "type": "boolean" },
        })),
        "Holder": {
            "type": "object", "properties": { "holder": text }, "required": ["holder"],
            "additionalProperties": true,
        },
        "Namespace": object(&json!({
            "ns": name("NsInfo"), "owner_uid": maybe(number), "creator": maybe(&name("Creator")),
            "cause": maybe(text), "threads": number, "processes": list(&name("Member")),
            "holders": list(&name("Holder")),
        })),
        "Alert": {
            "type": "object",
            "description": "An event of sort `alert`, as in schema ns-trace/1",
            "properties": {
                "schema": text, "seq": number, "time": text, "event": { "const": "alert" },
                "rule": text, "severity": severities, "tags": list(text), "message": text,
                "cause_seq": maybe(number),
            },
            "required": ["schema", "seq", "time", "event", "rule", "severity", "tags", "message"],
            "additionalProperties": true,
        },
        "Alerts": object(&json!({ "alerts": list(&name("Alert")), "next": maybe(number) })),
        "Event": {
            "type": "object",
            "description": "As in schema ns-trace/1",
            "properties": { "event": text, "seq": number, "time": text },
            "required": ["event", "seq", "time"],
            "additionalProperties": true,
        },
        "History": object(&json!({ "events": list(&name("Event")), "next": maybe(number) })),
        "Process": object(&json!({
            "pid": number, "ppid": number, "uid": number, "comm": text, "threads": number,
            "ns": object(&slots),
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::http::PATHS;

    #[test]
    fn every_path_with_parameters_is_checked_and_fuzzed() {
        let document = document();
        let takes_some = |path: &Value| {
            let parameters = path["get"]["parameters"].as_array().into_iter().flatten();
            parameters.clone().any(|parameter| parameter["in"] == "query")
        };
        let paths = document["paths"].as_object().unwrap().iter();
        let mut described: Vec<_> =
            paths.filter(|(_, about)| takes_some(about)).map(|(path, _)| path.as_str()).collect();
        let mut checked = PATHS.to_vec();
        described.sort_unstable();
        checked.sort_unstable();
        assert_eq!(described, checked);
        for path in PATHS {
            assert_eq!(crate::serve::http::check(path, ""), Ok(()), "{path}");
        }
    }
}
