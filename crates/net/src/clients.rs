//! Certificates of clients: asked for where a listener wants that, never demanded.
//!
//! A client proves in the handshake that it has the key, whoever made its certificate; what the certificate is worth is said
//! by [`ClientCertificate::trusted`] here and by whoever has pinned it elsewhere. Standards: RFC 8446 §4.4.2, RFC 5280 §4.2.1.6.

use std::path::Path;
use std::sync::Arc;

use postroad_protocol::ClientCertificate;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConnection, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::Error;
use crate::binding::fingerprint;

/// The authorities that are believed about clients.
#[derive(Debug, Clone)]
pub struct ClientAuthorities(Arc<dyn ClientCertVerifier>);

impl ClientAuthorities {
    /// Those in a PEM file.
    pub fn read(path: &Path) -> Result<ClientAuthorities, Error> {
        let failed = |why: String| Error::Tls(format!("{}: {why}", path.display()));
        let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        ClientAuthorities::of(&pem).map_err(failed)
    }

    /// Those in PEM. Errors: what is wrong with them.
    pub fn of(pem: &[u8]) -> Result<ClientAuthorities, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| error.to_string())?;
            roots.add(certificate).map_err(|error| error.to_string())?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        Ok(ClientAuthorities(verifier.map_err(|error| error.to_string())?))
    }

    fn vouch_for(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some((own, issuers)) = chain.split_first() else { return false };
        self.0.verify_client_cert(own, issuers, UnixTime::now()).is_ok()
    }
}

/// What the client's certificate says, if it showed one.
pub(crate) fn shown(
    connection: &ServerConnection,
    trust: Option<&ClientAuthorities>,
) -> Option<Box<ClientCertificate>> {
    let chain = connection.peer_certificates()?;
    let own = chain.first()?;
    // A handshake that was resumed does not look at the certificate again; here it is done each time.
    let trusted = trust.is_some_and(|trust| trust.vouch_for(chain));
    let addresses = addresses(own).unwrap_or_default();
    Some(Box::new(ClientCertificate { fingerprint: fingerprint(own), addresses, trusted }))
}

fn addresses(certificate: &[u8]) -> Option<Vec<String>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    let address = |name: &GeneralName<'_>| match name {
        GeneralName::RFC822Name(address) => Some((*address).to_owned()),
        _ => None,
    };
    Some(names.value.general_names.iter().filter_map(address).take(ADDRESSES_MAX).collect())
}

/// Takes any certificate whose key the client has.
#[derive(Debug)]
pub(crate) struct AnyClient(WebPkiSupportedAlgorithms);

impl AnyClient {
    pub(crate) fn new() -> AnyClient {
        AnyClient(aws_lc_rs::default_provider().signature_verification_algorithms)
    }
}

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Most addresses of a certificate that are kept.
const ADDRESSES_MAX: usize = 16;
