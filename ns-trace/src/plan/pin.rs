//! What stays when the program has ended, and so is made outside.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf};

use rustix::mount::{UnmountFlags, mount_bind, unmount};
use serde::Serialize;

use super::{Action, Place, Scene, Trouble, reason, word};
use crate::model::Slot;

/// Names a namespace by mounting it on a file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Pin {
    /// Which of this process' namespaces.
    pub slot: Slot,
    /// The file, which must exist.
    #[serde(serialize_with = "word::as_text")]
    pub file: PathBuf,
}

impl Action for Pin {
    fn describe(&self) -> String {
        format!("mount ns/{} on {}", self.slot.name(), word::text(&self.file))
    }

    fn place(&self) -> Place {
        Place::Outside
    }

    fn carry_out(&self, scene: &mut Scene) -> Result<(), Trouble> {
        let main = scene.main.map(|pid| pid.as_raw_nonzero().to_string()).unwrap_or_default();
        let source = format!("/proc/{main}/ns/{}", self.slot.name());
        mount_bind(&*source, &self.file).map_err(|error| {
            let what = format!("cannot mount {source} on {}", word::text(&self.file));
            Trouble::of(what, &error.into()).because(reason::of_pin(self, &source, error))
        })
    }

    fn undo(&self, _scene: &mut Scene) {
        // If it is gone already, so much the better.
        let _gone = unmount(&self.file, UnmountFlags::DETACH);
    }
}

/// Writes the number of the process that becomes the program.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PidFile {
    /// The file.
    #[serde(serialize_with = "word::as_text")]
    pub file: PathBuf,
}

impl Action for PidFile {
    fn describe(&self) -> String {
        format!("write the number of the program's process to {}", word::text(&self.file))
    }

    fn place(&self) -> Place {
        Place::Outside
    }

    fn carry_out(&self, scene: &mut Scene) -> Result<(), Trouble> {
        let pid = scene.program.map(|pid| pid.as_raw_nonzero().to_string()).unwrap_or_default();
        // A pipe that nobody reads must not hold us up.
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&self.file);
        let written = file.and_then(|mut file| {
            let written = file.write_all(format!("{pid}\n").as_bytes());
            // Where there is room for the file, there may be none for the number.
            written.inspect_err(|_full| self.undo(scene))
        });
        written.map_err(|error| {
            Trouble::of(format!("cannot write {pid} to {}", word::text(&self.file)), &error)
        })
    }

    fn undo(&self, _scene: &mut Scene) {
        // A pipe or a terminal is nobody's to remove.
        if fs::symlink_metadata(&self.file).is_ok_and(|file| file.is_file()) {
            // If it is gone already, so much the better.
            let _gone = fs::remove_file(&self.file);
        }
    }
}
