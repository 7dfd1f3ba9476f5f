//! Events for the tests of this room: one of every sort, every field of the schema in at least one.

use serde_json::{Value, json};

use crate::model::Event;

/// The events, and the JSON that they are made of.
pub(super) fn all() -> Vec<(Event, Value)> {
    bodies()
        .into_iter()
        .zip(1..)
        .map(|(mut event, seq)| {
            let common = json!({
                "schema": "ns-trace/1", "seq": seq, "time": "2026-11-23T10:00:00.123456789Z",
                "boot_ns": 3_604_123_456_789_u64, "source": "probe", "lossy": true,
            });
            merge(&mut event, common);
            (serde_json::from_value(event.clone()).unwrap(), event)
        })
        .collect()
}

/// The first event of that sort.
pub(super) fn event(sort: &str) -> Event {
    let mut all = all().into_iter();
    all.find(|(_, json)| json["event"] == sort).unwrap().0
}

fn merge(into: &mut Value, other: Value) {
    let Value::Object(other) = other else { return };
    into.as_object_mut().unwrap().extend(other);
}

fn ns(kind: &str, inode: u32) -> Value {
    json!({"type": kind, "inode": inode, "id": u64::from(inode) + 7, "initial": inode == 1})
}

fn info(kind: &str) -> Value {
    let mut info = ns(kind, 4_026_532_281);
    merge(
        &mut info,
        json!({"born": 17, "owner": ns("user", 1), "parent": ns("user", 2), "level": 2}),
    );
    info
}

fn process() -> Value {
    json!({
        "pid": 4242, "tid": 4243, "ppid": 4100, "vpid": 7, "start_ns": 3_604_100_000_000_u64,
        "comm": "runc", "exe": "/usr/bin/runc", "args": ["runc", "create", "--x"],
        "args_truncated": true, "uid": 1000, "gid": 1001, "euid": 1002,
        "caps": "00000000a80425fb", "cgroup": "/user.slice", "cgroup_id": 4711,
        "ns": {
            "mnt": ns("mnt", 1), "pid": ns("pid", 3), "pid_for_children": ns("pid", 4),
            "ipc": ns("ipc", 5), "uts": ns("uts", 6), "net": ns("net", 7), "user": ns("user", 1),
            "cgroup": ns("cgroup", 9), "time": ns("time", 10), "time_for_children": ns("time", 11),
        },
    })
}

fn bodies() -> Vec<Value> {
    let changes = json!([
        {"slot": "net", "from": ns("net", 1), "to": ns("net", 8)},
        {"slot": "user", "from": null, "to": ns("user", 12)},
    ]);
    let mut unknown = process();
    for field in ["exe", "args", "cgroup"] {
        unknown[field] = Value::Null;
    }
    unknown["ns"]["net"] = Value::Null;
    unknown.as_object_mut().unwrap().remove("args_truncated");
    vec![
        json!({"event": "create", "cause": "unshare", "flags": ["CLONE_NEWNET", "CLONE_NEWUSER"],
               "flags_raw": "0x100", "op": 405, "ns": info("net"), "process": process(),
               "container": {"id": "3f2a", "runtime": "cri-o"}, "pod": {"uid": "6a1f"}}),
        json!({"event": "enter", "cause": "clone", "flags": ["CLONE_NEWNET"], "op": 406,
               "changes": changes, "relation": "own", "repeat": 500, "process": process()}),
        json!({"event": "fail", "cause": "setns", "flags": [], "op": 407, "errno": "EPERM",
               "target": ns("mnt", 13), "relation": "host", "repeat": 2, "process": process()}),
        json!({"event": "fail", "cause": "setns", "flags": [], "op": 408, "errno": "EINVAL",
               "target": {"pid": 99, "ns": [ns("mnt", 14), ns("net", 7)]}, "relation": null,
               "process": unknown}),
        json!({"event": "destroy", "ns": info("pid"), "lifetime_ns": 5, "last_task_boot_ns": 6,
               "creator": {"pid": 1, "tid": 2, "start_ns": 3, "comm": "a", "exe": "/b", "uid": 4}}),
        json!({"event": "map", "ns": info("user"), "errno": "EPERM", "process": process(),
               "map": {"file": "uid_map", "value": "deny", "truncated": true, "lines": [
                   {"inside": 0, "outside": 1000, "count": 1},
                   {"inside": 1, "outside": 0, "count": 9}]}}),
        json!({"event": "exist", "ns": info("uts"), "members": 3}),
        json!({"event": "fork", "child": {"pid": 1, "tid": 2, "start_ns": 3}, "process": process()}),
        json!({"event": "exec", "changes": changes, "process": process()}),
        json!({"event": "exit", "status": {"code": 3}, "process": process()}),
        json!({"event": "exit", "status": {"signal": 9, "core": true}, "process": process()}),
        json!({"event": "lost", "lost": {"count": 36, "stage": "ring", "cpu": 1, "by_event": {
               "create": 1, "enter": 2, "fail": 3, "destroy": 4, "map": 8, "fork": 5, "exec": 6, "exit": 7}}}),
        json!({"event": "sync", "reason": "start", "host": {
               "name": "h", "boot_id": "b", "kernel": "6.18", "backend": "fentry"}}),
        json!({"event": "alert", "rule": "r", "severity": "high", "tags": ["T1611", "x"],
               "message": "m", "cause_seq": 4, "repeat": 3, "ns": info("mnt"),
               "process": process(), "container": {"id": "3f2a", "runtime": "docker"}}),
    ]
}
