//! How the certificate of a next host is looked at during the handshake: not at all, by authorities without insisting, or
//! by TLSA records. (Insisting on authorities is rustls' own.)
//!
//! Standards: RFC 7435 §3 (opportunistic security), RFC 7672 (DANE), RFC 8461 §5.1 (testing).

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};

use super::dane::Records;

/// Takes any certificate, also one that cannot be parsed (old appliances have version 1). RFC 7435 §3: against who
/// only listens that is enough, and refusing would mean clear text. A signature by a key that anybody may have made
/// proves nothing, so it is not looked at either.
#[derive(Debug)]
pub(crate) struct Unverified(pub(crate) Arc<CryptoProvider>);

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

/// Takes any certificate, and remembers what would have been wrong with it.
#[derive(Debug)]
pub(crate) struct Watching {
    /// `None`: there are no authorities; nobody can say.
    strict: Option<Arc<WebPkiServerVerifier>>,
    any: Unverified,
    doubt: Mutex<Option<rustls::Error>>,
}

impl Watching {
    pub(crate) fn new(strict: Option<Arc<WebPkiServerVerifier>>, provider: Arc<CryptoProvider>) -> Watching {
        Watching { strict, any: Unverified(provider), doubt: Mutex::default() }
    }

    /// What was wrong.
    pub(crate) fn doubt(&self) -> Option<rustls::Error> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note<T>(&self, verified: Result<T, rustls::Error>, instead: T) -> Result<T, rustls::Error> {
        verified.or_else(|error| {
            self.doubt.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            Ok(instead)
        })
    }
}

impl ServerCertVerifier for Watching {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = match &self.strict {
            Some(strict) => strict.verify_server_cert(leaf, issuers, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        self.note(verified, ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.any.0.signature_verification_algorithms;
        self.note(verify_tls12_signature(message, leaf, signed, algorithms), HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.any.0.signature_verification_algorithms;
        self.note(verify_tls13_signature(message, leaf, signed, algorithms), HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.any.supported_verify_schemes()
    }
}

/// Takes what TLSA records name, and nothing else.
#[derive(Debug)]
pub(crate) struct Dane {
    records: Arc<Records>,
    provider: Arc<CryptoProvider>,
    met: Mutex<Option<String>>,
}

impl Dane {
    pub(crate) fn new(records: Arc<Records>, provider: Arc<CryptoProvider>) -> Dane {
        Dane { records, provider, met: Mutex::default() }
    }

    /// Which record was met, such as `3 1 1`.
    pub(crate) fn met(&self) -> Option<String> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Dane {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.records.verify(leaf, issuers, now) {
            Ok(met) => {
                *self.met.lock().unwrap_or_else(PoisonError::into_inner) = Some(met);
                Ok(ServerCertVerified::assertion())
            }
            Err(mismatch) => Err(CertificateError::Other(OtherError(Arc::new(mismatch))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
