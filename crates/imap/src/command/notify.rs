//! NOTIFY (RFC 5465 §8).

use crate::command::Body;
use crate::command::esearch::{Mailboxes, mailboxes};
use crate::command::fetch::{self, FetchItem};
use crate::cursor::{Cursor, Rule};
use crate::error::Problem;

/// NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// `NONE`.
    None,
    /// `SET`.
    Set {
        /// `STATUS`: tell how the mailboxes stand now.
        status: bool,
        /// Which events of which mailboxes.
        groups: Vec<EventGroup>,
    },
}

/// `event-group`: some mailboxes, and what of them the client wants to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventGroup {
    /// Which mailboxes.
    pub mailboxes: Watched,
    /// The events; none of them for `NONE`.
    pub events: Vec<NotifyEvent>,
}

/// `filter-mailboxes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// `selected`: whatever mailbox is selected, at once.
    Selected,
    /// `selected-delayed`: the same, but what is expunged only when a command allows it.
    SelectedDelayed,
    /// Mailboxes that are not selected. [`Mailboxes::Selected`] is not among them.
    Others(Mailboxes),
}

/// `event`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifyEvent {
    /// `MessageNew`, with what to tell of new messages in the selected mailbox.
    MessageNew(Vec<FetchItem>),
    /// `MessageExpunge`.
    MessageExpunge,
    /// `FlagChange`.
    FlagChange,
    /// `MailboxName`.
    MailboxName,
    /// `SubscriptionChange`.
    SubscriptionChange,
    /// `MailboxMetadataChange`.
    MailboxMetadataChange,
    /// `ServerMetadataChange`.
    ServerMetadataChange,
    /// One that this program does not know, such as `AnnotationChange`.
    Other(String),
}

impl NotifyEvent {
    /// Whether it is about messages.
    pub fn is_of_messages(&self) -> bool {
        matches!(self, NotifyEvent::MessageNew(_) | NotifyEvent::MessageExpunge | NotifyEvent::FlagChange)
    }
}

/// The names of all events that are known, for `BADEVENT`.
pub const EVENTS: &[&str] = &[
    "MessageNew",
    "MessageExpunge",
    "FlagChange",
    "MailboxName",
    "SubscriptionChange",
    "MailboxMetadataChange",
    "ServerMetadataChange",
];

/// `notify = "NOTIFY" SP (notify-set / notify-none)`.
pub(super) fn notify(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    if cursor.eat_word("NONE") {
        return Ok(Body::Notify(Notify::None));
    }
    if !cursor.eat_word("SET") {
        return cursor.expected("SET or NONE");
    }
    cursor.space()?;
    let status = cursor.eat_word("STATUS");
    if status {
        cursor.space()?;
    }
    let start = cursor.position();
    cursor.entry()?;
    let mut groups = vec![group(cursor)?];
    while cursor.more() {
        cursor.entry()?;
        groups.push(group(cursor)?);
    }
    // §6.1: one of the two, and once.
    if groups.iter().filter(|group| !matches!(group.mailboxes, Watched::Others(_))).count() > 1 {
        return cursor.fault_at(start, Problem::Expected("SELECTED or SELECTED-DELAYED once"));
    }
    Ok(Body::Notify(Notify::Set { status, groups }))
}

/// `event-group = "(" filter-mailboxes SP events ")"`.
fn group(cursor: &mut Cursor<'_>) -> Rule<EventGroup> {
    if !cursor.open() {
        return cursor.expected("( and a set of mailboxes");
    }
    let mailboxes = watched(cursor)?;
    cursor.space()?;
    let start = cursor.position();
    let mut events = Vec::new();
    if cursor.peek() == Some(b'(') {
        cursor.list("events", |cursor| {
            events.push(event(cursor)?);
            Ok(())
        })?;
        if events.is_empty() {
            return cursor.fault_at(start, Problem::Expected("events, or NONE"));
        }
        if !cursor.close() {
            return cursor.expected(") after the events");
        }
    } else if cursor.eat_word("NONE") {
        if !cursor.close() {
            return cursor.expected(") after NONE");
        }
    } else {
        // The examples of §3.1 leave these parentheses out.
        cursor.entry()?;
        events.push(event(cursor)?);
        while !cursor.close() {
            cursor.space()?;
            cursor.entry()?;
            events.push(event(cursor)?);
        }
    }
    check(cursor, start, &mailboxes, &events)?;
    Ok(EventGroup { mailboxes, events })
}

fn watched(cursor: &mut Cursor<'_>) -> Rule<Watched> {
    if cursor.eat_word("SELECTED-DELAYED") {
        return Ok(Watched::SelectedDelayed);
    }
    Ok(match mailboxes(cursor)? {
        Mailboxes::Selected => Watched::Selected,
        others => Watched::Others(others),
    })
}

/// §5, §6.1: what must come together, and what the selected mailbox cannot have.
fn check(cursor: &Cursor<'_>, start: usize, mailboxes: &Watched, events: &[NotifyEvent]) -> Rule<()> {
    // An event that nobody knows is answered otherwise.
    if events.iter().any(|event| matches!(event, NotifyEvent::Other(_))) {
        return Ok(());
    }
    let has = |wanted: fn(&NotifyEvent) -> bool| events.iter().any(wanted);
    let new = has(|event| matches!(event, NotifyEvent::MessageNew(_)));
    let expunge = has(|event| matches!(event, NotifyEvent::MessageExpunge));
    let flags = has(|event| matches!(event, NotifyEvent::FlagChange));
    if new != expunge {
        return cursor.fault_at(start, Problem::Expected("MessageNew and MessageExpunge together"));
    }
    if flags && !new {
        return cursor.fault_at(start, Problem::Expected("MessageNew and MessageExpunge with FlagChange"));
    }
    let selected = !matches!(mailboxes, Watched::Others(_));
    if selected && !events.iter().all(NotifyEvent::is_of_messages) {
        return cursor.fault_at(start, Problem::Expected("events of messages only for the selected mailbox"));
    }
    let fetches = has(|event| matches!(event, NotifyEvent::MessageNew(items) if !items.is_empty()));
    if fetches && !selected {
        return cursor.fault_at(start, Problem::Expected("what to fetch only for the selected mailbox"));
    }
    Ok(())
}

/// `event`.
fn event(cursor: &mut Cursor<'_>) -> Rule<NotifyEvent> {
    let word = cursor.word("an event")?;
    Ok(match word.as_str() {
        "MESSAGENEW" => NotifyEvent::MessageNew(items(cursor)?),
        "MESSAGEEXPUNGE" => NotifyEvent::MessageExpunge,
        "FLAGCHANGE" => NotifyEvent::FlagChange,
        "MAILBOXNAME" => NotifyEvent::MailboxName,
        "SUBSCRIPTIONCHANGE" => NotifyEvent::SubscriptionChange,
        "MAILBOXMETADATACHANGE" => NotifyEvent::MailboxMetadataChange,
        "SERVERMETADATACHANGE" => NotifyEvent::ServerMetadataChange,
        _ => NotifyEvent::Other(word),
    })
}

/// `[SP "(" fetch-att *(SP fetch-att) ")"]`.
pub(super) fn items(cursor: &mut Cursor<'_>) -> Rule<Vec<FetchItem>> {
    let mut items = Vec::new();
    if !cursor.rest().trim_ascii_start().starts_with(b"(") {
        return Ok(items);
    }
    cursor.skip_spaces();
    let start = cursor.position();
    cursor.list("what to fetch", |cursor| fetch::item(cursor, &mut items))?;
    // Nobody read what is pushed: nothing becomes \Seen by it.
    for item in &mut items {
        if let FetchItem::Section { peek, .. } | FetchItem::Binary { peek, .. } = item {
            *peek = true;
        }
        if item.sets_seen() {
            return cursor.fault_at(start, Problem::Expected("BODY.PEEK instead of what sets \\Seen"));
        }
    }
    Ok(items)
}
