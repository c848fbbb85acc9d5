//! Mail that its sender wanted to be held (FUTURERELEASE), for mailboxes of this server: when its time has come it is filed here,
//! and never sent to ourselves over a socket.
//!
//! Who it is for is looked up when it is released, so that it goes where mail of that day goes. What is filed, what is sent on
//! behind aliases and forwards, and the queue's rows change in one transaction ([`super::settle`]).
//!
//! Standards: RFC 4865 §4.

use postroad_mail::resolve::{self, Target};
use postroad_mail::{Address, Arrival, By, Domain, Error, Intake, Resolution, deliver, domains};
use postroad_message::Limits;
use postroad_queue as queue;
use postroad_queue::{Due, Job};
use postroad_smtp::Reply;
use postroad_store::{AccountId, ReadTx, Store, WriteTx};

use super::settle::{Verdict, Words};
use crate::delivery::{self, Undone};
use crate::replies;
use crate::story::Story;
use crate::{FullMailbox, notice};

/// What is filed here in the transaction that records the job.
#[derive(Debug)]
pub(crate) struct Here {
    arrival: Arrival,
    targets: Vec<Target>,
    /// Behind aliases and forwards of those who were named.
    onward: Vec<queue::Recipient>,
}

/// A held job whose recipients are here.
pub(crate) struct Found {
    pub(crate) here: Option<Here>,
    pub(crate) verdicts: Vec<(i64, Verdict)>,
}

impl Here {
    /// The accounts, to be locked.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = AccountId> {
        self.targets.iter().map(|target| target.account)
    }

    /// Files it.
    pub(crate) fn file(&self, tx: &mut WriteTx, by: &By, job: &Job, story: &mut Story) -> Result<(), Undone> {
        for target in &self.targets {
            match delivery::file_notice(tx, by, target, &self.arrival, story)? {
                Ok(stored) => story.note(by.now, "stored", stored),
                // There was room a moment ago: it is tried again.
                Err(reply) => return Err(Error::Corrupt(format!("{}: {reply}", target.address)).into()),
            }
        }
        if !self.onward.is_empty() {
            let message = &job.message;
            let outgoing = queue::Outgoing {
                blob: message.blob,
                size: message.size,
                sender: message.sender.clone(),
                account: message.account,
                standing: message.standing,
                envid: message.envid.clone(),
                ret: message.ret,
                body: message.body,
                smtputf8: message.smtputf8,
                requiretls: message.requiretls,
                trace: message.trace,
                hold_until: None,
                hold_asked: message.hold_asked.clone(),
                deliver_by: message.deliver_by,
                priority: message.priority,
                solicitation: message.solicitation.clone(),
                terms: queue::Terms::default(),
                recipients: self.onward.clone(),
            };
            let id = queue::enqueue(tx, &outgoing, by.now)?;
            for recipient in &self.onward {
                story.note(by.now, "queued", format_args!("{} as {id}", recipient.address));
            }
        }
        Ok(())
    }
}

/// What becomes of a job that was held; `None` when it is for others, and goes to them.
pub(crate) async fn look(store: &Store, job: &Job) -> Result<Option<Found>, Error> {
    if job.message.hold_until.is_none() || job.via.is_some() {
        return Ok(None);
    }
    let (domain, size) = (job.domain.clone(), job.message.size);
    let recipients = job.recipients.clone();
    let found = store.read(move |tx| -> Result<Option<Vec<Lead>>, Error> {
        let Ok(domain) = Domain::parse(&domain) else { return Ok(None) };
        if domains::ours(tx, &domain)?.is_none() {
            return Ok(None);
        }
        Ok(Some(recipients.iter().map(|due| lead(tx, due, size)).collect::<Result<_, _>>()?))
    });
    let Some(leads) = found.await? else { return Ok(None) };
    let (mut targets, mut onward, mut verdicts) = (Vec::<Target>::new(), Vec::new(), Vec::new());
    for (number, lead) in leads {
        let verdict = match lead {
            Ok((accounts, remote)) => {
                // RFC 3461 §5.2.7.3: what goes on to one place is told of there.
                let told = !accounts.is_empty() || remote.len() > 1;
                for target in accounts {
                    if !targets.iter().any(|known| known.account == target.account && known.detail == target.detail) {
                        targets.push(target);
                    }
                }
                onward.extend(remote);
                Verdict::Here { told }
            }
            Err(reply) if reply.is_transient() => Verdict::Deferred(Words::replied(&reply, "filing it")),
            Err(reply) => Verdict::Failed(Words::replied(&reply, "filing it")),
        };
        verdicts.push((number, verdict));
    }
    if targets.is_empty() && onward.is_empty() {
        return Ok(Some(Found { here: None, verdicts }));
    }
    let arrival = arrival(store, job).await?;
    Ok(Some(Found { here: Some(Here { arrival, targets, onward }), verdicts }))
}

/// Where a recipient leads, or why nowhere.
type Lead = (i64, Result<(Vec<Target>, Vec<queue::Recipient>), Reply>);

fn lead(tx: &ReadTx, due: &Due, size: u64) -> Result<Lead, Error> {
    let unknown = || Reply::new(550, (5, 1, 1), format!("There is no mailbox {} here.", due.address));
    let resolution = match Address::parse(&due.address) {
        Ok(address) => resolve::resolve(tx, &address)?,
        Err(_) => Resolution::Unknown,
    };
    let result = match resolution {
        Resolution::Found { accounts, remote, name } => {
            for target in &accounts {
                match deliver::would_take(tx, target.account, size) {
                    Ok(()) => {}
                    Err(Error::OverQuota) => return Ok((due.number, Err(replies::over_quota(FullMailbox::TryLater)))),
                    Err(Error::Suspended) => return Ok((due.number, Err(replies::suspended()))),
                    Err(error) => return Err(error),
                }
            }
            let alone = accounts.is_empty() && remote.len() == 1;
            let remote = remote.iter().take(notice::MAX_ELSEWHERE).map(|address| queue::Recipient {
                address: address.to_string(),
                domain: address.domain().as_str().to_owned(),
                notify: queue::Notify { success: due.notify.success && alone, ..due.notify },
                orcpt: due.orcpt.clone().or_else(|| Some(format!("rfc822;{}", due.address))),
                via: Some(name.to_string()),
                valid_since: None,
            });
            Ok((accounts, remote.collect()))
        }
        Resolution::Unknown | Resolution::NotOurs => Err(unknown()),
        Resolution::Suspended => Err(replies::suspended()),
        Resolution::Endless => Err(Reply::new(451, (4, 3, 5), "The alias leads in circles or to too many.")),
    };
    Ok((due.number, result))
}

/// The message as it was taken in, read piece by piece.
async fn arrival(store: &Store, job: &Job) -> Result<Arrival, Error> {
    let (blob, size) = (job.message.blob, job.message.size);
    let mut intake = Intake::new(store.upload(), Limits::default());
    let mut at = 0;
    while at < size {
        let end = size.min(at + PIECE);
        let piece = store.read(move |tx| tx.blob_read(blob, at..end)).await?;
        at = end;
        intake.feed(&piece)?;
    }
    let finished = tokio::task::spawn_blocking(move || intake.finish(Vec::new()));
    finished.await.map_err(|_| Error::Corrupt("reading a held message panicked".to_owned()))?
}

/// Bytes read at a time.
const PIECE: u64 = 256 * 1024;
