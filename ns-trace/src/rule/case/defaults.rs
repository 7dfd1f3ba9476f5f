//! What events mostly are: a program of root's on the host.

use serde_json::{Map, Value as Json, json};

use super::merge::{HOST, namespace, over};
use crate::model::Slot;

/// When the first event of a case happens: nanoseconds of the boot clock.
pub(super) const BOOT_NS: u64 = 1_000_000_000_000;

/// The events that rules see.
pub(super) const SORTS: [&str; 11] =
    ["create", "enter", "fail", "destroy", "map", "exist", "fork", "exec", "exit", "lost", "sync"];

/// All of an event but what `written` says of it.
pub(super) fn event(sort: &str, written: &Map<String, Json>) -> Option<Json> {
    let call = |cause: &str| json!({"cause": cause, "flags": [], "op": 1});
    let mut event = match sort {
        "create" => call("unshare"),
        "enter" => {
            let mut enter = call("setns");
            over(&mut enter, json!({"changes": [], "relation": null}));
            enter
        }
        "fail" => {
            let mut fail = call("setns");
            over(&mut fail, json!({"errno": "EPERM", "target": null, "relation": null}));
            fail
        }
        "destroy" => json!({"creator": null, "lifetime_ns": null, "last_task_boot_ns": null}),
        "map" => json!({"map": {"file": "uid_map", "lines": []}, "errno": null}),
        "exist" => json!({"members": 1}),
        "fork" => {
            let child = written.get("child").and_then(|child| child.get("pid"));
            let pid = child.and_then(Json::as_u64).unwrap_or(2000);
            json!({"child": {"pid": pid, "tid": pid, "start_ns": start_ns(pid)}})
        }
        "exec" => json!({"changes": []}),
        "exit" => json!({"status": {"code": 0}}),
        "lost" => json!({"lost": {"count": 1, "stage": "ring", "by_event": {}, "cpu": null}}),
        "sync" => json!({"reason": "start", "host": {
            "name": "host", "boot_id": "boot", "kernel": "6.18", "backend": "fentry"}}),
        _ => return None,
    };
    over(&mut event, json!({"event": sort}));
    let has_ns = matches!(sort, "create" | "destroy" | "map" | "exist");
    if has_ns {
        let default = if sort == "map" { "user:77" } else { "net:77" };
        let mut ns = namespace(default).unwrap_or_default();
        over(
            &mut ns,
            json!({"born": null, "owner": namespace("user:host"), "parent": null, "level": null}),
        );
        over(&mut event, json!({"ns": ns}));
    }
    if !matches!(sort, "destroy" | "exist" | "lost" | "sync") {
        over(&mut event, json!({"process": process(written)}));
    }
    if written.get("creator").is_some_and(Json::is_object) {
        let creator =
            json!({"pid": 1000, "tid": 1000, "start_ns": 1, "comm": "prog", "exe": null, "uid": 0});
        over(&mut event, json!({"creator": creator}));
    }
    Some(event)
}

/// When a task was made.
const fn start_ns(pid: u64) -> u64 {
    pid * 1000
}

/// The task: where it says that it is in a container, its namespaces are others than the host's.
fn process(written: &Map<String, Json>) -> Json {
    let said = |name: &str| written.get("process").and_then(|process| process.get(name));
    let number = |name: &str, default: u64| said(name).and_then(Json::as_u64).unwrap_or(default);
    let (pid, uid) = (number("pid", 1000), number("uid", 0));
    let caps = if uid == 0 { "000001ffffffffff" } else { "0000000000000000" };
    let in_container = written.get("container").is_some_and(|container| !container.is_null());
    let slot = |slot: Slot| {
        let kind = slot.kind().name();
        // A runtime makes all of them but these.
        let shared = ["user", "time"].contains(&kind);
        let name =
            if in_container && !shared { format!("{kind}:900") } else { format!("{kind}:{HOST}") };
        (slot.name().to_owned(), namespace(&name).unwrap_or_default())
    };
    json!({
        "pid": pid, "tid": number("tid", pid), "ppid": 900, "vpid": pid, "start_ns": start_ns(pid),
        "comm": "prog", "exe": "/usr/bin/prog", "args": ["prog"], "uid": uid, "gid": uid,
        "euid": uid, "caps": caps, "cgroup": "/", "cgroup_id": 1,
        "ns": Slot::ALL.map(slot).into_iter().collect::<Map<_, _>>(),
    })
}
