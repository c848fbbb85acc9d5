//! What is served, and to whom.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, extract::State};
use postroad_net::{Network, Stop};
use postroad_store::Store;
use serde_json::json;
use std::sync::Arc;

use crate::autoconfig::{self, SetUp};
use crate::health::Health;
use crate::{Provider, Recorder, clear, gather, oauth, page, sts};

/// What the pages say of the server.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The host name, as clients know it.
    pub host: String,
    /// The program's version.
    pub version: String,
    /// What is served where.
    pub services: Vec<ServiceLine>,
    /// Who may see metrics, versions and reasons; loopback always may.
    pub insiders: Vec<Network>,
    /// The port of the pages in TLS, to which strangers who come in clear are sent; None when there are none.
    pub https: Option<u16>,
}

/// A line of the front page.
#[derive(Debug, Clone)]
pub struct ServiceLine {
    /// Such as `IMAP`.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// In words, such as `TLS`, `STARTTLS` or `in clear`.
    pub security: String,
}

/// The pages and what they are made from.
pub struct Site {
    pub(crate) about: About,
    pub(crate) store: Store,
    pub(crate) recorder: Recorder,
    pub(crate) health: Health,
    pub(crate) provider: Option<Arc<Provider>>,
    pub(crate) set_up: Option<SetUp>,
}

impl Site {
    /// A site that shows this store and this recorder's metrics.
    pub fn new(store: Store, recorder: Recorder, about: About) -> Site {
        Site { about, health: Health::new(store.clone()), store, recorder, provider: None, set_up: None }
    }

    /// The same, where people log in and programs are let in.
    #[must_use]
    pub fn with_provider(self, provider: Provider) -> Site {
        Site { provider: Some(Arc::new(provider)), ..self }
    }

    /// The same, which tells mail programs and people their settings.
    #[must_use]
    pub fn with_set_up(self, set_up: SetUp) -> Site {
        Site { set_up: Some(set_up), ..self }
    }
}

/// Who asks, and whether the server is about to stop.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) address: IpAddr,
    /// In TLS.
    pub(crate) is_secure: bool,
    pub(crate) stop: Stop,
}

impl Visitor {
    pub(crate) fn is_insider(&self, about: &About) -> bool {
        self.address.to_canonical().is_loopback() || about.insiders.iter().any(|network| network.contains(self.address))
    }
}

pub(crate) fn routes(site: Arc<Site>) -> Router {
    let letting_in = site.provider.clone().map_or_else(Router::new, oauth::routes);
    Router::new()
        .route("/", get(front))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route("/.well-known/acme-challenge/{token}", get(clear::acme_challenge))
        .route(postroad_trust::sts::PATH, get(sts::policy))
        .merge(autoconfig::routes())
        .fallback(autoconfig::elsewhere)
        .method_not_allowed_fallback(not_allowed)
        .with_state(Arc::clone(&site))
        .merge(letting_in)
        .layer(middleware::from_fn_with_state(site, clear::redirect))
        .layer(DefaultBodyLimit::max(BODY_MAX))
}

async fn front(State(site): State<Arc<Site>>, Extension(visitor): Extension<Visitor>) -> Response {
    page::html(StatusCode::OK, page::front(&site.about, visitor.is_insider(&site.about), site.set_up.is_some()))
}

async fn healthz(State(site): State<Arc<Site>>, Extension(visitor): Extension<Visitor>) -> Response {
    let found = site.health.look().await;
    let mut reasons = found.reasons.clone();
    if visitor.stop.is_stopped() {
        // So that a load balancer sends nobody else while the last connections end.
        reasons.push("the server is stopping".to_owned());
    }
    let well = reasons.is_empty();
    let code = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let status = if well { "ok" } else { "unavailable" };
    let body = if visitor.is_insider(&site.about) {
        json!({
            "status": status,
            "reasons": reasons,
            "version": site.about.version,
            "database": found.database,
            "blobs": found.blobs,
        })
    } else {
        json!({ "status": status })
    };
    (code, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

async fn metrics(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    if !visitor.is_insider(&site.about) {
        return problem(
            &headers,
            StatusCode::FORBIDDEN,
            "metrics are shown to this machine and to the networks that the settings name",
        );
    }
    gather::queue(&site.store).await;
    gather::process();
    let headers =
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, site.recorder.render()).into_response()
}

pub(crate) async fn unknown(headers: HeaderMap) -> Response {
    problem(&headers, StatusCode::NOT_FOUND, "there is no such page here")
}

pub(crate) async fn not_allowed(headers: HeaderMap) -> Response {
    problem(&headers, StatusCode::METHOD_NOT_ALLOWED, "this page can only be looked at: use GET or HEAD")
}

/// HTML for browsers, JSON for programs.
fn problem(headers: &HeaderMap, code: StatusCode, what: &str) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        page::html(code, page::problem(code.as_u16(), what))
    } else {
        // RFC 9457 names the members.
        let body = json!({ "status": code.as_u16(), "title": what });
        (code, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}

/// No page takes a body; what is sent all the same is not read beyond this.
const BODY_MAX: usize = 64 * 1024;
