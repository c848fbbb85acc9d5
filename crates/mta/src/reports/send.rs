//! A letter with a report becomes mail: signed, stored and queued in one transaction with the mark that it was sent.

use postroad_mail::{Actor, Arrival, By, Error, Intake};
use postroad_mailauth::report::letter::Frame;
use postroad_message::Limits;
use postroad_message::date::DateTime;
use postroad_queue as queue;
use postroad_store::{Locks, new_id};
use postroad_trust::dmarc_results::{self, Day, Kind};

use super::Reporter;
use crate::delivery::{self, Undone};
use crate::story::Story;

/// What became of a domain's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `dmarc` or `tls`.
    pub kind: &'static str,
    /// The domain it is about.
    pub domain: String,
    /// What was done, or would be.
    pub said: String,
    /// It was sent, or would be.
    pub is_sent: bool,
}

/// A report that is to be sent to mail addresses and the domains of these.
pub(super) struct Parcel<'a> {
    pub(super) kind: Kind,
    pub(super) day: Day,
    pub(super) domain: &'a str,
    pub(super) to: &'a [(String, String)],
    pub(super) letter: Vec<u8>,
    pub(super) said: &'a str,
}

impl Reporter {
    /// From whom letters are.
    pub(super) fn from(&self) -> String {
        format!("postmaster@{}", self.settings.hostname)
    }

    /// Composes a letter.
    pub(super) fn framed(
        &self,
        to: &[(String, String)],
        id: &str,
        write: impl FnOnce(&Frame<'_>) -> Vec<u8>,
    ) -> Vec<u8> {
        let addresses: Vec<String> = to.iter().map(|(address, _)| address.clone()).collect();
        let (date, from) = (DateTime::utc((self.clock)().0).format(), self.from());
        let message_id = format!("<report.{id}@{}>", self.settings.hostname);
        write(&Frame { from: &from, to: &addresses, date: &date, message_id: &message_id })
    }

    /// Queues a letter and marks the report as sent; `false`: somebody else was quicker.
    pub(super) async fn post(&self, parcel: Parcel<'_>) -> Result<bool, Error> {
        let arrival = self.stored(parcel.letter).await?;
        let recipients: Vec<queue::Recipient> = parcel
            .to
            .iter()
            .map(|(address, domain)| queue::Recipient {
                address: address.clone(),
                domain: domain.clone(),
                notify: queue::Notify::NEVER,
                orcpt: None,
                via: None,
                valid_since: None,
            })
            .collect();
        let (kind, day, domain, said) = (parcel.kind, parcel.day, parcel.domain.to_owned(), parcel.said.to_owned());
        let now = (self.clock)();
        let written = self.store.write(Locks::named("report letters out"), move |tx| {
            if !dmarc_results::mark(tx, kind, day, &domain, &said, now)? {
                return Ok(false);
            }
            let mut story = Story::begin();
            for recipient in &recipients {
                story.key(&recipient.address);
                dmarc_results::count_letter(tx, Day::of(now), &recipient.domain)?;
            }
            let by = By::new(now, Actor::Delivery);
            let id = delivery::queue_notice(tx, &by, &recipients, &arrival, &story)?;
            story.note(now, "report", format_args!("about {domain}: {said}, as {id}"));
            story.write(tx)?;
            Ok::<_, Undone>(true)
        });
        match written.await {
            Ok(sent) => Ok(sent.value),
            Err(Undone::Broken(error)) => Err(error),
            Err(Undone::Failed(_)) => Err(Error::Corrupt("a report was refused by our own queue".to_owned())),
        }
    }

    /// Marks a report as dealt with that is not sent by mail.
    pub(super) async fn mark(&self, kind: Kind, day: Day, domain: &str, said: &str) -> Result<bool, Error> {
        let (domain, said, now) = (domain.to_owned(), said.to_owned(), (self.clock)());
        let marked = self
            .store
            .write(Locks::none(), move |tx| Ok::<_, Error>(dmarc_results::mark(tx, kind, day, &domain, &said, now)?));
        Ok(marked.await?.value)
    }

    /// Whether a domain's report was dealt with.
    pub(super) async fn is_marked(&self, kind: Kind, day: Day, domain: &str) -> Result<bool, Error> {
        let domain = domain.to_owned();
        let marked = self.store.read(move |tx| Ok::<_, Error>(dmarc_results::marked(tx, kind, day, &domain)?));
        Ok(marked.await?.is_some())
    }

    async fn stored(&self, letter: Vec<u8>) -> Result<Arrival, Error> {
        let mut prefix = b"Return-Path: <>\r\n".to_vec();
        if let Some(signers) = &self.signing.signers {
            prefix.extend(signers.own_message(&letter).await?);
        }
        let upload = self.store.upload();
        let made = tokio::task::spawn_blocking(move || {
            let mut intake = Intake::new(upload, Limits::default());
            intake.feed(&letter)?;
            intake.finish(prefix)
        });
        made.await.map_err(|_| Error::Corrupt("storing a report panicked".to_owned()))?
    }
}

/// A name for a report that nobody else has.
pub(super) fn unique() -> String {
    format!("{:x}", new_id())
}

/// Domains looked at in one read.
pub(super) const DOMAINS_AT_ONCE: u32 = 200;
