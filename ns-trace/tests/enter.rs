//! `ns-trace enter`, alone and beside nsenter(1).

mod family;
mod nobody;
mod unusual;

use std::{process::Command, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::{
    actor::{self, Actor},
    context::{Context, Room},
    facts::{KINDS, Kind, Task},
    portrait::Portrait,
    scene::Scene,
    stage::{has, own, run},
    tracer::program,
};

/// All types but the user namespace.
const MOST: u64 = 0x6e02_0080;
/// The user namespace as well.
const ALL: u64 = 0x7e02_0080;

/// The trials of this file.
#[expect(clippy::print_stdout, reason = "whoever skips says why")]
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let trial =
        |name: &str, test: fn() -> Result<()>| context.once(&format!("enter::{name}"), test);
    let mut trials = vec![
        trial("bad_words", bad_words),
        trial("bad_targets", bad_targets),
        trial("dry_run_does_nothing", dry_run),
        trial("returns_the_status", returns_the_status),
    ];
    trials.extend(family::trials(trial));
    trials.extend(nobody::trials(trial));
    trials.extend(unusual::trials(trial));
    let peers = [
        trial("same_as_nsenter", same_as_nsenter),
        trial("same_as_nsenter_with_users", same_as_nsenter_with_users),
        trial("pairs_same_as_nsenter", pairs_same_as_nsenter),
        trial("same_statuses_as_nsenter", same_statuses),
        trial("same_as_nsenter_as_nobody", nobody::same_as_nsenter),
    ];
    let has_peer = has("nsenter");
    if !has_peer {
        println!("skipped: enter beside nsenter(1): it is not installed");
    }
    trials.extend(peers.map(|trial| trial.with_ignored_flag(!has_peer)));
    for kind in &KINDS {
        let name = format!("enter::is_traced_{}", kind.name);
        trials.extend(context.per_backend(&name, move |room| is_traced(room, kind)));
    }
    trials
}

/// A process in namespaces of its own; root in there if a user namespace is among them.
fn target(flags: u64) -> Result<(Actor, Task)> {
    let mut actor = Actor::start()?;
    let task = actor.task(&format!("clone3 {flags:x}"))?;
    if flags & 0x1000_0000 != 0 {
        // Written from outside, where it may say more.
        let lines = "0 0 65536";
        std::fs::write(format!("/proc/{}/uid_map", task.pid), lines)?;
        std::fs::write(format!("/proc/{}/gid_map", task.pid), lines)?;
    }
    Ok((actor, task))
}

/// Runs the one or the other with these words, parted by blanks, and then an actor.
fn entered(tool: &str, words: &str) -> Result<Actor> {
    Actor::spawn(&mut command(tool, words, &actor::command()?)?)
}

/// The words of `inner`, and its environment, behind the one or the other.
fn command(tool: &str, words: &str, inner: &Command) -> Result<Command> {
    let mut command = match tool {
        "enter" => {
            let mut command = Command::new(program());
            command.arg("enter");
            command
        }
        tool => Command::new(tool),
    };
    command.args(words.split_whitespace()).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        command.env(name, value.context("a value")?);
    }
    Ok(command)
}

/// What `words` make of a process, by the one and by the other.
fn compare(words: &str, but: &[&str]) -> Result<()> {
    let portrait = |tool| -> Result<Portrait> {
        let mut actor = entered(tool, words)?;
        let portrait = Portrait::of(actor.who()?);
        actor.end()?;
        portrait
    };
    let (ours, theirs) = (portrait("enter"), portrait("nsenter"));
    let (ours, theirs) = (ours.context("ours")?, theirs.context("theirs")?);
    ours.expect_same(&theirs, but)
}

/// Letters of the types, the user namespace left out.
const LETTERS: [&str; 7] = ["-m", "-u", "-i", "-n", "-p", "-C", "-T"];

fn same_as_nsenter() -> Result<()> {
    let (actor, task) = target(MOST)?;
    let mut options: Vec<String> = Vec::new();
    for (at, one) in LETTERS.iter().enumerate() {
        options.push((*one).to_owned());
        options.extend(LETTERS.iter().skip(at + 1).map(|other| format!("{one} {other}")));
    }
    let more = [
        "-a",
        "-a -F",
        "-p -F",
        "-r",
        "-w",
        "-r -w",
        "-m -r",
        "-m -w",
        "-m -r -w",
        "-m -W /tmp",
        "-w/tmp",
        "-r/ -w/proc",
        "-S 3",
        "-G 4",
        "-S 3 -G 4",
        "-n -S 3",
        "-a -S 3 -G 4",
        "-n --preserve-credentials",
        "-m -u -i -n -p -C -T",
        "--mount --uts",
        "-an",
        "-aF",
        "--no-fork --pid",
        "--all --wd",
        // The last one says.
        "-n -n",
        "-a -a -F -F",
        "-w/usr -w/tmp",
    ];
    options.extend(more.map(str::to_owned));
    for option in options {
        let words = format!("-t {} {option} --", task.pid);
        // nsenter keeps a copy of some of what it has opened.
        compare(&words, &[]).with_context(|| words)?;
    }
    for kind in KINDS.iter().filter(|kind| kind.flag & MOST != 0) {
        let option = if kind.name == "mnt" { "mount" } else { kind.name };
        let words = format!("--{option}=/proc/{}/ns/{}", task.pid, kind.name);
        compare(&words, &[]).with_context(|| words)?;
    }
    actor.end()
}

fn same_as_nsenter_with_users() -> Result<()> {
    let (actor, task) = target(ALL)?;
    for option in [
        "-U",
        "-U -n",
        "-U -m",
        "-U -p",
        "-a",
        "-a --preserve-credentials",
        "-U --preserve-credentials",
        "-U -S 5",
        "-U -G 6",
        "-U -S 5 -G 6",
        "-a -S 5 -G 6",
        "-n",
        "-m -u",
        "-a -r -w",
        "-U -F -p",
    ] {
        let words = format!("-t {} {option}", task.pid);
        compare(&words, &[]).with_context(|| words)?;
    }
    actor.end()
}

/// Options that do not say which namespaces, each with each.
const OTHERS: [&str; 10] =
    ["-U", "-m", "-p", "-r", "-w/tmp", "-S 5", "-G 6", "-F", "--preserve-credentials", "-n"];

fn pairs_same_as_nsenter() -> Result<()> {
    let (actor, task) = target(ALL)?;
    for (at, one) in OTHERS.iter().enumerate() {
        for other in OTHERS.iter().skip(at + 1) {
            let words = format!("-t {} {one} {other} --", task.pid);
            compare(&words, &[]).with_context(|| words)?;
        }
    }
    actor.end()
}

/// What fails, and what a program returns.
fn same_statuses() -> Result<()> {
    let (actor, task) = target(MOST)?;
    let pid = task.pid;
    for words in [
        "true".to_owned(),
        format!("-t {pid} true"),
        format!("-t {pid} -n false"),
        format!("-t {pid} -n sh -c exit\u{a0}7"),
        format!("-t {pid} -p sh -c exit\u{a0}7"),
        format!("-t {pid} -p sh -c kill\u{a0}-9\u{a0}$$"),
        format!("-t {pid} -n sh -c kill\u{a0}-TERM\u{a0}$$"),
        format!("-t {pid} -p /no/such"),
        format!("-t {pid} -n /no/such"),
        format!("-t {pid} -n /proc/version"),
        format!("-t {pid} -n -- sh -c exit\u{a0}$1 -- 6"),
        format!("-t {pid} -U true"),
        format!("-t {pid} -n -w/no/such true"),
        format!("-t {pid} -n -r/no/such true"),
        format!("-t {pid} -m -W /no/such true"),
        format!("-t {pid} -S x true"),
        format!("-t {pid} --frob true"),
        "-t 0 -n true".to_owned(),
        "-t -5 -n true".to_owned(),
        "-t x -n true".to_owned(),
        "-t 4194303 -n true".to_owned(),
        "-n true".to_owned(),
        "-a true".to_owned(),
        "-r true".to_owned(),
        "--net=/no/such true".to_owned(),
        "--net=/proc/version true".to_owned(),
        "--net=/proc/self/ns/uts true".to_owned(),
        "-t".to_owned(),
    ] {
        let words: Vec<_> = words.split(' ').map(|word| word.replace('\u{a0}', " ")).collect();
        let theirs = run(Command::new("nsenter").args(&words), "")?;
        let ours = run(Command::new(program()).arg("enter").args(&words), "")?;
        ensure!(ours.status == theirs.status, "{words:?}: {ours:?}, not {theirs:?}");
        let complains = theirs.stderr.is_empty() == ours.stderr.is_empty();
        ensure!(complains && ours.stdout == theirs.stdout, "{words:?}: {ours:?}, not {theirs:?}");
    }
    actor.end()
}

fn bad_words() -> Result<()> {
    let (actor, task) = target(MOST)?;
    let (other, second) = target(0)?;
    let (pid, second) = (task.pid, second.pid);
    for (words, complaint) in [
        (format!("-t {pid} -t {second} -n true"), "cannot be used multiple times"),
        (format!("pid:{pid} pid:{second} -- true"), "two targets"),
        (format!("-t {pid} pid:{second} -- true"), "two targets"),
        (format!("pid:{pid}:net pid:{second}:net -- true"), "two net namespaces"),
        (format!("-t {pid} -n pid:{second}:net -- true"), "two net namespaces"),
        (format!("--uts=/proc/{pid}/ns/net true"), "no uts namespace, but a net one"),
        (format!("--net=:x -t {pid} true"), "no id of a namespace"),
        (format!("-t {pid} -w -W /tmp true"), "cannot be used with"),
        (format!("-t {pid} --kill-child=FROB true"), "FROB"),
        (format!("-t {pid} --unshare frob true"), "frob"),
        (format!("-t {pid} -N 99 true"), "descriptor 99"),
        (format!("-t {pid} -N 0 true"), "no network namespace"),
        (format!("pid:{pid}:frob -- true"), "no type of namespace"),
        ("nett:1 -- true".to_owned(), "names no namespace"),
        ("name:../x -- true".to_owned(), "no named namespace `../x`"),
        ("name:no-such-name -- true".to_owned(), "no named namespace `no-such-name`"),
        ("id:1234567 -- true".to_owned(), "id:1234567"),
        ("4026599999 -- true".to_owned(), "4026599999"),
        ("container:0123456789abcdef0123 -- true".to_owned(), "0123456789abcdef0123"),
        ("/proc/version -- true".to_owned(), "no namespace"),
        ("/no/such -- true".to_owned(), "No such file"),
        ("--env true".to_owned(), "--target"),
        ("--pid-for-children true".to_owned(), "--target"),
        ("--user-parent true".to_owned(), "--user-parent needs"),
    ] {
        let words: Vec<_> = std::iter::once("enter").chain(words.split(' ')).collect();
        own(&words)?.failed(1, complaint).with_context(|| words.join(" "))?;
    }
    other.end()?;
    actor.end()
}

/// A process that died, and one whose number is another's by now.
fn bad_targets() -> Result<()> {
    let (actor, task) = target(MOST)?;
    let pid = task.pid.to_string();
    let reused = format!("{pid}:12345678");
    let told = own(&["enter", "-t", &reused, "-n", "true"])?;
    // Before Linux 6.9 nobody can tell.
    let (is_another, cannot) = ("another one by now", "cannot tell whether");
    ensure!(told.status == 1, "{told:?}");
    ensure!(told.stderr.contains(is_another) || told.stderr.contains(cannot), "{told:?}");
    let plan = own(&["enter", "-t", &pid, "-n", "--dry-run", "-J", "true"])?.well()?;
    let plan: Value = serde_json::from_str(&plan)?;
    if let Some(inode) = plan["steps"][0]["target"]["pidfs_inode"].as_u64() {
        let program = program();
        let program = program.to_str().context("no text")?;
        own(&["enter", "-t", &format!("{pid}:{inode}"), "-n", program, "--version"])?.well()?;
    }
    actor.end()?;
    own(&["enter", "-t", &pid, "-n", "true"])?.failed(1, "No such process")?;
    own(&["enter", &format!("pid:{pid}"), "--", "true"])?.failed(1, "No such process")?;
    own(&["enter", &format!("/proc/{pid}/ns/net"), "--", "true"])?.failed(1, "No such file")
}

fn dry_run() -> Result<()> {
    let (actor, task) = target(MOST)?;
    let pid = task.pid.to_string();
    let text = own(&["enter", "-t", &pid, "-p", "-n", "-S", "3", "--dry-run", "x", "y"])?.well()?;
    let lines = [
        format!(" 1  enter pid, net of process {pid}"),
        " 2  fork".to_owned(),
        " 3  child: become user 3".to_owned(),
        " 4  child: exec x y\n".to_owned(),
    ];
    ensure!(text == lines.join("\n"), "{text}");
    let json = own(&["enter", "-t", &pid, "-n", "--dry-run", "-J", "x"])?.well()?;
    let plan: Value = serde_json::from_str(&json)?;
    ensure!(plan["schema"] == "ns-trace-plan/1" && plan["steps"][1]["step"] == "exec", "{plan}");
    actor.end()
}

fn returns_the_status() -> Result<()> {
    let (actor, task) = target(MOST)?;
    let pid = task.pid.to_string();
    let program = program();
    let program = program.to_str().context("no text")?;
    for option in ["-n", "-p"] {
        let words = ["enter", "-t", &pid, option, program, "netns", "set", "a", "x"];
        own(&words)?.failed(255, "NETNSID")?;
        own(&["enter", "-t", &pid, option, "/no/such"])?.failed(127, "cannot execute /no/such")?;
        own(&["enter", "-t", &pid, option, "/proc/version"])?.failed(126, "Permission denied")?;
    }
    actor.end()
}

/// The entry is an event with the right inodes.
fn is_traced(room: &Room, kind: &Kind) -> Result<()> {
    let mut host = Scene::new(room)?;
    let first = host.actor.who()?;
    let owner = host.actor.task(&format!("clone3 {:x}", kind.flag))?;
    if kind.name == "user" {
        std::fs::write(format!("/proc/{}/uid_map", owner.pid), "0 0 1")?;
        std::fs::write(format!("/proc/{}/gid_map", owner.pid), "0 0 1")?;
    }
    let inode = owner.namespace(kind.name)?["inode"].clone();
    let words = format!("pid:{}:{} --", owner.pid, kind.name);
    let mut entered = entered("enter", &words)?;
    let task = entered.who()?;
    let events =
        host.stage.wait("`enter` by ns-trace", |event| {
            event["event"] == "enter"
                && event["cause"] == "setns"
                && event["changes"].as_array().into_iter().flatten().any(|change| {
                    change["to"]["inode"] == inode && change["to"]["type"] == kind.name
                })
        })?;
    ensure!(events["flags"][0] == kind.flag_name, "{events}");
    ensure!(task.namespace(kind.name)?["inode"] == inode, "it is elsewhere");
    entered.end()?;
    let creates = host.stage.events(first)?;
    host.end(&creates)
}
