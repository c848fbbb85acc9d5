//! The end of data: from the last byte to the reply.

use std::sync::Arc;

use postroad_mail::{Arrival, Error};
use postroad_message::date::DateTime;
use postroad_smtp::{Reply, Role, Verdict};
use postroad_store::Receipt;

use crate::body::Body;
use crate::delivery::{self, Delivery, Failure, Recipient, Undone};
use crate::inbound::{Inbound, Session, role_name};
use crate::notice::{self, Report};
use crate::replies;
use crate::state::login;

impl Inbound {
    /// Delivers the message that has come whole, and answers.
    pub(crate) async fn finish(&self, session: &mut Session) -> Verdict {
        match self.finish_or_reply(session).await {
            Ok(verdict) => verdict,
            Err(reply) => {
                session.world.refused((self.clock)(), "the message", &reply);
                Verdict::Refuse(reply)
            }
        }
    }

    async fn finish_or_reply(&self, session: &mut Session) -> Result<Verdict, Reply> {
        let role = session.role();
        // An empty message has come without a single piece; one without a blank line ends in its header.
        if !self.body(session).await?.reviewed {
            self.review(session).await?;
        }
        let prefix = self.prefix(session);
        let Some(Body { intake, place, .. }) = session.world.body.take() else {
            return Err(replies::mail_failed(
                &Error::Corrupt("the message is gone".into()),
                self.settings.full_mailbox,
            ));
        };
        // The way to another thread and back costs more than most messages do there.
        let finished = match intake.is_small() {
            true => intake.finish(prefix),
            false => tokio::task::spawn_blocking(move || intake.finish(prefix))
                .await
                .unwrap_or_else(|_| Err(Error::Corrupt("storing a message panicked".to_owned()))),
        };
        let arrival = finished.map_err(|error| self.failed(&error, "storing a message"))?;
        let size = arrival.size;
        let delivery = self.plan(session, arrival)?;
        let result = self.deliver(role, Arc::clone(&delivery)).await;
        drop(place);
        Ok(match result {
            Ok((receipt, failures)) => {
                // The story is part of what was committed.
                session.world.story = None;
                metrics::counter!("postroad_messages_accepted_total", "role" => role_name(role)).increment(1);
                metrics::histogram!("postroad_message_bytes", "role" => role_name(role)).record(size as f64);
                self.committed(role, &receipt, &delivery, &failures)
            }
            Err(Undone::Failed(failures)) => {
                if let Some(story) = &mut session.world.story {
                    for failure in &failures {
                        let address = &delivery.parcels[failure.parcel].address;
                        story.note(delivery.now, "refused", format_args!("{address}: {}", failure.reply));
                    }
                }
                nobody_reached(role, &delivery.recipients, &failures)
            }
            Err(Undone::Broken(error)) => return Err(self.failed(&error, "delivering a message")),
        })
    }

    fn plan(&self, session: &mut Session, arrival: Arrival) -> Result<Arc<Delivery>, Reply> {
        let (parcels, outgoing, recipients) = delivery::plan(session.recipients(), &session.world.recipients);
        let (Some(sender), Some(mut story)) = (session.sender().cloned(), session.world.story.clone()) else {
            return Err(Reply::new(503, (5, 5, 1), "MAIL first"));
        };
        let now = (self.clock)();
        if let Some(id) = &arrival.message_id {
            story.key(id);
        }
        let id = arrival.message_id.as_deref().unwrap_or("none");
        story.note(now, "received", format_args!("{} bytes, Message-ID {id}", arrival.size));
        session.world.story = Some(story.clone());
        Ok(Arc::new(Delivery {
            arrival,
            sender,
            login: login(session).map(|login| login.account),
            now,
            full: self.settings.full_mailbox,
            story,
            parcels,
            outgoing,
            recipients,
        }))
    }

    async fn deliver(&self, role: Role, delivery: Arc<Delivery>) -> Result<(Receipt, Vec<Failure>), Undone> {
        let notice = |failures: Vec<Failure>| {
            let delivery = Arc::clone(&delivery);
            async move {
                let stranger = role == Role::Relay && delivery.login.is_none();
                let report = Report { stranger, ..report(role, &delivery.recipients, &failures) };
                notice::prepare(&self.store, &self.settings.hostname, &delivery, report).await
            }
        };
        delivery::carry_out(&self.store, Arc::clone(&delivery), notice).await
    }

    fn committed(&self, role: Role, receipt: &Receipt, delivery: &Delivery, failures: &[Failure]) -> Verdict {
        let id = delivery.story.id();
        match role {
            Role::Relay | Role::Submission => Verdict::AcceptWith(replies::accepted(receipt, id)),
            Role::Lmtp => Verdict::PerRecipient(
                delivery
                    .recipients
                    .iter()
                    .map(|recipient| match failed(recipient, failures) {
                        Some(reply) => reply.clone(),
                        None => replies::delivered_to(receipt, id, &recipient.address),
                    })
                    .collect(),
            ),
        }
    }

    /// Return-Path first (RFC 5321 §4.4), then our Received line.
    fn prefix(&self, session: &Session) -> Vec<u8> {
        let id = session.world.story.as_ref().map(|story| story.id().to_string()).unwrap_or_default();
        let date = DateTime::utc((self.clock)().0).format();
        let mut received = session.received(&id, &date);
        if session.role() == Role::Submission {
            if self.settings.hide_login {
                received.login = None;
            }
            if self.settings.hide_client {
                received.remote = None;
                received.helo = None;
            }
        }
        let path = session.sender().and_then(|sender| sender.path.as_ref()).map(ToString::to_string);
        format!("Return-Path: <{}>\r\n{}", path.unwrap_or_default(), received.header()).into_bytes()
    }

    fn failed(&self, error: &Error, doing: &str) -> Reply {
        replies::log(error, doing);
        replies::mail_failed(error, self.settings.full_mailbox)
    }
}

/// Why a recipient got nothing at all; `None` when some of what it leads to was reached.
fn failed<'a>(recipient: &Recipient, failures: &'a [Failure]) -> Option<&'a Reply> {
    if recipient.queued {
        return None;
    }
    let of = |parcel: &usize| failures.iter().find(|failure| failure.parcel == *parcel);
    let all = recipient.parcels.iter().all(|parcel| of(parcel).is_some());
    if all { recipient.parcels.iter().find_map(of).map(|failure| &failure.reply) } else { None }
}

/// What the replies do not tell: SMTP has one reply for all, LMTP one for each recipient, which is positive when
/// some of its group was reached. Success is told to who asked for it; the queue tells that of what goes on.
fn report<'a>(role: Role, recipients: &'a [Recipient], failures: &[Failure]) -> Report<'a> {
    let mut report = Report::default();
    for recipient in recipients {
        let failure = failures.iter().find(|failure| recipient.parcels.contains(&failure.parcel));
        let told = role == Role::Lmtp && failed(recipient, failures).is_some();
        match failure {
            Some(failure) if recipient.notify.failure && !told => {
                report.failed.push((recipient, failure.reply.clone()));
            }
            None if recipient.notify.success && !recipient.parcels.is_empty() => report.delivered.push(recipient),
            Some(_) | None => {}
        }
    }
    report
}

/// Nothing was stored for anybody. In SMTP a transient reply wins: whoever fails for good hears it at the
/// next attempt's RCPT.
fn nobody_reached(role: Role, recipients: &[Recipient], failures: &[Failure]) -> Verdict {
    let worst = || {
        failures
            .iter()
            .map(|failure| &failure.reply)
            .find(|reply| reply.is_transient())
            .or(failures.first().map(|failure| &failure.reply))
            .cloned()
            .unwrap_or_else(|| Reply::new(451, (4, 3, 0), "Nothing was delivered. Please try again later."))
    };
    match role {
        Role::Relay | Role::Submission => Verdict::Refuse(worst()),
        Role::Lmtp => Verdict::PerRecipient(
            recipients.iter().map(|recipient| failed(recipient, failures).cloned().unwrap_or_else(worst)).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(parcels: &[usize], queued: bool) -> Recipient {
        let notify = postroad_queue::Notify::default();
        Recipient { address: format!("{parcels:?}"), original: None, notify, parcels: parcels.to_vec(), queued }
    }

    fn failure(parcel: usize, code: u16) -> Failure {
        Failure { parcel, reply: Reply::new(code, (5, 2, 2), "full") }
    }

    #[test]
    fn everybody_is_told_once() {
        let recipients = [recipient(&[0], false), recipient(&[1, 2], false), recipient(&[3], true)];
        let failures = [failure(0, 452), failure(1, 452), failure(3, 452)];
        let told = |role, recipients: &[Recipient]| -> Vec<String> {
            let report = report(role, recipients, &failures);
            let failed = report.failed.iter().map(|(recipient, _)| format!("failed {}", recipient.address));
            failed.chain(report.delivered.iter().map(|recipient| format!("reached {}", recipient.address))).collect()
        };
        assert_eq!(told(Role::Relay, &recipients), ["failed [0]", "failed [1, 2]", "failed [3]"]);
        assert_eq!(told(Role::Lmtp, &recipients), ["failed [1, 2]", "failed [3]"]);
        let all = postroad_queue::Notify { success: true, failure: true, delay: true };
        let asking = [Recipient { notify: all, ..recipient(&[2], false) }, recipient(&[2], false)];
        assert_eq!(told(Role::Relay, &asking), ["reached [2]"]);
        let never = [Recipient { notify: postroad_queue::Notify::NEVER, ..recipient(&[0], false) }];
        assert!(told(Role::Relay, &never).is_empty());
        assert_eq!(failed(&recipients[0], &failures).map(Reply::code), Some(452));
        assert!(failed(&recipients[1], &failures).is_none() && failed(&recipients[2], &failures).is_none());
    }

    #[test]
    fn when_nobody_is_reached_the_sender_tries_again_if_that_may_help() {
        let recipients = [recipient(&[0], false), recipient(&[1], false)];
        let failures = [failure(0, 550), failure(1, 452)];
        let Verdict::Refuse(reply) = nobody_reached(Role::Relay, &recipients, &failures) else {
            panic!("SMTP has one reply");
        };
        assert_eq!(reply.code(), 452);
        let Verdict::PerRecipient(replies) = nobody_reached(Role::Lmtp, &recipients, &failures) else {
            panic!("LMTP has one reply each");
        };
        assert_eq!(replies.iter().map(Reply::code).collect::<Vec<_>>(), [550, 452]);
    }
}
