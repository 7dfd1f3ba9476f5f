use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{
    Cause, Container, Creator, Errno, Flags, Kind, MapFile, NsInfo, NsRef, Pod, Runtime, Slot,
    TaskRef, Time, arbitrary,
    event::{
        Alert, ByEvent, Change, Create, Destroy, Enter, Exec, Exist, Exit, Fail, Fork, Host, Loss,
        Lost, Map, MapWrite, ProcessTarget, Reason, Relation, SchemaName, Severity, Source, Stage,
        Status, Sync, Target,
    },
};

fn ns(kind: Kind, inode: u32) -> NsRef {
    NsRef { kind, inode, id: None, initial: false }
}

fn info(kind: Kind, inode: u32) -> NsInfo {
    let nested = kind.nests();
    NsInfo {
        kind,
        inode,
        id: None,
        initial: false,
        born: None,
        owner: Some(ns(Kind::User, 4_026_531_837)),
        parent: nested.then(|| ns(kind, 4_026_531_836)),
        // Only where it lies deep is it worth a word.
        level: nested.then_some(if kind == Kind::Pid { 2 } else { 1 }),
    }
}

fn process(pid: u32, tid: u32, comm: &str) -> Arc<Process> {
    Arc::new(Process { pid, tid, comm: comm.into(), ..Process::default() })
}

fn running(exe: Option<&str>, args: &[&str]) -> Arc<Process> {
    let mut process = Process::clone(&process(4250, 4250, "sh"));
    process.exe = exe.map(Arc::from);
    process.args = Some(args.iter().map(|arg| (*arg).to_owned()).collect());
    Arc::new(process)
}

fn flags(kinds: &[Kind]) -> Flags {
    Flags::from_bits(kinds.iter().map(|kind| kind.flag()).sum())
}

fn event(body: Body) -> Event {
    Event {
        schema: SchemaName::V1,
        seq: 1,
        time: Time(1_763_892_000_123_999_999),
        boot_ns: 3_604_000_000_000,
        source: Source::Probe,
        body,
        container: None,
        pod: None,
        lossy: false,
    }
}

fn render(options: &TextOptions, bodies: impl IntoIterator<Item = Body>) -> String {
    let mut writer = TextWriter::new(options.clone());
    let mut out = Vec::new();
    for body in bodies {
        writer.write(&event(body), &mut out);
    }
    let text = String::from_utf8(out).unwrap();
    // Escape characters cannot be read in a source file.
    text.replace('\x1b', "^[")
}

fn plain(bodies: impl IntoIterator<Item = Body>) -> String {
    render(&TextOptions::default(), bodies)
}

fn create(cause: Cause, kind: Kind) -> Body {
    Body::Create(Create {
        cause,
        flags: flags(&[kind]),
        op: 1,
        ns: info(kind, 4_026_532_281),
        process: process(4242, 4242, "unshare"),
    })
}

fn enter(relation: Option<Relation>, changes: &[Change]) -> Body {
    Body::Enter(Enter {
        cause: Cause::Setns,
        flags: flags(&[Kind::Net, Kind::User]),
        op: 1,
        changes: changes.to_vec(),
        relation,
        repeat: None,
        process: process(4242, 4243, "nsenter"),
    })
}

fn change(slot: Slot, from: Option<u32>, to: Option<u32>) -> Change {
    let of = |inode| ns(slot.kind(), inode);
    Change { slot, from: from.map(of), to: to.map(of) }
}

fn fail(
    cause: Cause,
    flags: Flags,
    errno: i32,
    target: Option<Target>,
    relation: Option<Relation>,
) -> Body {
    Body::Fail(Fail {
        cause,
        flags,
        op: 1,
        errno: Errno::from_raw(errno),
        target,
        relation,
        repeat: None,
        process: process(4242, 4242, "nsenter"),
    })
}

fn exec(process: Arc<Process>, changes: Vec<Change>) -> Body {
    Body::Exec(Exec { changes, process })
}

fn lost() -> Body {
    Body::Lost(Lost {
        lost: Loss {
            count: 1_234,
            stage: Stage::Ring,
            by_event: ByEvent { create: 1_200, enter: 34, ..ByEvent::default() },
            cpu: Some(1),
        },
    })
}

fn sync(reason: Reason) -> Body {
    Body::Sync(Sync {
        reason,
        host: Host {
            name: "web1".into(),
            boot_id: "3f2a".into(),
            kernel: "6.18.5".into(),
            backend: "fentry".into(),
        },
    })
}

#[test]
fn births() {
    insta::assert_snapshot!(plain([
        create(Cause::Unshare, Kind::Net),
        create(Cause::Clone3, Kind::Pid),
        create(Cause::Clone, Kind::User),
        create(Cause::Kernel, Kind::Mnt),
    ]), @r"
    10:00:00.123  create      4242 unshare          net:4026532281  by unshare(NEWNET)  owner user:4026531837
    10:00:00.123  create      4242 unshare          pid:4026532281  by clone3(NEWPID)  owner user:4026531837  parent pid:4026531836 (level 2)
    10:00:00.123  create      4242 unshare          user:4026532281  by clone(NEWUSER)  parent user:4026531836
    10:00:00.123  create      4242 unshare          mnt:4026532281  by the kernel  owner user:4026531837
    ");
}

#[test]
fn maps() {
    let map = |file, text: &[u8], total, errno: Option<i32>| {
        Body::Map(Map {
            ns: info(Kind::User, 4_026_532_281),
            map: MapWrite::new(file, text, total),
            errno: errno.map(Errno::from_raw),
            process: process(4242, 4242, "newuidmap"),
        })
    };
    let many = b"0 9 1\n1 8 1\n2 7 1\n3 6 1\n4 5 1\n";
    assert_eq!(
        plain([
            map(MapFile::UidMap, b"0 1000 1\n1 100000 65536\n", 24, None),
            map(MapFile::GidMap, many, many.len(), None),
            map(MapFile::Setgroups, b"deny", 4, None),
            map(MapFile::UidMap, b"0 0 1", 5, Some(1)),
        ])
        .lines()
        .map(|line| line.split_once("user:").unwrap().1)
        .collect::<Vec<_>>(),
        [
            "4026532281  uid_map 0 1000 1, 1 100000 65536",
            "4026532281  gid_map 0 9 1, 1 8 1, 2 7 1, 3 6 1 \u{2026}",
            "4026532281  setgroups deny",
            "4026532281  uid_map 0 0 1 EPERM",
        ],
    );
}

#[test]
fn containers_stand_before_what_happened() {
    let shown = |id: &str, pod: Option<&str>| {
        let mut event = event(create(Cause::Unshare, Kind::Net));
        let container = Container { id: id.into(), runtime: Some(Runtime::Docker) };
        event.container = (!id.is_empty()).then(|| Arc::new(container));
        event.pod = pod.map(|uid| Arc::new(Pod { uid: uid.into() }));
        let mut out = Vec::new();
        TextWriter::new(TextOptions::default()).write(&event, &mut out);
        let line = String::from_utf8(out).unwrap();
        let (_, rest) = line.split_once("unshare").unwrap();
        rest.split_once("net:").unwrap().0.trim_start().to_owned()
    };
    assert_eq!(shown(&"3f2a9c1d2e4f5a6b".repeat(4), Some("6a1f")), "[3f2a9c1d2e4f] ");
    assert_eq!(shown("a-rather-long-name", None), "[a-rather-long-name] ");
    assert_eq!(shown("", Some("6a1f")), "[pod 6a1f] ");
    assert_eq!(shown("", None), "");
    assert_eq!(shown("a\u{1b}b", None), "[a\\x1bb] ");
}

#[test]
fn moves() {
    insta::assert_snapshot!(plain([
        enter(Some(Relation::Own), &[
            change(Slot::Net, Some(4_026_531_840), Some(4_026_532_281)),
            change(Slot::User, Some(4_026_531_837), Some(4_026_532_280)),
        ]),
        enter(Some(Relation::Host), &[change(Slot::PidForChildren, Some(4_026_532_300), Some(4_026_531_836))]),
        enter(Some(Relation::Other), &[change(Slot::Mnt, None, Some(4_026_532_299))]),
        enter(None, &[change(Slot::Time, None, None)]),
    ]), @r"
    10:00:00.123  enter    4242/4243 nsenter          net:4026531840 → net:4026532281, user:4026531837 → user:4026532280  by setns(NEWNET|NEWUSER)
    10:00:00.123  enter    4242/4243 nsenter          pid_for_children pid:4026532300 → pid:4026531836  (the host's)  by setns(NEWNET|NEWUSER)
    10:00:00.123  enter    4242/4243 nsenter          mnt:? → mnt:4026532299  (another's)  by setns(NEWNET|NEWUSER)
    10:00:00.123  enter    4242/4243 nsenter          time:? → time:?  by setns(NEWNET|NEWUSER)
    ");
}

#[test]
fn calls_made_over_and_over() {
    let mut moved = enter(None, &[change(Slot::Uts, Some(4_026_532_280), Some(4_026_532_281))]);
    let mut failed = fail(Cause::Unshare, flags(&[Kind::User]), 1, None, None);
    if let (Body::Enter(moved), Body::Fail(failed)) = (&mut moved, &mut failed) {
        (moved.repeat, failed.repeat) = (Some(1), Some(4_711));
    }
    insta::assert_snapshot!(plain([moved, failed]), @r"
    10:00:00.123  enter    4242/4243 nsenter          uts:4026532280 → uts:4026532281  by setns(NEWNET|NEWUSER)  once more
    10:00:00.123  fail          4242 nsenter          unshare(NEWUSER) EPERM  4711 times more
    ");
}

#[test]
fn failures() {
    let net = flags(&[Kind::Net]);
    let target = |pid, ns: &[NsRef]| Some(Target::Process(ProcessTarget { pid, ns: ns.to_vec() }));
    insta::assert_snapshot!(plain([
        fail(Cause::Setns, net, 1, Some(Target::Namespace(ns(Kind::Net, 4_026_531_840))), Some(Relation::Host)),
        fail(Cause::Setns, Flags::default(), 9, None, None),
        fail(Cause::Setns, flags(&[Kind::Net, Kind::Mnt]), 1, target(1, &[ns(Kind::Mnt, 4_026_531_841), ns(Kind::Net, 4_026_531_840)]), Some(Relation::Host)),
        fail(Cause::Setns, net, 3, target(77, &[]), None),
        fail(Cause::Unshare, flags(&[Kind::User]), 28, None, None),
        fail(Cause::Clone3, Flags::from_bits(0x4000_0000 | 1 << 40), 22, None, None),
    ]), @r"
    10:00:00.123  fail        4242 nsenter          setns(NEWNET) EPERM on net:4026531840  (the host's)
    10:00:00.123  fail        4242 nsenter          setns(0) EBADF
    10:00:00.123  fail        4242 nsenter          setns(NEWNS|NEWNET) EPERM on process 1: mnt:4026531841, net:4026531840  (the host's)
    10:00:00.123  fail        4242 nsenter          setns(NEWNET) ESRCH on process 77
    10:00:00.123  fail        4242 nsenter          unshare(NEWUSER) ENOSPC
    10:00:00.123  fail        4242 nsenter          clone3(NEWNET) EINVAL  other flags 0x10000000000
    ");
}

#[test]
fn deaths() {
    let creator = Arc::new(Creator {
        pid: 4242,
        tid: 4242,
        start_ns: 1,
        comm: "unshare".into(),
        exe: None,
        uid: 0,
    });
    let destroy = |creator: Option<&Arc<Creator>>, lifetime_ns, last_task_boot_ns| {
        Body::Destroy(Destroy {
            ns: info(Kind::Net, 4_026_532_281),
            creator: creator.cloned(),
            lifetime_ns,
            last_task_boot_ns,
        })
    };
    insta::assert_snapshot!(plain([
        destroy(Some(&creator), Some(1_200_000_000), Some(3_603_999_000_000)),
        destroy(Some(&creator), Some(200_000_000_000), Some(3_600_000_000_000)),
        destroy(None, None, None),
    ]), @r"
    10:00:00.123  destroy                           net:4026532281  lived 1.2 s, made by 4242 unshare
    10:00:00.123  destroy                           net:4026532281  lived 3 min 20 s, made by 4242 unshare, outlived its last task by 4.0 s
    10:00:00.123  destroy                           net:4026532281  older than this trace
    ");
}

#[test]
fn existence() {
    let exist = |kind, members| Body::Exist(Exist { ns: info(kind, 4_026_532_281), members });
    insta::assert_snapshot!(plain([
        exist(Kind::Net, 12),
        exist(Kind::Pid, 1),
        exist(Kind::User, 0),
    ]), @r"
    10:00:00.123  exist                             net:4026532281  12 tasks, owner user:4026531837
    10:00:00.123  exist                             pid:4026532281  1 task, owner user:4026531837, parent pid:4026531836 (level 2)
    10:00:00.123  exist                             user:4026532281  0 tasks, parent user:4026531836
    ");
}

#[test]
fn tasks() {
    let fork = |pid, tid| {
        Body::Fork(Fork {
            child: TaskRef { pid, tid, start_ns: 1 },
            process: process(4242, 4242, "bash"),
        })
    };
    let exit = |status| Body::Exit(Exit { status, process: process(4250, 4250, "ls") });
    insta::assert_snapshot!(plain([
        fork(4250, 4250),
        fork(4242, 4251),
        exec(running(Some("/usr/bin/ls"), &["ls", "-l", "/tmp/two words"]), vec![]),
        exec(running(Some("/usr/bin/busybox"), &["sh", "-c", "id"]), vec![]),
        exec(running(Some("./x"), &[]), vec![change(Slot::Time, Some(4_026_531_834), Some(4_026_532_290))]),
        exec(running(None, &["init"]), vec![]),
        exec(running(None, &[]), vec![]),
        exit(Status::Code { code: 0 }),
        exit(Status::Code { code: 127 }),
        exit(Status::Signal { signal: 11, core: true }),
        exit(Status::Signal { signal: 40, core: false }),
    ]), @r"
    10:00:00.123  fork        4242 bash             process 4250
    10:00:00.123  fork        4242 bash             thread 4242/4251
    10:00:00.123  exec        4250 sh               /usr/bin/ls -l '/tmp/two words'
    10:00:00.123  exec        4250 sh               /usr/bin/busybox as sh -c id
    10:00:00.123  exec        4250 sh               time:4026531834 → time:4026532290  ./x
    10:00:00.123  exec        4250 sh               init
    10:00:00.123  exec        4250 sh               ?
    10:00:00.123  exit        4250 ls               code 0
    10:00:00.123  exit        4250 ls               code 127
    10:00:00.123  exit        4250 ls               SIGSEGV, core dumped
    10:00:00.123  exit        4250 ls               signal 40
    ");
}

#[test]
fn health() {
    insta::assert_snapshot!(plain([lost(), sync(Reason::Lost), sync(Reason::Start)]), @r"
    10:00:00.123  lost     1,234 events missing: the ring buffer was full on CPU 1  1,200 create, 34 enter
    10:00:00.123  sync     complete again after a loss  web1, Linux 6.18.5, fentry
    10:00:00.123  sync     complete from here on  web1, Linux 6.18.5, fentry
    ");
}

#[test]
fn alerts() {
    let alert = |severity, repeat| {
        Body::Alert(Box::new(Alert {
            rule: "container-enters-host".into(),
            severity,
            tags: Arc::new(["T1611".into()]),
            message: "\u{1b}[2Jrunc entered mnt:4026531841".to_owned(),
            cause_seq: Some(3),
            repeat,
            ns: None,
            process: Some(process(4242, 4242, "runc")),
        }))
    };
    insta::assert_snapshot!(plain([alert(Severity::Critical, None), alert(Severity::Info, Some(5))]), @r"
    10:00:00.123  alert       4242 runc             critical  container-enters-host  \x1b[2Jrunc entered mnt:4026531841
    10:00:00.123  alert       4242 runc             info  container-enters-host  \x1b[2Jrunc entered mnt:4026531841  5 more held back
    ");
}

#[test]
fn colours() {
    let options = TextOptions { color: true, ..TextOptions::default() };
    insta::assert_snapshot!(render(&options, [
        create(Cause::Unshare, Kind::Net),
        enter(Some(Relation::Host), &[change(Slot::Net, Some(4_026_532_281), Some(4_026_531_840))]),
        fail(Cause::Unshare, flags(&[Kind::User]), 1, None, None),
        lost(),
    ]), @r"
    ^[[2m10:00:00.123^[[0m  ^[[32mcreate ^[[0m     4242 ^[[1munshare^[[0m          ^[[32mnet:4026532281^[[0m  by unshare(NEWNET)  owner user:4026531837
    ^[[2m10:00:00.123^[[0m  ^[[36menter  ^[[0m  4242/4243 ^[[1mnsenter^[[0m          ^[[2mnet:4026532281^[[0m → ^[[36mnet:4026531840^[[0m  ^[[1;33m(the host's)^[[0m  by setns(NEWNET|NEWUSER)
    ^[[2m10:00:00.123^[[0m  ^[[31mfail   ^[[0m       4242 ^[[1mnsenter^[[0m          unshare(NEWUSER) ^[[31mEPERM^[[0m
    ^[[2m10:00:00.123^[[0m  ^[[1;37;41mlost   ^[[0m  ^[[1;31m1,234 events missing: the ring buffer was full on CPU 1^[[0m  1,200 create, 34 enter
    ");
}

#[test]
fn terminals_without_utf8() {
    let options = TextOptions { charset: Charset::Ascii, ..TextOptions::default() };
    insta::assert_snapshot!(render(&options, [
        enter(None, &[change(Slot::Net, Some(4_026_532_281), Some(4_026_531_840))]),
        exec(running(Some("/bin/gr\u{fc}n"), &[]), vec![]),
    ]), @r"
    10:00:00.123  enter    4242/4243 nsenter          net:4026532281 -> net:4026531840  by setns(NEWNET|NEWUSER)
    10:00:00.123  exec          4250 sh               $'/bin/gr\u00fcn'
    ");
}

#[test]
fn hostile_names_and_arguments() {
    let hostile = Arc::new(Process {
        pid: 4242,
        tid: 4242,
        comm: "\x1b[2J\u{9b}1m\r\u{202e}".into(),
        exe: Some("/tmp/\x1b]0;owned\x07".into()),
        args: Some(vec!["a\x1b[31m".to_owned(), "b\nc".to_owned()].into()),
        ..Process::default()
    });
    insta::assert_snapshot!(plain([exec(hostile, vec![])]), @r"10:00:00.123  exec        4242 \x1b[2J\u009b1m\r\u202e  $'/tmp/\x1b]0;owned\x07' as $'a\x1b[31m' $'b\nc'");
}

#[test]
fn command_lines_fit_the_width() {
    let long =
        || exec(running(Some("/usr/bin/printf"), &["printf", "one", "two", "three"]), vec![]);
    let at = |color, width| {
        let options = TextOptions { color, width: Some(width), ..TextOptions::default() };
        render(&options, [long()])
    };
    insta::assert_snapshot!(at(false, 60) + &at(false, 76) + &at(false, 77) + &at(false, 10), @r"
    10:00:00.123  exec        4250 sh               /usr/bin/pr…
    10:00:00.123  exec        4250 sh               /usr/bin/printf one two thr…
    10:00:00.123  exec        4250 sh               /usr/bin/printf one two three
    10:00:00.123  exec        4250 sh               …
    ");
    let visible = at(true, 60);
    assert!(visible.ends_with("/usr/bin/pr\u{2026}\n"), "{visible}");
}

#[test]
fn dates_and_zones() {
    let zone = TimeZone::fixed(jiff::tz::offset(2));
    let options = TextOptions { dates: true, zone, ..TextOptions::default() };
    insta::assert_snapshot!(render(&options, [sync(Reason::Start)]), @r"2025-11-23 12:00:00.123  sync     complete from here on  web1, Linux 6.18.5, fentry");
}

proptest! {
    #[test]
    fn an_event_is_one_line_without_control_characters(
        event in arbitrary::event(), width in proptest::option::of(0_usize..200), ascii: bool,
    ) {
        let charset = if ascii { Charset::Ascii } else { Charset::Utf8 };
        let mut writer = TextWriter::new(TextOptions { charset, width, ..TextOptions::default() });
        let mut out = Vec::new();
        writer.write(&event, &mut out);
        let text = String::from_utf8(out).unwrap();
        let line = text.strip_suffix('\n').unwrap();
        prop_assert!(!line.chars().any(char::is_control));
        prop_assert!(!ascii || line.is_ascii());
    }
}
