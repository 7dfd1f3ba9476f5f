//! Events from the collector, if it has what is wanted.

use super::TraceArgs;
use crate::{
    history::replay::Replay,
    model::From,
    pipeline::Stream,
    report::{Class, Failure, sight},
    serve::{client, control::request::Trace},
};

/// The events that a collector sends; `None` if own probes are to find them.
pub(super) fn events(args: &TraceArgs, stream: &Stream) -> Result<Option<Replay>, Failure> {
    match (args.source.0, own_probes(args)) {
        (From::Scan, _) | (From::Auto, Some(_)) => return Ok(None),
        (From::Live, Some(what)) => {
            let sentence = format!("cannot take --source live with {what}, which needs own probes");
            return Err(Failure::new(sentence).class(Class::Usage));
        }
        (_, None) => {}
    }
    let must = args.source.0 == From::Live;
    if !sight::asks_as_it_is_numbered() {
        return if must { Err(sight::elsewhere()) } else { Ok(None) };
    }
    let wanted = Trace {
        filter: args.filter.clone(),
        types: args.kinds.clone(),
        tasks: stream.needs_tasks(),
    };
    match client::trace(wanted) {
        Ok(file) => Ok(Some(Replay::live(file))),
        Err(error) if must => Err(sight::unanswered(&error)),
        Err(_) => Ok(None),
    }
}

/// What cannot be had from somebody else's probes.
fn own_probes(args: &TraceArgs) -> Option<&'static str> {
    [
        (!args.command.is_empty(), "a command"),
        (args.snapshot, "--snapshot"),
        (args.follow, "--follow"),
        (args.btf.is_some(), "--btf"),
        (args.probe.0.is_some(), "--probe"),
    ]
    .into_iter()
    .find_map(|(is_asked, what)| is_asked.then_some(what))
}
