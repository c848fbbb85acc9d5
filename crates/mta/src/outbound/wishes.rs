//! What a sender wished for, as it is passed on to the next host, and what becomes of it where that does not know the wish.
//! Pure.
//!
//! Standards: RFC 2852 §4.1 (DELIVERBY), RFC 6710 §4 and RFC 6758 §3.3 (MT-PRIORITY), RFC 7293 §5.1.1 and §6 (RRVS), RFC 3865
//! §2.3 (NO-SOLICITING).

use postroad_message::date::DateTime;
use postroad_queue::{Due, Job, Message};
use postroad_smtp::client::{Capabilities, Transaction};
use postroad_smtp::{ByMode, DeliverBy, Notify, Priority, Solicitation, ValidSince, WithoutRrvs};
use postroad_store::Timestamp;

use super::settle::Words;

/// By when it has to be there, from now on. A part of a second that is left is not promised to anybody.
fn deliver_by(message: &Message, now: Timestamp) -> Option<DeliverBy> {
    let by = message.deliver_by?;
    let mode = if by.returns { ByMode::Return } else { ByMode::Notify };
    Some(DeliverBy { seconds: by.at.0.saturating_sub(now.0).div_euclid(1_000_000), mode, trace: by.trace })
}

/// Puts the wishes into an envelope for this host.
pub(super) fn put(transaction: Transaction, message: &Message, remote: &Capabilities, now: Timestamp) -> Transaction {
    let mut transaction = Transaction {
        deliver_by: deliver_by(message, now),
        // RFC 6710 §4.2, RFC 6758 §3.2: also where nobody said one.
        priority: Some(Priority::new(i64::from(message.priority))),
        solicitation: message.solicitation.as_deref().and_then(Solicitation::parse),
        ..transaction
    };
    // RFC 2852 §4.1.4.2: who does not keep the time is to tell of delays at least.
    if transaction.deliver_by.is_some_and(|by| by.mode == ByMode::Notify) && remote.deliver_by.is_none() {
        for recipient in &mut transaction.recipients {
            match &mut recipient.notify {
                None => recipient.notify = Some(Notify { success: false, failure: true, delay: true }),
                Some(Notify { success: false, failure: false, delay: false }) => {}
                Some(notify) => notify.delay = true,
            }
        }
    }
    transaction
}

/// Why a message that goes back when its time is over is not tried any more; `None` while it may be.
pub(super) fn too_late(message: &Message, now: Timestamp) -> Option<Words> {
    let by = message.deliver_by.filter(|by| by.returns && now.0.saturating_add(1_000_000) > by.at.0)?;
    let text = format!("It was to be delivered by {} or to come back", DateTime::utc(by.at.0).format());
    Some(Words::ours((5, 4, 7), text, "looking at the time"))
}

/// Why a recipient's mail does not go to a host that does not know RRVS; `None` when it may.
pub(super) fn needs_valid_since(due: &Due, remote: &Capabilities) -> Option<Words> {
    let since = due.valid_since.as_deref().and_then(ValidSince::parse)?;
    (since.without == WithoutRrvs::Return && !remote.valid_since).then(|| {
        let text = "The message is only for who had the address at a time, and their server cannot look (RRVS)";
        Words::ours((5, 7, 19), text, "MAIL")
    })
}

/// The header field in which a priority goes on through a host that does not know it. RRVS has a field as well, which is for
/// those alone who know that it will be looked at behind that host (RFC 7293 §4 and §6), and we never do.
pub(super) fn tunnelled(job: &Job, remote: &Capabilities) -> Vec<u8> {
    let mut fields = String::new();
    // RFC 6758 §3.3. What others wrote into such a field went when the message came in.
    if job.message.priority != 0 && !remote.priority {
        fields.push_str(&format!("MT-Priority: {}\r\n", job.message.priority));
    }
    fields.into_bytes()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use postroad_queue::{self as queue, Body, Node, Purpose, QueueId};
    use postroad_store::BlobId;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_348_800_000_000);

    fn job(change: impl FnOnce(&mut Job)) -> Job {
        let message = Message {
            id: QueueId(1),
            blob: BlobId(1),
            size: 1,
            sender: String::new(),
            account: None,
            standing: postroad_queue::Standing::Unknown,
            envid: None,
            ret: None,
            body: Body::SevenBit,
            smtputf8: false,
            requiretls: false,
            trace: None,
            created: NOW,
            expires: NOW,
            deliver_by: None,
            hold_until: None,
            hold_asked: None,
            priority: 0,
            solicitation: None,
        };
        let due = Due {
            number: 0,
            address: "bob@far.test".to_owned(),
            notify: queue::Notify::default(),
            orcpt: None,
            attempts: 0,
            delay_told: false,
            valid_since: None,
            last_reply: None,
        };
        let mut job = Job {
            purpose: Purpose::Send,
            message,
            domain: "far.test".to_owned(),
            via: None,
            recipients: vec![due],
            failures: 0,
            probe: false,
            node: Node::new("n"),
        };
        change(&mut job);
        job
    }

    #[test]
    fn the_time_that_is_left_gets_less() {
        for (left, returns, expect, late) in [
            (120_999, true, "120;R", false),
            (1_000, true, "1;R", false),
            (999, true, "0;R", true),
            (-5_001, true, "-6;R", true),
            (-5_001, false, "-6;N", false),
        ] {
            let at = Timestamp(NOW.0 + left * 1_000);
            let by = queue::DeliverBy { at, returns, trace: false };
            let job = job(|job| job.message.deliver_by = Some(by));
            let put = put(Transaction::new(None, 0, Vec::new()), &job.message, &Capabilities::default(), NOW);
            assert_eq!(put.deliver_by.map(|by| by.to_string()).as_deref(), Some(expect));
            assert_eq!(too_late(&job.message, NOW).is_some(), late, "{left}");
        }
        assert!(too_late(&job(|_| {}).message, NOW.plus(Duration::from_secs(9))).is_none());
    }

    #[test]
    fn what_a_host_does_not_know_goes_in_the_header_or_does_not_go() {
        let all = Capabilities { priority: true, valid_since: true, ..Capabilities::default() };
        let none = Capabilities::default();
        let since = |text: &str| Some(text.to_owned());
        let urgent = job(|job| job.message.priority = -3);
        assert_eq!(tunnelled(&urgent, &none), b"MT-Priority: -3\r\n");
        assert!(tunnelled(&urgent, &all).is_empty() && tunnelled(&job(|_| {}), &none).is_empty());
        let goes_on = job(|job| job.recipients[0].valid_since = since("2026-11-22T12:00:00Z;C"));
        assert!(tunnelled(&goes_on, &none).is_empty());
        assert!(needs_valid_since(&goes_on.recipients[0], &none).is_none());
        let returns = job(|job| job.recipients[0].valid_since = since("2026-11-22T12:00:00Z;R"));
        assert!(needs_valid_since(&returns.recipients[0], &none).is_some());
        assert!(needs_valid_since(&returns.recipients[0], &all).is_none());
    }

    #[test]
    fn who_does_not_keep_the_time_is_asked_to_tell_of_delays() {
        let keeps = Capabilities { deliver_by: Some(0), ..Capabilities::default() };
        let notify = |success, failure, delay| Some(Notify { success, failure, delay });
        for (wished, expect) in [
            (None, notify(false, true, true)),
            (notify(true, false, false), notify(true, false, true)),
            (notify(false, true, true), notify(false, true, true)),
            (notify(false, false, false), notify(false, false, false)),
        ] {
            let path = postroad_smtp::ForwardPath::Address("bob@far.test".parse().expect("an address"));
            let to = postroad_smtp::RcptTo { notify: wished, ..postroad_smtp::RcptTo::new(path) };
            let envelope = |remote: &Capabilities, returns| {
                let by = queue::DeliverBy { at: NOW.plus(Duration::from_secs(60)), returns, trace: false };
                let job = job(|job| job.message.deliver_by = Some(by));
                put(Transaction::new(None, 0, vec![to.clone()]), &job.message, remote, NOW).recipients[0].notify
            };
            assert_eq!(envelope(&Capabilities::default(), false), expect);
            assert_eq!(envelope(&keeps, false), wished, "it tells by itself");
            assert_eq!(envelope(&Capabilities::default(), true), wished);
        }
    }
}
