//! An authority of the test's own, and certificates by it.

use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::hash::HashAlgorithm;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;

/// Who signs certificates; whoever trusts it trusts them.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "Authority of a test");
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate can be made");
        Authority { issuer }
    }

    /// Its own certificate as PEM: what is to be trusted.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for these host names or addresses.
    pub fn issue(&self, names: &[&str]) -> Pair {
        self.issue_in(names, (1975, 4096))
    }

    /// One that is valid from the first day of a year to the first day of another.
    pub fn issue_in(&self, names: &[&str], (from, until): (i32, i32)) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("good names");
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        let key = KeyPair::generate().expect("a key can be made");
        let made = params.signed_by(&key, &self.issuer).expect("a certificate can be made");
        Pair { chain: made.pem() + &self.issuer.pem(), key: key.serialize_pem() }
    }
}

/// A certificate that vouches for itself.
pub fn self_signed(names: &[&str]) -> Pair {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let params = CertificateParams::new(names).expect("good names");
    let key = KeyPair::generate().expect("a key can be made");
    let made = params.self_signed(&key).expect("a certificate can be made");
    Pair { chain: made.pem(), key: key.serialize_pem() }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// A certificate with its chain, and its key, both as PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate, then who signed it.
    pub chain: String,
    /// The private key.
    pub key: String,
}

impl Pair {
    /// Writes both into one file, as Postfix takes it.
    pub fn write(&self, file: &Path) {
        std::fs::write(file, format!("{}{}", self.key, self.chain)).expect("the folder can be written");
    }

    /// The SHA-256 of the certificate's key (SubjectPublicKeyInfo): what a TLSA record `3 1 1` has.
    pub fn key_digest(&self) -> Vec<u8> {
        let leaf = self.ders().remove(0);
        let parsed = ParsedCertificate::try_from(&leaf).expect("our own certificate");
        sha256(&parsed.subject_public_key_info())
    }

    /// The SHA-256 of who signed it: what a TLSA record `2 0 1` has.
    pub fn authority_digest(&self) -> Vec<u8> {
        sha256(&self.ders()[1])
    }

    fn ders(&self) -> Vec<CertificateDer<'static>> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect();
        chain.expect("our own PEM")
    }

    /// What a TLS server needs to be this.
    pub(crate) fn server(&self) -> Arc<rustls::ServerConfig> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("our own PEM");
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has both versions")
            .with_no_client_auth()
            .with_single_cert(chain.expect("our own PEM"), key)
            .expect("the key is the certificate's");
        Arc::new(config)
    }
}

fn sha256(octets: &[u8]) -> Vec<u8> {
    let provider = aws_lc_rs::default_provider();
    let suite = provider.cipher_suites.iter().find_map(|suite| match suite {
        SupportedCipherSuite::Tls13(suite) if suite.common.hash_provider.algorithm() == HashAlgorithm::SHA256 => {
            Some(suite.common.hash_provider)
        }
        _ => None,
    });
    suite.expect("every provider has SHA-256").hash(octets).as_ref().to_vec()
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pair")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run;

    #[test]
    fn openssl_follows_the_chain_to_its_authority() {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new();
        let place = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(place("ca.pem"), authority.pem()).expect("written");
        std::fs::write(place("stranger.pem"), Authority::new().pem()).expect("written");
        authority.issue(&["mx.there.test"]).write(Path::new(&place("mx.pem")));
        let verify = |trusted: &str| {
            run(
                "openssl",
                &["verify", "-CAfile", &place(trusted), "-verify_hostname", "mx.there.test", &place("mx.pem")],
                b"",
            )
        };
        assert!(verify("ca.pem").success, "{:?}", verify("ca.pem"));
        assert!(!verify("stranger.pem").success);
    }
}
