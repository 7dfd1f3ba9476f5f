//! Tasks.

use std::sync::Arc;

use super::{
    super::{Caps, Container, Creator, Pod, Process, TaskRef, same},
    Fields,
    namespace::{Namespaces, SlotsText},
    scalar::{hexadecimal, number, optional_number, optional_string, string},
};

/// How many tasks are remembered. A call has up to nine events in a row with one task, and as many
/// tasks make calls at the same time as there are CPUs; a few are enough to keep them apart.
const REMEMBERED: usize = 8;

/// The tasks written last, as text.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    fields: Fields,
    texts: [TaskText; REMEMBERED],
}

impl Tasks {
    pub(super) fn new(fields: Fields) -> Self {
        Self { fields, ..Self::default() }
    }

    /// Appends a process.
    pub(super) fn write(
        &mut self,
        process: &Arc<Process>,
        namespaces: &mut Namespaces,
        out: &mut Vec<u8>,
    ) {
        let text = &mut self.texts[process.tid as usize % REMEMBERED];
        text.write_head(process, self.fields, out);
        if self.fields == Fields::Full {
            out.extend_from_slice(text.slots.of(&process.ns, namespaces));
            out.push(b'}');
        }
    }
}

/// One task as text.
#[derive(Debug, Default)]
struct TaskText {
    /// The task that the text is of. Held, so that an equal pointer means an equal task.
    process: Option<Arc<Process>>,
    /// Everything up to the namespaces, or everything that is wanted.
    head: Vec<u8>,
    slots: SlotsText,
}

impl TaskText {
    fn write_head(&mut self, process: &Arc<Process>, fields: Fields, out: &mut Vec<u8>) {
        let known = match &self.process {
            Some(last) if Arc::ptr_eq(last, process) => true,
            last => {
                let known = last.as_ref().is_some_and(|last| same_head(last, process));
                self.process = Some(Arc::clone(process));
                known
            }
        };
        if !known {
            self.head.clear();
            match fields {
                Fields::Full => full_head(process, &mut self.head),
                Fields::Compact => compact(process, &mut self.head),
            }
        }
        out.extend_from_slice(&self.head);
    }
}

/// Whether two processes differ in their namespaces at most.
fn same_head(one: &Process, other: &Process) -> bool {
    let Process {
        pid,
        tid,
        ppid,
        vpid,
        start_ns,
        comm,
        exe,
        args,
        args_truncated,
        uid,
        gid,
        euid,
        caps,
        cgroup,
        cgroup_id,
        ns: _,
        lossy: _,
        container: _,
        pod: _,
    } = other;
    // What differs most often comes first.
    one.start_ns == *start_ns
        && one.tid == *tid
        && one.pid == *pid
        && one.ppid == *ppid
        && one.vpid == *vpid
        && one.uid == *uid
        && one.gid == *gid
        && one.euid == *euid
        && one.caps == *caps
        && one.cgroup_id == *cgroup_id
        && same(&one.comm, comm)
        && same(&one.exe, exe)
        && same(&one.cgroup, cgroup)
        && same(&one.args, args)
        && one.args_truncated == *args_truncated
}

/// A process up to the value of `ns`.
fn full_head(process: &Process, out: &mut Vec<u8>) {
    numbers(process, out);
    out.extend_from_slice(br#","vpid":"#);
    optional_number(process.vpid, out);
    name(process, out);
    out.extend_from_slice(br#","exe":"#);
    optional_string(process.exe.as_ref(), out);
    out.extend_from_slice(br#","args":"#);
    match &process.args {
        Some(args) => strings(args, out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(if process.args_truncated {
        br#","args_truncated":true,"uid":"#
    } else {
        br#","uid":"#
    });
    number(process.uid, out);
    out.extend_from_slice(br#","gid":"#);
    optional_number(process.gid, out);
    out.extend_from_slice(br#","euid":"#);
    optional_number(process.euid, out);
    out.extend_from_slice(br#","caps":"#);
    match process.caps {
        Some(Caps(caps)) => {
            out.push(b'"');
            hexadecimal(caps, out);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(br#","cgroup":"#);
    optional_string(process.cgroup.as_ref(), out);
    out.extend_from_slice(br#","cgroup_id":"#);
    optional_number(process.cgroup_id, out);
    out.extend_from_slice(br#","ns":"#);
}

/// A whole process, short.
fn compact(process: &Process, out: &mut Vec<u8>) {
    numbers(process, out);
    name(process, out);
    out.extend_from_slice(br#","uid":"#);
    number(process.uid, out);
    out.push(b'}');
}

fn numbers(process: &Process, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"pid":"#);
    number(process.pid, out);
    out.extend_from_slice(br#","tid":"#);
    number(process.tid, out);
    out.extend_from_slice(br#","ppid":"#);
    number(process.ppid, out);
}

fn name(process: &Process, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","start_ns":"#);
    number(process.start_ns, out);
    out.extend_from_slice(br#","comm":"#);
    string(&process.comm, out);
}

fn strings(strings: &[String], out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, text) in strings.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        string(text, out);
    }
    out.push(b']');
}

/// Appends the container that the process is in.
pub(super) fn container(container: &Container, out: &mut Vec<u8>) {
    let Container { id, runtime } = container;
    out.extend_from_slice(br#","container":{"id":"#);
    string(id, out);
    match runtime {
        Some(runtime) => {
            out.extend_from_slice(br#","runtime":""#);
            out.extend_from_slice(runtime.name().as_bytes());
            out.extend_from_slice(br#""}"#);
        }
        None => out.extend_from_slice(br#","runtime":null}"#),
    }
}

/// Appends the pod that the process is in.
pub(super) fn pod(pod: &Pod, out: &mut Vec<u8>) {
    let Pod { uid } = pod;
    out.extend_from_slice(br#","pod":{"uid":"#);
    string(uid, out);
    out.push(b'}');
}

/// Appends a task by name only.
pub(super) fn task_ref(named: TaskRef, out: &mut Vec<u8>) {
    let TaskRef { pid, tid, start_ns } = named;
    task(pid, tid, start_ns, out);
    out.push(b'}');
}

/// Appends the task that made a namespace.
pub(super) fn creator(creator: &Creator, out: &mut Vec<u8>) {
    let Creator { pid, tid, start_ns, comm, exe, uid } = creator;
    task(*pid, *tid, *start_ns, out);
    out.extend_from_slice(br#","comm":"#);
    string(comm, out);
    out.extend_from_slice(br#","exe":"#);
    optional_string(exe.as_ref(), out);
    out.extend_from_slice(br#","uid":"#);
    number(*uid, out);
    out.push(b'}');
}

fn task(pid: u32, tid: u32, start_ns: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"pid":"#);
    number(pid, out);
    out.extend_from_slice(br#","tid":"#);
    number(tid, out);
    out.extend_from_slice(br#","start_ns":"#);
    number(start_ns, out);
}
