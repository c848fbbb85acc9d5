//! Logging in by a passkey alone.
//!
//! Standards: WebAuthn level 2 §7.2 (with discoverable credentials: the passkey says whose it is), RFC 8176.

use axum::body::Bytes;
use axum::response::Response;
use postroad_identity::passkeys::{self, Answer, NotShown, Question};
use postroad_identity::sessions::Begun;
use postroad_mail::{Error, Service, accounts};
use postroad_store::Locks;

use super::super::{Asked, failed, log_in, not_ours};
use super::{Purpose, REFUSED, refused, shown};
use crate::oauth::form::Form;
use crate::oauth::guard::{self, Cookie};
use crate::oauth::ticket::Goal;

pub(in super::super) async fn posted(asked: Asked, body: Bytes) -> Response {
    let provider = &asked.provider;
    let Ok(form) = Form::parse(&body) else { return not_ours() };
    if !guard::is_ours(&asked.headers, asked.cookie(Cookie::Form).as_deref(), form.get("token")) {
        return not_ours();
    }
    let Some(goal) = Goal::of_form(&form, provider) else { return log_in::too_old() };
    let Some((question, answer)) = shown(provider, Purpose::LogIn, &form) else {
        return log_in::form_page(&asked, &goal, Some(("", REFUSED))).await;
    };
    match begin(&asked, question, answer).await {
        Ok(Ok((login, cookie))) => {
            provider.logins.passkey_shown(&login, asked.visitor.address, Service::Jmap);
            metrics::counter!("postroad_pages_logins_total", "by" => "passkey").increment(1);
            asked.with_session(&cookie, log_in::onwards(provider, &goal))
        }
        Ok(Err((login, why))) => {
            refused(&asked.visitor, &login, why);
            provider.logins.passkey_failed(&login, asked.visitor.address, Service::Jmap);
            log_in::form_page(&asked, &goal, Some(("", REFUSED))).await
        }
        Err(error) => failed("a passkey could not be looked at", &error),
    }
}

/// Whose it was and the new session's cookie, or whose it says to be and why it opens nothing.
type Outcome = Result<(String, String), (String, NotShown)>;

async fn begin(asked: &Asked, question: Question, answer: Answer) -> Result<Outcome, Error> {
    let provider = &asked.provider;
    let credential = answer.credential.clone();
    let found = provider.store.read(move |tx| {
        Ok::<_, Error>(match passkeys::holder(tx, &credential)? {
            Some(account) => accounts::by_id(tx, account)?,
            None => None,
        })
    });
    let Some(account) = found.await? else { return Ok(Err((String::new(), NotShown::Unknown))) };
    let (login, account) = (account.address.to_string(), account.id);
    let (lifetimes, now) = (provider.settings.lifetimes, provider.now());
    let (old, agent) = (asked.cookie(Cookie::Session), asked.agent().to_owned());
    let network = guard::network(asked.visitor.address);
    let done = provider.store.write(Locks::account(account), move |tx| {
        let shown = match passkeys::verify(tx, account, &question, &answer, now)? {
            Ok(shown) => shown,
            Err(why) => return Ok(Err(why)),
        };
        // The key and what the authenticator verified are two factors.
        let steps = format!("{} mfa", shown.steps());
        let begun = Begun { account, credential: shown.id, steps, complete: true, network, agent };
        log_in::anew(tx, old.as_deref(), &begun, &lifetimes, now).map(Ok)
    });
    Ok(match done.await?.value {
        Ok(cookie) => Ok((login, cookie)),
        Err(why) => Err((login, why)),
    })
}
