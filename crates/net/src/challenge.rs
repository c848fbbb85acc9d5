//! Answering a certificate authority that looks over TLS whether a name is ours (TLS-ALPN-01).
//!
//! Only a client that offers `acme-tls/1` and nothing else is an authority (RFC 8737 §3); it is shown a certificate of
//! the moment, and its connection ends with the handshake (§4). Everybody else never meets this: `acme-tls/1` is not
//! among the protocols of any listener, so no client can be talked into it.
//!
//! Standards: RFC 8737.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{Acceptor, ClientHello};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::LazyConfigAcceptor;

use postroad_protocol::TlsFacts;

use crate::certificates::shown_during;
use crate::tls::facts;
use crate::{Stream, Tls};

/// Who knows what an authority wants to see.
pub trait Challenges: Send + Sync + 'static {
    /// The SHA-256 of the key authorization for a name (small letters, no final dot), when an authority was told to
    /// look for it. RFC 8737 §3.
    fn answer<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = Option<[u8; 32]>> + Send + 'a>>;
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    /// Shakes hands like [`Stream::secure`]; `None` when it was an authority, which has seen what it wanted.
    pub(crate) async fn secure_or_answer(
        self,
        tls: &Tls,
        alpn: &[Vec<u8>],
    ) -> io::Result<Option<(Stream<S>, TlsFacts)>> {
        let (Some(challenges), Stream::Plain(socket)) = (tls.challenges(), self) else {
            return Err(io::Error::other("TLS within TLS, or nobody who knows answers"));
        };
        // Boxed: the handshake's own state is large and short-lived.
        let start = Box::pin(LazyConfigAcceptor::new(Acceptor::default(), socket)).await?;
        let hello = start.client_hello();
        if !is_authority(&hello) {
            let config = tls.config(alpn);
            let (secure, shown) = shown_during(Box::pin(async { start.into_stream(config).await })).await;
            let secure = secure?;
            let facts = facts(secure.get_ref().1, shown.as_deref(), tls);
            return Ok(Some((Stream::Tls(Box::new(secure)), facts)));
        }
        let name = hello.server_name().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        let name = name.ok_or_else(|| io::Error::other("an authority that names nobody (TLS-ALPN-01)"))?;
        let Some(digest) = challenges.answer(&name).await else {
            return Err(io::Error::other(format!("nobody has asked an authority to look for {name} (TLS-ALPN-01)")));
        };
        let config = answering(&name, &digest).map_err(io::Error::other)?;
        let mut seen = Box::pin(start.into_stream(Arc::new(config))).await?;
        tracing::info!(name, "an authority has looked at our answer (TLS-ALPN-01)");
        // It closes by itself; if it is gone already, nothing is lost.
        let _ = seen.shutdown().await;
        Ok(None)
    }
}

/// RFC 8737 §3: the extension holds `acme-tls/1` and nothing else.
fn is_authority(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut offered| offered.next() == Some(ACME_TLS) && offered.next().is_none())
}

/// TLS that shows the answer for one name.
fn answering(name: &str, digest: &[u8; 32]) -> Result<ServerConfig, String> {
    let words = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::new([name.to_owned()]).map_err(words)?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(words)?;
    let certificate = params.self_signed(&key).map_err(words)?;
    let key = aws_lc_rs::sign::any_ecdsa_type(&PrivatePkcs8KeyDer::from(key.serialize_der()).into());
    // Not looked at by rustls, to whom the critical extension of RFC 8737 is a stranger.
    let certified = CertifiedKey::new(vec![certificate.der().clone()], key.map_err(|error| error.to_string())?);
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// RFC 8737 §6.2.
const ACME_TLS: &[u8] = b"acme-tls/1";
