//! What a client that said NOTIFY is told: events of the selected mailbox and of others, also between commands (RFC 5465).
//!
//! What it is: marks in the journals of the accounts that are listened to, and a picture of the names that the client may
//! know ([`names::Names`]). A look reads the operations since the marks: those on messages become one STATUS for each
//! mailbox, those on names, subscriptions and rights make a new picture, and the difference becomes LIST responses. The
//! selected mailbox is looked at by `sync.rs` as ever.
//!
//! Invariants:
//! 1. A look costs what changed: no operation, no statement but one for each account. Names are looked at only after an
//!    operation on names, and at each tick, which also finds what others have begun to share.
//! 2. What this session did itself is not told: its writes hold the locks of the accounts they change, so that all
//!    operations between the begin and the end of such a write are its own.
//! 3. Without events of the selected mailbox (`NOTIFY NONE`) its view stays as it is: no arrival, no change and no removal
//!    is told until the client asks again, or removes messages itself.
//!
//! What it never does: tell of mailboxes without `l` and `r`, or hold a list of events: only marks.

mod names;
mod push;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use postroad_imap::command::{FetchItem, Mailboxes, Notify as Command, NotifyEvent, StatusItem, Watched};
use postroad_imap::encode::StatusValue;
use postroad_imap::{ResponseCode, Status};
use postroad_mail::journal::{self, Operation};
use postroad_mail::metadata::{self, Changed};
use postroad_mail::{Mailbox, MailboxId, UidSet, accounts, mailboxes};
use postroad_store::{AccountId, ModSeq, ReadTx};

use crate::annotations;
use crate::commands::entry_name;
use crate::context;
use crate::error::{Error, Reply};
use crate::names::to_wire;
use crate::session::{Flow, Session};
use crate::sync::{self, Gathered};
use crate::target;
use names::Names;
pub(crate) use push::{Fresh, Pushing};

/// What a client asked to hear, and how far it has heard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notify {
    selected: Selected,
    groups: Arc<Vec<(Mailboxes, Events)>>,
    /// Annotations of the server are among the events (RFC 5465 §5.7); those of mailboxes are each with its mailbox.
    metadata: bool,
    names: Arc<Names>,
    /// How far the journals were heard.
    heard: Vec<(AccountId, ModSeq)>,
    /// Operations of this session that were not passed yet: those after the first up to the second.
    own: Vec<(AccountId, ModSeq, ModSeq)>,
    /// A look goes on at once.
    pub(crate) more: bool,
    /// The next look makes a new picture of the names.
    again: bool,
    /// A look failed: only a tick leads to the next.
    pub(crate) deaf: bool,
}

/// Events of the selected mailbox.
#[derive(Debug, Clone, Default)]
struct Selected {
    messages: bool,
    flags: bool,
    /// What is expunged is told between commands too.
    immediate: bool,
    /// What to tell of new messages.
    fetch: Arc<Vec<FetchItem>>,
}

/// Events of other mailboxes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Events {
    messages: bool,
    flags: bool,
    names: bool,
    subscriptions: bool,
    /// Of annotations of mailboxes (RFC 5465 §5.6).
    metadata: bool,
}

impl Events {
    fn of(events: &[NotifyEvent]) -> Events {
        Events {
            messages: events.contains(&NotifyEvent::MessageExpunge),
            flags: events.contains(&NotifyEvent::FlagChange),
            names: events.contains(&NotifyEvent::MailboxName),
            subscriptions: events.contains(&NotifyEvent::SubscriptionChange),
            metadata: events.contains(&NotifyEvent::MailboxMetadataChange),
        }
    }

    fn and(self, other: Events) -> Events {
        Events {
            messages: self.messages || other.messages,
            flags: self.flags || other.flags,
            names: self.names || other.names,
            subscriptions: self.subscriptions || other.subscriptions,
            metadata: self.metadata || other.metadata,
        }
    }
}

/// What happened to the messages of a mailbox.
#[derive(Debug, Clone, Copy, Default)]
struct Touched {
    messages: bool,
    flags: bool,
}

/// NOTIFY.
pub(crate) fn run(session: &mut Session, tx: &ReadTx, command: &Command) -> Result<Flow, Error> {
    let done = Ok(Flow::Done(Reply::ok("NOTIFY done")));
    let Command::Set { status, groups } = command else {
        session.notify = Some(Box::default());
        return done;
    };
    // RFC 5465 §3.1: an event that is not told of is refused with the names of those that are.
    let unknown = |event: &NotifyEvent| matches!(event, NotifyEvent::Other(_));
    if groups.iter().any(|group| group.events.iter().any(unknown)) {
        let known = ResponseCode::BadEvent(postroad_imap::command::notify::EVENTS);
        return Err(Error::no(known, "one of these events is not told of here"));
    }
    let mut notify = Notify::default();
    let (mut others, mut of_server) = (Vec::new(), false);
    for group in groups {
        of_server |= group.events.contains(&NotifyEvent::ServerMetadataChange);
        let events = Events::of(&group.events);
        match &group.mailboxes {
            Watched::Others(mailboxes) => others.push((mailboxes.clone(), events)),
            watched @ (Watched::Selected | Watched::SelectedDelayed) => {
                let fetch = group.events.iter().find_map(|event| match event {
                    NotifyEvent::MessageNew(items) => Some(items.clone()),
                    NotifyEvent::MessageExpunge
                    | NotifyEvent::FlagChange
                    | NotifyEvent::MailboxName
                    | NotifyEvent::SubscriptionChange
                    | NotifyEvent::MailboxMetadataChange
                    | NotifyEvent::ServerMetadataChange
                    | NotifyEvent::Other(_) => None,
                });
                notify.selected = Selected {
                    messages: events.messages,
                    flags: events.flags,
                    immediate: *watched == Watched::Selected,
                    fetch: Arc::new(fetch.unwrap_or_default()),
                };
            }
        }
    }
    notify.groups = Arc::new(others);
    notify.metadata = of_server;
    // The marks before the picture: what happens between the two is told.
    notify.heard = vec![(session.account()?, modseq(tx, session.account()?)?)];
    let names = names::look(session, tx, &notify.groups)?;
    let Some(names) = names else {
        return Err(Error::no(ResponseCode::NotificationOverflow, "these are too many mailboxes to listen to"));
    };
    for account in names.accounts() {
        if notify.heard.iter().all(|(heard, _)| *heard != account) {
            notify.heard.push((account, modseq(tx, account)?));
        }
    }
    notify.names = Arc::new(names);
    if notify.metadata {
        annotations::follow(session, tx, true)?;
    }
    let names = Arc::clone(&notify.names);
    session.notify = Some(Box::new(notify));
    names::tell_without_access(session, &names)?;
    if *status {
        tell_all(session, tx, &names)?;
    }
    done
}

/// `STATUS` of NOTIFY SET: how all mailboxes with events of messages stand.
fn tell_all(session: &mut Session, tx: &ReadTx, names: &Names) -> Result<(), Error> {
    let selected = session.place().ok();
    for (account, ids) in names.with_messages() {
        for mailbox in mailboxes::by_ids(tx, account, &ids)? {
            let Some((name, events)) = names.of(account, mailbox.id) else { continue };
            if selected.is_some_and(|place| place.account == account && place.mailbox == mailbox.id) {
                continue;
            }
            let mut items = vec![StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity];
            // RFC 5465 §3.1: with CONDSTORE known here, whether or not it is enabled.
            if events.flags || session.enabled.condstore {
                items.push(StatusItem::HighestModSeq);
            }
            tell_status(session, &name, &mailbox, &items);
        }
    }
    Ok(())
}

fn tell_status(session: &mut Session, name: &str, mailbox: &Mailbox, items: &[StatusItem]) {
    let Some(name) = to_wire(name) else { return };
    let value = |item: &StatusItem| {
        let number = match item {
            StatusItem::Messages => mailbox.messages.into(),
            StatusItem::UidNext => mailbox.uidnext.into(),
            StatusItem::UidValidity => mailbox.uidvalidity.into(),
            StatusItem::Unseen => mailbox.unseen.into(),
            StatusItem::HighestModSeq => mailbox.highest_modseq.0.unsigned_abs(),
            StatusItem::Recent
            | StatusItem::Deleted
            | StatusItem::Size
            | StatusItem::MailboxId
            | StatusItem::DeletedStorage
            | StatusItem::AppendLimit => return None,
        };
        Some(StatusValue::Number(*item, number))
    };
    let values: Vec<StatusValue> = items.iter().filter_map(value).collect();
    session.writer().status(&name, &values);
}

/// Tells what happened, as far as one job goes; true: there is more. `idle`: also what is expunged from the selected
/// mailbox, whether or not that was to be told at once.
pub(crate) fn look(session: &mut Session, tx: &ReadTx, idle: bool) -> Result<bool, Error> {
    if push::go_on(session, tx)? {
        return Ok(true);
    }
    let mut more = others(session, tx)?;
    let Some(notify) = &session.notify else { return Ok(push::is_left(session)) };
    let (follows, immediate) = (notify.selected.messages, notify.selected.immediate);
    if notify.metadata || !notify.groups.is_empty() {
        // Nothing where neither NOTIFY nor ENABLE asked for it.
        annotations::tell(session, tx)?;
    }
    if follows && session.view.is_some() {
        more |= sync::gather(session, tx)? == Gathered::Part;
        if (immediate || idle) && !more {
            more |= sync::tell_expunged(session)? == Gathered::Part;
        }
    }
    Ok(more || push::is_left(session))
}

/// What happened in mailboxes that are not selected.
fn others(session: &mut Session, tx: &ReadTx) -> Result<bool, Error> {
    let Some(mut notify) = session.notify.clone() else { return Ok(false) };
    notify.listen_to_selected(session, tx)?;
    let mut touched: BTreeMap<(AccountId, MailboxId), Touched> = BTreeMap::new();
    let mut annotated: BTreeSet<(AccountId, Changed)> = BTreeSet::new();
    let who = target::who(session)?;
    let (mut renewed, mut told, mut more) = (notify.again, notify.again, false);
    for (account, heard) in &mut notify.heard {
        let now = modseq(tx, *account)?;
        if now <= *heard {
            continue;
        }
        let records = journal::changes(tx, *account, *heard, OPERATIONS_PER_LOOK)?;
        let full = records.len() == OPERATIONS_PER_LOOK;
        for record in &records {
            let own = notify
                .own
                .iter()
                .any(|(of, after, through)| of == account && record.modseq > *after && record.modseq <= *through);
            if !own {
                annotated.extend(metadata::changed_by(record, *account, &who).into_iter().map(|one| (*account, one)));
            }
            match record.operation {
                Operation::Create
                | Operation::Delete
                | Operation::Rename
                | Operation::Role
                | Operation::Subscription
                | Operation::Acl
                | Operation::Account => {
                    renewed = true;
                    told |= !own;
                    // RENAME of INBOX takes its messages elsewhere, and INBOX stays (RFC 9051 §6.3.6).
                    if record.operation == Operation::Rename && record.other.is_some() && !own {
                        touch(&mut touched, *account, record.mailbox).messages = true;
                        touch(&mut touched, *account, record.other).messages = true;
                    }
                }
                _ if own => {}
                Operation::Flags => touch(&mut touched, *account, record.mailbox).flags = true,
                Operation::Copy => touch(&mut touched, *account, record.other).messages = true,
                Operation::Append | Operation::Move | Operation::Expunge | Operation::Restore => {
                    touch(&mut touched, *account, record.mailbox).messages = true;
                    touch(&mut touched, *account, record.other).messages = true;
                }
                Operation::Credential | Operation::Metadata => {}
            }
        }
        *heard = match records.last() {
            Some(last) if full => last.modseq,
            Some(last) => last.modseq.max(now),
            None => now,
        };
        more |= full;
    }
    let heard = &notify.heard;
    notify.own.retain(|(of, _, through)| heard.iter().any(|(account, heard)| account == of && heard < through));
    notify.again = false;
    session.notify = Some(notify);
    if renewed && !renew(session, tx, told)? {
        return Ok(false);
    }
    tell_touched(session, tx, &touched)?;
    tell_annotated(session, &annotated);
    Ok(more)
}

fn touch(
    touched: &mut BTreeMap<(AccountId, MailboxId), Touched>,
    account: AccountId,
    mailbox: Option<MailboxId>,
) -> &mut Touched {
    // No mailbox has the id 0.
    touched.entry((account, mailbox.unwrap_or(MailboxId(0)))).or_default()
}

/// A new picture of the names; the difference is told. False: they have become too many.
fn renew(session: &mut Session, tx: &ReadTx, told: bool) -> Result<bool, Error> {
    let Some(notify) = &session.notify else { return Ok(false) };
    let (groups, before) = (Arc::clone(&notify.groups), Arc::clone(&notify.names));
    let Some(now) = names::look(session, tx, &groups)? else {
        // RFC 5465 §5.8: as after NOTIFY NONE.
        session.notify = Some(Box::default());
        let text = "there are too many mailboxes to listen to; say NOTIFY again";
        session.writer().untagged(Status::Ok, Some(&ResponseCode::NotificationOverflow), text);
        return Ok(false);
    };
    if told {
        names::tell_difference(session, &before, &now)?;
    }
    let mut heard = Vec::new();
    for account in now.accounts() {
        heard.push((account, modseq(tx, account)?));
    }
    if let Some(notify) = &mut session.notify {
        let news = heard.into_iter().filter(|(account, _)| notify.heard.iter().all(|(known, _)| known != account));
        let news: Vec<(AccountId, ModSeq)> = news.collect();
        notify.heard.extend(news);
        notify.names = Arc::new(now);
    }
    Ok(true)
}

/// RFC 5465 §5.1-5.3: one STATUS for each mailbox, however much happened in it.
fn tell_touched(
    session: &mut Session,
    tx: &ReadTx,
    touched: &BTreeMap<(AccountId, MailboxId), Touched>,
) -> Result<(), Error> {
    let Some(notify) = &session.notify else { return Ok(()) };
    let names = Arc::clone(&notify.names);
    let selected = session.place().ok();
    let condstore = session.enabled.condstore;
    for ((account, id), touched) in touched {
        let Some((name, events)) = names.of(*account, *id) else { continue };
        if selected.is_some_and(|place| place.account == *account && place.mailbox == *id) {
            continue;
        }
        let (messages, flags) = (touched.messages && events.messages, touched.flags && events.flags);
        if !messages && !flags {
            continue;
        }
        let Some(mailbox) = mailboxes::by_id(tx, *account, *id)? else { continue };
        let mut items = Vec::new();
        if messages {
            items.extend([StatusItem::UidNext, StatusItem::Messages]);
        }
        if flags {
            items.push(StatusItem::Unseen);
        }
        items.push(StatusItem::UidValidity);
        if condstore {
            items.push(StatusItem::HighestModSeq);
        }
        tell_status(session, &name, &mailbox, &items);
    }
    Ok(())
}

/// RFC 5465 §5.6: the names of the entries that changed, by mailbox. What ENABLE METADATA tells of anyway is not told twice.
fn tell_annotated(session: &mut Session, annotated: &BTreeSet<(AccountId, Changed)>) {
    let Some(notify) = &session.notify else { return };
    let names = Arc::clone(&notify.names);
    let mut told: BTreeMap<(AccountId, MailboxId), Vec<String>> = BTreeMap::new();
    for (account, changed) in annotated {
        if let Some(mailbox) = changed.mailbox()
            && !annotations::tells_of(session, *account, mailbox)
        {
            told.entry((*account, mailbox)).or_default().push(entry_name(&changed.entry));
        }
    }
    for ((account, mailbox), entries) in told {
        if let Some(name) = names.of_annotations(account, mailbox).and_then(to_wire) {
            session.writer().metadata_changed(Some(&name), entries.iter().map(String::as_str));
        }
    }
}

fn modseq(tx: &ReadTx, account: AccountId) -> Result<ModSeq, Error> {
    Ok(accounts::by_id(tx, account)?.map_or(ModSeq(0), |account| account.modseq))
}

impl Notify {
    /// The owner of the selected mailbox is listened to too.
    fn listen_to_selected(&mut self, session: &Session, tx: &ReadTx) -> Result<(), Error> {
        if let Ok(place) = session.place()
            && self.heard.iter().all(|(account, _)| *account != place.account)
        {
            self.heard.push((place.account, modseq(tx, place.account)?));
        }
        Ok(())
    }

    /// A tick: what a hint that was lost, or a right that was granted, would have told.
    pub(crate) fn tick(&mut self) {
        (self.more, self.again, self.deaf) = (true, true, false);
    }
}

impl Session {
    /// A look failed, or could not begin: the next is that of a tick. What was to be pushed is only known by EXISTS.
    pub(crate) fn stop_listening(&mut self) {
        (self.fresh, self.pushing) = (Fresh::default(), None);
        if let Some(notify) = &mut self.notify {
            (notify.more, notify.deaf) = (false, true);
        }
    }

    /// Whether nothing of the selected mailbox is to be told: its view stays as it is.
    pub(crate) fn is_frozen(&self) -> bool {
        !self.thawed && self.notify_freezes()
    }

    /// The same between commands.
    pub(crate) fn notify_freezes(&self) -> bool {
        self.notify.as_ref().is_some_and(|notify| !notify.selected.messages)
    }

    /// Whether changes of flags in the selected mailbox are kept to be told later.
    pub(crate) fn keeps_flags(&self) -> bool {
        !self.thawed && self.notify.as_ref().is_some_and(|notify| !notify.selected.flags)
    }

    /// Messages arrived in the selected mailbox, told by EXISTS: what the client wants to hear of those that it did not
    /// bring itself.
    pub(crate) fn push_arrived(&mut self, arrived: &[(u32, ModSeq)]) {
        let Ok(place) = self.place() else { return };
        let items = self.notify.as_ref().map(|notify| Arc::clone(&notify.selected.fetch));
        let items = items.filter(|items| !items.is_empty());
        let pushes = context::pushes(self);
        if items.is_none() && !pushes {
            return;
        }
        let uids = arrived.iter().filter(|(_, modseq)| !self.is_own(place.account, *modseq)).map(|(uid, _)| *uid);
        let uids: UidSet = uids.collect();
        if let Some(items) = items {
            self.fresh.add(&items, &uids);
        }
        if let Some(view) = self.view.as_mut().filter(|_| pushes) {
            view.came = Arc::new(view.came.union(&uids));
        }
    }

    /// Whether an operation is of this session.
    pub(crate) fn is_own(&self, account: AccountId, modseq: ModSeq) -> bool {
        let now = self.writes_after.iter().any(|(of, after)| *of == account && modseq > *after);
        now || self.notify.as_ref().is_some_and(|notify| {
            notify.own.iter().any(|(of, after, through)| *of == account && modseq > *after && modseq <= *through)
        })
    }

    /// A write begins: what happens from here on in the accounts whose locks it holds is its own.
    pub(crate) fn begin_own(&mut self, tx: &ReadTx) -> Result<(), Error> {
        self.writes_after.clear();
        if self.notify.is_none() && !context::pushes(self) {
            return Ok(());
        }
        for account in self.locks() {
            if self.writes_after.iter().all(|(known, _)| *known != account) {
                self.writes_after.push((account, modseq(tx, account)?));
            }
        }
        Ok(())
    }

    /// The write ends.
    pub(crate) fn end_own(&mut self, tx: &ReadTx) -> Result<(), Error> {
        for (account, after) in std::mem::take(&mut self.writes_after) {
            let through = modseq(tx, account)?;
            if let Some(notify) = self.notify.as_mut().filter(|_| through > after) {
                match notify.own.last_mut() {
                    Some(last) if last.0 == account && last.2 == after => last.2 = through,
                    Some(_) | None => notify.own.push((account, after, through)),
                }
                // What is forgotten is told: a client may hear of itself.
                let surplus = notify.own.len().saturating_sub(OWN_MAX);
                notify.own.drain(..surplus);
            }
        }
        Ok(())
    }

    /// The accounts to wait for, and what was heard of them.
    pub(crate) fn listens(&self) -> Option<Vec<(AccountId, ModSeq)>> {
        let notify = self.notify.as_ref()?;
        let mut all = notify.heard.clone();
        if let Ok(place) = self.place()
            && all.iter().all(|(account, _)| *account != place.account)
        {
            all.push((place.account, ModSeq(-1)));
        }
        if notify.deaf {
            all.iter_mut().for_each(|(_, heard)| *heard = ModSeq(i64::MAX));
        }
        Some(all)
    }
}

/// Operations of one account that a look reads; of more, the next.
const OPERATIONS_PER_LOOK: usize = 1_000;
/// Runs of operations of this session's own that wait to be passed.
const OWN_MAX: usize = 64;
