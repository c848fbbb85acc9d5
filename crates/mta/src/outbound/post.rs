//! Putting a report where its reader wants it: one POST over HTTPS, to addresses that our DNS names.
//!
//! A stranger names the place: it is a name, not an address, at the one port of HTTPS, where mail could go as well. No redirect
//! is followed, nothing of the answer but its status is read, and no certificate is believed that does not convince.
//!
//! Standards: RFC 8460 §5.4, RFC 9110 and 9112 (HTTP/1.1, through hyper).

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Request;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use postroad_dns::Dns;
use tokio::time::timeout;

use super::connect::{Refusals, connect};
use super::hosts::is_a_place;
use super::tls::{Secured, Tls, Trust};

/// For all of it.
const WITHIN: Duration = Duration::from_secs(60);
/// Addresses that are tried.
const ADDRESSES_MAX: usize = 4;
/// Octets of the answer's header.
const HEADER_MAX: usize = 32 * 1024;

/// Who puts reports.
pub(crate) struct Poster {
    dns: Arc<dyn Dns>,
    tls: Tls,
    port: u16,
    allow_loopback: bool,
}

impl Poster {
    pub(crate) fn new(
        dns: Arc<dyn Dns>,
        authorities: Option<&Path>,
        port: u16,
        allow_loopback: bool,
    ) -> Result<Poster, rustls::Error> {
        Ok(Poster { dns, tls: Tls::new(authorities)?, port, allow_loopback })
    }

    /// Puts a packed report about TLS. The error says what went wrong.
    pub(crate) async fn put(&self, url: &str, packed: &[u8]) -> Result<(), String> {
        let (host, path) = place(url).ok_or("this is no address that reports can be put to")?;
        match timeout(WITHIN, self.say(&host, &path, packed)).await {
            Ok(said) => said,
            Err(_) => Err(format!("{host} did not answer within {} s", WITHIN.as_secs())),
        }
    }

    async fn say(&self, host: &str, path: &str, packed: &[u8]) -> Result<(), String> {
        let found = self.dns.addresses(host).await.map_err(|error| format!("{host}: {error}"))?;
        let places = found.records.into_iter().filter(|address| is_a_place(*address, self.allow_loopback));
        let places: Vec<SocketAddr> =
            places.take(ADDRESSES_MAX).map(|address| SocketAddr::new(address, self.port)).collect();
        let mut refusals = Refusals::default();
        let connected = connect(&places, &[], WITHIN, &mut refusals).await;
        let (socket, _) = connected.ok_or_else(|| format!("{host} cannot be reached: {refusals}"))?;
        let secured = self.tls.secure(socket, host, &Trust::Authorities).await;
        let Secured { stream, .. } = secured.map_err(|broken| format!("{host} cannot be believed: {}", broken.why))?;
        let lost = |error: hyper::Error| format!("{host} broke off: {error}");
        let (mut asking, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(HEADER_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(lost)?;
        let request = Request::post(path)
            .header(HOST, host)
            .header(USER_AGENT, "Postroad")
            .header(CONTENT_TYPE, "application/tlsrpt+gzip")
            .body(Whole(Some(Bytes::copy_from_slice(packed))))
            .map_err(|error| format!("{host} cannot be asked: {error}"))?;
        let answering = async {
            let status = asking.send_request(request).await.map_err(lost)?.status();
            match status.is_success() {
                true => Ok(()),
                false => Err(format!("{host} answers {status}")),
            }
        };
        let mut connection = std::pin::pin!(connection);
        let mut answering = std::pin::pin!(answering);
        tokio::select! {
            biased;
            answer = &mut answering => answer,
            // The answer may have come with the end.
            _ = &mut connection => answering.await,
        }
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

/// A body that is there.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
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
