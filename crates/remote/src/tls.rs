//! TLS to other servers: their certificate is verified for the name that was asked for, by the system's authorities or by
//! those that were named. Not verifying has to be asked for, and is said.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::{Error, Result};

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// Those that the system trusts.
    #[default]
    System,
    /// Those in a PEM file.
    File(PathBuf),
    /// These, in PEM.
    Pem(String),
    /// Any.
    Anybody,
}

/// What handshakes need.
pub fn connector(trust: &Trust) -> Result<TlsConnector> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| Error::Here(error.to_string()))?;
    let config = match trust {
        Trust::System => builder.with_root_certificates(roots(&system()?)?),
        Trust::File(path) => builder.with_root_certificates(roots(path)?),
        Trust::Pem(text) => builder.with_root_certificates(parsed(text.as_bytes(), "the certificate")?),
        Trust::Anybody => builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider))),
    };
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}

/// The host as certificates name it.
pub fn server_name(host: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).map_err(|error| Error::User(format!("{host} is no name of a host: {error}")))
}

fn system() -> Result<PathBuf> {
    SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
        Error::User("the system has no file of authorities; install ca-certificates or name one with --ca".into())
    })
}

fn roots(path: &Path) -> Result<RootCertStore> {
    let bytes =
        std::fs::read(path).map_err(|error| Error::User(format!("{} cannot be read: {error}", path.display())))?;
    parsed(&bytes, &path.display().to_string())
}

fn parsed(bytes: &[u8], name: &str) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (taken, _) =
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(bytes).filter_map(std::result::Result::ok));
    match taken {
        0 => Err(Error::User(format!("{name} holds no certificate in PEM form"))),
        _ => Ok(roots),
    }
}

/// Believes anybody; signatures of the handshake are still checked.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
