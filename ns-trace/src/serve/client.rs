//! The other end of the control socket.

use std::{
    env,
    fs::File,
    io::{self, Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
};

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::{
    control::{
        pack::unpack,
        request::{Ask, Request, Trace, VERSION},
    },
    past::Question,
    place::default_directory,
};
use crate::model::{Selector, Want, World};

/// Room for the answer about ten thousand namespaces; what it does not need is never touched.
const ROOM: usize = 1 << 20;

/// Why a collector has not answered.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is none, or it lets nobody in.
    #[error("no collector answers at {}: {source}", .path.display())]
    Unreached {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It says no.
    #[error("the collector refuses: {0}")]
    Refused(String),
    /// What it says cannot be read.
    #[error("cannot read what the collector says: {0}")]
    Broken(#[source] io::Error),
}

/// The first line of an answer.
#[derive(Debug, Deserialize)]
struct Head<T> {
    v: u32,
    error: Option<String>,
    past: Option<T>,
}

impl<T: DeserializeOwned> Head<T> {
    fn read(line: &[u8]) -> Result<Self, ClientError> {
        let head: Self =
            serde_json::from_slice(line).map_err(|error| ClientError::Broken(error.into()))?;
        match head.error {
            Some(why) => Err(ClientError::Refused(why)),
            None if head.v != VERSION => {
                Err(ClientError::Refused(format!("it speaks version {}", head.v)))
            }
            None => Ok(head),
        }
    }
}

/// Where the collector is looked for: `NS_TRACE_SOCKET`, or where one of this user or the system's
/// would be.
#[must_use]
pub fn socket() -> PathBuf {
    if let Some(path) = env::var_os("NS_TRACE_SOCKET").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let own = default_directory().join("control.sock");
    if own.exists() { own } else { "/run/ns-trace/control.sock".into() }
}

/// Whether there is one, and it lets this user in.
#[must_use]
pub fn is_there() -> bool {
    UnixStream::connect(socket()).is_ok()
}

fn ask(ask: Ask) -> Result<UnixStream, ClientError> {
    let path = socket();
    let reached = UnixStream::connect(&path).and_then(|mut stream| {
        let mut line = serde_json::to_vec(&Request { v: VERSION, ask })?;
        line.push(b'\n');
        stream.write_all(&line)?;
        Ok(stream)
    });
    reached.map_err(|source| ClientError::Unreached { path, source })
}

/// What exists.
///
/// # Errors
///
/// If no collector answers.
pub fn look(want: &Want) -> Result<World, ClientError> {
    world(Ask::Look(*want))
}

/// All about what is named, which must mean the same to the collector: no file.
///
/// # Errors
///
/// If no collector answers.
pub fn about(selector: Selector) -> Result<World, ClientError> {
    world(Ask::About(selector))
}

fn world(asked: Ask) -> Result<World, ClientError> {
    let answer = answer(asked)?;
    let end = answer.iter().position(|byte| *byte == b'\n').unwrap_or(answer.len());
    let (line, packed) = answer.split_at(end);
    Head::<IgnoredAny>::read(line)?;
    let world = packed.get(1..).and_then(unpack);
    world.ok_or_else(|| ClientError::Broken(io::ErrorKind::InvalidData.into()))
}

/// What happened: the answer that belongs to a question.
///
/// # Errors
///
/// If no collector answers, or it knows nothing of that.
pub fn past<T: DeserializeOwned>(question: Question) -> Result<T, ClientError> {
    let past = Head::read(&answer(Ask::Past(question))?)?.past;
    past.ok_or_else(|| ClientError::Broken(io::ErrorKind::UnexpectedEof.into()))
}

fn answer(asked: Ask) -> Result<Vec<u8>, ClientError> {
    let mut answer = Vec::with_capacity(ROOM);
    ask(asked)?.read_to_end(&mut answer).map_err(ClientError::Broken)?;
    Ok(answer)
}

/// What happens from now on: lines of JSON.
///
/// # Errors
///
/// If no collector answers.
pub fn trace(wanted: Trace) -> Result<File, ClientError> {
    let mut stream = ask(Ask::Trace(wanted))?;
    let (mut line, mut byte) = (Vec::new(), [0]);
    // Not a byte more: the rest is for whoever reads the events.
    while byte != *b"\n" {
        stream.read_exact(&mut byte).map_err(ClientError::Broken)?;
        line.extend_from_slice(&byte);
    }
    Head::<IgnoredAny>::read(&line)?;
    Ok(File::from(OwnedFd::from(stream)))
}
