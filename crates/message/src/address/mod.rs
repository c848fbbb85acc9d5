//! Address lists (RFC 5322 §3.4, §4.4; RFC 6532): lenient parsing, formatting.

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
    /// `local@host` with the local part quoted where RFC 5322 needs it; only `local` if there is no host.
    pub fn addr_spec(&self) -> String {
        unimplemented!()
    }

    /// The display name with its encoded words decoded.
    pub fn display_name(&self) -> Option<String> {
        unimplemented!()
    }
}

/// Parses an address list field value (folded or not). Never fails: what cannot be understood is left out.
pub fn parse(value: &[u8]) -> Vec<Address> {
    let _ = value;
    unimplemented!()
}

/// The mailboxes of a list, members of groups included.
pub fn mailboxes(list: &[Address]) -> impl Iterator<Item = &Mailbox> {
    list.iter().filter_map(|a| match a {
        Address::Mailbox(m) => Some(m),
        Address::GroupStart(_) | Address::GroupEnd => None,
    })
}

/// The list as a field value, names quoted or encoded as needed; not folded.
pub fn format(list: &[Address]) -> String {
    let _ = list;
    unimplemented!()
}

/// `"Name" <local@host>` for a display name in plain text, encoded by RFC 2047 if it is not ASCII.
pub fn format_mailbox(name: Option<&str>, addr_spec: &str) -> String {
    let _ = (name, addr_spec);
    unimplemented!()
}
