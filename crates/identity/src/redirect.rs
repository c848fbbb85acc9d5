//! Where answers may be sent: the redirect URIs of clients.
//!
//! They are compared letter by letter, but for the port of a loopback address, which a program takes as it gets one.
//!
//! Standards: RFC 6749 §3.1.2, RFC 8252 §7 and §8, RFC 9700 §2.1 and §4.1.3.

/// Whether an address may be registered at all: `https`, `http` to loopback, or a scheme of a program's own with a dot
/// in it (RFC 8252 §7.1); never with a fragment (RFC 6749 §3.1.2), a user, or what no URI has.
pub fn may_be_registered(uri: &str) -> bool {
    if uri.len() > URI_MAX || !uri.bytes().all(is_uri_byte) || uri.contains('#') {
        return false;
    }
    match Parts::of(uri) {
        Some(Parts { scheme: "https", authority: Some(authority), .. }) => {
            is_host_and_port(authority) && !authority.starts_with(':')
        }
        Some(Parts { scheme: "http", authority: Some(authority), .. }) => loopback(authority).is_some(),
        Some(Parts { scheme: "https" | "http", authority: None, .. }) => false,
        Some(parts) => is_own_scheme(parts.scheme),
        None => false,
    }
}

/// Whether it leads to a program on the person's own machine: what a client that registers itself may have.
pub fn is_native(uri: &str) -> bool {
    may_be_registered(uri) && !uri.starts_with("https:")
}

/// Whether the address of a request is the registered one.
pub fn matches(registered: &str, asked: &str) -> bool {
    if registered == asked {
        return true;
    }
    // RFC 8252 §7.3: the port of a loopback address is the program's own matter.
    let (Some(one), Some(other)) = (Parts::of(registered), Parts::of(asked)) else { return false };
    let (Some(left), Some(right)) = (one.authority.and_then(loopback), other.authority.and_then(loopback)) else {
        return false;
    };
    may_be_registered(asked)
        && one.scheme == "http"
        && other.scheme == "http"
        && left == right
        && one.rest == other.rest
}

/// What a policy for the content of a page has to name, so that a form may lead there: the origin, or the scheme.
pub fn form_action(uri: &str) -> Option<String> {
    if !may_be_registered(uri) {
        return None;
    }
    let parts = Parts::of(uri)?;
    match (parts.scheme, parts.authority) {
        ("https" | "http", Some(authority)) => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
            authority.bytes().all(plain).then(|| format!("{}://{authority}", parts.scheme))
        }
        (scheme, _) => Some(format!("{scheme}:")),
    }
}

struct Parts<'a> {
    scheme: &'a str,
    authority: Option<&'a str>,
    /// Path and query.
    rest: &'a str,
}

impl Parts<'_> {
    fn of(uri: &str) -> Option<Parts<'_>> {
        let (scheme, rest) = uri.split_once(':')?;
        let Some(behind) = rest.strip_prefix("//") else { return Some(Parts { scheme, authority: None, rest }) };
        let end = behind.find(['/', '?']).unwrap_or(behind.len());
        let (authority, rest) = behind.split_at(end);
        Some(Parts { scheme, authority: Some(authority), rest })
    }
}

/// The host of an authority that is on this machine, without its port.
fn loopback(authority: &str) -> Option<&str> {
    // RFC 9700 §4.1.3 has `localhost` beside the numbers; clients that are out there use it.
    ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|host| {
        authority.strip_prefix(host).is_some_and(|rest| {
            rest.is_empty()
                || rest.strip_prefix(':').is_some_and(|port| !port.is_empty() && port.parse::<u16>().is_ok())
        })
    })
}

fn is_host_and_port(authority: &str) -> bool {
    let host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':');
    !authority.is_empty() && authority.bytes().all(host) && authority.matches(':').count() <= 1
}

/// RFC 8252 §7.1: the name of a domain backwards. A scheme without a dot is anybody's, such as `javascript`.
fn is_own_scheme(scheme: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+');
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(letters)
        && scheme.contains('.')
        && !scheme.ends_with('.')
}

/// RFC 3986 §2: no space, no control, nothing that HTML or a header would read otherwise.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// Longest address.
const URI_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_registered() {
        for (uri, allowed, native) in [
            ("https://app.example/cb", true, false),
            ("https://app.example:8443/cb?x=1", true, false),
            ("http://127.0.0.1/cb", true, true),
            ("http://127.0.0.1:8080/cb", true, true),
            ("http://[::1]:1/", true, true),
            ("http://localhost/", true, true),
            ("net.example.mail:/cb", true, true),
            ("net.example.mail://cb", true, true),
            ("http://app.example/cb", false, false),
            ("http://127.0.0.1.evil.example/", false, false),
            ("http://127.0.0.1@evil.example/", false, false),
            ("http://127.0.0.1:80@evil.example/", false, false),
            ("http://localhost:99999/", false, false),
            ("https://user@app.example/", false, false),
            ("https://app.example/cb#part", false, false),
            ("https:///cb", false, false),
            ("https:cb", false, false),
            ("javascript:alert(1)", false, false),
            ("data:text/html,x", false, false),
            ("urn:ietf:wg:oauth:2.0:oob", false, false),
            ("mailto:a@b", false, false),
            ("", false, false),
            ("https://app.example/\"onload", false, false),
            ("https://app.example/a b", false, false),
            ("https://app.example/\\evil", false, false),
        ] {
            assert_eq!(may_be_registered(uri), allowed, "{uri}");
            assert_eq!(is_native(uri), native, "{uri}");
        }
        assert!(!may_be_registered(&format!("https://app.example/{}", "a".repeat(URI_MAX))));
    }

    #[test]
    fn only_the_port_of_loopback_may_differ() {
        for (registered, asked, same) in [
            ("https://app.example/cb", "https://app.example/cb", true),
            ("https://app.example/cb", "https://app.example/cb/", false),
            ("https://app.example/cb", "https://app.example/cb?x", false),
            ("https://app.example/cb", "https://app.example:444/cb", false),
            ("https://app.example/cb", "HTTPS://app.example/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", true),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb", true),
            ("http://[::1]/cb", "http://[::1]:49152/cb", true),
            ("http://localhost/", "http://localhost:8000/", true),
            ("http://127.0.0.1/cb", "http://127.0.0.1:49152/evil", false),
            ("http://127.0.0.1/cb", "http://localhost/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1@evil.example/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:/cb", false),
            ("http://127.0.0.1/cb", "https://127.0.0.1/cb", false),
            ("net.example.mail:/cb", "net.example.mail:/cb2", false),
        ] {
            assert_eq!(matches(registered, asked), same, "{registered} {asked}");
        }
    }

    #[test]
    fn a_policy_names_where_forms_lead() {
        for (uri, action) in [
            ("https://app.example/cb", Some("https://app.example")),
            ("http://127.0.0.1:8000/cb", Some("http://127.0.0.1:8000")),
            ("net.example.mail:/cb", Some("net.example.mail:")),
            ("https://a.example;script-src/", None),
        ] {
            assert_eq!(form_action(uri).as_deref(), action, "{uri}");
        }
    }
}
