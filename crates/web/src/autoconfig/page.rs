//! The settings in words, for people: with a profile to load, and a QR code that leads a phone to it.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;

use super::profile::NAME_MAX;
use super::{Offer, Offers, Protocol, Security};
use crate::oauth::form::encode;
use crate::page::{alert, escape};
use crate::pages::page;
use crate::qr::svg;

/// Asks for an address. `wrong`: why the last one did not do.
pub(super) fn asked(offers: &Offers, typed: &str, wrong: Option<&str>) -> Response {
    let wrong = alert(wrong);
    let body = format!(
        "{wrong}<p>Type your mail address, and see what your mail program has to know. Most programs find it by themselves: \
         give them your address and your password, and only look here if they ask for more.</p>\n\
         <form method=\"get\" action=\"/setup\">\n<label for=\"address\">Your mail address</label>\n\
         <input id=\"address\" name=\"address\" type=\"text\" inputmode=\"email\" autocomplete=\"email\" \
         autocapitalize=\"none\" spellcheck=\"false\" required maxlength=\"254\" value=\"{}\">\n\
         <label for=\"name\">Your name, as others shall see it (you may leave it out)</label>\n\
         <input id=\"name\" name=\"name\" type=\"text\" autocomplete=\"name\" maxlength=\"{}\">\n\
         <div class=\"acts\"><button>Show the settings</button></div>\n</form>\n",
        escape(typed),
        NAME_MAX / 4,
    );
    let code = if wrong.is_empty() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    page(code, &format!("Set up your mail at {}", offers.host), &body, None)
}

/// The settings of an address; the same whether it exists or not.
pub(super) fn shown(offers: &Offers, address: &str, name: Option<&str>) -> Response {
    let mut body = format!(
        "<p>These are the settings for <b>{}</b>. The user name is the whole address, everywhere.</p>\n",
        escape(address)
    );
    let _ = write!(body, "<h2>Mail programs</h2>\n<table>\n");
    for (protocol, what) in [
        (Protocol::Imap, "Reading (IMAP)"),
        (Protocol::Submission, "Sending (SMTP)"),
        (Protocol::Pop3, "Fetching only (POP3)"),
    ] {
        if let Some(offer) = offers.best(protocol) {
            row(&mut body, offers, what, offer);
        }
    }
    let _ = write!(
        body,
        "<tr><th>User name</th><td>{}</td></tr>\n<tr><th>Password</th><td>that of your account; with a second step, an app password</td></tr>\n</table>\n",
        escape(address)
    );
    if offers.best(Protocol::Imap).is_some() && offers.best(Protocol::Pop3).is_some() {
        body.push_str(
            "<p>Choose IMAP unless you know that you want POP3: with IMAP all your devices show the same.</p>\n",
        );
    }
    profile(&mut body, offers, address, name);
    body.push_str("<p><a href=\"/setup\">Another address</a></p>\n");
    page(StatusCode::OK, "Your mail settings", &body, None)
}

fn row(body: &mut String, offers: &Offers, what: &str, offer: &Offer) {
    let security = match offer.security {
        Security::Tls => "SSL/TLS",
        Security::StartTls => "STARTTLS",
    };
    let _ = writeln!(
        body,
        "<tr><th>{what}</th><td>server {}, port {}, security {security}</td></tr>",
        escape(&offers.host),
        offer.port
    );
}

fn profile(body: &mut String, offers: &Offers, address: &str, name: Option<&str>) {
    if super::profile::profile(offers, address, name).is_none() {
        return;
    }
    let mut place = format!("/setup/mail.mobileconfig?address={}", encode(address));
    if let Some(name) = name {
        let _ = write!(place, "&name={}", encode(name));
    }
    let _ = write!(
        body,
        "<h2>iPhone, iPad and Mac</h2>\n<p><a href=\"{}\">Load the profile</a>, then open the device's settings, where \
         it waits to be installed. The device asks for your password; it is not in the profile.</p>\n",
        escape(&place)
    );
    let code = offers.at(&place).and_then(|url| svg(&url, "QR code that leads to the profile"));
    if let Some(code) = code {
        let _ = write!(body, "<p>Or point the camera of the phone here:</p>\n{code}\n");
    }
}
