//! The OAuth 2.0 authorization server and OpenID Connect provider: its end points. The pages that people see are in
//! [`crate::pages`], what is stored in `postroad-identity`.
//!
//! Invariants:
//! 1. Nothing here is served in clear but to this very machine.
//! 2. What somebody decides comes in a form of ours: with the token of their cookie, and from no other site.
//! 3. Nobody is sent anywhere but to a registered redirect URI, or to our own pages by a sealed ticket.
//! 4. A refusal that changed something (a code that came twice) is committed like a success.
//!
//! Standards: RFC 6749, 7009, 7591, 7636, 7662, 8252, 8414, 8628, 9207, 9700; OpenID Connect Core 1.0 and Discovery 1.0.

pub(crate) mod authorize;
mod caller;
pub(crate) mod device;
pub(crate) mod form;
pub(crate) mod guard;
mod identity_token;
mod inquiry;
pub(crate) mod limiter;
mod metadata;
mod register;
pub(crate) mod request;
pub(crate) mod ticket;
mod token;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use postroad_identity::Scopes;
use postroad_identity::tokens::Lifetimes;
use postroad_login::{Clock, Logins};
use postroad_mail::Error;
use postroad_store::seal::Sealer;
use postroad_store::{AccountId, Store, Timestamp};
use serde_json::{Value, json};

use crate::pages;
use limiter::Limiter;

/// Who may make programs known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// The administrator alone.
    Off,
    /// Also each mail program by itself (RFC 7591), as a public client on somebody's own machine.
    Open,
}

/// How this server lets programs in.
#[derive(Debug, Clone)]
pub struct OauthSettings {
    /// `https://` and the host, without a slash at the end: as it stands in answers (RFC 9207).
    pub issuer: String,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// Who may make programs known.
    pub registration: Registration,
}

/// What the end points and pages are made from.
pub struct Provider {
    pub(crate) store: Store,
    pub(crate) logins: Logins,
    pub(crate) sealer: Sealer,
    pub(crate) clock: Clock,
    pub(crate) settings: OauthSettings,
    pub(crate) keys: identity_token::Keys,
    /// Programs that make themselves known, and devices that ask to be let in: by network.
    pub(crate) comers: Limiter<IpAddr>,
    /// Codes of devices that somebody types.
    pub(crate) typed: Limiter<AccountId>,
}

impl Provider {
    /// A provider for the accounts in `store`, whose passwords `logins` verifies and whose secrets `sealer` seals.
    pub fn new(store: Store, logins: Logins, sealer: Sealer, clock: Clock, settings: OauthSettings) -> Provider {
        Provider {
            store,
            logins,
            sealer,
            clock,
            settings,
            keys: identity_token::Keys::default(),
            comers: Limiter::new(COMERS, HOUR),
            typed: Limiter::new(TYPED, Duration::from_secs(10 * 60)),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// An address of ours.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.settings.issuer)
    }
}

pub(crate) fn routes(provider: Arc<Provider>) -> Router {
    let known = get(metadata::metadata);
    Router::new()
        .route("/.well-known/oauth-authorization-server", known.clone())
        .route("/.well-known/openid-configuration", known)
        .route("/oauth/jwks", get(inquiry::jwks))
        .route("/oauth/authorize", get(authorize::came).post(authorize::posted))
        .route("/oauth/continue", get(authorize::resumed))
        .route("/oauth/consent", post(authorize::decided))
        .route("/oauth/token", post(token::token))
        .route("/oauth/device", post(device::asked))
        .route("/oauth/revoke", post(inquiry::revoke))
        .route("/oauth/introspect", post(inquiry::introspect))
        .route("/oauth/register", post(register::register))
        .route("/oauth/userinfo", get(inquiry::userinfo).post(inquiry::userinfo))
        .merge(pages::routes())
        .layer(DefaultBodyLimit::max(form::LENGTH_MAX))
        .layer(middleware::from_fn(guard::only_in_private))
        .with_state(provider)
}

/// An answer for a program, which nobody keeps (RFC 6749 §5.1).
pub(crate) fn answer(code: StatusCode, body: &Value) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (code, headers, body.to_string()).into_response()
}

/// A refusal for a program (RFC 6749 §5.2).
pub(crate) fn refusal(error: &str, why: &str) -> Response {
    answer(StatusCode::BAD_REQUEST, &json!({ "error": error, "error_description": why }))
}

/// The store failed; it has been logged.
pub(crate) fn failed(what: &str, error: &Error) -> Response {
    tracing::error!(%error, "{what}");
    let body = json!({ "error": "temporarily_unavailable", "error_description": "try again in a minute" });
    answer(StatusCode::SERVICE_UNAVAILABLE, &body)
}

/// A set of scopes for people's eyes and programs': those a program is told of.
pub(crate) fn scopes_shown() -> Vec<&'static str> {
    Scopes::all().iter().map(postroad_identity::Scope::name).collect()
}

/// Programs and devices of one network within an hour.
const COMERS: u32 = 60;
/// Devices' codes that one account types within ten minutes: of 34 bits nobody guesses one so.
const TYPED: u32 = 10;
const HOUR: Duration = Duration::from_secs(60 * 60);
