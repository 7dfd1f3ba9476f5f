//! The root and the working directory.

use std::path::PathBuf;

use rustix::process::{chdir, chroot};
use serde::Serialize;

use super::{Action, Scene, Trouble, reason, word};

/// Makes a directory the root.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Root {
    /// Which.
    #[serde(serialize_with = "word::as_text")]
    pub directory: PathBuf,
}

impl Action for Root {
    fn describe(&self) -> String {
        format!("chroot to {}", word::text(&self.directory))
    }

    fn carry_out(&self, _scene: &mut Scene) -> Result<(), Trouble> {
        chroot(&self.directory).map_err(|error| {
            let what = format!("cannot make {} the root", word::text(&self.directory));
            Trouble::of(what, &error.into()).because(reason::of_root(error))
        })
    }
}

/// Makes a directory the working directory.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Directory {
    /// Which.
    #[serde(serialize_with = "word::as_text")]
    pub directory: PathBuf,
}

impl Action for Directory {
    fn describe(&self) -> String {
        format!("change the directory to {}", word::text(&self.directory))
    }

    fn carry_out(&self, _scene: &mut Scene) -> Result<(), Trouble> {
        chdir(&self.directory).map_err(|error| {
            let what = format!("cannot change the directory to {}", word::text(&self.directory));
            Trouble::of(what, &error.into())
        })
    }
}
