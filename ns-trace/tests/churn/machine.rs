//! What can happen on the machine, each thing with its events.

use fastrand::Rng;
use serde_json::{Value, json};

use super::task::{ALL, SLOTS, Task};

const SECOND: u64 = 1_000_000_000;
/// When the recording begins: nanoseconds of the boot clock.
const START: u64 = 1_000 * SECOND;

/// The machine: a clock, and what was recorded.
pub(crate) struct Machine {
    random: Rng,
    now: u64,
    events: Vec<(u64, Value)>,
    pids: u32,
    inodes: u32,
    ops: u64,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        let random = Rng::with_seed(seed);
        let mut machine = Self {
            random,
            now: START,
            events: Vec::new(),
            pids: 5_000,
            inodes: 4_026_532_200,
            ops: 0,
        };
        let host =
            json!({"name": "churn", "boot_id": "churn", "kernel": "6.18", "backend": "fentry"});
        machine.tell(json!({"event": "sync", "reason": "start", "host": host}));
        machine
    }

    /// A number below `end`.
    pub(super) fn random(&mut self, end: u64) -> u64 {
        self.random.u64(..end)
    }

    /// The clock shows that second of the recording, and a bit.
    pub(super) fn go_to(&mut self, second: u64) {
        self.now = START + second * SECOND + self.random(SECOND);
    }

    /// Time goes by: so many milliseconds, more or less.
    pub(super) fn wait(&mut self, millis: u64) {
        self.now += (millis / 2 + self.random(millis + 1)) * 1_000_000;
    }

    /// An id as runtimes give them.
    pub(super) fn id(&mut self) -> String {
        format!("{:032x}{:032x}", self.random.u128(..), self.random.u128(..))
    }

    pub(super) fn pid(&mut self) -> u32 {
        self.pids += 1;
        self.pids
    }

    /// A namespace that is nobody's yet.
    pub(super) fn namespace(&mut self, kind: &str) -> Value {
        self.inodes += 1;
        json!({"type": kind, "inode": self.inodes, "id": u64::from(self.inodes) * 3, "initial": false})
    }

    fn tell(&mut self, event: Value) {
        self.now += 20_000 + self.random(200_000);
        self.events.push((self.now, event));
    }

    fn about(&mut self, task: &Task, mut event: Value) {
        event["process"] = task.json();
        if let Some((id, runtime)) = &task.container {
            event["container"] = json!({"id": id, "runtime": runtime});
        }
        self.tell(event);
    }

    /// A child by fork.
    pub(super) fn fork(&mut self, parent: &Task) -> Task {
        let pid = self.pid();
        let child = Task {
            pid,
            tid: pid,
            ppid: parent.pid,
            vpid: if parent.ns["pid"]["initial"] == true { pid } else { 2 + pid % 100 },
            start_ns: self.now,
            ..parent.clone()
        };
        let reference = json!({"pid": pid, "tid": pid, "start_ns": child.start_ns});
        self.about(parent, json!({"event": "fork", "child": reference}));
        child
    }

    /// It runs a program.
    pub(super) fn exec(&mut self, task: &mut Task, command: &[&str]) {
        let exe = command.first().copied().unwrap_or_default();
        if exe != "/proc/self/exe" {
            exe.clone_into(&mut task.exe);
        }
        task.comm = exe.rsplit('/').next().unwrap_or_default().chars().take(15).collect();
        task.args = command.iter().map(|word| (*word).to_owned()).collect();
        self.about(task, json!({"event": "exec", "changes": []}));
    }

    /// A child that runs a program.
    pub(super) fn spawn(&mut self, parent: &Task, command: &[&str]) -> Task {
        let mut child = self.fork(parent);
        self.exec(&mut child, command);
        child
    }

    /// It runs a program that is setuid root.
    pub(super) fn spawn_setuid(&mut self, parent: &Task, command: &[&str]) -> Task {
        let mut child = self.fork(parent);
        child.euid = 0;
        ALL.clone_into(&mut child.caps);
        self.exec(&mut child, command);
        child
    }

    pub(super) fn exit(&mut self, task: &Task) {
        self.about(task, json!({"event": "exit", "status": {"code": 0}}));
    }

    /// It makes namespaces for itself; they are gone when [`gone`](Self::gone) says so.
    pub(super) fn unshare(&mut self, task: &mut Task, kinds: &[&str]) -> Vec<Value> {
        let made = self.create(task, kinds, "unshare");
        let changes = join(task, &made, &["pid", "time"]);
        self.entered(task, "unshare", &flags(kinds), &changes, Some("own"));
        made
    }

    /// A child in namespaces of its own.
    pub(super) fn clone_into(&mut self, parent: &Task, kinds: &[&str]) -> (Task, Vec<Value>) {
        let made = self.create(&mut parent.clone(), kinds, "clone");
        let mut child = self.fork(parent);
        let changes = join(&mut child, &made, &[]);
        if kinds.contains(&"pid") {
            child.vpid = 1;
        }
        self.entered(&child, "clone", &flags(kinds), &changes, Some("own"));
        (child, made)
    }

    fn create(&mut self, task: &mut Task, kinds: &[&str], cause: &str) -> Vec<Value> {
        self.ops += 1;
        let mut made = Vec::new();
        // The user namespace comes first, and owns the others.
        let mut owner = task.ns["user"].clone();
        for kind in kinds {
            let ns = self.namespace(kind);
            let mut info = ns.clone();
            info["born"] = self.now.into();
            let nests = ["user", "pid"].contains(kind);
            info["parent"] = if nests { task.ns[*kind].clone() } else { Value::Null };
            let below = u32::from(task.ns[*kind]["initial"] != true);
            info["level"] = if nests { (1 + below).into() } else { Value::Null };
            info["owner"] = if *kind == "user" { info["parent"].clone() } else { owner.clone() };
            if *kind == "user" {
                owner = ns.clone();
                if cause == "unshare" {
                    ALL.clone_into(&mut task.caps);
                }
            }
            let event = json!({
                "event": "create", "cause": cause, "flags": flags(kinds), "op": self.ops, "ns": info,
            });
            self.about(task, event);
            made.push(ns);
        }
        made
    }

    /// It joins namespaces.
    pub(super) fn setns(&mut self, task: &mut Task, namespaces: &[Value], relation: &str) {
        for ns in namespaces {
            self.ops += 1;
            let one = std::slice::from_ref(ns);
            let changes = join(task, one, &["pid", "time"]);
            self.entered(task, "setns", &[], &changes, Some(relation));
        }
    }

    fn entered(
        &mut self,
        task: &Task,
        cause: &str,
        flags: &[&str],
        changes: &[Value],
        relation: Option<&str>,
    ) {
        let event = json!({
            "event": "enter", "cause": cause, "flags": flags, "op": self.ops, "changes": changes,
            "relation": relation,
        });
        self.about(task, event);
    }

    /// A call is refused.
    pub(super) fn fail(&mut self, task: &Task, cause: &str, kinds: &[&str], errno: &str) {
        self.ops += 1;
        let event = json!({
            "event": "fail", "cause": cause, "flags": flags(kinds), "op": self.ops, "errno": errno,
            "target": null, "relation": null,
        });
        self.about(task, event);
    }

    /// It writes the maps of a user namespace: inside, outside, count.
    pub(super) fn map(&mut self, task: &Task, ns: &Value, lines: &[[u32; 3]]) {
        let line = |[inside, outside, count]: &[u32; 3]| json!({"inside": inside, "outside": outside, "count": count});
        let lines: Vec<_> = lines.iter().map(line).collect();
        let mut info = ns.clone();
        info["born"] = Value::Null;
        info["owner"] = super::task::initial("user");
        info["parent"] = info["owner"].clone();
        info["level"] = 1.into();
        for file in ["uid_map", "gid_map"] {
            let map = json!({"file": file, "lines": lines});
            self.about(task, json!({"event": "map", "ns": info, "map": map, "errno": null}));
        }
    }

    /// Namespaces that nobody is in any more.
    pub(super) fn gone(&mut self, namespaces: Vec<Value>) {
        self.wait(20);
        for mut ns in namespaces {
            for (name, value) in [("born", Value::Null), ("owner", super::task::initial("user"))] {
                ns[name] = value;
            }
            (ns["parent"], ns["level"]) = (Value::Null, Value::Null);
            let last = self.now;
            self.tell(json!({
                "event": "destroy", "ns": ns, "creator": null, "lifetime_ns": null,
                "last_task_boot_ns": last,
            }));
        }
    }

    /// What was recorded, in order.
    pub(super) fn recording(mut self) -> String {
        self.events.sort_by_key(|(at, _)| *at);
        let mut text = String::new();
        for ((at, mut event), seq) in self.events.into_iter().zip(1_u64..) {
            let since = at - START;
            let (seconds, nanos) = (since / SECOND, since % SECOND);
            let (hours, minutes) = (10 + seconds / 3600, seconds / 60 % 60);
            let time =
                format!("2026-11-24T{hours:02}:{minutes:02}:{:02}.{nanos:09}Z", seconds % 60);
            let common = json!({
                "schema": "ns-trace/1", "seq": seq, "time": time, "boot_ns": at, "source": "probe",
            });
            if let (Value::Object(event), Value::Object(common)) = (&mut event, common) {
                event.extend(common);
            }
            text.push_str(&event.to_string());
            text.push('\n');
        }
        text
    }
}

fn flags(kinds: &[&str]) -> Vec<&'static str> {
    let flag =
        |kind: &&str| SLOTS.iter().find(|(_, other, _)| other == kind).map(|(.., flag)| *flag);
    kinds.iter().filter_map(flag).collect()
}

/// Puts namespaces into the slots of a task, those of `later` kinds only into those of its children.
fn join(task: &mut Task, namespaces: &[Value], later: &[&str]) -> Vec<Value> {
    let mut changes = Vec::new();
    for ns in namespaces {
        for (slot, kind, _) in SLOTS {
            let is_later = later.contains(&kind) && slot == kind;
            if ns["type"] != kind || is_later {
                continue;
            }
            let from = task.ns.insert(slot.to_owned(), ns.clone());
            changes.push(json!({"slot": slot, "from": from, "to": ns}));
        }
    }
    changes
}
