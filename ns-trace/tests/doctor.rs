//! `ns-trace doctor`: what it says is so, and it leaves nothing behind.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    process::{Command, Output},
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::{
    context::{self, Context, Room},
    tracer::program,
};

/// Somebody without any right.
const NOBODY: u32 = 65534;

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = vec![
        context.once("doctor::agrees_with_the_kernel", agrees_with_the_kernel),
        context.once("doctor::text_and_json_agree", text_and_json_agree),
        context.once("doctor::works_without_privileges", works_without_privileges),
        context.once("doctor::offsets_are_named", offsets_are_named),
        context.once("doctor::a_file_that_is_no_btf", a_file_that_is_no_btf),
        context.once("doctor::leaves_no_mount", leaves_no_mount),
    ];
    trials.extend(context.per_backend("doctor::knows_what_runs", knows_what_runs));
    trials
}

fn doctor(args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("doctor").args(args).env("LC_ALL", "C");
    command
}

fn report(output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout).context("the report is no JSON")
}

fn agrees_with_the_kernel() -> Result<()> {
    let output = doctor(&["-J"]).output()?;
    let report = report(&output)?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    ensure!(report["schema"] == "ns-trace-doctor/1");
    ensure!(report["kernel"]["release"] == release.trim());
    for namespace in report["process"]["namespaces"].as_array().context("no namespaces")? {
        let kind = namespace["type"].as_str().context("no type")?;
        let link = fs::read_link(format!("/proc/self/ns/{kind}"))?;
        let told = format!("{kind}:[{}]", namespace["inode"]);
        ensure!(link.to_string_lossy() == told, "{told} is {}", link.display());
    }
    let status = match report["verdict"]["status"].as_str() {
        Some("ready") => 0,
        Some("privileges") => 3,
        _ => 4,
    };
    ensure!(output.status.code() == Some(status), "{} for {status}", output.status);
    Ok(())
}

fn text_and_json_agree() -> Result<()> {
    let report = report(&doctor(&["--json"]).output()?)?;
    let text = String::from_utf8(doctor(&[]).output()?.stdout)?;
    ensure!(text.is_ascii(), "LC_ALL=C, and still: {text}");
    ensure!(!text.contains('\u{1b}'), "colours without a terminal");
    let sentence = report["verdict"]["sentence"].as_str().context("no sentence")?;
    ensure!(text.contains(sentence), "no `{sentence}` in: {text}");
    for capability in report["process"]["capabilities"].as_array().context("none")? {
        let name = capability["name"].as_str().context("no name")?;
        let held = if capability["held"] == true { "held" } else { "missing" };
        let line = text.lines().find(|line| line.contains(&format!("{name} ")));
        ensure!(line.is_some_and(|line| line.contains(held)), "{name}: {line:?}");
    }
    Ok(())
}

/// Nobody may execute the program where it was built: a copy lies where everybody may.
fn works_without_privileges() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("ns-trace-doctor-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let copy = folder.join("ns-trace");
    fs::copy(program(), &copy)?;
    let mut command = Command::new(&copy);
    let output = command.args(["doctor", "-J"]).uid(NOBODY).gid(NOBODY).current_dir("/").output();
    fs::remove_dir_all(&folder)?;
    let output = output?;
    let report = report(&output)?;
    ensure!(report["process"]["euid"] == NOBODY);
    // Where the kernel has nothing to offer anyway, privileges would not help.
    let code = output.status.code();
    ensure!(code == Some(3) || code == Some(4), "{code:?}");
    ensure!(report["verdict"]["backend"].is_null());
    ensure!(report["btf"]["self_check"].is_null(), "checked without a right to");
    ensure!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn offsets_are_named() -> Result<()> {
    let output = doctor(&["--offsets"]).output()?;
    ensure!(output.status.success());
    let text = String::from_utf8(output.stdout)?;
    for line in text.lines() {
        let (name, value) = line.split_once(' ').context("not a name and a value")?;
        ensure!(value == "absent" || value.parse::<u32>().is_ok(), "{name} is {value}");
    }
    for name in ["namespaces.net.owner", "nsproxy.time_for_children", "task_nsproxy"] {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        ensure!(line.is_some_and(|line| !line.ends_with("absent")), "{name}: {line:?}");
    }
    Ok(())
}

fn a_file_that_is_no_btf() -> Result<()> {
    let output = doctor(&["-J", "--btf", "/proc/version"]).output()?;
    ensure!(output.status.code() == Some(4), "{}", output.status);
    let report = report(&output)?;
    let error = report["btf"]["error"].as_str().context("no error")?;
    ensure!(error.contains("/proc/version") && error.contains("not BTF"), "{error}");
    ensure!(report["coverage"].is_null());
    let output = doctor(&["--offsets", "--btf", "/no/such/file"]).output()?;
    ensure!(output.status.code() == Some(4) && output.stdout.is_empty(), "{output:?}");
    Ok(())
}

fn leaves_no_mount() -> Result<()> {
    let mounts = || fs::read_to_string("/proc/self/mountinfo");
    let before = mounts()?;
    doctor(&[]).output()?;
    ensure!(before == mounts()?, "the mounts differ");
    Ok(())
}

/// A backend that the tests run on is one that the doctor says can run.
fn knows_what_runs(room: &Room) -> Result<()> {
    let report = context::doctor()?;
    let backends = report["backends"].as_array().context("no backends")?;
    let own = backends.iter().find(|backend| backend["name"] == room.backend());
    let own = own.context("the backend is not there")?;
    ensure!(own["available"] == true && own["obstacle"].is_null(), "{own}");
    for hook in own["hooks"].as_array().context("no hooks")? {
        ensure!(hook["present"] == true, "{hook}");
    }
    ensure!(report["btf"]["self_check"] == true);
    let rows = report["coverage"].as_array().context("no table")?;
    for row in rows {
        let cell = &row[room.backend()];
        ensure!((cell["sight"] == "exact") == cell["note"].is_null(), "{row}");
    }
    Ok(())
}
