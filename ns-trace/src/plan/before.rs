//! What happens when everything is made and the program has not begun.

use std::{
    io::{self, Write as _},
    process::{Command, Stdio},
};

use rustix::io::{read, retry_on_intr};
use serde::Serialize;

use super::{Action, Scene, Trouble, word};

/// Waits for a line on standard input.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Pause {}

impl Action for Pause {
    fn describe(&self) -> String {
        "wait for a line on standard input".to_owned()
    }

    fn carry_out(&self, scene: &mut Scene) -> Result<(), Trouble> {
        let pid = scene
            .program
            .map_or(std::process::id().cast_signed(), |pid| pid.as_raw_nonzero().get());
        // Who does not read it may still go on.
        let _told = writeln!(io::stderr(), "ns-trace: process {pid} waits; press Enter to go on");
        // Byte by byte, so that the program gets all that follows.
        let mut byte = [0];
        loop {
            let length = retry_on_intr(|| read(rustix::stdio::stdin(), &mut byte));
            match length {
                Ok(0) => return Ok(()),
                Ok(_) if byte == *b"\n" => return Ok(()),
                Ok(_) => {}
                Err(error) => {
                    return Err(Trouble::of("cannot read standard input", &error.into()));
                }
            }
        }
    }
}

/// Runs a command inside, and waits for it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Setup {
    /// What the shell is given.
    #[serde(serialize_with = "word::as_text")]
    pub command: std::ffi::OsString,
}

impl Action for Setup {
    fn describe(&self) -> String {
        format!("run {}", word::command(&["sh".as_ref(), "-c".as_ref(), &*self.command]))
    }

    fn carry_out(&self, _scene: &mut Scene) -> Result<(), Trouble> {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(&self.command).stdin(Stdio::null());
        let command = word::text(&self.command);
        match shell.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Trouble::new(format!("the set-up `{command}` failed: {status}"))),
            Err(error) => Err(Trouble::of(format!("cannot run the set-up `{command}`"), &error)),
        }
    }
}
