//! Notices to the sender (RFC 3464): about recipients that failed after the message was accepted for others (a
//! mailbox that filled up between RCPT and the end of data, a group's member), and about success to who asked
//! for it (RFC 3461 §4.1).
//!
//! A notice names recipients as the sender wrote them, never whom an alias leads to, and repeats nothing of
//! the message: with a forged sender it would carry somebody's words to a stranger.

use postroad_mail::resolve::{self, Target};
use postroad_mail::{Address, Arrival, Error, Intake, Resolution};
use postroad_message::Limits;
use postroad_message::build::Builder;
use postroad_message::date::DateTime;
use postroad_queue as queue;
use postroad_smtp::{Host, Reply};
use postroad_store::{AccountId, ReadTx, Store};

use crate::delivery::{Delivery, Recipient};

/// A notice that is safe on disk, and where it goes.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) arrival: Arrival,
    pub(crate) to: Return,
}

/// Where the sender is.
#[derive(Debug, Clone)]
pub(crate) enum Return {
    Here(Target),
    Elsewhere(queue::Recipient),
}

/// What a notice tells.
#[derive(Debug, Default)]
pub(crate) struct Report<'a> {
    pub(crate) failed: Vec<(&'a Recipient, Reply)>,
    pub(crate) delivered: Vec<&'a Recipient>,
    /// Nobody logged in, and anybody may have written the sender's name.
    pub(crate) stranger: bool,
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
pub(crate) async fn prepare(
    store: &Store,
    hostname: &str,
    delivery: &Delivery,
    mut report: Report<'_>,
) -> Result<Option<Notice>, Error> {
    let Some(sender) = delivery.sender.path.clone() else { return Ok(None) };
    if report.failed.is_empty() && report.delivered.is_empty() {
        return Ok(None);
    }
    let name = sender.to_string();
    let Some(to) = store.read(move |tx| way_back(tx, &sender)).await? else { return Ok(None) };
    // Whoever forges a sender could have us write to anybody, in words of their choice (ENVID, ORCPT), as often as
    // they like. A failure has to be told all the same.
    if report.stranger && matches!(to, Return::Elsewhere(_)) {
        report.delivered.clear();
        if report.failed.is_empty() {
            return Ok(None);
        }
    }
    let text = write(hostname, delivery, &report, &name);
    let upload = store.upload();
    let made = tokio::task::spawn_blocking(move || {
        let mut intake = Intake::new(upload, Limits::default());
        intake.feed(&text)?;
        intake.finish(b"Return-Path: <>\r\n".to_vec())
    });
    let arrival = made.await.map_err(|_| Error::Corrupt("writing a notice panicked".to_owned()))??;
    Ok(Some(Notice { arrival, to }))
}

fn way_back(tx: &ReadTx, sender: &postroad_smtp::Address) -> Result<Option<Return>, Error> {
    let Host::Domain(domain) = sender.host() else { return Ok(None) };
    let resolution = match Address::new(sender.local(), domain) {
        Ok(address) => resolve::resolve(tx, &address)?,
        Err(_) => Resolution::NotOurs,
    };
    Ok(match resolution {
        Resolution::Found { accounts, .. } => accounts.into_iter().next().map(Return::Here),
        Resolution::NotOurs => sender.domain_ascii().map(|domain| {
            Return::Elsewhere(queue::Recipient {
                address: sender.to_string(),
                domain,
                notify: queue::Notify::NEVER,
                orcpt: None,
                via: None,
            })
        }),
        Resolution::Unknown | Resolution::Suspended | Resolution::Endless => None,
    })
}

/// RFC 3464 §2: a report with a part for people and a part for programs.
fn write(hostname: &str, delivery: &Delivery, report: &Report<'_>, sender: &str) -> Vec<u8> {
    let id = delivery.story.id();
    let date = DateTime::utc(delivery.now.0).format();
    let (words, subject) = words(report);
    let words = format!("{words}The message's trace id is {id}.\n");
    Builder::message()
        .addresses("From", &[(Some("Mail Delivery System"), &format!("postmaster@{hostname}"))])
        .addresses("To", &[(None, sender)])
        .field("Subject", subject)
        .field("Date", &date)
        .raw("Message-ID", &format!("<notice.{id}@{hostname}>"))
        // RFC 3834 §5; X-Auto-Response-Suppress keeps Exchange from answering.
        .field("Auto-Submitted", "auto-replied")
        .field("X-Auto-Response-Suppress", "All")
        .multipart(
            "multipart/report; report-type=delivery-status",
            vec![
                Builder::part().text("plain", &words),
                Builder::part().body("message/delivery-status", status(hostname, delivery, report, &date).as_bytes()),
            ],
        )
        .build()
}

/// The part for people, and the subject.
fn words(report: &Report<'_>) -> (String, &'static str) {
    let mut words = String::new();
    if !report.failed.is_empty() {
        words.push_str("Your message was accepted, but it could not be delivered to:\n\n");
        for (recipient, reply) in &report.failed {
            words.push_str(&format!("  {}\n    {}\n", recipient.address, reply.lines().join(" ")));
        }
        words.push_str("\nIt is not tried again for them.\n\n");
    }
    if !report.delivered.is_empty() {
        words.push_str("Your message was delivered, as you asked to be told, to:\n\n");
        for recipient in &report.delivered {
            words.push_str(&format!("  {}\n", recipient.address));
        }
        words.push('\n');
    }
    let subject = if report.failed.is_empty() { "Your message was delivered" } else { "Not everyone got your message" };
    (words, subject)
}

/// The part for programs (RFC 3464 §2.2 and §2.3).
fn status(hostname: &str, delivery: &Delivery, report: &Report<'_>, date: &str) -> String {
    let mut status = format!("Reporting-MTA: dns; {hostname}\r\nArrival-Date: {date}\r\n");
    if let Some(envid) = &delivery.sender.envid {
        status.push_str(&format!("Original-Envelope-Id: {envid}\r\n"));
    }
    for (recipient, reply) in &report.failed {
        let code = reply.enhanced().map_or("5.0.0".to_owned(), |code| format!("5.{}.{}", code.1, code.2));
        let diagnostic = format!("Diagnostic-Code: smtp; {reply}\r\n");
        status.push_str(&one(recipient, "failed", &code, &diagnostic));
    }
    for recipient in &report.delivered {
        // RFC 3461 §5.2.7.2: what became several has been expanded; each of these is delivered for itself.
        let expanded = recipient.queued || recipient.parcels.len() > 1;
        status.push_str(&one(recipient, if expanded { "expanded" } else { "delivered" }, "2.1.5", ""));
    }
    status
}

fn one(recipient: &Recipient, action: &str, code: &str, diagnostic: &str) -> String {
    let original =
        recipient.original.as_ref().map_or(String::new(), |original| format!("Original-Recipient: {original}\r\n"));
    let kind = if recipient.address.is_ascii() { "rfc822" } else { "utf-8" };
    let address = &recipient.address;
    format!("\r\n{original}Final-Recipient: {kind}; {address}\r\nAction: {action}\r\nStatus: {code}\r\n{diagnostic}")
}
