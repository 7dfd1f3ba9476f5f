use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::arbitrary;

/// The fields of ECS 8.17 that are used (its field reference), besides the one for what it has no
/// words for.
const ECS: &str = "\
@timestamp ecs.version message tags
event.kind event.category event.type event.action event.outcome event.duration event.severity
event.module event.dataset event.provider event.sequence event.id
host.name host.hostname host.boot.id host.pid_ns_ino host.os.type host.os.kernel
process.pid process.vpid process.entity_id process.name process.executable process.args
process.args_count process.start process.exit_code process.parent.pid process.thread.id
process.thread.capabilities.effective process.real_user.id process.user.id process.real_group.id
user.id container.id container.runtime orchestrator.type orchestrator.resource.type
orchestrator.resource.id rule.id rule.name rule.ruleset threat.framework threat.technique.id
threat.technique.subtechnique.id error.code";

/// The values that ECS allows, of those that are used.
const KINDS: [&str; 4] = ["alert", "event", "pipeline_error", "state"];
const CATEGORIES: [&str; 4] = ["configuration", "host", "intrusion_detection", "process"];

/// The attributes of OCSF 1.4 that are used (its dictionary, by class and object); those of lists
/// are told as of one.
const OCSF: &str = "\
time category_uid class_uid activity_id activity_name type_uid severity_id status_id status_code
message metadata.version metadata.product.name metadata.product.vendor_name
metadata.product.version metadata.profiles metadata.uid metadata.sequence metadata.original_time
device.type_id device.hostname device.boot_uid device.os.name device.os.type_id
device.os.kernel_release
kernel.name kernel.type kernel.type_id kernel.system_call exit_code is_alert
actor.app_name finding_info.uid finding_info.title finding_info.desc finding_info.created_time
finding_info.analytic.name finding_info.analytic.uid finding_info.analytic.type_id
finding_info.attacks.technique.uid finding_info.attacks.sub_technique.uid";

/// Those of a process, wherever it stands.
const OCSF_PROCESS: &str = "\
pid tid uid name cmd_line file.name file.path file.type_id user.uid parent_process.pid created_time
namespace_pid container.uid container.runtime container.pod_uuid";

/// What every event of OCSF must have.
const OCSF_REQUIRED: [&str; 9] = [
    "time",
    "category_uid",
    "class_uid",
    "activity_id",
    "type_uid",
    "severity_id",
    "metadata",
    "device",
    "status_id",
];

fn machine() -> Machine {
    let text = str::to_owned;
    Machine { name: text("host"), boot_id: text("boot"), kernel: text("6.12.1") }
}

/// The paths of all fields that are no objects, but for those below `skipped`.
fn paths(value: &Value, skipped: &str) -> Vec<String> {
    fn walk(value: &Value, at: &str, out: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                    walk(value, &at, out);
                }
            }
            Value::Array(all) if all.iter().any(Value::is_object) => {
                for one in all {
                    walk(one, at, out);
                }
            }
            _ => out.push(at.to_owned()),
        }
    }
    let mut value = value.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.remove(skipped);
    }
    let mut out = Vec::new();
    walk(&value, "", &mut out);
    out
}

proptest! {
    /// Whatever happens, only fields and values that the schema has are used.
    #[test]
    fn ecs_knows_every_field(event in arbitrary::event()) {
        let told = ecs::event(&event, &machine());
        let known: Vec<_> = ECS.split_whitespace().collect();
        for path in paths(&told, "ns_trace") {
            prop_assert!(known.contains(&path.as_str()), "{path}");
        }
        prop_assert!(KINDS.contains(&told["event"]["kind"].as_str().unwrap()));
        prop_assert!(CATEGORIES.contains(&told["event"]["category"][0].as_str().unwrap()));
        prop_assert_eq!(&told["ns_trace"]["event"], event.body.kind().name());
    }

    #[test]
    fn ocsf_knows_every_field(event in arbitrary::event()) {
        let told = ocsf::event(&event, &machine());
        let mut known: Vec<_> = OCSF.split_whitespace().map(str::to_owned).collect();
        for place in ["actor.process", "process", "evidences.process"] {
            known.extend(OCSF_PROCESS.split_whitespace().map(|name| format!("{place}.{name}")));
        }
        for path in paths(&told, "unmapped") {
            prop_assert!(known.contains(&path), "{path}");
        }
        for name in OCSF_REQUIRED {
            prop_assert!(!told[name].is_null(), "no {name}");
        }
        let uid = |name: &str| told[name].as_u64().unwrap();
        prop_assert_eq!(uid("type_uid"), uid("class_uid") * 100 + uid("activity_id"));
        prop_assert_eq!(uid("category_uid"), uid("class_uid") / 1000);
        let wanted: &[&str] = match uid("class_uid") {
            1003 => &["actor", "kernel"],
            1007 => &["actor", "process"],
            2004 => &["finding_info"],
            _ => &[],
        };
        for name in wanted {
            prop_assert!(!told[name].is_null(), "no {name}");
        }
        prop_assert_eq!(&told["unmapped"]["event"], event.body.kind().name());
    }
}

/// An event as it is read, in both schemas.
fn both(event: &Value) -> (Value, Value) {
    let event: Event = serde_json::from_value(event.clone()).unwrap();
    (ecs::event(&event, &machine()), ocsf::event(&event, &machine()))
}

#[test]
fn a_process_in_a_container_makes_a_namespace() {
    let event = json!({
        "schema": "ns-trace/1", "seq": 7, "time": "2026-11-23T10:00:02.500000000Z",
        "boot_ns": 5_000_000_000_u64, "source": "probe", "event": "create", "cause": "unshare",
        "flags": ["CLONE_NEWNET"], "op": 1,
        "ns": {"type": "net", "inode": 4_026_532_281_u32, "id": null, "initial": false,
               "born": 5_000_000_000_u64, "owner": null, "parent": null, "level": null},
        "process": {"pid": 42, "tid": 43, "ppid": 40, "vpid": 7, "start_ns": 3_000_000_000_u64,
            "comm": "sh", "exe": "/bin/sh", "args": ["sh", "-c", "x"], "uid": 1000, "gid": 1000,
            "euid": 0, "caps": "0000000000200000", "cgroup": null, "cgroup_id": null, "ns": {}},
        "container": {"id": "c0ffee", "runtime": "docker"}, "pod": {"uid": "p0d"},
    });
    let (ecs, ocsf) = both(&event);
    assert_eq!(ecs["@timestamp"], "2026-11-23T10:00:02.500000000Z");
    assert_eq!(ecs["process"]["start"], "2026-11-23T10:00:00.500000000Z");
    assert_eq!(ecs["process"]["thread"]["capabilities"]["effective"], json!(["CAP_SYS_ADMIN"]));
    assert_eq!(ecs["process"]["vpid"], 7);
    assert_eq!(
        (&ecs["user"]["id"], &ecs["process"]["real_user"]["id"]),
        (&json!("0"), &json!("1000"))
    );
    assert_eq!(ecs["container"], json!({"id": "c0ffee", "runtime": "docker"}));
    assert_eq!(ecs["orchestrator"]["resource"]["id"], "p0d");
    assert_eq!(ecs["event"]["type"], json!(["creation"]));
    assert_eq!(ecs["ns_trace"]["ns"]["inode"], 4_026_532_281_u32);
    let mut kept: Vec<_> = ecs["ns_trace"]["process"].as_object().unwrap().keys().collect();
    kept.sort_unstable();
    assert_eq!(kept, ["cgroup", "cgroup_id", "ns", "start_ns"]);
    assert_eq!((&ocsf["class_uid"], &ocsf["type_uid"]), (&json!(1003), &json!(100_301)));
    assert_eq!(ocsf["time"], 1_795_428_002_500_u64);
    assert_eq!(ocsf["kernel"]["name"], "net:4026532281");
    assert_eq!(ocsf["kernel"]["system_call"], "unshare");
    let by = &ocsf["actor"]["process"];
    assert_eq!((&by["cmd_line"], &by["namespace_pid"]), (&json!("sh -c x"), &json!(7)));
    assert_eq!(by["container"]["pod_uuid"], "p0d");
    assert_eq!(by["uid"], "boot:43:3000000000");
}

#[test]
fn an_alert_is_a_finding() {
    let event = json!({
        "schema": "ns-trace/1", "seq": 9, "time": "2026-11-23T10:00:00.000000000Z", "boot_ns": 1,
        "source": "probe", "event": "alert", "rule": "host-namespace-from-container",
        "severity": "high", "tags": ["T1611", "T1068.001", "container"], "message": "it got out",
        "cause_seq": 8,
    });
    let (ecs, ocsf) = both(&event);
    assert_eq!(ecs["event"]["kind"], "alert");
    assert_eq!(ecs["rule"]["id"], "host-namespace-from-container");
    assert_eq!(
        ecs["threat"]["technique"],
        json!({"id": ["T1611"], "subtechnique": {"id": ["T1068.001"]}})
    );
    assert_eq!((&ecs["message"], &ecs["event"]["severity"]), (&json!("it got out"), &json!(4)));
    assert_eq!((&ocsf["class_uid"], &ocsf["severity_id"]), (&json!(2004), &json!(4)));
    assert_eq!(ocsf["finding_info"]["attacks"][0]["technique"]["uid"], "T1611");
    assert_eq!(ocsf["finding_info"]["desc"], "it got out");
    assert_eq!(ocsf["is_alert"], true);
    assert!(ocsf["actor"].is_null() && ocsf["kernel"].is_null());
}

#[test]
fn what_is_written_is_a_line() {
    let event = json!({
        "schema": "ns-trace/1", "seq": 1, "time": "2026-11-23T10:00:00.000000000Z", "boot_ns": 1,
        "source": "probe", "event": "lost",
        "lost": {"count": 3, "stage": "ring", "by_event": {}, "cpu": null},
    });
    let event: Event = serde_json::from_value(event).unwrap();
    for schema in [Schema::Native, Schema::Ecs, Schema::Ocsf] {
        let mut line = Vec::new();
        Translator { schema, machine: machine() }.write(&event, &mut line);
        let end = line.iter().position(|byte| *byte == b'\n');
        assert_eq!(end, Some(line.len() - 1));
        serde_json::from_slice::<Value>(&line).unwrap();
    }
}
