//! TLSA records of our keys: what they should be, what DNS says, and when a new key may be used.
//!
//! A sender that goes by TLSA records (DANE) refuses a certificate whose key they do not name. So the next key is made and
//! named long before it is used: it waits until DNS shows it, and until twice the records' lifetime has passed since
//! (RFC 7671 §8.1: whoever keeps the old records has forgotten them by then). Where no TLSA records are published, nothing waits.

use aws_lc_rs::digest;
use postroad_dns::records::{Data, Record, Type};
use postroad_dns::update::Update;
use postroad_dns::{Answer, Error as DnsError};
use postroad_store::ReadTx;
use postroad_trust::certificates::{self, Certificate, Key, KeyRole, Line};

use super::chain::{certificates as ders, public_key};
use super::keys::sha256;
use super::takers::{Takers, complain, is_named};
use super::{Keeper, Zone};

pub use postroad_dns::Tlsa;

/// The TLSA records that should stand for a name, for each port with TLS: 3 1 1 of the current key and of the next one.
/// Empty when no certificate of this name is kept here. RFC 7671 §8.4, RFC 7672 §3.1.1.
pub fn tlsa(tx: &ReadTx, name: &str) -> certificates::Result<Vec<Tlsa>> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let Some(line) = certificates::lines(tx)?.into_iter().find(|line| line.names.contains(&name)) else {
        return Ok(Vec::new());
    };
    Ok(of_keys(&certificates::keys(tx, Some(&line.name))?))
}

fn of_keys(keys: &[Key]) -> Vec<Tlsa> {
    let mut keys: Vec<&Key> = keys.iter().collect();
    keys.sort_by_key(|key| key.role != KeyRole::Current);
    keys.iter().map(|key| Tlsa { usage: 3, selector: 1, matching: 1, data: key.spki.clone() }).collect()
}

/// What DNS says for the names of a line.
#[derive(Debug, Default)]
struct Seen {
    /// Names with TLSA records, and these.
    sets: Vec<(String, Answer<Tlsa>)>,
    /// DNS does not answer for one of them.
    is_unsure: bool,
}

impl Keeper {
    /// Looks at the TLSA records of a line: tells when they do not name what we show, remembers since when the next key is
    /// seen, publishes where that is wanted.
    pub(super) async fn dane(&self, line: &Line, current: Option<&Certificate>) -> Result<(), certificates::Error> {
        let Some(certificate) = current else { return Ok(()) };
        let keys = match self.both_keys(line).await {
            Ok(keys) => keys,
            Err(failure) => {
                tracing::warn!(line = line.name, problem = failure.problem, "the next key cannot be made");
                return Ok(());
            }
        };
        let seen = self.seen(line).await;
        let chain: Vec<Vec<u8>> = ders(&certificate.chain).into_iter().map(|der| der.to_vec()).collect();
        let is_wrong = seen.sets.iter().any(|(_, set)| !is_named(set, &chain));
        metrics::gauge!("postroad_tlsa_mismatch", "line" => line.name.clone()).set(f64::from(u8::from(is_wrong)));
        for (name, set) in &seen.sets {
            if !is_named(set, &chain) {
                complain(name);
            }
        }
        if self.settings.publishes_tlsa
            && let Some(zone) = &self.settings.zone
        {
            self.publish_tlsa(zone, line, &keys, &seen).await?;
        }
        let Some(next) = keys.iter().find(|key| key.role == KeyRole::Next) else { return Ok(()) };
        self.remember(next, &seen).await
    }

    async fn remember(&self, next: &Key, seen: &Seen) -> Result<(), certificates::Error> {
        if seen.is_unsure {
            return Ok(());
        }
        let is_there = !seen.sets.is_empty()
            && seen.sets.iter().all(|(_, set)| set.records.iter().any(|one| one.data == next.spki));
        let (id, now) = (next.id, self.now());
        match (is_there, next.seen) {
            (true, None) => {
                let ttl = seen.sets.iter().map(|(_, set)| set.ttl).max().unwrap_or_default();
                let ready = now.plus(ttl * 2);
                self.write(move |tx| certificates::seen_in_dns(tx, id, Some(now), Some(ready))).await
            }
            (false, Some(_)) => self.write(move |tx| certificates::seen_in_dns(tx, id, None, None)).await,
            (true, Some(_)) | (false, None) => Ok(()),
        }
    }

    /// Whether certificates may be for the next key already.
    pub(super) async fn may_use(&self, line: &Line, next: &Key) -> bool {
        let seen = self.seen(line).await;
        if seen.is_unsure {
            return false;
        }
        let names = |set: &Answer<Tlsa>| set.records.iter().any(|one| one.data == next.spki);
        seen.sets.is_empty()
            || (seen.sets.iter().all(|(_, set)| names(set)) && next.ready.is_some_and(|ready| ready <= self.now()))
    }

    /// Whether TLSA records of a line name this key.
    pub(super) async fn names_in_dns(&self, line: &Line, spki: &[u8]) -> bool {
        let seen = self.seen(line).await;
        seen.sets.iter().any(|(_, set)| set.records.iter().any(|one| one.data == spki))
    }

    async fn seen(&self, line: &Line) -> Seen {
        let mut seen = Seen::default();
        for name in &line.names {
            let owner = self.owner(name);
            match self.dns.tlsa(&owner).await {
                Ok(set) => seen.sets.push((owner, set)),
                Err(DnsError::NoSuchName(_) | DnsError::NoData(_) | DnsError::BadName(_)) => {}
                Err(DnsError::Temporary(_) | DnsError::Bogus(_)) => seen.is_unsure = true,
            }
        }
        seen
    }

    fn owner(&self, name: &str) -> String {
        format!("_{}._tcp.{name}", self.settings.tlsa_port)
    }

    /// Puts the records of both keys where mail is taken and they are not; takes ours away where none is taken.
    async fn publish_tlsa(
        &self,
        zone: &Zone,
        line: &Line,
        keys: &[Key],
        seen: &Seen,
    ) -> Result<(), certificates::Error> {
        let records = of_keys(keys);
        if seen.is_unsure || records.len() < BOTH {
            return Ok(());
        }
        let takers = Takers::find(&self.store, &self.dns, &self.wanted.host).await?;
        for name in &line.names {
            let owner = self.owner(name);
            let there = seen.sets.iter().find(|(one, _)| *one == owner).map(|(_, set)| set.records.as_slice());
            let is_same = |set: &[Tlsa]| set.len() == records.len() && records.iter().all(|one| set.contains(one));
            let wanted: &[Tlsa] = match (takers.knows(name), there) {
                (Some(true), Some(set)) if is_same(set) => continue,
                (Some(true), Some(_) | None) => &records,
                // Before, they were put at every name of a certificate.
                (Some(false), Some(set)) if set.iter().all(|one| records.contains(one)) => &[],
                (Some(false) | None, Some(_) | None) => continue,
            };
            let told = if wanted.is_empty() {
                "TLSA records taken away: no mail is taken there"
            } else {
                "TLSA records published"
            };
            let wanted =
                wanted.iter().map(|one| Record { name: owner.clone(), ttl: TTL, data: Data::Tlsa(one.clone()) });
            let update =
                wanted.fold(Update::of(&self.zone_of(zone, &owner).await).delete(&owner, Type::Tlsa), Update::add);
            match self.change(zone, &update).await {
                Ok(()) => tracing::info!(name = owner, "{told}"),
                Err(failure) => tracing::warn!(
                    name = owner,
                    problem = failure.problem,
                    next_step = failure.next_step,
                    "TLSA records are not published; it is tried again"
                ),
            }
        }
        Ok(())
    }
}

/// The record 3 1 1 of a certificate (DER), for one that is not kept here; `None` when it is none.
pub fn of_certificate(der: &[u8]) -> Option<Tlsa> {
    Some(Tlsa { usage: 3, selector: 1, matching: 1, data: sha256(&public_key(der)?) })
}

/// Whether a record names a certificate or one of its issuers: the chain in DER, the certificate first. RFC 6698 §2.1.
pub fn matches(record: &Tlsa, chain: &[Vec<u8>]) -> bool {
    let of_interest = match record.usage {
        3 | 1 => chain.get(..1).unwrap_or_default(),
        2 | 0 => chain,
        _ => return false,
    };
    of_interest.iter().any(|der| {
        let selected = match record.selector {
            0 => Some(der.clone()),
            1 => public_key(der),
            _ => None,
        };
        let Some(selected) = selected else { return false };
        match record.matching {
            0 => selected == record.data,
            1 => digest::digest(&digest::SHA256, &selected).as_ref() == record.data,
            2 => digest::digest(&digest::SHA512, &selected).as_ref() == record.data,
            _ => false,
        }
    })
}

/// Seconds that TLSA records of ours may be kept.
const TTL: u32 = 3_600;
/// The current key and the next one.
const BOTH: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_name_keys_and_certificates() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(["a.example.test".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate");
        let chain = [certificate.der().to_vec()];
        let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
        let der = certificate.der().to_vec();
        for (usage, selector, matching, data, expected) in [
            (3, 1, 1, sha256(&spki), true),
            (3, 1, 0, spki.clone(), true),
            (3, 0, 1, sha256(&der), true),
            (2, 0, 1, sha256(&der), true),
            (3, 1, 2, digest::digest(&digest::SHA512, &spki).as_ref().to_vec(), true),
            (3, 0, 1, sha256(&spki), false),
            (3, 1, 1, vec![0; 32], false),
            (7, 1, 1, sha256(&spki), false),
            (3, 9, 1, sha256(&spki), false),
            (3, 1, 9, sha256(&spki), false),
        ] {
            let record = Tlsa { usage, selector, matching, data };
            assert_eq!(matches(&record, &chain), expected, "{record:?}");
        }
        assert!(!matches(&Tlsa { usage: 3, selector: 1, matching: 1, data: vec![] }, &[]));
        assert!(of_certificate(&der).is_some_and(|record| record.data == sha256(&spki)));
        assert!(of_certificate(b"none").is_none());
    }
}
