//! Tests leave nothing behind.

use std::{
    collections::HashSet,
    fs,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rustix::{
    io::Errno,
    process::{WaitOptions, wait},
};
use serde_json::Value;

use crate::tracer::{PATIENCE, Tracer};

/// Checks that every namespace that this program's actors made is gone, as a tracer saw it.
pub(crate) fn expect_no_namespace(tracer: &Tracer) -> Result<()> {
    let own = std::env::current_exe()?;
    let own = own.to_string_lossy();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let events = tracer.since(0);
        let of_name = |name: &'static str| {
            let is_it = move |event: &&Arc<Value>| event["event"] == name;
            events.iter().filter(is_it)
        };
        let gone: HashSet<_> = of_name("destroy").map(|event| event["ns"].to_string()).collect();
        let made = of_name("create").filter(|event| event["process"]["exe"] == *own);
        let left: Vec<_> =
            made.map(|event| event["ns"].to_string()).filter(|ns| !gone.contains(ns)).collect();
        if left.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{} namespaces: {left:?}", left.len());
        thread::sleep(Duration::from_millis(20));
    }
}

/// Checks that no process and no file of this program is left.
pub(crate) fn expect_none() -> Result<()> {
    let child = wait(WaitOptions::NOHANG);
    ensure!(matches!(child, Err(Errno::CHILD)), "a process: {child:?}");
    let own = format!("ns-trace-test-{}", std::process::id());
    for directory in [std::env::temp_dir(), "/dev/shm".into()] {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            ensure!(!name.to_string_lossy().starts_with(&own), "{}", entry.path().display());
        }
    }
    Ok(())
}
