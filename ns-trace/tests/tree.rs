//! `ns-trace tree`: what lies below what.

use std::{process::Command, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::{actor::Actor, context::Context, list::table, tracer::program};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    vec![
        context.once("tree::owner", by_owner),
        context.once("tree::parent", by_parent),
        context.once("tree::process", by_process),
    ]
}

fn tree(args: &[&str]) -> Result<Vec<Value>> {
    table(&Command::new(program()).args(["tree", "-J"]).args(args).output()?)
}

/// The row of a namespace, and the inode of the one that it lies below.
fn find<'v>(rows: &'v [Value], above: &'v Value, inode: u64) -> Option<(&'v Value, &'v Value)> {
    rows.iter().find_map(|row| {
        let children = row["children"].as_array().map_or(&[][..], Vec::as_slice);
        if row["ns"] == inode { Some((row, above)) } else { find(children, &row["ns"], inode) }
    })
}

fn inode(actor: &mut Actor, kind: &str) -> Result<u64> {
    actor.who()?.namespace(kind)?["inode"].as_u64().context("no inode")
}

fn by_owner() -> Result<()> {
    let mut actor = Actor::start()?;
    actor.act("unshare 10000000")?;
    actor.become_root()?;
    let outer = inode(&mut actor, "user")?;
    actor.act("unshare 4000000")?;
    let uts = inode(&mut actor, "uts")?;
    actor.act("unshare 10000000")?;
    actor.become_root()?;
    let inner = inode(&mut actor, "user")?;
    let rows = tree(&[])?;
    for (namespace, owner) in [(uts, outer), (inner, outer)] {
        let (row, above) = find(&rows, &Value::Null, namespace).context("no such namespace")?;
        ensure!(*above == owner, "{row} lies below {above}, not {owner}");
    }
    // Nobody is in it any more, it is there only for what it owns.
    let (row, _) = find(&rows, &Value::Null, outer).context("no such namespace")?;
    ensure!(row["nprocs"] == 0 && row["pid"].is_null(), "{row}");
    actor.end()
}

fn by_parent() -> Result<()> {
    let mut actor = Actor::start()?;
    actor.task("clone 20000000")?;
    let outer = inode(&mut actor, "pid")?;
    actor.task("clone 20000000")?;
    let inner = inode(&mut actor, "pid")?;
    let rows = tree(&["parent", "-t", "pid", "-o", "NS,PNS,TYPE"])?;
    let (row, above) = find(&rows, &Value::Null, inner).context("no such namespace")?;
    ensure!(*above == outer && row["pns"] == outer && row["type"] == "pid", "{row} below {above}");
    ensure!(rows.iter().all(|row| row["type"] == "pid"), "other types");
    actor.end()
}

fn by_process() -> Result<()> {
    let mut actor = Actor::start()?;
    actor.task("clone 4000000")?;
    let outer = inode(&mut actor, "uts")?;
    actor.task("clone 4000000")?;
    let inner = inode(&mut actor, "uts")?;
    let rows = tree(&["process"])?;
    let (row, above) = find(&rows, &Value::Null, inner).context("no such namespace")?;
    // As with lsns a row lies below one before it, and inodes that are used again may be lower.
    let expected = if outer < inner { Value::from(outer) } else { Value::Null };
    ensure!(*above == expected, "{row} lies below {above}, not {expected}");
    actor.end()
}
