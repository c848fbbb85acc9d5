//! Putting a report where its reader wants it: one POST over HTTPS.
//!
//! A stranger names the place: it is a name, not an address, at the one port of HTTPS. Nothing of the answer but its status is
//! read, and no redirect is followed.
//!
//! Standards: RFC 8460 §5.4.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, StatusCode};
use tokio::time::timeout;

use super::https::{Asking, Https, Whole, failed};

/// For all of it, but in tests.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);

/// Why a report is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What went wrong.
    pub(crate) why: String,
    /// Trying again will not help.
    pub(crate) is_final: bool,
}

/// Puts a packed report about TLS.
pub(crate) async fn put(https: &Https, url: &str, packed: &[u8], within: Duration) -> Result<(), Refused> {
    let Some((host, path)) = place(url) else {
        let why = "this is no address that reports can be put to".to_owned();
        return Err(Refused { why, is_final: true });
    };
    // Heard while the answer is read, which only has errors in words.
    let is_final = AtomicBool::new(false);
    let asking = Asking {
        method: Method::POST,
        path: &path,
        field: (CONTENT_TYPE, "application/tlsrpt+gzip"),
        body: Whole(Some(Bytes::copy_from_slice(packed))),
        within,
    };
    let answering = https.ask(&host, asking, async |response| match response.status() {
        status if status.is_success() => Ok(()),
        status => {
            is_final.store(is_for_good(status), Ordering::Relaxed);
            Err(failed(format!("{host} answers {status}")))
        }
    });
    let why = match timeout(within, answering).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(broken)) => broken.why,
        Err(_) => format!("{host} did not answer within {} s", within.as_secs()),
    };
    Err(Refused { why, is_final: is_final.into_inner() })
}

/// RFC 9110 §15: what the client does wrong stays wrong, but for what is a matter of time. A redirect leads where nobody agreed to.
fn is_for_good(status: StatusCode) -> bool {
    let may_pass = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    (status.is_client_error() || status.is_redirection()) && !may_pass.contains(&status)
}

/// Host and path of `https://host/path`; another port than that of HTTPS is nobody's to name.
fn place(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.strip_suffix(":443").unwrap_or(host).to_ascii_lowercase();
    let is_name = host.contains('.')
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        && host.parse::<std::net::IpAddr>().is_err();
    let is_path = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    (scheme.eq_ignore_ascii_case("https") && is_name && is_path).then(|| (host, format!("/{path}")))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn strangers_name_hosts_and_paths_only() {
        for (url, expected) in [
            ("https://Reports.there.test/v1/tls?x=1", Some(("reports.there.test", "/v1/tls?x=1"))),
            ("https://there.test:443", Some(("there.test", "/"))),
            ("https://there.test:8443/", None),
            ("https://user@there.test/", None),
            ("https://127.0.0.1/", None),
            ("https://[::1]/", None),
            ("https://localhost/", None),
            ("http://there.test/", None),
            ("https://there.test/a b", None),
        ] {
            let expected = expected.map(|(host, path)| (host.to_owned(), path.to_owned()));
            assert_eq!(place(url), expected, "{url}");
        }
    }
}
