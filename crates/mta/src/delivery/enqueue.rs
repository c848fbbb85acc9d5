//! What goes to the queue: mail for elsewhere, notices, and letters with reports.

use std::time::Duration;

use postroad_mail::deliver::Kept;
use postroad_mail::{Arrival, By};
use postroad_queue as queue;
use postroad_smtp::{BodyType, Ret};
use postroad_store::WriteTx;
use postroad_trust::reports;

use super::{Delivery, Undone};
use crate::story::Story;

/// The queue's row for what goes elsewhere.
pub(super) fn outgoing(delivery: &Delivery, kept: &Kept<'_>) -> queue::Outgoing {
    let sender = &delivery.sender;
    let arrival = &delivery.arrival;
    let addresses = delivery.outgoing.iter().all(|recipient| recipient.address.is_ascii())
        && sender.path.as_ref().is_none_or(postroad_smtp::Address::is_ascii);
    queue::Outgoing {
        blob: kept.blob(),
        size: arrival.size,
        sender: sender.path.as_ref().map(ToString::to_string).unwrap_or_default(),
        account: delivery.login,
        standing: delivery.standing,
        envid: sender.envid.clone(),
        ret: sender.ret.map(|ret| match ret {
            Ret::Full => queue::Ret::Full,
            Ret::Headers => queue::Ret::Headers,
        }),
        body: body_of(sender.body, arrival),
        // RFC 6531 §3.4: who hands in says that a header needs it. Raw octets in one that nobody declared go on as they
        // came: a host that took them so before would otherwise get a failure made of them.
        smtputf8: !addresses || sender.smtputf8 && arrival.summary.facts.eight_bit_header,
        requiretls: sender.requiretls,
        trace: Some(delivery.story.id()),
        hold_until: delivery.wanted.hold_until,
        hold_asked: sender.hold.map(|hold| hold.to_string()),
        deliver_by: delivery.wanted.deliver_by,
        priority: delivery.wanted.priority.level(),
        solicitation: sender.solicitation.as_ref().map(ToString::to_string),
        terms: delivery.terms,
        recipients: delivery.outgoing.clone(),
    }
}

/// Puts a notice into the queue.
pub(crate) fn queue_notice(
    tx: &mut WriteTx,
    by: &By,
    recipients: &[queue::Recipient],
    arrival: &Arrival,
    priority: i8,
    story: &Story,
) -> Result<queue::QueueId, Undone> {
    let kept = Kept::put(tx, arrival)?;
    let outgoing = queue::Outgoing { priority, ..of_this_server(recipients, arrival, &kept, story) };
    let id = queue::enqueue(tx, &outgoing, by.now)?;
    kept.finish(tx)?;
    Ok(id)
}

/// Puts a letter with a report into the queue like a notice. `here`: somebody in a domain of ours wants it. Then it is read here
/// as if it had come from outside, and what is for a mailbox waits for a moment, as held mail does, so that it is filed instead of
/// being sent to ourselves.
pub(crate) fn queue_report(
    tx: &mut WriteTx,
    by: &By,
    recipients: &[queue::Recipient],
    arrival: &Arrival,
    here: Option<&reports::Sender>,
    story: &Story,
) -> Result<Option<queue::QueueId>, Undone> {
    let kept = Kept::put(tx, arrival)?;
    if let Some(sender) = here {
        reports::wait(tx, kept.blob(), arrival.size, story.id(), by.now, sender)?;
    }
    let hold_until = here.map(|_| by.now.plus(A_MOMENT));
    let outgoing = queue::Outgoing { hold_until, ..of_this_server(recipients, arrival, &kept, story) };
    let id = match recipients.is_empty() {
        true => None,
        false => Some(queue::enqueue(tx, &outgoing, by.now)?),
    };
    kept.finish(tx)?;
    Ok(id)
}

/// A letter that this server writes, with the null sender: nobody is told what becomes of it.
fn of_this_server(
    recipients: &[queue::Recipient],
    arrival: &Arrival,
    kept: &Kept<'_>,
    story: &Story,
) -> queue::Outgoing {
    let ascii = recipients.iter().all(|recipient| recipient.address.is_ascii());
    queue::Outgoing {
        blob: kept.blob(),
        size: arrival.size,
        sender: String::new(),
        account: None,
        standing: queue::Standing::Unknown,
        envid: None,
        ret: None,
        body: body_of(None, arrival),
        smtputf8: !ascii || arrival.summary.facts.eight_bit_header,
        requiretls: false,
        trace: Some(story.id()),
        hold_until: None,
        hold_asked: None,
        deliver_by: None,
        priority: 0,
        solicitation: None,
        // It is tried for as long as is usual, however little patience there is for mail.
        terms: queue::Terms::default(),
        recipients: recipients.to_vec(),
    }
}

/// What the bytes need: the client's word, and more when the bytes say so.
fn body_of(declared: Option<BodyType>, arrival: &Arrival) -> queue::Body {
    let facts = arrival.summary.facts;
    match declared {
        Some(BodyType::BinaryMime) => queue::Body::BinaryMime,
        Some(BodyType::SevenBit | BodyType::EightBitMime) | None if facts.nul => queue::Body::BinaryMime,
        Some(BodyType::EightBitMime) => queue::Body::EightBitMime,
        Some(BodyType::SevenBit) | None if facts.eight_bit_body => queue::Body::EightBitMime,
        Some(BodyType::SevenBit) | None => queue::Body::SevenBit,
    }
}

/// What is held is filed; that it is held at all is what counts.
const A_MOMENT: Duration = Duration::from_micros(1);
