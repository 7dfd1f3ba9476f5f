//! Names for namespaces of every type.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::mount::{UnmountFlags, unmount};
use serde_json::Value;

use super::{NOBODY, ip, netns};
use crate::{
    actor::{self, Actor},
    create::place::{Place, child, is_mounted},
    facts::{self, KINDS, Task},
    stage::{OTHERS, apart, apart_from, cpus, names, names_in, on_cpu, own, run, wait_until_idle},
    trace::container::Cgroup,
    tracer::program,
};

/// The trials of this file.
pub(super) fn trials(trial: impl Fn(&str, fn() -> Result<()>) -> Trial) -> Vec<Trial> {
    vec![
        trial("pin_every_type", every_type),
        trial("pin_by_every_selector", by_every_selector),
        trial("pin_refused", refused),
        trial("pin_of_a_mount_namespace_from_inside", mount_namespaces_from_inside),
        trial("pin_of_a_mount_namespace_goes_by_its_id", mount_namespaces_by_id),
        trial("pin_one_name_for_two", one_name_for_two),
        trial("pin_dead_files", dead_files),
        trial("pin_without_privileges", without_privileges),
    ]
}

fn directory(kind: &str) -> String {
    if kind == "net" { "/run/netns".to_owned() } else { format!("{OTHERS}/{kind}") }
}

/// An actor in a new namespace of this type, and it as a task: on the processor where our own was
/// made, so that it is the younger one in every way.
fn host(kind: &str) -> Result<(Actor, Task)> {
    on_cpu(cpus()?[0], || spawn(kind))?
}

fn spawn(kind: &str) -> Result<(Actor, Task)> {
    let option = match kind {
        "mnt" => "--mount".to_owned(),
        "user" => "-Ur".to_owned(),
        kind => format!("--{kind}"),
    };
    let mut command = Command::new(program());
    command.args(["create", "-f", &option]).arg(std::env::current_exe()?).env(actor::MARK, "1");
    let mut actor = Actor::spawn(&mut command)?;
    actor.who()?;
    let task = Task::leader(child(actor.pid())?.into());
    Ok((actor, task))
}

/// Checks that who enters it by its name is there.
fn expect_entered(name: &str, kind: &str, wanted: &Value) -> Result<()> {
    let mut command = Command::new(program());
    command.args(["enter", &format!("name:{name}"), "--"]).arg(std::env::current_exe()?);
    let mut actor = Actor::spawn(command.env(actor::MARK, "1"))?;
    let found = actor.who()?.namespace(kind)?;
    ensure!(found["inode"] == wanted["inode"], "name:{name} leads to {found}, not {wanted}");
    actor.end()
}

/// The name is where it should be, leads to the namespace, and keeps it.
fn every_type() -> Result<()> {
    for kind in KINDS {
        let kind = kind.name;
        let (actor, task) = host(kind)?;
        let wanted = task.namespace(kind)?;
        netns(&format!("pin pid:{}:{kind} blue", task.pid))?.well().context(kind)?;
        ensure!(names_in(&directory(kind)) == ["blue"], "{kind}");
        ensure!(netns(&format!("list --type {kind}"))?.well()? == "blue\n", "{kind}");
        let json = netns(&format!("-j list --type {kind}"))?.well()?;
        ensure!(json == "[{\"name\":\"blue\"}]\n", "{kind}: {json}");
        expect_entered("blue", kind, &wanted)?;
        actor.end()?;
        // The first process of a pid namespace takes it along.
        if kind != "pid" {
            expect_entered("blue", kind, &wanted)?;
        }
        let shown: Value = serde_json::from_str(&own(&["show", "name:blue", "-J"])?.well()?)?;
        ensure!(shown["ns"]["inode"] == wanted["inode"], "{shown}");
        let why = own(&["why", "name:blue"])?.well()?;
        ensure!(why.contains(&format!("{}/blue", directory(kind))), "{why}");
        netns("unpin blue")?.well()?;
        ensure!(names_in(&directory(kind)).is_empty(), "{kind}");
    }
    Ok(())
}

fn by_every_selector() -> Result<()> {
    let id = format!("{:064x}", std::process::id());
    let cgroup = Cgroup::unified(&format!("docker-{id}.scope"))?;
    let mut actor = Actor::start()?;
    actor.act(&cgroup.join()?)?;
    actor.act("unshare 4000000")?;
    let task = actor.who()?;
    let uts = task.namespace("uts")?;
    let (pid, inode) = (task.pid, &uts["inode"]);
    netns(&format!("pin uts:{inode} first"))?.well()?;
    let mut selectors = vec![
        inode.to_string(),
        format!("pid:{pid}:uts"),
        format!("pid:{pid} --type uts"),
        format!("{pid} --type uts"),
        format!("container:{id} --type uts"),
        format!("/proc/{pid}/ns/uts"),
        "name:first".to_owned(),
        "name:first --type uts".to_owned(),
    ];
    selectors.extend(uts["id"].as_u64().map(|id| format!("id:{id}")));
    for selector in selectors {
        let (selector, option) = selector.split_once(' ').unwrap_or((&selector, ""));
        let line = format!("pin {selector} blue {option}");
        netns(line.trim_end())?.well().context(line)?;
        expect_entered("blue", "uts", &uts)?;
        netns("unpin blue")?.well()?;
    }
    actor.end()?;
    netns("unpin first")?.well().map(drop)
}

/// A refusal says why, and makes neither file nor mount.
fn refused() -> Result<()> {
    let pid = std::process::id();
    let long = "x".repeat(256);
    for (words, status, complaint) in [
        (format!("pin pid:{pid}:uts a/b"), 255, "Invalid netns name \"a/b\""),
        (format!("pin pid:{pid}:uts .."), 255, "Invalid netns name"),
        (format!("pin pid:{pid}:uts {long}"), 255, "at most 255 bytes"),
        ("unpin a/b".to_owned(), 255, "Invalid netns name"),
        (format!("pin pid:{pid} blue"), 1, "--type TYPE"),
        (format!("pin pid:{pid}:uts blue --type net"), 1, "no net namespace, but a uts one"),
        ("pin pid:4194304:uts blue".to_owned(), 1, "is it gone?"),
        ("pin pid:4194304 blue --type uts".to_owned(), 1, "is it gone?"),
        ("pin 4026599999 blue".to_owned(), 1, "4026599999"),
        ("pin id:1234567 blue".to_owned(), 1, "id:1234567"),
        ("pin name:red blue".to_owned(), 1, "there is no named namespace `red`"),
        ("pin container:0123456789abcdef blue --type net".to_owned(), 1, "0123456789abcdef"),
        ("pin /proc/version blue".to_owned(), 1, "is no namespace"),
        ("pin /no/such blue".to_owned(), 1, "No such file"),
        ("pin nett:1 blue".to_owned(), 255, "names no namespace"),
        (format!("pin pid:{pid}:uts"), 1, "NAME"),
        (format!("pin pid:{pid}:uts blue --type frob"), 255, "frob"),
        ("unpin blue".to_owned(), 1, "no namespace with the name \"blue\""),
        ("-all unpin blue".to_owned(), 255, "--all"),
    ] {
        netns(&words)?.failed(status, complaint).with_context(|| words.clone())?;
    }
    ensure!(!fs::exists("/run/netns")? && !fs::exists("/run/ns-trace")?, "something was made");
    // What is in the way stays.
    netns(&format!("pin pid:{pid}:uts blue"))?.well()?;
    netns(&format!("pin pid:{pid}:uts blue"))?.failed(1, "File exists")?;
    fs::write(format!("{OTHERS}/uts/file"), "text")?;
    fs::create_dir(format!("{OTHERS}/uts/directory"))?;
    netns(&format!("pin pid:{pid}:uts file"))?.failed(1, "File exists")?;
    netns(&format!("pin pid:{pid}:uts directory"))?.failed(1, "File exists")?;
    netns("unpin directory")?.failed(1, "Is a directory")?;
    ensure!(fs::read_to_string(format!("{OTHERS}/uts/file"))? == "text");
    fs::remove_dir(format!("{OTHERS}/uts/directory"))?;
    netns("unpin file")?.well()?;
    netns("unpin blue")?.well()?;
    // Nor is a directory made where there is a file.
    fs::write(format!("{OTHERS}/ipc"), "")?;
    netns(&format!("pin pid:{pid}:ipc blue"))?.failed(1, "names/ipc: File exists")?;
    fs::remove_file(format!("{OTHERS}/ipc")).map_err(Into::into)
}

/// A mount namespace would hold itself if it, or an older one, were mounted in it.
fn mount_namespaces_from_inside() -> Result<()> {
    let link = fs::read_link("/proc/thread-self")?;
    for path in [format!("/proc/{}/ns/mnt", link.display()), "/proc/self/ns/mnt".to_owned()] {
        netns(&format!("pin {path} blue"))?.failed(1, "only in one that is older")?;
        ensure!(names_in(&directory("mnt")).is_empty(), "{path}: a file is left");
    }
    Ok(())
}

/// Which of two is the older the kernel tells by the ids, which need not be in order on Linux 6.18.
fn mount_namespaces_by_id() -> Result<()> {
    for own in cpus()? {
        for other in cpus()? {
            apart_from(own, || pin_from(other)).with_context(|| format!("{own}, {other}"))?;
        }
    }
    Ok(())
}

/// What is made on this processor is pinned if the kernel takes it for younger than our own, by
/// `create` as well.
fn pin_from(cpu: usize) -> Result<()> {
    let id = |task: Task| Ok::<_, anyhow::Error>(task.namespace("mnt")?["id"].as_u64());
    let mut stage = Actor::start()?;
    let ours = id(stage.who()?)?;
    stage.end()?;

    let (actor, task) = on_cpu(cpu, || spawn("mnt"))??;
    let pinned = netns(&format!("pin pid:{}:mnt blue", task.pid))?;
    if id(task)? < ours {
        pinned.failed(1, "may pass for older")?;
    } else {
        pinned.well()?;
        netns("unpin blue")?.well()?;
    }
    actor.end()?;

    let place = Place::new()?;
    let file = place.file("uts")?;
    let option = format!("--mount={file}");
    // Not every machine of the tests has another program.
    let own_program = program();
    let words = ["create", &option, &own_program.to_string_lossy(), "--version"];
    let created = on_cpu(cpu, || own(&words))??;
    if is_mounted(&file)? {
        created.well()?;
        let theirs = facts::namespace(&File::open(&file)?.into(), "mnt")?["id"].as_u64();
        ensure!(theirs >= ours, "{theirs:?} was mounted in {ours:?}");
        unmount(&*file, UnmountFlags::DETACH).map_err(Into::into)
    } else {
        let ours = ours.context("refused, and there is no id to go by")?;
        created.failed(1, &format!("is below {ours}"))
    }
}

fn one_name_for_two() -> Result<()> {
    let pid = std::process::id();
    for kind in ["uts", "net"] {
        netns(&format!("pin pid:{pid}:{kind} blue"))?.well()?;
    }
    netns("unpin blue")?.failed(1, "several namespaces: uts, net")?;
    own(&["enter", "name:blue", "--", "true"])?.failed(1, "several namespaces")?;
    own(&["why", "name:blue"])?.failed(1, "may be any of")?;
    netns("unpin blue --type uts")?.well()?;
    ensure!(names() == ["blue"], "the other is gone as well");
    netns("unpin blue --type ipc")?.failed(1, "no namespace with the name")?;
    netns("unpin blue")?.well().map(drop)
}

fn dead_files() -> Result<()> {
    netns(&format!("pin pid:{}:uts blue", std::process::id()))?.well()?;
    fs::write(format!("{OTHERS}/uts/dead"), "")?;
    ensure!(netns("list --type uts")?.well()?.lines().count() == 2);
    own(&["enter", "name:dead", "--", "true"])?.failed(1, "plain file")?;
    own(&["why", "name:dead"])?.failed(1, "nothing is mounted there any more")?;
    netns("unpin dead")?.well()?;
    netns("unpin blue")?.well().map(drop)
}

fn without_privileges() -> Result<()> {
    let copy = std::env::temp_dir().join(format!("ns-trace-pin-{}", std::process::id()));
    fs::copy(program(), &copy)?;
    wait_until_idle(&copy);
    let nobody = |words: &str| {
        let mut command = Command::new(&copy);
        command.arg("netns").args(words.split(' ')).uid(NOBODY).gid(NOBODY).current_dir("/");
        run(&mut command, "")
    };
    let outcome = (|| {
        netns(&format!("pin pid:{}:uts blue", std::process::id()))?.well()?;
        nobody("pin /proc/self/ns/uts red")?.failed(3, "CAP_SYS_ADMIN")?;
        nobody("unpin blue")?.failed(3, "CAP_SYS_ADMIN")?;
        ensure!(names_in(&directory("uts")) == ["blue"]);
        Ok(())
    })();
    fs::remove_file(&copy)?;
    outcome?;
    netns("unpin blue")?.well().map(drop)
}

/// A name of a network namespace is one of ip(8)'s, whoever gave it.
pub(super) fn shared_with_ip() -> Result<()> {
    let (actor, task) = host("net")?;
    netns(&format!("pin net:{} ours", task.namespace("net")?["inode"]))?.well()?;
    actor.end()?;
    ensure!(ip("netns list")?.well()? == "ours\n");
    ensure!(ip("netns exec ours ip netns identify")?.well()? == "ours\n");
    ip("netns delete ours")?.well()?;
    ip("netns add theirs")?.well()?;
    netns("pin name:theirs again")?.well()?;
    netns("unpin theirs")?.well()?;
    ensure!(netns("exec again ip netns identify")?.well()? == "again\n");
    netns("unpin again")?.well()?;
    ensure!(ip("netns list")?.well()?.is_empty());
    // Names of other types are none of its.
    apart(|| {
        netns(&format!("pin pid:{}:uts blue", std::process::id()))?.well()?;
        ensure!(ip("netns list")?.well()?.is_empty());
        netns("unpin blue")?.well().map(drop)
    })
}
