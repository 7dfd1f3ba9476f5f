//! `ns-trace exec`: what nsexec(1) is documented to do.

use std::{fs, sync::Arc};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use crate::{
    context::Context,
    stage::{apart, has, own, run},
    tracer::program,
};

/// The trials of this file.
#[expect(clippy::print_stdout, reason = "whoever skips says why")]
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let trial = |name: &str, test: fn() -> Result<()>| {
        context.once(&format!("exec::{name}"), move || apart(test))
    };
    let has_shell = has("/bin/sh");
    if !has_shell {
        println!("skipped: exec with programs that are scripts: there is no /bin/sh");
    }
    vec![
        trial("plans", plans),
        trial("usage", usage),
        trial("namespaces_by_both_calls", namespaces).with_ignored_flag(!has_shell),
        trial("waits_for_a_line", waits).with_ignored_flag(!has_shell),
    ]
}

fn plans() -> Result<()> {
    let plan = own(&["exec", "-cmp", "-f", "4000000", "-W", "-s5", "-S6", "--dry-run"])?.well()?;
    let lines = [
        " 1  clone3 CLONE_NEWNS|CLONE_NEWPID|CLONE_NEWUTS",
        " 2  child: wait for a line on standard input",
        " 3  child: become group 6 and no other, user 5",
        " 4  child: exec /bin/sh",
    ];
    ensure!(plan == lines.join("\n") + "\n", "{plan}");
    let plan = own(&["exec", "-g", "-P", "/run/x", "-u", "--dry-run", "id"])?.well()?;
    let lines = [
        " 1  fork",
        " 2  child: unshare CLONE_NEWUTS",
        " 3  outside: move the program's process into a freezer cgroup of its own",
        " 4  outside: write the number of the program's process to /run/x",
        " 5  child: exec id",
    ];
    ensure!(plan == lines.join("\n") + "\n", "{plan}");
    Ok(())
}

fn usage() -> Result<()> {
    own(&["exec", "-f", "xyz"])?.failed(1, "not a hexadecimal number")?;
    own(&["exec", "-z"])?.failed(1, "-z")?;
    own(&["exec", "-u", "--", "/no/such"])?.failed(127, "cannot execute /no/such")?;
    own(&["exec", "-cu", "--", "/proc/version"])?.failed(126, "EACCES")?;
    Ok(())
}

fn namespaces() -> Result<()> {
    let link = |slot: &str| fs::read_link(format!("/proc/thread-self/ns/{slot}"));
    let outside = link("uts")?.display().to_string();
    for words in [&["-u"][..], &["-cu"], &["-f", "0x4000000"], &["-c", "-f", "4000000"]] {
        let last = ["--", "/bin/sh", "-c", "readlink /proc/self/ns/uts; exit 6"];
        let told = own(&[&["exec"], words, &last].concat())?;
        ensure!(told.status == 6 && told.stdout.trim() != outside, "{words:?}: {told:?}");
    }
    let first = own(&["exec", "-cp", "--", "/bin/sh", "-c", "echo $$"])?.well()?;
    ensure!(first == "1\n", "{first}");
    Ok(())
}

/// The pid file is there and the program is not, until there is a line; what follows is the
/// program's.
fn waits() -> Result<()> {
    let file = format!("/run/ns-trace-exec-{}", std::process::id());
    let mut command = std::process::Command::new(program());
    command.args(["exec", "-ucW", "-P", &file, "--", "/bin/sh", "-c", "echo $$; cat"]);
    let told = run(&mut command, "\nmore\n")?;
    let pid = fs::read_to_string(&file)?;
    ensure!(told.stdout == format!("{pid}more\n"), "{told:?} and {pid}");
    ensure!(told.stderr.contains(&format!("process {} waits", pid.trim())), "{told:?}");
    fs::remove_file(file)?;
    Ok(())
}
