//! Letting a device in by the code that it shows.
//!
//! Standards: RFC 8628 §3.3 and §5: somebody may have been sent here with a stranger's code, so the page says what they
//! are about to allow, from where it was asked for, and never goes on by itself.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use postroad_identity::clients;
use postroad_identity::codes::Subject;
use postroad_identity::devices::{self, Decision};
use postroad_store::Locks;

use super::{Asked, Viewer, consent, failed, hidden, log_in, not_ours, page, problem};
use crate::oauth::Provider;
use crate::oauth::form::Form;
use crate::oauth::ticket::Goal;
use crate::page::{alert, escape};

pub(super) async fn shown(asked: Asked) -> Response {
    let code: String = asked.parameters().get("user_code").unwrap_or_default().chars().take(CODE_SHOWN_MAX).collect();
    match asked.viewer().await {
        None => log_in::first(&asked.provider, &Goal::Device { code }),
        Some(viewer) if code.is_empty() => ask(&viewer, "", None),
        Some(viewer) => look(&asked.provider, &viewer, &code).await,
    }
}

pub(super) async fn posted(asked: Asked, body: Bytes) -> Response {
    let provider = &asked.provider;
    let Ok(form) = Form::parse(&body) else { return not_ours() };
    let code: String = form.get("user_code").unwrap_or_default().chars().take(CODE_SHOWN_MAX).collect();
    let Some(viewer) = asked.viewer().await else { return log_in::first(provider, &Goal::Device { code }) };
    if !asked.is_theirs(form.get("token")) {
        return not_ours();
    }
    let Some(typed) = devices::typed(&code) else { return ask(&viewer, &code, Some(WRONG)) };
    let subject = Subject {
        account: viewer.account.id,
        nonce: None,
        authenticated: viewer.session.authenticated,
        steps: viewer.session.steps.clone(),
    };
    let (decision, allowed) = match form.get("decision") {
        Some("allow") => (Decision::Allowed(subject), true),
        Some("deny") => (Decision::Denied, false),
        Some(_) | None => return look(provider, &viewer, &code).await,
    };
    let now = provider.now();
    match provider.store.write(Locks::none(), move |tx| devices::decide(tx, &typed, &decision, now)).await {
        Ok(done) if !done.value => ask(&viewer, &code, Some(WRONG)),
        Ok(_) if allowed => {
            page(StatusCode::OK, "Allowed", "<p>The device goes on by itself now. You can close this page.</p>\n", None)
        }
        Ok(_) => page(StatusCode::OK, "Not allowed", "<p>The device stays out. You can close this page.</p>\n", None),
        Err(error) => failed("a device could not be decided on", &error),
    }
}

/// Asks for the code.
fn ask(viewer: &Viewer, code: &str, wrong: Option<&str>) -> Response {
    let body = format!(
        "{}<form method=\"post\" action=\"/device\">\n{}\
         <label for=\"code\">The code that your device shows</label>\n\
         <input id=\"code\" name=\"user_code\" autocomplete=\"off\" autocapitalize=\"characters\" spellcheck=\"false\" \
         maxlength=\"20\" placeholder=\"XXXX-XXXX\" required autofocus value=\"{}\">\n\
         <p class=\"acts\"><button>Go on</button></p>\n</form>\n",
        alert(wrong),
        hidden(&[("token", &viewer.token)]),
        escape(code),
    );
    let code = if wrong.is_some() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    page(code, "Let a device in", &body, None)
}

/// Shows what waits behind a code.
async fn look(provider: &Provider, viewer: &Viewer, code: &str) -> Response {
    let now = provider.now();
    if !provider.typed.take(viewer.account.id, now) {
        return problem(StatusCode::TOO_MANY_REQUESTS, "Those were too many codes. Please wait ten minutes.");
    }
    let Some(typed) = devices::typed(code) else { return ask(viewer, code, Some(WRONG)) };
    let wanted = typed.clone();
    let found = provider
        .store
        .read(move |tx| {
            Ok::<_, postroad_mail::Error>(match devices::waiting(tx, &wanted, now)? {
                Some(waiting) => clients::find(tx, &waiting.client)?.map(|client| (waiting, client)),
                None => None,
            })
        })
        .await;
    let (waiting, client) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return ask(viewer, code, Some(WRONG)),
        Err(error) => return failed("a device could not be looked up", &error),
    };
    let body = format!(
        "<p>A device shows this code:</p>\n<p class=\"code\">{}-{}</p>\n\
         <p>Is it yours, and does it show the same? It asked from the network <b>{}</b>. As <b>{}</b> it wants to use the \
         account <b>{}</b>. If you allow it, it can</p>\n{}{}\
         <form method=\"post\" action=\"/device\">\n{}\
         <p class=\"acts\"><button name=\"decision\" value=\"allow\">Allow</button>\n\
         <button class=\"quiet\" name=\"decision\" value=\"deny\">Do not allow</button></p>\n</form>\n\
         <p><small>Never allow a code that somebody has sent you.</small></p>\n",
        &typed[..4],
        &typed[4..],
        escape(&waiting.network),
        escape(&client.name),
        escape(&viewer.account.address.to_string()),
        consent::list(&waiting.scopes),
        consent::stranger(&client),
        hidden(&[("token", &viewer.token), ("user_code", &typed)]),
    );
    page(StatusCode::OK, "Let this device in?", &body, None)
}

const WRONG: &str =
    "No device waits with this code. Codes are good for a few minutes; look whether it shows a new one.";
/// Letters of a code that are shown again.
const CODE_SHOWN_MAX: usize = 20;
