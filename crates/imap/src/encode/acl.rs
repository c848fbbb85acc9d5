//! ACL, LISTRIGHTS and MYRIGHTS responses (RFC 4314 §3.6-3.8).

use crate::encode::Writer;
use crate::mailbox::MailboxName;

impl Writer<'_> {
    /// `* ACL mailbox identifier rights ..`.
    pub fn acl(&mut self, mailbox: &MailboxName, entries: &[(String, String)]) {
        self.raw(b"* ACL ");
        self.mailbox(mailbox);
        for (identifier, rights) in entries {
            self.raw(b" ");
            self.astring(identifier.as_bytes());
            self.raw(b" ");
            self.astring(rights.as_bytes());
        }
        self.end_line();
    }

    /// `* LISTRIGHTS mailbox identifier required optional ..`.
    pub fn list_rights(&mut self, mailbox: &MailboxName, identifier: &str, required: &str, optional: &[&str]) {
        self.raw(b"* LISTRIGHTS ");
        self.mailbox(mailbox);
        for text in [identifier, required].iter().chain(optional) {
            self.raw(b" ");
            self.astring(text.as_bytes());
        }
        self.end_line();
    }

    /// `* MYRIGHTS mailbox rights`.
    pub fn my_rights(&mut self, mailbox: &MailboxName, rights: &str) {
        self.raw(b"* MYRIGHTS ");
        self.mailbox(mailbox);
        self.raw(b" ");
        self.astring(rights.as_bytes());
        self.end_line();
    }
}
