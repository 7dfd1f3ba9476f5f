//! One process.

use serde::Serialize;

use super::{SCHEMA, chain, map_rows};
use crate::{
    enrich,
    model::{Container, Maps, NsInfo, ProcessRow, Slot, Slots, World, printable},
    view::{
        quantity::Count,
        sheet::{Mark, Sheet},
    },
};

/// How many bytes of arguments are read.
const ARGS: usize = 4096;

/// What is shown.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    schema: &'static str,
    process: Process<'a>,
    /// Its user namespace, that one's parent and so on, as far as they are in sight.
    user_namespaces: Vec<User<'a>>,
    /// The threads that are elsewhere.
    threads: Vec<Thread<'a>>,
    unreadable: u32,
}

#[derive(Serialize)]
struct Process<'a> {
    pid: u32,
    ppid: u32,
    uid: u32,
    comm: &'a str,
    args: Option<Vec<String>>,
    threads: u32,
    /// Whether it is there only until its parent waits for it.
    ended: bool,
    container: Option<Container>,
    ns: &'a Slots,
    /// Those of the first process that is in sight; null where they may not be read.
    init_ns: Option<&'a Slots>,
}

#[derive(Serialize)]
struct User<'a> {
    ns: &'a NsInfo,
    owner_uid: Option<u32>,
    maps: Option<&'a Maps>,
}

#[derive(Serialize)]
struct Thread<'a> {
    tid: u32,
    comm: &'a str,
    ns: &'a Slots,
}

impl<'a> Report<'a> {
    pub(super) fn new(row: &'a ProcessRow, world: &'a World) -> Self {
        let init = world.process(1).map(|init| &init.slots);
        let process = Process {
            pid: row.pid,
            ppid: row.ppid,
            uid: row.uid,
            comm: &row.comm,
            args: enrich::running(row.pid, ARGS).map(|running| {
                let args = running.args.split(|byte| *byte == 0).filter(|arg| !arg.is_empty());
                args.map(|arg| printable(arg).0).collect()
            }),
            threads: row.count,
            ended: row.has_ended(),
            container: enrich::container_of(row.pid),
            ns: &row.slots,
            init_ns: init.filter(|slots| slots.get(Slot::Mnt).is_some()),
        };
        let user = row.slots.get(Slot::User).and_then(|ns| world.namespace(ns.kind, ns.inode));
        let users = user.map(|user| chain(user, world, |row| row.info.parent)).unwrap_or_default();
        let threads = row.threads.iter();
        Self {
            schema: SCHEMA,
            process,
            user_namespaces: users
                .into_iter()
                .map(|row| User {
                    ns: &row.info,
                    owner_uid: row.owner_uid,
                    maps: row.maps.as_ref(),
                })
                .collect(),
            threads: threads
                .map(|row| Thread { tid: row.tid, comm: &row.comm, ns: &row.slots })
                .collect(),
            unreadable: world.unreadable,
        }
    }

    pub(super) fn fill(&self, sheet: &mut Sheet) {
        let process = &self.process;
        sheet.section(&format!("process {}", process.pid));
        sheet.row(Mark::Fact, ["name", process.comm]);
        if let Some(args) = process.args.as_ref().filter(|args| !args.is_empty()) {
            sheet.row(Mark::Fact, ["command", &args.join(" ")]);
        }
        sheet.row(Mark::Fact, ["parent", &process.ppid.to_string()]);
        sheet.row(Mark::Fact, ["uid", &process.uid.to_string()]);
        sheet.row(Mark::Fact, ["threads", &process.threads.to_string()]);
        if process.ended {
            sheet.row(Mark::Notable, ["state", "has ended, its parent has not waited for it"]);
        }
        if let Some(container) = &process.container {
            sheet.row(Mark::Fact, ["container", &container.id]);
        }
        sheet.section("Namespaces");
        for slot in Slot::ALL {
            let Some(ns) = process.ns.get(slot) else {
                let none = if process.ended { "let go of" } else { "none, or not to be read" };
                sheet.row(Mark::Unknown, [slot.name(), none]);
                continue;
            };
            let (mark, note) = match process.init_ns.and_then(|init| init.get(slot)) {
                Some(init) if init == ns => (Mark::Fact, "that of init"),
                Some(_) => (Mark::Notable, "not that of init"),
                None if ns.initial => (Mark::Fact, "the initial one"),
                None => (Mark::Notable, "not the initial one"),
            };
            sheet.row(mark, [slot.name(), &ns.inode.to_string(), note]);
        }
        for user in &self.user_namespaces {
            sheet.section(&user.ns.to_ref().to_string());
            if let Some(level) = user.ns.level {
                sheet.row(Mark::Fact, ["level", &level.to_string()]);
            }
            if let Some(uid) = user.owner_uid {
                sheet.row(Mark::Fact, ["made by", &format!("uid {uid}")]);
            }
            if let Some(maps) = user.maps {
                map_rows(sheet, maps);
            }
        }
        for thread in &self.threads {
            let count =
                Slot::ALL.iter().filter(|slot| thread.ns.get(**slot) != process.ns.get(**slot));
            let count = Count(count.count() as u64, "namespace");
            sheet.section(&format!("thread {}", thread.tid));
            sheet.row(Mark::Fact, ["name", thread.comm]);
            sheet.row(Mark::Notable, ["elsewhere", &format!("in {count}")]);
            for slot in Slot::ALL {
                if let Some(ns) = thread.ns.get(slot)
                    && process.ns.get(slot) != Some(ns)
                {
                    sheet.row(Mark::Notable, [slot.name(), &ns.inode.to_string()]);
                }
            }
        }
    }
}
