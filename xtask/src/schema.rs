//! `xtask schema`: rewrites the checked-in schema, CLI reference and man pages.
//!
//! The types are the source. Tests named `fresh` compare the files with them; with
//! `NS_TRACE_BLESS=1` in the environment the same tests write the files instead.

use std::process::ExitCode;

use anyhow::Result;

use crate::{command, setup, usage};

/// Runs the verb.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    if !args.is_empty() {
        return Ok(usage());
    }
    setup::for_build()?;
    let mut tests = command::cargo(["test", "--package", "ns-trace", "--lib", "fresh"])?;
    command::run(tests.env("NS_TRACE_BLESS", "1"))?;
    Ok(ExitCode::SUCCESS)
}
