//! What stands before every page and end point: privacy of the line, cookies, and the proof that a form is ours.
//!
//! Standards: RFC 6265 and its successor's `__Host-` prefix and SameSite, RFC 9700 §4.7, the Fetch standard's Origin and
//! Sec-Fetch-Site.

use std::net::IpAddr;

use aws_lc_rs::{digest, rand};
use axum::Extension;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::pages;
use crate::site::Visitor;

/// Passwords and tokens cross no network in clear.
pub(crate) async fn only_in_private(Extension(visitor): Extension<Visitor>, request: Request, next: Next) -> Response {
    if visitor.is_secure || visitor.address.to_canonical().is_loopback() {
        return next.run(request).await;
    }
    pages::problem(StatusCode::FORBIDDEN, "This page is only shown over HTTPS.")
}

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// Who is logged in.
    Session,
    /// Binds forms to a browser in which nobody is logged in.
    Form,
}

impl Cookie {
    /// With TLS the prefix keeps other hosts and plain HTTP from setting it; on this machine in clear there is none.
    fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Cookie::Session, true) => "__Host-postroad-session",
            (Cookie::Form, true) => "__Host-postroad-form",
            (Cookie::Session, false) => "postroad-session",
            (Cookie::Form, false) => "postroad-form",
        }
    }

    /// Its value in a request.
    pub(crate) fn of(self, headers: &HeaderMap, visitor: &Visitor) -> Option<String> {
        let name = self.name(visitor.is_secure);
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut values = lines
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned());
        let first = values.next()?;
        // Two of one name: somebody else has put one there.
        (values.next().is_none() && first.len() <= COOKIE_MAX).then_some(first)
    }

    /// The header that sets it; an empty value takes it away.
    pub(crate) fn set(self, value: &str, visitor: &Visitor) -> HeaderValue {
        let name = self.name(visitor.is_secure);
        let secure = if visitor.is_secure { "; Secure" } else { "" };
        let age = match (value.is_empty(), self) {
            (true, _) => "; Max-Age=0",
            (false, Cookie::Session) => "; Max-Age=34560000",
            (false, Cookie::Form) => "",
        };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
    }
}

/// A new value for [`Cookie::Form`]; `None` when the system gives no random numbers.
pub(crate) fn seed() -> Option<String> {
    let mut octets = [0; 18];
    rand::fill(&mut octets).ok()?;
    Some(URL_SAFE_NO_PAD.encode(octets))
}

/// What a form carries to show that whoever sends it has the cookie.
pub(crate) fn form_token(cookie: &str) -> String {
    let text = format!("postroad form token\0{cookie}");
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// Whether a form comes from a page of ours in the same browser.
pub(crate) fn is_ours(headers: &HeaderMap, cookie: Option<&str>, token: Option<&str>) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Browsers say where a form comes from; what they say must fit. Who is no browser says nothing.
    if text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return false;
    }
    let host = text("host").unwrap_or_default();
    let same = |origin: &str| origin.split_once("://").is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(host));
    if text("origin").is_some_and(|origin| !same(origin)) {
        return false;
    }
    let (Some(cookie), Some(token)) = (cookie, token) else { return false };
    let expected = form_token(cookie);
    aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), token.as_bytes()).is_ok()
}

/// The network of an address, which is shown and kept in place of it.
pub(crate) fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

/// Longer values are none of ours.
const COOKIE_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use postroad_net::Stop;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_our_own_forms_count() {
        let token = form_token("abc");
        for (pairs, cookie, token, ours) in [
            (&[][..], Some("abc"), Some(token.as_str()), true),
            (&[("origin", "https://mail.example"), ("host", "mail.example")], Some("abc"), Some(token.as_str()), true),
            (&[("origin", "https://evil.example"), ("host", "mail.example")], Some("abc"), Some(token.as_str()), false),
            (&[("origin", "null"), ("host", "mail.example")], Some("abc"), Some(token.as_str()), false),
            (&[("sec-fetch-site", "cross-site")], Some("abc"), Some(token.as_str()), false),
            (&[("sec-fetch-site", "same-site")], Some("abc"), Some(token.as_str()), false),
            (&[("sec-fetch-site", "same-origin")], Some("abc"), Some(token.as_str()), true),
            (&[], Some("abd"), Some(token.as_str()), false),
            (&[], None, Some(token.as_str()), false),
            (&[], Some("abc"), None, false),
            (&[], Some("abc"), Some(""), false),
        ] {
            assert_eq!(is_ours(&headers(pairs), cookie, token), ours, "{pairs:?} {cookie:?} {token:?}");
        }
    }

    #[test]
    fn a_cookie_is_read_once_and_by_its_line() {
        let visitor = |is_secure: bool| Visitor { address: [127, 0, 0, 1].into(), is_secure, stop: Stop::new() };
        let sent = headers(&[("cookie", "a=b; __Host-postroad-session=x; postroad-session=y")]);
        assert_eq!(Cookie::Session.of(&sent, &visitor(true)).as_deref(), Some("x"));
        assert_eq!(Cookie::Session.of(&sent, &visitor(false)).as_deref(), Some("y"));
        let twice = headers(&[("cookie", "postroad-session=x"), ("cookie", "postroad-session=y")]);
        assert_eq!(Cookie::Session.of(&twice, &visitor(false)), None);
        let set = Cookie::Session.set("v", &visitor(true));
        let set = set.to_str().expect("text");
        for part in ["__Host-postroad-session=v;", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(set.contains(part), "{set}");
        }
    }

    #[test]
    fn networks_are_kept_in_place_of_addresses() {
        for (address, shown) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ] {
            assert_eq!(network(address.parse().expect("an address")), shown);
        }
    }
}
