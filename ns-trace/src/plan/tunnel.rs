//! Root and working directory that were opened outside, or in a process.

use std::{
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    process::{chroot, fchdir},
};
use serde::Serialize;

use super::{Action, Scene, Trouble, reason, word};

/// Under which names they are kept.
const ROOT: &str = "root";
const DIRECTORY: &str = "directory";

/// Makes a directory the root that was opened before any namespace was entered.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct OpenRoot {
    /// Which, as everything was at the start.
    #[serde(serialize_with = "word::as_text")]
    pub directory: PathBuf,
    /// Whether the working directory stays, even if it is outside of the root.
    pub stay: bool,
}

/// Makes a directory the working directory that was opened before any namespace was entered.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct OpenDirectory {
    /// Which, as everything was at the start.
    #[serde(serialize_with = "word::as_text")]
    pub directory: PathBuf,
}

impl Action for OpenRoot {
    fn describe(&self) -> String {
        format!("chroot to {}, opened at the start", word::text(&self.directory))
    }

    fn prepare(&self, scene: &mut Scene) -> Result<(), Trouble> {
        open(&self.directory, ROOT, scene)
    }

    fn carry_out(&self, scene: &mut Scene) -> Result<(), Trouble> {
        let what = || format!("cannot make {} the root", word::text(&self.directory));
        let Some(root) = scene.file(ROOT) else { return Err(Trouble::new(what())) };
        let change = || {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let own = openat(CWD, ".", flags, Mode::empty())?;
            fchdir(root)?;
            chroot(".")?;
            if self.stay { fchdir(own) } else { Ok(()) }
        };
        change().map_err(|error| Trouble::of(what(), &error.into()).because(reason::of_root(error)))
    }
}

impl Action for OpenDirectory {
    fn describe(&self) -> String {
        format!("change the directory to {}, opened at the start", word::text(&self.directory))
    }

    fn prepare(&self, scene: &mut Scene) -> Result<(), Trouble> {
        open(&self.directory, DIRECTORY, scene)
    }

    fn carry_out(&self, scene: &mut Scene) -> Result<(), Trouble> {
        let what = || format!("cannot change the directory to {}", word::text(&self.directory));
        let Some(directory) = scene.file(DIRECTORY) else { return Err(Trouble::new(what())) };
        fchdir(directory.as_fd()).map_err(|error| Trouble::of(what(), &error.into()))
    }
}

fn open(path: &Path, name: &str, scene: &mut Scene) -> Result<(), Trouble> {
    // For fchdir no right to read it is needed.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat(CWD, path, flags, Mode::empty()).map_err(|errno| {
        let error = errno.into();
        Trouble::of(format!("cannot open {}", word::text(path)), &error)
            .because(reason::of_open(&error))
    })?;
    scene.keep(name, opened);
    Ok(())
}
