//! What a chain in PEM says.

use std::time::SystemTime;

use postroad_net::{CertificateFacts, Kept};
use postroad_store::Timestamp;
use postroad_trust::certificates::{NewCertificate, NewKey, Origin};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::keys::import_key;

/// A chain with its key (PKCS#8), looked at: the key belongs to it, and it is for names. Errors: what is wrong, in words.
pub fn parse(chain: &str, key: &[u8], origin: Origin, directory: &str) -> Result<NewCertificate, String> {
    if chain.len() > CHAIN_MAX {
        return Err("the chain is larger than any chain".into());
    }
    let facts = Kept { chain: chain.to_owned(), key: key.to_vec() }.check().map_err(|error| error.to_string())?;
    let leaf = leaf(chain).ok_or("the chain holds no certificate in PEM form")?;
    let (_, certificate) =
        X509Certificate::from_der(&leaf).map_err(|_| "the first certificate is not X.509 as expected")?;
    let names: Vec<String> = facts.names.iter().map(|name| name.to_ascii_lowercase()).collect();
    if names.is_empty() {
        return Err("the certificate is for no name (subjectAltName), and clients look at nothing else".into());
    }
    let CertificateFacts { not_before, not_after, .. } = facts;
    Ok(NewCertificate {
        names,
        chain: chain.to_owned(),
        origin,
        directory: directory.to_owned(),
        serial: certificate.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
        not_before: timestamp(not_before),
        not_after: timestamp(not_after),
    })
}

/// What the first certificate of a chain says.
pub fn facts(chain: &str) -> Option<CertificateFacts> {
    CertificateFacts::of(&leaf(chain)?, SystemTime::UNIX_EPOCH)
}

/// A chain (PEM) with its key (PKCS#8, PKCS#1 or SEC1 in DER) that somebody brings. Errors: what is wrong, in words.
pub fn import(chain: &str, key: &[u8]) -> Result<(NewKey, NewCertificate), String> {
    let key = PrivateKeyDer::try_from(key).map_err(|error| format!("the key cannot be used: {error}"))?;
    let key = import_key(&key)?;
    let new = parse(chain, key.pkcs8.expose(), Origin::Imported, "")?;
    Ok((key, new))
}

/// The certificate itself, in DER.
pub(crate) fn leaf(chain: &str) -> Option<CertificateDer<'static>> {
    certificates(chain).into_iter().next()
}

/// The certificate and its issuers, in DER.
pub(crate) fn certificates(chain: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(chain.as_bytes()).filter_map(Result::ok).take(ISSUERS_MAX).collect()
}

/// The SubjectPublicKeyInfo of a certificate, in DER.
pub(crate) fn public_key(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.public_key().raw.to_vec())
}

fn timestamp(time: SystemTime) -> Timestamp {
    let micros = |duration: std::time::Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => Timestamp(micros(since)),
        Err(before) => Timestamp(-micros(before.duration())),
    }
}

/// Octets of a chain.
const CHAIN_MAX: usize = 256 * 1024;
/// Certificates of a chain that are looked at.
const ISSUERS_MAX: usize = 10;
