//! Tasks that come, change their program, and go.

use std::fmt::{self, Write as _};

use super::{
    super::{Charset, color::Style, escape::write_argument, signal},
    call::changes,
    line::Line,
};
use crate::model::{
    Process,
    event::{Exec, Exit, Fork, Status},
};

pub(super) fn fork(event: &Fork, line: &mut Line<'_>) -> fmt::Result {
    let child = &event.child;
    if child.pid == child.tid {
        write!(line, "process {}", child.pid)
    } else {
        write!(line, "thread {}/{}", child.pid, child.tid)
    }
}

pub(super) fn exec(event: &Exec, line: &mut Line<'_>) -> fmt::Result {
    if !event.changes.is_empty() {
        changes(&event.changes, line)?;
        line.write_str("  ")?;
    }
    let mut command = String::new();
    write_command(&event.process, line.charset(), &mut command)?;
    if event.process.args_truncated {
        write!(command, " {}", line.ellipsis())?;
    }
    line.fit(&command)
}

/// The file and its arguments; the name under which it runs too if it is not the file's own.
fn write_command(process: &Process, charset: Charset, out: &mut String) -> fmt::Result {
    let args = process.args.as_deref().unwrap_or_default();
    let rest = match (&process.exe, args.split_first()) {
        (None, None) => return out.write_char('?'),
        (None, Some(_)) => args,
        (Some(exe), None) => {
            write_argument(exe, charset, out)?;
            args
        }
        (Some(exe), Some((name, rest))) => {
            write_argument(exe, charset, out)?;
            if **exe == **name || exe.rsplit('/').next() == Some(name) {
                rest
            } else {
                out.write_str(" as")?;
                args
            }
        }
    };
    for argument in rest {
        if !out.is_empty() {
            out.write_char(' ')?;
        }
        write_argument(argument, charset, out)?;
    }
    Ok(())
}

pub(super) fn exit(event: &Exit, line: &mut Line<'_>) -> fmt::Result {
    match event.status {
        Status::Code { code: 0 } => line.write_str("code 0"),
        Status::Code { code } => line.paint(Style::RED, format_args!("code {code}")),
        Status::Signal { signal, core } => {
            let core = if core { ", core dumped" } else { "" };
            match signal::name(signal) {
                Some(name) => line.paint(Style::RED, format_args!("{name}{core}")),
                None => line.paint(Style::RED, format_args!("signal {signal}{core}")),
            }
        }
    }
}
