//! Reports about TLS, for the mail that went out.

use postroad_mail::Error;
use postroad_mailauth::report::tls::{Failure, Policy, Report};
use postroad_mailauth::report::unpack::gzip;
use postroad_message::date::Date;
use postroad_net::Stop;
use postroad_store::{Locks, Timestamp};
use postroad_trust::dmarc_results::{self, Kind};
use postroad_trust::tls_posts;
use postroad_trust::tls_results::{self, Day, Tally};

use super::Reporter;
use super::places::{Agreed, Place};
use super::send::{DOMAINS_AT_ONCE, Line, Parcel, unique};
use crate::outbound::post;

impl Reporter {
    /// Reports on a day to each domain that mail went to and that wants it.
    pub(super) async fn send_tls(&self, day: Day, dry: bool, lines: &mut Vec<Line>) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let from = after.clone();
            let domains = self
                .store
                .read(move |tx| Ok::<_, Error>(tls_results::domains(tx, day, &from, DOMAINS_AT_ONCE)?))
                .await?;
            let Some(last) = domains.last().cloned() else { return Ok(()) };
            after = last;
            for domain in domains {
                if self.is_marked(Kind::Tls, day, &domain).await? {
                    continue;
                }
                let wanted = domain.clone();
                let (tallies, letters) = self
                    .store
                    .read(move |tx| {
                        let letters = dmarc_results::letters(tx, day, &wanted)?;
                        Ok::<_, Error>((tls_results::of(tx, day, &wanted)?, letters))
                    })
                    .await?;
                // Two servers would else tell each other for ever how the reports of the day before went.
                let sessions: u64 = tallies.iter().map(|tally| tally.successes + tally.failures).sum();
                if sessions > letters || tallies.iter().any(|tally| tally.failures > 0) {
                    lines.extend(self.one_tls(day, &domain, &tallies, dry).await?);
                }
            }
        }
    }

    async fn one_tls(&self, day: Day, domain: &str, tallies: &[Tally], dry: bool) -> Result<Option<Line>, Error> {
        let line = |said: String, is_sent| Line { kind: "tls", domain: domain.to_owned(), said, is_sent };
        let places = match self.tls_places(domain).await {
            Ok(places) if places.is_empty() => {
                if !dry {
                    self.mark(Kind::Tls, day, domain, "it wants no reports").await?;
                }
                return Ok(None);
            }
            Ok(places) => places,
            Err(why) => return Ok(Some(line(format!("not now: {why}"), false))),
        };
        let (places, left_out) = self.within_a_day(domain, places).await?;
        if places.is_empty() {
            let said = format!("{} had as many letters today as one place gets", left_out.join(", "));
            if !dry && !self.mark(Kind::Tls, day, domain, &said).await? {
                return Ok(None);
            }
            return Ok(Some(line(said, false)));
        }
        let id = unique();
        let report = self.tls_report(day, &id, tallies);
        let (good, bad) = tallies.iter().fold((0, 0), |(good, bad), one| (good + one.successes, bad + one.failures));
        let names: Vec<&str> = places.iter().map(Place::name).collect();
        let said = format!("{good} good and {bad} bad sessions, to {}", names.join(", "));
        if dry {
            return Ok(Some(line(said, true)));
        }
        let mails: Vec<Agreed> = places.iter().filter_map(Place::mail).collect();
        let packed = gzip(report.write().as_bytes());
        let put = |place: &Place| match place {
            Place::Https(url) => Some((url.clone(), packed.clone())),
            Place::Mail { .. } => None,
        };
        let puts: Vec<(String, Vec<u8>)> = places.iter().filter_map(put).collect();
        let letter = match mails.is_empty() {
            false => {
                let host = &self.settings.hostname;
                let seconds = |at: Timestamp| at.0.div_euclid(1_000_000);
                let (begin, end) = (seconds(day.begins()), seconds(day.ends()));
                // RFC 8460 §5.1.
                let name = format!("{host}!{domain}!{begin}!{end}!{id}.json.gz");
                self.framed(&mails, &id, |frame| report.letter(frame, domain, host, &name))
            }
            true => Vec::new(),
        };
        if !self.post(Parcel { kind: Kind::Tls, day, domain, to: &mails, letter, puts: &puts, said: &said }).await? {
            return Ok(None);
        }
        metrics::counter!("postroad_reports_sent_total", "kind" => "tls").increment(1);
        Ok(Some(line(said, true)))
    }

    /// The places that get a report, and the addresses that do not: anybody may name an address of anybody else, whom so many
    /// domains would flood (RFC 8460 §8 knows no consent such as DMARC's). A domain's own addresses get its report always.
    async fn within_a_day(&self, domain: &str, places: Vec<Place>) -> Result<(Vec<Place>, Vec<String>), Error> {
        let (mut kept, mut left_out) = (Vec::new(), Vec::new());
        for place in places {
            let elsewhere = place.mail().filter(|mail| !is_within(&mail.domain, domain));
            let Some(mail) = elsewhere else {
                kept.push(place);
                continue;
            };
            let (today, at) = (Day::of((self.clock)()), mail.domain);
            let letters = self.store.read(move |tx| Ok::<_, Error>(dmarc_results::letters(tx, today, &at)?)).await?;
            match letters < LETTERS_ELSEWHERE_MAX {
                true => kept.push(place),
                false => left_out.push(mail.address),
            }
        }
        Ok((kept, left_out))
    }

    /// Puts what is due where it is wanted, one place after the other.
    pub(super) async fn put_all(&self, stop: &Stop) -> Result<(), Error> {
        while !stop.is_stopped() && self.put_one().await?.is_some() {}
        Ok(())
    }

    /// Puts the report that is due for longest where it is wanted; `None`: none is due. Errors: the database's.
    pub async fn put_one(&self) -> Result<Option<Put>, Error> {
        let now = (self.clock)();
        let claimed = self.store.write(Locks::named(POSTS), move |tx| Ok::<_, Error>(tls_posts::claim(tx, now)?));
        let Some(due) = claimed.await?.value else { return Ok(None) };
        let outcome = post::put(&self.https, &due.url, &due.body, self.put_within).await;
        let (domain, url, tries) = (due.domain.clone(), due.url.clone(), due.tries + 1);
        let now = (self.clock)();
        let is_final = outcome.as_ref().map_or_else(|refused| refused.is_final, |()| true);
        let settled = self.store.write(Locks::named(POSTS), move |tx| {
            Ok::<_, Error>(match is_final {
                true => {
                    tls_posts::done(tx, due.id)?;
                    None
                }
                false => tls_posts::failed(tx, &due, now)?,
            })
        });
        let again = settled.await?.value;
        let put = match outcome {
            Ok(()) => Put::There,
            Err(refused) if again.is_some() => Put::Later(refused.why),
            Err(refused) => Put::Never(refused.why),
        };
        match &put {
            Put::There => tracing::info!(domain, url, tries, "a report about TLS was put where it is wanted"),
            Put::Later(why) => tracing::info!(domain, url, tries, why, "a report about TLS is put there later"),
            Put::Never(why) => {
                tracing::warn!(domain, url, tries, why, "a report about TLS is not taken, and is given up")
            }
        }
        Ok(Some(put))
    }

    fn tls_report(&self, day: Day, id: &str, tallies: &[Tally]) -> Report {
        let policies = tallies.iter().map(|tally| Policy {
            kind: tally.policy.kind.name().to_owned(),
            lines: tally.policy.lines.clone(),
            domain: tally.policy.domain.clone(),
            hosts: tally.policy.hosts.clone(),
            successes: tally.successes,
            failures: tally.failures,
            details: tally
                .details
                .iter()
                .map(|(failure, sessions)| Failure {
                    kind: failure.kind.name().to_owned(),
                    sending_address: failure.sending_address.clone(),
                    host: failure.host.clone(),
                    host_address: failure.host_address.clone(),
                    sessions: *sessions,
                    reason: failure.reason.clone(),
                })
                .collect(),
        });
        Report {
            organization: self.settings.hostname.clone(),
            contact: self.from(),
            id: format!("{id}@{}", self.settings.hostname),
            begin: format!("{}T00:00:00Z", date(day)),
            end: format!("{}T23:59:59Z", date(day)),
            policies: policies.collect(),
        }
    }
}

/// What became of an attempt to put a report somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It is there.
    There,
    /// It is tried again; why.
    Later(String),
    /// It is not taken there, or was tried for a day; why.
    Never(String),
}

/// Whether a domain is another or below it: whoever has that one says what is below.
fn is_within(inner: &str, outer: &str) -> bool {
    let start = inner.len().checked_sub(outer.len()).filter(|_| !outer.is_empty());
    let end = start.and_then(|start| inner.get(start..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(outer))
        && start.is_some_and(|start| start == 0 || inner.as_bytes().get(start - 1) == Some(&b'.'))
}

/// Letters with reports in a day to the addresses of one domain, about domains that are not its own.
pub(super) const LETTERS_ELSEWHERE_MAX: u64 = 500;
/// Who puts waits for each other under this name, while a report is taken or let go.
const POSTS: &str = "tls posts";

impl Place {
    fn name(&self) -> &str {
        match self {
            Place::Mail { address, .. } => address,
            Place::Https(url) => url,
        }
    }

    fn mail(&self) -> Option<Agreed> {
        match self {
            Place::Mail { address, domain } => {
                Some(Agreed { address: address.clone(), domain: domain.clone(), largest: None })
            }
            Place::Https(_) => None,
        }
    }
}

/// RFC 3339's `full-date`.
fn date(day: Day) -> String {
    let date = Date::from_days(day.0);
    format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)
}
