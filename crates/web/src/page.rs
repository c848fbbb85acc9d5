//! The HTML, written by hand: two small pages without scripts.

use std::fmt::Write;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::About;

pub(crate) fn html(code: StatusCode, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (code, headers, body).into_response()
}

pub(crate) fn front(about: &About, insider: bool, tells_settings: bool) -> String {
    let host = escape(&about.host);
    let mut rows = String::new();
    for line in &about.services {
        let (name, security) = (escape(&line.name), escape(&line.security));
        // Strangers learn the port that they would find anyway, not the addresses behind it.
        let place = if insider { line.address.to_string() } else { line.address.port().to_string() };
        let _ = writeln!(rows, "<tr><td>{name}</td><td>{place}</td><td>{security}</td></tr>");
    }
    let table = if rows.is_empty() {
        String::new()
    } else {
        format!("<table>\n<tr><th>Service</th><th>Port</th><th>Security</th></tr>\n{rows}</table>\n")
    };
    let inside = if insider {
        format!(
            "<p>Postroad {}. <a href=\"/healthz\">Health</a>, <a href=\"/metrics\">metrics</a>.</p>\n",
            escape(&about.version)
        )
    } else {
        String::new()
    };
    let settings =
        if tells_settings { "<p><a href=\"/setup\">All settings, also for your phone</a></p>\n" } else { "" };
    frame(
        &format!("Mail at {host}"),
        &format!(
            "<p>This is a mail server. Set up your mail program with your whole mail address as the user name and \
             <b>{host}</b> as the server.</p>\n{settings}{table}{inside}"
        ),
    )
}

pub(crate) fn problem(code: u16, what: &str) -> String {
    frame(&format!("{code}"), &format!("<p>{}.</p>\n<p><a href=\"/\">To the front page</a></p>\n", escape(what)))
}

/// Title and body are HTML already.
fn frame(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// What was wrong with a form, above it.
pub(crate) fn alert(wrong: Option<&str>) -> String {
    wrong.map(|why| format!("<p class=\"wrong\" role=\"alert\">{}</p>\n", escape(why))).unwrap_or_default()
}

pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:3em auto;padding:0 1em;\
                     color-scheme:light dark}table{border-collapse:collapse}\
                     th,td{text-align:left;padding:.2em 1.5em .2em 0}";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServiceLine;

    #[test]
    fn the_front_page_tells_strangers_less() {
        let about = About {
            host: "mail.<example>.test".into(),
            version: "1.2.3".into(),
            services: vec![ServiceLine {
                name: "IMAP".into(),
                address: "192.0.2.7:993".parse().expect("an address"),
                security: "TLS".into(),
            }],
            insiders: Vec::new(),
            https: None,
        };
        let (inside, outside) = (front(&about, true, false), front(&about, false, true));
        for shown in ["mail.&lt;example&gt;.test", "IMAP", "993", "TLS"] {
            assert!(inside.contains(shown) && outside.contains(shown), "{shown}");
        }
        for hidden in ["1.2.3", "192.0.2.7", "/metrics"] {
            assert!(inside.contains(hidden) && !outside.contains(hidden), "{hidden}");
        }
        assert!(!inside.contains("<example>"));
    }
}
