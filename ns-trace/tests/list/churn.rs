//! Processes that come and go during the look.

use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use super::list;
use crate::{context::Context, init, tracer::program};

pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    vec![context.once("list::churn", every_listing_is_whole)]
}

/// lsns fails now and then when a process ends while it looks (util-linux#2799).
fn every_listing_is_whole() -> Result<()> {
    // A machine that is emulated takes ten times as long for each.
    let listings = if init::is_init() { 30 } else { 300 };
    let stop = AtomicBool::new(false);
    let fork = || {
        let mut forked = 0;
        while !stop.load(Ordering::Relaxed) {
            let mut command = Command::new(program());
            let command = command.arg("--version").stdout(Stdio::null());
            if command.status().is_ok() {
                forked += 1;
            }
        }
        forked
    };
    let (outcome, forked): (Result<()>, u32) = thread::scope(|scope| {
        let forkers = [scope.spawn(fork), scope.spawn(fork)];
        let outcome = (0..listings).try_for_each(|_| listing());
        stop.store(true, Ordering::Relaxed);
        (outcome, forkers.into_iter().filter_map(|forker| forker.join().ok()).sum())
    });
    outcome?;
    ensure!(forked > listings, "only {forked} processes came and went");
    Ok(())
}

fn listing() -> Result<()> {
    let output = list(&["-n"])?;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {errors}", output.status);
    // The initial ones at least.
    ensure!(text.lines().count() >= 7, "{text}");
    Ok(())
}
