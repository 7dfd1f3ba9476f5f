//! The world as screens want it: whole pictures of it, and what happened since the last one.
//!
//! A screen asks [`Pictures`] for the next thing to show and need not know whether probes, looks at
//! /proc or a test's script are behind it.

use std::{
    fmt, io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::pipe::{PipeFlags, pipe_with};

use super::{End, LiveOptions, Outcome, Scope, Selection, Stream, live, look, run_live};
use crate::{
    model::{Event, NsRow, Want, World},
    sink::{Render, Sink},
    sys::clock,
};

/// What exists at one moment, and what has just been.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// When: nanoseconds of the boot clock.
    pub boot_ns: u64,
    /// What exists.
    pub world: Arc<World>,
    /// What ended not long ago, the oldest death first.
    pub dead: Vec<NsRow>,
    /// How many events are missing so far.
    pub lost: u64,
}

/// Something to show.
#[derive(Debug)]
pub enum Update {
    /// The world has changed, or time has passed.
    Picture(Picture),
    /// Something happened.
    Event(Box<Event>),
    /// The answer to [`Pictures::look_closely`]: what exists, with all that holds it.
    Closely(Arc<World>),
    /// There will be no more.
    Ended(Ended),
}

/// Why there is no more.
#[derive(Debug)]
pub enum Ended {
    /// It was over.
    Over(End),
    /// Tracing broke off, or never began.
    Trace(live::Error),
    /// /proc cannot be read.
    Look(io::Error),
}

/// A source of things to show.
pub trait Pictures {
    /// The next one, waited for as long as `patience`; `None` if nothing came.
    fn next(&mut self, patience: Duration) -> Option<Update>;

    /// Has every holder looked for: the answer comes as [`Update::Closely`].
    fn look_closely(&mut self);
}

/// Who is shown what a live source sees.
pub struct Viewer {
    /// How often a picture is made.
    pub every: Duration,
    /// For how long dead namespaces are in it.
    pub keep_dead: Duration,
    /// Takes it; false ends the source.
    pub show: Box<dyn FnMut(Picture) -> bool + Send>,
}

impl fmt::Debug for Viewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Viewer").field("every", &self.every).finish_non_exhaustive()
    }
}

/// Pictures out of other threads, which end when this is dropped.
#[derive(Debug)]
pub struct Channel {
    sender: Sender<Update>,
    updates: Receiver<Update>,
    /// The thread that traces, and a pipe whose other end it watches.
    tracer: Option<(JoinHandle<()>, OwnedFd)>,
}

impl Channel {
    /// Traces, and makes a picture as often as `every`.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started. That tracing fails comes as an update.
    pub fn live(
        mut options: LiveOptions,
        selection: Selection,
        every: Duration,
        keep_dead: Duration,
    ) -> io::Result<Self> {
        let (sender, updates) = channel();
        let (read_end, write_end) = pipe_with(PipeFlags::CLOEXEC)?;
        options.output = Some(write_end);
        let out = sender.clone();
        let show = Box::new(move |picture| out.send(Update::Picture(picture)).is_ok());
        options.viewer = Some(Viewer { every, keep_dead, show });
        let out = sender.clone();
        let tracer = thread::Builder::new().name("tracer".to_owned()).spawn(move || {
            let sink = Sink::new(Box::new(Events(out.clone())), Box::new(io::sink()));
            let stream = Stream::new(selection, Scope::everybody(), sink, None);
            let ended = match run_live(options, stream) {
                Ok((Outcome { end, .. }, _)) => Ended::Over(end),
                Err(error) => Ended::Trace(error),
            };
            // Nobody may be left to be told.
            let _told = out.send(Update::Ended(ended));
        })?;
        Ok(Self { sender, updates, tracer: Some((tracer, read_end)) })
    }

    /// Looks at /proc as often as `every`: no births, no deaths, no events.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started.
    pub fn looks(want: Want, every: Duration) -> io::Result<Self> {
        let (sender, updates) = channel();
        let out = sender.clone();
        thread::Builder::new().name("looks".to_owned()).spawn(move || {
            loop {
                let begin = Instant::now();
                let update = match look(&want) {
                    Ok(world) => {
                        let (boot_ns, world) = (clock::boot_ns(), Arc::new(world));
                        Update::Picture(Picture { boot_ns, world, ..Picture::default() })
                    }
                    Err(error) => Update::Ended(Ended::Look(error)),
                };
                let is_over = matches!(update, Update::Ended(_));
                if out.send(update).is_err() || is_over {
                    return;
                }
                // A look that takes long is not taken all the time.
                thread::sleep(every.max(4 * begin.elapsed()));
            }
        })?;
        Ok(Self { sender, updates, tracer: None })
    }
}

impl Pictures for Channel {
    fn next(&mut self, patience: Duration) -> Option<Update> {
        match self.updates.recv_timeout(patience) {
            Ok(update) => Some(update),
            // There is a sender here: the channel never closes.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let ended = self.tracer.take_if(|(thread, _)| thread.is_finished());
                if let Some(Err(panic)) = ended.map(|(thread, _)| thread.join()) {
                    std::panic::resume_unwind(panic);
                }
                None
            }
        }
    }

    fn look_closely(&mut self) {
        let out = self.sender.clone();
        let look = move || {
            let update = match look(&Want::ALL) {
                Ok(world) => Update::Closely(Arc::new(world)),
                Err(_) => Update::Closely(Arc::default()),
            };
            // The screen may be gone.
            let _told = out.send(update);
        };
        // Without a thread there is no answer, as if it took long.
        let _thread = thread::Builder::new().name("look".to_owned()).spawn(look);
    }
}

/// Events into a channel instead of text.
struct Events(Sender<Update>);

impl Render for Events {
    fn render(&mut self, event: &Event, _: &mut Vec<u8>) {
        // The screen may be gone.
        let _told = self.0.send(Update::Event(Box::new(event.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_again_and_answers_too() {
        let mut pictures = Channel::looks(Want::MEMBERS, Duration::from_millis(1)).unwrap();
        let long = Duration::from_mins(1);
        for _ in 0..2 {
            let update = pictures.next(long);
            let Some(Update::Picture(picture)) = update else { panic!("{update:?}") };
            assert!(picture.world.process(std::process::id()).is_some());
        }
        pictures.look_closely();
        while !matches!(pictures.next(long), Some(Update::Closely(_))) {}
    }
}
