//! Mailbox names between the wire and the store.

use postroad_imap::MailboxName as WireName;
use postroad_mail::MailboxName;

use crate::error::Error;

/// A name as the store knows it. A trailing separator is dropped: Thunderbird sends `folder/` everywhere.
pub(crate) fn of_wire(name: &WireName) -> Result<MailboxName, Error> {
    let name = name.without_trailing_separator();
    MailboxName::parse(name.as_str()).map_err(|why| Error::Mail(postroad_mail::Error::NameInvalid(why)))
}

/// A stored name as it is written. `None` for a name that cannot be written, which the store does not have.
pub(crate) fn to_wire(name: &str) -> Option<WireName> {
    WireName::from_text(name).ok()
}
