//! The question whether a program may have what it asks for.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;
use postroad_identity::clients::Client;
use postroad_identity::{Scopes, redirect};

use super::{Viewer, hidden, page};
use crate::oauth::request::Request;
use crate::page::escape;

/// The page; the answer comes to `/oauth/consent` with the ticket.
pub(crate) fn consent(viewer: &Viewer, client: &Client, request: &Request, ticket: &str) -> Response {
    let body = format!(
        "<p><b>{}</b> wants to use the account <b>{}</b>. If you allow it, it can</p>\n{}{}\
         <p>The answer goes to <b>{}</b>.</p>\n\
         <form method=\"post\" action=\"/oauth/consent\">\n{}\
         <p class=\"acts\"><button name=\"decision\" value=\"allow\">Allow</button>\n\
         <button class=\"quiet\" name=\"decision\" value=\"deny\">Do not allow</button></p>\n</form>\n\
         <p><small>You can cut it off at any time on your <a href=\"/account\">account's page</a>.</small></p>\n",
        escape(&client.name),
        escape(&viewer.account.address.to_string()),
        list(&request.scopes),
        stranger(client),
        escape(&place(&request.redirect)),
        hidden(&[("ticket", ticket), ("token", &viewer.token)]),
    );
    page(StatusCode::OK, "Allow this program?", &body, redirect::form_action(&request.redirect).as_deref())
}

/// What is allowed, in words.
pub(super) fn list(scopes: &Scopes) -> String {
    let mut out = String::from("<ul>\n");
    for scope in scopes.iter() {
        let _ = writeln!(out, "<li>{}</li>", escape(scope.meaning()));
    }
    out + "</ul>\n"
}

/// A warning for the names that programs give themselves.
pub(super) fn stranger(client: &Client) -> &'static str {
    match client.registered {
        true => {
            "<p class=\"wrong\">Nobody has verified that the program is what it calls itself. Go on only if you have \
             just begun to set it up yourself.</p>\n"
        }
        false => "",
    }
}

/// Where an answer goes, for people.
fn place(redirect: &str) -> String {
    match redirect::form_action(redirect) {
        Some(place) if redirect::is_native(redirect) && place.starts_with("http") => "a program on this device".into(),
        Some(place) if redirect::is_native(redirect) => format!("a program on this device ({place})"),
        Some(place) => place,
        None => redirect.to_owned(),
    }
}
