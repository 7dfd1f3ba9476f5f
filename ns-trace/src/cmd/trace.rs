//! `ns-trace trace`: the stream of events.

pub(super) mod failure;
mod live;
pub(super) mod output;

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{ExitCode, ExitStatus},
    time::Instant,
};

use super::rules;
use crate::{
    cli::TraceArgs,
    expr::Filter,
    history::replay::Replay,
    pipeline::{
        Command, End, LiveOptions, Outcome, ReplayOptions, Scope, Selection, Stream, run_live,
        run_replay,
    },
    probe::Options,
    report::{Class, Failure, MATCHED},
    rule::Engine,
    sys::capability::{self, TRACE},
    view::Summary,
};

/// Exit status of a command that --timeout ended, as timeout(1) has it.
const TIMED_OUT: u8 = 124;

/// Traces.
pub(super) fn run(args: &TraceArgs) -> Result<ExitCode, Failure> {
    let stream = stream(args)?;
    let started = Instant::now();
    let (outcome, status) = if let Some(path) = &args.replay {
        let told = |error| failure::of_replay(path, &error);
        let replay = Replay::open(path).map_err(|error| told(error.into()))?;
        let options = ReplayOptions { timeout: args.timeout, output: output::watchable(args) };
        (run_replay(replay, stream, &options).map_err(told)?, None)
    } else if let Some(replay) = live::events(args, &stream)? {
        let options = ReplayOptions { timeout: args.timeout, output: output::watchable(args) };
        let ended = run_replay(replay, stream, &options);
        (ended.map_err(|error| failure::of_collector(&error))?, None)
    } else {
        check_capabilities()?;
        run_live(options(args)?, stream).map_err(|error| failure::of_live(&error))?
    };
    summarise(args, &outcome, started);
    if args.exit_code && outcome.alerts > 0 {
        return Ok(ExitCode::from(MATCHED));
    }
    Ok(exit_code(&outcome, status, !args.command.is_empty()))
}

fn stream(args: &TraceArgs) -> Result<Stream, Failure> {
    let filter = args.filter.as_deref().map(Filter::compile).transpose();
    let filter = filter
        .map_err(|error| failure::of_filter(&error, args.filter.as_deref().unwrap_or_default()))?;
    let selection = Selection {
        kinds: args.kinds.clone(),
        events: args.events.clone(),
        tasks: args.tasks,
        no_fail: args.no_fail,
        filter,
    };
    let scope = if !args.command.is_empty() {
        Scope::tree_below_self()
    } else if args.pids.is_empty() {
        Scope::everybody()
    } else {
        Scope::processes(&args.pids, args.follow)
    };
    let rules = args.rules.as_deref().map(rules::load).transpose();
    let rules = rules.map_err(|failure| failure.class(Class::Usage))?;
    let rules = rules.as_ref().map(Engine::new);
    Ok(Stream::new(selection, scope, output::sink(args)?, args.count).with_rules(rules))
}

fn options(args: &TraceArgs) -> Result<LiveOptions, Failure> {
    let command = args
        .command
        .split_first()
        .map(|(program, args)| Command { program: program.into(), args: args.to_vec() });
    if let Some(command) = &command {
        failure::check_command(&command.program)?;
    }
    let too_large = |_| Failure::new("the sizes do not fit this machine").class(Class::Usage);
    Ok(LiveOptions {
        probes: Options {
            backend: args.probe.0,
            ring_bytes: u32::try_from(args.buffer.0).map_err(too_large)?,
            btf: args.btf.clone(),
            pins: None,
        },
        backlog_bytes: usize::try_from(args.backlog.0).map_err(too_large)?,
        snapshot: args.snapshot,
        timeout: args.timeout,
        command,
        output: output::watchable(args),
        viewer: None,
        attached: None,
        inquiries: None,
        keep: None,
    })
}

/// Names every capability that is missing, rather than let the kernel say EPERM to the first use.
pub(super) fn check_capabilities() -> Result<(), Failure> {
    if capability::count_nowhere() {
        return Err(Failure::new("cannot trace: this is not the initial user namespace")
            .class(Class::Privilege)
            .hint(
                "tracing needs capabilities in the initial user namespace: run it outside of this \
                 container or `unshare --user`",
            ));
    }
    let missing: Vec<_> = TRACE.iter().filter(|needed| !capability::held(needed)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = |separator: &str, show: &dyn Fn(&capability::Needed) -> String| {
        missing.iter().map(|needed| show(needed)).collect::<Vec<_>>().join(separator)
    };
    let what = list(", ", &|needed| format!("{} (to {})", needed.name, needed.purpose));
    let names = list(",", &|needed| needed.name.to_ascii_lowercase());
    Err(Failure::new(format!("cannot trace: missing {what}"))
        .class(Class::Privilege)
        .hint(format!("run as root, or give the program the capabilities: setcap {names}+ep …")))
}

#[expect(clippy::print_stderr, reason = "the summary is for people, not for the stream")]
fn summarise(args: &TraceArgs, outcome: &Outcome, started: Instant) {
    let summary = Summary {
        events: outcome.events,
        lost: outcome.lost,
        seconds: started.elapsed().as_secs_f64(),
        alerts: args.rules.as_ref().map(|_| outcome.alerts),
        unasked: outcome.unasked,
        held: outcome.held,
        forgotten: outcome.forgotten,
        filter_errors: outcome.unmatched,
    };
    eprintln!("{summary}");
}

/// The command's own status if there is one.
fn exit_code(outcome: &Outcome, status: Option<ExitStatus>, has_command: bool) -> ExitCode {
    if has_command && outcome.end == End::Timeout {
        return ExitCode::from(TIMED_OUT);
    }
    let code = match (status.map(|status| (status.code(), status.signal())), outcome.end) {
        (Some((Some(code), _)), _) => code,
        (Some((None, Some(signal))), _) => 128 + signal,
        // Told to end while the command was still running.
        (None, End::Signal(signal)) if has_command => 128 + signal,
        _ => 0,
    };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
