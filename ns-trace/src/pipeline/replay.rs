//! A recorded stream through the same way out as a live one.

use std::io;

use super::{Outcome, Stream, stream::End};
use crate::history::replay::{Error, Replay};

/// Sends the events of a recording.
///
/// # Errors
///
/// If the recording cannot be read, or the output not written.
pub fn run_replay(replay: Replay, mut stream: Stream) -> Result<Outcome, Error> {
    for event in replay {
        let sent = stream.send(event?, None);
        if let Err(error) = sent {
            return stream.finish(Err(error)).map_err(Error::Read);
        }
        if stream.is_full() {
            return stream.finish(Ok(End::Count)).map_err(Error::Read);
        }
    }
    let ended: io::Result<End> = Ok(End::Source);
    stream.finish(ended).map_err(Error::Read)
}
