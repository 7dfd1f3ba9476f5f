//! Side by side with lsns.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{Crowd, list, table};
use crate::{context::Context, init};

/// The columns that every version of lsns has.
const COLUMNS: &str = "NS,TYPE,PATH,NPROCS,PID,PPID,COMMAND,UID,USER,NETNSID,NSFS,PNS,ONS";

/// How many families of how many members: on machines that are emulated, and elsewhere.
const FEW: (usize, usize) = (2, 10);
const MANY: (usize, usize) = (10, 30);

#[expect(clippy::print_stdout, reason = "whoever skips says why")]
pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let has_lsns = Command::new("lsns").arg("--version").output().is_ok();
    let trials = vec![
        context.once("list::peer::same_rows", same_rows),
        context.once("list::peer::same_processes", same_processes),
        context.once("list::peer::same_order", same_order),
        context.once("list::peer::same_text", same_text),
    ];
    if !has_lsns {
        println!("skipped: list::peer: there is no lsns here");
    }
    let ignore = |trial: Trial| {
        let is_ignored = !has_lsns || trial.has_ignored_flag();
        trial.with_ignored_flag(is_ignored)
    };
    trials.into_iter().map(ignore).collect()
}

/// How often lsns is asked.
const TRIES: u32 = 100;

/// Such a crowd at a time: two would be in each other's way.
static ROOM: Mutex<()> = Mutex::new(());

/// Asks it until it answers: it fails now and then when a process ends while it looks.
fn lsns(args: &[&str]) -> Result<Output> {
    for _ in 0..TRIES {
        let output = Command::new("lsns").args(args).output()?;
        if output.status.success() {
            return Ok(output);
        }
    }
    bail!("lsns {args:?} fails whenever it is asked")
}

/// A row as a line of a flat list: its cells, and the namespace that it lies below.
fn flat(rows: &[Value], above: &Value, crowd: &Crowd, out: &mut BTreeMap<String, Value>) {
    for row in rows {
        let mut cells = row.clone();
        let children = cells.as_object_mut().and_then(|cells| cells.remove("children"));
        // The others on this machine come and go.
        if row["pid"].as_u64().is_some_and(|pid| crowd.pids.contains(&pid)) {
            let key = format!("{}:{}", row["ns"], row["pid"]);
            out.insert(key, json!({ "cells": cells, "above": above }));
        }
        let children = children.as_ref().and_then(Value::as_array);
        flat(children.map_or(&[], Vec::as_slice), &row["ns"], crowd, out);
    }
}

fn crowd_rows(output: &Output, crowd: &Crowd) -> Result<BTreeMap<String, Value>> {
    let mut rows = BTreeMap::new();
    flat(&table(output)?, &Value::Null, crowd, &mut rows);
    Ok(rows)
}

fn same_rows() -> Result<()> {
    let _alone = ROOM.lock();
    let (families, members) = if init::is_init() { FEW } else { MANY };
    let crowd = Crowd::gather(families, members)?;
    let least = families * members * 10 / 3;
    for args in [
        &["-J", "-o", COLUMNS][..],
        &["-J", "-l", "-o", COLUMNS],
        &["-J", "-Towner", "-o", COLUMNS],
        &["-J", "-Tparent", "-o", COLUMNS],
        &["-J", "-T=process"],
        &["-J"],
        &["-J", "--list", "--output=ns,type,+", "-o", "+PATH,ppid"],
        // Without the column that the tree is shown in.
        &["-J", "-o", "NS,TYPE,PID,USER"],
        &["-J", "-t", "net"],
        &["-J", "-t", "net", "-t", "user", "-t", "pid", "-o", COLUMNS],
    ] {
        // Not all words that lsns understands make sense.
        let args: Vec<_> = args.iter().copied().filter(|word| !word.ends_with(",+")).collect();
        let theirs = crowd_rows(&lsns(&args)?, &crowd).with_context(|| format!("lsns {args:?}"))?;
        let ours = crowd_rows(&list(&args)?, &crowd).with_context(|| format!("list {args:?}"))?;
        for (key, row) in &theirs {
            ensure!(ours.get(key) == Some(row), "{args:?}: {:?}, lsns {row}", ours.get(key));
        }
        ensure!(ours.len() == theirs.len(), "{args:?}: {} rows, lsns {}", ours.len(), theirs.len());
        let is_part = args.contains(&"-t");
        ensure!(is_part || ours.len() >= least, "{args:?}: {} rows only", ours.len());
    }
    let types: BTreeSet<_> = crowd_rows(&list(&["-J"])?, &crowd)?
        .values()
        .map(|row| row["cells"]["type"].to_string())
        .collect();
    ensure!(types.len() == 8, "not all types: {types:?}");
    crowd.end()
}

fn same_processes() -> Result<()> {
    let _alone = ROOM.lock();
    let crowd = Crowd::gather(1, 5)?;
    for kind in ["uts", "time", "pid"] {
        for pid in &crowd.pids {
            let link = std::fs::read_link(format!("/proc/{pid}/ns/{kind}"))?;
            // Where others come and go the lists differ.
            if link == std::fs::read_link(format!("/proc/self/ns/{kind}"))? {
                continue;
            }
            let inode =
                link.to_string_lossy().trim_matches(|c: char| !c.is_ascii_digit()).to_owned();
            for args in [&["-J", &inode][..], &["-J", "-l", &inode], &["-J", &inode, "-o", COLUMNS]]
            {
                let theirs = table(&lsns(args)?)?;
                let ours = table(&list(args)?)?;
                let (first, their_first) = (ours.first(), theirs.first());
                ensure!(ours == theirs, "{args:?}: {first:?}, lsns {their_first:?}");
                ensure!(first.is_some(), "{args:?}: nobody");
            }
        }
    }
    crowd.end()
}

/// Namespaces from the first line to the last: those of the crowd, and the initial ones, whose inodes
/// are the lowest.
fn order(rows: &[Value], crowd: &Crowd, out: &mut Vec<u64>) {
    /// Where the kernel begins to count (`include/linux/proc_ns.h`, `include/uapi/linux/nsfs.h`).
    const FIRST: std::ops::Range<u64> = 0xEFFF_FFF7..0xF000_0000;
    for row in rows {
        let is_crowd = row["pid"].as_u64().is_some_and(|pid| crowd.pids.contains(&pid));
        let inode = row["ns"].as_u64();
        out.extend(inode.filter(|inode| is_crowd || FIRST.contains(inode)));
        order(row["children"].as_array().map_or(&[], Vec::as_slice), crowd, out);
    }
}

/// Trees begin with the same roots, and nothing is among its siblings where lsns has it not.
fn same_order() -> Result<()> {
    let _alone = ROOM.lock();
    let crowd = Crowd::gather(2, 4)?;
    for tree in ["-T", "-Towner", "-Tparent", "-Tprocess"] {
        let args = ["-J", tree, "-o", COLUMNS];
        let [mut theirs, mut ours] = [Vec::new(), Vec::new()];
        order(&table(&lsns(&args)?)?, &crowd, &mut theirs);
        order(&table(&list(&args)?)?, &crowd, &mut ours);
        ensure!(ours == theirs, "{tree}: {ours:?}, lsns {theirs:?}");
        ensure!(ours.len() > 16, "{tree}: {ours:?} only");
    }
    crowd.end()
}

/// What does not change while others come and go is the same, word for word.
///
/// Not blank for blank: lsns now and then makes a column wider than all that it prints in it.
fn same_text() -> Result<()> {
    let _alone = ROOM.lock();
    let crowd = Crowd::gather(1, 3)?;
    let pid = crowd.pids.last().context("nobody")?.to_string();
    for args in [
        &["-l", "-p", &pid, "-o", "NS,TYPE,PID,PPID,USER,COMMAND,PATH,NSFS"][..],
        &["-l", "-r", "-p", &pid, "-o", "NS,NSFS,TYPE,PID,PPID,USER,COMMAND,PATH"],
        &["-ln", "-t", "uts", "-p", &pid],
        &["-t", "uts", "-p", &pid, "-o", "COMMAND,NSFS,NETNSID,UID"],
        &["-t", "uts", "-p", &pid, "--json", "--output-a", "--output", "NS,pns,Ons"],
        &["-p", "4194304"],
        &["-J", "-p", "4194304"],
        &["-Wunl", "-t", "ipc", "-p", &pid],
    ] {
        let (theirs, ours) = (lsns(args)?, list(args)?);
        let [theirs, ours] = [theirs, ours].map(|output| {
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        });
        let words = |told: &(Option<i32>, String)| {
            let lines = told.1.lines().map(|line| line.split_whitespace().map(str::to_owned));
            (told.0, lines.map(Iterator::collect::<Vec<_>>).collect::<Vec<_>>())
        };
        ensure!(words(&ours) == words(&theirs), "{args:?}:\n{}\nlsns:\n{}", ours.1, theirs.1);
    }
    crowd.end()
}
