//! What is wrong with a request (RFC 9457).

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

const KIND: &str = "application/problem+json";

/// A problem.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    /// What is wrong.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// A parameter that means nothing.
    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Something that is not there, or not to be seen.
    pub(super) fn missing(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} in sight"))
    }

    /// Something here does not work.
    pub(super) fn broken(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, what.to_string())
    }

    /// The pipeline does not answer.
    pub(super) fn silent() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the pipeline does not answer")
    }
}

impl Problem {
    fn body(&self) -> String {
        let title = self.status.canonical_reason().unwrap_or_default();
        let status = self.status.as_u16();
        let body = json!({
            "type": "about:blank", "title": title, "status": status, "detail": self.detail,
        });
        body.to_string()
    }

    /// The whole answer, for whom there is none who would write it.
    pub(super) fn to_http(&self) -> String {
        let (body, kind) = (self.body(), KIND);
        let (status, len) = (self.status, body.len());
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
             Connection: close\r\n\r\n{body}"
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, KIND)], self.body()).into_response()
    }
}
