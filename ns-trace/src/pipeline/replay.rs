//! A recorded stream through the same way out as a live one.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Outcome, Stream, stream::End};
use crate::{
    history::replay::{self, Replay},
    sys::signal,
};

/// Why a replay broke off.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The recording.
    #[error(transparent)]
    Recording(#[from] replay::Error),
    /// The output.
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
    /// Signals.
    #[error("cannot wait for the recording: {0}")]
    Watch(#[source] io::Error),
}

/// How to replay.
#[derive(Debug, Default)]
pub struct ReplayOptions {
    /// How long; `None` is to the end of the recording.
    pub timeout: Option<Duration>,
    /// Where events are written, to notice that nobody reads them any more.
    pub output: Option<OwnedFd>,
}

/// Sends the events of a recording, which may still be growing if it is a pipe.
///
/// # Errors
///
/// If the recording cannot be read, or the output not written; what came before is written.
pub fn run_replay(
    mut replay: Replay,
    mut stream: Stream,
    options: &ReplayOptions,
) -> Result<Outcome, ReplayError> {
    let signals = signal::ending().map_err(ReplayError::Watch)?;
    let deadline = options.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut broken = None;
    let ended = loop {
        if replay.is_drained() {
            // The next event may be long in coming.
            if let Err(error) = stream.flush() {
                break Err(error);
            }
            let end = wait(&replay, &signals, options, deadline).map_err(ReplayError::Watch)?;
            if let Some(end) = end {
                break Ok(end);
            }
        }
        let sent = match replay.next() {
            None => break Ok(End::Source),
            Some(Ok(event)) => stream.send(event),
            Some(Err(error)) => {
                broken = Some(error);
                break Ok(End::Source);
            }
        };
        match sent {
            Ok(()) if stream.is_full() => break Ok(End::Count),
            Ok(()) => {}
            Err(error) => break Err(error),
        }
    };
    let outcome = stream.finish(ended).map_err(ReplayError::Write)?;
    broken.map_or(Ok(outcome), |error| Err(error.into()))
}

/// Waits until there is more to read; returns why there is no use in that, if so.
fn wait(
    replay: &Replay,
    signals: &OwnedFd,
    options: &ReplayOptions,
    deadline: Option<Instant>,
) -> io::Result<Option<End>> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = vec![
            PollFd::new(signals, PollFlags::IN),
            PollFd::from_borrowed_fd(replay.as_fd(), PollFlags::IN),
        ];
        // Of the output only errors and hang-ups, which are reported unasked.
        fds.extend(options.output.iter().map(|output| PollFd::new(output, PollFlags::empty())));
        match poll(&mut fds, left.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let happened: Vec<_> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        return match happened[..] {
            [true, ..] => {
                let mut number = [0];
                rustix::io::read(signals, &mut number)?;
                let [number] = number;
                Ok(Some(End::Signal(i32::from(number))))
            }
            [_, _, true] => Ok(Some(End::Closed)),
            [_, true, ..] => Ok(None),
            _ => Ok(Some(End::Timeout)),
        };
    }
}
