//! Several at once, and some that are killed.

use std::{
    fs::File,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Result, anyhow, ensure};
use libtest_mimic::Trial;
use rustix::fs::{FlockOperation, flock, statfs};

use super::netns;
use crate::{
    stage::{names, own},
    tracer::program,
};

/// The trials of this file.
pub(super) fn trials(trial: impl Fn(&str, fn() -> Result<()>) -> Trial) -> Vec<Trial> {
    vec![
        trial("a_killed_add_is_whole_or_nothing", killed),
        trial("only_one_gets_a_name", one_name),
        trial("many_at_once", many_names),
    ]
}

/// Whether a namespace is mounted on the file of a name.
fn is_whole(name: &str) -> Result<bool> {
    const NSFS: i64 = 0x6e73_6673;
    Ok(statfs(format!("/run/netns/{name}"))?.f_type == NSFS)
}

/// Killed at any moment, it leaves a whole name or none, and no process that holds on.
fn killed() -> Result<()> {
    let (mut whole, mut early) = (0, 0);
    for round in 0..60_u64 {
        let mut child = Command::new(program())
            .args(["netns", "add", "blue"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // Later and later in its life.
        thread::sleep(Duration::from_micros(round * 100));
        child.kill()?;
        child.wait()?;
        // What it has begun is finished under the lock of the directory.
        if let Ok(directory) = File::open("/run/netns") {
            flock(&directory, FlockOperation::LockExclusive)?;
        }
        match names().as_slice() {
            [] => early += 1,
            [name] => {
                ensure!(is_whole(name)?, "half a name after {round} rounds");
                whole += 1;
                netns("delete blue")?.well()?;
            }
            names => anyhow::bail!("{names:?}"),
        }
    }
    ensure!(whole + early == 60);
    Ok(())
}

fn in_threads<T: Send>(count: usize, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let work = &work;
        let all: Vec<_> = (0..count).map(|number| scope.spawn(move || work(number))).collect();
        let done = all.into_iter().map(|one| one.join().map_err(|_panic| anyhow!("panicked"))?);
        done.collect()
    })
}

fn one_name() -> Result<()> {
    for _ in 0..4 {
        let told = in_threads(6, |_| own(&["netns", "add", "blue"]))?;
        let first = told.iter().filter(|told| told.status == 0).count();
        ensure!(first == 1, "{told:?}");
        for told in told.into_iter().filter(|told| told.status != 0) {
            told.failed(1, "File exists")?;
        }
        ensure!(is_whole("blue")?);
        netns("delete blue")?.well()?;
    }
    Ok(())
}

/// The first ones make the directory and its mount.
fn many_names() -> Result<()> {
    let add = |number| own(&["netns", "add", &format!("many{number}")])?.well();
    in_threads(8, add)?;
    ensure!(names().len() == 8, "{:?}", names());
    for name in names() {
        ensure!(is_whole(&name)?, "{name}");
    }
    let mounts = std::fs::read_to_string("/proc/thread-self/mountinfo")?;
    let own_mounts = mounts.lines().filter(|line| line.contains(" /run/netns ")).count();
    ensure!(own_mounts == 1, "{mounts}");
    let delete = |number| own(&["netns", "delete", &format!("many{number}")])?.well();
    in_threads(8, delete).map(drop)
}
