//! What this server is and can, for programs.
//!
//! Standards: RFC 8414, OpenID Connect Discovery 1.0 §3, RFC 9207 §3, RFC 8628 §4.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::{Provider, Registration, answer, scopes_shown};

pub(super) async fn metadata(State(provider): State<Arc<Provider>>) -> Response {
    let mut response = answer(StatusCode::OK, &of(&provider));
    // Programs in browsers look here too, and it is the same for everybody.
    let headers = response.headers_mut();
    headers.insert("access-control-allow-origin", axum::http::HeaderValue::from_static("*"));
    headers.insert("cache-control", axum::http::HeaderValue::from_static("public, max-age=3600"));
    response
}

fn of(provider: &Provider) -> Value {
    let at = |path: &str| provider.at(path);
    let methods = ["none", "client_secret_basic", "client_secret_post"];
    let mut value = json!({
        "issuer": provider.settings.issuer,
        "authorization_endpoint": at("/oauth/authorize"),
        "token_endpoint": at("/oauth/token"),
        "device_authorization_endpoint": at("/oauth/device"),
        "revocation_endpoint": at("/oauth/revoke"),
        "introspection_endpoint": at("/oauth/introspect"),
        "userinfo_endpoint": at("/oauth/userinfo"),
        "jwks_uri": at("/oauth/jwks"),
        "scopes_supported": scopes_shown(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported":
            ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": &methods[1..],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "acr_values_supported": [super::identity_token::SEVERAL_STEPS],
        "claims_supported":
            ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "email", "email_verified", "name"],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    });
    if provider.settings.registration == Registration::Open {
        value["registration_endpoint"] = json!(at("/oauth/register"));
    }
    value
}
