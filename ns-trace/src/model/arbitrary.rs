//! Arbitrary events for property tests.
//!
//! Every struct is built from all its fields, so a new field does not compile until it is here.

use std::sync::Arc;

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{
    Caps, Cause, Container, Creator, Errno, Event, Flags, Kind, MapFile, NsInfo, NsRef, Pod,
    Process, Runtime, Slot, Slots, TaskRef, Time,
    event::{
        Alert, Body, ByEvent, Change, Create, Destroy, Enter, Exec, Exist, Exit, Fail, Fork, Host,
        Loss, Lost, Map, MapLine, MapWrite, ProcessTarget, Reason, Relation, SchemaName, Severity,
        Source, Stage, Status, Sync, Target,
    },
};

/// Strings with more quotes, control characters and foreign letters than real ones have.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let odd = select(
        "\"\\\u{0}\u{8}\t\n\u{b}\u{c}\r\u{1b}\u{1f} \u{7f}\u{9b}\u{e9}\u{202e}\u{2028}\u{1f600}"
            .chars()
            .collect::<Vec<_>>(),
    );
    let character = prop_oneof![8 => proptest::char::range(' ', '~'), 1 => odd, 1 => any::<char>()];
    vec(character, 0..40).prop_map(String::from_iter)
}

fn shared_text() -> impl Strategy<Value = Arc<str>> {
    text().prop_map(Arc::from)
}

fn kind() -> impl Strategy<Value = Kind> {
    select(&Kind::ALL[..])
}

fn slot() -> impl Strategy<Value = Slot> {
    select(&Slot::ALL[..])
}

fn cause() -> impl Strategy<Value = Cause> {
    (0_u32..8).prop_map(Cause::from_wire)
}

fn flags() -> impl Strategy<Value = Flags> {
    any::<u64>().prop_map(Flags::from_bits)
}

fn relation() -> impl Strategy<Value = Option<Relation>> {
    option::of(select(&Relation::ALL[..]))
}

prop_compose! {
    pub(crate) fn ns_ref()(kind in kind(), inode: u32, id: Option<u64>, initial: bool) -> NsRef {
        NsRef { kind, inode, id, initial }
    }
}

prop_compose! {
    fn ns_info()(
        at in ns_ref(), born: Option<u64>, owner in option::of(ns_ref()), parent in option::of(ns_ref()),
        level: Option<u32>,
    ) -> NsInfo {
        let NsRef { kind, inode, id, initial } = at;
        NsInfo { kind, inode, id, initial, born, owner, parent, level }
    }
}

prop_compose! {
    pub(crate) fn process()(
        (pid, tid, ppid, vpid, start_ns) in any::<(u32, u32, u32, Option<u32>, u64)>(),
        (comm, exe, cgroup) in (shared_text(), option::of(shared_text()), option::of(shared_text())),
        args in option::of(vec(text(), 0..4).prop_map(Arc::from)),
        (args_truncated, uid, gid, euid, caps, cgroup_id) in any::<(bool, u32, Option<u32>, Option<u32>, Option<u64>, Option<u64>)>(),
        ns in proptest::array::uniform10(option::of(ns_ref())),
    ) -> Process {
        Process {
            pid, tid, ppid, vpid, start_ns, comm, exe, args, args_truncated, uid, gid, euid,
            caps: caps.map(Caps), cgroup, cgroup_id, ns: Slots(Arc::new(ns)), lossy: false, container: None, pod: None,
        }
    }
}

fn shared_process() -> BoxedStrategy<Arc<Process>> {
    process().prop_map(Arc::new).boxed()
}

prop_compose! {
    fn change()(slot in slot(), from in option::of(ns_ref()), to in option::of(ns_ref())) -> Change {
        Change { slot, from, to }
    }
}

prop_compose! {
    fn creator()(pid: u32, tid: u32, start_ns: u64, comm in shared_text(), exe in option::of(shared_text()), uid: u32) -> Creator {
        Creator { pid, tid, start_ns, comm, exe, uid }
    }
}

prop_compose! {
    fn create()(cause in cause(), flags in flags(), op: u64, ns in ns_info(), process in shared_process()) -> Create {
        Create { cause, flags, op, ns, process }
    }
}

prop_compose! {
    fn enter()(
        cause in cause(), flags in flags(), op: u64, changes in vec(change(), 1..4),
        relation in relation(), repeat: Option<u64>, process in shared_process(),
    ) -> Enter {
        Enter { cause, flags, op, changes, relation, repeat, process }
    }
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        ns_ref().prop_map(Target::Namespace),
        (any::<u32>(), vec(ns_ref(), 0..4))
            .prop_map(|(pid, ns)| Target::Process(ProcessTarget { pid, ns })),
    ]
}

prop_compose! {
    fn fail()(
        cause in cause(), flags in flags(), op: u64, errno in 0..140, target in option::of(target()),
        relation in relation(), repeat: Option<u64>, process in shared_process(),
    ) -> Fail {
        Fail { cause, flags, op, errno: Errno::from_raw(errno), target, relation, repeat, process }
    }
}

prop_compose! {
    fn destroy()(
        ns in ns_info(), creator in option::of(creator().prop_map(Arc::new)),
        lifetime_ns: Option<u64>, last_task_boot_ns: Option<u64>,
    ) -> Destroy {
        Destroy { ns, creator, lifetime_ns, last_task_boot_ns }
    }
}

prop_compose! {
    fn map_line()(inside: u32, outside: u32, count: u32) -> MapLine {
        MapLine { inside, outside, count }
    }
}

prop_compose! {
    fn map()(
        ns in ns_info(), file in select(&MapFile::ALL[..]), lines in vec(map_line(), 0..3),
        value in option::of(shared_text()), truncated: bool,
        errno in option::of((0..140).prop_map(Errno::from_raw)), process in shared_process(),
    ) -> Map {
        Map { ns, map: MapWrite { file, lines, value, truncated }, errno, process }
    }
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        any::<u8>().prop_map(|code| Status::Code { code }),
        any::<(u8, bool)>().prop_map(|(signal, core)| Status::Signal { signal, core }),
    ]
}

prop_compose! {
    fn lost()(
        count: u64, cpu: Option<u32>,
        stage in select(&Stage::ALL[..]),
        [create, enter, fail, destroy, map, fork, exec, exit] in proptest::array::uniform8(0_u64..3),
    ) -> Lost {
        let by_event = ByEvent { create, enter, fail, destroy, map, fork, exec, exit };
        Lost { lost: Loss { count, stage, by_event, cpu } }
    }
}

prop_compose! {
    fn sync()(
        reason in select(&Reason::ALL[..]),
        (name, boot_id, kernel, backend) in (text(), text(), text(), text()),
    ) -> Sync {
        Sync { reason, host: Host { name, boot_id, kernel, backend } }
    }
}

prop_compose! {
    fn exist()(ns in ns_info(), members: u32) -> Exist {
        Exist { ns, members }
    }
}

prop_compose! {
    fn fork()(pid: u32, tid: u32, start_ns: u64, process in shared_process()) -> Fork {
        Fork { child: TaskRef { pid, tid, start_ns }, process }
    }
}

prop_compose! {
    fn exec()(changes in vec(change(), 0..3), process in shared_process()) -> Exec {
        Exec { changes, process }
    }
}

prop_compose! {
    fn exit()(status in status(), process in shared_process()) -> Exit {
        Exit { status, process }
    }
}

prop_compose! {
    fn alert()(
        rule in shared_text(), severity in select(&Severity::ALL[..]),
        tags in vec(shared_text(), 0..3).prop_map(Arc::from), message in text(), cause_seq: Option<u64>,
        repeat: Option<u64>, ns in option::of(ns_info()), process in option::of(shared_process()),
    ) -> Alert {
        Alert { rule, severity, tags, message, cause_seq, repeat, ns, process }
    }
}

fn runtime() -> impl Strategy<Value = Runtime> {
    use Runtime::{Containerd, CriO, Docker, LibvirtLxc, Lxc, Podman, SystemdNspawn};
    select(&[Docker, Containerd, CriO, Podman, SystemdNspawn, Lxc, LibvirtLxc][..])
}

prop_compose! {
    fn container()(id in shared_text(), runtime in option::of(runtime())) -> Arc<Container> {
        Arc::new(Container { id, runtime })
    }
}

fn body() -> BoxedStrategy<Body> {
    // Boxed, since the states of all of them at once do not fit the stack of a test.
    prop_oneof![
        create().prop_map(Body::Create).boxed(),
        enter().prop_map(Body::Enter).boxed(),
        fail().prop_map(Body::Fail).boxed(),
        destroy().prop_map(Body::Destroy).boxed(),
        map().prop_map(Body::Map).boxed(),
        exist().prop_map(Body::Exist).boxed(),
        fork().prop_map(Body::Fork).boxed(),
        exec().prop_map(Body::Exec).boxed(),
        exit().prop_map(Body::Exit).boxed(),
        lost().prop_map(Body::Lost).boxed(),
        sync().prop_map(Body::Sync).boxed(),
        alert().prop_map(Box::new).prop_map(Body::Alert).boxed(),
    ]
    .boxed()
}

prop_compose! {
    /// Any event.
    pub(crate) fn event()(
        seq: u64, nanos: i64, boot_ns: u64, lossy: bool, body in body(),
        container in option::of(container()),
        pod in option::of(shared_text().prop_map(|uid| Arc::new(Pod { uid }))),
        source in select(&Source::ALL[..]),
    ) -> Event {
        Event { schema: SchemaName::V1, seq, time: Time(nanos), boot_ns, source, body, container, pod, lossy }
    }
}
