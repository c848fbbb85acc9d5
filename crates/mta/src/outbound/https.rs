//! One request over HTTPS to a host that a stranger named, from addresses that our DNS names.
//!
//! Only places are asked where mail could go, no redirect is followed, no certificate is believed that does not convince, and
//! what is read of the answer is for the caller to bound.
//!
//! Standards: RFC 9110 and 9112 (HTTP/1.1, through hyper).

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{HOST, HeaderName, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use postroad_dns::Dns;
use postroad_trust::tls_results::FailureKind;

use super::connect::{Refusals, connect};
use super::hosts::is_a_place;
use super::tls::{Broken, Secured, Tls, Trust};

/// Addresses that are tried.
const ADDRESSES_MAX: usize = 4;
/// Octets of the answer's header.
const HEADER_MAX: usize = 32 * 1024;

/// Who asks.
#[derive(Clone)]
pub(crate) struct Https {
    pub(crate) dns: Arc<dyn Dns>,
    pub(crate) tls: Tls,
    /// 443, but in tests.
    pub(crate) port: u16,
    pub(crate) allow_loopback: bool,
    pub(crate) sources: Vec<IpAddr>,
}

/// What is asked.
pub(crate) struct Asking<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    /// One field beside those that every request has.
    pub(crate) field: (HeaderName, &'static str),
    pub(crate) body: Whole,
    /// For reaching the host; the whole is for the caller to bound.
    pub(crate) within: Duration,
}

impl Https {
    /// Asks, and gives what `read` makes of the answer. Errors of our own are in words that begin with the host.
    pub(crate) async fn ask<T, F>(
        &self,
        host: &str,
        asking: Asking<'_>,
        read: impl FnOnce(Response<Incoming>) -> F,
    ) -> Result<T, Broken>
    where
        F: Future<Output = Result<T, Broken>>,
    {
        let found = self.dns.addresses(host).await.map_err(|error| failed(format!("{host}: {error}")))?;
        let places = found.records.into_iter().filter(|address| is_a_place(*address, self.allow_loopback));
        let places: Vec<SocketAddr> =
            places.take(ADDRESSES_MAX).map(|address| SocketAddr::new(address, self.port)).collect();
        if places.is_empty() {
            return Err(failed(format!("{host} has no address that can be asked")));
        }
        let mut refusals = Refusals::default();
        let connected = connect(&places, &self.sources, asking.within, &mut refusals).await;
        let (socket, _) = connected.ok_or_else(|| failed(format!("{host} cannot be reached: {refusals}")))?;
        let secured = self.tls.secure(socket, host, &Trust::Authorities).await;
        let Secured { stream, .. } = secured.map_err(|broken| Broken {
            why: format!("{host} cannot be believed: {}", broken.why),
            kind: FailureKind::StsWebpkiInvalid,
        })?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(HEADER_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broke_off(host, &error))?;
        let request = Request::builder()
            .method(asking.method)
            .uri(asking.path)
            .header(HOST, host)
            .header(USER_AGENT, "Postroad")
            .header(asking.field.0, asking.field.1)
            .body(asking.body)
            .map_err(|error| failed(format!("{host} cannot be asked: {error}")))?;
        let answering = async {
            let response = sender.send_request(request).await.map_err(|error| broke_off(host, &error))?;
            read(response).await
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

/// It did not come to an answer that counts.
pub(crate) fn failed(why: String) -> Broken {
    Broken { why, kind: FailureKind::StsPolicyFetchError }
}

pub(crate) fn broke_off(host: &str, error: &hyper::Error) -> Broken {
    failed(format!("{host} broke off: {error}"))
}

/// The body of a request, whole; `None` for one without.
pub(crate) struct Whole(pub(crate) Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
