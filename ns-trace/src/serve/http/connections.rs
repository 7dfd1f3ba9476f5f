//! Connections: how many there may be, and how long one may take to say what it wants.

use std::{
    error::Error as _,
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use axum::{Extension, Router, http::StatusCode};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustc_hash::FxHashMap;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{door::Visitor, patient::Patient, problem::Problem};
use crate::serve::{
    Shared,
    refused::{Door, Reason},
};

/// How long a client may take for the head of a request, and how long a connection may be idle.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long a client may take nothing of an answer.
const STALLED: Duration = Duration::from_secs(30);
/// How many connections there may be for each request that may be answered at a time.
const MORE: usize = 2;

/// All there are, and what answers at them.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    shared: Arc<Shared>,
    router: Router,
    peers: Arc<Peers>,
}

/// How many connections each peer has.
#[derive(Debug)]
struct Peers {
    open: Mutex<FxHashMap<Visitor, usize>>,
    most: usize,
}

/// A connection of a peer, until it is dropped.
#[derive(Debug)]
struct Place {
    peers: Arc<Peers>,
    peer: Visitor,
}

impl Peers {
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), most })
    }

    /// How many one may have: no user has them all.
    const fn share(&self, peer: Visitor) -> usize {
        let share = match peer.uid {
            None => self.most,
            Some(0) => self.most / 2,
            Some(_) => self.most / 4,
        };
        if share == 0 { 1 } else { share }
    }

    /// Lets a peer in; `None` if it has too many, or all together have.
    fn enter(self: &Arc<Self>, peer: Visitor) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, own) = (open.values().sum::<usize>(), open.get(&peer).copied().unwrap_or(0));
        (all < self.most && own < self.share(peer)).then(|| {
            open.insert(peer, own + 1);
            Place { peers: Arc::clone(self), peer }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.peers.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.peer) {
            *own -= 1;
        }
        open.retain(|_, own| *own > 0);
    }
}

impl Connections {
    pub(super) fn new(shared: &Arc<Shared>, router: Router) -> Self {
        let peers = Peers::new(MORE * shared.config().http.clients);
        Self { shared: Arc::clone(shared), router, peers }
    }

    /// Answers at a connection, or says why not.
    pub(super) async fn welcome<S>(&self, mut stream: S, peer: Visitor)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(place) = self.peers.enter(peer) else {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many connections");
            return self.turn_away(&mut stream, Reason::Many, &problem).await;
        };
        let ours = self.clone();
        tokio::spawn(async move {
            ours.serve(stream, peer).await;
            drop(place);
        });
    }

    async fn serve<S>(&self, stream: S, peer: Visitor)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = self.router.clone().layer(Extension(peer));
        let service = TowerToHyperService::new(router);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        let mut connection =
            http.serve_connection(TokioIo::new(Patient::new(stream, STALLED)), service);
        match (&mut connection).await {
            Err(error) if error.is_timeout() => {
                let what = format!("no request within {} s", PATIENCE.as_secs());
                let problem = Problem::new(StatusCode::REQUEST_TIMEOUT, what);
                let mut stream = connection.into_parts().io.into_inner();
                self.turn_away(&mut stream.stream, Reason::Slow, &problem).await;
            }
            // It was told.
            Err(error) if error.is_parse() => {
                self.shared.refused.count(Door::Http, Reason::Malformed);
            }
            // Who takes nothing cannot be told.
            Err(error) if is_stalled(&error) => {
                self.shared.refused.count(Door::Http, Reason::Stalled);
            }
            // Whatever else went wrong with the way to it, nobody is concerned.
            Ok(()) | Err(_) => {}
        }
    }

    /// Says why, as far as that goes without waiting.
    async fn turn_away(&self, stream: &mut (impl AsyncWrite + Unpin), why: Reason, what: &Problem) {
        self.shared.refused.count(Door::Http, why);
        let answer = what.to_http();
        poll_fn(|context| {
            // It may have gone.
            let _written = Pin::new(&mut *stream).poll_write(context, answer.as_bytes());
            Poll::Ready(())
        })
        .await;
    }
}

fn is_stalled(error: &hyper::Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_user_has_them_all() {
        let peers = Peers::new(8);
        let enter = |uid| peers.enter(Visitor { uid });
        let mut own: Vec<_> = (0..3).map(|_| enter(Some(7))).collect();
        assert_eq!(own.iter().flatten().count(), 2);
        let root: Vec<_> = (0..5).map(|_| enter(Some(0))).collect();
        assert_eq!(root.iter().flatten().count(), 4);
        let other = (enter(Some(8)), enter(Some(8)), enter(Some(9)));
        assert!(other.0.is_some() && other.1.is_some() && other.2.is_none(), "all are eight");
        own.remove(0);
        assert!(enter(Some(9)).is_some());
        drop((own, root, other));
        assert!(peers.open.lock().unwrap().is_empty());
        let all: Vec<_> = (0..9).map(|_| enter(None)).collect();
        assert_eq!(all.iter().flatten().count(), 8);
        assert!(Peers::new(2).enter(Visitor { uid: Some(7) }).is_some());
    }
}
