//! The device authorization endpoint.
//!
//! Standards: RFC 8628 §3.1 and §3.2.

use axum::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use postroad_identity::{Error, Scopes, devices};
use postroad_store::Locks;
use serde_json::json;

use super::caller::Called;
use super::{answer, failed, guard, refusal};
use crate::site::Visitor;

pub(super) async fn asked(Extension(visitor): Extension<Visitor>, called: Called) -> Response {
    let Called { provider, form, client } = called;
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
