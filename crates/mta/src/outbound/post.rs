//! Putting a report where its reader wants it: one POST over HTTPS.
//!
//! A stranger names the place: it is a name, not an address, at the one port of HTTPS. Nothing of the answer but its status is
//! read.
//!
//! Standards: RFC 8460 §5.4.

use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use tokio::time::timeout;

use super::https::{Asking, Https, Whole, failed};

/// For all of it.
const WITHIN: Duration = Duration::from_secs(60);

/// Puts a packed report about TLS. The error says what went wrong.
pub(crate) async fn put(https: &Https, url: &str, packed: &[u8]) -> Result<(), String> {
    let (host, path) = place(url).ok_or("this is no address that reports can be put to")?;
    let asking = Asking {
        method: Method::POST,
        path: &path,
        field: (CONTENT_TYPE, "application/tlsrpt+gzip"),
        body: Whole(Some(Bytes::copy_from_slice(packed))),
        within: WITHIN,
    };
    let answering = https.ask(&host, asking, async |response| match response.status() {
        status if status.is_success() => Ok(()),
        status => Err(failed(format!("{host} answers {status}"))),
    });
    match timeout(WITHIN, answering).await {
        Ok(said) => said.map_err(|broken| broken.why),
        Err(_) => Err(format!("{host} did not answer within {} s", WITHIN.as_secs())),
    }
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
