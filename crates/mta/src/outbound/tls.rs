//! TLS with the next host: without looking at its certificate, which is still better than clear text, or with, by
//! authorities or by TLSA records.
//!
//! Which of them, the caller decides; a certificate that does not convince never becomes one that was not asked for.
//!
//! Standards: RFC 3207 (STARTTLS), RFC 7435 (opportunistic security), RFC 9525 (names in certificates, through
//! rustls), RFC 8446 and RFC 5246.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use postroad_protocol::TlsFacts;
use postroad_trust::tls_results::FailureKind;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, ProtocolVersion, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::security::dane::{Mismatch, Records};
use super::security::verifiers::{Dane, Unverified, Watching};

/// Where systems keep the certificates of the authorities that they trust, in the order of how many do.
const SYSTEM_ROOTS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whose word is taken for who a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Nobody's: any certificate will do.
    Anybody,
    /// That of the authorities, for the host's name.
    Authorities,
    /// Any certificate will do, and what the authorities would say is told.
    Watched,
    /// That of its TLSA records.
    Dane(Arc<Records>),
}

/// What is known of who a host is, after the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Assurance {
    /// Nobody looked.
    Unchecked,
    /// Authorities vouch for its name.
    Verified,
    /// It would not have been verified; why.
    Doubtful(Broken),
    /// It is what a TLSA record says: which, such as `3 1 1`.
    Dane(String),
}

/// TLS that could not be agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// In words.
    pub(crate) why: String,
    /// As reports call it.
    pub(crate) kind: FailureKind,
}

/// A connection in TLS, and what the handshake established.
pub(crate) struct Secured<S> {
    pub(crate) stream: TlsStream<S>,
    pub(crate) facts: TlsFacts,
    pub(crate) assurance: Assurance,
}

/// What handshakes with next hosts need. Clones share it.
#[derive(Clone)]
pub(crate) struct Tls {
    provider: Arc<CryptoProvider>,
    any: TlsConnector,
    /// `None`: there are no authorities to trust; the text says why.
    verified: Result<Authorities, Arc<str>>,
    /// By the authorities that a route names for itself.
    own: Arc<Mutex<HashMap<String, Authorities>>>,
}

/// Whom we trust.
#[derive(Clone)]
struct Authorities {
    connector: TlsConnector,
    verifier: Arc<WebPkiServerVerifier>,
}

/// Authorities of routes that are remembered; each is a certificate or a few.
const OWN_MAX: usize = 64;

impl Tls {
    /// `authorities` is a PEM file; without one the system's are trusted. Without any, only hosts that need no
    /// verification can be reached.
    pub(crate) fn new(authorities: Option<&Path>) -> Result<Tls, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let any = config(&provider, Arc::new(Unverified(Arc::clone(&provider))))?;
        let verified = roots(authorities).and_then(|roots| trusted(roots, &provider)).map_err(Arc::from);
        Ok(Tls { any: TlsConnector::from(Arc::new(any)), verified, own: Arc::default(), provider })
    }

    /// The same, trusting these authorities (PEM) and no others.
    pub(crate) fn trusting(&self, authorities: &str) -> Result<Tls, String> {
        let mut known = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(authorities) {
            return Ok(Tls { verified: Ok(known.clone()), ..self.clone() });
        }
        let trusted = parse(authorities.as_bytes(), "the route's certificate")
            .and_then(|roots| trusted(roots, &self.provider))
            .map_err(|why| why.to_string())?;
        if known.len() >= OWN_MAX {
            known.clear();
        }
        known.insert(authorities.to_owned(), trusted.clone());
        Ok(Tls { verified: Ok(trusted), ..self.clone() })
    }

    /// Shakes hands with `host`, a name or an address.
    pub(crate) async fn secure<S>(&self, socket: S, host: &str, trust: &Trust) -> Result<Secured<S>, Broken>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = || server_name(host).map_err(|error| Broken::other(error.to_string()));
        match trust {
            Trust::Anybody => {
                let name = name().unwrap_or_else(|_| nobody());
                let (stream, facts) = shake_hands(&self.any, name, socket, host).await?;
                Ok(Secured { stream, facts, assurance: Assurance::Unchecked })
            }
            Trust::Authorities => {
                let known = self
                    .verified
                    .as_ref()
                    .map_err(|why| Broken::untrusted(format!("no certificate can be verified: {why}")))?;
                let (stream, facts) = shake_hands(&known.connector, name()?, socket, host).await?;
                Ok(Secured { stream, facts, assurance: Assurance::Verified })
            }
            Trust::Watched => {
                let strict = self.verified.as_ref().ok().map(|known| Arc::clone(&known.verifier));
                let watching = Arc::new(Watching::new(strict, Arc::clone(&self.provider)));
                let connector = self.once(Arc::clone(&watching) as Arc<dyn ServerCertVerifier>)?;
                let name = name().unwrap_or_else(|_| nobody());
                let (stream, facts) = shake_hands(&connector, name, socket, host).await?;
                let doubt = watching.doubt().map(|error| Broken::of(&error, host));
                Ok(Secured { stream, facts, assurance: doubt.map_or(Assurance::Verified, Assurance::Doubtful) })
            }
            Trust::Dane(records) => {
                let dane = Arc::new(Dane::new(Arc::clone(records), Arc::clone(&self.provider)));
                let connector = self.once(Arc::clone(&dane) as Arc<dyn ServerCertVerifier>)?;
                // RFC 7672 §2.2.3: the name that the records are for.
                let name = server_name(&records.base).map_err(|error| Broken::other(error.to_string()))?;
                let (stream, facts) = shake_hands(&connector, name, socket, host).await?;
                let met = dane.met().ok_or_else(|| Broken::other("the certificate was not looked at".into()))?;
                Ok(Secured { stream, facts, assurance: Assurance::Dane(met) })
            }
        }
    }

    /// For one handshake. A session that is resumed shows no certificate, so that these never are.
    fn once(&self, verifier: Arc<dyn ServerCertVerifier>) -> Result<TlsConnector, Broken> {
        let mut config = config(&self.provider, verifier).map_err(|error| Broken::other(error.to_string()))?;
        config.resumption = Resumption::disabled();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// Where nobody insists on a name: better TLS without one than none because of it.
fn nobody() -> ServerName<'static> {
    ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into())
}

async fn shake_hands<S>(
    connector: &TlsConnector,
    name: ServerName<'static>,
    socket: S,
    host: &str,
) -> Result<(TlsStream<S>, TlsFacts), Broken>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // Boxed: the handshake's own state is large and short-lived.
    let stream = Box::pin(connector.connect(name, socket)).await.map_err(|error| in_words(&error, host))?;
    let facts = facts(stream.get_ref().1);
    Ok((stream, facts))
}

impl Assurance {
    /// Whether it is known who the host is.
    pub(crate) fn is_good(&self) -> bool {
        match self {
            Assurance::Verified | Assurance::Dane(_) => true,
            Assurance::Unchecked | Assurance::Doubtful(_) => false,
        }
    }
}

impl fmt::Display for Assurance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Assurance::Unchecked => f.write_str("certificate not checked"),
            Assurance::Verified => f.write_str("certificate verified"),
            Assurance::Doubtful(_) => f.write_str("certificate not verified"),
            Assurance::Dane(met) => write!(f, "certificate verified by DANE ({met})"),
        }
    }
}

impl Broken {
    /// Nothing about certificates.
    pub(crate) fn other(why: String) -> Broken {
        Broken { why, kind: FailureKind::ValidationFailure }
    }

    fn untrusted(why: String) -> Broken {
        Broken { why, kind: FailureKind::CertificateNotTrusted }
    }

    fn of(error: &rustls::Error, host: &str) -> Broken {
        match error {
            rustls::Error::InvalidCertificate(wrong) => about(wrong, host),
            other => Broken::other(other.to_string()),
        }
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

fn in_words(error: &io::Error, host: &str) -> Broken {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(inner) => Broken::of(inner, host),
        None => Broken::other(error.to_string()),
    }
}

/// What is wrong with a certificate, for people and for reports.
fn about(wrong: &CertificateError, host: &str) -> Broken {
    let (why, kind) = match wrong {
        CertificateError::Other(other) if other.0.downcast_ref::<Mismatch>().is_some() => {
            let mismatch = other.0.downcast_ref::<Mismatch>().unwrap_or(&Mismatch::Unmet);
            (mismatch.to_string(), mismatch.kind())
        }
        // An authority may be called like one that is trusted.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            format!("its certificate is from nobody whom this server trusts; {NAME_IT}"),
            FailureKind::CertificateNotTrusted,
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            (format!("its certificate is not for {host}"), FailureKind::CertificateHostMismatch)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("its certificate has expired".to_owned(), FailureKind::CertificateExpired)
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("its certificate is not valid yet".to_owned(), FailureKind::CertificateExpired)
        }
        // How webpki calls a certificate that its owner made and signed itself.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            (format!("its certificate is self-signed; {NAME_IT}"), FailureKind::CertificateNotTrusted)
        }
        other => (format!("its certificate cannot be verified: {other:?}"), FailureKind::ValidationFailure),
    };
    Broken { why, kind }
}

fn trusted(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Authorities, String> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let verifier = verifier.build().map_err(|error| error.to_string())?;
    let config = config(provider, Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>);
    let config = config.map_err(|error| error.to_string())?;
    Ok(Authorities { connector: TlsConnector::from(Arc::new(config)), verifier })
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
pub(super) fn roots(file: Option<&Path>) -> Result<RootCertStore, String> {
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
    let shown = connection.peer_certificates().and_then(<[_]>::first);
    TlsFacts {
        version,
        // rustls names the suites of TLS 1.3 with their version, IANA without.
        cipher: cipher.and_then(|suite| suite.as_str()).unwrap_or("unknown").replace("TLS13_", "TLS_"),
        group: connection.negotiated_key_exchange_group().and_then(|group| group.name().as_str().map(str::to_owned)),
        server_name: None,
        bindings: postroad_net::bindings(connection, shown.map(|der| &**der)),
        client: None,
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
        for (trust, shakes_hands) in [(Trust::Anybody, true), (Trust::Authorities, false), (Trust::Watched, true)] {
            let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
            let shaking = tls.secure(ours, "a\\032b.test", &trust);
            let hello = async move {
                let mut first = [0];
                tokio::io::AsyncReadExt::read_exact(&mut theirs, &mut first).await.is_ok_and(|_| first == [22])
            };
            let (shaken, said_hello) = tokio::join!(shaking, hello);
            assert!(shaken.is_err());
            assert_eq!(said_hello, shakes_hands, "{trust:?}");
        }
    }
}
