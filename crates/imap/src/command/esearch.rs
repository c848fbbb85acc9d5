//! ESEARCH, the command that searches several mailboxes (RFC 7377), and the sets of mailboxes that it shares with NOTIFY
//! (RFC 5465 §6).

use crate::command::Body;
use crate::command::search::{self, Search};
use crate::cursor::{Cursor, Rule};
use crate::error::Problem;
use crate::mailbox::MailboxName;
use crate::set::Numbering;

/// ESEARCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Esearch {
    /// `IN (..)`; without it the selected mailbox.
    pub sources: Vec<Mailboxes>,
    /// What to find, and what to tell of it. Its numbers are always UIDs (RFC 7377 §2).
    pub search: Search,
}

/// `filter-mailboxes` (RFC 5465 §8, RFC 7377 §4): some mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mailboxes {
    /// `selected`: the one that is selected.
    Selected,
    /// `inboxes`: those that mail is delivered to.
    Inboxes,
    /// `personal`: all in the personal namespace.
    Personal,
    /// `subscribed`: those that are subscribed to.
    Subscribed,
    /// `subtree`: these and all below them.
    Subtree(Vec<MailboxName>),
    /// `subtree-one`: these and those directly below them.
    SubtreeOne(Vec<MailboxName>),
    /// `mailboxes`: these.
    Named(Vec<MailboxName>),
}

/// `esearch = "ESEARCH" [SP esearch-source-opts] [SP search-return-opts] SP search-program`.
pub(super) fn esearch(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    let mut sources = vec![Mailboxes::Selected];
    if cursor.eat_word("IN") {
        cursor.space()?;
        sources = self::sources(cursor)?;
        cursor.space()?;
    }
    Ok(Body::Esearch(Esearch { sources, search: search::program(cursor, Numbering::Uid)? }))
}

/// `"(" source-mbox [SP "(" scope-options ")"] ")"`. There are no scope options yet (RFC 7377 §2.2).
fn sources(cursor: &mut Cursor<'_>) -> Rule<Vec<Mailboxes>> {
    let start = cursor.position();
    let mut sources = Vec::new();
    cursor.list("mailboxes to search", |cursor| {
        sources.push(mailboxes(cursor)?);
        Ok(())
    })?;
    if sources.is_empty() {
        return cursor.fault_at(start, Problem::Expected("mailboxes to search"));
    }
    Ok(sources)
}

/// `filter-mailboxes`, without `selected-delayed`, which means nothing to a search (RFC 7377 §2.2).
pub(super) fn mailboxes(cursor: &mut Cursor<'_>) -> Rule<Mailboxes> {
    let start = cursor.position();
    let word = cursor.word("a set of mailboxes")?;
    Ok(match word.as_str() {
        "SELECTED" => Mailboxes::Selected,
        "INBOXES" => Mailboxes::Inboxes,
        "PERSONAL" => Mailboxes::Personal,
        "SUBSCRIBED" => Mailboxes::Subscribed,
        "SUBTREE" => Mailboxes::Subtree(names(cursor)?),
        "SUBTREE-ONE" => Mailboxes::SubtreeOne(names(cursor)?),
        "MAILBOXES" => Mailboxes::Named(names(cursor)?),
        _ => {
            let known = "selected, inboxes, personal, subscribed, subtree, subtree-one or mailboxes";
            return cursor.fault_at(start, Problem::Expected(known));
        }
    })
}

/// `one-or-more-mailbox = mailbox / "(" mailbox *(SP mailbox) ")"`, with the space before it.
fn names(cursor: &mut Cursor<'_>) -> Rule<Vec<MailboxName>> {
    cursor.space()?;
    if cursor.peek() != Some(b'(') {
        return Ok(vec![cursor.mailbox()?]);
    }
    let start = cursor.position();
    let mut names = Vec::new();
    cursor.list("names of mailboxes", |cursor| {
        names.push(cursor.mailbox()?);
        Ok(())
    })?;
    if names.is_empty() {
        return cursor.fault_at(start, Problem::Expected("names of mailboxes"));
    }
    Ok(names)
}
