//! STORE, COPY, MOVE, EXPUNGE (RFC 9051 §6.4.3, §6.4.6-6.4.9; RFC 7162 §3.1.3).

use crate::command::Body;
use crate::command::gmail::{self, StoreLabels};
use crate::cursor::{Cursor, Rule};
use crate::flags::Flag;
use crate::mailbox::MailboxName;
use crate::set::{MessageSet, Numbering};

/// STORE or UID STORE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// What the numbers of `set` are.
    pub numbering: Numbering,
    /// To which messages.
    pub set: MessageSet,
    /// `UNCHANGEDSINCE n`.
    pub unchanged_since: Option<u64>,
    /// What to do with the flags.
    pub action: StoreAction,
    /// `.SILENT`: do not tell the new flags.
    pub silent: bool,
    /// The flags, without doubles.
    pub flags: Vec<Flag>,
}

/// What STORE does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAction {
    /// `FLAGS`.
    Replace,
    /// `+FLAGS`.
    Add,
    /// `-FLAGS`.
    Remove,
}

/// COPY or MOVE, by sequence number or UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What the numbers of `set` are.
    pub numbering: Numbering,
    /// Which messages.
    pub set: MessageSet,
    /// Where to.
    pub mailbox: MailboxName,
}

/// `store = "STORE" SP sequence-set [SP store-modifiers] SP store-att-flags`.
pub(super) fn store(cursor: &mut Cursor<'_>, numbering: Numbering) -> Rule<Body> {
    cursor.space()?;
    let set = cursor.message_set()?;
    cursor.space()?;
    let mut unchanged_since = None;
    if cursor.peek() == Some(b'(') {
        cursor.list("a store modifier", |cursor| {
            if !cursor.eat_word("UNCHANGEDSINCE") {
                return cursor.expected("UNCHANGEDSINCE");
            }
            cursor.space()?;
            unchanged_since = Some(cursor.mod_sequence()?);
            Ok(())
        })?;
        cursor.space()?;
    }
    let action = if cursor.eat(b'+') {
        StoreAction::Add
    } else if cursor.eat(b'-') {
        StoreAction::Remove
    } else {
        StoreAction::Replace
    };
    let silent = cursor.eat_word("X-GM-LABELS.SILENT");
    if silent || cursor.eat_word("X-GM-LABELS") {
        cursor.space()?;
        let labels = gmail::labels(cursor)?;
        return Ok(Body::StoreLabels(StoreLabels { numbering, set, unchanged_since, action, silent, labels }));
    }
    let silent = cursor.eat_word("FLAGS.SILENT");
    if !silent && !cursor.eat_word("FLAGS") {
        return cursor.expected("FLAGS, +FLAGS or -FLAGS, maybe with .SILENT");
    }
    cursor.space()?;
    Ok(Body::Store(Store { numbering, set, unchanged_since, action, silent, flags: flags(cursor)? }))
}

/// `flag-list / (flag *(SP flag))`: clients send both.
fn flags(cursor: &mut Cursor<'_>) -> Rule<Vec<Flag>> {
    let mut flags = Vec::new();
    let mut push = |flag: Flag| {
        if !flags.contains(&flag) {
            flags.push(flag);
        }
    };
    if cursor.peek() == Some(b'(') {
        cursor.list("flags", |cursor| cursor.flag().map(&mut push))?;
        return Ok(flags);
    }
    cursor.entry()?;
    push(cursor.flag()?);
    while cursor.more() {
        cursor.entry()?;
        push(cursor.flag()?);
    }
    Ok(flags)
}

/// `copy = "COPY" SP sequence-set SP mailbox`.
pub(super) fn copy(cursor: &mut Cursor<'_>, numbering: Numbering) -> Rule<Body> {
    set_and_mailbox(cursor, numbering).map(Body::Copy)
}

/// `move = "MOVE" SP sequence-set SP mailbox`.
pub(super) fn r#move(cursor: &mut Cursor<'_>, numbering: Numbering) -> Rule<Body> {
    set_and_mailbox(cursor, numbering).map(Body::Move)
}

fn set_and_mailbox(cursor: &mut Cursor<'_>, numbering: Numbering) -> Rule<Copy> {
    cursor.space()?;
    let set = cursor.message_set()?;
    cursor.space()?;
    Ok(Copy { numbering, set, mailbox: cursor.mailbox()? })
}

/// `uid-expunge = "UID" SP "EXPUNGE" SP sequence-set`.
pub(super) fn uid_expunge(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    cursor.message_set().map(|set| Body::Expunge(Some(set)))
}
