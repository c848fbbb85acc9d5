//! The TLS that all listeners speak: versions 1.2 and 1.3, post-quantum key exchange first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use postroad_protocol::TlsFacts;
use rustls::crypto::aws_lc_rs;
use rustls::server::ServerSessionMemoryCache;
use rustls::sign::CertifiedKey;
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use tokio_rustls::TlsAcceptor;

use crate::binding::bindings;
use crate::clients::{self, AnyClient, ClientAuthorities};
use crate::{Certificates, Challenges, Error};

/// What a handshake needs. Clones share it.
#[derive(Clone)]
pub struct Tls {
    plain: Arc<ServerConfig>,
    with_alpn: Arc<Mutex<ByAlpn>>,
    challenges: Option<Arc<dyn Challenges>>,
    /// Who is believed about clients, where they are asked for certificates.
    clients: Option<ClientAuthorities>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("answers", &self.challenges.is_some()).finish_non_exhaustive()
    }
}

type ByAlpn = HashMap<Vec<Vec<u8>>, Arc<ServerConfig>>;

impl Tls {
    /// TLS with these certificates, whichever they are at the time of each handshake.
    pub fn new(certificates: Arc<Certificates>) -> Result<Tls, Error> {
        let failed = |error: rustls::Error| Error::Tls(error.to_string());
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(failed)?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        // Resumption by tickets costs us no memory; the cache serves clients without tickets.
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(failed)?;
        config.session_storage = ServerSessionMemoryCache::new(CACHED_SESSIONS);
        // One ticket is enough for protocols that keep one connection; each costs a write per handshake.
        config.send_tls13_tickets = 1;
        Ok(Tls { plain: Arc::new(config), with_alpn: Arc::default(), challenges: None, clients: None })
    }

    /// Authorities that look over TLS whether a name is ours are answered too (TLS-ALPN-01), on every listener where TLS comes
    /// first.
    pub fn with_challenges(self, challenges: Arc<dyn Challenges>) -> Tls {
        Tls { challenges: Some(challenges), ..self }
    }

    /// The same, but clients are asked for certificates; none need have one. With authorities, the addresses in those that they
    /// vouch for are believed.
    pub fn asking_clients(&self, authorities: Option<ClientAuthorities>) -> Result<Tls, Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(self.plain.crypto_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| Error::Tls(error.to_string()))?
            .with_client_cert_verifier(Arc::new(AnyClient::new()))
            .with_cert_resolver(Arc::clone(&self.plain.cert_resolver));
        // With tickets of its own: none that was given without the question may answer it.
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| Error::Tls(error.to_string()))?;
        config.session_storage = ServerSessionMemoryCache::new(CACHED_SESSIONS);
        config.send_tls13_tickets = 1;
        let (plain, with_alpn) = (Arc::new(config), Arc::default());
        Ok(Tls { plain, with_alpn, challenges: self.challenges.clone(), clients: authorities })
    }

    pub(crate) fn clients(&self) -> Option<&ClientAuthorities> {
        self.clients.as_ref()
    }

    pub(crate) fn challenges(&self) -> Option<&Arc<dyn Challenges>> {
        self.challenges.as_ref()
    }

    pub(crate) fn acceptor(&self, alpn: &[Vec<u8>]) -> TlsAcceptor {
        TlsAcceptor::from(self.config(alpn))
    }

    pub(crate) fn config(&self, alpn: &[Vec<u8>]) -> Arc<ServerConfig> {
        if alpn.is_empty() {
            return Arc::clone(&self.plain);
        }
        // One entry for each listener's setting: bounded by the settings file.
        let mut known = self.with_alpn.lock().unwrap_or_else(PoisonError::into_inner);
        let config = known.entry(alpn.to_vec()).or_insert_with(|| {
            let mut config = ServerConfig::clone(&self.plain);
            config.alpn_protocols = alpn.to_vec();
            Arc::new(config)
        });
        Arc::clone(config)
    }
}

/// What the handshake established, for sessions, logs and Received lines.
pub(crate) fn facts(connection: &ServerConnection, shown: Option<&CertifiedKey>, tls: &Tls) -> TlsFacts {
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
        // Outlook for the Mac asks for names with a trailing dot.
        server_name: connection.server_name().map(|name| name.trim_end_matches('.').to_owned()),
        bindings: bindings(connection, shown.and_then(|shown| shown.cert.first()).map(|der| &**der)),
        client: clients::shown(connection, tls.clients()),
    }
}

/// Sessions kept for clients that resume without tickets.
const CACHED_SESSIONS: usize = 4_096;
