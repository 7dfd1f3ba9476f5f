//! Namespaces that nobody is in.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;

use super::rows;
use crate::{actor::Actor, context::Context};

/// Neither root nor anybody.
const UID: u32 = 65533;

pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    vec![
        context.once("list::held::by_file", a_file_holds_one),
        context.once("list::held::user", the_user_is_the_owner_s),
    ]
}

fn inode(actor: &mut Actor) -> Result<u64> {
    actor.who()?.namespace("uts")?["inode"].as_u64().context("no inode")
}

fn a_file_holds_one() -> Result<()> {
    let mut actor = Actor::start()?;
    let before = actor.number("open /proc/self/ns/uts")?;
    actor.act("unshare 4000000")?;
    let held = inode(&mut actor)?;
    let file = actor.number("open /proc/self/ns/uts")?;
    actor.act(&format!("setns {before} 0"))?;
    for args in [&["-l", "-P", "-o", "+HOLDERS,STATE"][..], &["-l", "-o", "+STATE,HOLDERS"]] {
        let rows = rows(args)?;
        let row = rows.iter().find(|row| row["ns"] == held).context("not listed")?;
        ensure!(row["nprocs"] == 0 && row["pid"].is_null(), "{row}");
        ensure!(row["holders"] == "fd:1" && row["state"] == "held", "{row}");
        ensure!(row["user"] == "root", "{row}");
    }
    let active = rows(&["-l", "-P"])?;
    ensure!(active.iter().all(|row| row["nprocs"] == 0), "-P lists some that have processes");
    actor.act(&format!("close {file}"))?;
    actor.end()
}

/// For lsns it is root who owns whatever nobody is in.
fn the_user_is_the_owner_s() -> Result<()> {
    let mut actor = Actor::start()?;
    actor.act(&format!("user {UID}"))?;
    actor.act("unshare 14000000")?;
    let before = actor.number("open /proc/self/ns/uts")?;
    actor.act("unshare 4000000")?;
    let held = inode(&mut actor)?;
    actor.number("open /proc/self/ns/uts")?;
    actor.act(&format!("setns {before} 0"))?;
    let rows = rows(&["-l", "-P", "-o", "+UID,ONS"])?;
    let row = rows.iter().find(|row| row["ns"] == held).context("not listed")?;
    ensure!(row["uid"] == UID, "{row}");
    let owner = actor.who()?.namespace("user")?["inode"].clone();
    ensure!(row["ons"] == owner, "{row}, not {owner}");
    actor.end()
}
