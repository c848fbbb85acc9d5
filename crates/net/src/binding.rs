//! Channel bindings: what an authentication can be tied to a TLS connection by, so that it is worth nothing on another.
//!
//! Standards: RFC 5929 §4 (tls-server-end-point), RFC 9266 §4.2 (tls-exporter). `tls-unique` is not made: TLS 1.3 has none, and
//! in 1.2 it can be forged without an extension that nothing tells us of.

use aws_lc_rs::digest;
use postroad_protocol::Bindings;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ConnectionCommon, ProtocolVersion};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The bindings of a connection whose server has shown this certificate (DER).
pub fn bindings<D>(connection: &ConnectionCommon<D>, certificate: Option<&[u8]>) -> Bindings {
    // RFC 9266 §4.2 wants the extended master secret in TLS 1.2, and nothing tells whether there is one.
    let exporter = (connection.protocol_version() == Some(ProtocolVersion::TLSv1_3))
        .then(|| connection.export_keying_material([0; 32], EXPORTER, Some(b"")).ok())
        .flatten();
    Bindings { exporter, end_point: certificate.and_then(end_point) }
}

/// The hash of a server's certificate, by the hash that it is signed with. RFC 5929 §4.1: MD5 and SHA-1 count as SHA-256, and for
/// a signature without a hash of its own (Ed25519) there is no binding.
pub fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let signature = parsed.signature_algorithm.algorithm.to_id_string();
    let (_, algorithm) = SIGNATURES.iter().find(|(oid, _)| *oid == signature)?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

/// SHA-256 of a certificate.
pub(crate) fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
    out
}

/// SHA-256 of the first certificate in PEM text.
pub fn fingerprint_of_pem(pem: &[u8]) -> Option<[u8; 32]> {
    CertificateDer::from_pem_slice(pem).ok().map(|der| fingerprint(&der))
}

const EXPORTER: &[u8] = b"EXPORTER-Channel-Binding";

/// What certificates are signed with, by object identifier.
static SIGNATURES: [(&str, &digest::Algorithm); 9] = [
    ("1.2.840.113549.1.1.4", &digest::SHA256),
    ("1.2.840.113549.1.1.5", &digest::SHA256),
    ("1.2.840.113549.1.1.11", &digest::SHA256),
    ("1.2.840.113549.1.1.12", &digest::SHA384),
    ("1.2.840.113549.1.1.13", &digest::SHA512),
    ("1.2.840.10045.4.1", &digest::SHA256),
    ("1.2.840.10045.4.3.2", &digest::SHA256),
    ("1.2.840.10045.4.3.3", &digest::SHA384),
    ("1.2.840.10045.4.3.4", &digest::SHA512),
];

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

    fn certificate(algorithm: &'static SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let params = CertificateParams::new(["mail.example.test".to_owned()]).expect("a name");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        for (algorithm, octets) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
            (&rcgen::PKCS_ED25519, None),
        ] {
            let der = certificate(algorithm);
            assert_eq!(end_point(&der).map(|hash| hash.len()), octets, "{algorithm:?}");
            assert_eq!(octets == Some(32), end_point(&der).as_deref() == Some(&fingerprint(&der)[..]));
        }
        assert_eq!(end_point(b"no certificate"), None);
    }
}
