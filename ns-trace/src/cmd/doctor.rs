//! `ns-trace doctor`: what this kernel lets ns-trace see, and why.

mod collector;
mod kernel;
mod place;
mod report;
mod text;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use self::report::{Backend, Process, Report, Status, Verdict};
use crate::{
    cli::DoctorArgs,
    probe::{
        Plan, coverage,
        offsets::{self, KERNEL_BTF, Layout},
        pins,
    },
    report::{Class, Failure},
    serve::{self, config::Config},
    sys::mounts,
    view::{quantity::Count, terminal},
};

/// Name and version of the JSON report.
const SCHEMA: &str = "ns-trace-doctor/1";

/// Examines this machine.
pub(super) fn run(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    if args.clean {
        return clean();
    }
    let path = args.btf.clone().unwrap_or_else(|| PathBuf::from(KERNEL_BTF));
    let functions = [Plan::functions(), coverage::functions().to_vec()].concat();
    let layout = Layout::read(&path, &functions);
    if args.offsets {
        return print_offsets(layout);
    }
    let report = examine(args, &path, layout);
    let text = if args.json {
        let json = serde_json::to_string_pretty(&report);
        json.map_err(|error| Failure::new(format!("cannot write the report: {error}")))? + "\n"
    } else {
        text::render(&report, terminal::has_color(io::stdout().is_terminal()), terminal::charset())
    };
    print(&text)?;
    Ok(ExitCode::from(match report.verdict.status {
        Status::Ready => 0,
        Status::Privileges => Class::Privilege.code(),
        Status::Kernel => Class::Kernel.code(),
    }))
}

/// Removes what a collector has left for the next one, and tells what that was.
fn clean() -> Result<ExitCode, Failure> {
    let mut places = BTreeSet::from([PathBuf::from(pins::DIRECTORY)]);
    // With a configuration that is wrong there was no collector.
    places.extend(Config::load(None).ok().map(|config| config.probe.pin_directory));
    let mut removed = 0;
    for place in places {
        let found = serve::unpin(&serve::default_directory(), &place);
        removed += found.map_err(|error| match error {
            serve::Error::Taken { .. } => Failure::new(format!("cannot clean up: {error}"))
                .hint("what it needs is not a leftover: end it first"),
            _ => Failure::new(format!("cannot clean up: {error}")),
        })?;
    }
    let sets = Count(removed as u64, "set");
    print(&format!("removed: {sets} of pinned probes\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn print_offsets(layout: Result<Layout, offsets::Error>) -> Result<ExitCode, Failure> {
    let layout = layout.map_err(|error| Failure::new(error.to_string()).class(Class::Kernel))?;
    let mut text = String::new();
    for (name, value) in offsets::named(&layout.offsets) {
        // Writing to a string cannot fail.
        let _ = match value {
            Some(value) => writeln!(text, "{name} {value}"),
            None => writeln!(text, "{name} absent"),
        };
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write the report: {error}")))
        }
        _ => Ok(()),
    }
}

fn examine(
    args: &DoctorArgs,
    path: &std::path::Path,
    layout: Result<Layout, offsets::Error>,
) -> Report {
    let (backends, self_check) = kernel::backends(args.btf.as_deref(), &layout);
    let mut btf = kernel::btf(path, &layout);
    btf.self_check = self_check;
    let mounts = mounts::all().unwrap_or_default();
    let process = place::process();
    Report {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        verdict: verdict(&backends),
        kernel: kernel::kernel(),
        btf,
        warnings: warnings(&process),
        process,
        collector: collector::collector(),
        settings: place::settings(),
        file_systems: place::file_systems(&mounts),
        pins: place::pins(),
        cgroup: place::cgroup(&mounts),
        nsfs: place::nsfs(),
        coverage: layout.ok().map(|layout| coverage::coverage(&layout)),
        backends,
    }
}

/// Ready if a backend can run; else it is the kernel's fault only if no privilege would help.
fn verdict(backends: &[Backend]) -> Verdict {
    if let Some(backend) = backends.iter().find(|backend| backend.available == Some(true)) {
        let name = backend.name;
        let sentence = format!("ns-trace can trace here, with the {name} backend");
        return Verdict { status: Status::Ready, backend: Some(name), sentence };
    }
    let (status, sentence) = if backends.iter().all(|backend| backend.hopeless) {
        (Status::Kernel, "ns-trace cannot trace here: the kernel offers none of its backends")
    } else {
        (Status::Privileges, "ns-trace may not trace here: this process lacks privileges")
    };
    Verdict { status, backend: None, sentence: sentence.to_owned() }
}

fn warnings(process: &Process) -> Vec<String> {
    let outside = |kind: &str| {
        let own = process.namespaces.iter().find(|namespace| namespace.kind == kind);
        own.is_some_and(|namespace| namespace.initial == Some(false))
    };
    let sentences = [
        (
            "pid",
            "not in the initial pid namespace: the pids in events are those of the initial one",
        ),
        (
            "user",
            "not in the initial user namespace: capabilities held here do not reach the kernel",
        ),
        (
            "cgroup",
            "not in the initial cgroup namespace: cgroups outside of it have no path in events",
        ),
        ("mnt", "not in the initial mount namespace: paths in events may mean other files here"),
        ("time", "not in the initial time namespace: its boot clock differs from that of events"),
    ];
    let mine = sentences.into_iter().filter(|(kind, _)| outside(kind));
    mine.map(|(_, sentence)| sentence.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(name: &'static str, available: Option<bool>, hopeless: bool) -> Backend {
        Backend { name, available, obstacle: None, hopeless, hooks: Vec::new() }
    }

    #[test]
    fn one_backend_is_enough() {
        let backends =
            [backend("fentry", Some(false), true), backend("tracepoint", Some(true), false)];
        let verdict = verdict(&backends);
        assert_eq!((verdict.status, verdict.backend), (Status::Ready, Some("tracepoint")));
    }

    #[test]
    fn what_privileges_may_change_is_not_the_kernels_fault() {
        let lacks = backend("fentry", Some(false), true);
        let denied = backend("tracepoint", None, false);
        assert_eq!(verdict(&[lacks, denied]).status, Status::Privileges);
        let lacks = || backend("fentry", Some(false), true);
        assert_eq!(verdict(&[lacks(), lacks()]).status, Status::Kernel);
    }
}
