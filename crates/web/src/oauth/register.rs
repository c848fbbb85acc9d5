//! Programs that make themselves known.
//!
//! Standards: RFC 7591 §3; draft-ietf-mailmaint-oauth-public (public clients on somebody's own machine alone).

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use postroad_identity::clients::{self, NewClient, REDIRECTS_MAX};
use postroad_identity::{Error, Scopes};
use postroad_store::Locks;
use serde_json::{Value, json};

use super::{Provider, Registration, answer, failed, refusal};
use crate::site::Visitor;

pub(super) async fn register(
    State(provider): State<Arc<Provider>>,
    Extension(visitor): Extension<Visitor>,
    body: Bytes,
) -> Response {
    if provider.settings.registration == Registration::Off {
        let body = json!({ "error": "access_denied", "error_description": "the administrator makes programs known" });
        return answer(StatusCode::FORBIDDEN, &body);
    }
    let now = provider.now();
    if !provider.comers.take(visitor.address, now) {
        let body =
            json!({ "error": "temporarily_unavailable", "error_description": "too often; come back in an hour" });
        return answer(StatusCode::TOO_MANY_REQUESTS, &body);
    }
    let new = match wanted(&body) {
        Ok(new) => new,
        Err((error, why)) => return refusal(error, why),
    };
    let shown = new.clone();
    match provider.store.write(Locks::named(LOCK), move |tx| clients::add(tx, &new, now)).await {
        Ok(added) => {
            let (client, _) = added.value;
            tracing::info!(remote = %visitor.address, client = client.id, name = client.name, "a program made itself known");
            // RFC 7591 §3.2.1: what it is now, with what was filled in.
            let body = json!({
                "client_id": client.id,
                "client_id_issued_at": super::identity_token::seconds(now),
                "client_name": client.name,
                "redirect_uris": shown.redirects,
                "token_endpoint_auth_method": "none",
                "grant_types": grants(!shown.redirects.is_empty()),
                "response_types": if shown.redirects.is_empty() { json!([]) } else { json!(["code"]) },
                "scope": client.scopes.to_string(),
            });
            answer(StatusCode::CREATED, &body)
        }
        Err(Error::Refused(why)) => refusal("invalid_redirect_uri", why),
        Err(error) => failed("a program could not make itself known", &error),
    }
}

fn grants(by_code: bool) -> Vec<&'static str> {
    let all = ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token", "authorization_code"];
    all[..if by_code { 3 } else { 2 }].to_vec()
}

/// What a program says of itself; what is not known is left out (RFC 7591 §2).
fn wanted(body: &[u8]) -> Result<NewClient, (&'static str, &'static str)> {
    let metadata = |why: &'static str| ("invalid_client_metadata", why);
    let value: Value = serde_json::from_slice(body).map_err(|_| metadata("the body is no JSON"))?;
    let Some(object) = value.as_object() else { return Err(metadata("the body is no JSON object")) };
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    if text("token_endpoint_auth_method").is_some_and(|method| method != "none") {
        return Err(metadata("programs that make themselves known have no secret: token_endpoint_auth_method is none"));
    }
    let redirects = match object.get("redirect_uris") {
        None => Vec::new(),
        Some(Value::Array(list)) if list.len() <= REDIRECTS_MAX => {
            let texts: Option<Vec<String>> = list.iter().map(|uri| uri.as_str().map(str::to_owned)).collect();
            texts.ok_or(("invalid_redirect_uri", "redirect URIs are texts"))?
        }
        Some(_) => return Err(("invalid_redirect_uri", "redirect_uris is a list of at most 20")),
    };
    let scopes = match text("scope") {
        None => Scopes::all(),
        Some(scope) => Scopes::parse(scope),
    };
    let scopes = if scopes.is_empty() { Scopes::all() } else { scopes };
    let name = text("client_name").unwrap_or("A program without a name").to_owned();
    Ok(NewClient { id: None, name, redirects, scopes, confidential: false, registered: true })
}

/// Two that come at the same time are counted one after the other.
const LOCK: &str = "oauth clients";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_say_of_themselves() {
        let new =
            wanted(br#"{"client_name":"App","redirect_uris":["net.example.app:/cb"],"scope":"openid x","y":[1]}"#);
        let new = new.expect("good");
        assert_eq!((new.name.as_str(), new.redirects.len(), new.confidential), ("App", 1, false));
        assert_eq!(new.scopes, Scopes::parse("openid"));
        assert_eq!(wanted(b"{}").expect("good").scopes, Scopes::all());
        for (body, error) in [
            (&b"no"[..], "invalid_client_metadata"),
            (b"[]", "invalid_client_metadata"),
            (br#"{"token_endpoint_auth_method":"client_secret_basic"}"#, "invalid_client_metadata"),
            (br#"{"redirect_uris":"a"}"#, "invalid_redirect_uri"),
            (br#"{"redirect_uris":[1]}"#, "invalid_redirect_uri"),
        ] {
            assert_eq!(wanted(body).expect_err("bad").0, error, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn fuzz_metadata() {
        postroad_fuzz::check!(2_000).with_type::<Vec<u8>>().for_each(|octets| {
            let _ = wanted(octets);
        });
    }
}
