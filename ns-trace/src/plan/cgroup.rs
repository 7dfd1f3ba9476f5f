//! The cgroups of another process.

use std::{fs::OpenOptions, path::PathBuf};

use serde::Serialize;

use super::{Action, Scene, Target, Trouble, word};
use crate::sys::mounts;

/// Joins the cgroups of a process, in every hierarchy that is mounted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct JoinCgroup {
    /// The process.
    pub target: Target,
    /// Their files, one of each hierarchy.
    #[serde(serialize_with = "word::as_texts")]
    pub files: Vec<PathBuf>,
}

impl JoinCgroup {
    /// Finds the cgroups of a process.
    ///
    /// # Errors
    ///
    /// If it is gone, or none of its hierarchies is mounted.
    pub fn of(target: Target) -> Result<Self, Trouble> {
        let text = target.read("cgroup")?;
        let text = String::from_utf8_lossy(&text);
        let mounts = mounts::all().map_err(|error| Trouble::of("cannot list mounts", &error))?;
        let file = |line: &str| {
            // `4:memory:/path`, and `0::/path` of version 2.
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            let is_it = |mount: &&mounts::Mount| match controllers {
                "" => mount.kind == "cgroup2",
                names => {
                    let mut options = mount.options.split(',');
                    mount.kind == "cgroup"
                        && names.split(',').all(|name| options.any(|o| o == name))
                }
            };
            let mount = mounts.iter().find(is_it)?;
            let below = path.trim_start_matches('/');
            Some(mount.place.join(below).join("cgroup.procs"))
        };
        let files: Vec<_> = text.lines().filter_map(file).collect();
        if files.is_empty() {
            return Err(Trouble::new(format!(
                "cannot join the cgroups of process {}: no hierarchy is mounted here",
                target.pid
            )));
        }
        Ok(Self { target, files })
    }
}

fn key(file: &std::path::Path) -> String {
    format!("cgroup {}", file.display())
}

impl Action for JoinCgroup {
    fn describe(&self) -> String {
        format!("join the cgroups of process {}: {}", self.target.pid, word::command(&self.files))
    }

    fn prepare(&self, scene: &mut Scene) -> Result<(), Trouble> {
        for file in &self.files {
            let opened = OpenOptions::new().write(true).open(file).map_err(|error| {
                Trouble::of(format!("cannot open {}", word::text(file)), &error)
            })?;
            scene.keep(key(file), opened.into());
        }
        Ok(())
    }

    fn carry_out(&self, scene: &mut Scene) -> Result<(), Trouble> {
        for file in &self.files {
            let name = key(file);
            let Some(opened) = scene.file(&name) else { continue };
            // The writer itself (cgroups(7)).
            rustix::io::write(opened, b"0").map_err(|errno| {
                Trouble::of(format!("cannot join {}", word::text(file)), &errno.into())
            })?;
        }
        Ok(())
    }
}
