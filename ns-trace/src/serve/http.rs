//! The HTTP API: a thread of its own with a runtime of its own, started by nobody else.

mod alerts;
mod connections;
mod door;
mod events;
mod history;
mod metrics;
mod openapi;
mod patient;
mod problem;
mod query;

use std::{
    convert::Infallible,
    fs,
    future::poll_fn,
    io,
    net::TcpListener,
    os::unix::{
        fs::FileTypeExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    task::Poll,
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::{Router, middleware, routing::get};
use tokio::{
    runtime,
    sync::{Semaphore, watch},
    task::spawn_blocking,
    time::sleep,
};

use self::{connections::Connections, door::Visitor, problem::Problem};
use super::{Error, Level, Place, Shared, config::Listen, control, seats::Seats};

/// How long it is waited when nobody can be let in: out of descriptors or memory, not to spin until
/// there is some again.
const PAUSE: Duration = Duration::from_millis(10);

/// The paths that take parameters.
pub const PATHS: [&str; 4] =
    ["/api/v1/namespaces", "/api/v1/events", "/api/v1/alerts", "/api/v1/history"];

/// Reads the parameters of a request for one of [`PATHS`] as an answer would.
///
/// # Errors
///
/// What is wrong with them.
pub fn check(path: &str, query: &str) -> Result<(), String> {
    let query = Some(query);
    let read = match path {
        "/api/v1/namespaces" => query::read(query).map(drop),
        "/api/v1/events" => events::read(query).map(drop),
        "/api/v1/alerts" => alerts::read(query).map(drop),
        "/api/v1/history" => history::read(query).map(drop),
        _ => Err(Problem::missing(path)),
    };
    read.map_err(|problem| problem.detail().to_owned())
}

/// What every handler has.
#[derive(Clone, Debug)]
struct State {
    shared: Arc<Shared>,
    /// One for each request that is being answered.
    room: Arc<Seats>,
    /// One for all who ask how the collector is: what that takes is done once at a time.
    scrape: Arc<Semaphore>,
}

/// Does what would keep others waiting, in a thread of its own. What the request has taken is taken until
/// that is done: whoever asked may have gone long before, and asked again.
async fn aside<T: Send + 'static>(
    taken: impl Send + 'static,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = spawn_blocking(move || {
        let done = work();
        drop(taken);
        done
    });
    done.await.map_err(Problem::broken)
}

/// The API; it ends with this.
#[derive(Debug)]
pub(super) struct Http {
    thread: Option<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    socket: Option<PathBuf>,
}

/// Where it listens, and the socket that goes with it; who comes waits until there are answers.
#[derive(Debug)]
pub(super) struct Door(Bound, Option<PathBuf>);

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Http {
    /// Listens where the configuration says; `None` if nowhere.
    pub(super) fn bind(shared: &Shared, place: &Place) -> Result<Option<Door>, Error> {
        let config = shared.config();
        let (bound, socket) = match &config.http.listen {
            Listen::Off => return Ok(None),
            Listen::Tcp(address) => {
                let bound = TcpListener::bind(address).and_then(|listener| {
                    // Of port 0 the kernel makes another.
                    let said = format!("the HTTP API is at http://{}", listener.local_addr()?);
                    (shared.say)(Level::Info, &said);
                    Ok(listener)
                });
                let told = Error::io(format!("listen at {address}"));
                (Bound::Tcp(bound.map_err(told)?), None)
            }
            Listen::Unix(path) => unix(shared, path.clone())?,
            Listen::Beside => {
                let path = place.socket("http.sock");
                unix(shared, path.map_err(Error::io("remove a former socket"))?)?
            }
        };
        Ok(Some(Door(bound, socket)))
    }

    /// Answers there.
    pub(super) fn start(shared: &Arc<Shared>, Door(bound, socket): Door) -> Result<Self, Error> {
        let most = shared.config().http.clients;
        let room = Seats::new(most, most, (most / 2).max(1));
        let scrape = Arc::new(Semaphore::new(1));
        let state = State { shared: Arc::clone(shared), room, scrape };
        let (stop, stopped) = watch::channel(false);
        let thread = thread::Builder::new().name("http".to_owned());
        let thread = thread.spawn(move || serve(bound, state, stopped));
        let thread = thread.map_err(Error::io("start a thread"))?;
        Ok(Self { thread: Some(thread), stop, socket })
    }
}

fn unix(shared: &Shared, path: PathBuf) -> Result<(Bound, Option<PathBuf>), Error> {
    let what = format!("listen at {}", path.display());
    let listener = bind(&path).and_then(|listener| {
        control::admit(&path, shared)?;
        Ok(listener)
    });
    Ok((Bound::Unix(listener.map_err(Error::io(what))?), Some(path)))
}

/// Listens at a path; in the place of a socket that nobody answers at, such as a killed collector leaves.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let taken = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => error,
        bound => return bound,
    };
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    let answer = UnixStream::connect(path).err().map(|error| error.kind());
    if !is_socket || answer != Some(io::ErrorKind::ConnectionRefused) {
        return Err(taken);
    }
    fs::remove_file(path)?;
    UnixListener::bind(path)
}

impl Drop for Http {
    fn drop(&mut self) {
        // The thread may have ended by itself.
        let _told = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        if let Some(socket) = &self.socket {
            let _gone = fs::remove_file(socket);
        }
    }
}

/// Answers until told to stop.
fn serve(bound: Bound, state: State, stopped: watch::Receiver<bool>) {
    let shared = Arc::clone(&state.shared);
    let served = || -> io::Result<()> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let ended = runtime.block_on(until(stopped, accept(bound, state)));
        // A look that is still under way is not waited for.
        runtime.shutdown_background();
        ended
    };
    if let Err(error) = served() {
        (shared.say)(Level::Error, &format!("the HTTP API has ended: {error}"));
    }
}

/// Lets clients in, one after the other.
async fn accept(bound: Bound, state: State) -> io::Result<Infallible> {
    let shared = Arc::clone(&state.shared);
    let connections = Connections::new(&shared, router(state));
    match bound {
        Bound::Tcp(listener) => {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => connections.welcome(stream, Visitor { uid: None }).await,
                    Err(_) => sleep(PAUSE).await,
                }
            }
        }
        Bound::Unix(listener) => {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::UnixListener::from_std(listener)?;
            loop {
                let accepted = listener.accept().await;
                let peer = accepted.and_then(|(stream, _)| Ok((stream.peer_cred()?.uid(), stream)));
                match peer {
                    Ok((uid, stream)) => {
                        connections.welcome(stream, Visitor { uid: Some(uid) }).await;
                    }
                    Err(_) => sleep(PAUSE).await,
                }
            }
        }
    }
}

fn router(state: State) -> Router {
    let guarded = middleware::from_fn_with_state(state.clone(), door::guard);
    Router::new()
        .route("/api/v1/namespaces", get(query::namespaces))
        .route("/api/v1/namespaces/{inode}", get(query::namespace))
        .route("/api/v1/processes/{pid}", get(query::process))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/alerts", get(alerts::alerts))
        .route("/api/v1/history", get(history::history))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(metrics::healthz))
        .route("/readyz", get(metrics::readyz))
        .route("/openapi.json", get(openapi::openapi))
        .fallback(door::nothing_there)
        .method_not_allowed_fallback(door::only_get)
        .layer(guarded)
        .with_state(state)
}

/// Serves until told to stop. Streams of events have no end of their own: what is open is cut.
async fn until(
    mut stopped: watch::Receiver<bool>,
    serving: impl Future<Output = io::Result<Infallible>>,
) -> io::Result<()> {
    let (mut serving, mut stopping) = (pin!(serving), pin!(stopped.changed()));
    poll_fn(|context| {
        if stopping.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        serving.as_mut().poll(context).map(|ended| ended.map(|never| match never {}))
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    #[test]
    fn what_goes_on_keeps_its_seat() {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let seats = Seats::new(1, 1, 1);
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let seat = seats.take(Some(7));
        runtime.block_on(async {
            let mut asked = pin!(aside(seat, move || wait.recv()));
            // It is begun, and then nobody waits for it.
            poll_fn(|context| Poll::Ready(asked.as_mut().poll(context).is_ready())).await
        });
        assert!(seats.take(Some(7)).is_none());
        go_on.send(()).unwrap();
        drop(runtime);
        assert!(seats.take(Some(7)).is_some());
    }

    #[test]
    fn only_a_socket_that_nobody_answers_at_makes_room() {
        let name = format!("ns-trace-test-{}-http.sock", process::id());
        let path = env::temp_dir().join(name);
        let listener = bind(&path).unwrap();
        let refused = || bind(&path).unwrap_err().kind() == io::ErrorKind::AddrInUse;
        assert!(refused());
        drop(listener);
        drop(bind(&path).unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "somebody's").unwrap();
        assert!(refused());
        fs::remove_file(&path).unwrap();
    }
}
