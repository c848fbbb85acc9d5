//! Which names take mail, and so have TLSA records for it; and whether those that DNS has name what is shown there.
//!
//! Names such as `mta-sts.` and `autoconfig.` share a certificate with them and take no mail: nobody looks for their records at
//! port 25.
//!
//! Standards: RFC 7672 §2.2 (TLSA records are those of MX hosts).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use postroad_dns::{Answer, Dns, Error as DnsError};
use postroad_mail::domains;
use postroad_net::{Certificates, Stop};
use postroad_store::{ReadTx, Store};
use postroad_trust::{certificates, sts};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::dane::{Tlsa, matches};

/// The names that take mail of our domains.
#[derive(Debug, Default)]
pub(super) struct Takers {
    names: BTreeSet<String>,
    /// DNS did not answer for one of the domains: others may be takers as well.
    is_unsure: bool,
}

impl Takers {
    /// Whether a name takes mail; `None` when that is not known now.
    pub(super) fn knows(&self, name: &str) -> Option<bool> {
        match self.names.contains(name) {
            true => Some(true),
            false if self.is_unsure => None,
            false => Some(false),
        }
    }

    /// What our domains are to have as exchangers, and what DNS says that they have.
    pub(super) async fn find(store: &Store, dns: &Arc<dyn Dns>, host: &str) -> Result<Takers, certificates::Error> {
        let own = host.trim_end_matches('.').to_ascii_lowercase();
        let (names, domains) = store.read(move |tx| planned(tx, &own)).await?;
        let (mut takers, room) = (Takers { names, is_unsure: false }, Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)));
        let mut asked = JoinSet::new();
        for domain in domains {
            let (dns, room) = (Arc::clone(dns), Arc::clone(&room));
            asked.spawn(async move {
                let _turn = room.acquire().await;
                dns.mx(&domain).await
            });
        }
        for answer in asked.join_all().await {
            match answer {
                Ok(answer) => {
                    let hosts = answer.records.into_iter().filter(|mx| !mx.is_null());
                    takers.names.extend(hosts.map(|mx| mx.exchange.trim_end_matches('.').to_ascii_lowercase()));
                }
                Err(error) if error.is_denial() => {}
                Err(_) => takers.is_unsure = true,
            }
        }
        Ok(takers)
    }
}

/// The exchangers that `postroad dns` shows, and the domains.
fn planned(tx: &ReadTx, host: &str) -> Result<(BTreeSet<String>, Vec<String>), certificates::Error> {
    let unreadable = |error: postroad_mail::Error| match error {
        postroad_mail::Error::Store(error) => error,
        other => postroad_store::Error::Corrupt(other.to_string()),
    };
    let domains: Vec<String> = domains::list(tx)
        .map_err(unreadable)?
        .into_iter()
        .take(DOMAINS_MAX)
        .map(|domain| domain.name.as_str().to_owned())
        .collect();
    let set = sts::owns(tx).map_err(|error| postroad_store::Error::Corrupt(error.to_string()))?;
    let mut names = BTreeSet::new();
    for domain in &domains {
        match set.iter().find(|(name, own)| name == domain && !own.mx.is_empty()) {
            Some((_, own)) => names.extend(own.mx.iter().map(|mx| mx.to_ascii_lowercase())),
            None => {
                names.insert(host.to_owned());
            }
        }
    }
    Ok((names, domains))
}

/// Looks whether TLSA records in DNS name what clients are shown, where no [`super::Keeper`] does: at certificates of files, and
/// at those that were imported.
pub struct Watch {
    certificates: Arc<Certificates>,
    dns: Arc<dyn Dns>,
    names: Vec<String>,
    port: u16,
}

impl Watch {
    /// At these names, at the records of this port.
    pub fn new(certificates: Arc<Certificates>, dns: Arc<dyn Dns>, names: Vec<String>, port: u16) -> Watch {
        Watch { certificates, dns, names, port }
    }

    /// Looks at the start, soon after other certificates are shown, and now and then, until the stop.
    pub async fn run(self, stop: Stop) {
        let (mut seen, mut due) = (Vec::new(), Instant::now());
        loop {
            let shown: Vec<_> = self.names.iter().map(|name| self.certificates.chain_of(name)).collect();
            if shown != seen || Instant::now() >= due {
                for (name, is_wrong) in self.look().await {
                    metrics::gauge!("postroad_tlsa_mismatch", "line" => name).set(f64::from(u8::from(is_wrong)));
                }
                (seen, due) = (shown, Instant::now() + EVERY);
            }
            tokio::select! {
                () = tokio::time::sleep(CHANGES) => {}
                () = stop.stopped() => return,
            }
        }
    }

    /// The names with TLSA records, and whether they name something else. A name that DNS does not answer for is left out.
    pub async fn look(&self) -> Vec<(String, bool)> {
        let mut found = Vec::new();
        for name in &self.names {
            let owner = format!("_{}._tcp.{name}", self.port);
            let chain = self.certificates.chain_of(name);
            match (self.dns.tlsa(&owner).await, chain) {
                (Ok(set), Some(chain)) => {
                    let is_wrong = !is_named(&set, &chain);
                    if is_wrong {
                        complain(&owner);
                    }
                    found.push((name.clone(), is_wrong));
                }
                (Err(DnsError::NoSuchName(_) | DnsError::NoData(_) | DnsError::BadName(_)), _) => {
                    found.push((name.clone(), false));
                }
                (Err(DnsError::Temporary(_) | DnsError::Bogus(_)), _) | (Ok(_), None) => {}
            }
        }
        found
    }
}

/// Whether one of the records names the chain.
pub(super) fn is_named(set: &Answer<Tlsa>, chain: &[Vec<u8>]) -> bool {
    set.records.iter().any(|one| matches(one, chain))
}

pub(super) fn complain(owner: &str) {
    tracing::error!(
        name = owner,
        "the TLSA records in DNS do not name the certificate in use: senders that go by DANE cannot deliver; publish the \
         records that `postroad dns` shows, or remove them"
    );
}

/// Domains that are looked at.
const DOMAINS_MAX: usize = 2_000;
const QUESTIONS_AT_ONCE: usize = 16;
/// Whether other certificates are shown is looked at so often.
const CHANGES: Duration = Duration::from_secs(20);
/// And the DNS at least so often.
const EVERY: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use postroad_dns::{Fixed, Security};
    use postroad_net::Kept;

    use super::super::dane::of_certificate;
    use super::*;

    #[tokio::test]
    async fn records_are_compared_with_what_is_shown_now() {
        let names = ["a.test", "b.test", "c.test"];
        let made = |name: &str| {
            let key = rcgen::KeyPair::generate().expect("a key");
            let params = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
            let certificate = params.self_signed(&key).expect("a certificate");
            let record = of_certificate(certificate.der()).expect("a key");
            (Kept { chain: certificate.pem(), key: key.serialize_der() }, record)
        };
        let shown: Vec<(Kept, Tlsa)> = names.iter().map(|name| made(name)).collect();
        let dns = Fixed::new()
            .with_tlsa("_25._tcp.a.test", shown[0].1.clone())
            .with_tlsa("_25._tcp.b.test", shown[0].1.clone())
            .with_security("a.test", Security::Secure);
        let certificates = Certificates::load(Vec::new()).expect("none are fine");
        let kept = |from: &[(Kept, Tlsa)]| from.iter().map(|(kept, _)| kept.clone()).collect::<Vec<_>>();
        assert!(certificates.keep(&kept(&shown)).is_empty());
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let watch = Watch::new(Arc::clone(&certificates), Arc::new(dns), names, 25);
        let found = |wrong: [bool; 3]| -> Vec<(String, bool)> { watch.names.iter().cloned().zip(wrong).collect() };
        assert_eq!(watch.look().await, found([false, true, false]));
        // The certificate is another one now.
        let mut renewed = kept(&shown);
        renewed[0] = made("a.test").0;
        assert!(certificates.keep(&renewed).is_empty());
        assert_eq!(watch.look().await, found([true, true, false]));
    }
}
