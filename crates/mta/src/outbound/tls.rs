//! TLS with the next host: without looking at its certificate, which is still better than clear text, or with.
//!
//! Which of the two, the caller decides; a certificate that does not convince never becomes one that was not asked for.
//!
//! Standards: RFC 3207 (STARTTLS), RFC 7435 (opportunistic security), RFC 9525 (names in certificates, through
//! rustls), RFC 8446 and RFC 5246.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use postroad_protocol::TlsFacts;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, ProtocolVersion, RootCertStore,
    SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Where systems keep the certificates of the authorities that they trust, in the order of how many do.
const SYSTEM_ROOTS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What handshakes with next hosts need. Clones share it.
#[derive(Clone)]
pub(crate) struct Tls {
    any: TlsConnector,
    /// `None`: there are no authorities to trust; the text says why.
    verified: Result<TlsConnector, Arc<str>>,
    /// By the authorities that a route names for itself.
    own: Arc<Mutex<HashMap<String, TlsConnector>>>,
}

/// Authorities of routes that are remembered; each is a certificate or a few.
const OWN_MAX: usize = 64;

impl Tls {
    /// `authorities` is a PEM file; without one the system's are trusted. Without any, only hosts that need no
    /// verification can be reached.
    pub(crate) fn new(authorities: Option<&Path>) -> Result<Tls, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let any = config(&provider, Arc::new(Unverified(Arc::clone(&provider))))?;
        let verified = roots(authorities).and_then(|roots| connector(roots, &provider)).map_err(Arc::from);
        Ok(Tls { any: TlsConnector::from(Arc::new(any)), verified, own: Arc::default() })
    }

    /// The same, trusting these authorities (PEM) and no others.
    pub(crate) fn trusting(&self, authorities: &str) -> Result<Tls, String> {
        let mut known = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = known.get(authorities) {
            return Ok(Tls { verified: Ok(connector.clone()), ..self.clone() });
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let connector = parse(authorities.as_bytes(), "the route's certificate")
            .and_then(|roots| connector(roots, &provider))
            .map_err(|why| why.to_string())?;
        if known.len() >= OWN_MAX {
            known.clear();
        }
        known.insert(authorities.to_owned(), connector.clone());
        Ok(Tls { verified: Ok(connector), ..self.clone() })
    }

    /// Shakes hands with `host`, a name or an address. Errors are the network's or rustls', in words.
    pub(crate) async fn secure<S>(&self, socket: S, host: &str, verify: bool) -> io::Result<(TlsStream<S>, TlsFacts)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = match (verify, &self.verified) {
            (false, _) => &self.any,
            (true, Ok(connector)) => connector,
            (true, Err(why)) => return Err(io::Error::other(format!("no certificate can be verified: {why}"))),
        };
        let name = match server_name(host) {
            Ok(name) => name,
            // Nobody looks at it: better TLS without a name than none because of it.
            Err(_) if !verify => ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into()),
            Err(error) => return Err(io::Error::other(error)),
        };
        // Boxed: the handshake's own state is large and short-lived.
        let stream = Box::pin(connector.connect(name, socket)).await.map_err(|error| in_words(error, host))?;
        let facts = facts(stream.get_ref().1);
        Ok((stream, facts))
    }
}

/// A host as certificates name it: a name, or an address with or without what a literal has around it.
fn server_name(host: &str) -> Result<ServerName<'static>, rustls::pki_types::InvalidDnsNameError> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let bare = match bare.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => &bare[5..],
        _ => bare,
    };
    ServerName::try_from(bare.to_owned())
}

/// What an administrator can do about an unknown authority.
const NAME_IT: &str = "a route can name whom to trust (route add --ca)";

/// What is wrong with a certificate, for people; everything else as it came.
fn in_words(error: io::Error, host: &str) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(wrong)) = inner else { return error };
    let words = match wrong {
        CertificateError::UnknownIssuer => format!("its certificate is from nobody whom this server trusts; {NAME_IT}"),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is not for {host}")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        // How webpki calls a certificate that its owner made and signed itself.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            format!("its certificate is self-signed; {NAME_IT}")
        }
        other => format!("its certificate cannot be verified: {other:?}"),
    };
    io::Error::new(error.kind(), words)
}

fn connector(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<TlsConnector, String> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let verifier = verifier.build().map_err(|error| error.to_string())?;
    let config = config(provider, verifier).map_err(|error| error.to_string())?;
    Ok(TlsConnector::from(Arc::new(config)))
}

fn config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ClientConfig, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// Reads the authorities; those that rustls cannot use are passed over, as every client does.
fn roots(file: Option<&Path>) -> Result<RootCertStore, String> {
    let system = || SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.is_file());
    let Some(path) = file.map(Path::to_owned).or_else(system) else {
        return Err("the system has no file of authorities; install ca-certificates or name a file".into());
    };
    let bytes = std::fs::read(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    parse(&bytes, &path.display().to_string())
}

fn parse(pem: &[u8], name: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).filter_map(Result::ok));
    match taken {
        0 => Err(format!("{name} holds no certificate in PEM form")),
        _ => Ok(roots),
    }
}

/// What the handshake established, for the story.
fn facts(connection: &ClientConnection) -> TlsFacts {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        // We offer no others.
        Some(_) | None => "TLS",
    };
    let cipher = connection.negotiated_cipher_suite().map(|suite| suite.suite());
    TlsFacts {
        version,
        // rustls names the suites of TLS 1.3 with their version, IANA without.
        cipher: cipher.and_then(|suite| suite.as_str()).unwrap_or("unknown").replace("TLS13_", "TLS_"),
        group: connection.negotiated_key_exchange_group().and_then(|group| group.name().as_str().map(str::to_owned)),
        server_name: None,
    }
}

/// Takes any certificate, also one that cannot be parsed (old appliances have version 1). RFC 7435 §3: against who
/// only listens that is enough, and refusing would mean clear text. A signature by a key that anybody may have made
/// proves nothing, so it is not looked at either.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _issuers: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_as_certificates_name_them() {
        for (host, expected) in [
            ("mx.there.test", "mx.there.test"),
            ("192.0.2.7", "192.0.2.7"),
            ("[192.0.2.7]", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[IPv6:2001:db8::7]", "2001:db8::7"),
            ("[ipv6:2001:db8::7]", "2001:db8::7"),
        ] {
            assert_eq!(server_name(host).expect("a name").to_str(), expected, "{host}");
        }
        assert!(server_name("a\\032b.test").is_err() && server_name("").is_err());
    }

    #[tokio::test]
    async fn a_name_that_no_certificate_has_is_no_reason_for_clear_text() {
        let tls = Tls::new(None).expect("TLS");
        for (verify, shakes_hands) in [(false, true), (true, false)] {
            let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
            let shaking = tls.secure(ours, "a\\032b.test", verify);
            let hello = async move {
                let mut first = [0];
                tokio::io::AsyncReadExt::read_exact(&mut theirs, &mut first).await.is_ok_and(|_| first == [22])
            };
            let (shaken, said_hello) = tokio::join!(shaking, hello);
            assert!(shaken.is_err());
            assert_eq!(said_hello, shakes_hands, "verify: {verify}");
        }
    }
}
