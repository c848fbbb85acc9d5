//! FETCH responses, item by item (RFC 9051 §7.5.2).

use crate::command::{FetchItem, Label, Partial, Section, SectionText};
use crate::date::DateTime;
use crate::encode::Writer;
use crate::flags::Flag;

impl Writer<'_> {
    /// `* n FETCH (`. Items follow; each writes its own separating space, the first by this writer excepted.
    pub fn fetch_begin(&mut self, sequence: u32) {
        self.raw(b"* ");
        self.number(sequence.into());
        self.raw(b" FETCH (");
        self.first_item = true;
    }

    /// `* uid UIDFETCH (` (RFC 9586 §3.3), then as after [`Writer::fetch_begin`].
    pub fn uid_fetch_begin(&mut self, uid: u32) {
        self.raw(b"* ");
        self.number(uid.into());
        self.raw(b" UIDFETCH (");
        self.first_item = true;
    }

    /// `)` and the line's end.
    pub fn fetch_end(&mut self) {
        self.first_item = false;
        self.raw(b")\r\n");
    }

    /// `UID n`.
    pub fn fetch_uid(&mut self, uid: u32) {
        self.separate();
        self.raw(b"UID ");
        self.number(uid.into());
    }

    /// `FLAGS (..)`; `recent` adds `\Recent`.
    pub fn fetch_flags(&mut self, flags: &[Flag], recent: bool) {
        self.separate();
        self.flags_item(flags, recent);
    }

    /// `FLAGS (..)` alone, for [`Writer::fetch_item`].
    pub fn flags_item(&mut self, flags: &[Flag], recent: bool) {
        self.raw(b"FLAGS ");
        let recent = recent.then_some(&Flag::Recent);
        self.in_parentheses(flags.iter().chain(recent), |writer, flag| writer.raw(flag.as_str().as_bytes()));
    }

    /// An item, name and value, that was written before: the same for many messages.
    pub fn fetch_item(&mut self, written: &[u8]) {
        self.separate();
        self.raw(written);
    }

    /// `MODSEQ (n)`.
    pub fn fetch_mod_seq(&mut self, mod_seq: u64) {
        self.separate();
        self.raw(b"MODSEQ (");
        self.number(mod_seq);
        self.raw(b")");
    }

    /// `RFC822.SIZE n`.
    pub fn fetch_size(&mut self, size: u64) {
        self.separate();
        self.raw(b"RFC822.SIZE ");
        self.number(size);
    }

    /// `INTERNALDATE ".."`.
    pub fn fetch_internal_date(&mut self, date: DateTime) {
        self.separate();
        self.put(format_args!("INTERNALDATE \"{}\"", date.format()));
    }

    /// `SAVEDATE ".."` (RFC 8514).
    pub fn fetch_save_date(&mut self, date: DateTime) {
        self.separate();
        self.put(format_args!("SAVEDATE \"{}\"", date.format()));
    }

    /// `EMAILID (id)`.
    pub fn fetch_email_id(&mut self, id: &str) {
        self.separate();
        self.put(format_args!("EMAILID ({id})"));
    }

    /// `THREADID (id)`, or `THREADID NIL`.
    pub fn fetch_thread_id(&mut self, id: Option<&str>) {
        self.separate();
        match id {
            Some(id) => self.put(format_args!("THREADID ({id})")),
            None => self.raw(b"THREADID NIL"),
        }
    }

    /// `X-GM-MSGID n` (Gmail's X-GM-EXT-1).
    pub fn fetch_gmail_message(&mut self, id: u64) {
        self.separate();
        self.put(format_args!("X-GM-MSGID {id}"));
    }

    /// `X-GM-THRID n`.
    pub fn fetch_gmail_thread(&mut self, id: u64) {
        self.separate();
        self.put(format_args!("X-GM-THRID {id}"));
    }

    /// `X-GM-LABELS (..)`. Gmail's own are quoted, as it sends them: an astring has no backslash otherwise.
    pub fn fetch_labels<'l>(&mut self, labels: impl IntoIterator<Item = &'l Label>) {
        self.separate();
        self.raw(b"X-GM-LABELS ");
        self.in_parentheses(labels, |writer, label| match label {
            Label::Own(own) => writer.string(own.as_str().as_bytes()),
            Label::Name(name) => writer.mailbox(name),
        });
    }

    /// The name of an item as the answer repeats it, `BODY[1.MIME]<0>`, with the space before it and after it;
    /// the value follows.
    pub fn fetch_name(&mut self, item: &FetchItem) {
        self.separate();
        match item {
            FetchItem::Uid => self.raw(b"UID"),
            FetchItem::Flags => self.raw(b"FLAGS"),
            FetchItem::InternalDate => self.raw(b"INTERNALDATE"),
            FetchItem::Size => self.raw(b"RFC822.SIZE"),
            FetchItem::Envelope => self.raw(b"ENVELOPE"),
            FetchItem::Body => self.raw(b"BODY"),
            FetchItem::BodyStructure => self.raw(b"BODYSTRUCTURE"),
            FetchItem::Rfc822 => self.raw(b"RFC822"),
            FetchItem::Rfc822Header => self.raw(b"RFC822.HEADER"),
            FetchItem::Rfc822Text => self.raw(b"RFC822.TEXT"),
            // RFC 9051 §7.5.2: the answer never says PEEK, and only the origin of a partial.
            FetchItem::Section { section, partial, .. } => {
                self.raw(b"BODY[");
                self.section(section);
                self.raw(b"]");
                self.origin(*partial);
            }
            FetchItem::Binary { part, partial, .. } => {
                self.raw(b"BINARY[");
                self.part(part);
                self.raw(b"]");
                self.origin(*partial);
            }
            FetchItem::BinarySize { part } => {
                self.raw(b"BINARY.SIZE[");
                self.part(part);
                self.raw(b"]");
            }
            FetchItem::ModSeq => self.raw(b"MODSEQ"),
            FetchItem::EmailId => self.raw(b"EMAILID"),
            FetchItem::ThreadId => self.raw(b"THREADID"),
            FetchItem::SaveDate => self.raw(b"SAVEDATE"),
            FetchItem::Preview => self.raw(b"PREVIEW"),
            FetchItem::GmailMessage => self.raw(b"X-GM-MSGID"),
            FetchItem::GmailThread => self.raw(b"X-GM-THRID"),
            FetchItem::Labels => self.raw(b"X-GM-LABELS"),
        }
        self.raw(b" ");
    }

    /// `1.2.HEADER.FIELDS (..)`, the section without its brackets.
    pub fn section(&mut self, section: &Section) {
        self.part(&section.part);
        let Some(text) = &section.text else { return };
        if !section.part.is_empty() {
            self.raw(b".");
        }
        let fields = match text {
            SectionText::Header => return self.raw(b"HEADER"),
            SectionText::Text => return self.raw(b"TEXT"),
            SectionText::Mime => return self.raw(b"MIME"),
            SectionText::HeaderFields(fields) => {
                self.raw(b"HEADER.FIELDS ");
                fields
            }
            SectionText::HeaderFieldsNot(fields) => {
                self.raw(b"HEADER.FIELDS.NOT ");
                fields
            }
        };
        self.in_parentheses(fields, |writer, field| writer.astring(field.as_bytes()));
    }

    /// `section-part`.
    fn part(&mut self, part: &[u32]) {
        for (index, number) in part.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            self.put(format_args!("{dot}{number}"));
        }
    }

    fn origin(&mut self, partial: Option<Partial>) {
        if let Some(partial) = partial {
            self.put(format_args!("<{}>", partial.offset));
        }
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.first_item) {
            self.raw(b" ");
        }
    }
}
