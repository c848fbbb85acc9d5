//! The pages that people see: logging in, consenting, letting a device in, their sessions and devices, app passwords,
//! passkeys and the second step.
//!
//! Plain HTML with forms, which need no scripts: the only one asks for passkeys, where somebody wants to; readable on a narrow
//! phone, in the dark, with large letters and by a screen reader. Nothing is loaded from anywhere, nobody may frame them, forms lead only where the policy says.
//!
//! Standards: HTML, WCAG 2.2 (labels, order, contrast), Content Security Policy 3.

mod account;
mod app_password;
mod asked;
mod consent;
mod device;
pub(crate) mod log_in;
mod passkey;
mod second_step;

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postroad_identity::sessions::Session;
use postroad_mail::accounts::Account;
use postroad_mail::{Actor, By, Service};
use postroad_store::Timestamp;

use crate::oauth::Provider;
use crate::page::escape;

pub(crate) use asked::Asked;
pub(crate) use consent::consent;

pub(crate) fn routes() -> Router<Arc<Provider>> {
    Router::new()
        .route("/login", get(log_in::shown).post(log_in::posted))
        .route("/logout", post(account::logged_out))
        .route("/account", get(account::shown))
        .route("/account/cut-off", post(account::cut_off))
        .route("/account/app-password", get(app_password::shown).post(app_password::made))
        .route("/account/passkey", get(passkey::made::shown).post(passkey::made::posted))
        .route("/account/second-step", get(second_step::page::shown).post(second_step::page::turned_on))
        .route("/account/second-step/codes", post(second_step::page::renewed))
        .route("/account/second-step/off", post(second_step::page::turned_off))
        .route("/account/second-step/passkeys", post(second_step::page::turned_on_by_passkeys))
        .route("/login/passkey", post(passkey::log_in::posted))
        .route("/login/second-step", get(second_step::shown).post(second_step::posted))
        .route("/device", get(device::shown).post(device::posted))
}

/// Who looks at a page: the session of their cookie, where it is good and all steps are done.
pub(crate) struct Viewer {
    pub(crate) session: Session,
    pub(crate) account: Account,
    /// The token of their forms.
    pub(crate) token: String,
}

/// Whether somebody logged in so lately that they may change how to log in: not whoever finds a browser that was left open.
fn is_fresh(viewer: &Viewer, provider: &Provider) -> bool {
    provider.now().minus(FRESH) <= viewer.session.authenticated
}

/// For whoever changes how to log in.
const FRESH: Duration = Duration::from_secs(30 * 60);

/// Who changes something, for the journal.
fn by(viewer: &Viewer, provider: &Provider) -> By {
    let actor = Actor::Login { login: viewer.account.address.to_string(), service: Service::Jmap, app: None };
    By::new(provider.now(), actor)
}

/// A page. `body` is HTML already; `leads_to`: where forms of it may lead beside to us, as a policy names it.
pub(crate) fn page(code: StatusCode, title: &str, body: &str, leads_to: Option<&str>) -> Response {
    framed(code, title, body, leads_to, "")
}

/// A page with forms that ask for passkeys: the script that shows them runs, and no other.
fn page_with_passkeys(code: StatusCode, title: &str, body: &str, leads_to: Option<&str>) -> Response {
    let scripts = format!(" script-src 'sha256-{}';", passkey::script_hash());
    framed(code, title, &format!("{body}{}", passkey::script()), leads_to, &scripts)
}

fn framed(code: StatusCode, title: &str, body: &str, leads_to: Option<&str>, scripts: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    );
    let style = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    // Browsers hold a form's redirects against the policy, too: without the program's address it would never hear.
    let forms = leads_to.map(|place| format!(" {place}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}';{scripts} form-action 'self'{forms}; frame-ancestors 'none'; base-uri 'none'"
    );
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let mut response = (code, html).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // `no-referrer` would take the Origin from our own forms.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A page that says why there is no other.
pub(crate) fn problem(code: StatusCode, what: &str) -> Response {
    let body = format!("<p role=\"alert\">{}</p>\n<p><a href=\"/account\">To your account</a></p>\n", escape(what));
    page(code, "That did not work", &body, None)
}

/// The store failed; it is logged here.
pub(crate) fn failed(what: &str, error: &postroad_mail::Error) -> Response {
    tracing::error!(%error, "{what}");
    problem(StatusCode::SERVICE_UNAVAILABLE, "The server cannot look that up right now. Please try again in a minute.")
}

/// A form of ours that came from elsewhere, or too late.
pub(crate) fn not_ours() -> Response {
    problem(
        StatusCode::FORBIDDEN,
        "This form was not sent from a page of this server, or that page is too old. Please go back, load it again and \
         try once more.",
    )
}

/// See other: what was posted is done.
pub(crate) fn to(place: &str) -> Response {
    let Ok(place) = HeaderValue::from_str(place) else {
        return problem(
            StatusCode::BAD_REQUEST,
            "The program that sent you here wants the answer at an impossible address.",
        );
    };
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, place);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// A day and time, in UTC, for people and programs alike.
fn moment(at: Timestamp) -> String {
    let seconds = at.0.div_euclid(1_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = day(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", second / 3_600, second / 60 % 60)
}

/// Year, month and day, of days since 1970-01-01.
pub(crate) fn day(days: i64) -> (i64, i64, i64) {
    // Days since 0000-03-01 of a year that begins in March, so that leap days come last (Howard Hinnant's calendar).
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Names and values of a form's hidden fields.
fn hidden(fields: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        let _ = writeln!(out, "<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value));
    }
    out
}

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8886;--key:#0b57d0;--on:#fff}\
@media(prefers-color-scheme:dark){:root{--key:#a8c7fa;--on:#062e6f}}\
*{box-sizing:border-box}\
body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:1rem;overflow-wrap:anywhere}\
main{max-width:34rem;margin:0 auto}\
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.15rem;margin-top:2rem}\
label{display:block;margin:1rem 0 .25rem;font-weight:600}\
input:not([type=hidden]){display:block;width:100%;font:inherit;padding:.6rem;border:1px solid #888;border-radius:.4rem}\
button{font:inherit;font-weight:600;min-height:2.75rem;padding:.5rem 1.25rem;border-radius:.4rem;border:1px solid \
var(--key);background:var(--key);color:var(--on);cursor:pointer}\
button.quiet{background:none;color:inherit;border-color:#888}\
:focus-visible{outline:3px solid var(--key);outline-offset:2px}\
.acts{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.5rem 0}\
.wrong{border-left:.3rem solid #b3261e;padding:.25rem .75rem}\
.code{font:600 1.5rem/1.3 ui-monospace,monospace;letter-spacing:.1em}\
table{border-collapse:collapse}th,td{text-align:left;vertical-align:top;padding:.25rem 1rem .25rem 0}\
ul.cards{list-style:none;padding:0}ul.cards>li{border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1rem;\
margin:.75rem 0}small{display:block;opacity:.85}.cards form{margin-top:.5rem}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_days() {
        for (seconds, shown) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_795_363_261, "2026-11-22 16:01 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
        ] {
            assert_eq!(moment(Timestamp(seconds * 1_000_000)), shown);
        }
    }

    #[test]
    fn a_page_lets_nothing_in_and_leads_nowhere_else() {
        let response = page(StatusCode::OK, "<b>", "", Some("http://127.0.0.1:1"));
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        for part in ["default-src 'none'", "form-action 'self' http://127.0.0.1:1;", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"));
        // Its own script alone, by its hash.
        let response = page_with_passkeys(StatusCode::OK, "", "", None);
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(policy.contains("script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
        assert!(!passkey::script().trim_end_matches("</script>\n").contains("</"));
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(to("https://a/\r\nSet-Cookie: b").status(), StatusCode::BAD_REQUEST);
    }
}
