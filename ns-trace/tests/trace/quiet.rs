//! Calls that change nothing, of which nothing is told.

use std::sync::Arc;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use crate::{
    context::{Context, Room},
    scene::Scene,
};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, lines) in CALLS {
        let name = format!("trace::quiet::{name}");
        trials.extend(context.per_backend(&name, move |room| says_nothing(room, lines)));
    }
    trials.extend(context.per_backend("trace::quiet::setns_to_own", setns_to_own));
    trials.extend(context.per_backend("trace::quiet::children", children));
    trials
}

const CALLS: [(&str, &[&str]); 4] = [
    ("unshare_of_nothing", &["unshare 0"]),
    // CLONE_FS, CLONE_FILES, both.
    ("unshare_of_files", &["unshare 200", "unshare 400", "unshare 600"]),
    ("change_of_user", &["user 65534"]),
    ("exec", &["exec a b"]),
];

fn says_nothing(room: &Room, lines: &[&str]) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    let before = task.slots()?;
    for line in lines {
        scene.actor.act(line)?;
    }
    // A new program answers again before anybody looks.
    ensure!(scene.actor.who()? == task, "another task");
    ensure!(task.slots()? == before, "it did change something");
    let events = scene.stage.events(task)?;
    ensure!(events.is_empty(), "{events:?}");
    scene.end(&[])
}

/// A user namespace cannot be joined again; all others can.
fn setns_to_own(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    for kind in ["mnt", "pid", "ipc", "uts", "net", "cgroup", "time"] {
        let file = scene.actor.number(&format!("open /proc/self/ns/{kind}"))?;
        scene.actor.act(&format!("setns {file} 0"))?;
    }
    let events = scene.stage.events(task)?;
    ensure!(events.is_empty(), "{events:?}");
    scene.end(&[])
}

/// Children and threads that stay where their parent is.
fn children(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let mut family = vec![scene.actor.who()?];
    for line in ["clone 0", "clone3 0", "thread", "clone 0"] {
        family.push(scene.actor.task(line)?);
    }
    for task in family {
        let events = scene.stage.events(task)?;
        ensure!(events.is_empty(), "{events:?}");
    }
    scene.end(&[])
}
