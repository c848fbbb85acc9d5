//! One order, from the names to the certificate in use. RFC 8555 §7.4.
//!
//! Where it is, is known by the database at each step: the key is kept before the order is made, the order's URL before
//! anything is answered. Whoever takes the line over goes on from there.

use instant_acme::{
    Account, AuthorizationStatus, ChallengeStatus, ChallengeType, Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use postroad_dns::records::{Data, Record};
use postroad_dns::update::Update;
use postroad_dns::zone_of;
use postroad_store::Timestamp;
use postroad_trust::certificates::{self, Answer, Certificate, Key, KeyRole, Line, NewKey, Origin, Wish};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::authority::{database, within};
use super::problem::{Failure, is_verdict, words};
use super::{Challenge, Keeper, Zone, chain, keys, names};

/// An answer that is ready to be looked at.
enum Ready {
    Kept,
    InZone(Record),
}

impl Keeper {
    /// Gets a certificate for a line that this node holds. The lease is renewed meanwhile.
    pub(super) async fn work(&self, line: &Line, current: Option<&Certificate>) -> Result<(), Failure> {
        let worked = tokio::time::timeout(self.settings.patience, self.certificate_for(line, current));
        tokio::select! {
            worked = worked => worked.unwrap_or_else(|_| {
                Err(Failure::own("the order takes too long", "nothing: it is gone on with later"))
            }),
            lost = self.hold(line) => Err(lost),
        }
    }

    /// Ends when the lease is lost.
    async fn hold(&self, line: &Line) -> Failure {
        loop {
            tokio::time::sleep(self.settings.lease / BEATS).await;
            let (name, node, now, lease) = (line.name.clone(), self.node.clone(), self.now(), self.settings.lease);
            let held = self.write(move |tx| certificates::hold(tx, &name, &node, now, lease)).await;
            if let Err(error @ certificates::Error::Lost) = held {
                return database(error);
            }
        }
    }

    async fn certificate_for(&self, line: &Line, current: Option<&Certificate>) -> Result<(), Failure> {
        let names = self.believed(line).await?;
        let account = self.account().await?;
        let begun = self.begun(&account, line, &names).await;
        let (mut order, key) = match begun {
            Some(begun) => begun,
            None => {
                self.lead_somewhere(&names).await?;
                let key = self.key_for(line).await?;
                let order = self.new_order(&account, &names, current).await?;
                self.note(line, order.url(), key.id).await?;
                (order, key)
            }
        };
        if order.state().status == OrderStatus::Pending {
            let zone = self.answer(line, &mut order).await;
            let ready = match &zone {
                Ok(_) => self.believed_now(&mut order).await,
                Err(_) => Ok(()),
            };
            let (Ok(records) | Err((_, records))) = &zone;
            self.clear(records).await;
            zone.map_err(|(failure, _)| failure)?;
            ready?;
        }
        if order.state().status == OrderStatus::Ready {
            let csr = keys::request(key.pkcs8.expose(), &names)
                .map_err(|words| Failure::own(words, "choose another acme.key"))?;
            within(order.finalize_csr(&csr)).await.map_err(|error| Failure::of("handing in the key", error))?;
        }
        let chain = order.poll_certificate(&poll(self)).await;
        let chain = chain.map_err(|error| Failure::of("fetching the certificate", error))?;
        self.take_in(line, &key, &chain).await
    }

    /// The names to order for.
    async fn believed(&self, line: &Line) -> Result<Vec<String>, Failure> {
        let refused = self.store.read(certificates::refused).await.map_err(database)?;
        let names = names::believed(line, &refused, self.now());
        if names.len() < line.names.len() {
            tracing::warn!(line = line.name, ?names, "names that were not believed to be ours are left out for now");
        }
        Ok(names)
    }

    /// What has no address need not be looked at: authorities count failures.
    async fn lead_somewhere(&self, names: &[String]) -> Result<(), Failure> {
        if self.settings.challenges.iter().all(|kind| *kind == Challenge::Dns) {
            return Ok(());
        }
        let mut nowhere = Vec::new();
        for name in names.iter().filter(|name| !name.starts_with("*.")) {
            if self.dns.addresses(name).await.is_err_and(|error| error.is_denial()) {
                nowhere.push((name.clone(), "it has no address in DNS".to_owned(), NOWHERE));
            }
        }
        if nowhere.is_empty() { Ok(()) } else { Err(Failure::not_believed("would not believe", nowhere)) }
    }

    /// The order that was begun, when it can be gone on with.
    async fn begun(&self, account: &Account, line: &Line, names: &[String]) -> Option<(Order, Key)> {
        let (url, directory, key) = line.order.as_ref()?;
        if *directory != self.settings.directory || line.wish == Wish::NewKeyNow {
            return None;
        }
        let of = line.name.clone();
        let keys = self.store.read(move |tx| certificates::keys(tx, Some(&of))).await.ok()?;
        let key = keys.into_iter().find(|one| one.id == *key)?;
        let mut order = within(account.order(url.clone())).await.ok()?;
        if order.state().status == OrderStatus::Invalid {
            return None;
        }
        let mut ordered = Vec::new();
        let mut identifiers = order.identifiers();
        while let Some(identifier) = identifiers.next().await {
            ordered.push(identifier.ok()?.to_string());
        }
        let is_same = ordered.len() == names.len() && names.iter().all(|name| ordered.contains(name));
        if is_same {
            tracing::info!(line = line.name, "an order that was begun is gone on with");
        }
        is_same.then_some((order, key))
    }

    async fn new_order(
        &self,
        account: &Account,
        names: &[String],
        current: Option<&Certificate>,
    ) -> Result<Order, Failure> {
        let identifiers: Vec<Identifier> = names.iter().cloned().map(Identifier::Dns).collect();
        let usual = || {
            let order = NewOrder::new(&identifiers);
            match &self.settings.profile {
                Some(profile) => order.profile(profile),
                None => order,
            }
        };
        // RFC 9773 §5: an order that replaces a certificate may be let through where others wait.
        let replaced = current
            .filter(|one| {
                one.origin == Origin::Acme && one.directory == self.settings.directory && one.window.is_some()
            })
            .and_then(|one| chain::leaf(&one.chain));
        if let Some(leaf) = &replaced
            && let Ok(id) = instant_acme::CertificateIdentifier::try_from(leaf)
        {
            match within(account.new_order(&usual().replaces(id))).await {
                Ok(order) => return Ok(order),
                // Replaced already, or not understood: it is an order like any other.
                Err(error) => tracing::debug!(%error, "ordering without saying what is replaced"),
            }
        }
        within(account.new_order(&usual())).await.map_err(|error| Failure::of("ordering", error))
    }

    async fn note(&self, line: &Line, url: &str, key: i64) -> Result<(), Failure> {
        let (name, node, now) = (line.name.clone(), self.node.clone(), self.now());
        let (url, directory) = (url.to_owned(), self.settings.directory.clone());
        let noted = self.write(move |tx| certificates::ordered(tx, &name, &node, (&url, &directory, key), now));
        noted.await.map_err(database)
    }

    /// Has all of an order's questions answered, and says so. The records that are in a zone for it, also after a failure.
    async fn answer(&self, line: &Line, order: &mut Order) -> Result<Vec<Record>, (Failure, Vec<Record>)> {
        let kinds = &self.settings.challenges;
        let mut records = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization =
                authorization.map_err(|error| (Failure::of("asking for the challenges", error), records.clone()))?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let has = |kind: &Challenge| authorization.challenges.iter().any(|one| one.r#type == stated(*kind));
            let offered: Vec<Challenge> = kinds.iter().copied().filter(|kind| has(kind)).collect();
            // After a failure another way may lead there.
            let nth = usize::try_from(line.failures).unwrap_or(0);
            let Some(kind) = offered.get(nth % offered.len().max(1)).copied() else {
                let failure = Failure::own(
                    "the authority offers no challenge that this server can answer",
                    "open port 443 or 80 to this server, or set acme.challenges and [dns] for updates",
                );
                return Err((failure, records));
            };
            let Some(mut challenge) = authorization.challenge(stated(kind)) else { continue };
            let name = challenge.identifier().to_string();
            let authorized = challenge.key_authorization();
            let ready = match kind {
                Challenge::Http => {
                    self.keep(line, certificates::Challenge::Http, &challenge.token, authorized.as_str()).await
                }
                Challenge::Alpn => {
                    let digest: String =
                        authorized.digest().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
                    self.keep(line, certificates::Challenge::Alpn, &name.to_ascii_lowercase(), &digest).await
                }
                Challenge::Dns => self.publish(&name, &authorized.dns_value()).await,
            };
            match ready {
                Ok(Ready::Kept) => {}
                Ok(Ready::InZone(record)) => records.push(record),
                Err(failure) => return Err((failure, records)),
            }
            // Of an order that is gone on with it may be looking already.
            if challenge.status != ChallengeStatus::Pending {
                continue;
            }
            tracing::info!(line = line.name, name, challenge = ?kind, "the authority may look now");
            match within(challenge.set_ready()).await {
                Ok(()) => {}
                // A quick authority has looked before it answers: then the order tells of all its names.
                Err(instant_acme::Error::Api(problem)) if is_verdict(&problem) => {}
                Err(error) => return Err((Failure::of(&format!("asking to look at {name}"), error), records)),
            }
        }
        Ok(records)
    }

    async fn keep(
        &self,
        line: &Line,
        challenge: certificates::Challenge,
        name: &str,
        answer: &str,
    ) -> Result<Ready, Failure> {
        let new = Answer { challenge, name: name.to_owned(), answer: answer.to_owned() };
        let (line, until) = (line.name.clone(), self.now().plus(self.settings.patience));
        self.write(move |tx| certificates::answer(tx, &line, &new, until)).await.map_err(database)?;
        Ok(Ready::Kept)
    }

    /// RFC 8555 §8.4.
    async fn publish(&self, name: &str, value: &str) -> Result<Ready, Failure> {
        let name = name.trim_start_matches("*.").to_ascii_lowercase();
        let data = Data::Txt(value.as_bytes().to_vec());
        let record = Record { name: format!("_acme-challenge.{name}"), ttl: CHALLENGE_TTL, data };
        let zone = self.zone()?;
        let update = Update::of(&self.zone_of(zone, &record.name).await).add(record.clone());
        self.change(zone, &update).await?;
        // The other servers of the zone hear of it meanwhile.
        tokio::time::sleep(zone.settles_within).await;
        Ok(Ready::InZone(record))
    }

    /// Takes what was put into a zone for an order out of it again.
    async fn clear(&self, records: &[Record]) {
        for record in records {
            let Ok(zone) = self.zone() else { return };
            let update = Update::of(&self.zone_of(zone, &record.name).await).delete_record(record.clone());
            if let Err(failure) = self.change(zone, &update).await {
                tracing::warn!(
                    name = record.name,
                    problem = failure.problem,
                    "an answer for the authority stays in DNS; it does no harm"
                );
            }
        }
    }

    fn zone(&self) -> Result<&Zone, Failure> {
        let missing = || {
            Failure::own("DNS-01 needs a name server that takes updates", "set [dns] update-server and update-key-file")
        };
        self.settings.zone.as_ref().ok_or_else(missing)
    }

    /// The zone that a name lies in: the one of the settings, or the nearest name with an SOA record.
    pub(super) async fn zone_of(&self, zone: &Zone, name: &str) -> String {
        if let Some(name) = &zone.name {
            return name.clone();
        }
        // Of a name server that does not say, the zone is most likely the domain above.
        let above = || name.split_once('.').map_or(name, |(_, above)| above).to_owned();
        zone_of(&*self.dns, name).await.unwrap_or_else(|_| above())
    }

    pub(super) async fn change(&self, zone: &Zone, update: &Update) -> Result<(), Failure> {
        let seconds = u64::try_from(self.now().0 / 1_000_000).unwrap_or(0);
        let sent = update.send(zone.server, zone.key.as_ref(), seconds, UPDATE_WITHIN).await;
        sent.map_err(|error| {
            Failure::own(error.to_string(), "look whether the name server allows this key to change the zone")
        })
    }

    /// Waits until the authority has looked at everything.
    async fn believed_now(&self, order: &mut Order) -> Result<(), Failure> {
        match order.poll_ready(&poll(self)).await {
            Ok(OrderStatus::Ready) => Ok(()),
            Ok(_) | Err(instant_acme::Error::Api(_)) => Err(self.unbelieved(order).await),
            Err(error) => Err(Failure::of("waiting for the authority to look", error)),
        }
    }

    /// What the authority did not believe.
    async fn unbelieved(&self, order: &mut Order) -> Failure {
        let mut refused = Vec::new();
        let said = order.state().error.as_ref().map(words);
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            let Ok(state) = authorization.refresh().await else { continue };
            if state.status == AuthorizationStatus::Valid {
                continue;
            }
            let name = state.identifier().to_string();
            let failed = state.challenges.iter().find_map(|one| Some((one.error.as_ref()?, &one.r#type)));
            if let Some((problem, kind)) = failed {
                refused.push((name, words(problem), remedy(kind)));
            }
        }
        match refused.is_empty() {
            true => {
                let why = said.unwrap_or_else(|| "no reason is given".into());
                let mut failure = Failure::own(
                    format!("the authority has given the order up: {why}"),
                    "see the authority's own words; it is tried again",
                );
                failure.is_order_over = true;
                failure
            }
            false => Failure::not_believed("does not believe", refused),
        }
    }

    /// The key that the next certificate of a line is for; kept already.
    async fn key_for(&self, line: &Line) -> Result<Key, Failure> {
        let keys = self.both_keys(line).await?;
        let of = |role: KeyRole| keys.iter().find(|key| key.role == role).cloned();
        let missing = || Failure::own("the keys of the line are gone", "please report this");
        let current = of(KeyRole::Current).ok_or_else(missing)?;
        if !self.wants_new_key(line, current.created) {
            return Ok(current);
        }
        let next = of(KeyRole::Next).ok_or_else(missing)?;
        if line.wish == Wish::NewKeyNow || self.may_use(line, &next).await {
            return Ok(next);
        }
        tracing::warn!(
            line = line.name,
            "the next key is not used yet: TLSA records are published, and not all who keep them have seen the new one"
        );
        Ok(current)
    }

    /// Makes the keys of a line that are missing.
    pub(super) async fn both_keys(&self, line: &Line) -> Result<Vec<Key>, Failure> {
        let read = || {
            let of = line.name.clone();
            self.store.read(move |tx| certificates::keys(tx, Some(&of)))
        };
        let mut there = read().await.map_err(database)?;
        let mut is_complete = true;
        // Another kind of key is wanted now: a next one that nobody has seen gives way.
        let is_unwanted = |key: &Key| {
            key.role == KeyRole::Next && key.seen.is_none() && key.algorithm != self.settings.algorithm.name()
        };
        if let Some(place) = there.iter().position(is_unwanted) {
            let id = there.remove(place).id;
            self.write(move |tx| certificates::drop_next(tx, id)).await.map_err(database)?;
        }
        for role in [KeyRole::Current, KeyRole::Next] {
            if there.iter().any(|key| key.role == role) {
                continue;
            }
            is_complete = false;
            let stand_in = if role == KeyRole::Current { self.stand_in(line).await } else { None };
            let made = match stand_in {
                Some(key) => key,
                None => self.new_key().await?,
            };
            let (line, now) = (line.name.clone(), self.now());
            self.write(move |tx| certificates::add_key(tx, &line, role, &made, now)).await.map_err(database)?;
        }
        if is_complete { Ok(there) } else { read().await.map_err(database) }
    }

    async fn new_key(&self) -> Result<NewKey, Failure> {
        let algorithm = self.settings.algorithm;
        let made = tokio::task::spawn_blocking(move || keys::make_key(algorithm)).await;
        let made = made.unwrap_or_else(|error| Err(error.to_string()));
        made.map_err(|words| Failure::own(words, "choose another acme.key"))
    }

    /// The key that was shown before there was a certificate, where TLSA records name it: senders that go by them would meet
    /// a stranger otherwise (RFC 7671 §8.1).
    async fn stand_in(&self, line: &Line) -> Option<NewKey> {
        let file = self.settings.stand_in.clone()?;
        let read = move || keys::import_key(&PrivateKeyDer::from_pem_file(file).ok()?).ok();
        let key = tokio::task::spawn_blocking(read).await.ok().flatten()?;
        self.names_in_dns(line, &key.spki).await.then_some(key)
    }

    /// The certificate is looked at, and in use from now on.
    async fn take_in(&self, line: &Line, key: &Key, chain: &str) -> Result<(), Failure> {
        let new = chain::parse(chain, key.pkcs8.expose(), Origin::Acme, &self.settings.directory);
        let new = new.map_err(|words| {
            let mut failure =
                Failure::own(format!("what the authority sent is of no use: {words}"), "it is tried again");
            failure.is_order_over = true;
            failure
        })?;
        let (name, node, key, now) = (line.name.clone(), self.node.clone(), key.id, self.now());
        let Timestamp(until) = new.not_after;
        let issued = self.write(move |tx| certificates::issued(tx, &name, &node, key, &new, now));
        issued.await.map_err(database)?;
        metrics::counter!("postroad_certificates_issued_total").increment(1);
        tracing::info!(line = line.name, days = (until - now.0) / MICROS_PER_DAY, "a certificate was issued");
        Ok(())
    }
}

fn poll(keeper: &Keeper) -> RetryPolicy {
    RetryPolicy::new().backoff(1.5).timeout(keeper.settings.patience)
}

fn stated(kind: Challenge) -> ChallengeType {
    match kind {
        Challenge::Http => ChallengeType::Http01,
        Challenge::Alpn => ChallengeType::TlsAlpn01,
        Challenge::Dns => ChallengeType::Dns01,
    }
}

fn remedy(kind: &ChallengeType) -> &'static str {
    match kind {
        ChallengeType::Http01 => "look whether the name leads to this server and port 80 is open from outside",
        ChallengeType::TlsAlpn01 => {
            "look whether the name leads to this server, port 443 is open from outside, and no proxy ends TLS before it"
        }
        ChallengeType::Dns01 => "look whether all name servers of the zone have the record _acme-challenge",
        _ => "see the authority's own words",
    }
}

const NOWHERE: &str = "publish the name's address; `postroad certificate renew NAME` tries at once";
/// The lease is renewed so often in its time.
const BEATS: u32 = 4;
const CHALLENGE_TTL: u32 = 60;
const UPDATE_WITHIN: std::time::Duration = std::time::Duration::from_secs(20);
const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;
