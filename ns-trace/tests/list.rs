//! `ns-trace list`: what lsns shows, and what it does not.

mod churn;
mod crowd;
mod held;
mod peer;
mod usage;
mod watch;

use std::{
    process::{Command, Output},
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

pub(crate) use self::crowd::Crowd;
use crate::{context::Context, tracer::program};

/// The trials of this file: they look at the kernel through no probe, so once is enough.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let trials = [usage::trials, held::trials, churn::trials, peer::trials, watch::trials];
    trials.into_iter().flat_map(|trials| trials(context)).collect()
}

/// Runs `ns-trace list`.
pub(crate) fn list(args: &[&str]) -> Result<Output> {
    Ok(Command::new(program()).arg("list").args(args).output()?)
}

/// The rows of `ns-trace list -J`.
pub(crate) fn rows(args: &[&str]) -> Result<Vec<Value>> {
    let output = list(&[&["-J"], args].concat())?;
    table(&output).with_context(|| format!("list -J {args:?}"))
}

/// The rows of a table in JSON.
pub(crate) fn table(output: &Output) -> Result<Vec<Value>> {
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {errors}", output.status);
    let table: Value = serde_json::from_slice(&output.stdout)?;
    Ok(table["namespaces"].as_array().context("no rows")?.clone())
}
