//! One namespace.

use serde::Serialize;

use super::{SCHEMA, chain, map_rows};
use crate::{
    cmd::why::{held_by, members_of},
    model::{Cause, Creator, Maps, NsInfo, NsRef, NsRow, World, printable},
    view::{
        keeper::{Keeper, Member},
        sheet::{Mark, Sheet},
    },
};

/// What is shown.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    schema: &'static str,
    ns: &'a NsInfo,
    owner_uid: Option<u32>,
    /// The owner, its owner and so on, as far as they are in sight.
    owners: Vec<NsRef>,
    /// The parent, its parent and so on; of pid and user namespaces only.
    parents: Vec<NsRef>,
    netnsid: Option<i32>,
    maps: Option<&'a Maps>,
    nsfs: Vec<String>,
    creator: Option<&'a Creator>,
    cause: Option<Cause>,
    threads: u32,
    processes: Vec<Member>,
    holders: Vec<Keeper>,
    unreadable: u32,
}

impl<'a> Report<'a> {
    pub(super) fn new(row: &'a NsRow, world: &World) -> Self {
        let names = |rows: Vec<&NsRow>| rows.iter().skip(1).map(|row| row.info.to_ref()).collect();
        Self {
            schema: SCHEMA,
            ns: &row.info,
            owner_uid: row.owner_uid,
            owners: names(chain(row, world, |row| row.info.owner)),
            parents: names(chain(row, world, |row| row.info.parent)),
            netnsid: row.netnsid,
            maps: row.maps.as_ref(),
            nsfs: row
                .nsfs
                .iter()
                .map(|path| printable(path.as_os_str().as_encoded_bytes()).0)
                .collect(),
            creator: row.creator.as_deref(),
            cause: row.cause,
            threads: row.threads,
            processes: Member::of(row, world),
            holders: row.holders.iter().map(|holder| Keeper::new(holder, world)).collect(),
            unreadable: world.unreadable,
        }
    }

    pub(super) fn fill(&self, sheet: &mut Sheet) {
        let ns = self.ns.to_ref();
        sheet.section(&ns.to_string());
        let mut fact = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                sheet.row(Mark::Fact, [name, &value]);
            }
        };
        fact("type", Some(ns.kind.name().to_owned()));
        fact("inode", Some(ns.inode.to_string()));
        fact("id", ns.id.map(|id| id.to_string()));
        fact("initial", ns.initial.then(|| "yes".to_owned()));
        fact("level", self.ns.level.map(|level| level.to_string()));
        fact("parent", through(&self.parents));
        fact("owner", through(&self.owners));
        fact("made by", self.owner_uid.map(|uid| format!("uid {uid}, or on its behalf")));
        fact("netnsid", self.netnsid.filter(|id| *id >= 0).map(|id| id.to_string()));
        fact("threads", Some(self.threads.to_string()));
        for path in &self.nsfs {
            fact("mounted at", Some(path.clone()));
        }
        if let Some(maps) = self.maps {
            sheet.section("Maps");
            map_rows(sheet, maps);
        }
        members_of(sheet, &self.processes);
        held_by(sheet, &self.holders);
    }
}

/// `user:1, whose is user:2`: from the near to the far.
fn through(names: &[NsRef]) -> Option<String> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| names.join(" < "))
}
