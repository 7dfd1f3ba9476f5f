//! Events as the Open Cybersecurity Schema Framework has them (version 1.4).

use serde_json::{Value, json};

use super::{Machine, ecs::is_technique, identity, object, rest, sentence, severity, started};
use crate::model::{
    Event, NsRef, Process, Runtime, Time,
    event::{Alert, Body, Status, Target},
};

/// Which version of the schema its fields are of.
const VERSION: &str = "1.4.0";

/// Classes, each with its category.
const BASE: (u32, u32) = (0, 0);
const KERNEL: (u32, u32) = (1003, 1);
const PROCESS: (u32, u32) = (1007, 1);
const FINDING: (u32, u32) = (2004, 2);

/// What is not among the activities of a class.
const OTHER: u32 = 99;

pub(super) fn event(event: &Event, machine: &Machine) -> Value {
    let ((class, category), activity) = class(&event.body);
    let errno = match &event.body {
        Body::Fail(fail) => Some(fail.errno),
        Body::Map(map) => map.errno,
        _ => None,
    };
    let status = match &event.body {
        // Of a finding: it is new.
        Body::Alert(_) => 1,
        _ if errno.is_some() => 2,
        _ => 1,
    };
    let alert = match &event.body {
        Body::Alert(alert) => Some(alert.as_ref()),
        _ => None,
    };
    let is_system = category == 1;
    let other = (activity == OTHER).then(|| event.body.kind().name());
    object([
        ("time", json!(milliseconds(event.time))),
        ("category_uid", json!(category)),
        ("class_uid", json!(class)),
        ("activity_id", json!(activity)),
        ("activity_name", json!(other)),
        ("type_uid", json!(class * 100 + activity)),
        ("severity_id", json!(alert.map_or(1, |alert| severity(alert.severity)))),
        ("status_id", json!(status)),
        ("status_code", json!(errno)),
        ("message", json!(sentence(event))),
        ("metadata", metadata(event, machine)),
        ("device", device(machine)),
        ("actor", if is_system { actor(event, machine) } else { Value::Null }),
        ("kernel", kernel(event)),
        ("process", target(event, machine)),
        ("exit_code", exit(event)),
        ("finding_info", alert.map_or(Value::Null, |alert| finding(event, alert, machine))),
        ("is_alert", alert.map_or(Value::Null, |_| json!(true))),
        ("evidences", alert.map_or(Value::Null, |_| evidences(event, machine))),
        ("unmapped", rest(event)),
    ])
}

/// Class and activity.
const fn class(body: &Body) -> ((u32, u32), u32) {
    match body {
        Body::Create(_) => (KERNEL, 1),
        Body::Exist(_) => (KERNEL, 2),
        Body::Destroy(_) => (KERNEL, 3),
        Body::Enter(_) | Body::Fail(_) => (KERNEL, 4),
        Body::Map(_) => (KERNEL, OTHER),
        Body::Fork(_) | Body::Exec(_) => (PROCESS, 1),
        Body::Exit(_) => (PROCESS, 2),
        Body::Lost(_) | Body::Sync(_) => (BASE, OTHER),
        Body::Alert(_) => (FINDING, 1),
    }
}

const fn milliseconds(time: Time) -> i64 {
    time.0.div_euclid(1_000_000)
}

fn metadata(event: &Event, machine: &Machine) -> Value {
    json!({
        "version": VERSION,
        "product": {
            "name": "ns-trace", "vendor_name": "ns-trace", "version": env!("CARGO_PKG_VERSION"),
        },
        "profiles": ["container", "host"],
        "uid": format!("{}:{}", machine.boot_id, event.seq),
        "sequence": event.seq,
        "original_time": event.time,
    })
}

fn device(machine: &Machine) -> Value {
    json!({
        // What sort of machine it is, nobody says.
        "type_id": 0,
        "hostname": machine.name,
        "os": { "name": "Linux", "type_id": 200, "kernel_release": machine.kernel },
        "boot_uid": machine.boot_id,
    })
}

fn actor(event: &Event, machine: &Machine) -> Value {
    match event.body.process() {
        Some(by) => json!({ "process": process(event, by, machine) }),
        // Who freed it last is not known, and who made it is no actor.
        None => json!({ "app_name": "Linux kernel" }),
    }
}

fn process(event: &Event, process: &Process, machine: &Machine) -> Value {
    let file = process.exe.as_ref().map_or(Value::Null, |exe| {
        let name = exe.rsplit('/').next().unwrap_or_default();
        // A regular file.
        json!({ "name": name, "path": exe, "type_id": 1 })
    });
    let container = event.container.as_ref().map_or(Value::Null, |container| {
        object([
            ("uid", json!(container.id)),
            ("runtime", json!(container.runtime.map(Runtime::name))),
            ("pod_uuid", json!(event.pod.as_ref().map(|pod| &pod.uid))),
        ])
    });
    object([
        ("pid", json!(process.pid)),
        ("tid", json!(process.tid)),
        ("uid", json!(identity(machine, process.tid, process.start_ns))),
        ("name", json!(process.comm)),
        ("cmd_line", json!(process.args.as_ref().map(|args| args.join(" ")))),
        ("file", file),
        ("user", json!({ "uid": process.euid.unwrap_or(process.uid).to_string() })),
        ("parent_process", json!({ "pid": process.ppid })),
        ("created_time", json!(milliseconds(started(event, process.start_ns)))),
        ("namespace_pid", json!(process.vpid)),
        ("container", container),
    ])
}

/// The resource of the kernel that an activity is about: the first namespace of several.
fn kernel(event: &Event) -> Value {
    let (ns, call) = match &event.body {
        Body::Create(made) => (Some(made.ns.to_ref()), Some(made.cause.name())),
        Body::Destroy(gone) => (Some(gone.ns.to_ref()), None),
        Body::Exist(found) => (Some(found.ns.to_ref()), None),
        Body::Map(map) => (Some(map.ns.to_ref()), Some("write")),
        Body::Enter(enter) => {
            (enter.changes.iter().find_map(|change| change.to), Some(enter.cause.name()))
        }
        Body::Fail(fail) => match &fail.target {
            Some(Target::Namespace(ns)) => (Some(*ns), Some(fail.cause.name())),
            _ => (None, Some(fail.cause.name())),
        },
        _ => return Value::Null,
    };
    let shown = |ns: NsRef| ns.to_string();
    object([
        ("name", json!(ns.map_or_else(|| "namespace".to_owned(), shown))),
        ("type", json!("Linux Namespace")),
        ("type_id", json!(OTHER)),
        ("system_call", json!(call)),
    ])
}

/// The process that was launched or ended.
fn target(event: &Event, machine: &Machine) -> Value {
    match &event.body {
        Body::Fork(fork) => json!({
            "pid": fork.child.pid, "tid": fork.child.tid,
            "uid": identity(machine, fork.child.tid, fork.child.start_ns),
            "created_time": milliseconds(started(event, fork.child.start_ns)),
        }),
        Body::Exec(exec) => process(event, &exec.process, machine),
        Body::Exit(exit) => process(event, &exit.process, machine),
        _ => Value::Null,
    }
}

fn exit(event: &Event) -> Value {
    match &event.body {
        Body::Exit(exit) => match exit.status {
            Status::Code { code } => json!(code),
            // As shells have it.
            Status::Signal { signal, .. } => json!(128 + u32::from(signal)),
        },
        _ => Value::Null,
    }
}

fn finding(event: &Event, alert: &Alert, machine: &Machine) -> Value {
    let attacks: Vec<_> = alert
        .tags
        .iter()
        .filter(|tag| is_technique(tag))
        .map(|tag| {
            let sort = if tag.contains('.') { "sub_technique" } else { "technique" };
            json!({ sort: { "uid": tag } })
        })
        .collect();
    let attacks = if attacks.is_empty() { Value::Null } else { json!(attacks) };
    object([
        ("uid", json!(format!("{}:{}", machine.boot_id, event.seq))),
        ("title", json!(alert.rule)),
        ("desc", json!(alert.message)),
        ("created_time", json!(milliseconds(event.time))),
        // A rule.
        ("analytic", json!({ "name": alert.rule, "uid": alert.rule, "type_id": 1 })),
        ("attacks", attacks),
    ])
}

fn evidences(event: &Event, machine: &Machine) -> Value {
    event
        .body
        .process()
        .map_or(Value::Null, |by| json!([{ "process": process(event, by, machine) }]))
}
