//! Options, columns, filters, and what is said of wrong ones.

use std::{os::unix::process::CommandExt as _, process::Command, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use super::{list, rows};
use crate::{actor::Actor, context::Context, tracer::program};

pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    vec![
        context.here("list::usage::wrong", wrong_usage_is_told),
        context.here("list::usage::link", a_link_named_lsns_is_lsns),
        context.here("list::usage::filters", filters_choose_rows),
        context.here("list::usage::columns", columns_are_known),
        context.here("list::usage::reader", a_reader_may_go_away),
    ]
}

fn wrong_usage_is_told() -> Result<()> {
    for (args, code, message) in [
        (&["-o", "TPYE"][..], 2, "unknown column: TPYE; did you mean TYPE?"),
        (&["-o", "NS,nproc"], 2, "unknown column: nproc; did you mean NPROCS?"),
        (&["-p", "abc"], 2, "invalid PID argument: 'abc'"),
        (&["-p", "0"], 2, "invalid PID argument: '0'"),
        (&["-t", "foo"], 2, "[possible values: mnt, "),
        (&["-Tfoo"], 2, "[possible values: owner, parent, process]"),
        (&["abc"], 2, "invalid namespace argument: 'abc'"),
        (&["12345"], 1, "not found namespace: 12345"),
        (&["-J", "-r"], 2, "cannot be used with"),
        (&["-P", "-p", "1"], 2, "cannot be used with"),
        (&["-l", "-T"], 2, "cannot be used with"),
        (&["-p", "1", "12345"], 2, "cannot be used with"),
        (&["-Q", "TYPE ="], 2, "failed to parse \"TYPE =\": unexpected `=`, column 6"),
        (&["-Q", "NSF"], 2, "unknown column: NSF; did you mean NS?, column 1"),
        (&["--where", "nproc > 1"], 2, "column 1: unknown field `nproc`, did you mean `nprocs`?"),
        (&["--where", "type > 1"], 2, "`>` does not work on string and int"),
    ] {
        let output = list(args)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(code), "{args:?}: {}: {errors}", output.status);
        ensure!(errors.contains(message), "{args:?}: {errors}");
        ensure!(output.stdout.is_empty(), "{args:?}: something on stdout");
    }
    Ok(())
}

fn a_link_named_lsns_is_lsns() -> Result<()> {
    let lsns = |args: &[&str]| Command::new(program()).arg0("/usr/bin/lsns").args(args).output();
    let output = lsns(&["-o", "foo"])?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "{}: {errors}", output.status);
    let output = lsns(&["-Jnl", "-tuts", "-oNS"])?;
    ensure!(output.status.success());
    let table: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(table["namespaces"][0]["ns"].is_u64(), "{table}");
    Ok(())
}

/// A row of a namespace of an actor.
fn row(args: &[&str], inode: u64) -> Result<Option<Value>> {
    Ok(rows(args)?.into_iter().find(|row| row["ns"] == inode))
}

fn inode(actor: &mut Actor, kind: &str) -> Result<u64> {
    actor.who()?.namespace(kind)?["inode"].as_u64().context("no inode")
}

fn filters_choose_rows() -> Result<()> {
    let mut actor = Actor::start()?;
    actor.act("unshare 44000000")?;
    let (uts, net) = (inode(&mut actor, "uts")?, inode(&mut actor, "net")?);
    let pid = actor.pid();
    for (args, has_uts, has_net) in [
        (&["-l", "-Q", &format!("PID == {pid}")][..], true, true),
        (&["-l", "-Q", &format!("TYPE == 'net' and PID == {pid}")], false, true),
        // `and` binds tighter than `or`.
        (
            &["-l", "-Q", &format!("TYPE == 'uts' || TYPE == 'net' && PID == {}", pid + 1)],
            true,
            false,
        ),
        (&["-l", "-Q", "NETNSID"], false, true),
        (&["-l", "-Q", "!NETNSID"], true, false),
        (&["-l", "--where", &format!("pid == {pid} && type != 'uts'")], false, true),
        (&["-l", "-o", "NS", "--where", "state == 'active' && netnsid == null"], true, false),
        (&["-l", "-t", "uts", "-t", "ipc"], true, false),
        (&["-l", "-p", &pid.to_string()], true, true),
        (&["-l", "-P"], false, false),
    ] {
        let found = (row(args, uts)?.is_some(), row(args, net)?.is_some());
        ensure!(found == (has_uts, has_net), "{args:?}: {found:?}");
    }
    // With an inode lsns fails.
    let uts = uts.to_string();
    let filter = format!("PID == {pid} && PPID == {}", std::process::id());
    let found = rows(&["-l", "-Q", &filter, &uts])?;
    ensure!(found.len() == 1 && found[0]["pid"] == pid, "{found:?}");
    let found = rows(&["-l", "-Q", "PID == 1", &uts])?;
    ensure!(found.is_empty(), "{found:?}");
    actor.end()
}

fn columns_are_known() -> Result<()> {
    let mut actor = Actor::start()?;
    actor.act("unshare 4000000")?;
    let uts = inode(&mut actor, "uts")?;
    let found = row(&["-l", "--output-all"], uts)?.context("no such row")?;
    for (key, value) in [("type", "uts"), ("state", "active")] {
        ensure!(found[key] == value, "{key}: {found}");
    }
    ensure!(found["nthreads"] == 1 && found["born"].is_null(), "{found}");
    let listed = list(&["-H"])?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for key in found.as_object().context("no object")?.keys() {
        let has = |line: &str| line.starts_with(&format!("{} ", key.to_uppercase()));
        ensure!(listed.lines().any(has), "-H does not list {key}");
    }
    let found = row(&["-l", "-o", "NS", "-o", "+STATE,CONTAINER"], uts)?.context("no such row")?;
    ensure!(found["command"].is_string() && found["state"] == "active", "{found}");
    actor.end()
}

fn a_reader_may_go_away() -> Result<()> {
    let mut command = Command::new(program());
    let mut child = command
        .args(["list", "-o", "+PATH,PATH,PATH,PATH"])
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    drop(child.stdout.take());
    let status = child.wait()?;
    ensure!(status.success(), "{status}");
    Ok(())
}
