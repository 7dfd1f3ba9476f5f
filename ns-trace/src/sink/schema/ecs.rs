//! Events as the Elastic Common Schema has them (version 8.17).

use serde_json::{Value, json};

use super::{Machine, identity, object, rest, sentence, severity, started};
use crate::{
    model::{
        Event, Process, Runtime, Slot,
        event::{Body, Status},
    },
    sys::capability,
};

/// Which version of the schema its fields are of.
const VERSION: &str = "8.17.0";

pub(super) fn event(event: &Event, machine: &Machine) -> Value {
    let process = event.body.process();
    let container = event.container.as_ref();
    let user = process.map(|process| user(process.euid.unwrap_or(process.uid)));
    object([
        ("@timestamp", json!(event.time)),
        ("ecs", json!({ "version": VERSION })),
        ("message", json!(sentence(event))),
        ("event", sort(event, machine)),
        ("host", host(event, machine)),
        ("process", process.map_or(Value::Null, |process| of(event, process, machine))),
        ("user", user.unwrap_or_default()),
        (
            "container",
            container.map_or(Value::Null, |container| {
                object([
                    ("id", json!(container.id)),
                    ("runtime", json!(container.runtime.map(Runtime::name))),
                ])
            }),
        ),
        (
            "orchestrator",
            event.pod.as_ref().map_or(
                Value::Null,
                |pod| json!({ "type": "kubernetes", "resource": { "type": "pod", "id": pod.uid } }),
            ),
        ),
        ("rule", rule(event)),
        ("threat", threat(event)),
        ("tags", tags(event)),
        ("error", error(event)),
        ("ns_trace", rest(event)),
    ])
}

/// `event.*`: kind, category and type are words that the schema allows.
fn sort(event: &Event, machine: &Machine) -> Value {
    let (kind, category, types, action) = match &event.body {
        Body::Create(_) => ("event", "configuration", "creation", "namespace-created"),
        Body::Destroy(_) => ("event", "configuration", "deletion", "namespace-freed"),
        Body::Enter(_) => ("event", "process", "change", "namespace-entered"),
        Body::Fail(_) => ("event", "process", "change", "namespace-call-failed"),
        Body::Map(_) => ("event", "configuration", "change", "namespace-map-written"),
        Body::Exist(_) => ("state", "host", "info", "namespace-exists"),
        Body::Fork(_) => ("event", "process", "start", "process-forked"),
        Body::Exec(_) => ("event", "process", "start", "process-executed"),
        Body::Exit(_) => ("event", "process", "end", "process-exited"),
        Body::Lost(_) => ("pipeline_error", "host", "error", "events-lost"),
        Body::Sync(_) => ("state", "host", "info", "events-complete"),
        Body::Alert(_) => ("alert", "intrusion_detection", "info", "rule-matched"),
    };
    let outcome = match &event.body {
        Body::Fail(_) => Some("failure"),
        Body::Map(map) if map.errno.is_some() => Some("failure"),
        Body::Exist(_) | Body::Lost(_) | Body::Sync(_) | Body::Alert(_) => None,
        _ => Some("success"),
    };
    let duration = match &event.body {
        Body::Destroy(gone) => gone.lifetime_ns,
        _ => None,
    };
    let severity = match &event.body {
        Body::Alert(alert) => Some(severity(alert.severity)),
        _ => None,
    };
    let name = event.body.kind().name();
    object([
        ("kind", json!(kind)),
        ("category", json!([category])),
        ("type", json!([types])),
        ("action", json!(action)),
        ("outcome", json!(outcome)),
        ("duration", json!(duration)),
        ("severity", json!(severity)),
        ("module", json!("ns_trace")),
        ("dataset", json!(format!("ns_trace.{name}"))),
        ("provider", json!("ns-trace")),
        ("sequence", json!(event.seq)),
        ("id", json!(format!("{}:{}", machine.boot_id, event.seq))),
    ])
}

fn host(event: &Event, machine: &Machine) -> Value {
    let pid = event.body.process().and_then(|process| process.ns.get(Slot::Pid));
    object([
        ("name", json!(machine.name)),
        ("hostname", json!(machine.name)),
        ("boot", json!({ "id": machine.boot_id })),
        ("pid_ns_ino", json!(pid.map(|ns| ns.inode.to_string()))),
        ("os", json!({ "type": "linux", "kernel": machine.kernel })),
    ])
}

fn user(number: u32) -> Value {
    json!({ "id": number.to_string() })
}

fn of(event: &Event, process: &Process, machine: &Machine) -> Value {
    let caps = process.caps.map(|caps| {
        let held = capability::named().into_iter().filter(|(_, bit)| caps.0 & bit.bits() != 0);
        json!({ "effective": held.map(|(name, _)| name).collect::<Vec<_>>() })
    });
    let exit = match &event.body {
        Body::Exit(exit) => match exit.status {
            Status::Code { code } => Some(u32::from(code)),
            // As shells have it.
            Status::Signal { signal, .. } => Some(128 + u32::from(signal)),
        },
        _ => None,
    };
    object([
        ("pid", json!(process.pid)),
        ("vpid", json!(process.vpid)),
        ("entity_id", json!(identity(machine, process.tid, process.start_ns))),
        ("name", json!(process.comm)),
        ("executable", json!(process.exe)),
        ("args", json!(process.args)),
        ("args_count", json!(process.args.as_ref().map(|args| args.len()))),
        ("start", json!(started(event, process.start_ns))),
        ("exit_code", json!(exit)),
        ("parent", json!({ "pid": process.ppid })),
        (
            "thread",
            object([("id", json!(process.tid)), ("capabilities", caps.unwrap_or_default())]),
        ),
        ("real_user", user(process.uid)),
        ("user", process.euid.map(user).unwrap_or_default()),
        ("real_group", process.gid.map(user).unwrap_or_default()),
    ])
}

fn rule(event: &Event) -> Value {
    let Body::Alert(alert) = &event.body else { return Value::Null };
    json!({ "id": alert.rule, "name": alert.rule, "ruleset": "ns-trace" })
}

fn threat(event: &Event) -> Value {
    let Body::Alert(alert) = &event.body else { return Value::Null };
    let techniques: Vec<_> = alert.tags.iter().filter(|tag| is_technique(tag)).collect();
    if techniques.is_empty() {
        return Value::Null;
    }
    let main: Vec<_> = techniques.iter().filter(|tag| !tag.contains('.')).collect();
    let sub: Vec<_> = techniques.iter().filter(|tag| tag.contains('.')).collect();
    let sub = if sub.is_empty() { Value::Null } else { json!({ "id": sub }) };
    object([
        ("framework", json!("MITRE ATT&CK")),
        ("technique", object([("id", json!(main)), ("subtechnique", sub)])),
    ])
}

fn tags(event: &Event) -> Value {
    let Body::Alert(alert) = &event.body else { return Value::Null };
    json!(alert.tags)
}

/// Whether a tag is a number of MITRE ATT&CK.
pub(super) fn is_technique(tag: &str) -> bool {
    let number = tag.strip_prefix('T').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn error(event: &Event) -> Value {
    match &event.body {
        Body::Fail(fail) => json!({ "code": fail.errno }),
        Body::Map(map) => map.errno.map_or(Value::Null, |errno| json!({ "code": errno })),
        _ => Value::Null,
    }
}
