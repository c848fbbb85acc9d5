//! The second step of logging in: a code or a passkey, behind the password.
//!
//! A session that waits for it opens nothing else, and not for long. The cookie is another one afterwards.
//!
//! Standards: RFC 6238 and WebAuthn level 2 (in `postroad-identity`), RFC 8176 (`otp`, `hwk`, `swk`, `mfa`).

pub(super) mod page;

use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use postroad_identity::passkeys::{self, Answer, NotShown, Question};
use postroad_identity::second::{self, Verdict};
use postroad_identity::sessions::{self, Session};
use postroad_mail::accounts::Account;
use postroad_mail::{Actor, By, Error, Service};
use postroad_store::seal::Sealer;
use postroad_store::{AccountId, Locks, WriteTx};

use super::passkey::{self, Asking, Purpose, REFUSED};
use super::{Asked, failed, hidden, log_in, not_ours, page_with_passkeys, to};
use crate::oauth::Provider;
use crate::oauth::form::{Form, encode};
use crate::oauth::guard::{self, Cookie};
use crate::oauth::ticket::Goal;
use crate::page::alert;

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
    let Some(goal) = Goal::of_form(&form, provider) else { return log_in::too_old() };
    match waiting(&asked).await {
        Ok(Some((_, account))) => form_page(&asked, account.id, &goal, None).await,
        Ok(None) => log_in::first(provider, &goal),
        Err(response) => response,
    }
}

/// What the page needs to know of an account.
struct Ways {
    /// Passkeys, as base64url.
    passkeys: Vec<String>,
    /// Whether an authenticator shows codes.
    codes: bool,
}

async fn ways(provider: &Provider, account: AccountId) -> Result<Ways, Error> {
    let found =
        provider.store.read(move |tx| Ok::<_, Error>((passkeys::list(tx, account)?, second::find(tx, account)?)));
    let (passkeys, known) = found.await?;
    let passkeys = passkeys.into_iter().map(|passkey| passkey.credential).collect();
    Ok(Ways { passkeys, codes: known.is_none_or(|known| known.codes) })
}

async fn form_page(asked: &Asked, account: AccountId, goal: &Goal, wrong: Option<&str>) -> Response {
    let provider = &asked.provider;
    let token = guard::form_token(&asked.cookie(Cookie::Session).unwrap_or_default());
    let ticket = goal.ticket(&provider.sealer, provider.now());
    let (_, leads_to, _) = log_in::asker(provider, goal).await;
    let asking = ways(provider, account).await.and_then(|ways| {
        let asking = Asking {
            purpose: Purpose::SecondStep,
            action: "/login/second-step",
            token: &token,
            known: &ways.passkeys,
            fields: &[("ticket", &ticket)],
            button: "Use a passkey",
        };
        // Without a name of one the browser would ask for any.
        Ok((if ways.passkeys.is_empty() { String::new() } else { asking.form(provider)? }, ways.codes))
    });
    let (passkey, codes) = match asking {
        Ok(asking) => asking,
        Err(error) => return failed("a second step could not be asked for", &error),
    };
    let body = format!(
        "{}<form method=\"post\" action=\"/login/second-step\">\n{}\
         <label for=\"code\">{}</label>\n\
         <input id=\"code\" name=\"code\" type=\"text\" autocomplete=\"one-time-code\" autocapitalize=\"none\" \
         spellcheck=\"false\" maxlength=\"40\" required autofocus>\n\
         <p class=\"acts\"><button>Go on</button></p>\n</form>\n{passkey}\
         <p><small>Who has lost all of them asks the administrator of this server.</small></p>\n",
        alert(wrong),
        hidden(&[("ticket", &ticket), ("token", &token)]),
        if codes {
            "The code that your authenticator shows, or one of your recovery codes"
        } else {
            "One of your recovery codes, if you have no passkey here"
        },
    );
    let code = if wrong.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
    page_with_passkeys(code, "The second step", &body, leads_to.as_deref())
}

/// What somebody shows for the second step.
enum Proof {
    /// What they typed.
    Code(String),
    /// What a passkey has answered.
    Passkey(Question, Answer),
}

/// What came of it.
enum Proved {
    /// It is right; the names of what was shown (RFC 8176).
    Right(&'static str),
    /// It is not.
    Wrong,
    /// A passkey that is not.
    Refused(NotShown),
    /// It was not looked at.
    Closed(Duration),
    /// There is no second step.
    Off,
}

impl Proof {
    /// Of a form; `None` when a passkey answers no question of ours.
    fn of(provider: &Provider, purpose: Purpose, form: &Form) -> Option<Proof> {
        if form.get("credential").is_none() {
            return Some(Proof::Code(form.get("code").unwrap_or_default().to_owned()));
        }
        passkey::shown(provider, purpose, form).map(|(question, answer)| Proof::Passkey(question, answer))
    }

    /// Locks: the account's. To be committed, whatever it is.
    fn look(&self, tx: &mut WriteTx, by: &By, sealer: &Sealer, account: AccountId) -> Result<Proved, Error> {
        match self {
            Proof::Code(typed) => Ok(match second::verify(tx, by, sealer, account, typed)? {
                Verdict::Right => Proved::Right("otp"),
                Verdict::Wrong => Proved::Wrong,
                Verdict::Closed(pause) => Proved::Closed(pause),
                Verdict::Off => Proved::Off,
            }),
            Proof::Passkey(..) if !second::is_on(tx, account)? => Ok(Proved::Off),
            Proof::Passkey(question, answer) => Ok(match passkeys::verify(tx, account, question, answer, by.now)? {
                Ok(shown) => Proved::Right(shown.steps()),
                Err(why) => Proved::Refused(why),
            }),
        }
    }
}

pub(super) async fn posted(asked: Asked, body: Bytes) -> Response {
    let provider = &asked.provider;
    let Ok(form) = Form::parse(&body) else { return not_ours() };
    if !asked.is_theirs(form.get("token")) {
        return not_ours();
    }
    let Some(goal) = Goal::of_form(&form, provider) else { return log_in::too_old() };
    let (session, account) = match waiting(&asked).await {
        Ok(Some(found)) => found,
        Ok(None) => return log_in::first(provider, &goal),
        Err(response) => return response,
    };
    let (login, id) = (account.address.to_string(), account.id);
    let Some(proof) = Proof::of(provider, Purpose::SecondStep, &form) else {
        return form_page(&asked, id, &goal, Some(REFUSED)).await;
    };
    let by = By::new(provider.now(), Actor::Login { login: login.clone(), service: Service::Jmap, app: None });
    let sealer = provider.sealer.clone();
    let done = provider
        .store
        .write(Locks::account(id), move |tx| {
            let proved = proof.look(tx, &by, &sealer, id)?;
            let cookie = match proved {
                Proved::Right(names) => complete(tx, &session, &format!("{names} mfa"), &by)?,
                // The administrator has just taken it away.
                Proved::Off => complete(tx, &session, "", &by)?,
                Proved::Wrong | Proved::Refused(_) | Proved::Closed(_) => None,
            };
            Ok::<_, Error>((proved, cookie))
        })
        .await;
    match done.map(|done| done.value) {
        Ok((_, Some(cookie))) => {
            tracing::info!(remote = %asked.visitor.address, login, "the second step of a log-in was done");
            metrics::counter!("postroad_pages_logins_total", "by" => "second-step").increment(1);
            asked.with_session(&cookie, log_in::onwards(provider, &goal))
        }
        Ok((Proved::Right(_) | Proved::Off, None)) => log_in::first(provider, &goal),
        Ok((proved, None)) => {
            let why = said(&asked, &login, &proved);
            form_page(&asked, id, &goal, Some(&why)).await
        }
        Err(error) => failed("a second step could not be looked at", &error),
    }
}

/// Why it was not right, in words; what was wrong counts as a wrong password does.
fn said(asked: &Asked, login: &str, proved: &Proved) -> String {
    match proved {
        Proved::Closed(pause) => {
            format!("Those were too many wrong codes. Please try again in {} minutes.", pause.as_secs() / 60 + 1)
        }
        Proved::Refused(why) => {
            passkey::refused(&asked.visitor, login, *why);
            asked.provider.logins.second_step_failed(login, asked.visitor.address, Service::Jmap);
            REFUSED.to_owned()
        }
        Proved::Wrong | Proved::Right(_) | Proved::Off => {
            asked.provider.logins.second_step_failed(login, asked.visitor.address, Service::Jmap);
            WRONG.to_owned()
        }
    }
}

/// The session is complete; its new cookie. `None` when it has gone.
fn complete(tx: &mut WriteTx, session: &Session, names: &str, by: &By) -> Result<Option<String>, Error> {
    if sessions::step(tx, session, names, true, by.now)? { Ok(Some(sessions::renew(tx, session)?)) } else { Ok(None) }
}

const WRONG: &str = "This code is not right, or it was used before. Wait for the next one, and look whether the clock of \
                     your device is right.";
/// So long after the password.
const WAITS: Duration = Duration::from_secs(15 * 60);
