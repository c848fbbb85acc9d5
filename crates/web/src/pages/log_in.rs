//! Logging in.
//!
//! The steps: the password, verified by `login` with its bans and bounds; then whatever else the account asks for
//! ([`second_step`]), or a passkey in place of both ([`super::passkey`]); then the session is complete, and the ticket says
//! where to. A session that is not complete opens nothing.

use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::Response;
use postroad_identity::sessions::{self, Begun};
use postroad_identity::tokens::Lifetimes;
use postroad_identity::{clients, redirect, second};
use postroad_mail::{Authenticated, Error, Service};
use postroad_sasl::{Answer, Ask, Evidence, Secret};
use postroad_store::{Locks, Timestamp, WriteTx};

use super::passkey::{Asking, Purpose};
use super::{Asked, hidden, not_ours, page_with_passkeys, problem, second_step, to};
use crate::oauth::Provider;
use crate::oauth::form::{Form, encode};
use crate::oauth::guard::{self, Cookie};
use crate::oauth::ticket::Goal;
use crate::page::{alert, escape};

/// Sends somebody to the log-in page, and behind it where they wanted to go.
pub(crate) fn first(provider: &Provider, goal: &Goal) -> Response {
    to(&format!("/login?ticket={}", encode(&goal.ticket(&provider.sealer, provider.now()))))
}

pub(super) async fn shown(asked: Asked) -> Response {
    let provider = &asked.provider;
    let goal = match asked.parameters().get("ticket") {
        None => Goal::Account,
        Some(ticket) => match Goal::of_ticket(ticket, &provider.sealer, provider.now()) {
            Some(goal) => goal,
            None => return too_old(),
        },
    };
    form_page(&asked, &goal, None).await
}

pub(super) fn too_old() -> Response {
    problem(StatusCode::BAD_REQUEST, "This page is too old. Please begin again in your program.")
}

/// The form, with what was wrong the last time.
pub(super) async fn form_page(asked: &Asked, goal: &Goal, wrong: Option<(&str, &str)>) -> Response {
    let provider = &asked.provider;
    let known = asked.cookie(Cookie::Form);
    let Some(seed) = known.clone().or_else(guard::seed) else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "The server has no random numbers. Please try again later.");
    };
    let ticket = goal.ticket(&provider.sealer, provider.now());
    let (name, leads_to, hint) = asker(provider, goal).await;
    let login = wrong.map_or(hint.as_deref().unwrap_or_default(), |(login, _)| login);
    let program =
        name.map(|name| format!("<p>To go on with <b>{}</b>, show this mail server who you are.</p>\n", escape(&name)));
    let token = guard::form_token(&seed);
    let asking = Asking {
        purpose: Purpose::LogIn,
        action: "/login/passkey",
        token: &token,
        known: &[],
        fields: &[("ticket", &ticket)],
        button: "Log in with a passkey",
    };
    let passkey = match asking.form(provider) {
        Ok(form) => form,
        Err(error) => return super::failed("a passkey could not be asked for", &error),
    };
    let focus = if login.is_empty() { ["autofocus", ""] } else { ["", "autofocus"] };
    let body = format!(
        "{}{}<form method=\"post\" action=\"/login\">\n{}\
         <label for=\"login\">Mail address</label>\n\
         <input id=\"login\" name=\"login\" type=\"text\" inputmode=\"email\" autocomplete=\"username\" \
         autocapitalize=\"none\" spellcheck=\"false\" maxlength=\"320\" required value=\"{}\" {}>\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" maxlength=\"1024\" \
         required {}>\n\
         <p class=\"acts\"><button>Log in</button></p>\n</form>\n{}\
         <p><small>This is {}. Check that the address bar says so before you type your password.</small></p>\n",
        alert(wrong.map(|(_, why)| why)),
        program.unwrap_or_default(),
        hidden(&[("ticket", &ticket), ("token", &token)]),
        escape(login),
        focus[0],
        focus[1],
        passkey,
        escape(&provider.settings.issuer),
    );
    let code = if wrong.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
    let mut response = page_with_passkeys(code, "Log in", &body, leads_to.as_deref());
    if known.is_none() {
        response.headers_mut().append(header::SET_COOKIE, Cookie::Form.set(&seed, &asked.visitor));
    }
    response
}

/// Who asks that somebody logs in, where the answer will lead, and whom they mean.
pub(super) async fn asker(provider: &Provider, goal: &Goal) -> (Option<String>, Option<String>, Option<String>) {
    let Goal::Authorize { query, .. } = goal else { return (None, None, None) };
    let Ok(form) = Form::parse(query.as_bytes()) else { return (None, None, None) };
    let id = form.get("client_id").unwrap_or_default().to_owned();
    let client = provider.store.read(move |tx| clients::find(tx, &id)).await.ok().flatten();
    let redirects = form.get("redirect_uri").filter(|uri| client.as_ref().is_some_and(|client| client.answers_at(uri)));
    let hint = form.get("login_hint").filter(|hint| hint.len() <= 320).map(str::to_owned);
    (client.map(|client| client.name), redirects.and_then(redirect::form_action), hint)
}

pub(super) async fn posted(asked: Asked, body: Bytes) -> Response {
    let provider = &asked.provider;
    let Ok(form) = Form::parse(&body) else { return not_ours() };
    if !guard::is_ours(&asked.headers, asked.cookie(Cookie::Form).as_deref(), form.get("token")) {
        return not_ours();
    }
    let Some(goal) = Goal::of_form(&form, provider) else { return too_old() };
    let (login, password) = (form.get("login").unwrap_or_default().trim(), form.get("password").unwrap_or_default());
    let ask = Ask {
        mechanism: "form",
        authzid: None,
        authcid: login.to_owned(),
        evidence: Evidence::Password(Secret::new(password.to_owned())),
    };
    let who = match provider.logins.first_step(ask, asked.visitor.address, Service::Jmap).await {
        Answer::Granted { who, .. } => who,
        Answer::Unavailable => {
            let why = "Passwords cannot be verified right now. Please try again in a minute.";
            return form_page(&asked, &goal, Some((login, why))).await;
        }
        // The same words for all reasons: what an account is, is nobody's business.
        Answer::Refused { .. } | Answer::Scram(_) | Answer::Challenge(_) | Answer::Gss(_) => {
            let why = "Address and password do not fit together.";
            return form_page(&asked, &goal, Some((login, why))).await;
        }
    };
    // An app password is for a program; whoever finds one must not be able to make others.
    if who.app().is_some() {
        let why = "This is the password of a program. Here your own is needed.";
        return form_page(&asked, &goal, Some((login, why))).await;
    }
    begin(&asked, &who, &goal).await
}

async fn begin(asked: &Asked, who: &Authenticated, goal: &Goal) -> Response {
    let provider = &asked.provider;
    let account = who.account();
    let more_is_due = match provider.store.read(move |tx| second::is_on(tx, account)).await {
        Ok(is_on) => is_on,
        Err(error) => return super::failed("a second step could not be looked up", &error),
    };
    let begun = Begun {
        account: who.account(),
        credential: who.credential(),
        steps: "pwd".to_owned(),
        complete: !more_is_due,
        network: guard::network(asked.visitor.address),
        agent: asked.agent().to_owned(),
    };
    let (lifetimes, now) = (provider.settings.lifetimes, provider.now());
    let locks = Locks::account(begun.account);
    let old = asked.cookie(Cookie::Session);
    let written = provider.store.write(locks, move |tx| anew(tx, old.as_deref(), &begun, &lifetimes, now)).await;
    let cookie = match written {
        Ok(written) => written.value,
        Err(error) => return super::failed("a session could not begin", &error),
    };
    let response = if more_is_due {
        second_step::first(provider, goal)
    } else {
        metrics::counter!("postroad_pages_logins_total", "by" => "password").increment(1);
        onwards(provider, goal)
    };
    asked.with_session(&cookie, response)
}

/// A new session for each log-in, so that nobody prepares one for somebody else (RFC 9700 and everybody); the one that the
/// browser had ends. Its cookie.
pub(super) fn anew(
    tx: &mut WriteTx,
    old: Option<&str>,
    begun: &Begun,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<String, Error> {
    if let Some(old) = old
        && let Some((old, _)) = sessions::look(tx, old, now)?
        && old.account == begun.account
    {
        sessions::remove(tx, old.account, old.id, now)?;
    }
    sessions::begin(tx, begun, lifetimes, now)
}

/// Where somebody goes once they are logged in.
pub(crate) fn onwards(provider: &Provider, goal: &Goal) -> Response {
    match goal {
        Goal::Account => to("/account"),
        Goal::SecondStep => to("/account/second-step"),
        Goal::AppPassword => to("/account/app-password"),
        Goal::Passkey => to("/account/passkey"),
        Goal::Device { code } => to(&format!("/device?user_code={}", encode(code))),
        Goal::Authorize { .. } => {
            to(&format!("/oauth/continue?ticket={}", encode(&goal.ticket(&provider.sealer, provider.now()))))
        }
    }
}
