//! The delivery: what was accepted becomes one transaction.
//!
//! Every local recipient, the queue rows of the remote ones, a notice about those who could not be reached
//! after all, and the story are written together or not at all. The trace id is in the story's rows, so a
//! COMMIT whose answer was lost can be looked up instead of guessed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use postroad_mail::deliver::{self, Kept};
use postroad_mail::resolve::Target;
use postroad_mail::{Actor, Arrival, By, Error, Filing, Mailbox, MailboxName, Role, What, mailboxes};
use postroad_queue as queue;
use postroad_smtp::{BodyType, MailFrom, RcptTo, Reply, Ret};
use postroad_store::{AccountId, Locks, Receipt, Store, Stored, Timestamp, WriteTx, trace};
use postroad_trust::{greylist, reports, sending};

use crate::checks::Filed;
use crate::extensions::Wanted;
use crate::gate::Lessons;
use crate::notice::{self, Notice, Original};
use crate::state::{Accepted, Elsewhere};
use crate::story::Story;
use crate::{FullMailbox, replies};

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

/// Puts recipients that lead to the same place together: one message each, however often it is named.
pub(crate) fn plan(
    recipients: &[RcptTo],
    accepted: &[Accepted],
    held: bool,
) -> (Vec<Parcel>, Vec<queue::Recipient>, Vec<Recipient>) {
    let (mut parcels, mut outgoing, mut planned) = (Vec::<Parcel>::new(), Outbox::default(), Vec::new());
    let mut known: HashMap<(AccountId, Option<String>), usize> = HashMap::new();
    for (recipient, accepted) in recipients.iter().zip(accepted) {
        let waits = held.then(|| waiting(recipient, accepted)).flatten();
        let accepted = waits.as_ref().unwrap_or(accepted);
        let mut plan = Recipient {
            address: recipient.path.to_string(),
            original: original(recipient, false),
            notify: notify(recipient),
            parcels: Vec::with_capacity(accepted.targets.len()),
            onward: accepted.remote.len(),
            in_circles: accepted.in_circles,
        };
        if !accepted.in_circles {
            for target in &accepted.targets {
                let index = *known.entry((target.account, target.detail.clone())).or_insert_with(|| {
                    parcels.push(Parcel { target: target.clone(), filed: accepted.filed });
                    parcels.len() - 1
                });
                // What one of the names that lead here lets through is let through.
                if accepted.filed == Filed::Usual {
                    parcels[index].filed = Filed::Usual;
                }
                plan.parcels.push(index);
            }
            // RFC 3461 §5.2.7.3: the success of what has been expanded is told here, and once.
            let success = plan.notify.success && !plan.is_expanded();
            for elsewhere in &accepted.remote {
                outgoing.add(recipient, elsewhere, queue::Notify { success, ..plan.notify });
            }
        }
        planned.push(plan);
    }
    (parcels, outgoing.recipients, planned)
}

/// RFC 4865 §4: what is for mailboxes here waits like all else, under the name that the sender used.
fn waiting(recipient: &RcptTo, accepted: &Accepted) -> Option<Accepted> {
    let name = accepted.name.as_ref().filter(|_| !accepted.in_circles)?;
    let domain = name.domain().as_str().to_owned();
    let address = recipient.path.address().map_or_else(|| name.to_string(), ToString::to_string);
    let itself = Elsewhere { address, domain, via: None };
    Some(Accepted { targets: Vec::new(), remote: vec![itself], ..accepted.clone() })
}

/// What goes elsewhere, each address once.
#[derive(Default)]
struct Outbox {
    recipients: Vec<queue::Recipient>,
    /// Indexes by local part, which only its own server may fold (RFC 5321 §2.4), and domain.
    known: HashMap<(String, String), usize>,
}

impl Outbox {
    fn add(&mut self, recipient: &RcptTo, elsewhere: &Elsewhere, notify: queue::Notify) {
        let local = elsewhere.address.rsplit_once('@').map_or(elsewhere.address.as_str(), |(local, _)| local);
        match self.known.entry((local.to_owned(), elsewhere.domain.clone())) {
            Entry::Vacant(entry) => {
                entry.insert(self.recipients.len());
                self.recipients.push(queue::Recipient {
                    address: elsewhere.address.clone(),
                    domain: elsewhere.domain.clone(),
                    notify,
                    orcpt: original(recipient, elsewhere.via.is_some()),
                    via: elsewhere.via.clone(),
                    // RFC 7293 §6: whom an address leads to is not whom the sender knew.
                    valid_since: recipient
                        .valid_since
                        .filter(|_| elsewhere.via.is_none())
                        .map(|since| since.to_string()),
                });
            }
            // Whoever asked to hear hears.
            Entry::Occupied(entry) => {
                let first = &mut self.recipients[*entry.get()];
                first.notify.success |= notify.success;
                first.notify.failure |= notify.failure;
                first.notify.delay |= notify.delay;
                // The sender named it as well, and may hear its name.
                if elsewhere.via.is_none() && first.via.take().is_some() {
                    first.orcpt = original(recipient, false);
                }
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
        match file(tx, &by, &parcel.target, parcel.filed, &mut kept, &story) {
            Ok(stored) => story.note(delivery.now, "stored", stored),
            Err(error) => {
                let reply = survivable(error, delivery.full)?;
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
        let id = queue::enqueue(tx, &outgoing(delivery, &kept), delivery.now)?;
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

/// Files one parcel and says where.
fn file(
    tx: &mut WriteTx,
    by: &By,
    target: &Target,
    filed: Filed,
    kept: &mut Kept<'_>,
    story: &Story,
) -> Result<String, Error> {
    let (mailbox, why) = match filed {
        Filed::Usual => choose_mailbox(tx, target)?,
        Filed::Junk => junk(tx, by, target)?,
    };
    let filing = Filing { trace: Some(story.id()), ..Filing::default() };
    let delivered = deliver::deliver(tx, by, target.account, mailbox.id, kept, &filing)?;
    Ok(format!("{}: {} as uid {}{why}", target.address, mailbox.name, delivered.uid))
}

/// The mailbox with the role of Junk, made where somebody removed it; INBOX where it cannot be made.
fn junk(tx: &mut WriteTx, by: &By, target: &Target) -> Result<(Mailbox, &'static str), Error> {
    if let Some(junk) = mailboxes::by_role(tx, target.account, Role::Junk)? {
        return Ok((junk, ""));
    }
    let name = MailboxName::parse("Junk").map_err(Error::NameInvalid)?;
    match tx.attempt(|tx| mailboxes::create(tx, by, target.account, &name, Some(Role::Junk))) {
        Ok(junk) => Ok((junk, ", made anew")),
        Err(Error::Exists(_) | Error::Limit(_)) => {
            // One of that name, whose role somebody took away.
            if let Some(named) = mailboxes::find(tx, target.account, &name)?.filter(|found| found.selectable) {
                return Ok((named, ""));
            }
            let (inbox, _) = choose_mailbox(tx, &Target { detail: None, ..target.clone() })?;
            Ok((inbox, ", since there is no mailbox for junk"))
        }
        Err(error) => Err(error),
    }
}

/// INBOX; or, for mail to `local+detail@`, the mailbox named like the detail in any case, when there is one.
///
/// A mailbox with a role never: whoever writes to `alice+sent@` must not put words into Alice's mouth, and
/// one to `alice+trash@` must not vanish unseen.
fn choose_mailbox(tx: &WriteTx, parcel: &Target) -> Result<(Mailbox, &'static str), Error> {
    let wanted = parcel.detail.as_deref().and_then(|detail| MailboxName::parse(detail).ok());
    if let Some(wanted) = wanted {
        let wanted = wanted.to_string().to_lowercase();
        let found = mailboxes::list(tx, parcel.account)?
            .into_iter()
            .filter(|listed| listed.name.to_string().to_lowercase() == wanted)
            .filter_map(|listed| listed.mailbox)
            .find(|mailbox| mailbox.selectable && mailbox.role.is_none());
        if let Some(mailbox) = found {
            return Ok((mailbox, ", as the address says"));
        }
    }
    let inbox = mailboxes::by_role(tx, parcel.account, Role::Inbox)?;
    inbox.map(|inbox| (inbox, "")).ok_or(Error::NotFound(What::Account))
}

/// What concerns one recipient only becomes its reply; anything else ends the transaction.
fn survivable(error: Error, full: FullMailbox) -> Result<Reply, Undone> {
    match error {
        Error::OverQuota | Error::Suspended | Error::NotFound(_) | Error::Limit(_) => {
            Ok(replies::mail_failed(&error, full))
        }
        Error::Exists(_)
        | Error::NameInvalid(_)
        | Error::AddressInvalid(_)
        | Error::Refused(_)
        | Error::Message(_)
        | Error::Store(_)
        | Error::Corrupt(_) => Err(Undone::Broken(error)),
    }
}

/// Files a notice in its account; the error is why the mailbox does not take it.
pub(crate) fn file_notice(
    tx: &mut WriteTx,
    by: &By,
    target: &Target,
    arrival: &Arrival,
    story: &Story,
) -> Result<Result<String, Reply>, Undone> {
    let mut kept = Kept::put(tx, arrival)?;
    let filed = match file(tx, by, target, Filed::Usual, &mut kept, story) {
        Ok(stored) => Ok(stored),
        Err(error) => Err(survivable(error, FullMailbox::TryLater)?),
    };
    kept.finish(tx)?;
    Ok(filed)
}

/// Puts a notice into the queue, with the null sender: nobody is told what becomes of it.
pub(crate) fn queue_notice(
    tx: &mut WriteTx,
    by: &By,
    recipients: &[queue::Recipient],
    arrival: &Arrival,
    priority: i8,
    story: &Story,
) -> Result<queue::QueueId, Undone> {
    let kept = Kept::put(tx, arrival)?;
    let ascii = recipients.iter().all(|recipient| recipient.address.is_ascii());
    let outgoing = queue::Outgoing {
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
        priority,
        solicitation: None,
        // A notice is tried for as long as is usual, however little patience there is for mail.
        terms: queue::Terms::default(),
        recipients: recipients.to_vec(),
    };
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
    let ascii = recipients.iter().all(|recipient| recipient.address.is_ascii());
    let outgoing = queue::Outgoing {
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
        hold_until: here.map(|_| by.now.plus(A_MOMENT)),
        hold_asked: None,
        deliver_by: None,
        priority: 0,
        solicitation: None,
        terms: queue::Terms::default(),
        recipients: recipients.to_vec(),
    };
    let id = match recipients.is_empty() {
        true => None,
        false => Some(queue::enqueue(tx, &outgoing, by.now)?),
    };
    kept.finish(tx)?;
    Ok(id)
}

fn outgoing(delivery: &Delivery, kept: &Kept<'_>) -> queue::Outgoing {
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

fn notify(recipient: &RcptTo) -> queue::Notify {
    recipient.notify.map_or_else(queue::Notify::default, |notify| queue::Notify {
        success: notify.success,
        failure: notify.failure,
        delay: notify.delay,
    })
}

/// ORCPT as given; behind an alias, what the sender wrote, so that a notice speaks of what they know
/// (RFC 3461 §5.2.7.3).
fn original(recipient: &RcptTo, behind_alias: bool) -> Option<String> {
    match &recipient.orcpt {
        Some(orcpt) => Some(format!("{};{}", orcpt.kind, orcpt.address)),
        None if behind_alias => {
            let path = recipient.path.to_string();
            let kind = if path.is_ascii() { "rfc822" } else { "utf-8" };
            Some(format!("{kind};{path}"))
        }
        None => None,
    }
}

/// What is held is filed; that it is held at all is what counts.
const A_MOMENT: Duration = Duration::from_micros(1);

/// Transactions for one delivery: deadlocks, and races in which one more mailbox fills up.
const ATTEMPTS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Elsewhere;
    use postroad_mail::Address;
    use postroad_smtp::ForwardPath;

    fn rcpt(text: &str) -> RcptTo {
        let path = ForwardPath::Address(text.parse().expect("an address"));
        RcptTo::new(path)
    }

    fn target(account: i64, detail: Option<&str>) -> Target {
        let address = Address::parse(&format!("a{account}@example.test")).expect("an address");
        Target { account: AccountId(account), address, detail: detail.map(str::to_owned) }
    }

    #[test]
    fn one_place_gets_one_copy() {
        let elsewhere = |address: &str, via: Option<&str>| Elsewhere {
            address: address.into(),
            domain: "there.test".into(),
            via: via.map(str::to_owned),
        };
        let accepted = |targets: Vec<Target>, remote: Vec<Elsewhere>| {
            let via = remote.iter().find_map(|elsewhere| elsewhere.via.as_deref());
            let name = via.map(|via| Address::parse(via).expect("an address"));
            Accepted { targets, remote, name, in_circles: false, ..Accepted::default() }
        };
        let list = Some("list@x.test");
        let recipients = [rcpt("a@x.test"), rcpt("list@x.test"), rcpt("a+lists@x.test")];
        let leads = [
            accepted(vec![target(1, None)], vec![]),
            accepted(
                vec![target(1, None), target(2, None)],
                vec![elsewhere("z@there.test", list), elsewhere("z@There.TEST", list)],
            ),
            accepted(vec![target(1, Some("lists"))], vec![]),
        ];
        let (parcels, outgoing, planned) = plan(&recipients, &leads, false);
        assert_eq!(parcels.len(), 3, "one for each account and detail");
        assert_eq!(outgoing.len(), 1);
        assert_eq!(outgoing[0].orcpt.as_deref(), Some("rfc822;list@x.test"));
        assert_eq!(outgoing[0].via.as_deref(), list);
        let indexes: Vec<_> = planned.iter().map(|recipient| recipient.parcels.clone()).collect();
        assert_eq!(indexes, [vec![0], vec![0, 1], vec![2]]);
        assert_eq!(planned.iter().map(Recipient::is_expanded).collect::<Vec<_>>(), [false, true, false]);
    }

    /// RFC 3461 §5.2.7: (RCPT, where it leads) -> what is queued.
    #[test]
    fn wishes_to_be_told_go_on_with_what_one_address_leads_to() {
        let asking = |text: &str, notify: &str| {
            let parameters = if notify.is_empty() { String::new() } else { format!(" NOTIFY={notify}") };
            let text = format!(" TO:<{text}>{parameters} ORCPT=rfc822;o@x.test");
            postroad_smtp::parse_rcpt(&text, postroad_smtp::Role::Relay, false).expect("a recipient")
        };
        let leading = |remote: &[(&str, Option<&str>)], locals: i64, in_circles| Accepted {
            targets: (0..locals).map(|account| target(account, None)).collect(),
            remote: remote
                .iter()
                .map(|(address, via)| Elsewhere {
                    address: (*address).to_owned(),
                    domain: "far.test".into(),
                    via: via.map(str::to_owned),
                })
                .collect(),
            name: None,
            in_circles,
            ..Accepted::default()
        };
        let (alias, other) = (Some("alias@x.test"), Some("other@x.test"));
        let (a, b) = ("a@far.test", "b@far.test");
        type Case<'a> = (&'a [(RcptTo, Accepted)], &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            (
                &[(asking("alias@x.test", "SUCCESS,DELAY"), leading(&[(a, alias)], 0, false))],
                &["a@far.test sd alias@x.test"],
            ),
            (&[(asking("alias@x.test", "NEVER"), leading(&[(a, alias)], 0, false))], &["a@far.test - alias@x.test"]),
            (
                &[(asking("alias@x.test", "SUCCESS,FAILURE"), leading(&[(a, alias), (b, alias)], 0, false))],
                &["a@far.test f alias@x.test", "b@far.test f alias@x.test"],
            ),
            (&[(asking("alias@x.test", "SUCCESS"), leading(&[(a, alias)], 1, false))], &["a@far.test - alias@x.test"]),
            (
                &[
                    (asking("alias@x.test", "SUCCESS"), leading(&[(a, alias)], 0, false)),
                    (asking("a@far.test", "FAILURE"), leading(&[("a@FAR.test", None)], 0, false)),
                    (asking("A@far.test", "NEVER"), leading(&[("A@far.test", None)], 0, false)),
                    (asking("other@x.test", "DELAY"), leading(&[(a, other)], 0, false)),
                ],
                &["a@far.test sfd direct", "A@far.test - direct"],
            ),
            (&[(asking("alias@x.test", ""), leading(&[(a, alias)], 1, true))], &[]),
        ];
        for (recipients, expect) in cases {
            let (rcpts, accepted): (Vec<_>, Vec<_>) = recipients.iter().cloned().unzip();
            let (_, outgoing, _) = plan(&rcpts, &accepted, false);
            let lines: Vec<String> = outgoing
                .iter()
                .map(|queued| {
                    let bit = |on, letter| if on { letter } else { "" };
                    let notify = queued.notify;
                    let wishes =
                        format!("{}{}{}", bit(notify.success, "s"), bit(notify.failure, "f"), bit(notify.delay, "d"));
                    let wishes = if wishes.is_empty() { "-" } else { &wishes };
                    assert_eq!(queued.orcpt.as_deref(), Some("rfc822;o@x.test"));
                    format!("{} {wishes} {}", queued.address, queued.via.as_deref().unwrap_or("direct"))
                })
                .collect();
            assert_eq!(&lines, expect);
        }
    }

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
