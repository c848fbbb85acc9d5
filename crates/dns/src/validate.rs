//! What the validator says of an answer, in our words.
//!
//! The validator checks every signature; here stands only what follows from its marks, and one proof that it does not
//! see: it calls each answer bogus that was expanded from a wildcard in a zone with NSEC, because it looks for a record
//! that denies the wildcard itself, which exists. The proof that is needed (RFC 4035 §5.3.4) is then read from the same
//! verified records.
//!
//! An alias made by a DNAME (RFC 6672) is not signed and comes out as bogus: such names cannot be looked up with
//! validation of our own, and the error says so.

use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, NSEC};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::sync::Arc;

use crate::chain::{Chain, is_expanded};
use crate::{Error, Security};

/// Checks signatures down from the trust anchor.
pub(crate) struct Validator {
    handle: DnssecDnsHandle<Chain>,
}

impl Validator {
    pub(crate) fn new(chain: Chain, anchors: TrustAnchors) -> Validator {
        Validator { handle: DnssecDnsHandle::with_trust_anchor(chain, Arc::new(anchors)) }
    }

    /// An answer of one step, with what is proven of it.
    pub(crate) async fn ask(&self, name: &Name, kind: RecordType) -> Result<(DnsResponse, Security), Checked> {
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_set_dnssec_ok = true;
        match self.handle.lookup(Query::query(name.clone(), kind), options).first_answer().await {
            Ok(response) => judge(response, name, kind),
            Err(NetError::Dns(DnsError::Nsec { response, proof, .. })) => match proof {
                // Too many iterations, or a range without signatures (RFC 9276 §3.2, RFC 5155 §6).
                Proof::Insecure => Ok((*response, Security::Insecure)),
                Proof::Secure | Proof::Bogus | Proof::Indeterminate => match is_proven_expansion(&response, name) {
                    true => Ok((*response, Security::Secure)),
                    false => Err(Checked::Failed(bogus(&response, name, kind))),
                },
            },
            Err(NetError::Dns(DnsError::DnssecBogus)) => Err(Checked::Failed(forged(name, kind))),
            Err(error) => Err(Checked::Lost(error)),
        }
    }
}

/// Why there is nothing proven.
pub(crate) enum Checked {
    /// What came is not to be trusted.
    Failed(Error),
    /// Nothing came.
    Lost(NetError),
}

fn judge(response: DnsResponse, name: &Name, kind: RecordType) -> Result<(DnsResponse, Security), Checked> {
    let of_interest = |record: &&Record| record.record_type() != RecordType::RRSIG;
    let mut answers = response.answers.iter().filter(of_interest).peekable();
    if answers.peek().is_none() {
        let security = if has_proof(&response) { Security::Secure } else { Security::Insecure };
        return Ok((response, security));
    }
    let mut security = Security::Secure;
    for record in answers {
        match record.proof {
            Proof::Secure => {}
            Proof::Insecure => security = Security::Insecure,
            Proof::Bogus | Proof::Indeterminate => return Err(Checked::Failed(bogus(&response, name, kind))),
        }
    }
    // The validator does not ask for the proof when all that came with the answer is of unsigned zones.
    let is_expanded = response.answers.iter().any(is_expanded);
    match security == Security::Secure && is_expanded && !has_proof(&response) {
        true => Err(Checked::Failed(bogus(&response, name, kind))),
        false => Ok((response, security)),
    }
}

/// Whether a verified record says what does not exist.
fn has_proof(response: &DnsResponse) -> bool {
    response.authorities.iter().any(|record| {
        record.proof == Proof::Secure && matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3)
    })
}

fn bogus(response: &DnsResponse, name: &Name, kind: RecordType) -> Error {
    match response.answers.iter().any(|record| record.record_type() == RecordType::DNAME) {
        true => Error::Bogus(format!(
            "{name} {kind} is below a DNAME, which our own validation cannot follow; use a validating resolver on this machine"
        )),
        false => forged(name, kind),
    }
}

fn forged(name: &Name, kind: RecordType) -> Error {
    Error::Bogus(format!(
        "the DNSSEC signatures for {name} {kind} do not hold: they are missing, expired or of another key, or the proof of \
         what does not exist is incomplete"
    ))
}

/// RFC 4035 §5.3.4: records that a wildcard stood for, with verified NSEC records of the same zone that say that there is
/// neither the name itself nor a closer wildcard.
fn is_proven_expansion(response: &DnsResponse, name: &Name) -> bool {
    let mut signatures = response.answers.iter().filter(|record| is_expanded(record) && &record.name == name);
    let records_hold = response
        .answers
        .iter()
        .filter(|record| record.record_type() != RecordType::RRSIG)
        .all(|record| record.proof == Proof::Secure && &record.name == name);
    let Some(RData::DNSSEC(DNSSECRData::RRSIG(signature))) = signatures.next().map(|record| &record.data) else {
        return false;
    };
    let input = signature.input();
    records_hold
        && response.authorities.iter().filter(|record| record.proof == Proof::Secure).any(|record| {
            nsec(record).is_some_and(|nsec| {
                let in_zone =
                    input.signer_name.zone_of(&record.name) && input.signer_name.zone_of(nsec.next_domain_name());
                in_zone
                    && signed_by(response, record, &input.signer_name)
                    && closest_encloser(&record.name, nsec, name).is_some_and(|labels| labels == input.num_labels)
            })
        })
}

/// Whether the signature over this NSEC record is of that zone's key.
fn signed_by(response: &DnsResponse, nsec: &Record, zone: &Name) -> bool {
    response.authorities.iter().any(|record| {
        record.name == nsec.name
            && matches!(&record.data, RData::DNSSEC(DNSSECRData::RRSIG(signature))
                if signature.input().type_covered == RecordType::NSEC && &signature.input().signer_name == zone)
    })
}

/// Labels of the closest name above that exists, when the record says that the name itself does not. RFC 4034 §6.1 for the
/// order of names.
fn closest_encloser(owner: &Name, nsec: &NSEC, name: &Name) -> Option<u8> {
    let next = nsec.next_domain_name();
    // RFC 6840 §4.1: the parent's record at a delegation says nothing of what is below it.
    let is_above_cut = nsec.is_ancestor_delegation() && owner.zone_of(name);
    let is_below_alias = nsec.type_set().contains(RecordType::DNAME) && owner.zone_of(name);
    // The last record of a zone leads back to its first.
    let is_covered = name > owner && (name < next || (next <= owner && next.zone_of(name)));
    // A name that has names below it exists.
    let exists = name.zone_of(next);
    (is_covered && !is_above_cut && !is_below_alias && !exists).then(|| shared(owner, name).max(shared(next, name)))
}

/// How many labels both end in.
fn shared(one: &Name, other: &Name) -> u8 {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    let same = one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count();
    // A name has at most 127 labels.
    u8::try_from(same).unwrap_or(u8::MAX)
}

fn nsec(record: &Record) -> Option<&NSEC> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::NSEC(nsec)) => Some(nsec),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    #[test]
    fn the_closest_name_that_exists() {
        use RecordType::{A, DNAME, NS, SOA};
        let cases = [
            ("a.example.", "c.example.", A, "b.example.", Some(1)),
            ("a.example.", "c.example.", A, "x.B.example.", Some(1)),
            ("a.b.example.", "c.example.", A, "z.b.example.", Some(2)),
            ("a.example.", "x.b.example.", A, "c.b.example.", Some(2)),
            ("a.example.", "c.example.", A, "c.example.", None),
            ("a.example.", "c.example.", A, "d.example.", None),
            ("a.example.", "c.example.", A, "a.example.", None),
            // The last of the zone.
            ("z.example.", "example.", A, "zz.example.", Some(1)),
            ("z.example.", "example.", A, "zz.other.", None),
            // A name between two labels exists, without records.
            ("a.example.", "c.b.example.", A, "b.example.", None),
            ("a.example.", "c.example.", NS, "b.a.example.", None),
            ("a.example.", "c.example.", DNAME, "b.a.example.", None),
        ];
        for (owner, next, kind, asked, expected) in cases {
            let nsec = NSEC::new(name(next), [kind]);
            assert_eq!(closest_encloser(&name(owner), &nsec, &name(asked)), expected, "{owner} {next} {asked}");
        }
        let apex = NSEC::new(name("c.example."), [NS, SOA]);
        assert_eq!(closest_encloser(&name("example."), &apex, &name("b.example.")), Some(1));
    }
}
