//! Connections: how many there may be, and how long one may take to say what it wants.

use std::{
    error::Error as _, future::poll_fn, io, pin::Pin, sync::Arc, task::Poll, time::Duration,
};

use axum::{Extension, Router, http::StatusCode};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{door::Visitor, patient::Patient, problem::Problem};
use crate::serve::{
    Shared,
    refused::{Door, Reason},
    seats::Seats,
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
    seats: Arc<Seats>,
}

impl Connections {
    pub(super) fn new(shared: &Arc<Shared>, router: Router) -> Self {
        let most = MORE * shared.config().http.clients;
        let seats = Seats::new(most, (most / 2).max(1), (most / 4).max(1));
        Self { shared: Arc::clone(shared), router, seats }
    }

    /// Answers at a connection, or says why not.
    pub(super) async fn welcome<S>(&self, mut stream: S, peer: Visitor)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(seat) = self.seats.take(peer.uid) else {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many connections");
            return self.turn_away(&mut stream, Reason::Many, &problem).await;
        };
        let ours = self.clone();
        tokio::spawn(async move {
            ours.serve(stream, peer).await;
            drop(seat);
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
