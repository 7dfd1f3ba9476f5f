//! Which processes are in which network namespace.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    process,
};

use super::{Outcome, Problem, plain, print, print_column, words};
use crate::{cli::NetnsOptions, model::Kind, name::Names, report::Class};

/// Opens the network namespace of a process.
pub(super) fn namespace(pid: u32) -> Result<OwnedFd, Problem> {
    let file = File::open(format!("/proc/{pid}/ns/net"));
    file.map(OwnedFd::from).map_err(|error| {
        let problem = Problem::new(format!(
            "Cannot open network namespace of process {pid}: {}",
            if error.kind() == io::ErrorKind::NotFound {
                "no such process".to_owned()
            } else {
                words(&error)
            }
        ));
        match error.kind() {
            io::ErrorKind::PermissionDenied => problem
                .status(Class::Privilege.code())
                .hint("whoever looks needs all capabilities of the process (CAP_SYS_PTRACE)"),
            _ => problem,
        }
    })
}

/// Prints the names of the namespace of a process.
pub(super) fn identify(pid: Option<&str>, options: &NetnsOptions) -> Outcome {
    let number = match pid {
        None => process::id(),
        Some(pid) => {
            let told = || Problem::new(format!("Specified string '{pid}' is not a pid"));
            pid.parse().ok().ok_or_else(told)?
        }
    };
    let file = File::from(namespace(number)?);
    let found = file.metadata().map_err(|error| Problem::new(words(&error)))?;
    let names = Names::of(Kind::Net).of_file(&found)?;
    if names.is_empty() && !options.json {
        // As ip(8) has it.
        return print("\n");
    }
    print_column("name", names.iter().map(|name| plain(name).into()).collect(), options)
}

/// Prints the processes in a named namespace.
pub(super) fn pids(name: &OsStr, options: &NetnsOptions) -> Outcome {
    let file = File::from(Names::of(Kind::Net).open(name)?);
    let found = file.metadata().map_err(|error| Problem::new(words(&error)))?;
    let is_it = |path: &str| {
        fs::metadata(path).is_ok_and(|own| (own.dev(), own.ino()) == (found.dev(), found.ino()))
    };
    let mut pids: Vec<u32> = numbers("/proc").collect();
    pids.sort_unstable();
    // A thread may be where its process is not.
    pids.retain(|pid| {
        is_it(&format!("/proc/{pid}/ns/net"))
            || numbers(&format!("/proc/{pid}/task"))
                .any(|tid| tid != *pid && is_it(&format!("/proc/{pid}/task/{tid}/ns/net")))
    });
    print_column("pid", pids.into_iter().map(Into::into).collect(), options)
}

/// The entries of a directory of /proc that are numbers.
fn numbers(directory: &str) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
