//! The screen against a script: what comes in, what is pressed, what is seen.

use std::{path::PathBuf, sync::Arc};

use insta::assert_snapshot;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    style::Color,
};

use super::{Look, Request, Top, draw};
use crate::{
    expr::Filter,
    model::{
        Cause, Creator, Event, Flags, Holder, Kind, NsRef, NsRow, Process, ProcessRow, Slots, Time,
        World,
        event::{Body, Create, SchemaName, Source},
    },
    pipeline::{Picture, Update},
    view::Charset,
};

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1000 * SECOND;

fn ns(kind: Kind, inode: u32) -> NsRef {
    let initial = inode < 10;
    NsRef { kind, inode, id: Some(u64::from(inode) * 11), initial }
}

fn row(kind: Kind, inode: u32, processes: &[u32]) -> NsRow {
    let nprocs = u32::try_from(processes.len()).unwrap();
    let processes = processes.into();
    let mut row = NsRow { processes, nprocs, threads: nprocs, ..NsRow::new(ns(kind, inode)) };
    row.info.owner = (inode != 1).then(|| ns(Kind::User, 1));
    row
}

fn made(mut row: NsRow, seconds_ago: u64, owner: u32) -> NsRow {
    row.info.born = Some(NOW - seconds_ago * SECOND);
    row.info.owner = Some(ns(Kind::User, owner));
    row.cause = Some(Cause::Unshare);
    row.creator = Some(Arc::new(Creator {
        pid: 42,
        tid: 42,
        start_ns: 1,
        comm: "maker\x1b[2J".into(),
        exe: Some("/bin/maker".into()),
        uid: 7,
    }));
    row
}

fn process(pid: u32, uid: u32, comm: &str) -> ProcessRow {
    let (comm, slots) = (comm.into(), Slots::default());
    ProcessRow { pid, ppid: 1, uid, comm, count: 1, slots, ..ProcessRow::default() }
}

fn world() -> World {
    let mut user = made(row(Kind::User, 20, &[42]), 90, 1);
    user.info.parent = Some(ns(Kind::User, 1));
    user.info.level = Some(1);
    let mut namespaces = vec![
        row(Kind::User, 1, &[1, 50]),
        row(Kind::Net, 2, &[1, 42, 50]),
        user,
        made(row(Kind::Net, 21, &[]), 5, 20),
        made(row(Kind::Uts, 22, &[42]), 30, 20),
    ];
    namespaces.sort_unstable_by_key(|row| (row.info.inode, row.info.kind));
    let processes = vec![process(1, 0, "init"), process(42, 7, "a\x1bb"), process(50, 0, "sshd")];
    World { namespaces, processes, unreadable: 0 }
}

fn picture() -> Picture {
    let mut dead = made(row(Kind::Net, 21, &[]), 60, 20);
    dead.info.id = Some(5);
    dead.died = Some(NOW - 3 * SECOND);
    Picture { boot_ns: NOW, world: Arc::new(world()), dead: vec![dead], lost: 0 }
}

fn birth() -> Event {
    let process = Process { pid: 42, tid: 42, comm: "a\x1bb".into(), ..Process::default() };
    let body = Body::Create(Create {
        cause: Cause::Unshare,
        flags: Flags::from_bits(Kind::Net.flag()),
        op: 1,
        ns: made(row(Kind::Net, 21, &[]), 5, 20).info,
        process: Arc::new(process),
    });
    Event {
        schema: SchemaName::V1,
        seq: 1,
        time: Time(0),
        boot_ns: NOW - 5 * SECOND,
        source: Source::Probe,
        body,
        container: None,
        pod: None,
        lossy: false,
    }
}

fn top(color: bool) -> Top {
    let look = Look { color, charset: Charset::Utf8, zone: TimeZone::UTC };
    let mut top = Top::new(look, None);
    top.take(Update::Picture(picture()));
    top.take(Update::Event(Box::new(birth())));
    top
}

fn press(top: &mut Top, keys: &str) -> Option<Request> {
    let code = |key| match key {
        '\n' => KeyCode::Enter,
        '\t' => KeyCode::Tab,
        '\x1b' => KeyCode::Esc,
        key => KeyCode::Char(key),
    };
    keys.chars().map(|key| top.press(KeyEvent::from(code(key)))).last().flatten()
}

fn terminal(top: &Top, (width, height): (u16, u16)) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(top, frame)).unwrap();
    terminal
}

/// What is seen.
fn seen(top: &Top) -> String {
    terminal(top, (110, 22)).backend().to_string()
}

/// The namespaces in the list, in order.
fn listed(top: &Top) -> Vec<String> {
    let rows = top.shown.iter().filter_map(|shown| top.row(shown.row));
    rows.map(|row| row.info.to_ref().to_string()).collect()
}

#[test]
fn the_list() {
    assert_snapshot!(seen(&top(false)));
}

#[test]
fn a_tree_below_owners() {
    let mut top = top(false);
    press(&mut top, "t");
    assert_snapshot!(seen(&top));
}

#[test]
fn everything_about_one() {
    let mut top = top(false);
    assert_eq!(press(&mut top, "/net:21\njj\n"), Some(Request::LookClosely));
    press(&mut top, "\x1bk\n");
    assert!(seen(&top).contains("HELD BY  looking ..."));
    let mut world = world();
    let at = world.namespaces.iter().position(|row| row.info.inode == 21).unwrap();
    let mount = PathBuf::from("/run/netns/bl\x1bue");
    world.namespaces[at].holders = vec![
        Holder::Fd { pid: 50, tid: 50, fd: 3 },
        Holder::Mount { path: Arc::new(mount), mnt_ns: ns(Kind::Mnt, 3), pid: 1 },
    ];
    top.take(Update::Closely(Arc::new(world)));
    assert_snapshot!(seen(&top));
}

#[test]
fn the_keys() {
    let mut top = top(false);
    press(&mut top, "?");
    assert_snapshot!(seen(&top));
    press(&mut top, "?");
    assert!(seen(&top).contains("NAMESPACE"), "and back");
}

#[test]
fn looks_say_that_they_are_no_more() {
    let mut top = top(false);
    top.blind("missing CAP_BPF".to_owned());
    let seen = seen(&top);
    assert!(seen.contains("snapshots only: missing CAP_BPF"), "{seen}");
    assert!(seen.contains("(none: snapshots only)"), "{seen}");
}

#[test]
fn losses_are_seen() {
    let mut top = top(false);
    top.take(Update::Picture(Picture { lost: 1234, ..picture() }));
    assert!(seen(&top).contains("1,234 events lost"));
}

#[test]
fn types_texts_and_expressions_choose() {
    let mut top = top(false);
    press(&mut top, "5");
    assert_eq!(listed(&top), ["net:2", "net:21", "net:21"], "the dead one too");
    press(&mut top, "0/SSHD\n");
    assert_eq!(listed(&top), ["net:2", "user:1"]);
    press(&mut top, "\x1bwns.type == \"uts\"\n");
    assert_eq!(listed(&top), ["uts:22"]);
    press(&mut top, "w");
    for _ in 0..2 {
        top.press(KeyEvent::from(KeyCode::Backspace));
    }
    press(&mut top, "\n");
    assert!(seen(&top).contains("where: ns.type == \"ut_"), "it stays to be mended");
    assert_eq!(listed(&top), ["uts:22"], "and the one before holds");
}

#[test]
fn an_expression_chooses_events_too() {
    let look = Look { color: false, charset: Charset::Utf8, zone: TimeZone::UTC };
    let mut top = Top::new(look, Some(Filter::compile("ns.type == \"uts\"").unwrap()));
    top.take(Update::Event(Box::new(birth())));
    assert!(top.events.is_empty());
}

#[test]
fn columns_sort_both_ways() {
    let mut top = top(false);
    press(&mut top, "5>");
    assert_eq!(listed(&top)[0], "net:2", "most processes first");
    press(&mut top, "I");
    assert_eq!(listed(&top)[2], "net:2");
    press(&mut top, "I>>>>");
    assert_eq!(listed(&top), ["net:21", "net:21", "net:2"], "the youngest first");
}

#[test]
fn whoever_is_chosen_stays_chosen() {
    let mut top = top(false);
    press(&mut top, "G");
    let chosen = top.chosen;
    let mut world = world();
    world.namespaces.insert(0, row(Kind::Uts, 4, &[]));
    world.namespaces.sort_unstable_by_key(|row| (row.info.inode, row.info.kind));
    top.take(Update::Picture(Picture { world: Arc::new(world), ..picture() }));
    assert!(chosen.is_some() && top.chosen == chosen);
    assert_eq!(top.chosen_row().unwrap().info.inode, 20);
}

#[test]
fn a_pause_holds_everything_still() {
    let mut top = top(false);
    press(&mut top, " ");
    let before = seen(&top);
    assert!(before.contains("PAUSED"));
    top.take(Update::Picture(Picture::default()));
    top.take(Update::Event(Box::new(birth())));
    assert_eq!(seen(&top), before);
    press(&mut top, " ");
    assert!(seen(&top).contains("0 namespaces"));
}

#[test]
fn keys_ask_for_what_only_the_terminal_can_do() {
    let mut top = top(false);
    assert_eq!(press(&mut top, "q"), Some(Request::Quit));
    for (key, request) in [('c', Request::Quit), ('z', Request::Suspend), ('l', Request::Redraw)] {
        press(&mut top, "/");
        let key = KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL);
        assert_eq!(top.press(key), Some(request), "while typing too");
        press(&mut top, "\x1b");
    }
}

#[test]
fn without_colours_there_are_none() {
    let has_color = |top: &Top| {
        let terminal = terminal(top, (110, 22));
        let cells = &terminal.backend().buffer().content;
        cells.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(!has_color(&top(false)));
    assert!(has_color(&top(true)));
}

#[test]
fn what_cannot_be_shown_is_escaped() {
    let mut top = top(false);
    top.look.charset = Charset::Ascii;
    for keys in ["", "\n", "\x1b?"] {
        press(&mut top, keys);
        let seen = seen(&top);
        let frame = seen.trim_matches(['"', '\n']);
        assert!(frame.chars().all(|c| c == '\n' || c == ' ' || c.is_ascii_graphic()), "{seen}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_keys_on_any_terminal(
        keys in "[qjkgG \t\n\x1bew/t><I?0-9a=\"]{0,20}",
        width in 1..200_u16,
        height in 1..60_u16,
    ) {
        let mut top = top(true);
        top.resize(height);
        for key in keys.chars() {
            press(&mut top, &key.to_string());
            terminal(&top, (width, height));
        }
        top.take(Update::Picture(Picture::default()));
        terminal(&top, (width, height));
    }
}
