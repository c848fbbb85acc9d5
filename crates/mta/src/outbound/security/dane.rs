//! DANE: which TLSA records mean something to mail, and whether a certificate is what they say.
//!
//! 1. Usages 0 and 1 and everything unknown say nothing (RFC 7672 §3.1.3); records that all say nothing still demand TLS.
//! 2. Of several digests of one usage and selector only the strongest counts (RFC 7671 §9).
//! 3. Usage 3 is about the host's own key or certificate: names and dates in it are not looked at (RFC 7672 §3.1.1). Usage
//!    2 names an authority that the host sends along: the chain to it, its dates and the host's name have to be right
//!    (RFC 7672 §3.1.2).
//!
//! Nothing is asked of the DNS here.
//!
//! Standards: RFC 6698, RFC 7671, RFC 7672.

use std::fmt;

use aws_lc_rs::digest;
use postroad_dns::Tlsa;
use postroad_trust::tls_results::FailureKind;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;

/// Records that are looked at; a host with more than this has made a mistake.
const RECORDS_MAX: usize = 64;
/// Certificates of a chain that are looked at for an authority.
const CHAIN_MAX: usize = 16;

/// What a host's certificate must be: TLSA records that can be used, at least one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Records {
    /// The name that the records are for, and that is said in the handshake (RFC 7672 §2.2.3).
    pub(crate) base: String,
    /// Names of which a certificate under an authority must have one (RFC 7672 §3.2.2).
    names: Vec<String>,
    usable: Vec<Tlsa>,
}

/// Why a certificate is not what the records say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// No record is about this certificate or its chain.
    Unmet,
    /// An authority vouches for it that the records name, for another name.
    Name,
    /// An authority vouches for it that the records name, for another time.
    Time,
    /// An authority that the records name is in the chain, and does not vouch for the certificate.
    Chain(String),
}

impl Records {
    /// Of what the DNS has for a host; `None` when nothing of it can be used. `names`: how the host may be called.
    pub(crate) fn of(base: &str, names: &[&str], found: &[Tlsa]) -> Option<Records> {
        let mut usable: Vec<Tlsa> = found.iter().take(RECORDS_MAX).filter(|tlsa| is_usable(tlsa)).cloned().collect();
        let strongest = |like: &Tlsa, among: &[Tlsa]| {
            let alike = among.iter().filter(|other| (other.usage, other.selector) == (like.usage, like.selector));
            alike.map(|other| other.matching).max()
        };
        let all = usable.clone();
        usable.retain(|tlsa| tlsa.matching == FULL || Some(tlsa.matching) == strongest(tlsa, &all));
        usable.sort();
        usable.dedup();
        let mut names: Vec<String> = std::iter::once(&base).chain(names).map(|name| (*name).to_owned()).collect();
        names.dedup();
        (!usable.is_empty()).then(|| Records { base: base.to_owned(), names, usable })
    }

    /// Their parameters, such as `3 1 1, 2 0 1`.
    pub(crate) fn kinds(&self) -> String {
        let mut kinds: Vec<String> = self.usable.iter().map(kind).collect();
        kinds.dedup();
        kinds.join(", ")
    }

    /// Whether the certificate is what a record says: which, such as `3 1 1`.
    pub(crate) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<String, Mismatch> {
        if let Some(met) = self.usable.iter().filter(|tlsa| tlsa.usage == EE).find(|tlsa| is_met(tlsa, leaf)) {
            return Ok(kind(met));
        }
        let mut worst = Mismatch::Unmet;
        for tlsa in self.usable.iter().filter(|tlsa| tlsa.usage == TA) {
            let whole = (tlsa.selector == CERTIFICATE && tlsa.matching == FULL)
                .then(|| CertificateDer::from(tlsa.data.as_slice()));
            let sent = rest.iter().take(CHAIN_MAX).filter(|certificate| is_met(tlsa, certificate));
            // RFC 7671 §5.2.2: an authority that stands in the record as a whole need not be sent.
            for authority in sent.chain(whole.as_ref()) {
                match self.follows(leaf, rest, authority, now) {
                    Ok(()) => return Ok(kind(tlsa)),
                    Err(mismatch) => worst = mismatch,
                }
            }
        }
        Err(worst)
    }

    /// Whether the certificate leads to the authority and has one of the names.
    fn follows(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        authority: &CertificateDer<'_>,
        now: UnixTime,
    ) -> Result<(), Mismatch> {
        let anchor = webpki::anchor_from_trusted_cert(authority).map_err(|_| Mismatch::Unmet)?;
        let certificate = webpki::EndEntityCert::try_from(leaf).map_err(|error| Mismatch::of(&error))?;
        let (anchors, usage) = ([anchor], webpki::KeyUsage::server_auth());
        let algorithms = webpki::ALL_VERIFICATION_ALGS;
        let rest: Vec<CertificateDer<'_>> = rest.iter().take(CHAIN_MAX).cloned().collect();
        certificate
            .verify_for_usage(algorithms, &anchors, &rest, now, usage, None, None)
            .map_err(|error| Mismatch::of(&error))?;
        let mut names = self.names.iter().filter_map(|name| ServerName::try_from(name.as_str()).ok());
        match names.any(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok()) {
            true => Ok(()),
            false => Err(Mismatch::Name),
        }
    }
}

impl Mismatch {
    fn of(error: &webpki::Error) -> Mismatch {
        match error {
            webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => Mismatch::Time,
            other => Mismatch::Chain(format!("{other:?}").chars().take(80).collect()),
        }
    }

    /// As reports call it.
    pub(crate) fn kind(&self) -> FailureKind {
        match self {
            Mismatch::Unmet | Mismatch::Chain(_) => FailureKind::CertificateNotTrusted,
            Mismatch::Name => FailureKind::CertificateHostMismatch,
            Mismatch::Time => FailureKind::CertificateExpired,
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::Unmet => f.write_str("its certificate matches none of its TLSA records"),
            Mismatch::Name => {
                f.write_str("its certificate is by the authority of its TLSA records, and for another name")
            }
            Mismatch::Time => f.write_str(
                "its certificate is by the authority of its TLSA records, and has expired or is not valid yet",
            ),
            Mismatch::Chain(why) => {
                write!(f, "its certificate does not lead to the authority of its TLSA records ({why})")
            }
        }
    }
}

impl std::error::Error for Mismatch {}

/// Where the TLSA records of a host are. RFC 7672 §2.2.3.
pub(crate) fn owner(port: u16, base: &str) -> String {
    format!("_{port}._tcp.{base}")
}

/// A record as reports and people read it: `3 1 1 0123…`.
pub(crate) fn line(tlsa: &Tlsa) -> String {
    let data: String = tlsa.data.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("{} {data}", kind(tlsa))
}

fn kind(tlsa: &Tlsa) -> String {
    format!("{} {} {}", tlsa.usage, tlsa.selector, tlsa.matching)
}

fn is_usable(tlsa: &Tlsa) -> bool {
    let fits = match tlsa.matching {
        FULL => !tlsa.data.is_empty(),
        SHA_256 => tlsa.data.len() == 32,
        SHA_512 => tlsa.data.len() == 64,
        _ => false,
    };
    fits && matches!(tlsa.usage, TA | EE) && matches!(tlsa.selector, CERTIFICATE | KEY)
}

/// Whether the record is about this certificate.
fn is_met(tlsa: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    let key;
    let selected: &[u8] = match tlsa.selector {
        CERTIFICATE => certificate,
        KEY => match ParsedCertificate::try_from(certificate) {
            Ok(parsed) => {
                key = parsed.subject_public_key_info();
                &key
            }
            Err(_) => return false,
        },
        _ => return false,
    };
    match tlsa.matching {
        FULL => selected == tlsa.data,
        SHA_256 => digest::digest(&digest::SHA256, selected).as_ref() == tlsa.data,
        SHA_512 => digest::digest(&digest::SHA512, selected).as_ref() == tlsa.data,
        _ => false,
    }
}

// RFC 7218: the numbers' names.
const TA: u8 = 2;
const EE: u8 = 3;
const CERTIFICATE: u8 = 0;
const KEY: u8 = 1;
const FULL: u8 = 0;
const SHA_256: u8 = 1;
const SHA_512: u8 = 2;

#[cfg(test)]
#[path = "dane_tests.rs"]
mod tests;
