//! Certificates from files, chosen by the name that the client asks for, reloaded when the files change.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::{CertificateFacts, Error, Stop};

/// Where a certificate is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: our certificate, then its issuers.
    pub chain: PathBuf,
    /// PEM: the private key (PKCS#8, PKCS#1 or SEC1, not encrypted).
    pub key: PathBuf,
}

/// The certificates in use. Handshakes look at them without waiting; [`Certificates::watch`] renews them.
#[derive(Debug)]
pub struct Certificates {}

impl Certificates {
    /// Loads all; the first is the default, for clients that ask for no name or for one we do not have.
    pub fn load(files: Vec<CertificateFiles>) -> Result<Arc<Certificates>, Error> {
        let _ = files;
        unimplemented!()
    }

    /// Looks after the files until the stop and reloads those that change. A broken new file keeps the old
    /// certificate in use and is logged with what to do.
    pub async fn watch(&self, every: Duration, stop: Stop) {
        let _ = (every, stop);
        unimplemented!()
    }

    /// What `check` shows: one entry for each certificate, the default first.
    pub fn facts(&self, now: SystemTime) -> Vec<CertificateFacts> {
        let _ = now;
        unimplemented!()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let _ = hello;
        unimplemented!()
    }
}
