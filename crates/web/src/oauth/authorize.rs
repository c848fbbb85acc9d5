//! The authorization endpoint: a program's request, the way over the log-in and consent pages, and the answer.
//!
//! Standards: RFC 6749 §4.1.1 and §4.1.2, RFC 9207 §2, RFC 9700 §4.11 (303, never 307) and §4.16 (frames), OpenID Connect
//! Core 1.0 §3.1.2.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use postroad_identity::clients::{self, Client};
use postroad_identity::codes::{self, Consent};
use postroad_identity::grants;
use postroad_mail::Error;
use postroad_store::{Locks, Timestamp};

use super::form::{Form, with_parameters};
use super::request::{self, Next, Refusal, Request};
use super::ticket::Goal;
use super::{Provider, guard};
use crate::pages::{self, Asked, Viewer, failed, log_in, not_ours, problem, to};

/// A program sent somebody here.
pub(super) async fn came(asked: Asked) -> Response {
    go_on(&asked, asked.query.clone(), asked.provider.now()).await
}

/// OpenID Connect Core 1.0 §3.1.2.1: the same as a form. It may come from another site, without our cookie, so it is made
/// what it would have been as an address.
pub(super) async fn posted(body: Bytes) -> Response {
    match std::str::from_utf8(&body) {
        Ok(query) if body.len() <= QUERY_MAX && query.bytes().all(|byte| byte.is_ascii_graphic()) => {
            to(&format!("/oauth/authorize?{query}"))
        }
        Ok(_) | Err(_) => problem(StatusCode::BAD_REQUEST, "The program that sent you here sent what is no form."),
    }
}

/// Somebody comes back from the log-in page.
pub(super) async fn resumed(asked: Asked) -> Response {
    match ticket(&asked.provider, &asked.parameters()) {
        Some((query, since)) => go_on(&asked, query, since).await,
        None => problem(StatusCode::BAD_REQUEST, "This page is too old. Please begin again in your program."),
    }
}

fn ticket(provider: &Provider, form: &Form) -> Option<(String, Timestamp)> {
    match Goal::of_form(form, provider)? {
        Goal::Authorize { query, asked } => Some((query, asked)),
        Goal::Account | Goal::SecondStep | Goal::AppPassword | Goal::Passkey | Goal::Device { .. } => None,
    }
}

async fn go_on(asked: &Asked, query: String, since: Timestamp) -> Response {
    let provider = &asked.provider;
    let (request, client) = match understood(provider, &query).await {
        Ok(understood) => understood,
        Err(response) => return response,
    };
    let viewer = asked.viewer().await;
    let now = provider.now();
    let allowed = match &viewer {
        Some(viewer) => match allowed(provider, viewer, &client, &request).await {
            Ok(allowed) => allowed,
            Err(error) => return failed("what was allowed could not be looked up", &error),
        },
        None => false,
    };
    let next = request::next(&request, &client, viewer.as_ref().map(|viewer| &viewer.session), allowed, since, now);
    match (next, viewer) {
        (Next::Refuse(error), _) => refused(provider, &request.redirect, request.state.as_deref(), error, ""),
        (Next::LogIn, _) | (Next::Consent | Next::Answer, None) => {
            log_in::first(provider, &Goal::Authorize { query, asked: since })
        }
        (Next::Consent, Some(viewer)) => {
            let ticket = Goal::Authorize { query, asked: since }.ticket(&provider.sealer, now);
            pages::consent(&viewer, &client, &request, &ticket)
        }
        (Next::Answer, Some(viewer)) => answered(asked, &viewer, &client, &request).await,
    }
}

/// The request of a query and its client, or how it is refused.
async fn understood(provider: &Provider, query: &str) -> Result<(Request, Client), Response> {
    let bad =
        |why: &str| problem(StatusCode::BAD_REQUEST, &format!("The program that sent you here made a mistake: {why}."));
    if query.len() > QUERY_MAX {
        return Err(bad("the request is too long"));
    }
    let form = Form::parse(query.as_bytes()).map_err(|wrong| bad(wrong.words()))?;
    let id = form.get("client_id").unwrap_or_default().to_owned();
    let client = provider.store.read(move |tx| clients::find(tx, &id)).await;
    let client = client.map_err(|error| failed("a program could not be looked up", &error))?;
    match (request::read(&form, client.as_ref()), client) {
        (Ok(request), Some(client)) => Ok((request, client)),
        (Ok(_), None) => Err(bad("it is not known")),
        (Err(Refusal::Page(why)), _) => Err(problem(StatusCode::BAD_REQUEST, why)),
        (Err(Refusal::Redirect { to, state, error, why }), _) => {
            Err(refused(provider, &to, state.as_deref(), error, why))
        }
    }
}

async fn allowed(provider: &Provider, viewer: &Viewer, client: &Client, request: &Request) -> Result<bool, Error> {
    if !client.is_confidential() {
        return Ok(false);
    }
    let (account, now, client, scopes) = (viewer.account.id, provider.now(), client.clone(), request.scopes.clone());
    let found = provider.store.read(move |tx| grants::covering(tx, account, &client, &scopes, now)).await?;
    Ok(found.is_some())
}

/// What somebody decided on the consent page.
pub(super) async fn decided(asked: Asked, body: Bytes) -> Response {
    let provider = &asked.provider;
    let Ok(form) = Form::parse(&body) else { return not_ours() };
    let Some((query, since)) = ticket(provider, &form) else { return not_ours() };
    let Some(viewer) = asked.viewer().await else {
        return log_in::first(provider, &Goal::Authorize { query, asked: since });
    };
    if !asked.is_theirs(form.get("token")) {
        return not_ours();
    }
    let (request, client) = match understood(provider, &query).await {
        Ok(understood) => understood,
        Err(response) => return response,
    };
    // The consent page was shown to whoever had logged in as the request wants it; the same must hold now.
    let next = request::next(&request, &client, Some(&viewer.session), false, since, provider.now());
    match (next, form.get("decision")) {
        (Next::Consent | Next::Answer, Some("allow")) => answered(&asked, &viewer, &client, &request).await,
        (Next::LogIn, _) => log_in::first(provider, &Goal::Authorize { query, asked: since }),
        (Next::Consent | Next::Answer | Next::Refuse(_), _) => {
            refused(provider, &request.redirect, request.state.as_deref(), "access_denied", "the person said no")
        }
    }
}

/// A code for the program.
async fn answered(asked: &Asked, viewer: &Viewer, client: &Client, request: &Request) -> Response {
    let provider = &asked.provider;
    let consent = Consent {
        account: viewer.account.id,
        scopes: request.scopes.clone(),
        redirect: request.redirect.clone(),
        challenge: request.challenge.clone(),
        nonce: request.nonce.clone(),
        authenticated: viewer.session.authenticated,
        steps: viewer.session.steps.clone(),
        network: guard::network(asked.visitor.address),
    };
    let (lifetimes, now, caller) = (provider.settings.lifetimes, provider.now(), client.clone());
    let locks = Locks::account(consent.account);
    match provider.store.write(locks, move |tx| codes::create(tx, &caller, &consent, &lifetimes, now)).await {
        Ok(code) => {
            tracing::info!(remote = %asked.visitor.address, account = %viewer.account.id, client = client.id,
                scopes = %request.scopes, "a program was allowed");
            let mut parameters = vec![("code", code.value.as_str())];
            parameters.extend(request.state.as_deref().map(|state| ("state", state)));
            parameters.push(("iss", &provider.settings.issuer));
            to(&with_parameters(&request.redirect, &parameters))
        }
        Err(error) => failed("a code could not be made", &error),
    }
}

/// An error for the program (RFC 6749 §4.1.2.1), with whose it is (RFC 9207 §2).
fn refused(provider: &Provider, redirect: &str, state: Option<&str>, error: &str, why: &str) -> Response {
    let mut parameters = vec![("error", error)];
    if !why.is_empty() {
        parameters.push(("error_description", why));
    }
    parameters.extend(state.map(|state| ("state", state)));
    parameters.push(("iss", &provider.settings.issuer));
    to(&with_parameters(redirect, &parameters))
}

/// Octets of a request: it travels in addresses, sealed.
const QUERY_MAX: usize = 4 * 1024;
