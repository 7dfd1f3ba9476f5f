//! A freezer cgroup for the program.

use std::{fs, io, path::PathBuf};

use serde::Serialize;

use super::{Action, Place, Reason, Scene, Trouble};

/// Makes a cgroup of the freezer's hierarchy (cgroup v1), named after the program's process, and
/// moves that there.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Freezer {}

impl Action for Freezer {
    fn describe(&self) -> String {
        "move the program's process into a freezer cgroup of its own".to_owned()
    }

    fn place(&self) -> Place {
        Place::Outside
    }

    fn carry_out(&self, scene: &mut Scene) -> Result<(), Trouble> {
        let pid = program(scene);
        let Some(cgroup) = place(&pid) else {
            return Err(Trouble::new("cannot make a freezer cgroup").because(Some(Reason::new(
                "no hierarchy of cgroup v1 with the freezer is mounted",
                "mount it: mount -t cgroup -o freezer freezer DIR",
            ))));
        };
        let made = fs::create_dir(&cgroup).and_then(|()| {
            fs::write(cgroup.join("cgroup.procs"), &pid).inspect_err(|_| {
                // What was made in vain.
                let _gone = fs::remove_dir(&cgroup);
            })
        });
        made.map_err(|error: io::Error| {
            Trouble::of(format!("cannot move {pid} into {}", cgroup.display()), &error)
        })
    }

    fn undo(&self, scene: &mut Scene) {
        let pid = program(scene);
        let Some(cgroup) = place(&pid) else { return };
        // A cgroup with a process cannot be removed; one without leaves.
        let root = cgroup.parent().map(|root| root.join("cgroup.procs"));
        let _back = root.map(|root| fs::write(root, &pid));
        let _gone = fs::remove_dir(&cgroup);
    }
}

fn program(scene: &Scene) -> String {
    scene.program.map(|pid| pid.as_raw_nonzero().to_string()).unwrap_or_default()
}

/// Where the cgroup is.
fn place(pid: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let root = mounts.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let mut back = back.split(' ');
        let (kind, options) = (back.next()?, back.nth(1)?);
        let is_freezer = kind == "cgroup" && options.split(',').any(|option| option == "freezer");
        front.split(' ').nth(4).filter(|_| is_freezer)
    })?;
    Some(PathBuf::from(root).join(pid))
}
