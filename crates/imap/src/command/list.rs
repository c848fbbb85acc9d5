//! LIST (RFC 9051 §6.3.9; RFC 5258 and RFC 5819), XLIST, LSUB.

use crate::command::Body;
use crate::command::metadata::{self, EntryName};
use crate::command::status::{self, StatusItem};
use crate::cursor::{Cursor, Rule};
use crate::error::Problem;

/// LIST or XLIST.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// What is chosen by `(..)` before the reference.
    pub selection: ListSelection,
    /// What the patterns are relative to, UTF-8.
    pub reference: String,
    /// The patterns with `*` and `%`, UTF-8, at least one. An empty single pattern asks for the separator.
    pub patterns: Vec<String>,
    /// What to tell besides.
    pub returns: ListReturn,
    /// The command was in RFC 5258's extended form (selection, several patterns or RETURN).
    pub extended: bool,
    /// The command was XLIST: answer `* XLIST`.
    pub xlist: bool,
}

/// `list-select-opt`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListSelection {
    /// `SUBSCRIBED`.
    pub subscribed: bool,
    /// `REMOTE`.
    pub remote: bool,
    /// `RECURSIVEMATCH`; the parser demands another selection option with it.
    pub recursive_match: bool,
    /// `SPECIAL-USE` (RFC 6154 §2).
    pub special_use: bool,
}

/// `return-option`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListReturn {
    /// `SUBSCRIBED`.
    pub subscribed: bool,
    /// `CHILDREN`.
    pub children: bool,
    /// `SPECIAL-USE`.
    pub special_use: bool,
    /// `MYRIGHTS` (RFC 8440).
    pub my_rights: bool,
    /// `METADATA (..)` (RFC 9590).
    pub metadata: Option<Vec<EntryName>>,
    /// `STATUS (..)` (RFC 5819).
    pub status: Option<Vec<StatusItem>>,
}

/// `list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]`.
pub(super) fn list(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    let mut list = List::default();
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        selection(cursor, &mut list.selection)?;
        cursor.space()?;
    }
    list.reference = cursor.mailbox_text(false, "a reference name (mostly \"\")")?;
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        let patterns = &mut list.patterns;
        cursor.list("patterns", |cursor| {
            patterns.push(cursor.mailbox_text(true, "a pattern of mailbox names")?);
            Ok(())
        })?;
        if list.patterns.is_empty() {
            return cursor.expected("a pattern of mailbox names");
        }
    } else {
        list.patterns.push(cursor.mailbox_text(true, "a pattern of mailbox names")?);
    }
    if cursor.more() {
        list.extended = true;
        if !cursor.eat_word("RETURN") {
            return cursor.expected("RETURN or the end of the line");
        }
        cursor.space()?;
        returns(cursor, &mut list.returns)?;
    }
    Ok(Body::List(list))
}

/// `XLIST SP mailbox SP list-mailbox`: LIST as it was before RFC 6154.
pub(super) fn xlist(cursor: &mut Cursor<'_>) -> Rule<Body> {
    let (reference, pattern) = reference_and_pattern(cursor)?;
    Ok(Body::List(List { reference, patterns: vec![pattern], xlist: true, ..List::default() }))
}

/// `lsub = "LSUB" SP mailbox SP list-mailbox` (RFC 3501 §9).
pub(super) fn lsub(cursor: &mut Cursor<'_>) -> Rule<Body> {
    let (reference, pattern) = reference_and_pattern(cursor)?;
    Ok(Body::Lsub { reference, pattern })
}

fn reference_and_pattern(cursor: &mut Cursor<'_>) -> Rule<(String, String)> {
    cursor.space()?;
    let reference = cursor.mailbox_text(false, "a reference name (mostly \"\")")?;
    cursor.space()?;
    Ok((reference, cursor.mailbox_text(true, "a pattern of mailbox names")?))
}

/// `list-select-opts`.
fn selection(cursor: &mut Cursor<'_>, selection: &mut ListSelection) -> Rule<()> {
    let start = cursor.position();
    cursor.list("selection options", |cursor| {
        let start = cursor.position();
        match cursor.word("a selection option")?.as_str() {
            "SUBSCRIBED" => selection.subscribed = true,
            "REMOTE" => selection.remote = true,
            "RECURSIVEMATCH" => selection.recursive_match = true,
            "SPECIAL-USE" => selection.special_use = true,
            _ => {
                let known = "SUBSCRIBED, REMOTE, RECURSIVEMATCH or SPECIAL-USE";
                return cursor.fault_at(start, Problem::Expected(known));
            }
        }
        Ok(())
    })?;
    // RFC 5258 §3.1: RECURSIVEMATCH only modifies another option; REMOTE is none that it could.
    if selection.recursive_match && !selection.subscribed && !selection.special_use {
        return cursor.fault_at(start, Problem::Expected("another selection option beside RECURSIVEMATCH"));
    }
    Ok(())
}

/// `list-return-opts`.
fn returns(cursor: &mut Cursor<'_>, returns: &mut ListReturn) -> Rule<()> {
    cursor.list("return options", |cursor| {
        let start = cursor.position();
        match cursor.word("a return option")?.as_str() {
            "SUBSCRIBED" => returns.subscribed = true,
            "CHILDREN" => returns.children = true,
            "SPECIAL-USE" => returns.special_use = true,
            "MYRIGHTS" => returns.my_rights = true,
            "METADATA" => {
                cursor.space()?;
                returns.metadata = Some(metadata::entries(cursor)?);
            }
            "STATUS" => {
                cursor.space()?;
                returns.status = Some(status::items(cursor)?);
            }
            _ => {
                let known = "SUBSCRIBED, CHILDREN, SPECIAL-USE, MYRIGHTS, METADATA or STATUS";
                return cursor.fault_at(start, Problem::Expected(known));
            }
        }
        Ok(())
    })
}
