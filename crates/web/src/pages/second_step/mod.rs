//! The second step of logging in: a code, behind the password.
//!
//! A session that waits for it opens nothing else, and not for long. The cookie is another one afterwards.
//!
//! Standards: RFC 6238 (in `postroad-identity`), RFC 8176 (`otp`, `mfa`).

pub(super) mod page;

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::Response;
use postroad_identity::second::{self, Verdict};
use postroad_identity::sessions::{self, Session};
use postroad_mail::accounts::Account;
use postroad_mail::{Actor, By, Error, Service};
use postroad_store::{Locks, WriteTx};

use super::{Asked, failed, hidden, log_in, not_ours, page as whole, to};
use crate::oauth::Provider;
use crate::oauth::form::{Form, encode};
use crate::oauth::guard::{self, Cookie};
use crate::oauth::ticket::Goal;
use crate::page::escape;

/// Sends somebody here whose password was right.
pub(super) fn first(provider: &Provider, goal: &Goal) -> Response {
    to(&format!("/login/second-step?ticket={}", encode(&goal.ticket(&provider.sealer, provider.now()))))
}

/// The session that waits for its second step, and whose.
async fn waiting(asked: &Asked) -> Result<Option<(Session, Account)>, Response> {
    let Some(cookie) = asked.cookie(Cookie::Session) else { return Ok(None) };
    let now = asked.provider.now();
    let found = asked.provider.store.read(move |tx| sessions::look(tx, &cookie, now)).await;
    let found = found.map_err(|error| failed("a session could not be looked up", &error))?;
    Ok(found.filter(|(session, _)| !session.complete && now.minus(WAITS) <= session.created))
}

pub(super) async fn shown(asked: Asked) -> Response {
    let (provider, form) = (&asked.provider, asked.parameters());
    let goal = form.get("ticket").and_then(|ticket| Goal::of_ticket(ticket, &provider.sealer, provider.now()));
    let Some(goal) = goal else { return log_in::too_old() };
    match waiting(&asked).await {
        Ok(Some(_)) => form_page(&asked, &goal, None).await,
        Ok(None) => log_in::first(provider, &goal),
        Err(response) => response,
    }
}

async fn form_page(asked: &Asked, goal: &Goal, wrong: Option<&str>) -> Response {
    let provider = &asked.provider;
    let token = guard::form_token(&asked.cookie(Cookie::Session).unwrap_or_default());
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

pub(super) async fn posted(asked: Asked, body: Bytes) -> Response {
    let provider = &asked.provider;
    let Ok(form) = Form::parse(&body) else { return not_ours() };
    if !asked.is_theirs(form.get("token")) {
        return not_ours();
    }
    let goal = form.get("ticket").and_then(|ticket| Goal::of_ticket(ticket, &provider.sealer, provider.now()));
    let Some(goal) = goal else { return log_in::too_old() };
    let (session, account) = match waiting(&asked).await {
        Ok(Some(found)) => found,
        Ok(None) => return log_in::first(provider, &goal),
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
            tracing::info!(remote = %asked.visitor.address, login, "the second step of a log-in was done");
            let mut response = log_in::onwards(provider, &goal);
            response.headers_mut().append(header::SET_COOKIE, Cookie::Session.set(&cookie, &asked.visitor));
            response
        }
        Ok((Verdict::Closed(pause), None)) => {
            let why = too_many(pause);
            form_page(&asked, &goal, Some(&why)).await
        }
        Ok((Verdict::Wrong, None)) => {
            provider.logins.second_step_failed(&login, asked.visitor.address, Service::Jmap);
            form_page(&asked, &goal, Some(WRONG)).await
        }
        Ok((Verdict::Right | Verdict::Off, None)) => log_in::first(provider, &goal),
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
