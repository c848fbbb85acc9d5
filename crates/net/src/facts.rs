//! What a certificate says, for the administrator and for choosing by name.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The DNS names and addresses it is for (subjectAltName; clients look at nothing else, RFC 6125 §6.4.4).
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

impl CertificateFacts {
    /// What this certificate (DER) says; None when it is not one.
    pub fn of(der: &[u8], now: SystemTime) -> Option<CertificateFacts> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let alternative = certificate.subject_alternative_name().ok()?;
        let names = alternative.iter().flat_map(|names| &names.value.general_names).filter_map(name).collect();
        let not_after = time(certificate.validity().not_after);
        let seconds = match not_after.duration_since(now) {
            Ok(left) => i64::try_from(left.as_secs()).ok()?,
            Err(over) => -i64::try_from(over.duration().as_secs()).ok()?,
        };
        Some(CertificateFacts {
            names,
            issuer: certificate.issuer().to_string(),
            not_before: time(certificate.validity().not_before),
            not_after,
            days_left: seconds.div_euclid(SECONDS_A_DAY),
            self_signed: certificate.issuer().as_raw() == certificate.subject().as_raw(),
        })
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn time(time: ASN1Time) -> SystemTime {
    let seconds = Duration::from_secs(time.timestamp().unsigned_abs());
    if time.timestamp() < 0 { SystemTime::UNIX_EPOCH - seconds } else { SystemTime::UNIX_EPOCH + seconds }
}

const SECONDS_A_DAY: i64 = 24 * 3600;
