//! A connection that is given up when its client takes nothing for too long, and on which what hyper
//! itself refuses is told as everything else is that is wrong.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::problem::Problem;

/// A connection.
#[derive(Debug)]
pub(super) struct Patient<S> {
    pub(super) stream: S,
    patience: Duration,
    /// Until when it must take something; `None` while it does.
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) const fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, until: None }
    }

    /// The same, unless it has been waited for too long.
    fn wait<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_pending() {
            let until = self.until.get_or_insert_with(|| Box::pin(sleep(self.patience)));
            ready!(until.as_mut().poll(context));
        }
        self.until = None;
        if written.is_ready() { written } else { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let problem = refusal(bytes);
        let said = problem.as_deref().map_or(bytes, str::as_bytes);
        let written = Pin::new(&mut self.stream).poll_write(context, said);
        let written = written.map_ok(|len| if problem.is_some() { bytes.len() } else { len });
        self.wait(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [head] = pieces
            && refusal(head).is_some()
        {
            return self.poll_write(context, head);
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.wait(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What is said instead of an answer that hyper gives by itself to what is no request: of all that are
/// wrong, those have no body. It finds room beyond doubt: it is the only answer.
fn refusal(answer: &[u8]) -> Option<String> {
    let head = answer.strip_prefix(b"HTTP/1.").and_then(|head| str::from_utf8(head).ok())?;
    let status = StatusCode::from_bytes(head.get(2..5)?.as_bytes()).ok()?;
    let is_empty = head.lines().any(|line| line.eq_ignore_ascii_case("content-length: 0"));
    let why = match status {
        StatusCode::URI_TOO_LONG => "the path and its parameters are too long",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the head of the request is too long",
        _ => "this is no request of HTTP/1.1",
    };
    (is_empty && status.is_client_error()).then(|| Problem::new(status, why).to_http())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{net::UnixStream, runtime};

    use super::*;

    #[test]
    fn who_takes_nothing_is_given_up() {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let mut ours = Patient::new(ours, Duration::from_millis(20));
            let piece = [0; 4096];
            let mut sent = 0;
            let mut write = async || {
                let written = poll_fn(|context| Pin::new(&mut ours).poll_write(context, &piece));
                written.await.inspect(|len| sent += len)
            };
            let error = loop {
                if let Err(error) = write().await {
                    break error;
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            // Who takes something in time may take its time for the rest.
            theirs.readable().await.unwrap();
            let mut taken = vec![0; 1 << 20];
            assert!(theirs.try_read(&mut taken).unwrap() > 0);
            assert!(write().await.unwrap() > 0);
            assert!(sent > 0);
        });
    }
}
