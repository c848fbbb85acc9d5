//! Address lists: lenient parsing into the flat form that IMAP wants, formatting.
//!
//! Nothing here judges whether an address may be used; it says what a field means. Standards: RFC 5322 §3.4 and §4.4,
//! RFC 6532 §3, RFC 9051 §7.5.2.

mod parse;

pub use parse::{parse, parse_limited};

use crate::header::{decode, encode_phrase};

/// Entries that [`parse`] reads from one field.
pub const ENTRIES_MAX: usize = 4096;

/// One entry of an address list, flat as RFC 9051 ENVELOPE wants it: a group is a start, its members, an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A mailbox.
    Mailbox(Mailbox),
    /// `name:`; raw name. In ENVELOPE: `(NIL NIL name NIL)`.
    GroupStart(String),
    /// `;`. In ENVELOPE: `(NIL NIL NIL NIL)`.
    GroupEnd,
}

/// One mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mailbox {
    /// The display name: quotes and escapes removed, encoded words still encoded. A comment after a bare address counts.
    pub name: Option<String>,
    /// An obsolete source route (`@a,@b`), without its colon: ENVELOPE's addr-adl.
    pub route: Option<String>,
    /// The local part, quotes removed. May be empty in damaged mail.
    pub local: String,
    /// The domain; a literal keeps its brackets. Empty if there was none.
    pub host: String,
}

impl Mailbox {
    /// `local@host` with the local part quoted where RFC 5322 §3.4.1 needs it; only the local part if there is no host.
    pub fn addr_spec(&self) -> String {
        let local = quote_local(&self.local);
        if self.host.is_empty() { local } else { format!("{local}@{}", self.host) }
    }

    /// The display name with its encoded words decoded.
    pub fn display_name(&self) -> Option<String> {
        self.name.as_deref().map(|name| decode(name.as_bytes()))
    }

    /// The domain in its ASCII form, lower case (UTS 46): for comparing. `None` if it is no domain name.
    pub fn host_ascii(&self) -> Option<String> {
        if self.host.is_empty() || self.host.starts_with('[') {
            return None;
        }
        idna::domain_to_ascii(&self.host).ok()
    }
}

/// RFC 5322 §3.2.3 dot-atom, extended by RFC 6532: needs no quotes.
fn is_dot_atom(text: &str) -> bool {
    !text.is_empty()
        && text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(|b| b >= 128 || crate::header::is_atext(b)))
}

fn quote_local(local: &str) -> String {
    if is_dot_atom(local) || local.is_empty() {
        return local.to_owned();
    }
    let mut out = String::from("\"");
    for c in local.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// The mailboxes of a list, members of groups included.
pub fn mailboxes(list: &[Address]) -> impl Iterator<Item = &Mailbox> {
    list.iter().filter_map(|entry| match entry {
        Address::Mailbox(mailbox) => Some(mailbox),
        Address::GroupStart(_) | Address::GroupEnd => None,
    })
}

/// The list as a field value, names quoted or encoded as needed; not folded.
pub fn format(list: &[Address]) -> String {
    let mut out = String::new();
    let mut separate = false;
    for entry in list {
        if separate && !matches!(entry, Address::GroupEnd) {
            out.push_str(", ");
        }
        match entry {
            Address::Mailbox(mailbox) => {
                out.push_str(&format_mailbox(mailbox.display_name().as_deref(), &mailbox.addr_spec()));
            }
            Address::GroupStart(name) => {
                out.push_str(&encode_phrase(&decode(name.as_bytes())));
                out.push_str(": ");
            }
            Address::GroupEnd => out.push(';'),
        }
        separate = !matches!(entry, Address::GroupStart(_));
    }
    out
}

/// `"Name" <local@host>` for a display name in plain text, encoded by RFC 2047 if it is not ASCII; the bare address without one.
pub fn format_mailbox(name: Option<&str>, addr_spec: &str) -> String {
    match name.map(str::trim).filter(|n| !n.is_empty()) {
        Some(name) => format!("{} <{addr_spec}>", encode_phrase(name)),
        None if addr_spec.is_empty() => "<>".to_owned(),
        None => addr_spec.to_owned(),
    }
}
