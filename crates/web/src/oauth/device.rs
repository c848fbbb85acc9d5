//! The device authorization endpoint.
//!
//! Standards: RFC 8628 §3.1 and §3.2.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use postroad_identity::{Error, Scopes, devices};
use postroad_store::Locks;
use serde_json::json;

use super::{Provider, answer, caller, failed, guard, refusal};
use crate::site::Visitor;

pub(super) async fn asked(
    State(provider): State<Arc<Provider>>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (form, client) = match caller::called(&provider, &headers, &body).await {
        Ok(called) => called,
        Err(response) => return response,
    };
    let now = provider.now();
    if !provider.comers.take(visitor.address, now) {
        let body = json!({ "error": "slow_down", "error_description": "too often; come back in an hour" });
        return answer(StatusCode::TOO_MANY_REQUESTS, &body);
    }
    let scopes = Scopes::parse(form.get("scope").unwrap_or_default()).and(&client.scopes);
    if scopes.is_empty() {
        return refusal("invalid_scope", "nothing is asked for that this program may ask for");
    }
    let (lifetimes, network) = (provider.settings.lifetimes, guard::network(visitor.address));
    let waits = provider
        .store
        .write(Locks::none(), move |tx| devices::ask(tx, &client, &scopes, &network, &lifetimes, now))
        .await;
    match waits {
        Ok(asked) => {
            let asked = asked.value;
            let place = provider.at("/device");
            let body = json!({
                "device_code": asked.device_code,
                "user_code": asked.user_code,
                "verification_uri": place,
                "verification_uri_complete": format!("{place}?user_code={}", asked.user_code),
                "expires_in": lifetimes.device.as_secs(),
                "interval": devices::PAUSE.as_secs(),
            });
            answer(StatusCode::OK, &body)
        }
        Err(Error::Refused(why)) => {
            let body = json!({ "error": "temporarily_unavailable", "error_description": why });
            answer(StatusCode::SERVICE_UNAVAILABLE, &body)
        }
        Err(error) => failed("a device could not ask to be let in", &error),
    }
}
