//! Turning the second step on and off.
//!
//! What the authenticator shares with us travels sealed in the form until its first code shows that it has it: nothing is
//! stored for a set-up that nobody finishes.
//!
//! Standards: RFC 6238; the `otpauth` addresses that authenticators read.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postroad_identity::second::{self, SecondStep};
use postroad_identity::sessions;
use postroad_identity::totp::Shared;
use postroad_mail::{By, Error};
use postroad_store::{Locks, WriteTx};

use super::super::passkey::{Asking, Purpose};
use super::super::{
    Asked, Viewer, by, failed, hidden, is_fresh, log_in, moment, not_ours, page, page_with_passkeys, to,
};
use super::{Proof, Proved, WRONG, Ways, said, ways};
use crate::oauth::Provider;
use crate::oauth::form::encode;
use crate::oauth::ticket::Goal;
use crate::page::{alert, escape};
use crate::qr::svg;

pub(in super::super) async fn shown(asked: Asked) -> Response {
    let provider = &asked.provider;
    let Some(viewer) = asked.viewer().await else { return log_in::first(provider, &Goal::SecondStep) };
    let account = viewer.account.id;
    match provider.store.read(move |tx| second::find(tx, account)).await {
        Ok(Some(known)) => on_page(provider, &viewer, &known, None).await,
        Ok(None) if !is_fresh(&viewer, provider) => log_in::first(provider, &Goal::SecondStep),
        Ok(None) => match Shared::fresh() {
            Ok(shared) => set_up(provider, &viewer, &shared, None).await,
            Err(error) => failed("a second step could not be begun", &error),
        },
        Err(error) => failed("a second step could not be looked up", &error),
    }
}

/// The page of an account that has one.
async fn on_page(provider: &Provider, viewer: &Viewer, known: &SecondStep, wrong: Option<&str>) -> Response {
    let body = match ways(provider, viewer.account.id).await.and_then(|ways| on(provider, viewer, known, &ways, wrong))
    {
        Ok(body) => body,
        Err(error) => return failed("a second step could not be shown", &error),
    };
    let code = if wrong.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
    page_with_passkeys(code, TITLE, &body, None)
}

fn on(
    provider: &Provider,
    viewer: &Viewer,
    known: &SecondStep,
    ways: &Ways,
    wrong: Option<&str>,
) -> Result<String, Error> {
    let programs = if known.programs {
        "Mail programs may go on with the account's password: the administrator has said so."
    } else {
        "Mail programs need <a href=\"/account/app-password\">app passwords</a>, or they let you log in here by themselves."
    };
    let by = match (known.codes, ways.passkeys.is_empty()) {
        (true, _) => "",
        (false, false) => " It stands on your passkeys: keep your recovery codes.",
        (false, true) => {
            " It stood on passkeys, and you have none any more: make one, or turn it off with a recovery code before they are \
             used up."
        }
    };
    let code = if known.codes { "A code of your authenticator, or a recovery code" } else { "A recovery code" };
    let passkey = |action: &str, button: &str| {
        let action = format!("/account/second-step/{action}");
        let (purpose, token) = (Purpose::Change, viewer.token.as_str());
        let asking = Asking { purpose, action: &action, token, known: &ways.passkeys, fields: &[], button };
        if ways.passkeys.is_empty() { Ok(String::new()) } else { asking.form(provider) }
    };
    let form = |action: &str, id: &str, button: &str| {
        format!(
            "<form method=\"post\" action=\"/account/second-step/{action}\">\n{}\
             <label for=\"{id}\">{code}</label>\n\
             <input id=\"{id}\" name=\"code\" type=\"text\" autocomplete=\"one-time-code\" autocapitalize=\"none\" \
             spellcheck=\"false\" maxlength=\"40\" required>\n<p class=\"acts\"><button class=\"quiet\">{button}</button></p>\n\
             </form>\n",
            hidden(&[("token", &viewer.token)])
        )
    };
    Ok(format!(
        "{}<p>It is on since {}. You have <b>{}</b> recovery codes left.{by} {programs}</p>\n<h2>New recovery codes</h2>\n{}{}\
         <h2>Turn it off</h2>\n<p>Also when you change to another authenticator: turn it off, then on again.</p>\n{}{}\
         <p><a href=\"/account\">To your account</a></p>\n",
        alert(wrong),
        moment(known.created),
        known.recovery_left,
        form("codes", "renew", "Make new recovery codes"),
        passkey("codes", "Make new ones, with a passkey")?,
        form("off", "off", "Turn the second step off"),
        passkey("off", "Turn it off, with a passkey")?,
    ))
}

async fn set_up(provider: &Provider, viewer: &Viewer, shared: &Shared, wrong: Option<&str>) -> Response {
    let ways = match ways(provider, viewer.account.id).await {
        Ok(ways) => ways,
        Err(error) => return failed("a second step could not be shown", &error),
    };
    let address = viewer.account.address.to_string();
    let host = provider.settings.issuer.split("://").last().unwrap_or_default();
    let typed = shared.typed();
    let place = format!(
        "otpauth://totp/{}:{}?secret={typed}&issuer={}&algorithm=SHA1&digits=6&period=30",
        encode(host),
        encode(&address),
        encode(host)
    );
    let groups: Vec<&str> = typed.as_bytes().chunks(4).filter_map(|four| std::str::from_utf8(four).ok()).collect();
    let sealed = URL_SAFE_NO_PAD.encode(provider.sealer.seal(&purpose(viewer), shared.octets()));
    let body = format!(
        "{}<p>With a second step nobody opens your account by your password alone. You need an authenticator: a program, \
         mostly on your phone, that shows a new code every half minute.</p>\n\
         <p class=\"wrong\">Mail programs do not know such codes. Once this is on, your password opens no mail program any \
         more, also not those that are set up already: give each an \
         <a href=\"/account/app-password\">app password</a> of its own.</p>\n\
         <h2>1. Show your authenticator this</h2>\n{}\n\
         <p>Or type the key: <span class=\"code\">{}</span></p>\n\
         <h2>2. Type what it shows</h2>\n<form method=\"post\" action=\"/account/second-step\">\n{}\
         <label for=\"code\">The code, six digits</label>\n\
         <input id=\"code\" name=\"code\" type=\"text\" inputmode=\"numeric\" autocomplete=\"one-time-code\" \
         maxlength=\"12\" required>\n\
         <p class=\"acts\"><button>Turn the second step on</button></p>\n</form>\n{}\
         <p><a href=\"/account\">Not now</a></p>\n",
        alert(wrong),
        svg(&place, "QR code for your authenticator").unwrap_or_default(),
        groups.join(" "),
        hidden(&[("token", &viewer.token), ("sealed", &sealed)]),
        by_passkeys(viewer, &ways),
    );
    let code = if wrong.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
    page(code, TITLE, &body, None)
}

/// The way without an authenticator, for who has a passkey.
fn by_passkeys(viewer: &Viewer, ways: &Ways) -> String {
    if ways.passkeys.is_empty() {
        return String::new();
    }
    format!(
        "<h2>Or use your passkeys</h2>\n<p>Behind the password a passkey of yours is asked for then, and where you have none \
         with you, a recovery code.</p>\n<form method=\"post\" action=\"/account/second-step/passkeys\">\n{}\
         <p class=\"acts\"><button class=\"quiet\">Turn it on with passkeys</button></p>\n</form>\n",
        hidden(&[("token", &viewer.token)])
    )
}

/// For this session alone.
fn purpose(viewer: &Viewer) -> String {
    format!("pages:second-step:{}", viewer.session.id)
}

pub(in super::super) async fn turned_on(asked: Asked, body: Bytes) -> Response {
    let provider = &asked.provider;
    let (viewer, form) = match asked.fresh_form(&body, &Goal::SecondStep).await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let sealed = form.get("sealed").and_then(|sealed| URL_SAFE_NO_PAD.decode(sealed).ok()).unwrap_or_default();
    let shared = provider.sealer.unseal(&purpose(&viewer), &sealed).ok().and_then(|octets| Shared::of(&octets));
    let Some(shared) = shared else { return not_ours() };
    let (account, session, by) = (viewer.account.id, viewer.session.clone(), by(&viewer, provider));
    let (sealer, theirs, typed) =
        (provider.sealer.clone(), shared.clone(), form.get("code").unwrap_or_default().to_owned());
    let done = provider
        .store
        .write(Locks::account(account), move |tx| {
            let codes = second::turn_on(tx, &by, &sealer, (account, session.id), &theirs, &typed)?;
            Ok::<_, Error>(match codes {
                Some(codes) => {
                    sessions::step(tx, &session, "otp mfa", true, by.now)?;
                    Some((codes, sessions::renew(tx, &session)?))
                }
                None => None,
            })
        })
        .await;
    match done.map(|done| done.value) {
        Ok(Some((codes, cookie))) => begun(&asked, &viewer, &codes, &cookie),
        Ok(None) => set_up(provider, &viewer, &shared, Some(WRONG)).await,
        // By another page of theirs, a moment ago.
        Err(Error::Exists(_)) => to("/account/second-step"),
        Err(error) => failed("a second step could not be turned on", &error),
    }
}

/// It is on, and the cookie is another one.
fn begun(asked: &Asked, viewer: &Viewer, codes: &[String], cookie: &str) -> Response {
    tracing::info!(remote = %asked.visitor.address, account = %viewer.account.id, "a second step was turned on");
    asked.with_session(cookie, codes_page("The second step is on", codes))
}

pub(in super::super) async fn turned_on_by_passkeys(asked: Asked, body: Bytes) -> Response {
    let provider = &asked.provider;
    let (viewer, _) = match asked.fresh_form(&body, &Goal::SecondStep).await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let (account, session, by) = (viewer.account.id, viewer.session.clone(), by(&viewer, provider));
    let done = provider
        .store
        .write(Locks::account(account), move |tx| {
            Ok::<_, Error>(match second::turn_on_by_passkeys(tx, &by, (account, session.id))? {
                Some(codes) => Some((codes, sessions::renew(tx, &session)?)),
                None => None,
            })
        })
        .await;
    match done.map(|done| done.value) {
        Ok(Some((codes, cookie))) => begun(&asked, &viewer, &codes, &cookie),
        // The last passkey went, or it is on, by another page of theirs a moment ago.
        Ok(None) | Err(Error::Exists(_)) => to("/account/second-step"),
        Err(error) => failed("a second step could not be turned on", &error),
    }
}

/// They are shown here and never again.
fn codes_page(title: &str, codes: &[String]) -> Response {
    let list: Vec<String> = codes.iter().map(|code| format!("<li class=\"code\">{}</li>\n", escape(code))).collect();
    let body = format!(
        "<p>These are your recovery codes. Each opens the second step once, when you do not have your authenticator. \
         Write them down or print them now: they are never shown again.</p>\n<ol>\n{}</ol>\n\
         <p><a href=\"/account\">To your account</a></p>\n",
        list.concat()
    );
    page(StatusCode::OK, title, &body, None)
}

pub(in super::super) async fn renewed(asked: Asked, body: Bytes) -> Response {
    let change = |tx: &mut WriteTx, by: &By, viewer: &Viewer| second::renew_codes(tx, by, viewer.account.id);
    match with_code(&asked, &body, change).await {
        Ok(codes) => codes_page("New recovery codes", &codes),
        Err(response) => response,
    }
}

pub(in super::super) async fn turned_off(asked: Asked, body: Bytes) -> Response {
    let change = |tx: &mut WriteTx, by: &By, viewer: &Viewer| second::turn_off(tx, by, viewer.account.id);
    match with_code(&asked, &body, change).await {
        Ok(_) => {
            tracing::info!(remote = %asked.visitor.address, "a second step was turned off");
            to("/account/second-step")
        }
        Err(response) => response,
    }
}

/// What changes only with another code, in the same transaction.
async fn with_code<R: Send + 'static>(
    asked: &Asked,
    body: &[u8],
    change: impl FnOnce(&mut WriteTx, &By, &Viewer) -> Result<R, Error> + Send + 'static,
) -> Result<R, Response> {
    let provider = &asked.provider;
    let (viewer, form) = asked.form(body, &Goal::SecondStep).await?;
    let Some(proof) = Proof::of(provider, Purpose::Change, &form) else { return Err(not_ours()) };
    let (account, login, by) = (viewer.account.id, viewer.account.address.to_string(), by(&viewer, provider));
    let sealer = provider.sealer.clone();
    let done = provider
        .store
        .write(Locks::account(account), move |tx| {
            let proved = proof.look(tx, &by, &sealer, account)?;
            Ok::<_, Error>(match proved {
                Proved::Right(_) => (proved, Some(change(tx, &by, &viewer)?), viewer, None),
                Proved::Wrong | Proved::Refused(_) | Proved::Closed(_) | Proved::Off => {
                    let known = second::find(tx, account)?;
                    (proved, None, viewer, known)
                }
            })
        })
        .await;
    let (proved, changed, viewer, known) = match done {
        Ok(done) => done.value,
        Err(error) => return Err(failed("a second step could not be changed", &error)),
    };
    if let Some(changed) = changed {
        return Ok(changed);
    }
    let Some(known) = known else { return Err(to("/account/second-step")) };
    let why = said(asked, &login, &proved);
    Err(on_page(provider, &viewer, &known, Some(&why)).await)
}

const TITLE: &str = "Second step of logging in";
