//! LIST (RFC 9051 §6.3.9; RFC 5258 and RFC 5819), XLIST, LSUB.

use crate::command::status::StatusItem;

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
    /// `STATUS (..)` (RFC 5819).
    pub status: Option<Vec<StatusItem>>,
}
