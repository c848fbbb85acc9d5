//! What a certificate says, for the administrator.

use std::time::SystemTime;

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The DNS names and addresses it is for.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: String,
    /// Valid from.
    pub not_before: SystemTime,
    /// Valid until.
    pub not_after: SystemTime,
    /// Whole days left; negative once it has expired.
    pub days_left: i64,
    /// It vouches for itself, so that clients must be told to trust it.
    pub self_signed: bool,
}
