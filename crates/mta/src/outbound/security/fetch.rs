//! Fetching the MTA-STS policy of a domain: one GET over HTTPS, from addresses that our DNS names.
//!
//! No redirect is followed, nothing larger than a policy is read, no certificate is believed that does not convince, and
//! nothing is waited for beyond [`WITHIN`]. A stranger names the host, so that only places are asked where mail could go.
//!
//! Standards: RFC 8461 §3.3, RFC 9110 and 9112 (HTTP/1.1, through hyper).

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use postroad_dns::Dns;
use postroad_trust::sts::{self, Policy};
use postroad_trust::tls_results::FailureKind;
use tokio::time::timeout;

use crate::outbound::connect::{Refusals, connect};
use crate::outbound::hosts::is_a_place;
use crate::outbound::tls::{Broken, Secured, Tls, Trust};

/// RFC 8461 §3.3 suggests a minute for the whole; a message waits for it.
const WITHIN: Duration = Duration::from_secs(20);
/// Addresses that are tried.
const ADDRESSES_MAX: usize = 4;

/// Who fetches policies.
#[derive(Clone)]
pub(crate) struct Fetcher {
    pub(crate) dns: Arc<dyn Dns>,
    pub(crate) tls: Tls,
    /// 443, but in tests.
    pub(crate) port: u16,
    pub(crate) allow_loopback: bool,
    pub(crate) sources: Vec<IpAddr>,
}

impl Fetcher {
    /// The policy of a domain. The error says what went wrong, for reports and for people.
    pub(crate) async fn fetch(&self, domain: &str) -> Result<Policy, Broken> {
        let host = sts::policy_host(domain);
        match timeout(WITHIN, self.get(&host)).await {
            Ok(Ok(file)) => Policy::parse(&file).map_err(|why| Broken {
                why: format!("what {host} serves is no policy: {why}"),
                kind: FailureKind::StsPolicyInvalid,
            }),
            Ok(Err(broken)) => Err(broken),
            Err(_) => Err(failed(format!("{host} did not serve it within {} s", WITHIN.as_secs()))),
        }
    }

    async fn get(&self, host: &str) -> Result<Vec<u8>, Broken> {
        let found = self.dns.addresses(host).await.map_err(|error| failed(format!("{host}: {error}")))?;
        let places = found.records.into_iter().filter(|address| is_a_place(*address, self.allow_loopback));
        let places: Vec<SocketAddr> =
            places.take(ADDRESSES_MAX).map(|address| SocketAddr::new(address, self.port)).collect();
        if places.is_empty() {
            return Err(failed(format!("{host} has no address that can be asked")));
        }
        let mut refusals = Refusals::default();
        let connected = connect(&places, &self.sources, WITHIN, &mut refusals).await;
        let (socket, _) = connected.ok_or_else(|| failed(format!("{host} cannot be reached: {refusals}")))?;
        let secured = self.tls.secure(socket, host, &Trust::Authorities).await;
        let Secured { stream, .. } = secured.map_err(|broken| Broken {
            why: format!("{host} cannot be believed: {}", broken.why),
            kind: FailureKind::StsWebpkiInvalid,
        })?;
        let lost = |error: hyper::Error| failed(format!("{host} broke off: {error}"));
        let (mut asking, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(HEADER_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(lost)?;
        let request = Request::get(sts::PATH)
            .header(HOST, host)
            .header(USER_AGENT, "Postroad")
            .header(ACCEPT, "text/plain")
            .body(Nothing)
            .map_err(|error| failed(format!("{host} cannot be asked: {error}")))?;
        let answering = async {
            let response = asking.send_request(request).await.map_err(lost)?;
            read(host, response).await
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

async fn read(host: &str, response: hyper::Response<hyper::body::Incoming>) -> Result<Vec<u8>, Broken> {
    let status = response.status();
    // RFC 8461 §3.3: 3xx is not followed.
    if status.is_redirection() {
        return Err(failed(format!("{host} leads elsewhere ({status}), which is not followed")));
    }
    if status != StatusCode::OK {
        return Err(failed(format!("{host} answers {status}")));
    }
    // RFC 8461 §3.2: what its users may upload is of another kind.
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("text/plain") {
        let kind: String = kind.chars().take(40).collect();
        return Err(failed(format!("{host} serves {kind:?} and not text/plain")));
    }
    let mut body = response.into_body();
    let mut file = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| failed(format!("{host} broke off: {error}")))?;
        if let Ok(data) = frame.into_data() {
            if file.len() + data.len() > sts::FILE_MAX {
                return Err(Broken {
                    why: format!("what {host} serves is larger than a policy"),
                    kind: FailureKind::StsPolicyInvalid,
                });
            }
            file.extend_from_slice(&data);
        }
    }
    Ok(file)
}

fn failed(why: String) -> Broken {
    Broken { why, kind: FailureKind::StsPolicyFetchError }
}

/// The body of a request that has none.
struct Nothing;

impl Body for Nothing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

/// Octets of the answer's header.
const HEADER_MAX: usize = 32 * 1024;
