//! A non-delivery notice to the sender (RFC 3464), about recipients that failed after the message was
//! accepted for others. Rare: a mailbox that filled up between RCPT and the end of data, or a group's member.

use postroad_mail::resolve::{self, Target};
use postroad_mail::{Address, Arrival, Error, Intake, Resolution};
use postroad_message::Limits;
use postroad_message::build::Builder;
use postroad_message::date::DateTime;
use postroad_queue as queue;
use postroad_smtp::Host;
use postroad_store::{AccountId, ReadTx, Store};

use crate::delivery::{Delivery, Failure};

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

impl Notice {
    /// The account that gets it, to be locked.
    pub(crate) fn account(&self) -> Option<AccountId> {
        match &self.to {
            Return::Here(target) => Some(target.account),
            Return::Elsewhere(_) => None,
        }
    }
}

/// Writes the notice; `None` when there is nobody to tell: the null sender (RFC 5321 §4.5.5), or one that
/// does not exist.
pub(crate) async fn prepare(
    store: &Store,
    hostname: &str,
    delivery: &Delivery,
    failures: &[Failure],
) -> Result<Option<Notice>, Error> {
    let Some(sender) = delivery.sender.path.clone() else { return Ok(None) };
    let text = write(hostname, delivery, failures, &sender.to_string());
    let Some(to) = store.read(move |tx| way_back(tx, &sender)).await? else { return Ok(None) };
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
            })
        }),
        Resolution::Unknown | Resolution::Suspended | Resolution::Endless => None,
    })
}

/// RFC 3464 §2: a report with a part for people and a part for programs.
fn write(hostname: &str, delivery: &Delivery, failures: &[Failure], sender: &str) -> Vec<u8> {
    let id = delivery.story.id();
    let date = DateTime::utc(delivery.now.0).format();
    let mut words = "Your message was delivered, but not to everyone. It could not be delivered to:\n\n".to_owned();
    let mut status = format!("Reporting-MTA: dns; {hostname}\r\nArrival-Date: {date}\r\n");
    if let Some(envid) = &delivery.sender.envid {
        status.push_str(&format!("Original-Envelope-Id: {envid}\r\n"));
    }
    for failure in failures {
        let address = &delivery.parcels[failure.parcel].address;
        let reason = failure.reply.lines().join(" ");
        words.push_str(&format!("  {address}\n    {reason}\n"));
        let code = failure.reply.enhanced().map(|code| format!("5.{}.{}", code.1, code.2)).unwrap_or("5.0.0".into());
        let kind = if address.to_string().is_ascii() { "rfc822" } else { "utf-8" };
        status.push_str(&format!(
            "\r\nFinal-Recipient: {kind}; {address}\r\nAction: failed\r\nStatus: {code}\r\nDiagnostic-Code: smtp; {}\r\n",
            failure.reply
        ));
    }
    words.push_str(&format!("\nThe message is not tried again for them. Its trace id is {id}.\n"));
    let subject = delivery.arrival.summary.envelope.subject_text();
    if !subject.is_empty() {
        words.push_str(&format!("Its subject was: {subject}\n"));
    }
    Builder::message()
        .addresses("From", &[(Some("Mail Delivery System"), &format!("postmaster@{hostname}"))])
        .addresses("To", &[(None, sender)])
        .field("Subject", "Not everyone got your message")
        .field("Date", &date)
        .raw("Message-ID", &format!("<notice.{id}@{hostname}>"))
        // RFC 3834 §5; X-Auto-Response-Suppress keeps Exchange from answering.
        .field("Auto-Submitted", "auto-replied")
        .field("X-Auto-Response-Suppress", "All")
        .multipart(
            "multipart/report; report-type=delivery-status",
            vec![
                Builder::part().text("plain", &words),
                Builder::part().body("message/delivery-status", status.as_bytes()),
            ],
        )
        .build()
}
