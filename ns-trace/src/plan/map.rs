//! Which users and groups of a new user namespace are which outside.

use std::{fs, io, process::Command};

use rustix::thread::CapabilitySet;
use serde::Serialize;

use super::{
    Action, Place, Reason, Scene, Trouble,
    program::{NOT_EXECUTABLE, NOT_FOUND},
    reason,
};
use crate::{
    model::{MapFile, MapLine},
    sys::capability::holds,
};

/// How much the kernel takes (`map_write` of `kernel/user_namespace.c`: less than a page).
const LONGEST: usize = 4095;

/// Writes `uid_map` or `gid_map`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Map {
    /// Which of the two.
    pub file: MapFile,
    /// The lines, as `inside outside count`.
    #[serde(serialize_with = "as_lines")]
    pub lines: Vec<MapLine>,
    /// Whether somebody outside writes it: one line for the own number is all that a process
    /// without capabilities may write itself.
    pub ranges: bool,
}

fn as_lines<S: serde::Serializer>(lines: &[MapLine], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(lines.iter().map(|line| words(*line).join(" ")))
}

fn words(line: MapLine) -> [String; 3] {
    [line.inside, line.outside, line.count].map(|number| number.to_string())
}

impl Map {
    fn text(&self) -> String {
        self.lines.iter().map(|line| words(*line).join(" ") + "\n").collect()
    }

    fn write(&self, process: &str) -> Result<(), Trouble> {
        let text = self.text();
        let path = format!("/proc/{process}/{}", self.file.name());
        if text.len() > LONGEST {
            let lines = self.lines.len();
            return Err(Trouble::new(format!(
                "cannot write {path}: {lines} lines are more than the kernel takes, which is \
                 {LONGEST} bytes"
            )));
        }
        write(&path, &text).map_err(|error| {
            let reason = reason::of_map(self.file, &self.lines, &error);
            let told = text.trim_end().replace('\n', ", ");
            Trouble::of(format!("cannot write `{told}` to {path}"), &error).because(reason)
        })
    }

    /// Has the program write it that may map the ranges of /etc/subuid or /etc/subgid.
    fn run_mapper(&self, process: &str) -> Result<(), Trouble> {
        let (mapper, ranges) = match self.file {
            MapFile::GidMap => ("newgidmap", "/etc/subgid"),
            _ => ("newuidmap", "/etc/subuid"),
        };
        let mut command = Command::new(mapper);
        command.arg(process).args(self.lines.iter().flat_map(|line| words(*line)));
        match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let said = said.trim().to_owned();
                let why = if said.is_empty() { output.status.to_string() } else { said };
                let hint = format!("it allows what {ranges} grants to the own user");
                let told = self.text().trim_end().replace('\n', ", ");
                Err(Trouble::new(format!("{mapper} refused to map `{told}`"))
                    .because(Some(Reason::new(why, hint))))
            }
            Err(error) => {
                let missing = error.kind() == io::ErrorKind::NotFound;
                let reason = Reason::new(
                    "only that program may map ranges for a process without CAP_SETUID",
                    "install it (package uidmap or shadow-utils), or map only the own user: \
                     --map-root-user, --map-current-user",
                );
                let status = if missing { NOT_FOUND } else { NOT_EXECUTABLE };
                let what = format!("cannot run {mapper}");
                Err(Trouble::of(what, &error).because(Some(reason)).status(status))
            }
        }
    }
}

/// One write is all that there may be.
pub(super) fn write(path: &str, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    file.write(text.as_bytes()).map(drop)
}

impl Action for Map {
    fn describe(&self) -> String {
        format!("write `{}` to {}", self.text().trim_end().replace('\n', ", "), self.file.name())
    }

    fn place(&self) -> Place {
        if self.ranges { Place::Outside } else { Place::Inside }
    }

    fn carry_out(&self, scene: &mut Scene) -> Result<(), Trouble> {
        if !self.ranges {
            return self.write("self");
        }
        let main = scene.main.map(|pid| pid.as_raw_nonzero().to_string()).unwrap_or_default();
        let needed = match self.file {
            MapFile::GidMap => CapabilitySet::SETGID,
            _ => CapabilitySet::SETUID,
        };
        if holds(needed) { self.write(&main) } else { self.run_mapper(&main) }
    }
}

/// Whether processes of the new user namespace may drop groups.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Setgroups {
    /// Whether they may.
    pub allow: bool,
}

impl Setgroups {
    const fn word(self) -> &'static str {
        if self.allow { "allow" } else { "deny" }
    }
}

impl Action for Setgroups {
    fn describe(&self) -> String {
        format!("write `{}` to setgroups", self.word())
    }

    fn carry_out(&self, _scene: &mut Scene) -> Result<(), Trouble> {
        match write("/proc/self/setgroups", self.word()) {
            // Before Linux 3.19 there was no such file.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let what = format!("cannot write `{}` to /proc/self/setgroups", self.word());
                let reason = reason::of_setgroups(self.allow, &error);
                Err(Trouble::of(what, &error).because(reason))
            }
            _ => Ok(()),
        }
    }
}
