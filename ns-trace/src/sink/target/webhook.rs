//! An HTTP server that takes events by POST.

use std::{
    fs,
    io::{self, Error},
    path::PathBuf,
    time::Duration,
};

use ureq::Agent;

use super::{Lines, Target};

/// The server: each batch is one request, whose body has an event a line.
#[derive(Debug)]
pub struct Webhook {
    agent: Agent,
    url: String,
    token_file: Option<PathBuf>,
}

impl Webhook {
    /// One at `url`, which may take so long to answer.
    #[must_use]
    pub fn new(url: String, timeout: Duration, token_file: Option<PathBuf>) -> Self {
        let config = Agent::config_builder().timeout_global(Some(timeout)).build();
        Self { agent: config.into(), url, token_file }
    }
}

impl Target for Webhook {
    fn deliver(&mut self, lines: &Lines) -> io::Result<()> {
        let mut request = self.agent.post(&self.url).content_type("application/x-ndjson");
        if let Some(file) = &self.token_file {
            // Read each time: a token that is replaced is in force at once.
            let text = fs::read_to_string(file)?;
            let token = text.lines().next().unwrap_or_default().trim();
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.send(lines.bytes()).map(drop).map_err(Error::other)
    }
}
