//! The second step of logging in: a code, behind the password.
//!
//! A session that waits for it opens nothing else, and not for long. The cookie is another one afterwards.
//!
//! Standards: RFC 6238 (in `postroad-identity`), RFC 8176 (`otp`, `mfa`).

pub(super) mod page;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use postroad_identity::second::{self, Verdict};
use postroad_identity::sessions::{self, Session};
use postroad_mail::accounts::Account;
use postroad_mail::{Actor, By, Error, Service};
use postroad_store::{Locks, WriteTx};

use super::{failed, hidden, is_theirs, log_in, not_ours, page as whole, to};
use crate::oauth::Provider;
use crate::oauth::form::{Form, encode};
use crate::oauth::guard::{self, Cookie};
use crate::oauth::ticket::Goal;
use crate::page::escape;
use crate::site::Visitor;

/// Sends somebody here whose password was right.
pub(super) fn first(provider: &Provider, goal: &Goal) -> Response {
    to(&format!("/login/second-step?ticket={}", encode(&goal.ticket(&provider.sealer, provider.now()))))
}

/// The session that waits for its second step, and whose.
async fn waiting(
    provider: &Provider,
    headers: &HeaderMap,
    visitor: &Visitor,
) -> Result<Option<(Session, Account)>, Response> {
    let Some(cookie) = Cookie::Session.of(headers, visitor) else { return Ok(None) };
    let now = provider.now();
    let found = provider.store.read(move |tx| sessions::look(tx, &cookie, now)).await;
    let found = found.map_err(|error| failed("a session could not be looked up", &error))?;
    Ok(found.filter(|(session, _)| !session.complete && now.minus(WAITS) <= session.created))
}

pub(super) async fn shown(
    State(provider): State<Arc<Provider>>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes()).unwrap_or_default();
    let goal = form.get("ticket").and_then(|ticket| Goal::of_ticket(ticket, &provider.sealer, provider.now()));
    let Some(goal) = goal else { return log_in::too_old() };
    match waiting(&provider, &headers, &visitor).await {
        Ok(Some(_)) => form_page(&provider, &visitor, &headers, &goal, None).await,
        Ok(None) => log_in::first(&provider, &goal),
        Err(response) => response,
    }
}

async fn form_page(
    provider: &Provider,
    visitor: &Visitor,
    headers: &HeaderMap,
    goal: &Goal,
    wrong: Option<&str>,
) -> Response {
    let token = guard::form_token(&Cookie::Session.of(headers, visitor).unwrap_or_default());
    let (_, leads_to, _) = log_in::asker(provider, goal).await;
    let alert = wrong.map(|why| format!("<p class=\"wrong\" role=\"alert\">{}</p>\n", escape(why)));
    let body = format!(
        "{}<form method=\"post\" action=\"/login/second-step\">\n{}\
         <label for=\"code\">The code that your authenticator shows, or one of your recovery codes</label>\n\
         <input id=\"code\" name=\"code\" type=\"text\" autocomplete=\"one-time-code\" autocapitalize=\"none\" \
         spellcheck=\"false\" maxlength=\"40\" required autofocus>\n\
         <p class=\"acts\"><button>Go on</button></p>\n</form>\n\
         <p><small>Who has lost all of them asks the administrator of this server.</small></p>\n",
        alert.unwrap_or_default(),
        hidden(&[("ticket", &goal.ticket(&provider.sealer, provider.now())), ("token", &token)]),
    );
    let code = if wrong.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
    whole(code, "The second step", &body, leads_to.as_deref())
}

pub(super) async fn posted(
    State(provider): State<Arc<Provider>>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Ok(form) = Form::parse(&body) else { return not_ours() };
    if !is_theirs(&headers, &visitor, form.get("token")) {
        return not_ours();
    }
    let goal = form.get("ticket").and_then(|ticket| Goal::of_ticket(ticket, &provider.sealer, provider.now()));
    let Some(goal) = goal else { return log_in::too_old() };
    let (session, account) = match waiting(&provider, &headers, &visitor).await {
        Ok(Some(found)) => found,
        Ok(None) => return log_in::first(&provider, &goal),
        Err(response) => return response,
    };
    let login = account.address.to_string();
    let by = By::new(provider.now(), Actor::Login { login: login.clone(), service: Service::Jmap, app: None });
    let (sealer, typed) = (provider.sealer.clone(), form.get("code").unwrap_or_default().to_owned());
    let done = provider
        .store
        .write(Locks::account(account.id), move |tx| {
            let verdict = second::verify(tx, &by, &sealer, session.account, &typed)?;
            let cookie = match verdict {
                Verdict::Right => complete(tx, &session, "otp mfa", &by)?,
                // The administrator has just taken it away.
                Verdict::Off => complete(tx, &session, "", &by)?,
                Verdict::Wrong | Verdict::Closed(_) => None,
            };
            Ok::<_, Error>((verdict, cookie))
        })
        .await;
    match done.map(|done| done.value) {
        Ok((_, Some(cookie))) => {
            tracing::info!(remote = %visitor.address, login, "the second step of a log-in was done");
            let mut response = log_in::onwards(&provider, &goal);
            response.headers_mut().append(header::SET_COOKIE, Cookie::Session.set(&cookie, &visitor));
            response
        }
        Ok((Verdict::Closed(pause), None)) => {
            let why = too_many(pause);
            form_page(&provider, &visitor, &headers, &goal, Some(&why)).await
        }
        Ok((Verdict::Wrong, None)) => {
            provider.logins.second_step_failed(&login, visitor.address, Service::Jmap);
            form_page(&provider, &visitor, &headers, &goal, Some(WRONG)).await
        }
        Ok((Verdict::Right | Verdict::Off, None)) => log_in::first(&provider, &goal),
        Err(error) => failed("a second step could not be looked at", &error),
    }
}

/// The session is complete; its new cookie. `None` when it has gone.
fn complete(tx: &mut WriteTx, session: &Session, names: &str, by: &By) -> Result<Option<String>, Error> {
    if sessions::step(tx, session, names, true, by.now)? { Ok(Some(sessions::renew(tx, session)?)) } else { Ok(None) }
}

fn too_many(pause: Duration) -> String {
    format!("That were too many wrong codes. Please try again in {} minutes.", pause.as_secs() / 60 + 1)
}

const WRONG: &str = "This code is not right, or it was used before. Wait for the next one, and look whether the clock of \
                     your device is right.";
/// So long after the password.
const WAITS: Duration = Duration::from_secs(15 * 60);
