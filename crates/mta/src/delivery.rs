//! The delivery: what was accepted becomes one transaction.
//!
//! Every local recipient, the queue rows of the remote ones, a notice about those who could not be reached
//! after all, and the story are written together or not at all. The trace id is in the story's rows, so a
//! COMMIT whose answer was lost can be looked up instead of guessed.

mod enqueue;
mod file;
mod plan;

use std::sync::Arc;

use postroad_mail::deliver::Kept;
use postroad_mail::resolve::Target;
use postroad_mail::{Actor, Arrival, By, Error};
use postroad_queue as queue;
use postroad_smtp::{MailFrom, Reply};
use postroad_store::{AccountId, Locks, Receipt, Store, Stored, Timestamp, WriteTx, trace};
use postroad_trust::{greylist, reports, sending};

pub(crate) use enqueue::{queue_notice, queue_report};
pub(crate) use file::file_notice;
pub(crate) use plan::plan;

use crate::FullMailbox;
use crate::checks::Filed;
use crate::extensions::Wanted;
use crate::gate::Lessons;
use crate::notice::{self, Notice, Original};
use crate::story::Story;

/// A message that is safe on disk, with all that its delivery needs: plain data.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) arrival: Arrival,
    /// What a notice may repeat of it.
    pub(crate) original: Original,
    pub(crate) sender: MailFrom,
    /// Whose login handed it in.
    pub(crate) login: Option<AccountId>,
    /// What is known of the sender, where nobody logged in.
    pub(crate) standing: queue::Standing,
    pub(crate) now: Timestamp,
    pub(crate) full: FullMailbox,
    pub(crate) terms: queue::Terms,
    /// What the sender may have of what they wished for.
    pub(crate) wanted: Wanted,
    pub(crate) story: Story,
    /// How much whoever logged in may send.
    pub(crate) allowed: sending::Limits,
    /// What it teaches, where strangers are asked to come again.
    pub(crate) lessons: Option<Lessons>,
    /// Who sent it, when it may carry reports: then it waits to be read as well.
    pub(crate) report: Option<reports::Sender>,
    /// It is read as a report, and filed nowhere.
    pub(crate) reads_report: bool,
    /// What goes into accounts here, each once.
    pub(crate) parcels: Vec<Parcel>,
    /// What goes elsewhere, each once.
    pub(crate) outgoing: Vec<queue::Recipient>,
    /// One per recipient of the session.
    pub(crate) recipients: Vec<Recipient>,
}

/// A copy for an account here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) target: Target,
    pub(crate) filed: Filed,
}

/// A recipient of the session, and what its mail became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipient {
    /// As the sender wrote it: the only name that a notice may tell. Whom an alias leads to is not theirs to know.
    pub(crate) address: String,
    /// ORCPT (RFC 3461 §4.2), `kind;address`.
    pub(crate) original: Option<String>,
    /// When the sender wants to hear (RFC 3461 §4.1).
    pub(crate) notify: queue::Notify,
    /// Indexes into the parcels.
    pub(crate) parcels: Vec<usize>,
    /// How many addresses elsewhere it leads to.
    pub(crate) onward: usize,
    /// It was here before and was sent on: nothing is done with it.
    pub(crate) in_circles: bool,
}

impl Recipient {
    /// RFC 3461 §5.2.7: what leads to several has been expanded, and each of these is told of by itself no more.
    pub(crate) fn is_expanded(&self) -> bool {
        self.parcels.len() + self.onward > 1
    }
}

/// A parcel that could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) parcel: usize,
    pub(crate) reply: Reply,
}

/// Why nothing was committed.
#[derive(Debug)]
pub(crate) enum Undone {
    /// These parcels failed: nobody is reached, or somebody must be told first.
    Failed(Vec<Failure>),
    /// The account has sent as much as it may meanwhile, in other sessions.
    TooMuch(sending::TooMuch),
    /// The store or a row failed.
    Broken(Error),
}

/// What a delivery made known to who looks after this server.
#[derive(Debug, Default)]
struct News {
    /// Sources that are not asked to come again any more.
    known: Vec<String>,
    /// The account is near this limit, and how much it has sent.
    near: Option<(sending::Bound, u64)>,
}

impl News {
    fn tell(&self, delivery: &Delivery) {
        for source in &self.known {
            metrics::counter!("postroad_greylist_learned_total").increment(1);
            tracing::info!(source, "a source of mail has come back often enough, and is not put off any more");
        }
        if let (Some((bound, used)), Some(account)) = (self.near, delivery.login) {
            metrics::counter!("postroad_sending_limits_total", "level" => sending::Level::Near.name()).increment(1);
            tracing::warn!(
                account = account.0,
                sender = delivery.sender.path.as_ref().map(ToString::to_string),
                used,
                limit = delivery.allowed.of(bound),
                what = bound.what(),
                within = bound.within(),
                "an account is near what it may send; if its owner does not know of it, somebody has the password: \
                 `postroad account suspend`, then `postroad account password`"
            );
        }
    }
}

impl From<postroad_store::Error> for Undone {
    fn from(error: postroad_store::Error) -> Undone {
        Undone::Broken(Error::Store(error))
    }
}

impl From<Error> for Undone {
    fn from(error: Error) -> Undone {
        Undone::Broken(error)
    }
}

impl From<queue::Error> for Undone {
    fn from(error: queue::Error) -> Undone {
        match error {
            queue::Error::Store(error) => error.into(),
            queue::Error::Recipients | queue::Error::Lost | queue::Error::Corrupt(_) => {
                Error::Corrupt(error.to_string()).into()
            }
        }
    }
}

/// Carries a delivery out. Answers with the receipt and with the parcels that failed while others did not.
///
/// `notice` makes the notice that the sender gets about these failures, and about success if they asked for it;
/// it is asked once for each set of failures, outside of any transaction.
pub(crate) async fn carry_out<F>(
    store: &Store,
    delivery: Arc<Delivery>,
    notice: impl Fn(Vec<Failure>) -> F,
) -> Result<(Receipt, Vec<Failure>), Undone>
where
    F: Future<Output = Result<Option<Notice>, Error>>,
{
    let mut told: Vec<Failure> = Vec::new();
    let mut letter = notice(Vec::new()).await?.map(Arc::new);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (job, expected, enclosed) = (Arc::clone(&delivery), told.clone(), letter.clone());
        let written = store
            .write(locks(&delivery, letter.as_deref()), move |tx| write(tx, &job, &expected, enclosed.as_deref()))
            .await;
        let failed = match written {
            Ok(Stored { value: (failures, news), receipt }) => {
                news.tell(&delivery);
                return Ok((receipt, failures));
            }
            Err(Undone::Failed(failed)) => failed,
            Err(undone @ Undone::TooMuch(_)) => return Err(undone),
            Err(Undone::Broken(Error::Store(postroad_store::Error::Temporary(_)))) if attempt < ATTEMPTS => continue,
            Err(Undone::Broken(Error::Store(postroad_store::Error::OutcomeUnknown(why)))) => {
                let receipt = look_up(store, &delivery, locks(&delivery, letter.as_deref())).await;
                return match receipt {
                    Some(receipt) => Ok((receipt, told)),
                    None => Err(postroad_store::Error::OutcomeUnknown(why).into()),
                };
            }
            Err(undone @ Undone::Broken(_)) => return Err(undone),
        };
        if failed.len() == delivery.parcels.len() && delivery.outgoing.is_empty() || attempt >= ATTEMPTS {
            return Err(Undone::Failed(failed));
        }
        letter = notice(failed.clone()).await?.map(Arc::new);
        told = failed;
    }
}

/// A COMMIT that was not answered either happened or did not; the story in it says which. The receipt is that
/// of writing down that it was found. The locks are those of the transaction: while it is still being decided,
/// they are waited for.
async fn look_up(store: &Store, delivery: &Delivery, locks: Locks) -> Option<Receipt> {
    let (id, now) = (delivery.story.id(), delivery.now);
    let found = store
        .write(locks, move |tx| {
            if trace::story(tx, id)?.is_empty() {
                return Err(postroad_store::Error::Missing(format!("the story {id}")));
            }
            let detail = "the database connection broke at COMMIT, but everything above is stored";
            tx.trace(id, now, &trace::TraceEvent { kind: "remark", detail }, &[])
        })
        .await;
    found.ok().map(|stored| stored.receipt)
}

/// The accounts, and the delivery itself: what only goes elsewhere touches no account, and has to be waited for as
/// well ([`look_up`]).
fn locks(delivery: &Delivery, notice: Option<&Notice>) -> Locks {
    let accounts = delivery.parcels.iter().map(|parcel| parcel.target.account);
    let accounts = Locks::accounts(accounts.chain(notice.and_then(Notice::account)));
    match delivery.outgoing.is_empty() {
        true => accounts,
        false => accounts.and(Locks::named(&format!("delivery {}", delivery.story.id()))),
    }
}

/// The transaction. `expected` are failures that are provided for: with any other, it is undone.
fn write(
    tx: &mut WriteTx,
    delivery: &Delivery,
    expected: &[Failure],
    notice: Option<&Notice>,
) -> Result<(Vec<Failure>, News), Undone> {
    let by = By::new(delivery.now, Actor::Delivery);
    let mut story = delivery.story.clone();
    let mut failures = Vec::new();
    let mut kept = Kept::put(tx, &delivery.arrival)?;
    for (index, parcel) in delivery.parcels.iter().enumerate() {
        match file::file(tx, &by, &parcel.target, parcel.filed, &mut kept, &story) {
            Ok(stored) => story.note(delivery.now, "stored", stored),
            Err(error) => {
                let reply = file::survivable(error, delivery.full)?;
                story.note(delivery.now, "not stored", format_args!("{}: {reply}", parcel.target.address));
                failures.push(Failure { parcel: index, reply });
            }
        }
    }
    let nobody = failures.len() == delivery.parcels.len() && delivery.outgoing.is_empty() && !delivery.reads_report;
    // Also when fewer failed than before: the notice would deny what was delivered.
    if nobody || failures != expected {
        return Err(Undone::Failed(failures));
    }
    if !delivery.outgoing.is_empty() {
        let id = queue::enqueue(tx, &enqueue::outgoing(delivery, &kept), delivery.now)?;
        for recipient in &delivery.outgoing {
            story.key(&recipient.address);
            story.note(delivery.now, "queued", format_args!("{} as {id}", recipient.address));
        }
    }
    if let Some(sender) = &delivery.report
        && !reports::wait(tx, kept.blob(), delivery.arrival.size, story.id(), delivery.now, sender)?
    {
        // Filed nowhere, it has to come again.
        if delivery.reads_report {
            return Err(Undone::Failed(Vec::new()));
        }
        story.note(delivery.now, "report", "too many letters with reports wait: this one is not read as one");
    }
    if delivery.reads_report {
        story.note(delivery.now, "report", "there is no mailbox: the server reads it by itself");
    }
    kept.finish(tx)?;
    if let Some(notice) = notice {
        notice::send(tx, &by, notice, &mut story)?;
    } else if !failures.is_empty() && delivery.standing == queue::Standing::Forged {
        let sender = delivery.sender.path.as_ref().map(ToString::to_string).unwrap_or_default();
        story.note(delivery.now, "not told", notice::forged(&sender));
    }
    let news = remember(tx, delivery, &mut story)?;
    story.write(tx)?;
    Ok((failures, news))
}

/// What is learned and counted of a delivery. Late in the transaction: deliveries of one account or source wait for each other here.
fn remember(tx: &mut WriteTx, delivery: &Delivery, story: &mut Story) -> Result<News, Undone> {
    let (now, mut news) = (delivery.now, News::default());
    if let Some(Lessons { lessons, terms }) = &delivery.lessons {
        news.known = greylist::learn(tx, lessons, terms, now)?;
        if let Some(account) = delivery.login {
            let to: Vec<&str> = delivery.outgoing.iter().map(|recipient| recipient.address.as_str()).collect();
            greylist::wrote(tx, account, &to, now)?;
        }
    }
    if let Some(account) = delivery.login {
        let sent = sending::count(tx, account, delivery.recipients.len() as u64, now)?;
        // Other sessions of the account did not know of this one, nor this one of them.
        delivery.allowed.check(&sent, 0, 0, now).map_err(Undone::TooMuch)?;
        if let Some(near) = delivery.allowed.near(&sent, now)
            && sending::tell(tx, account, sending::Level::Near, now)?
        {
            let (bound, used) = near;
            let limit = delivery.allowed.of(bound);
            let (what, within) = (bound.what(), bound.within());
            story.note(now, "remark", format_args!("the account has sent {used} {what} within {within}, of {limit}"));
            news.near = Some(near);
        }
    }
    Ok(news)
}

/// Transactions for one delivery: deadlocks, and races in which one more mailbox fills up.
const ATTEMPTS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replies;
    use postroad_mail::Address;

    /// A mailbox was full at the first attempt, and the sender was written a notice; now it has room again.
    #[test]
    fn nobody_is_told_of_a_failure_that_was_none() {
        let store = Store::open(postroad_store::Settings::memory()).expect("a store");
        let tables = [postroad_store::MIGRATIONS, postroad_mail::MIGRATIONS, postroad_queue::MIGRATIONS].concat();
        store.migrate(&tables).expect("tables");
        let address = Address::parse("alice@example.test").expect("an address");
        let by = By::new(Timestamp(1), Actor::Admin);
        let made = store.write_blocking(Locks::none(), {
            let address = address.clone();
            move |tx| {
                postroad_mail::domains::create(tx, &by, address.domain())?;
                let (name, quota) = (String::new(), 0);
                let new = postroad_mail::accounts::NewAccount {
                    address,
                    display_name: name,
                    password: None,
                    quota_bytes: quota,
                    quota_messages: quota,
                };
                postroad_mail::accounts::create(tx, &by, &new)
            }
        });
        let account = made.expect("an account").value;
        let mut intake = postroad_mail::Intake::new(store.upload(), postroad_message::Limits::default());
        intake.feed(b"From: a@far.test\r\n\r\nhi\r\n").expect("it is taken");
        let delivery = Delivery {
            terms: queue::Terms::default(),
            wanted: Wanted::default(),
            arrival: intake.finish(Vec::new()).expect("it is stored"),
            original: Original::default(),
            sender: postroad_smtp::parse_mail(" FROM:<a@far.test>", postroad_smtp::Role::Relay).expect("a sender"),
            login: None,
            allowed: Default::default(),
            lessons: None,
            standing: queue::Standing::Unknown,
            now: Timestamp(1),
            full: FullMailbox::TryLater,
            story: Story::begin(),
            report: None,
            reads_report: false,
            parcels: vec![Parcel { target: Target { account, address, detail: None }, filed: Filed::Usual }],
            outgoing: Vec::new(),
            recipients: Vec::new(),
        };
        let before = [Failure { parcel: 0, reply: replies::over_quota(FullMailbox::TryLater) }];
        let outcome = store.write_blocking(Locks::none(), move |tx| write(tx, &delivery, &before, None));
        assert!(matches!(&outcome, Err(Undone::Failed(now)) if now.is_empty()), "{outcome:?}");
    }
}
