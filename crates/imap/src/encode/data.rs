//! Untagged data: mailboxes, searches, sizes, quotas.

use crate::command::{List, StatusItem, Tag};
use crate::encode::Writer;
use crate::flags::Flag;
use crate::mailbox::{MailboxName, SpecialUse};
use crate::set::{NumberSet, Numbering};

/// An attribute in LIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailboxAttribute {
    /// `\Noselect`; `\NonExistent` implies it.
    NoSelect,
    /// `\NonExistent` (RFC 5258).
    NonExistent,
    /// `\Noinferiors`.
    NoInferiors,
    /// `\HasChildren`.
    HasChildren,
    /// `\HasNoChildren`.
    HasNoChildren,
    /// `\Marked`.
    Marked,
    /// `\Unmarked`.
    Unmarked,
    /// `\Subscribed`.
    Subscribed,
    /// `\Remote`.
    Remote,
    /// A special use.
    Use(SpecialUse),
}

/// Extended data of a LIST response (RFC 5258 §6, RFC 9051 §6.3.9.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListExtra {
    /// `("CHILDINFO" ("SUBSCRIBED"))`.
    ChildInfoSubscribed,
    /// `("OLDNAME" ("name"))`.
    OldName(MailboxName),
}

/// One LIST, LSUB or XLIST response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListResponse<'a> {
    /// What is said of it.
    pub attributes: &'a [MailboxAttribute],
    /// Its name; `None` answers the question for the separator: `"/" ""`.
    pub name: Option<&'a MailboxName>,
    /// Extended data.
    pub extra: &'a [ListExtra],
}

/// One item of a STATUS response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusValue {
    /// A number.
    Number(StatusItem, u64),
    /// `MAILBOXID (id)`.
    MailboxId(String),
}

/// What a search found, for [`Writer::esearch`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchAnswer {
    /// `MIN`.
    pub min: Option<u32>,
    /// `MAX`.
    pub max: Option<u32>,
    /// `ALL`; an empty set is left out (RFC 4731 §3.1).
    pub all: Option<NumberSet>,
    /// `COUNT`.
    pub count: Option<u64>,
    /// `MODSEQ` (RFC 7162 §3.1.10).
    pub mod_seq: Option<u64>,
}

/// The namespaces: prefixes, each with separator `/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces<'a> {
    /// One's own.
    pub personal: &'a [&'a str],
    /// Other users'.
    pub others: &'a [&'a str],
    /// Shared.
    pub shared: &'a [&'a str],
}

/// `quota-resource` (RFC 9208 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaResource<'a> {
    /// `STORAGE` (in units of 1024 octets), `MESSAGE`, ..
    pub name: &'a str,
    /// How much is used.
    pub usage: u64,
    /// How much may be.
    pub limit: u64,
}

impl Writer<'_> {
    /// `* CAPABILITY ..`.
    pub fn capability(&mut self, _capabilities: &[&str]) {
        unimplemented!()
    }
    /// `* ENABLED ..`.
    pub fn enabled(&mut self, _capabilities: &[&str]) {
        unimplemented!()
    }
    /// `* FLAGS (..)`.
    pub fn flags(&mut self, _flags: &[Flag]) {
        unimplemented!()
    }
    /// `* n EXISTS`.
    pub fn exists(&mut self, _count: u32) {
        unimplemented!()
    }
    /// `* n RECENT` (RFC 3501).
    pub fn recent(&mut self, _count: u32) {
        unimplemented!()
    }
    /// `* n EXPUNGE`.
    pub fn expunge(&mut self, _sequence: u32) {
        unimplemented!()
    }
    /// `* VANISHED uids`, or `* VANISHED (EARLIER) uids` (RFC 7162 §3.2.10). Nothing for the empty set.
    pub fn vanished(&mut self, _earlier: bool, _uids: &NumberSet) {
        unimplemented!()
    }
    /// `* LIST (..) "/" name`.
    pub fn list(&mut self, _response: &ListResponse<'_>) {
        unimplemented!()
    }
    /// `* LSUB (..) "/" name`.
    pub fn lsub(&mut self, _response: &ListResponse<'_>) {
        unimplemented!()
    }
    /// `* XLIST (..) "/" name`, or LIST, as the command was.
    pub fn list_as(&mut self, _command: &List, _response: &ListResponse<'_>) {
        unimplemented!()
    }
    /// `* STATUS name (..)`.
    pub fn status(&mut self, _name: &MailboxName, _values: &[StatusValue]) {
        unimplemented!()
    }
    /// `* SEARCH n ..` and `(MODSEQ n)`; also when nothing was found.
    pub fn search(&mut self, _numbers: &NumberSet, _mod_seq: Option<u64>) {
        unimplemented!()
    }
    /// `* ESEARCH (TAG "..") [UID] ..` (RFC 9051 §7.3.4).
    pub fn esearch(&mut self, _tag: &Tag, _numbering: Numbering, _answer: &SearchAnswer) {
        unimplemented!()
    }
    /// `* NAMESPACE ..`.
    pub fn namespace(&mut self, _namespaces: &Namespaces<'_>) {
        unimplemented!()
    }
    /// `* ID (..)`, `NIL` when empty.
    pub fn id(&mut self, _fields: &[(&str, &str)]) {
        unimplemented!()
    }
    /// `* QUOTA root (..)`.
    pub fn quota(&mut self, _root: &str, _resources: &[QuotaResource<'_>]) {
        unimplemented!()
    }
    /// `* QUOTAROOT mailbox root ..`.
    pub fn quota_root(&mut self, _mailbox: &MailboxName, _roots: &[&str]) {
        unimplemented!()
    }
}
