//! Which program calls: by HTTP Basic, by parameters, or, where it has no secret, by its id alone.
//!
//! Standards: RFC 6749 §2.3 and §3.2.1.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postroad_identity::clients::{self, Client};
use serde_json::json;

use super::form::Form;
use super::{Provider, answer, failed, refusal};

/// A program's form, and the client that it shows itself to be.
pub(crate) struct Called {
    pub(crate) provider: Arc<Provider>,
    pub(crate) form: Form,
    pub(crate) client: Client,
}

impl FromRequest<Arc<Provider>> for Called {
    type Rejection = Response;

    async fn from_request(request: Request, provider: &Arc<Provider>) -> Result<Called, Response> {
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, provider).await.map_err(IntoResponse::into_response)?;
        let (form, client) = called(provider, &headers, &body).await?;
        Ok(Called { provider: Arc::clone(provider), form, client })
    }
}

/// The form of a request, and the client that sent it.
async fn called(provider: &Provider, headers: &HeaderMap, body: &[u8]) -> Result<(Form, Client), Response> {
    // RFC 6749 §3.2: a form, and nothing that a page of another site could send unasked as something else.
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        return Err(refusal("invalid_request", "parameters come as application/x-www-form-urlencoded"));
    }
    let form = Form::parse(body).map_err(|bad| refusal("invalid_request", bad.words()))?;
    let basic = match headers.get(header::AUTHORIZATION) {
        None => None,
        Some(value) => Some(basic(value.to_str().unwrap_or_default()).ok_or_else(unknown)?),
    };
    let (id, secret) = match &basic {
        Some((id, secret)) => {
            // RFC 6749 §2.3: one way at a time.
            if form.get("client_secret").is_some() || form.get("client_id").is_some_and(|other| other != id) {
                return Err(refusal("invalid_request", "the client shows itself in two ways"));
            }
            (id.as_str(), Some(secret.as_str()))
        }
        None => (form.get("client_id").unwrap_or_default(), form.get("client_secret")),
    };
    let wanted = id.to_owned();
    let found = provider.store.read(move |tx| clients::find(tx, &wanted)).await;
    let client = found.map_err(|error| failed("a program could not be looked up", &error))?;
    match client.filter(|client| client.is_proved_by(secret)) {
        Some(client) => Ok((form, client)),
        None => Err(unknown()),
    }
}

/// Id and secret, each written as in a form (RFC 6749 §2.3.1).
fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, text) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let octets = STANDARD.decode(text.trim()).ok()?;
    let text = std::str::from_utf8(&octets).ok()?;
    let (id, secret) = text.split_once(':')?;
    let part = |text: &str| {
        let form = Form::parse(format!("v={}", text.replace('&', "%26")).as_bytes()).ok()?;
        Some(form.get("v").unwrap_or_default().to_owned())
    };
    Some((part(id)?, part(secret)?))
}

fn unknown() -> Response {
    let body = json!({ "error": "invalid_client", "error_description": "the program is unknown, or not who it says" });
    let mut response = answer(StatusCode::UNAUTHORIZED, &body);
    let realm = axum::http::HeaderValue::from_static("Basic realm=\"postroad\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    response.into_response()
}
