//! The field tables: one line per field of each object.

#![expect(
    clippy::unnecessary_wraps,
    reason = "getters of fields that are never null have the shape of the others"
)]

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use super::{
    field::Field,
    kind::{Base, Kind, Object},
    view::View,
    words::Words,
};
use crate::model::{
    Cell, Column, Event, NsRef, Slot,
    event::{Alert, Body, Create, Enter, Exec, Fail, Map, Status, Target},
};

/// Writes a table: `"name" KIND = |object| value;`, with `sparse` where JSON leaves out zeros.
macro_rules! table {
    ($view:ident: $($name:literal $kind:ident $($sparse:ident)? = |$it:ident| $get:expr;)*) => {
        &[$(Field {
            name: $name,
            kind: $kind,
            sparse: table!(@ $($sparse)?),
            get: |view| match view {
                View::$view($it) => $get,
                _ => None,
            },
        }),*]
    };
    (@) => { false };
    (@ sparse) => { true };
}

const BOOL: Kind = Kind::BOOL;
const INT: Kind = Kind::INT;
const TEXT: Kind = Kind::TEXT;
const TEXTS: Kind = list(Base::Text(Words::Any));
const SCHEMA: Kind = word(Words::Schema);
const SOURCE: Kind = word(Words::Source);
const EVENT: Kind = word(Words::Event);
const CAUSE: Kind = word(Words::Cause);
const FLAGS: Kind = list(Base::Text(Words::Flag));
const RELATION: Kind = word(Words::Relation);
const ERRNO: Kind = word(Words::Errno);
const REASON: Kind = word(Words::Reason);
const SEVERITY: Kind = word(Words::Severity);
const TYPE: Kind = word(Words::Type);
const SLOT: Kind = word(Words::Slot);
const FILE: Kind = word(Words::File);
const RUNTIME: Kind = word(Words::Runtime);
const LIFE: Kind = word(Words::Life);
const STAGE: Kind = word(Words::Stage);
const NS: Kind = Kind::object(Object::Ns);
const NSS: Kind = list(Base::Object(Object::Ns));
const CHANGES: Kind = list(Base::Object(Object::Change));
const ANCESTOR: Kind = Kind::object(Object::Ancestor);
const ANCESTORS: Kind = list(Base::Object(Object::Ancestor));
const ORIGIN: Kind = Kind::object(Object::Origin);
const MAP_WRITE: Kind = Kind::object(Object::MapWrite);
const MAP_LINES: Kind = list(Base::Object(Object::MapLine));
const PROCESS: Kind = Kind::object(Object::Process);
const NS_INFO: Kind = Kind::object(Object::NsInfo);
const SLOTS: Kind = Kind::object(Object::Slots);
const CONTAINER: Kind = Kind::object(Object::Container);
const POD: Kind = Kind::object(Object::Pod);
const CREATOR: Kind = Kind::object(Object::Creator);
const TARGET: Kind = Kind::object(Object::Target);
const TASK: Kind = Kind::object(Object::Task);
const STATUS: Kind = Kind::object(Object::Status);
const LOSS: Kind = Kind::object(Object::Loss);
const BY_EVENT: Kind = Kind::object(Object::ByEvent);
const HOST: Kind = Kind::object(Object::Host);

const fn word(words: Words) -> Kind {
    Kind::of(Base::Text(words))
}

const fn list(base: Base) -> Kind {
    Kind { base, lists: 1 }
}

/// The fields of an object.
pub(super) fn fields(object: Object) -> &'static [Field] {
    match object {
        Object::Event => EVENT_FIELDS,
        Object::Sighting => &SIGHTING_FIELDS,
        Object::Ancestor => ANCESTOR_FIELDS,
        Object::Origin => ORIGIN_FIELDS,
        Object::Row => ROW_FIELDS,
        Object::Process => PROCESS_FIELDS,
        Object::NsInfo => NS_INFO_FIELDS,
        Object::Ns => NS_FIELDS,
        Object::Slots => SLOTS_FIELDS,
        Object::Change => CHANGE_FIELDS,
        Object::MapWrite => MAP_WRITE_FIELDS,
        Object::MapLine => MAP_LINE_FIELDS,
        Object::Container => CONTAINER_FIELDS,
        Object::Pod => POD_FIELDS,
        Object::Creator => CREATOR_FIELDS,
        Object::Target => TARGET_FIELDS,
        Object::Task => TASK_FIELDS,
        Object::Status => STATUS_FIELDS,
        Object::Loss => LOSS_FIELDS,
        Object::ByEvent => BY_EVENT_FIELDS,
        Object::Host => HOST_FIELDS,
    }
}

static EVENT_FIELDS: &[Field] = table! { Event:
    "schema" SCHEMA = |e| text(e.schema.name());
    "seq" INT = |e| int(e.seq);
    "time" TEXT = |e| text(e.time.to_rfc3339());
    "boot_ns" INT = |e| int(e.boot_ns);
    "source" SOURCE = |e| text(e.source.name());
    "event" EVENT = |e| text(e.body.kind().name());
    "lossy" BOOL sparse = |e| flag(e.lossy);
    "cause" CAUSE = |e| match &e.body {
        Body::Create(Create { cause, .. })
        | Body::Enter(Enter { cause, .. })
        | Body::Fail(Fail { cause, .. }) => text(cause.name()),
        _ => None,
    };
    "flags" FLAGS = |e| match &e.body {
        Body::Create(Create { flags, .. })
        | Body::Enter(Enter { flags, .. })
        | Body::Fail(Fail { flags, .. }) => texts(flags.names()),
        _ => None,
    };
    "flags_raw" TEXT = |e| match &e.body {
        Body::Create(Create { flags, .. })
        | Body::Enter(Enter { flags, .. })
        | Body::Fail(Fail { flags, .. }) => match flags.rest() {
            0 => None,
            rest => text(format!("{rest:#x}")),
        },
        _ => None,
    };
    "op" INT = |e| match &e.body {
        Body::Create(Create { op, .. })
        | Body::Enter(Enter { op, .. })
        | Body::Fail(Fail { op, .. }) => int(*op),
        _ => None,
    };
    "ns" NS_INFO = |e| match &e.body {
        Body::Create(event) => Some(View::NsInfo(&event.ns)),
        Body::Destroy(event) => Some(View::NsInfo(&event.ns)),
        Body::Map(event) => Some(View::NsInfo(&event.ns)),
        Body::Exist(event) => Some(View::NsInfo(&event.ns)),
        Body::Alert(event) => event.ns.as_ref().map(View::NsInfo),
        _ => None,
    };
    "process" PROCESS = |e| e.body.process().map(|process| View::Process(process));
    "container" CONTAINER = |e| e.container.as_deref().map(View::Container);
    "pod" POD = |e| e.pod.as_deref().map(View::Pod);
    "changes" CHANGES = |e| match &e.body {
        Body::Enter(Enter { changes, .. }) | Body::Exec(Exec { changes, .. }) => {
            Some(View::List(changes.iter().copied().map(View::Change).collect()))
        }
        _ => None,
    };
    "relation" RELATION = |e| match &e.body {
        Body::Enter(Enter { relation, .. }) | Body::Fail(Fail { relation, .. }) => {
            text(relation.as_ref()?.name())
        }
        _ => None,
    };
    "repeat" INT = |e| match &e.body {
        Body::Enter(Enter { repeat, .. })
        | Body::Fail(Fail { repeat, .. })
 => int((*repeat)?),
        Body::Alert(alert) => int(alert.repeat?),
        _ => None,
    };
    "errno" ERRNO = |e| match &e.body {
        Body::Fail(Fail { errno, .. }) | Body::Map(Map { errno: Some(errno), .. }) => {
            match errno.name() {
                Some(name) => text(name),
                None => text(errno.to_string()),
            }
        }
        _ => None,
    };
    "map" MAP_WRITE = |e| match &e.body {
        Body::Map(event) => Some(View::MapWrite(&event.map)),
        _ => None,
    };
    "target" TARGET = |e| match &e.body {
        Body::Fail(event) => event.target.as_ref().map(View::Target),
        _ => None,
    };
    "creator" CREATOR = |e| match &e.body {
        Body::Destroy(event) => event.creator.as_deref().map(View::Creator),
        _ => None,
    };
    "lifetime_ns" INT = |e| match &e.body {
        Body::Destroy(event) => int(event.lifetime_ns?),
        _ => None,
    };
    "last_task_boot_ns" INT = |e| match &e.body {
        Body::Destroy(event) => int(event.last_task_boot_ns?),
        _ => None,
    };
    "members" INT = |e| match &e.body {
        Body::Exist(event) => int(event.members),
        _ => None,
    };
    "child" TASK = |e| match &e.body {
        Body::Fork(event) => Some(View::Task(&event.child)),
        _ => None,
    };
    "status" STATUS = |e| match &e.body {
        Body::Exit(event) => Some(View::Status(&event.status)),
        _ => None,
    };
    "lost" LOSS = |e| match &e.body {
        Body::Lost(event) => Some(View::Loss(&event.lost)),
        _ => None,
    };
    "reason" REASON = |e| match &e.body {
        Body::Sync(event) => text(event.reason.name()),
        _ => None,
    };
    "host" HOST = |e| match &e.body {
        Body::Sync(event) => Some(View::Host(&event.host)),
        _ => None,
    };
    "rule" TEXT = |e| text(&*alert(e)?.rule);
    "severity" SEVERITY = |e| text(alert(e)?.severity.name());
    "tags" TEXTS = |e| texts(alert(e)?.tags.iter().map(|tag| &**tag));
    "message" TEXT = |e| text(&*alert(e)?.message);
    "cause_seq" INT = |e| int(alert(e)?.cause_seq?);
};

/// Those of events, and those that only rules can use.
static SIGHTING_FIELDS: LazyLock<Vec<Field>> =
    LazyLock::new(|| [EVENT_FIELDS, KNOWN_FIELDS].concat());

static KNOWN_FIELDS: &[Field] = table! { Sighting:
    "lineage" ANCESTORS = |s| {
        Some(View::List(s.lineage.iter().cloned().map(View::Ancestor).collect()))
    };
    "before" ANCESTOR = |s| s.before.map(Arc::clone).map(View::Ancestor);
    "row" ORIGIN = |s| s.row.map(View::Origin);
};

static ANCESTOR_FIELDS: &[Field] = table! { Ancestor:
    "pid" INT = |a| int(a.pid);
    "start_ns" INT = |a| int(a.start_ns);
    "comm" TEXT = |a| text(a.comm.to_string());
    "exe" TEXT = |a| text(a.exe.as_deref()?.to_owned());
    "uid" INT = |a| int(a.uid);
    "euid" INT = |a| int(a.euid?);
    "caps" TEXT = |a| text(format!("{:016x}", a.caps?.0));
    "container" TEXT = |a| text(a.container.as_ref()?.id.to_string());
};

static ORIGIN_FIELDS: &[Field] = table! { Origin:
    "type" TYPE = |o| text(o.ns.kind.name());
    "inode" INT = |o| int(o.ns.inode);
    "id" INT = |o| int(o.ns.id?);
    "initial" BOOL = |o| flag(o.ns.initial);
    "born" INT = |o| int(o.ns.born?);
    "owner" NS = |o| o.ns.owner.map(View::Ns);
    "parent" NS = |o| o.ns.parent.map(View::Ns);
    "level" INT = |o| int(o.ns.level?);
    "cause" CAUSE = |o| text(o.cause?.name());
    "creator" CREATOR = |o| o.creator.as_deref().map(View::Creator);
    "container" TEXT = |o| text(&*o.container.as_ref()?.id);
    "members" INT = |o| int(o.members?);
};

static ROW_FIELDS: &[Field] = table! { Row:
    "ns" INT = |r| cell(r.get(Column::Ns));
    "type" TYPE = |r| cell(r.get(Column::Type));
    "path" TEXT = |r| cell(r.get(Column::Path));
    "nprocs" INT = |r| cell(r.get(Column::Nprocs));
    "pid" INT = |r| cell(r.get(Column::Pid));
    "ppid" INT = |r| cell(r.get(Column::Ppid));
    "command" TEXT = |r| cell(r.get(Column::Command));
    "uid" INT = |r| cell(r.get(Column::Uid));
    "user" TEXT = |r| cell(r.get(Column::User));
    "netnsid" TEXT = |r| cell(r.get(Column::NetnsId));
    "nsfs" TEXT = |r| cell(r.get(Column::Nsfs));
    "pns" INT = |r| cell(r.get(Column::Pns));
    "ons" INT = |r| cell(r.get(Column::Ons));
    "id" INT = |r| cell(r.get(Column::Id));
    "born" TEXT = |r| cell(r.get(Column::Born));
    "age" INT = |r| cell(r.get(Column::Age));
    "creator" TEXT = |r| cell(r.get(Column::Creator));
    "cause" CAUSE = |r| cell(r.get(Column::Cause));
    "owner" TEXT = |r| cell(r.get(Column::Owner));
    "parent" TEXT = |r| cell(r.get(Column::Parent));
    "level" INT = |r| cell(r.get(Column::Level));
    "nthreads" INT = |r| cell(r.get(Column::Nthreads));
    "holders" TEXT = |r| cell(r.get(Column::Holders));
    "state" LIFE = |r| cell(r.get(Column::State));
    "container" TEXT = |r| cell(r.get(Column::Container));
    "pod" TEXT = |r| cell(r.get(Column::Pod));
    "uidmap" TEXT = |r| cell(r.get(Column::UidMap));
};

static PROCESS_FIELDS: &[Field] = table! { Process:
    "pid" INT = |p| int(p.pid);
    "tid" INT = |p| int(p.tid);
    "ppid" INT = |p| int(p.ppid);
    "vpid" INT = |p| int(p.vpid?);
    "start_ns" INT = |p| int(p.start_ns);
    "comm" TEXT = |p| text(&*p.comm);
    "exe" TEXT = |p| text(p.exe.as_deref()?);
    "args" TEXTS = |p| texts(p.args.as_deref()?.iter().map(String::as_str));
    "args_truncated" BOOL sparse = |p| flag(p.args_truncated);
    "uid" INT = |p| int(p.uid);
    "gid" INT = |p| int(p.gid?);
    "euid" INT = |p| int(p.euid?);
    "caps" TEXT = |p| text(format!("{:016x}", p.caps?.0));
    "cgroup" TEXT = |p| text(p.cgroup.as_deref()?);
    "cgroup_id" INT = |p| int(p.cgroup_id?);
    "ns" SLOTS = |p| Some(View::Slots(&p.ns));
};

static NS_INFO_FIELDS: &[Field] = table! { NsInfo:
    "type" TYPE = |n| text(n.kind.name());
    "inode" INT = |n| int(n.inode);
    "id" INT = |n| int(n.id?);
    "initial" BOOL = |n| flag(n.initial);
    "born" INT = |n| int(n.born?);
    "owner" NS = |n| n.owner.map(View::Ns);
    "parent" NS = |n| n.parent.map(View::Ns);
    "level" INT = |n| int(n.level?);
};

static NS_FIELDS: &[Field] = table! { Ns:
    "type" TYPE = |n| text(n.kind.name());
    "inode" INT = |n| int(n.inode);
    "id" INT = |n| int(n.id?);
    "initial" BOOL = |n| flag(n.initial);
};

static SLOTS_FIELDS: &[Field] = table! { Slots:
    "mnt" NS = |s| slot(s.get(Slot::Mnt));
    "pid" NS = |s| slot(s.get(Slot::Pid));
    "pid_for_children" NS = |s| slot(s.get(Slot::PidForChildren));
    "ipc" NS = |s| slot(s.get(Slot::Ipc));
    "uts" NS = |s| slot(s.get(Slot::Uts));
    "net" NS = |s| slot(s.get(Slot::Net));
    "user" NS = |s| slot(s.get(Slot::User));
    "cgroup" NS = |s| slot(s.get(Slot::Cgroup));
    "time" NS = |s| slot(s.get(Slot::Time));
    "time_for_children" NS = |s| slot(s.get(Slot::TimeForChildren));
};

static CHANGE_FIELDS: &[Field] = table! { Change:
    "slot" SLOT = |c| text(c.slot.name());
    "from" NS = |c| c.from.map(View::Ns);
    "to" NS = |c| c.to.map(View::Ns);
};

static MAP_WRITE_FIELDS: &[Field] = table! { MapWrite:
    "file" FILE = |m| text(m.file.name());
    "lines" MAP_LINES = |m| Some(View::List(m.lines.iter().copied().map(View::MapLine).collect()));
    "value" TEXT = |m| text(m.value.as_deref()?);
    "truncated" BOOL sparse = |m| flag(m.truncated);
};

static MAP_LINE_FIELDS: &[Field] = table! { MapLine:
    "inside" INT = |l| int(l.inside);
    "outside" INT = |l| int(l.outside);
    "count" INT = |l| int(l.count);
};

static CONTAINER_FIELDS: &[Field] = table! { Container:
    "id" TEXT = |c| text(&*c.id);
    "runtime" RUNTIME = |c| text(c.runtime?.name());
};

static POD_FIELDS: &[Field] = table! { Pod:
    "uid" TEXT = |p| text(&*p.uid);
};

static CREATOR_FIELDS: &[Field] = table! { Creator:
    "pid" INT = |c| int(c.pid);
    "tid" INT = |c| int(c.tid);
    "start_ns" INT = |c| int(c.start_ns);
    "comm" TEXT = |c| text(&*c.comm);
    "exe" TEXT = |c| text(c.exe.as_deref()?);
    "uid" INT = |c| int(c.uid);
};

static TARGET_FIELDS: &[Field] = table! { Target:
    "type" TYPE = |t| text(target_ns(t)?.kind.name());
    "inode" INT = |t| int(target_ns(t)?.inode);
    "id" INT = |t| int(target_ns(t)?.id?);
    "initial" BOOL = |t| flag(target_ns(t)?.initial);
    "pid" INT = |t| match t {
        Target::Process(process) => int(process.pid),
        Target::Namespace(_) => None,
    };
    "ns" NSS = |t| match t {
        Target::Process(process) => {
            Some(View::List(process.ns.iter().copied().map(View::Ns).collect()))
        }
        Target::Namespace(_) => None,
    };
};

static TASK_FIELDS: &[Field] = table! { Task:
    "pid" INT = |t| int(t.pid);
    "tid" INT = |t| int(t.tid);
    "start_ns" INT = |t| int(t.start_ns);
};

static STATUS_FIELDS: &[Field] = table! { Status:
    "code" INT = |s| match **s {
        Status::Code { code } => int(code),
        Status::Signal { .. } => None,
    };
    "signal" INT = |s| match **s {
        Status::Signal { signal, .. } => int(signal),
        Status::Code { .. } => None,
    };
    "core" BOOL = |s| match **s {
        Status::Signal { core, .. } => flag(core),
        Status::Code { .. } => None,
    };
};

static LOSS_FIELDS: &[Field] = table! { Loss:
    "count" INT = |l| int(l.count);
    "stage" STAGE = |l| text(l.stage.name());
    "by_event" BY_EVENT = |l| Some(View::ByEvent(&l.by_event));
    "cpu" INT = |l| int(l.cpu?);
};

static BY_EVENT_FIELDS: &[Field] = table! { ByEvent:
    "create" INT sparse = |b| int(b.create);
    "enter" INT sparse = |b| int(b.enter);
    "fail" INT sparse = |b| int(b.fail);
    "destroy" INT sparse = |b| int(b.destroy);
    "map" INT sparse = |b| int(b.map);
    "fork" INT sparse = |b| int(b.fork);
    "exec" INT sparse = |b| int(b.exec);
    "exit" INT sparse = |b| int(b.exit);
};

static HOST_FIELDS: &[Field] = table! { Host:
    "name" TEXT = |h| text(&*h.name);
    "boot_id" TEXT = |h| text(&*h.boot_id);
    "kernel" TEXT = |h| text(&*h.kernel);
    "backend" TEXT = |h| text(&*h.backend);
};

fn cell<'e>(cell: Cell) -> Option<View<'e>> {
    match cell {
        Cell::Empty => None,
        Cell::Number(number) | Cell::Seconds(number) => int(number),
        Cell::Text(value) | Cell::Digest(value) => text(value.to_string()),
    }
}

fn text<'e>(text: impl Into<Cow<'e, str>>) -> Option<View<'e>> {
    Some(View::Text(text.into()))
}

fn int<'e>(number: impl Into<u64>) -> Option<View<'e>> {
    Some(View::Int(number.into()))
}

fn flag<'e>(value: bool) -> Option<View<'e>> {
    Some(View::Bool(value))
}

fn texts<'e>(items: impl Iterator<Item = &'e str>) -> Option<View<'e>> {
    Some(View::List(items.map(Cow::Borrowed).map(View::Text).collect()))
}

fn slot<'e>(ns: Option<&NsRef>) -> Option<View<'e>> {
    ns.copied().map(View::Ns)
}

fn alert(event: &Event) -> Option<&Alert> {
    match &event.body {
        Body::Alert(alert) => Some(alert),
        _ => None,
    }
}

fn target_ns(target: &Target) -> Option<&NsRef> {
    match target {
        Target::Namespace(ns) => Some(ns),
        Target::Process(_) => None,
    }
}
