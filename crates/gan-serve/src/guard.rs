//! Who may ask: checks of every request before any route sees it.
//!
//! A page of another site that the user visits can send requests here, and can have a name of its own resolved to this machine (DNS rebinding).
//! Therefore the header `Host` must be a name of this server or an address in numbers, which cannot be rebound, and `Origin` must be this
//! server. If the server can be reached from other machines, a token is needed as well: it is in the address that is printed at the start, and
//! in a cookie from then on.

use crate::error::{Error, Result};
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Name of the cookie with the token.
const COOKIE: &str = "gan-serve";

/// Name of the token in an address.
const PARAMETER: &str = "token";

/// Number of random bytes of a token.
const TOKEN_BYTES: usize = 20;

/// Everything comes from this server, and no script or style is inside of a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
                      media-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const HEADERS: [(&str, &str); 5] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];

/// The rules of one server.
#[derive(Debug)]
pub(crate) struct Guard {
    names: Vec<String>,
    /// Address that it listens at, if only this machine can reach it.
    token: Option<String>,
}

impl Guard {
    /// Returns the rules of a server that listens at `address` and is also called `names`.
    pub(crate) fn new(address: SocketAddr, names: &[String]) -> Result<Self> {
        let token = (!address.ip().is_loopback()).then(random_token).transpose()?;
        Ok(Self { names: names.iter().map(|name| name.to_ascii_lowercase()).collect(), token })
    }

    /// Returns the token that requests need.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Returns whether `host`, as in the header, can only mean this server.
    fn is_own(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<axum::http::uri::Authority>() else { return false };
        let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let is_number = name.parse::<IpAddr>().is_ok_and(|ip| self.token.is_some() || ip.is_loopback());
        !host.contains('@') && (is_number || name == "localhost" || self.names.contains(&name))
    }

    /// Returns the answer to a request that no route sees: a refusal, or a welcome.
    fn answer(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
        let welcome = (*method == Method::GET).then(|| self.welcome(uri, headers)).flatten();
        let refusal = || self.refusal(method, uri, headers);
        welcome.or_else(|| refusal().map(|(status, problem)| (status, format!("{problem}\n")).into_response()))
    }

    /// Returns why a request is refused, if it is.
    fn refusal(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if method != Method::GET && method != Method::HEAD {
            return Some((StatusCode::METHOD_NOT_ALLOWED, "this server only shows runs: expected GET"));
        }
        let hosts = headers.get_all(header::HOST).iter().count();
        let Some(host) = text(header::HOST).filter(|host| hosts == 1 && self.is_own(host)) else {
            let problem = "this server does not have that name: open it as localhost or by its address in numbers, or name it with --name";
            return Some((StatusCode::MISDIRECTED_REQUEST, problem));
        };
        if uri.authority().is_some_and(|authority| authority.as_str() != host) {
            return Some((StatusCode::MISDIRECTED_REQUEST, "the address and the header Host name different servers"));
        }
        let is_same = |origin: &str| origin.strip_prefix("http://").or(origin.strip_prefix("https://")) == Some(host);
        if headers.contains_key(header::ORIGIN) && !text(header::ORIGIN).is_some_and(is_same) {
            return Some((StatusCode::FORBIDDEN, "requests of other sites are refused"));
        }
        if self.token.is_some() && !self.is_known(text(header::COOKIE).unwrap_or_default()) {
            return Some((
                StatusCode::UNAUTHORIZED,
                "open the address that gan serve printed at its start: it contains a token",
            ));
        }
        None
    }

    /// Returns whether the cookies contain the token.
    fn is_known(&self, cookies: &str) -> bool {
        let pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(name, _)| *name == COOKIE).any(|(_, value)| self.is_token(value))
    }

    /// Compares in a time that does not depend on where the texts differ.
    fn is_token(&self, given: &str) -> bool {
        self.token.as_ref().is_some_and(|token| bool::from(token.as_bytes().ct_eq(given.as_bytes())))
    }

    /// Answers a request whose address has the right token: sets the cookie, and leads to the address without the token, so that it stays out of
    /// the browser's history.
    fn welcome(&self, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
        let query = uri.query()?;
        let (_, given) =
            query.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == PARAMETER)?;
        let host = headers.get(header::HOST)?.to_str().ok().filter(|host| self.is_own(host));
        if host.is_none() || !self.is_token(given) {
            return None;
        }
        let cookie = format!("{COOKIE}={given}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000");
        // A cookie that is strict is not sent along a redirection from another program, so the page itself leads on.
        let page = "<!DOCTYPE html><meta charset=\"utf-8\"><title>gan</title><meta http-equiv=\"refresh\" content=\"0; url=/\"><p><a href=\"/\">The runs</a></p>";
        Some(
            ([(header::SET_COOKIE, cookie), (header::CONTENT_TYPE, "text/html; charset=utf-8".into())], page)
                .into_response(),
        )
    }
}

/// Checks a request and completes the response.
pub(crate) async fn check(State(shared): State<Arc<crate::Shared>>, request: Request, next: Next) -> Response {
    let mut response = match shared.guard.answer(request.method(), request.uri(), request.headers()) {
        Some(response) => response,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn random_token() -> Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|problem| Error::Token(problem.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(address: &str) -> Guard {
        Guard::new(address.parse().unwrap(), &["Box.example".into()]).unwrap()
    }

    #[test]
    fn only_names_that_cannot_be_rebound_are_own() {
        let local = guard("127.0.0.1:7860");
        for host in ["localhost", "LOCALHOST:7860", "127.0.0.1:7860", "[::1]:1", "box.example:7860"] {
            assert!(local.is_own(host), "{host}");
        }
        for host in ["evil.example", "", "localhost.evil.example", "192.168.0.1", "x@localhost", "localhost/", "::1"] {
            assert!(!local.is_own(host), "{host}");
        }
        assert!(guard("0.0.0.0:7860").is_own("192.168.0.1:7860"));
    }

    #[test]
    fn only_addresses_of_other_machines_need_a_token() {
        assert_eq!(guard("127.0.0.1:1").token(), None);
        assert_eq!(guard("[::1]:1").token(), None);
        let (one, other) = (guard("0.0.0.0:1"), guard("0.0.0.0:1"));
        let token = one.token().unwrap();
        assert!(token.len() == 2 * TOKEN_BYTES && other.token() != Some(token));
        assert!(one.is_known(&format!("a=b; {COOKIE}={token}")) && !other.is_known(&format!("{COOKIE}={token}")));
        assert!(!one.is_known(&format!("{COOKIE}=")) && !one.is_known(""));
    }
}
