//! `xtask btf`: prints where a kernel keeps what the probes read, or cuts that from its BTF.

mod payload;

use std::{
    fs,
    path::{Path, PathBuf, absolute},
    process::ExitCode,
};

use anyhow::{Context as _, Result};

use crate::{command, setup, usage, vm};

/// The test that cuts (ns-trace/src/probe/fixtures/cut.rs).
const CUT: &str = "probe::fixtures::cut::a_cut_answers_as_the_whole_does";

/// Runs the verb: about the running kernel, or about the BTF file that is named.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    if let [cut, kernel, output] = args
        && cut == "cut"
    {
        return self::cut(kernel, output.as_ref());
    }
    let mut doctor = command::cargo(["run", "--quiet", "--package", "ns-trace", "--"])?;
    doctor.args(["doctor", "--offsets"]);
    match args {
        [] => {}
        [file] => {
            // cargo runs in the root of the repository, we in the directory of the user.
            let file = fs::canonicalize(file).with_context(|| format!("cannot open {file}"))?;
            doctor.arg("--btf").arg(file);
        }
        _ => return Ok(usage()),
    }
    setup::for_build()?;
    command::run(&mut doctor)?;
    Ok(ExitCode::SUCCESS)
}

/// Cuts what the probes ask of a kernel, and leaves it in a file.
fn cut(kernel: &str, output: &Path) -> Result<ExitCode> {
    setup::for_build()?;
    let file = match vm::release(kernel) {
        Some(release) => release?,
        None => PathBuf::from(kernel),
    };
    let data = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let types = payload::types(&data)
        .with_context(|| format!("cannot get the BTF of {}", file.display()))?;
    let whole = command::target()?.join("btf");
    fs::write(&whole, types).with_context(|| format!("cannot write {}", whole.display()))?;
    let mut test = command::cargo([
        "test",
        "--quiet",
        "--package",
        "ns-trace",
        "--lib",
        CUT,
        "--",
        "--exact",
    ])?;
    // The test runs in the directory of its package.
    command::run(test.env("NS_TRACE_CUT", &whole).env("NS_TRACE_CUT_TO", absolute(output)?))?;
    let size = fs::metadata(output).with_context(|| format!("no {}", output.display()))?.len();
    println!("{}: {size} bytes", output.display());
    Ok(ExitCode::SUCCESS)
}
