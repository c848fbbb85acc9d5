//! METADATA responses (RFC 5464 §4.4).

use crate::encode::Writer;
use crate::mailbox::MailboxName;

impl Writer<'_> {
    /// `* METADATA mailbox (entry value ..)` (§4.4.1): names as they are to be shown. No mailbox: the server's own.
    pub fn metadata<'v>(
        &mut self,
        mailbox: Option<&MailboxName>,
        values: impl IntoIterator<Item = (&'v str, Option<&'v [u8]>)>,
    ) {
        self.metadata_of(mailbox);
        self.in_parentheses(values, |writer, (entry, value)| {
            writer.astring(entry.as_bytes());
            writer.raw(b" ");
            match value {
                // RFC 5464 §5: value = nstring / literal8; only that has NUL.
                Some(value) if value.contains(&0) => {
                    writer.literal8_head(value.len() as u64);
                    writer.raw(value);
                }
                value => writer.nstring(value),
            }
        });
        self.end_line();
    }

    /// `* METADATA mailbox entry ..` (§4.4.2): these have changed.
    pub fn metadata_changed<'v>(&mut self, mailbox: Option<&MailboxName>, entries: impl IntoIterator<Item = &'v str>) {
        self.metadata_of(mailbox);
        for (index, entry) in entries.into_iter().enumerate() {
            if index > 0 {
                self.raw(b" ");
            }
            self.astring(entry.as_bytes());
        }
        self.end_line();
    }

    fn metadata_of(&mut self, mailbox: Option<&MailboxName>) {
        self.raw(b"* METADATA ");
        match mailbox {
            Some(name) => self.mailbox(name),
            None => self.raw(b"\"\""),
        }
        self.raw(b" ");
    }
}
