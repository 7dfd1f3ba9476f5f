//! `xtask btf`: prints where a kernel keeps what the probes read, or cuts that from its BTF.

mod payload;

use std::{
    fs,
    path::{Path, PathBuf, absolute},
    process::ExitCode,
};

use anyhow::{Context as _, Result, ensure};

use crate::{command, setup, usage, vm};

/// The BTF of the running kernel.
const OWN: &str = "/sys/kernel/btf/vmlinux";

/// Where the fixtures are.
const PLACE: &str = "ns-trace/src/probe/fixtures";

/// Each with the kernel to cut it from, and how the release of that begins: archives go on.
const FIXTURES: [(&str, &str, &str); 7] = [
    ("5.10-x86_64", "5.10", "5.10."),
    ("6.1-x86_64", "6.1", "6.1."),
    ("6.12-x86_64", "6.12", "6.12."),
    ("6.18-x86_64", OWN, "6.18."),
    ("7.2-x86_64", "7", "7.2."),
    ("6.12-aarch64", "6.12-arm64", "6.12."),
    ("7.2-aarch64", "7-arm64", "7.2."),
];

/// The test that cuts (ns-trace/src/probe/fixtures/cut.rs).
const CUT: &str = "probe::fixtures::cut::a_cut_answers_as_the_whole_does";

/// Runs the verb: about the running kernel, or about the BTF file that is named.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["cut"] => return cut_all(),
        ["cut", kernel, output] => {
            setup::for_build()?;
            cut(&find(kernel)?, output.as_ref())?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
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

/// Cuts every fixture again from the kernel that it is named after.
fn cut_all() -> Result<ExitCode> {
    setup::for_build()?;
    let mut failed = ExitCode::SUCCESS;
    for (fixture, kernel, version) in FIXTURES {
        let output = command::root()?.join(PLACE).join(format!("{fixture}.btf"));
        let file = find(kernel).and_then(|file| {
            let release = release(&file)?;
            ensure!(release.starts_with(version), "{kernel} is {release} here, not {version}");
            Ok(file)
        });
        if let Err(error) = file.and_then(|file| cut(&file, &output)) {
            println!("{fixture}: {error:#}");
            failed = ExitCode::FAILURE;
        }
    }
    Ok(failed)
}

/// The file that is meant.
fn find(kernel: &str) -> Result<PathBuf> {
    vm::kernel(kernel).unwrap_or_else(|| Ok(PathBuf::from(kernel)))
}

/// The release of a kernel, from the name of its file or its directory.
fn release(file: &Path) -> Result<String> {
    if file == Path::new(OWN) {
        return Ok(fs::read_to_string("/proc/sys/kernel/osrelease")?);
    }
    let mut names = file.iter().rev().filter_map(|name| name.to_str());
    let name = names.find(|name| *name != "vmlinuz").context("a file without a name")?;
    Ok(name.trim_start_matches("vmlinuz-").to_owned())
}

/// Cuts what the probes ask of a kernel, and leaves it in a file.
fn cut(file: &Path, output: &Path) -> Result<()> {
    let data = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
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
    Ok(())
}
