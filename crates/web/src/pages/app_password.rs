//! Making a password for one program. It is shown once.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use postroad_mail::credentials::{self, NewAppPassword};
use postroad_mail::password::AppPassword;
use postroad_mail::{Bound, Error, Service};
use postroad_store::Locks;

use super::{Asked, Viewer, by, failed, hidden, log_in, not_ours, page};
use crate::oauth::Provider;
use crate::oauth::ticket::Goal;
use crate::page::{alert, escape};

/// What it may be for: the name in the form, in words, and what that is.
const USES: [(&str, &str, &[Service]); 4] = [
    ("mail", "Reading and sending mail", &[Service::Imap, Service::Pop3, Service::Smtp, Service::Sieve, Service::Jmap]),
    ("read", "Reading mail only (IMAP)", &[Service::Imap]),
    ("fetch", "Fetching mail only (POP3)", &[Service::Pop3]),
    ("send", "Sending mail only (SMTP), such as a printer does", &[Service::Smtp]),
];

/// How long it may be good.
const TERMS: [(&str, &str, Option<u64>); 4] = [
    ("always", "Until I take it away", None),
    ("30", "30 days", Some(30)),
    ("90", "90 days", Some(90)),
    ("365", "A year", Some(365)),
];

pub(super) async fn shown(asked: Asked) -> Response {
    match asked.fresh_viewer().await {
        Some(viewer) => form_page(&viewer, "", None),
        None => log_in::first(&asked.provider, &Goal::AppPassword),
    }
}

fn form_page(viewer: &Viewer, name: &str, wrong: Option<&str>) -> Response {
    let options = |pairs: &[(&str, &str)]| -> String {
        pairs.iter().map(|(value, words)| format!("<option value=\"{value}\">{words}</option>\n")).collect()
    };
    let uses: Vec<(&str, &str)> = USES.iter().map(|(value, words, _)| (*value, *words)).collect();
    let terms: Vec<(&str, &str)> = TERMS.iter().map(|(value, words, _)| (*value, *words)).collect();
    let body = format!(
        "{}<p>A program that can only ask for a name and a password gets one of its own: it opens nothing else, and you can \
         take it away without changing any other.</p>\n<form method=\"post\" action=\"/account/app-password\">\n{}\
         <label for=\"name\">For which program, on which device</label>\n\
         <input id=\"name\" name=\"name\" type=\"text\" autocomplete=\"off\" maxlength=\"100\" required autofocus \
         value=\"{}\">\n<label for=\"use\">For what</label>\n<select id=\"use\" name=\"use\">\n{}</select>\n\
         <label for=\"term\">How long</label>\n<select id=\"term\" name=\"term\">\n{}</select>\n\
         <p class=\"acts\"><button>Make the password</button></p>\n</form>\n\
         <p><a href=\"/account\">To your account</a></p>\n",
        alert(wrong),
        hidden(&[("token", &viewer.token)]),
        escape(name),
        options(&uses),
        options(&terms),
    );
    let code = if wrong.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    page(code, TITLE, &body, None)
}

pub(super) async fn made(asked: Asked, body: Bytes) -> Response {
    let (viewer, form) = match asked.fresh_form(&body, &Goal::AppPassword).await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let name = form.get("name").unwrap_or_default().trim().to_owned();
    let scopes = USES.iter().find(|(value, ..)| form.get("use") == Some(value));
    let term = TERMS.iter().find(|(value, ..)| form.get("term") == Some(value));
    let (Some((_, words, scopes)), Some((_, _, days))) = (scopes, term) else { return not_ours() };
    let now = asked.provider.now();
    let expires = days.map(|days| now.plus(Duration::from_secs(days * 24 * 60 * 60)));
    match make(&asked.provider, &viewer, &name, scopes, expires).await {
        Ok(plain) => {
            tracing::info!(remote = %asked.visitor.address, account = %viewer.account.id, name, "an app password was made");
            shown_once(&viewer, &name, words, &plain)
        }
        Err(Error::Exists(_)) => form_page(&viewer, &name, Some("There is one of this name already. Choose another.")),
        Err(Error::Limit(Bound::AppPasswords)) => {
            form_page(&viewer, &name, Some("There are too many. Take some away that you do not need any more."))
        }
        Err(Error::Refused(why)) => form_page(&viewer, &name, Some(why)),
        Err(error) => failed("an app password could not be made", &error),
    }
}

async fn make(
    provider: &Provider,
    viewer: &Viewer,
    name: &str,
    scopes: &[Service],
    expires: Option<postroad_store::Timestamp>,
) -> Result<String, Error> {
    let (account, by) = (viewer.account.id, by(viewer, provider));
    let salts = provider.store.read(move |tx| credentials::salts(tx, account)).await?;
    // The keys of SCRAM take a while.
    let fresh = tokio::task::spawn_blocking(move || AppPassword::generate_with(&salts)).await;
    let fresh = fresh.map_err(|error| Error::Corrupt(format!("making a password: {error}")))??;
    let new = NewAppPassword { name: name.to_owned(), scopes: scopes.to_vec(), expires, hash: fresh.hash };
    provider
        .store
        .write(Locks::account(account), move |tx| credentials::add_app_password(tx, &by, account, &new))
        .await?;
    Ok(fresh.plain)
}

fn shown_once(viewer: &Viewer, name: &str, words: &str, plain: &str) -> Response {
    let body = format!(
        "<p>The password for <b>{}</b> ({words}):</p>\n<p class=\"code\">{}</p>\n\
         <p>Type or paste it into the program now, as it stands here; the user name is <b>{}</b>. It is never shown \
         again.</p>\n<p><a href=\"/account\">To your account</a></p>\n",
        escape(name),
        escape(plain),
        escape(&viewer.account.address.to_string()),
    );
    page(StatusCode::OK, TITLE, &body, None)
}

const TITLE: &str = "App password";
