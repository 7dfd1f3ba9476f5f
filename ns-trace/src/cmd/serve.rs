//! `ns-trace serve`: the collector.

use std::{env, process::ExitCode};

use super::trace::{check_capabilities, failure};
use crate::{
    cli::ServeArgs,
    probe::pins::Obstacle,
    report::{Class, Failure, sight},
    serve::{
        self, Error, Level, Options,
        config::{Config, Pin, Problems, keys},
        default_directory, unpin,
    },
};

/// Serves until told to end.
pub(super) fn run(args: &ServeArgs) -> Result<ExitCode, Failure> {
    let load = {
        let (file, pin) = (args.config.clone(), args.pin);
        move || {
            let (mut config, rules) = Config::load_with_rules(file.as_deref())?;
            if pin {
                config.probe.pin = Pin::Always;
            }
            Ok((config, rules))
        }
    };
    let directory = args.runtime_dir.clone().unwrap_or_else(default_directory);
    if args.unpin {
        // Whatever is wrong with rules leaves nothing pinned.
        let config = Config::load(args.config.as_deref()).map_err(|problems| refuse(&problems))?;
        let removed = unpin(&directory, &config.probe.pin_directory);
        let removed = removed.map_err(|error| told(&error))?;
        if removed == 0 {
            say(Level::Info, "there were no probes left");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (config, rules) = load().map_err(|problems| refuse(&problems))?;
    if args.check {
        return Ok(ExitCode::SUCCESS);
    }
    if args.print_config {
        sight::print(&keys::print(&config))?;
        return Ok(ExitCode::SUCCESS);
    }
    check_capabilities()?;
    let options = Options { config, rules, reload: Box::new(load), directory, say };
    let outcome = serve::run(options).map_err(|error| told(&error))?;
    say(Level::Info, &format!("ended after {} events, {} lost", outcome.events, outcome.lost));
    Ok(ExitCode::SUCCESS)
}

fn refuse(problems: &Problems) -> Failure {
    Failure::new(format!("the configuration is wrong:\n{problems}")).class(Class::Usage)
}

fn told(error: &Error) -> Failure {
    match error {
        Error::Live(error) => failure::of_live(error),
        Error::Taken { pid, .. } => Failure::new(format!("cannot serve: {error}"))
            .hint(format!("end it (kill {pid}), or give this one another --runtime-dir")),
        Error::Pin(Obstacle::TooOld) => {
            Failure::new(format!("cannot serve: {error}")).class(Class::Kernel)
        }
        Error::Pin(_) => Failure::new(format!("cannot serve: {error}")).hint(
            "mount one (mount -t bpf bpf /sys/fs/bpf), name another in [probe] pin_directory, or go \
             without: pin = \"never\"",
        ),
        Error::History(_) => Failure::new(format!("cannot serve: {error}")).hint(
            "name another file by `path` in [history] of the configuration, or have none by \
             `enabled = false`",
        ),
        Error::Io { .. } => Failure::new(format!("cannot serve: {error}")),
    }
}

/// Says on standard error how the collector is, as the journal wants it if it reads that
/// (`sd-daemon(3)`).
#[expect(clippy::print_stderr, reason = "standard output may be a sink")]
fn say(level: Level, text: &str) {
    let prefix = match (env::var_os("JOURNAL_STREAM"), level) {
        (None, _) => "ns-trace: ",
        (Some(_), Level::Error) => "<3>",
        (Some(_), Level::Warning) => "<4>",
        (Some(_), Level::Info) => "<6>",
    };
    for line in text.lines() {
        eprintln!("{prefix}{line}");
    }
}
