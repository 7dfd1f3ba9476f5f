//! Somebody without any right, in namespaces of their own.

use std::{fs, os::unix::process::CommandExt as _, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;

use crate::{
    actor::Actor,
    facts::Task,
    portrait::Portrait,
    stage::{run, wait_until_idle},
    tracer::program,
};

const NOBODY: u32 = 65534;

/// The trials of this file.
pub(super) fn trials(trial: impl Fn(&str, fn() -> Result<()>) -> Trial) -> Vec<Trial> {
    vec![
        trial("nobody_is_told_what_is_missing", refusals),
        trial("nested_user_namespaces_in_order", nested),
    ]
}

/// Copies of the programs where everybody may execute them; removed when dropped.
struct Copies(PathBuf);

impl Copies {
    fn new() -> Result<Self> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("ns-trace-test-{}-enter-{number}", std::process::id());
        let copies = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&copies.0)?;
        fs::copy(program(), copies.0.join("ns-trace"))?;
        fs::copy(std::env::current_exe()?, copies.0.join("actor"))?;
        for name in ["ns-trace", "actor"] {
            wait_until_idle(&copies.0.join(name));
        }
        Ok(copies)
    }

    /// A command that nobody runs.
    fn command(&self, words: &[&str]) -> Command {
        let (first, rest) = words.split_first().unwrap_or((&"", &[]));
        let mut command = match *first {
            "enter" => {
                let mut command = Command::new(self.0.join("ns-trace"));
                command.arg("enter");
                command
            }
            "actor" => Command::new(self.0.join("actor")),
            tool => Command::new(tool),
        };
        command.args(rest).uid(NOBODY).gid(NOBODY).current_dir("/");
        command
    }

    fn actor(&self, words: &[&str]) -> Result<Actor> {
        let actor = self.0.join("actor");
        let mut command = self.command(words);
        if words != ["actor"] {
            command.arg(actor);
        }
        Actor::spawn(command.env("NS_TRACE_ACTOR", "1"))
    }

    /// A process of nobody's in these namespaces, root in there.
    fn target(&self, flags: u64) -> Result<(Actor, Task)> {
        let mut actor = self.actor(&["actor"])?;
        actor.act(&format!("unshare {:x}", flags | 0x1000_0000))?;
        map(&mut actor, NOBODY)?;
        let task = actor.who()?;
        Ok((actor, task))
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        // Nothing more can be done.
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn map(actor: &mut Actor, outside: u32) -> Result<()> {
    actor.act(&format!("write /proc/self/uid_map 0 {outside} 1"))?;
    actor.act("write /proc/self/setgroups deny")?;
    actor.act(&format!("write /proc/self/gid_map 0 {outside} 1")).map(drop)
}

/// Copies, where nobody may make user namespaces, as on every kernel that is tested on.
fn may_make() -> Result<Copies> {
    let copies = Copies::new()?;
    let mut actor = copies.actor(&["actor"])?;
    let answer = actor.ask("unshare 10000000")?;
    actor.end()?;
    ensure!(answer.get("error").is_none(), "nobody may not make user namespaces here: {answer}");
    Ok(copies)
}

pub(super) fn same_as_nsenter() -> Result<()> {
    let copies = may_make()?;
    let (actor, task) = copies.target(0x4c02_0000)?;
    let pid = task.pid.to_string();
    let parts = ["-m", "-u", "-i", "-n", "-w", "-w/", "-F"];
    let with = |at: usize| parts.iter().skip(at).map(move |other| (at, *other));
    for (at, other) in (0..parts.len()).flat_map(with) {
        // Each alone, and each with each.
        let options: &[&str] =
            &["-U", "--preserve-credentials", parts.get(at).unwrap_or(&other), other];
        let portrait = |tool: &'static str| -> Result<Portrait> {
            let mut actor = copies.actor(&[&[tool, "-t", &pid], options].concat())?;
            let portrait = Portrait::of(actor.who()?);
            actor.end()?;
            portrait
        };
        let (ours, theirs) = (portrait("enter")?, portrait("nsenter")?);
        ours.expect_same(&theirs, &[]).with_context(|| options.join(" "))?;
    }
    // What is shared with us need not be entered, and may not.
    let mut all = copies.actor(&["enter", "-t", &pid, "-a", "--preserve-credentials"])?;
    let (inside, wanted) = (all.who()?.slots()?, task.slots()?);
    ensure!(inside == wanted, "{inside}, not {wanted}");
    all.end()?;
    for options in [
        &["-n", "true"][..],
        &["-m", "true"],
        &["-n", "-u", "true"],
        &["-w", "true"],
        &["-r", "true"],
        &["-S", "0", "true"],
        &["-G", "0", "true"],
        &["-U", "-S", "5", "true"],
        &["-U", "true"],
    ] {
        let status = |tool: &'static str| {
            run(&mut copies.command(&[&[tool, "-t", &pid], options].concat()), "")
        };
        let (ours, theirs) = (status("enter")?, status("nsenter")?);
        // Where there are no groups to drop, we do not insist on dropping them.
        let expected = if options == ["-U", "true"] { ours.status } else { theirs.status };
        ensure!(ours.status == expected, "{options:?}: {ours:?}, not {theirs:?}");
    }
    actor.end()
}

fn refusals() -> Result<()> {
    let copies = Copies::new()?;
    let mut root = Actor::start()?;
    let task = root.task("clone3 4000000")?;
    let pid = task.pid.to_string();
    let told = run(&mut copies.command(&["enter", "-t", &pid, "-u", "true"]), "")?;
    ensure!(told.status == 1 && told.stderr.contains("hint: "), "{told:?}");
    ensure!(told.stderr.contains("CAP_SYS_PTRACE"), "{told:?}");
    let own = run(&mut copies.command(&["enter", "--uts=/proc/self/ns/uts", "true"]), "")?;
    own.failed(1, "CAP_SYS_ADMIN is missing in the user namespace")?;
    root.end()
}

/// The mount namespace belongs to a user namespace between ours and the target's: it can be entered
/// from that one only.
fn nested() -> Result<()> {
    let copies = may_make()?;
    let (mut actor, _) = copies.target(0x0002_0000)?;
    let task = actor.task("clone3 14000000")?;
    // Who made it may map their own user only, and here root of the outer one is that.
    map(&mut actor, 0)?;
    let words = ["enter", "-t", &task.pid.to_string(), "-U", "-m", "-u", "--preserve-credentials"];
    let mut entered = copies.actor(&words)?;
    let inside = entered.who()?;
    for slot in ["user", "mnt", "uts"] {
        let (found, wanted) = (inside.namespace(slot)?, task.namespace(slot)?);
        ensure!(found["inode"] == wanted["inode"], "{slot}: {found}, not {wanted}");
    }
    entered.end()?;
    actor.end()
}
