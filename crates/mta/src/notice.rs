//! Notices to the sender (RFC 3464): one builder for what fails or succeeds while a message comes in and for what
//! becomes of it in the queue.
//!
//! [`Report`] is what is told, as plain data; [`prepare`] finds the sender, writes the notice and puts it safely on
//! disk; [`send`] is the part of it that happens in the caller's transaction: into the sender's INBOX, or into the
//! queue with the null sender.
//!
//! A notice names recipients as the sender wrote them, never whom an alias leads to. To somebody who never logged in
//! it repeats the header only: with a forged sender, more would carry somebody's words to a stranger. There is no
//! notice to the null sender, so none about a notice (RFC 5321 §4.5.5, RFC 3464 §2).
//!
//! Standards: RFC 3461 §6, RFC 3464, RFC 6522, RFC 6533, RFC 3834 §5.

mod original;
mod status;
mod suppress;
#[cfg(test)]
mod tests;
mod words;

use postroad_mail::resolve::{self, Target};
use postroad_mail::{Address, Arrival, By, Error, Intake, Resolution};
use postroad_message::Limits;
use postroad_message::build::Builder;
use postroad_message::date::DateTime;
use postroad_queue as queue;
use postroad_smtp::{Enhanced, Host, Reply};
use postroad_store::{AccountId, ReadTx, Store, Timestamp, TraceId, WriteTx};

use crate::delivery;
use crate::sign::Signing;
use crate::story::Story;

pub(crate) use original::{MAX_HEADER, MAX_WHOLE, Original};

/// What a notice tells.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    /// Our name.
    pub(crate) hostname: String,
    /// MAIL FROM of the message; `None` for the null sender.
    pub(crate) sender: Option<postroad_smtp::Address>,
    /// ENVID, decoded.
    pub(crate) envid: Option<String>,
    /// When the message came in.
    pub(crate) arrived: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) trace: Option<TraceId>,
    /// Tells the notices of one story from each other; none for the first.
    pub(crate) serial: Option<i64>,
    /// Nobody logged in, and anybody may have written the sender's name.
    pub(crate) stranger: bool,
    /// The message was sent with SMTPUTF8: its sender reads UTF-8 (RFC 6533).
    pub(crate) utf8: bool,
    /// By when it was to be delivered (RFC 2852 §5).
    pub(crate) deliver_by: Option<Timestamp>,
    /// For how long its sender wanted it to be held (RFC 4865 §5).
    pub(crate) hold_asked: Option<String>,
    /// How urgent the message is, and so what is told of it (RFC 6710 §4.6).
    pub(crate) priority: i8,
    /// What is repeated of it.
    pub(crate) original: Original,
    pub(crate) told: Vec<Told>,
}

/// What is told of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// As the sender wrote it.
    pub(crate) address: String,
    /// ORCPT, `kind;address`.
    pub(crate) original: Option<String>,
    pub(crate) fate: Fate,
}

/// What became of one recipient's mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Refused for good.
    Failed(Why),
    /// Tried for as long as mail is tried; why it failed last.
    Expired(Why),
    /// Not yet; it is tried until then.
    /// `in_time`: it was to be there by now, and its sender wanted to hear if it was not (RFC 2852).
    Delayed { why: Why, until: Timestamp, in_time: bool },
    /// In a mailbox here.
    Delivered,
    /// At the next host, which does not report.
    Relayed(Why),
    /// At all whom the address leads to, or on the way to them (RFC 3461 §5.2.7.3).
    Expanded,
}

/// What was said last, by whom, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Why {
    pub(crate) words: Words,
    /// The host that said it or could not be reached; `None` for what this server found itself.
    pub(crate) host: Option<String>,
    /// When it was tried.
    pub(crate) at: Option<Timestamp>,
}

/// What was said: the other side's words, or ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    /// The reply's code; `None` for what no host said (DNS, connections, time-outs).
    pub(crate) code: Option<u16>,
    /// RFC 3463.
    pub(crate) enhanced: Enhanced,
    /// The host said this enhanced code; else it follows from the reply's code.
    pub(crate) coded: bool,
    /// The text without codes; lines separated by LF.
    pub(crate) text: String,
    /// What it answered: `RCPT TO`, `end of data`; or what was being done.
    pub(crate) after: &'static str,
}

impl Words {
    /// What a host said.
    pub(crate) fn said(code: u16, enhanced: Option<Enhanced>, text: impl Into<String>, after: &'static str) -> Words {
        let class = u8::try_from(code / 100).unwrap_or(5);
        let said = enhanced.filter(|enhanced| enhanced.0 == class);
        let (coded, enhanced) = (said.is_some(), said.unwrap_or(Enhanced(class, 0, 0)));
        Words { code: Some(code), enhanced, coded, text: text.into(), after }
    }

    /// What a host replied.
    pub(crate) fn replied(reply: &Reply, after: &'static str) -> Words {
        Words::said(reply.code(), reply.enhanced(), reply.lines().join("\n"), after)
    }

    /// What we found ourselves.
    pub(crate) fn ours(enhanced: impl Into<Enhanced>, text: impl Into<String>, after: &'static str) -> Words {
        Words { code: None, enhanced: enhanced.into(), coded: false, text: text.into(), after }
    }

    /// In one line, as it was said: `550 5.1.1 No such user`.
    pub(crate) fn line(&self) -> String {
        let text: Vec<&str> = self.text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let text = text.join(" ");
        match self.code {
            Some(code) if self.coded => format!("{code} {} {text}", self.enhanced),
            Some(code) => format!("{code} {text}"),
            None => text,
        }
    }
}

/// A notice that is safe on disk, and where it goes.
#[derive(Debug)]
pub(crate) struct Notice {
    arrival: Arrival,
    to: Return,
    priority: i8,
}

/// Where the sender is.
#[derive(Debug, Clone)]
enum Return {
    Here(Target),
    Elsewhere(Vec<queue::Recipient>),
}

impl Notice {
    /// The account that gets it, to be locked.
    pub(crate) fn account(&self) -> Option<AccountId> {
        match &self.to {
            Return::Here(target) => Some(target.account),
            Return::Elsewhere(_) => None,
        }
    }
}

/// Writes the notice; `None` when there is nothing to tell, or nobody to tell it: the null sender (RFC 5321
/// §4.5.5), or one that does not exist.
pub(crate) async fn prepare(store: &Store, signing: &Signing, mut report: Report) -> Result<Option<Notice>, Error> {
    let Some(sender) = report.sender.clone() else { return Ok(None) };
    let unwanted = suppress::Suppress::of(&report.original);
    report.told.retain(|told| !unwanted.keeps_back(&told.fate));
    if report.told.is_empty() {
        return Ok(None);
    }
    let Some(to) = store.read(move |tx| way_back(tx, &sender)).await? else { return Ok(None) };
    // Whoever forges a sender could have us write to anybody, in words of their choice (ENVID, ORCPT), as often as
    // they like. A failure has to be told all the same.
    if report.stranger && matches!(to, Return::Elsewhere(_)) {
        report.told.retain(|told| matches!(told.fate, Fate::Failed(_) | Fate::Expired(_)));
        if report.told.is_empty() {
            return Ok(None);
        }
    }
    let priority = report.priority;
    let broke = |_| Error::Corrupt("writing a notice panicked".to_owned());
    let message = tokio::task::spawn_blocking(move || write(&report)).await.map_err(broke)?;
    let mut prefix = b"Return-Path: <>\r\n".to_vec();
    if let Some(signers) = &signing.signers {
        prefix.extend(signers.own_message(&message).await?);
    }
    let upload = store.upload();
    let made = tokio::task::spawn_blocking(move || {
        let mut intake = Intake::new(upload, Limits::default());
        intake.feed(&message)?;
        intake.finish(prefix)
    });
    let arrival = made.await.map_err(broke)??;
    Ok(Some(Notice { arrival, to, priority }))
}

/// Why nobody is told: for the story.
pub(crate) fn forged(sender: &str) -> String {
    format!(
        "nobody is told of this failure: the sender <{sender}> is forged, SPF or DMARC says that it is not from there"
    )
}

/// Puts the notice where it goes, and into the story. What concerns the sender's mailbox alone is survived: the
/// story is all that can be told then.
pub(crate) fn send(tx: &mut WriteTx, by: &By, notice: &Notice, story: &mut Story) -> Result<(), delivery::Undone> {
    match &notice.to {
        Return::Here(target) => match delivery::file_notice(tx, by, target, &notice.arrival, story)? {
            Ok(stored) => story.note(by.now, "notice", format_args!("the sender is told: {stored}")),
            Err(reply) => story.note(by.now, "notice", format_args!("the sender cannot be told: {reply}")),
        },
        Return::Elsewhere(recipients) => {
            let id = delivery::queue_notice(tx, by, recipients, &notice.arrival, notice.priority, story)?;
            let names: Vec<&str> = recipients.iter().map(|recipient| recipient.address.as_str()).collect();
            story.note(by.now, "notice", format_args!("the sender is told: {} as {id}", names.join(", ")));
        }
    }
    Ok(())
}

fn way_back(tx: &ReadTx, sender: &postroad_smtp::Address) -> Result<Option<Return>, Error> {
    let Host::Domain(domain) = sender.host() else { return Ok(None) };
    let resolution = match Address::new(sender.local(), domain) {
        Ok(address) => resolve::resolve(tx, &address)?,
        Err(_) => Resolution::NotOurs,
    };
    let elsewhere = |address: String, domain: String, via: Option<String>| queue::Recipient {
        address,
        domain,
        notify: queue::Notify::NEVER,
        orcpt: None,
        via,
        valid_since: None,
    };
    Ok(match resolution {
        Resolution::Found { accounts, remote, name } => {
            let away = remote.iter().take(MAX_ELSEWHERE).map(|address| {
                elsewhere(address.to_string(), address.domain().as_str().to_owned(), Some(name.to_string()))
            });
            match accounts.into_iter().next() {
                Some(target) => Some(Return::Here(target)),
                None => Some(Return::Elsewhere(away.collect())),
            }
        }
        Resolution::NotOurs => {
            sender.domain_ascii().map(|domain| Return::Elsewhere(vec![elsewhere(sender.to_string(), domain, None)]))
        }
        Resolution::Unknown | Resolution::Suspended | Resolution::Endless => None,
    })
}

/// RFC 3464 §2: a report with a part for people, a part for programs, and what is repeated of the message.
pub(crate) fn write(report: &Report) -> Vec<u8> {
    let sender = report.sender.as_ref().map(ToString::to_string).unwrap_or_default();
    // Whoever can do without UTF-8 does: not every reader knows the types of RFC 6533.
    let international = report.utf8 || !sender.is_ascii();
    let status = status::fields(report, international);
    let utf8 = !status.is_ascii();
    let trace = report.trace.map(|id| id.to_string()).unwrap_or_default();
    let serial = report.serial.map(|number| format!(".{number:x}")).unwrap_or_default();
    let kind = if utf8 { "message/global-delivery-status" } else { "message/delivery-status" };
    let mut parts = vec![
        Builder::part().field("Content-Description", "What happened").text("plain", &words::text(report)),
        Builder::part().field("Content-Description", "The same for programs").body(kind, status.as_bytes()),
    ];
    let eight_bit = !words_are_ascii(&parts);
    parts.extend(report.original.part(may_be_whole(report)));
    let eight_bit = eight_bit || !report.original.is_ascii();
    let mut builder = Builder::message()
        .addresses("From", &[(Some("Mail Delivery System"), &format!("postmaster@{}", report.hostname))])
        .addresses("To", &[(None, &sender)])
        .field("Subject", &words::subject(report))
        .field("Date", &DateTime::utc(report.now.0).format())
        .raw("Message-ID", &format!("<notice.{trace}{serial}@{}>", report.hostname));
    // The notice stands beside what it is about.
    if let Some(id) = report.original.message_id() {
        builder = builder.raw("In-Reply-To", &id).raw("References", &id);
    }
    // RFC 3834 §5; X-Auto-Response-Suppress keeps Exchange from answering.
    builder = builder.field("Auto-Submitted", "auto-replied").field("X-Auto-Response-Suppress", "All");
    // RFC 2045 §6.4: a multipart is at least what its parts are.
    if eight_bit {
        builder = builder.raw("Content-Transfer-Encoding", "8bit");
    }
    builder.multipart("multipart/report; report-type=delivery-status", parts).build()
}

/// The text for people encodes itself; the fields for programs go as they are.
fn words_are_ascii(parts: &[Builder]) -> bool {
    parts.iter().all(|part| part.clone().build().is_ascii())
}

/// RFC 3461 §4.3: RET is about failures; of a success the header is enough. A stranger gets no more than that.
fn may_be_whole(report: &Report) -> bool {
    !report.stranger && report.told.iter().any(|told| matches!(told.fate, Fate::Failed(_) | Fate::Expired(_)))
}

/// Where a notice goes at most, when the sender's mail is forwarded.
pub(crate) const MAX_ELSEWHERE: usize = 20;
