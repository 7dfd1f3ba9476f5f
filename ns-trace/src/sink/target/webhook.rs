//! An HTTP server that takes events by POST, over TLS or without.

mod trust;

use std::{io, path::PathBuf, time::Duration};

use ureq::{
    Agent,
    http::{StatusCode, Uri},
};

pub use self::trust::authorities;
use super::{Failure, Piece, Target};
use crate::sys::token;

/// The server: each batch is one request, whose body has an event a line.
#[derive(Debug)]
pub struct Webhook {
    url: String,
    timeout: Duration,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    /// What has its connections; made anew after a failure: whom it trusts may have changed.
    agent: Option<Agent>,
}

impl Webhook {
    /// One at `url`, which may take so long to answer. Over TLS it is trusted if an authority in
    /// `ca_file` says who it is, or without one any that the system trusts.
    #[must_use]
    pub const fn new(
        url: String,
        timeout: Duration,
        token_file: Option<PathBuf>,
        ca_file: Option<PathBuf>,
    ) -> Self {
        Self { url, timeout, token_file, ca_file, agent: None }
    }

    fn agent(&self) -> io::Result<Agent> {
        let config = Agent::config_builder().timeout_global(Some(self.timeout));
        // What is posted to another place arrives there without its body.
        let config = config.max_redirects(0).http_status_as_error(false);
        let config = if is_tls(&self.url) {
            config.tls_config(trust::config(self.ca_file.as_deref())?)
        } else {
            config
        };
        Ok(config.build().into())
    }
}

impl Target for Webhook {
    fn deliver(&mut self, lines: Piece<'_>) -> Result<(), Failure> {
        let agent = match self.agent.take() {
            Some(agent) => agent,
            None => self.agent()?,
        };
        let mut request = agent.post(&self.url).content_type("application/x-ndjson");
        if let Some(file) = &self.token_file {
            request = request.header("Authorization", format!("Bearer {}", token::read(file)?));
        }
        let sent = request.send(lines.bytes());
        let status = sent.map_err(|error| trust::told(error, &server(&self.url)))?.status();
        if status.is_success() {
            self.agent = Some(agent);
            return Ok(());
        }
        let what = format!("{} answers {status}", server(&self.url));
        Err(match status {
            StatusCode::PAYLOAD_TOO_LARGE => Failure::TooLarge(what),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Failure::Refused(what),
            // It is about the server, or about who sends, and may be otherwise later.
            _ => io::Error::other(what).into(),
        })
    }
}

/// Whether a URL is one of a webhook.
///
/// # Errors
///
/// What is expected instead.
pub fn check_url(url: &str) -> Result<(), String> {
    let read = url.parse::<Uri>().ok();
    let has_host = read.is_some_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    if has_host && (is_tls(url) || url.starts_with("http://")) {
        return Ok(());
    }
    Err(format!("expected a URL as http://… or https://…, found `{url}`"))
}

/// Whether a URL asks for TLS.
#[must_use]
pub fn is_tls(url: &str) -> bool {
    url.starts_with("https://")
}

/// The server that a URL names, without what else there is in it.
fn server(url: &str) -> String {
    let uri = url.parse::<Uri>().unwrap_or_default();
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", uri.host().unwrap_or_default())
}

#[cfg(test)]
mod tests;
