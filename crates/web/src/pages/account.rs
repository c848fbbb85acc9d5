//! What somebody is logged in with, and cutting it off: sessions of the pages, programs, app passwords, passkeys.

use std::fmt::Write;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use postroad_identity::held::{Held, held, take_away};
use postroad_identity::sessions;
use postroad_store::Locks;

use super::{Asked, Viewer, by, failed, hidden, log_in, moment, not_ours, page, to};
use crate::oauth::form::Form;
use crate::oauth::ticket::Goal;
use crate::page::escape;

pub(super) async fn shown(asked: Asked) -> Response {
    let provider = &asked.provider;
    let Some(viewer) = asked.viewer().await else { return log_in::first(provider, &Goal::Account) };
    let (account, now) = (viewer.account.id, provider.now());
    match provider.store.read(move |tx| held(tx, account, now)).await {
        Ok(held) => page(StatusCode::OK, "Sessions and devices", &listed(&viewer, &held), None),
        Err(error) => failed("sessions could not be listed", &error),
    }
}

/// All that opens an account but its password.
fn listed(viewer: &Viewer, held: &Held) -> String {
    let mut out = format!(
        "<p>You are logged in as <b>{}</b>.</p>\n<form method=\"post\" action=\"/logout\">\n{}\
         <button class=\"quiet\">Log out</button>\n</form>\n\
         <p><a href=\"/account/second-step\">Second step of logging in</a></p>\n<h2>Browsers</h2>\n<ul class=\"cards\">\n",
        escape(&viewer.account.address.to_string()),
        hidden(&[("token", &viewer.token)]),
    );
    for session in &held.sessions {
        let own = match (session.id == viewer.session.id, session.complete) {
            (true, _) => " <b>(this one)</b>",
            // Their password is known there.
            (false, false) => " <b>(did not get past the second step)</b>",
            (false, true) => "",
        };
        let agent = if session.agent.is_empty() { "A browser" } else { session.agent.as_str() };
        let facts = format!(
            "since {}, last used {}, from {}",
            moment(session.created),
            moment(session.last_used),
            session.network
        );
        card(&mut out, viewer, session.id, &format!("{}{own}", escape(agent)), &facts);
    }
    out += "</ul>\n<h2>Programs</h2>\n";
    if held.grants.is_empty() {
        out += "<p>You have allowed no program anything.</p>\n";
    }
    out += "<ul class=\"cards\">\n";
    for grant in &held.grants {
        let used = grant.last_used.map_or("never used".to_owned(), |at| {
            let service = grant.last_service.as_ref().map(|service| format!(" for {service}")).unwrap_or_default();
            format!("last used {}{service}", moment(at))
        });
        let network = grant.network.as_ref().map(|network| format!(", from {network}")).unwrap_or_default();
        let facts = format!("{}; since {}, {used}{network}", grant.scopes, moment(grant.created));
        card(&mut out, viewer, grant.id, &escape(&grant.name), &facts);
    }
    out += "</ul>\n<h2>App passwords</h2>\n<p><a href=\"/account/app-password\">Make one</a></p>\n";
    if held.passwords.is_empty() {
        out += "<p>There are none.</p>\n";
    }
    out += "<ul class=\"cards\">\n";
    for password in &held.passwords {
        let used = password.last_used.map_or("never used".to_owned(), |at| format!("last used {}", moment(at)));
        let scopes: Vec<&str> = password.scopes.iter().map(|service| service.name()).collect();
        let ends = password.expires.map(|at| format!(", ends {}", moment(at))).unwrap_or_default();
        let facts = format!("{}; since {}, {used}{ends}", scopes.join(" "), moment(password.created));
        card(&mut out, viewer, password.id, &escape(password.name.as_deref().unwrap_or_default()), &facts);
    }
    out += "</ul>\n<h2>Passkeys</h2>\n<p><a href=\"/account/passkey\">Make one</a></p>\n";
    if held.passkeys.is_empty() {
        out += "<p>There are none.</p>\n";
    }
    out += "<ul class=\"cards\">\n";
    for passkey in &held.passkeys {
        let used = passkey.last_used.map_or("never used".to_owned(), |at| format!("last used {}", moment(at)));
        let copied = if passkey.copied { "; may be on several devices" } else { "" };
        let facts = format!("since {}, {used}{copied}", moment(passkey.created));
        card(&mut out, viewer, passkey.id, &escape(&passkey.name), &facts);
    }
    out + "</ul>\n"
}

/// `title` is HTML already.
fn card(out: &mut String, viewer: &Viewer, id: i64, title: &str, facts: &str) {
    let fields = hidden(&[("token", &viewer.token), ("id", &id.to_string())]);
    let _ = write!(
        out,
        "<li>{title}<small>{}</small>\n<form method=\"post\" action=\"/account/cut-off\">\n{fields}\
         <button class=\"quiet\">Cut off<span hidden> {title}</span></button>\n</form></li>\n",
        escape(facts),
    );
}

pub(super) async fn cut_off(asked: Asked, body: Bytes) -> Response {
    let (viewer, form) = match asked.form(&body, &Goal::Account).await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let Some(id) = form.get("id").and_then(|id| id.parse::<i64>().ok()) else { return not_ours() };
    let account = viewer.account.id;
    let by = by(&viewer, &asked.provider);
    // What is gone already is cut off, too.
    match asked.provider.store.write(Locks::account(account), move |tx| take_away(tx, &by, account, id)).await {
        Ok(_) => {
            tracing::info!(remote = %asked.visitor.address, %account, id, "cut off");
            to("/account")
        }
        Err(error) => failed("something could not be cut off", &error),
    }
}

pub(super) async fn logged_out(asked: Asked, body: Bytes) -> Response {
    let form = Form::parse(&body).unwrap_or_default();
    if !asked.is_theirs(form.get("token")) {
        return not_ours();
    }
    if let Some(viewer) = asked.viewer().await {
        let provider = &asked.provider;
        let (account, id, now) = (viewer.account.id, viewer.session.id, provider.now());
        let ended =
            provider.store.write(Locks::account(account), move |tx| sessions::remove(tx, account, id, now)).await;
        if let Err(error) = ended {
            return failed("a session could not be ended", &error);
        }
    }
    let again = "<p><a href=\"/login\">Log in again</a></p>\n";
    asked.with_session("", page(StatusCode::OK, "Logged out", again, None))
}
