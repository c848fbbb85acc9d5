//! A letter with a report becomes mail: signed, stored and queued in one transaction with the mark that it was sent.

use postroad_mail::{Actor, Address, Arrival, By, Domain, Error, Intake, Resolution, domains, resolve};
use postroad_mailauth::report::letter::Frame;
use postroad_message::Limits;
use postroad_message::date::DateTime;
use postroad_queue as queue;
use postroad_store::{Locks, Timestamp, WriteTx, new_id};
use postroad_trust::dmarc_results::{self, Day, Kind};
use postroad_trust::reports::Sender;
use postroad_trust::tls_posts;

use super::Reporter;
use super::places::Agreed;
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
    pub(super) to: &'a [Agreed],
    pub(super) letter: Vec<u8>,
    /// What goes elsewhere by HTTPS.
    pub(super) puts: &'a [(String, Vec<u8>)],
    pub(super) said: &'a str,
}

impl Reporter {
    /// From whom letters are.
    pub(super) fn from(&self) -> String {
        format!("postmaster@{}", self.settings.hostname)
    }

    /// Composes a letter.
    pub(super) fn framed(&self, to: &[Agreed], id: &str, write: impl FnOnce(&Frame<'_>) -> Vec<u8>) -> Vec<u8> {
        let addresses: Vec<String> = to.iter().map(|to| to.address.clone()).collect();
        let (date, from) = (DateTime::utc((self.clock)().0).format(), self.from());
        let message_id = format!("<report.{id}@{}>", self.settings.hostname);
        write(&Frame { from: &from, to: &addresses, date: &date, message_id: &message_id })
    }

    /// Queues a letter and what is put elsewhere, and marks the report as sent; `false`: somebody else was quicker.
    pub(super) async fn post(&self, parcel: Parcel<'_>) -> Result<bool, Error> {
        let arrival = match parcel.to.is_empty() {
            true => None,
            false => Some(self.stored(parcel.letter).await?),
        };
        let (to, puts, hostname) = (parcel.to.to_vec(), parcel.puts.to_vec(), self.settings.hostname.clone());
        let (kind, day, domain, said) = (parcel.kind, parcel.day, parcel.domain.to_owned(), parcel.said.to_owned());
        let now = (self.clock)();
        let written = self.store.write(Locks::named("report letters out"), move |tx| {
            if !dmarc_results::mark(tx, kind, day, &domain, &said, now)? {
                return Ok(false);
            }
            for (url, body) in &puts {
                tls_posts::put(tx, &domain, url, body, now)?;
            }
            if let Some(arrival) = &arrival {
                mail(tx, &to, arrival, &hostname, &format!("about {domain}: {said}"), now)?;
            }
            Ok::<_, Undone>(true)
        });
        written.await.map(|sent| sent.value).map_err(broken)
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

    /// Puts a letter safely on disk, signed.
    pub(super) async fn stored(&self, letter: Vec<u8>) -> Result<Arrival, Error> {
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

/// Queues a letter with a report, and begins its story.
pub(super) fn mail(
    tx: &mut WriteTx,
    to: &[Agreed],
    arrival: &Arrival,
    hostname: &str,
    said: &str,
    now: Timestamp,
) -> Result<(), Undone> {
    let (mut story, mut recipients, mut here) = (Story::begin(), Vec::new(), None);
    for one in to {
        story.key(&one.address);
        dmarc_results::count_letter(tx, Day::of(now), &one.domain)?;
        let is_ours = match Domain::parse(&one.domain) {
            Ok(domain) => domains::ours(tx, &domain)?.is_some(),
            Err(_) => false,
        };
        if is_ours {
            here = Some(Sender { domain: hostname.to_owned(), verified: true });
        }
        if !is_ours || has_a_mailbox(tx, &one.address)? {
            recipients.push(queue::Recipient {
                address: one.address.clone(),
                domain: one.domain.clone(),
                notify: queue::Notify::NEVER,
                orcpt: None,
                via: None,
                valid_since: None,
            });
        }
    }
    let by = By::new(now, Actor::Delivery);
    let id = delivery::queue_report(tx, &by, &recipients, arrival, here.as_ref(), &story)?;
    let queued = id.map(|id| format!(", as {id}")).unwrap_or_default();
    let read = if here.is_some() { ", and read here" } else { "" };
    story.note(now, "report", format_args!("{said}{queued}{read}"));
    story.write(tx)?;
    Ok(())
}

/// Whether a letter to an address of ours has a place; without one it is read and not filed.
fn has_a_mailbox(tx: &WriteTx, address: &str) -> Result<bool, Error> {
    let Ok(address) = address.parse::<postroad_smtp::Address>() else { return Ok(false) };
    let Some(domain) = address.domain() else { return Ok(false) };
    let Ok(address) = Address::new(address.local(), domain) else { return Ok(false) };
    Ok(matches!(resolve::resolve(tx, &address)?, Resolution::Found { .. }))
}

pub(super) fn broken(undone: Undone) -> Error {
    match undone {
        Undone::Broken(error) => error,
        Undone::Failed(_) | Undone::TooMuch(_) => Error::Corrupt("a report was refused by our own queue".to_owned()),
    }
}

/// A name for a report that nobody else has.
pub(super) fn unique() -> String {
    format!("{:x}", new_id())
}

/// Domains looked at in one read.
pub(super) const DOMAINS_AT_ONCE: u32 = 200;
