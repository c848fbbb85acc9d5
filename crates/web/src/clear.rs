//! What is served in clear to strangers: answers for a certificate authority, and the way to TLS.
//!
//! Standards: RFC 8555 §8.3 (HTTP-01).

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use postroad_store::Timestamp;
use postroad_trust::certificates;

use crate::autoconfig;
use crate::site::{Site, Visitor, unknown};

/// Sends strangers who come in clear to the same page in TLS. Not those who look for what can only be looked for in
/// clear: an authority for its answer, a load balancer for the server's health.
pub(crate) async fn redirect(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let stays =
        visitor.is_secure || visitor.is_insider(&site.about) || path == "/healthz" || path.starts_with(ACME_CHALLENGE);
    match site.about.https {
        Some(port) if !stays => {
            if let Some(to) = autoconfig::in_private(&site, request.headers(), request.uri()) {
                // Outlook takes 302 and no other.
                return (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
            }
            let to = elsewhere(&site.about.host, port, request.headers(), request.uri());
            (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, to)]).into_response()
        }
        Some(_) | None => next.run(request).await,
    }
}

/// The same page in TLS. The host is the one that was asked for when it looks like one.
fn elsewhere(own: &str, port: u16, headers: &HeaderMap, asked: &Uri) -> String {
    let given = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let given = given.and_then(|host| host.parse::<Authority>().ok());
    let is_plain = |host: &&str| {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        !host.is_empty() && host.len() <= HOST_MAX && host.bytes().all(letters)
    };
    let host = given.as_ref().filter(|given| !given.as_str().contains('@')).map(Authority::host).filter(is_plain);
    let host = host.unwrap_or(own).to_ascii_lowercase();
    let port = if port == HTTPS { String::new() } else { format!(":{port}") };
    let path = asked.path_and_query().map_or("/", |path| path.as_str());
    format!("https://{host}{port}{path}")
}

/// RFC 8555 §8.3: the key authorization, for whoever knows the token.
pub(crate) async fn acme_challenge(
    State(site): State<Arc<Site>>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Response {
    // Nobody but an authority that has just been given a token has a reason to ask: what cannot be one costs nothing.
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if token.is_empty() || token.len() > TOKEN_MAX || !token.bytes().all(letters) {
        return unknown(headers).await;
    }
    let now = Timestamp::now();
    let found = site.store.read(move |tx| certificates::http_answer(tx, &token, now)).await;
    match found {
        Ok(Some(answer)) => {
            let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
            (headers, answer).into_response()
        }
        Ok(None) => unknown(headers).await,
        Err(error) => {
            tracing::warn!(%error, "an authority's question (HTTP-01) cannot be answered");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

const ACME_CHALLENGE: &str = "/.well-known/acme-challenge/";
const HTTPS: u16 = 443;
/// RFC 1035 §2.3.4.
const HOST_MAX: usize = 253;
/// Authorities send some forty letters.
const TOKEN_MAX: usize = 128;
