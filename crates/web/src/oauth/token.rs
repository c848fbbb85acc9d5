//! The token endpoint.
//!
//! Standards: RFC 6749 §3.2, §4.1.3, §5 and §6; RFC 8628 §3.4; OpenID Connect Core 1.0 §3.1.3.

use axum::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use postroad_identity::clients::Client;
use postroad_identity::codes::{self, NotRedeemed, Subject};
use postroad_identity::devices::{self, NotYet};
use postroad_identity::tokens::{self, Issued, NotRenewed};
use postroad_identity::{Bearing, Error, Kind, Scope, Scopes};
use postroad_store::Locks;
use serde_json::json;

use super::caller::Called;
use super::form::Form;
use super::{Provider, answer, failed, refusal};
use crate::site::Visitor;

pub(super) async fn token(Extension(visitor): Extension<Visitor>, called: Called) -> Response {
    let Called { provider, form, client } = called;
    let (by, outcome) = match form.get("grant_type") {
        Some("authorization_code") => ("code", by_code(&provider, &form, &client).await),
        Some("refresh_token") => ("refresh", by_refresh(&provider, &form, &client).await),
        Some("urn:ietf:params:oauth:grant-type:device_code") => ("device", by_device(&provider, &form, &client).await),
        Some(_) => ("", Err(refused("unsupported_grant_type", "codes, refresh tokens and devices' codes are taken"))),
        None => ("", Err(refused("invalid_request", "grant_type is missing"))),
    };
    match outcome {
        Ok((issued, subject)) => {
            metrics::counter!("postroad_oauth_tokens_total", "grant" => by).increment(1);
            tracing::info!(remote = %visitor.address, client = client.id, account = %issued.account,
                grant = issued.grant, scopes = %issued.scopes, "a program was given a token");
            given(&provider, &client, &issued, subject).await
        }
        Err(response) => response,
    }
}

/// A refusal that is counted.
fn refused(error: &'static str, why: &str) -> Response {
    metrics::counter!("postroad_oauth_refused_total", "error" => error).increment(1);
    refusal(error, why)
}

type Outcome = Result<(Issued, Option<Subject>), Response>;

async fn by_code(provider: &Provider, form: &Form, client: &Client) -> Outcome {
    let invalid = || refused("invalid_grant", "the code is not good, or not any more");
    let (Some(code), Some(redirect), Some(verifier)) =
        (form.get("code"), form.get("redirect_uri"), form.get("code_verifier"))
    else {
        return Err(refused("invalid_request", "code, redirect_uri and code_verifier are required"));
    };
    let code = Bearing::parse(Kind::Code, code).ok_or_else(invalid)?;
    let (redirect, verifier, caller) = (redirect.to_owned(), verifier.to_owned(), client.clone());
    let (lifetimes, now, account) = (provider.settings.lifetimes, provider.now(), code.account());
    let redeemed = provider
        .store
        .write(Locks::account(account), move |tx| {
            codes::redeem(tx, &code, &caller, (&redirect, &verifier), &lifetimes, now)
        })
        .await;
    match redeemed.map_err(|error| failed("a code could not be redeemed", &error))?.value {
        Ok((issued, subject)) => Ok((issued, Some(subject))),
        Err(why) => {
            match why {
                NotRedeemed::Replayed | NotRedeemed::Client | NotRedeemed::Verifier => {
                    tracing::warn!(client = client.id, %account, ?why, "somebody tried a code that is not theirs");
                }
                NotRedeemed::Unknown | NotRedeemed::Expired | NotRedeemed::Redirect => {
                    tracing::info!(client = client.id, %account, ?why, "a code was refused");
                }
            }
            Err(invalid())
        }
    }
}

async fn by_refresh(provider: &Provider, form: &Form, client: &Client) -> Outcome {
    let invalid = || refused("invalid_grant", "the refresh token is not good, or not any more");
    let Some(token) = form.get("refresh_token") else {
        return Err(refused("invalid_request", "refresh_token is missing"));
    };
    let token = Bearing::parse(Kind::Refresh, token).ok_or_else(invalid)?;
    let scopes = form.get("scope").map(Scopes::parse);
    let (lifetimes, now, account, caller) =
        (provider.settings.lifetimes, provider.now(), token.account(), client.clone());
    let renewed = provider
        .store
        .write(Locks::account(account), move |tx| tokens::renew(tx, &token, &caller, scopes.as_ref(), &lifetimes, now))
        .await;
    match renewed.map_err(|error| failed("a refresh token could not be taken", &error))?.value {
        Ok(issued) => Ok((issued, None)),
        Err(NotRenewed::Scope) => Err(refused("invalid_scope", "more is asked for than was granted")),
        Err(NotRenewed::Replayed) => {
            tracing::warn!(client = client.id, %account, "an old refresh token came again: its grant is cut off");
            Err(invalid())
        }
        Err(NotRenewed::Invalid) => Err(invalid()),
    }
}

async fn by_device(provider: &Provider, form: &Form, client: &Client) -> Outcome {
    let Some(code) = form.get("device_code").map(str::to_owned) else {
        return Err(refused("invalid_request", "device_code is missing"));
    };
    let unable = |error: &Error| failed("a device could not be answered", error);
    let wanted = code.clone();
    let account = provider.store.read(move |tx| devices::account_of(tx, &wanted)).await;
    let locks = account.map_err(|error| unable(&error))?.map_or_else(Locks::none, Locks::account);
    let (lifetimes, now, caller) = (provider.settings.lifetimes, provider.now(), client.clone());
    let polled = provider.store.write(locks, move |tx| devices::poll(tx, &code, &caller, &lifetimes, now)).await;
    match polled.map_err(|error| unable(&error))?.value {
        Ok((issued, subject)) => Ok((issued, Some(subject))),
        Err(NotYet::Pending) => Err(refusal("authorization_pending", "nobody has decided yet")),
        Err(NotYet::SlowDown) => Err(refusal("slow_down", "wait five seconds longer between two questions")),
        Err(NotYet::Denied) => Err(refused("access_denied", "the person said no")),
        Err(NotYet::Expired) => Err(refused("expired_token", "nobody decided in time")),
        Err(NotYet::Unknown) => Err(refused("invalid_grant", "the device code is not good, or not any more")),
    }
}

/// RFC 6749 §5.1.
async fn given(provider: &Provider, client: &Client, issued: &Issued, subject: Option<Subject>) -> Response {
    let mut body = json!({
        "access_token": issued.access,
        "token_type": "Bearer",
        "expires_in": issued.lifetime.as_secs(),
        "scope": issued.scopes.to_string(),
    });
    if let Some(refresh) = &issued.refresh {
        body["refresh_token"] = json!(refresh);
    }
    if let Some(subject) = subject.filter(|_| issued.scopes.has(Scope::Openid)) {
        match provider.keys.identity_token(provider, client, &issued.scopes, &subject).await {
            Ok(token) => body["id_token"] = json!(token),
            Err(error) => return failed("who somebody is could not be signed", &error),
        }
    }
    answer(StatusCode::OK, &body)
}
