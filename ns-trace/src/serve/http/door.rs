//! Who is let in.

use std::{convert::Infallible, net::IpAddr, path::Path, sync::Arc};

use axum::{
    extract::{FromRequestParts, Request, State as Extract},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{State, problem::Problem};
use crate::{
    serve::{config::Sight, control::sight, refused},
    sys::token,
};

/// Who asks: the user at the other end of a unix socket.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Visitor {
    /// `None` if a network is in between.
    pub(super) uid: Option<u32>,
}

/// What a visitor may see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Eyes {
    pub(super) sight: Sight,
    pub(super) uid: u32,
}

impl FromRequestParts<State> for Eyes {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Infallible> {
        // Of whom nothing is known is nobody.
        let uid = parts.extensions.get::<Visitor>().map_or(Some(u32::MAX), |visitor| visitor.uid);
        let members = state.shared.config().control.members;
        // Over the network the token decides, or that it was decided to have none.
        let sight = uid.map_or(Sight::All, |uid| sight::of_user(uid, members));
        Ok(Self { sight, uid: uid.unwrap_or_default() })
    }
}

/// Lets a request in, or says why not.
pub(super) async fn guard(
    Extract(state): Extract<State>,
    mut request: Request,
    next: Next,
) -> Response {
    let config = state.shared.config();
    match &config.http.token_file {
        // A proxy may name the host as its own clients do, and no page in a browser has the token.
        Some(file) if !has_token(request.headers(), file) => {
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "a bearer token is needed");
            return ([(header::WWW_AUTHENTICATE, "Bearer")], problem).into_response();
        }
        None if is_from_network(&request) && !is_direct(request.headers()) => {
            let detail = "the host must be named by its address or as localhost";
            return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
        }
        _ => {}
    }
    // How it is must be told also while many listen.
    if ["/healthz", "/readyz", "/metrics"].contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let uid = request.extensions().get::<Visitor>().and_then(|visitor| visitor.uid);
    let Some(seat) = state.room.take(uid) else {
        state.shared.refused.count(refused::Door::Http, refused::Reason::Many);
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests at a time");
        return ([(header::RETRY_AFTER, "1")], problem).into_response();
    };
    // A stream of events takes it along, and whatever goes on when the client has gone.
    let seat = Arc::new(seat);
    request.extensions_mut().insert(Arc::clone(&seat));
    let response = next.run(request).await;
    drop(seat);
    response
}

/// Whether it may be a page in a browser that asks: none reaches a unix socket.
fn is_from_network(request: &Request) -> bool {
    request.extensions().get::<Visitor>().is_none_or(|visitor| visitor.uid.is_none())
}

/// Whether the host is named in a way that no name server has a say in: a page in a browser could
/// else read what is here under a name of its own.
fn is_direct(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return headers.get(header::HOST).is_none();
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

fn has_token(headers: &HeaderMap, file: &Path) -> bool {
    const SCHEME: &[u8] = b"Bearer ";
    // Without one nobody has it.
    let Ok(token) = token::read(file) else { return false };
    let token = token.as_bytes();
    let sent = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    // The scheme's name may be written in any case (RFC 9110, 11.1).
    let sent = sent.and_then(|sent| sent.split_at_checked(SCHEME.len()));
    let Some((_, sent)) = sent.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME)) else {
        return false;
    };
    // As long for every wrong one: how far it was right is nobody's business.
    let differs = sent.iter().zip(token).fold(0, |differs, (one, other)| differs | (one ^ other));
    sent.len() == token.len() && differs == 0
}

/// Of paths that lead nowhere.
pub(super) async fn nothing_there(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}; /openapi.json lists what there is", uri.path());
    Problem::new(StatusCode::NOT_FOUND, detail)
}

/// Of what changes something: nothing here does.
pub(super) async fn only_get(method: Method) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not for reading; use GET"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        headers
    }

    #[test]
    fn hosts_are_addresses_or_localhost() {
        for host in ["localhost", "localhost:7979", "127.0.0.1:7979", "[::1]:7979", "[::1]"] {
            assert!(is_direct(&headers(host)), "{host}");
        }
        for host in ["evil.example", "evil.example:7979", "localhost.evil.example", ""] {
            assert!(!is_direct(&headers(host)), "{host}");
        }
        assert!(is_direct(&HeaderMap::new()));
    }
}
