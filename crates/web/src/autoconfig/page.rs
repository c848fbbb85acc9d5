//! The settings in words, for people: with a profile to load, and a QR code that leads a phone to it.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;
use qrcode::{Color, EcLevel, QrCode};

use super::profile::NAME_MAX;
use super::{Offer, Offers, Protocol, Security};
use crate::oauth::form::encode;
use crate::page::escape;
use crate::pages::page;

/// Asks for an address. `wrong`: why the last one did not do.
pub(super) fn asked(offers: &Offers, typed: &str, wrong: Option<&str>) -> Response {
    let wrong = wrong.map(|why| format!("<p class=\"wrong\" role=\"alert\">{}</p>\n", escape(why))).unwrap_or_default();
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
        "<tr><th>User name</th><td>{}</td></tr>\n<tr><th>Password</th><td>that of your account</td></tr>\n</table>\n",
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
    let code = offers.at(&place).and_then(|url| svg(&url));
    if let Some(code) = code {
        let _ = write!(body, "<p>Or point the camera of the phone here:</p>\n{code}\n");
    }
}

/// A QR code as a drawing, dark on light also where the page is dark: many readers take no other.
fn svg(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let colors = code.to_colors();
    let mut path = String::new();
    for (y, line) in colors.chunks(width).enumerate() {
        let mut x = 0;
        while x < width {
            let run = line[x..].iter().take_while(|color| **color == Color::Dark).count();
            if run > 0 {
                let _ = write!(path, "M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET);
            }
            x += run.max(1);
        }
    }
    let side = width + 2 * QUIET;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" width=\"{0}\" height=\"{0}\" role=\"img\" \
         aria-label=\"QR code that leads to the profile\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/>\
         <path fill=\"#000\" d=\"{path}\"/></svg>",
        side * 5
    ))
}

/// ISO/IEC 18004: four modules of nothing around it.
const QUIET: usize = 4;

#[cfg(test)]
mod tests {
    use super::svg;

    #[test]
    fn a_code_is_drawn_whole() {
        let drawn = svg("https://mail.example.test/setup/mail.mobileconfig?address=u%40example.test").expect("a code");
        // The finder in the corner: seven dark modules.
        assert!(drawn.contains("d=\"M4 4h7v1h-7z"), "{drawn}");
        assert_eq!(svg(&"x".repeat(10_000)), None);
    }
}
