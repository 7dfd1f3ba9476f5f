//! Mounts in a new mount namespace.

use std::path::{Path, PathBuf};

use rustix::{
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount},
};
use serde::Serialize;

use super::{Action, Scene, Trouble, map::write, reason, word};

/// How mounts spread to other mount namespaces (`mount_namespaces(7)`).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// Neither way.
    Private,
    /// Both ways.
    Shared,
    /// From there to here.
    Slave,
}

/// Sets the propagation of all mounts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Propagation {
    /// To what.
    pub to: Spread,
}

impl Propagation {
    const fn word(self) -> &'static str {
        match self.to {
            Spread::Private => "private",
            Spread::Shared => "shared",
            Spread::Slave => "slave",
        }
    }
}

impl Action for Propagation {
    fn describe(&self) -> String {
        format!("make all mounts {}", self.word())
    }

    fn carry_out(&self, _scene: &mut Scene) -> Result<(), Trouble> {
        let flags = match self.to {
            Spread::Private => MountPropagationFlags::PRIVATE,
            Spread::Shared => MountPropagationFlags::SHARED,
            Spread::Slave => MountPropagationFlags::DOWNSTREAM,
        };
        mount_change("/", flags | MountPropagationFlags::REC).map_err(|error| {
            let what = format!("cannot make all mounts {}", self.word());
            let reason = reason::of_propagation(error);
            Trouble::of(what, &error.into()).because(reason)
        })
    }
}

/// A file system that shows the namespaces which it is mounted in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum FileSystem {
    /// proc(5), of the pid namespace.
    #[serde(rename = "proc")]
    Proc,
    /// `binfmt_misc`, of the user namespace (Linux 6.7).
    #[serde(rename = "binfmt_misc")]
    Binfmt,
}

impl FileSystem {
    const fn name(self) -> &'static str {
        match self {
            Self::Proc => "proc",
            Self::Binfmt => "binfmt_misc",
        }
    }
}

/// Mounts one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Mount {
    /// Which.
    pub file_system: FileSystem,
    /// Where.
    #[serde(serialize_with = "word::as_text")]
    pub on: PathBuf,
    /// Whether what is mounted there already is made private first, so that the new mount spreads
    /// nowhere.
    pub private: bool,
}

impl Action for Mount {
    fn describe(&self) -> String {
        let private = if self.private { ", made private" } else { "" };
        format!("mount {} on {}{private}", self.file_system.name(), word::text(&self.on))
    }

    fn carry_out(&self, _scene: &mut Scene) -> Result<(), Trouble> {
        if self.private {
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            match mount_change(&self.on, private) {
                // Nothing is mounted there.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(error) => {
                    let what = format!("cannot make {} private", word::text(&self.on));
                    return Err(Trouble::of(what, &error.into()));
                }
            }
        }
        let name = self.file_system.name();
        let flags = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
        mount(name, &self.on, name, flags, None).map_err(|error| {
            let what = format!("cannot mount {name} on {}", word::text(&self.on));
            let reason = reason::of_mount(self.file_system, &self.on, error);
            Trouble::of(what, &error.into()).because(reason)
        })
    }

    /// Where mounts are shared it has been seen elsewhere, too.
    fn undo(&self, _scene: &mut Scene) {
        // If it is gone already, so much the better.
        let _gone = unmount(&self.on, UnmountFlags::DETACH);
    }
}

/// Tells the kernel of an interpreter of programs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Interpreter {
    /// Where `binfmt_misc` is mounted.
    #[serde(serialize_with = "word::as_text")]
    pub at: PathBuf,
    /// `:name:type:offset:magic:mask:interpreter:flags`.
    pub line: String,
}

impl Action for Interpreter {
    fn describe(&self) -> String {
        format!("write `{}` to {}", self.line, word::text(self.register()))
    }

    fn carry_out(&self, _scene: &mut Scene) -> Result<(), Trouble> {
        let register = word::text(self.register());
        write(&register, &self.line).map_err(|error| {
            Trouble::of(format!("cannot write `{}` to {register}", self.line), &error)
                .because(reason::of_interpreter(&error))
        })
    }
}

impl Interpreter {
    fn register(&self) -> PathBuf {
        Path::new(&self.at).join("register")
    }
}
