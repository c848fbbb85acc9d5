//! A certificate of our own making, so that a trial has TLS before anybody issues one.

use std::path::Path;
use std::time::SystemTime;

use crate::{CertificateFiles, Error};

/// The certificate in `folder` for these names; made when there is none, when it is for other names or when it runs
/// out within 30 days. The key is readable by this user alone.
pub fn self_made(folder: &Path, names: &[String], now: SystemTime) -> Result<CertificateFiles, Error> {
    let _ = (folder, names, now);
    unimplemented!()
}
