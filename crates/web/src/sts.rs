//! The MTA-STS policies of our own domains: `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`.
//!
//! Which policy is meant is told by the host that is asked for. Who asks for a domain that is not ours hears that there is
//! no such page. That the certificate is good for `mta-sts.DOMAIN` is the listener's to see to.
//!
//! Standards: RFC 8461 §3.2 and §3.3.

use std::sync::Arc;

use axum::extract::State;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use postroad_mail::{Domain, domains};
use postroad_store::ReadTx;
use postroad_trust::sts::{self, Own};

use crate::site::{Site, unknown};

/// The policy of the domain whose host is asked for.
pub(crate) async fn policy(State(site): State<Arc<Site>>, uri: Uri, headers: HeaderMap) -> Response {
    let Some(domain) = asked_for(&uri, &headers) else { return unknown(headers).await };
    match site.store.read(move |tx| own(tx, &domain)).await {
        Ok(Some(own)) => {
            // RFC 8461 §3.2: what kind it is of; senders keep it by its own max_age.
            let kind = [(header::CONTENT_TYPE, "text/plain"), (header::CACHE_CONTROL, "no-cache")];
            (kind, own.policy(&site.about.host).text()).into_response()
        }
        Ok(None) => unknown(headers).await,
        Err(error) => {
            tracing::warn!(%error, "an MTA-STS policy of ours cannot be served");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// What is said of a domain of ours, or of another name of one.
fn own(tx: &ReadTx, name: &Domain) -> postroad_mail::Result<Option<Own>> {
    let Some(real) = domains::ours(tx, name)? else { return Ok(None) };
    let set = match sts::own(tx, name.as_str())? {
        Some(own) => Some(own),
        None => sts::own(tx, real.as_str())?,
    };
    Ok(Some(set.unwrap_or_default()))
}

/// The domain behind `mta-sts.`.
fn asked_for(uri: &Uri, headers: &HeaderMap) -> Option<Domain> {
    let field = || headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let authority = uri.authority().cloned().or_else(field)?;
    let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
    Domain::parse(host.strip_prefix("mta-sts.")?).ok()
}
