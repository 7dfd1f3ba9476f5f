//! The control socket: where commands ask instead of looking for themselves.
//!
//! A client sends one line of JSON and gets a line of JSON that says whether it is refused, and behind
//! it what it asked for: a world in bytes ([`pack`]), or events in lines of JSON. Each has a thread with
//! a small stack; none waits for another, and how many there may be is bounded for each user.

mod answer;
pub mod pack;
pub mod request;
pub(super) mod sight;

use std::{
    fs, io,
    net::Shutdown,
    os::{
        fd::AsFd as _,
        unix::{
            fs::PermissionsExt as _,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustc_hash::FxHashMap;
use rustix::{
    fs::{Gid, chown},
    net::sockopt::socket_peercred,
};

use super::{
    Level, Shared,
    refused::{Door, Reason},
    seats::Seats,
};
use crate::sys::account;

/// How many clients there may be, and how many of root and of another user: nobody has them all.
const CLIENTS: usize = 128;
const OF_ROOT: usize = 96;
const OF_USER: usize = 16;
/// How long a client may take to take a piece of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a client's thread needs: requests and answers are on the heap.
const STACK: usize = 512 << 10;

/// The socket; it goes with this, and with it all who use it.
#[derive(Debug)]
pub(super) struct Control {
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
    clients: Arc<Clients>,
}

#[derive(Debug)]
struct Clients {
    seats: Arc<Seats>,
    streams: Mutex<FxHashMap<u64, UnixStream>>,
    is_over: AtomicBool,
}

impl Clients {
    fn none() -> Arc<Self> {
        let seats = Seats::new(CLIENTS, OF_ROOT, OF_USER);
        Arc::new(Self { seats, streams: Mutex::default(), is_over: AtomicBool::new(false) })
    }

    fn streams(&self) -> MutexGuard<'_, FxHashMap<u64, UnixStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    /// Makes the socket; who comes waits until there are answers.
    pub(super) fn bind(shared: &Shared, path: &Path) -> io::Result<UnixListener> {
        let listener = UnixListener::bind(path)?;
        admit(path, shared)?;
        Ok(listener)
    }

    /// Answers at the socket.
    pub(super) fn start(
        shared: Arc<Shared>,
        path: PathBuf,
        listener: UnixListener,
    ) -> io::Result<Self> {
        let clients = Clients::none();
        let ours = Arc::clone(&clients);
        let thread = thread::Builder::new().name("control".to_owned());
        let thread = thread.spawn(move || listen(&listener, &shared, &ours))?;
        Ok(Self { path, thread: Some(thread), clients })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.clients.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for clients.
        drop(UnixStream::connect(&self.path));
        let _gone = fs::remove_file(&self.path);
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            drop(thread.join());
        }
        for stream in self.clients.streams().values() {
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Lets the group in, if there is one.
pub(super) fn admit(path: &Path, shared: &Shared) -> io::Result<()> {
    let config = shared.config();
    let group = &config.control.group;
    if let Some(group) = account::find("group", group.as_ref()) {
        chown(path, None, Some(Gid::from_raw(group.id)))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
}

fn listen(listener: &UnixListener, shared: &Arc<Shared>, clients: &Arc<Clients>) {
    for (number, stream) in (0_u64..).zip(listener.incoming()) {
        if clients.is_over.load(Ordering::Relaxed) {
            return;
        }
        let welcomed = stream.and_then(|stream| welcome(number, stream, shared, clients));
        if let Err(error) = welcomed {
            (shared.say)(Level::Warning, &format!("a client was turned away: {error}"));
            // Out of descriptors or memory: not to spin until there is some again.
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Starts a client's thread, if there is room for it.
fn welcome(
    number: u64,
    stream: UnixStream,
    shared: &Arc<Shared>,
    clients: &Arc<Clients>,
) -> io::Result<()> {
    let uid = socket_peercred(stream.as_fd())?.uid.as_raw();
    stream.set_write_timeout(Some(PATIENCE))?;
    let Some(seat) = clients.seats.take(Some(uid)) else {
        shared.refused.count(Door::Control, Reason::Many);
        return answer::refuse(&stream, "too many clients");
    };
    clients.streams().insert(number, stream.try_clone()?);
    let (shared, ours) = (Arc::clone(shared), Arc::clone(clients));
    let thread = thread::Builder::new().name("client".to_owned()).stack_size(STACK);
    let spawned = thread.spawn(move || {
        // Whatever went wrong with the way to it, nobody else is concerned.
        let answered = answer::answer(&stream, uid, &shared);
        if answered.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            shared.refused.count(Door::Control, Reason::Stalled);
        }
        ours.streams().remove(&number);
        drop(seat);
    });
    if spawned.is_err() {
        clients.streams().remove(&number);
    }
    spawned.map(drop)
}
