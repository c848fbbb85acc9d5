//! What is asked of tokens that were given: whose they are, whether they are good; and that they are not wanted any more.
//!
//! Standards: RFC 7009, RFC 7662, RFC 6750 §2.1 and §3, OpenID Connect Core 1.0 §5.3.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use postroad_identity::{Bearing, Kind, Scope, tokens};
use postroad_mail::accounts;
use postroad_store::Locks;
use serde_json::json;

use super::caller::Called;
use super::identity_token::{about, seconds};
use super::{Provider, answer, failed, refusal};

pub(super) async fn jwks(State(provider): State<Arc<Provider>>) -> Response {
    match provider.keys.shown(&provider).await {
        Ok(keys) => answer(StatusCode::OK, &keys),
        Err(error) => failed("the keys that sign could not be read", &error),
    }
}

/// RFC 7009 §2.2: whatever the token was, the answer is the same.
pub(super) async fn revoke(called: Called) -> Response {
    let Called { provider, form, client } = called;
    let Some(token) = form.get("token") else { return refusal("invalid_request", "token is missing") };
    let kinds = [Kind::Refresh, Kind::Access];
    let Some(token) = kinds.into_iter().find_map(|kind| Bearing::parse(kind, token)) else {
        return answer(StatusCode::OK, &json!({}));
    };
    let now = provider.now();
    let revoked =
        provider.store.write(Locks::account(token.account()), move |tx| tokens::revoke(tx, &token, &client, now)).await;
    match revoked {
        Ok(_) => answer(StatusCode::OK, &json!({})),
        Err(error) => failed("a token could not be taken back", &error),
    }
}

/// RFC 7662 §2.1: for programs that can prove who they are, so that nobody tries tokens here.
pub(super) async fn introspect(called: Called) -> Response {
    let Called { provider, form, client } = called;
    if !client.is_confidential() {
        let body = json!({ "error": "invalid_client", "error_description": "only for clients that have a secret" });
        return answer(StatusCode::UNAUTHORIZED, &body);
    }
    let Some(token) = form.get("token").map(str::to_owned) else {
        return refusal("invalid_request", "token is missing");
    };
    let now = provider.now();
    let body = match provider.store.read(move |tx| tokens::look(tx, &token, now)).await {
        Ok(Ok(bearer)) => json!({
            "active": true,
            "scope": bearer.scopes.to_string(),
            "client_id": bearer.client,
            "username": bearer.address.to_string(),
            "token_type": "Bearer",
            "sub": bearer.account.to_string(),
            "iss": provider.settings.issuer,
            "iat": seconds(bearer.issued),
            "exp": seconds(bearer.expires),
        }),
        Ok(Err(_)) => json!({ "active": false }),
        Err(error) => return failed("a token could not be looked up", &error),
    };
    answer(StatusCode::OK, &body)
}

pub(super) async fn userinfo(State(provider): State<Arc<Provider>>, headers: HeaderMap) -> Response {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned());
    let Some(token) = token else { return unauthorized(StatusCode::UNAUTHORIZED, "Bearer realm=\"postroad\"") };
    let now = provider.now();
    let looked = provider
        .store
        .read(move |tx| {
            Ok::<_, postroad_mail::Error>(match tokens::look(tx, &token, now)? {
                Ok(bearer) => accounts::by_id(tx, bearer.account)?.map(|account| (bearer, account)),
                Err(_) => None,
            })
        })
        .await;
    match looked {
        Ok(Some((bearer, account))) if bearer.scopes.has(Scope::Openid) => {
            answer(StatusCode::OK, &about(&account, &bearer.scopes))
        }
        Ok(Some(_)) => unauthorized(
            StatusCode::FORBIDDEN,
            "Bearer realm=\"postroad\", error=\"insufficient_scope\", scope=\"openid\"",
        ),
        Ok(None) => unauthorized(StatusCode::UNAUTHORIZED, "Bearer realm=\"postroad\", error=\"invalid_token\""),
        Err(error) => failed("a token could not be looked up", &error),
    }
}

fn unauthorized(code: StatusCode, challenge: &'static str) -> Response {
    let mut response = answer(code, &json!({}));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}
