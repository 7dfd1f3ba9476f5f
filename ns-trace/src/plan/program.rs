//! The program that everything is for.

use std::{ffi::OsString, io};

use rustix::process::Signal;
use serde::Serialize;

use super::{Action, Scene, Trouble, fork, word};
use crate::sys::{account, program};

/// Exit status if the program is not there.
pub(super) const NOT_FOUND: u8 = 127;
/// Exit status if it cannot be executed.
pub(super) const NOT_EXECUTABLE: u8 = 126;

/// Replaces this process by a program.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Exec {
    /// The program, looked up in PATH, and its arguments; none at all is a login shell.
    #[serde(serialize_with = "word::as_texts")]
    pub command: Vec<OsString>,
    /// Its environment.
    pub environment: Environment,
}

/// The environment of a program.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Ours.
    #[default]
    Inherit,
    /// These variables and no others.
    #[serde(serialize_with = "names")]
    Only(Vec<(OsString, OsString)>),
}

fn names<S: serde::Serializer>(
    variables: &[(OsString, OsString)],
    to: S,
) -> Result<S::Ok, S::Error> {
    let names: Vec<_> = variables.iter().map(|(name, _)| name).collect();
    word::as_texts(&names, to)
}

impl Action for Exec {
    fn describe(&self) -> String {
        let environment = match &self.environment {
            Environment::Inherit => String::new(),
            Environment::Only(variables) if variables.is_empty() => {
                " with an empty environment".to_owned()
            }
            Environment::Only(variables) => {
                let names: Vec<_> = variables.iter().map(|(name, _)| word::text(name)).collect();
                format!(" with no environment but {}", names.join(", "))
            }
        };
        match &*self.command {
            [] => format!("exec a login shell{environment}"),
            command => format!("exec {}{environment}", word::command(command)),
        }
    }

    fn carry_out(&self, scene: &mut Scene) -> Result<(), Trouble> {
        if let (Some(parent), Some(signal)) = (&scene.parent, scene.death_signal)
            && let Some(signal) = Signal::from_named_raw(signal)
        {
            // New credentials have made the kernel forget it.
            fork::die_with(std::os::fd::AsFd::as_fd(parent), signal)?;
        }
        if let Some(outside) = &mut scene.outside {
            outside.keep();
        }
        if let Environment::Only(variables) = &self.environment {
            program::replace_environment(variables);
        }
        let (file, args) = match self.command.first() {
            Some(file) => (file.clone(), self.command.clone()),
            None => account::login_shell(),
        };
        let error = program::exec(&file, &args);
        let status =
            if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
        Err(Trouble::of(format!("cannot execute {}", word::text(&file)), &error).status(status))
    }
}
