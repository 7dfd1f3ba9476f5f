//! `ns-trace list --watch`: the list again, with what only the probes know.

use std::{
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Deserializer, Value};

use crate::{
    actor::Actor,
    context::Context,
    tracer::{PATIENCE, program},
};

pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    vec![
        context.once("list::watch::births_and_deaths", births_and_deaths_are_shown),
        context.once("list::watch::reader", it_ends_with_its_reader),
    ]
}

/// A list that is being watched; told to end when dropped.
struct Watched {
    child: Child,
    tables: Receiver<Value>,
}

impl Watched {
    fn start(args: &[&str]) -> Result<Self> {
        let mut command = Command::new(program());
        command.args(["list", "--watch", "-Jl", "-t", "uts"]).args(args).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let output = child.stdout.take().context("no pipe")?;
        let (sender, tables) = channel();
        thread::spawn(move || {
            for table in Deserializer::from_reader(output).into_iter() {
                let (Ok(table), sender) = (table, &sender) else { return };
                if sender.send(table).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, tables })
    }

    /// The row of a namespace as soon as it is as wanted.
    fn row(&self, inode: u64, is_wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        loop {
            let table = self.tables.recv_timeout(PATIENCE);
            let table: Value =
                table.with_context(|| format!("no table; the last row was {last}"))?;
            let rows = table["namespaces"].as_array().context("no rows")?;
            let Some(row) = rows.iter().find(|row| row["ns"] == inode) else { continue };
            if is_wanted(row) {
                return Ok(row.clone());
            }
            last = row.clone();
        }
    }

    /// Interrupts it, which is how it is left.
    fn end(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no process")?, Signal::INT)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}");
        Ok(())
    }
}

fn births_and_deaths_are_shown() -> Result<()> {
    let watched = Watched::start(&["-o", "NS,STATE,PID,CREATOR,CAUSE,AGE,BORN", "--dead", "1h"])?;
    // From the first table on births are seen. To load every probe while others fill the processors
    // takes an emulated machine longer than anything else here.
    watched.tables.recv_timeout(4 * PATIENCE)?;
    let mut actor = Actor::start()?;
    actor.act("unshare 4000000")?;
    let task = actor.who()?;
    let inode = task.namespace("uts")?["inode"].as_u64().context("no inode")?;
    let row = watched.row(inode, |row| row["cause"] == "unshare")?;
    let creator = row["creator"].as_str().unwrap_or_default();
    ensure!(creator.ends_with(&format!("({})", task.pid)), "{row}");
    ensure!(row["state"] == "active" && row["pid"] == task.pid, "{row}");
    ensure!(row["age"].is_u64() && row["born"].is_string(), "{row}");
    actor.end()?;
    let dead = watched.row(inode, |row| row["state"] == "dead" && row["creator"] == creator)?;
    ensure!(dead["pid"].is_null() && dead["born"] == row["born"], "{dead}");
    watched.end()
}

fn it_ends_with_its_reader() -> Result<()> {
    let mut command = Command::new(program());
    command.args(["list", "--watch", "-n", "-t", "uts", "-o", "NS,AGE,NPROCS,PID"]);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    drop(child.stdout.take());
    let status = child.wait()?;
    ensure!(status.success(), "{status}");
    Ok(())
}
