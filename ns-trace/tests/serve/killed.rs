//! A collector that is killed while it hands events on: a file and a webhook get all of them, some twice.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    net::{TcpListener, TcpStream},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    Collector, Test, eventually,
    pin::{Maker, expect_all, made_by, pinned, with_pins},
    sinks::{TAKEN, server},
};
use crate::{actor::syscall, context::Room, init};

pub(super) const TRIALS: [(&str, Test); 1] =
    [("serve::killed::a_file_and_a_webhook_get_every_event", every)];

/// How often it is killed.
const KILLS: usize = 5;
/// What ends the server that the webhook posts to.
const END: &str = "the end";

fn every(room: &Room) -> Result<()> {
    with_pins(|base| {
        let number = if init::is_ours() { 600 } else { 1500 };
        syscall::loopback_up()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let server = server(listener, |_, _| TAKEN, END.to_owned());
        let file = base.file().with_file_name("events");
        let config = format!(
            "{}[[sink]]\ntype = \"file\"\npath = \"{}\"\nmax_size = \"1MiB\"\nkeep = 1000\n\
             compress = false\n[[sink]]\ntype = \"webhook\"\nurl = \"http://{address}/\"\n",
            base.history(),
            file.display()
        );
        let mut collector = Collector::start_with(room, &config, &pinned(&base.pins()))?;
        let maker = Maker::start()?;
        let told = |pid| Ok::<_, anyhow::Error>(made_by(pid, &base.events()?).len());
        for kill in 0..KILLS {
            let (before, until) = (number * kill / (KILLS + 1), number * (kill + 1) / (KILLS + 1));
            maker.allow(until);
            // Some of this is handed on, more is made.
            eventually("none of this is told", || Ok(told(maker.pid)? > before))?;
            collector.kill();
            maker.wait(until)?;
            collector.run()?;
        }
        maker.make(number)?;
        let (pid, made) = (maker.pid, maker.end()?);
        eventually("not all is told", || Ok(told(pid)? == made.len()))?;
        collector.unpin()?;
        TcpStream::connect(address)?.write_all(
            format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{END}", END.len()).as_bytes(),
        )?;
        let mut posted = server.join().ok().context("the server has panicked")??;
        ensure!(posted.pop().as_deref() == Some(END), "the server has ended before");
        let events = base.events()?;
        expect_all(pid, &made, &events)?;
        expect_each("the file", &written(&file)?, &events)?;
        expect_each("the webhook", &posted, &events)
    })
}

/// The lines of a file and of those that it was before, in order.
fn written(file: &Path) -> Result<Vec<String>> {
    let mut texts = vec![fs::read_to_string(file)?];
    for number in 1.. {
        let Ok(text) = fs::read_to_string(format!("{}.{number}", file.display())) else { break };
        texts.push(text);
    }
    ensure!(texts.len() > 1, "it was never rotated");
    Ok(texts.iter().rev().flat_map(|text| text.lines()).map(str::to_owned).collect())
}

/// Checks that lines are events, and that each event of the history is among them; and that they go
/// back in time only where a collector was killed, for what may have arrived comes again. Until an
/// event is in the history the next collector may give its number to another.
fn expect_each(what: &str, lines: &[String], events: &[Arc<Value>]) -> Result<()> {
    let (mut told, mut last, mut returns) = (BTreeMap::<u64, Vec<Value>>::new(), 0, 0);
    for line in lines {
        let event: Value =
            serde_json::from_str(line).with_context(|| format!("{what} has no event: {line}"))?;
        let seq = event["seq"].as_u64().context("no number")?;
        returns += usize::from(seq <= last);
        last = seq;
        told.entry(seq).or_default().push(event);
    }
    ensure!(returns <= KILLS, "{what} goes back {returns} times");
    let is_told = |event: &Value| {
        let told = event["seq"].as_u64().and_then(|seq| told.get(&seq));
        told.is_some_and(|told| told.contains(event))
    };
    let missing: Vec<_> = events.iter().filter(|event| !is_told(event)).collect();
    ensure!(missing.is_empty(), "{what} lacks {} of {}: {missing:?}", missing.len(), events.len());
    ensure!(told.len() == events.len(), "{what} has what the history has not");
    Ok(())
}
