//! The end of data: from the last byte to the reply.

use std::sync::Arc;

use postroad_mail::{Arrival, Error};
use postroad_mailauth::dmarc;
use postroad_mailauth::report::letter;
use postroad_message::date::DateTime;
use postroad_queue::Standing;
use postroad_smtp::{RcptTo, Reply, Role, Verdict};
use postroad_store::Receipt;
use postroad_trust::reports::Sender;

use crate::body::Body;
use crate::checks::{Checked, Filed, Summary, Told as Kept};
use crate::delivery::{self, Delivery, Failure, Recipient, Undone};
use crate::header;
use crate::inbound::{Inbound, Session, role_name};
use crate::notice::{self, Fate, Original, Report, Told, Why, Words};
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
        let Some(Body { intake, place, hashers, signatures, signing, copy, .. }) = session.world.body.take() else {
            return Err(replies::mail_failed(
                &Error::Corrupt("the message is gone".into()),
                self.settings.full_mailbox,
            ));
        };
        let digests = hashers.finish();
        let kept = Kept { header: intake.header(), body: copy.as_deref() };
        let checked = self.check(session, signatures, &digests, kept).await?;
        let marked = self.gate_message(session);
        if marked.filed == Filed::Junk {
            session.world.recipients.iter_mut().for_each(|accepted| accepted.filed = Filed::Junk);
        }
        let now = (self.clock)();
        let (fields, told) = signing.fields(intake.header(), &digests, checked.as_ref(), &self.settings.hostname, now);
        if let (Some(story), Some((kind, words))) = (&mut session.world.story, told) {
            story.note(now, kind, words);
        }
        let mut ours = String::from_utf8(fields).unwrap_or_default();
        ours.push_str(checked.as_ref().map_or("", |checked| &checked.results));
        ours.push_str(&marked.fields);
        let report = report_sender(session, intake.header(), checked.as_ref());
        let prefix = self.prefix(session, &ours, checked.as_ref().and_then(|checked| checked.client.as_deref()));
        let original = match may_be_told(session) {
            true => Original::header(intake.header()),
            false => Original::default(),
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
        let standing = checked.as_ref().map(|checked| checked.standing).unwrap_or_default();
        let seen = Seen { summary: checked.and_then(|checked| checked.summary), standing, report };
        let delivery = self.plan(session, arrival, original, seen)?;
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
                        let address = &delivery.parcels[failure.parcel].target.address;
                        story.note(delivery.now, "refused", format_args!("{address}: {}", failure.reply));
                    }
                }
                nobody_reached(role, &delivery.recipients, &failures)
            }
            Err(Undone::TooMuch(much)) => return Err(self.over(session, &much).await),
            Err(Undone::Broken(error)) => return Err(self.failed(&error, "delivering a message")),
        })
    }

    fn plan(
        &self,
        session: &mut Session,
        arrival: Arrival,
        original: Original,
        seen: Seen,
    ) -> Result<Arc<Delivery>, Reply> {
        let (parcels, outgoing, recipients) =
            delivery::plan(session.recipients(), &session.world.recipients, session.world.wanted.hold_until.is_some());
        let (Some(mut sender), Some(mut story)) = (session.sender().cloned(), session.world.story.clone()) else {
            return Err(Reply::new(503, (5, 5, 1), "MAIL first"));
        };
        // RFC 3865 §2.7: what the header says goes on as the parameter.
        sender.solicitation = sender.solicitation.or_else(|| session.world.solicitation.clone());
        let now = (self.clock)();
        if let Some(id) = &arrival.message_id {
            story.key(id);
        }
        let id = arrival.message_id.as_deref().unwrap_or("none");
        story.note(now, "received", format_args!("{} bytes, Message-ID {id}", arrival.size));
        session.world.story = Some(story.clone());
        let Seen { summary, standing, report } = seen;
        // Not in the session's: a message that is not stored after all comes again.
        // A report of who is known to be its sender is not reported on: two servers would write to each other for ever.
        let is_report = report.as_ref().is_some_and(|sender| sender.verified);
        if let (Some(recorder), Some(summary)) = (self.recorder(), summary.filter(|_| !is_report)) {
            story.record(recorder, summary);
        }
        Ok(Arc::new(Delivery {
            arrival,
            original,
            sender,
            login: login(session).map(|login| login.account),
            allowed: session.world.allowance.as_ref().map(|allowance| allowance.limits).unwrap_or_default(),
            lessons: self.lessons(session),
            standing,
            now,
            full: self.settings.full_mailbox,
            terms: self.settings.terms,
            wanted: session.world.wanted,
            story,
            report,
            reads_report: session.world.recipients.iter().any(|accepted| accepted.reads_reports),
            parcels,
            outgoing,
            recipients,
        }))
    }

    async fn deliver(&self, role: Role, delivery: Arc<Delivery>) -> Result<(Receipt, Vec<Failure>), Undone> {
        let notice = |failures: Vec<Failure>| {
            let delivery = Arc::clone(&delivery);
            async move {
                // Carried out all the same: what is left is told in the story.
                if delivery.standing == Standing::Forged {
                    return Ok(None);
                }
                let report = Report {
                    hostname: self.settings.hostname.clone(),
                    sender: delivery.sender.path.clone(),
                    envid: delivery.sender.envid.clone(),
                    arrived: delivery.now,
                    now: delivery.now,
                    trace: Some(delivery.story.id()),
                    serial: None,
                    stranger: role == Role::Relay && delivery.login.is_none() && delivery.standing != Standing::Vouched,
                    utf8: delivery.sender.smtputf8,
                    deliver_by: delivery.wanted.deliver_by.map(|by| by.at),
                    hold_asked: delivery.sender.hold.map(|hold| hold.to_string()),
                    priority: delivery.wanted.priority.level(),
                    original: delivery.original.clone(),
                    told: told(role, &delivery.recipients, &failures),
                };
                notice::prepare(&self.store, &self.signing, report).await
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
                        Some(reply) => reply,
                        None => replies::delivered_to(receipt, id, &recipient.address),
                    })
                    .collect(),
            ),
        }
    }

    /// Return-Path first (RFC 5321 §4.4), then fields of ours, then our Received line.
    fn prefix(&self, session: &Session, ours: &str, client: Option<&str>) -> Vec<u8> {
        let id = session.world.story.as_ref().map(|story| story.id().to_string()).unwrap_or_default();
        let date = DateTime::utc((self.clock)().0).format();
        let mut received = session.received(&id, &date);
        received.reverse_name = client;
        received.priority = received.priority.map(|_| session.world.wanted.priority);
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
        format!("Return-Path: <{}>\r\n{ours}{}", path.unwrap_or_default(), received.header()).into_bytes()
    }

    fn failed(&self, error: &Error, doing: &str) -> Reply {
        replies::log(error, doing);
        replies::mail_failed(error, self.settings.full_mailbox)
    }
}

/// What was found about a message, as far as its delivery cares.
struct Seen {
    summary: Option<Summary>,
    standing: Standing,
    report: Option<Sender>,
}

/// Who sent what may carry reports; `None` for all other mail, and for what people of ours hand in.
fn report_sender(session: &Session, header: &[u8], checked: Option<&Checked>) -> Option<Sender> {
    if session.role() != Role::Relay || login(session).is_some() || !letter::may_be(header) {
        return None;
    }
    let dmarc = checked.and_then(|checked| checked.summary.as_ref()).map(|summary| &summary.dmarc);
    let verified = dmarc.is_some_and(|dmarc| dmarc.result == dmarc::Result::Pass);
    let author = || Some(header::review(header).from.into_iter().next()?.domain.to_lowercase());
    let domain = dmarc.map(|dmarc| dmarc.domain.clone()).filter(|domain| !domain.is_empty()).or_else(author);
    Some(Sender { domain: domain.unwrap_or_default(), verified })
}

/// Whether a notice may be due: what leads to one place alone is told in the reply, unless success was asked for.
fn may_be_told(session: &Session) -> bool {
    let places = session.world.recipients.iter().map(|accepted| accepted.targets.len() + accepted.remote.len());
    let asks = |recipient: &RcptTo| recipient.notify.is_some_and(|notify| notify.success);
    places.sum::<usize>() > 1 || session.recipients().iter().any(asks)
}

/// Why a recipient got nothing at all; `None` when some of what it leads to was reached.
fn failed(recipient: &Recipient, failures: &[Failure]) -> Option<Reply> {
    if recipient.in_circles {
        return Some(replies::in_circles());
    }
    if recipient.onward > 0 {
        return None;
    }
    let of = |parcel: &usize| failures.iter().find(|failure| failure.parcel == *parcel);
    let all = recipient.parcels.iter().all(|parcel| of(parcel).is_some());
    if all { recipient.parcels.iter().find_map(of).map(|failure| failure.reply.clone()) } else { None }
}

/// What the replies do not tell: SMTP has one reply for all, LMTP one for each recipient, which is positive when
/// some of its group was reached. Success is told to who asked for it; the queue tells that of what goes on.
fn told(role: Role, recipients: &[Recipient], failures: &[Failure]) -> Vec<Told> {
    let mut all = Vec::new();
    for recipient in recipients {
        let failure = failures.iter().find(|failure| recipient.parcels.contains(&failure.parcel));
        let circles = recipient.in_circles.then(replies::in_circles);
        let reply = circles.as_ref().or(failure.map(|failure| &failure.reply));
        let heard = role == Role::Lmtp && failed(recipient, failures).is_some();
        let fate = match reply {
            Some(reply) if recipient.notify.failure && !heard => {
                Fate::Failed(Why { words: Words::replied(reply, "end of data"), host: None, at: None })
            }
            // RFC 3461 §5.2.7.3: what became several has been expanded; they are not told of one by one.
            None if recipient.notify.success && recipient.is_expanded() => Fate::Expanded,
            None if recipient.notify.success && !recipient.parcels.is_empty() => Fate::Delivered,
            Some(_) | None => continue,
        };
        all.push(Told { address: recipient.address.clone(), original: recipient.original.clone(), fate });
    }
    all
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
            recipients.iter().map(|recipient| failed(recipient, failures).unwrap_or_else(worst)).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(parcels: &[usize], queued: bool) -> Recipient {
        let notify = postroad_queue::Notify::default();
        Recipient {
            address: format!("{parcels:?}"),
            original: None,
            notify,
            parcels: parcels.to_vec(),
            onward: usize::from(queued),
            in_circles: false,
        }
    }

    fn failure(parcel: usize, code: u16) -> Failure {
        Failure { parcel, reply: Reply::new(code, (5, 2, 2), "full") }
    }

    #[test]
    fn everybody_is_told_once() {
        let recipients = [recipient(&[0], false), recipient(&[1, 2], false), recipient(&[3], true)];
        let failures = [failure(0, 452), failure(1, 452), failure(3, 452)];
        let told = |role, recipients: &[Recipient]| -> Vec<String> {
            let words = |told: Told| {
                let fate = match told.fate {
                    Fate::Failed(why) => format!("failed {}", why.words.enhanced),
                    other => format!("{other:?}"),
                };
                format!("{fate} {}", told.address)
            };
            super::told(role, recipients, &failures).into_iter().map(words).collect()
        };
        assert_eq!(told(Role::Relay, &recipients), ["failed 4.2.2 [0]", "failed 4.2.2 [1, 2]", "failed 4.2.2 [3]"]);
        assert_eq!(told(Role::Lmtp, &recipients), ["failed 4.2.2 [1, 2]", "failed 4.2.2 [3]"]);
        let all = postroad_queue::Notify { success: true, failure: true, delay: true };
        let asking = [Recipient { notify: all, ..recipient(&[2], false) }, recipient(&[2], false)];
        assert_eq!(told(Role::Relay, &asking), ["Delivered [2]"]);
        let expanded = [
            Recipient { notify: all, onward: 2, ..recipient(&[], false) },
            Recipient { notify: all, onward: 1, ..recipient(&[2], false) },
            Recipient { notify: all, onward: 1, ..recipient(&[], false) },
        ];
        assert_eq!(told(Role::Relay, &expanded), ["Expanded []", "Expanded [2]"], "of the third the queue tells");
        let circles = [Recipient { in_circles: true, ..recipient(&[], false) }, recipient(&[2], false)];
        assert_eq!(told(Role::Relay, &circles), ["failed 5.4.6 []"]);
        assert!(told(Role::Lmtp, &circles).is_empty(), "it is in the replies");
        assert_eq!(failed(&circles[0], &[]).map(|reply| reply.code()), Some(554));
        let never = [Recipient { notify: postroad_queue::Notify::NEVER, ..recipient(&[0], false) }];
        assert!(told(Role::Relay, &never).is_empty());
        assert_eq!(failed(&recipients[0], &failures).map(|reply| reply.code()), Some(452));
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
