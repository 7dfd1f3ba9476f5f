//! How quick the history is: a million events are stored, then asked for.
//!
//! ```text
//! cargo bench -p ns-trace --bench history [-- EVENTS]
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{env, fs, ops::ControlFlow, sync::Arc, time::Instant};

use anyhow::Result;
use ns_trace::{
    history::{Name, Query, Store},
    model::{
        Caps, Cause, Creator, Event, Flags, Kind, NsInfo, NsRef, Process, SLOTS, Slot, Slots, Time,
        event::{Body, Change, Create, Destroy, Enter, Relation, SchemaName, Source},
    },
};

/// How many namespaces are alive at a time.
const ALIVE: u64 = 10_000;
/// One commit for so many events: 50 ms at 20,000 a second.
const COMMIT: u64 = 1000;
/// Nanoseconds between two events.
const STEP: u64 = 50_000;
/// When it begins: nanoseconds since 1970.
const START: i64 = 1_763_892_000_000_000_000;

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let count: u64 = words.first().map_or(Ok(1_000_000), |word| word.parse())?;
    let directory = env::temp_dir().join(format!("ns-trace-bench-{}", std::process::id()));
    let path = directory.join("history.db");
    let mut writer = Store::open(&path)?.writer()?;
    let begun = Instant::now();
    for seq in 1..=count {
        writer.append(&event(seq))?;
        if seq % COMMIT == 0 {
            writer.commit()?;
            writer.sync(seq % (20 * COMMIT) == 0)?;
        }
    }
    writer.commit()?;
    let seconds = begun.elapsed().as_secs_f64();
    drop(writer);
    let bytes = fs::metadata(&path)?.len();
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let (rate, size) = (count as f64 / seconds, bytes as f64 / count as f64);
    println!("append: {rate:.0} events/s, {size:.0} bytes an event");
    ask(&path, count)?;
    fs::remove_dir_all(&directory)?;
    Ok(())
}

fn ask(path: &std::path::Path, count: u64) -> Result<()> {
    let at = |part: u64| Time(START + (count * STEP * part / 10).cast_signed());
    let timed = |what: &str, ask: &dyn Fn(&Store) -> Result<usize>| -> Result<()> {
        // As the command does: the file is opened for each question.
        let begun = Instant::now();
        let found = ask(&Store::read(path)?)?;
        println!("{what}: {:.1} ms ({found} found)", begun.elapsed().as_secs_f64() * 1e3);
        Ok(())
    };
    for part in [1, 5, 9] {
        timed(&format!("at {part}/10"), &|store| Ok(store.at(at(part))?.len()))?;
    }
    timed("diff 2/10 to 8/10", &|store| {
        let difference = store.difference(at(2), at(8))?;
        Ok(difference.made.len() + difference.gone.len())
    })?;
    timed("diff 49/100 to 51/100", &|store| {
        let near = |part: u64| Time(START + (count * STEP * part / 100).cast_signed());
        let difference = store.difference(near(49), near(51))?;
        Ok(difference.made.len() + difference.gone.len())
    })?;
    let inode = inode(count / 2);
    timed("who", &|store| {
        let lives = store.named(&Name { kind: None, inode: Some(inode), id: None })?;
        let accounts = lives.into_iter().map(|life| store.account(life, usize::MAX));
        Ok(accounts.collect::<Result<Vec<_>, _>>()?.len())
    })?;
    let events = |query: Query| {
        move |store: &Store| {
            let mut found = 0;
            store.events::<()>(&query, |_| {
                found += 1;
                ControlFlow::Continue(())
            })?;
            Ok(found)
        }
    };
    let of_pid = Query { pids: vec![pid(count / 2)], ..Query::default() };
    timed("events of a process", &events(of_pid))?;
    let of_late = Query { since: Some(at(9)), limit: Some(1000), ..Query::default() };
    timed("1000 events since 9/10", &events(of_late))?;
    timed("all events", &events(Query::default()))?;
    let pages = |query: Query| {
        move |store: &Store| {
            let pages = store.pages(&query, 4096)?;
            pages.map(|page| Ok(page?.len())).sum::<Result<usize>>()
        }
    };
    let of_user = Query { uid: Some(1000), ..Query::default() };
    timed("all events in pages", &pages(Query::default()))?;
    timed("events of a user in pages", &pages(of_user))
}

/// A life is three events: it is made, entered by another, and 10,000 lives later freed.
fn event(seq: u64) -> Event {
    let (life, step) = (seq / 3, seq % 3);
    let boot_ns = seq * STEP;
    let process = process(life);
    let flags = Flags::from_bits(Kind::Net.flag());
    let body = match step {
        0 => {
            let ns = info(life, seq);
            Body::Create(Create { cause: Cause::Unshare, flags, op: life, ns, process })
        }
        1 => {
            let changes = vec![Change {
                slot: Slot::Net,
                from: Some(initial(Kind::Net)),
                to: Some(info(life, seq - 1).to_ref()),
            }];
            let (cause, relation) = (Cause::Unshare, Some(Relation::Own));
            let (op, repeat) = (life, None);
            Body::Enter(Enter { cause, flags, op, changes, relation, repeat, process })
        }
        _ if life < ALIVE => {
            let (cause, op, changes) = (Cause::Setns, life, Vec::new());
            Body::Enter(Enter { cause, flags, op, changes, relation: None, repeat: None, process })
        }
        _ => {
            let gone = life - ALIVE;
            let born = gone * 3;
            Body::Destroy(Destroy {
                ns: info(gone, born),
                creator: Some(Arc::new(creator(gone))),
                lifetime_ns: Some(boot_ns - born * STEP),
                last_task_boot_ns: Some(boot_ns - 1000),
            })
        }
    };
    Event {
        schema: SchemaName::V1,
        seq,
        time: Time(START + boot_ns.cast_signed()),
        boot_ns,
        source: Source::Probe,
        body,
        container: None,
        pod: None,
        lossy: false,
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number % 4_000_000).unwrap_or_default()
}

fn pid(life: u64) -> u32 {
    1000 + small(life)
}

/// Inodes are used again.
fn inode(life: u64) -> u32 {
    4_026_532_000 + small(life % (2 * ALIVE))
}

fn initial(kind: Kind) -> NsRef {
    NsRef { kind, inode: 4_026_531_830 + kind as u32, id: Some(kind as u64), initial: true }
}

fn info(life: u64, born: u64) -> NsInfo {
    NsInfo {
        kind: Kind::Net,
        inode: inode(life),
        id: Some(10_000 + life),
        initial: false,
        born: Some(born * STEP),
        owner: Some(initial(Kind::User)),
        parent: None,
        level: None,
    }
}

fn process(life: u64) -> Arc<Process> {
    let pid = pid(life);
    let mut slots = [None; SLOTS];
    for (slot, name) in slots.iter_mut().zip(Slot::ALL) {
        *slot = Some(initial(name.kind()));
    }
    let words = ["/usr/bin/unshare", "--net", "--", "/usr/bin/worker"];
    let mut args: Vec<String> = words.map(str::to_owned).to_vec();
    args.push(format!("--job={}", life % 5000));
    Arc::new(Process {
        pid,
        tid: pid,
        ppid: 1000,
        vpid: Some(pid),
        start_ns: life * 3 * STEP,
        comm: "unshare".into(),
        exe: Some("/usr/bin/unshare".into()),
        args: Some(args.into()),
        uid: 1000,
        gid: Some(1000),
        euid: Some(1000),
        caps: Some(Caps(0)),
        cgroup: Some(format!("/system.slice/worker-{}.service", life % 100).into()),
        cgroup_id: Some(4000 + life % 100),
        ns: Slots(Arc::new(slots)),
        ..Process::default()
    })
}

fn creator(life: u64) -> Creator {
    Creator::from(&*process(life))
}
