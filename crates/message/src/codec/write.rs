//! Writing the stored form.

use super::{VERSION, flags};
use crate::address::{Address, Mailbox};
use crate::decode::Encoding;
use crate::{Content, Envelope, Fields, HeaderDate, Param, Part, Summary};

pub(super) fn summary(summary: &Summary) -> Vec<u8> {
    let mut sections = [ENVELOPE_MOSTLY, PART_MOSTLY, FIELDS_MOSTLY, summary.preview.len()]
        .map(|octets| Writer(Vec::with_capacity(octets)));
    sections[0].envelope(&summary.envelope);
    sections[1].part(&summary.structure);
    sections[2].fields(&summary.fields);
    sections[3].0.extend_from_slice(summary.preview.as_bytes());
    let time = match summary.date {
        HeaderDate::Valid(time) => time,
        HeaderDate::Missing | HeaderDate::Invalid => crate::date::DateTime::utc(0),
    };
    let mut out = Writer(Vec::with_capacity(HEAD_MAX + sections.iter().map(|section| section.0.len()).sum::<usize>()));
    out.0.push(VERSION);
    out.number(summary.size);
    out.number(summary.lines);
    out.number(flags(summary));
    out.signed(time.micros);
    out.signed(i64::from(time.offset_minutes));
    out.number(summary.structure.body_start);
    for section in &sections {
        out.number(section.0.len() as u64);
    }
    for section in &sections {
        out.0.extend_from_slice(&section.0);
    }
    out.0
}

pub(super) fn part(part: &Part) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.part(part);
    writer.0
}

/// Octets of ten numbers and the version.
const HEAD_MAX: usize = 101;
/// Octets that most envelopes, structures and kept fields fit into.
const ENVELOPE_MOSTLY: usize = 256;
const PART_MOSTLY: usize = 128;
const FIELDS_MOSTLY: usize = 768;

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)) as u64);
    }

    fn octets(&mut self, octets: &[u8]) {
        self.number(octets.len() as u64);
        self.0.extend_from_slice(octets);
    }

    fn text(&mut self, text: &str) {
        self.octets(text.as_bytes());
    }

    /// 0 for none, else the length and one more.
    fn optional(&mut self, text: Option<&str>) {
        match text {
            None => self.number(0),
            Some(text) => {
                self.number(text.len() as u64 + 1);
                self.0.extend_from_slice(text.as_bytes());
            }
        }
    }

    fn envelope(&mut self, envelope: &Envelope) {
        self.optional(envelope.date.as_deref());
        self.optional(envelope.subject.as_deref());
        for list in [&envelope.from, &envelope.sender, &envelope.reply_to, &envelope.to, &envelope.cc, &envelope.bcc] {
            self.addresses(list);
        }
        self.optional(envelope.in_reply_to.as_deref());
        self.optional(envelope.message_id.as_deref());
    }

    fn addresses(&mut self, list: &[Address]) {
        self.number(list.len() as u64);
        for address in list {
            match address {
                Address::Mailbox(mailbox) => {
                    self.number(0);
                    self.mailbox(mailbox);
                }
                Address::GroupStart(name) => {
                    self.number(1);
                    self.text(name);
                }
                Address::GroupEnd => self.number(2),
            }
        }
    }

    fn mailbox(&mut self, mailbox: &Mailbox) {
        self.optional(mailbox.name.as_deref());
        self.optional(mailbox.route.as_deref());
        self.text(&mailbox.local);
        self.text(&mailbox.host);
    }

    fn params(&mut self, params: &[Param]) {
        self.number(params.len() as u64);
        for param in params {
            self.text(&param.name);
            self.text(&param.value);
        }
    }

    fn encoding(&mut self, encoding: &Encoding) {
        match encoding {
            Encoding::SevenBit => self.number(0),
            Encoding::EightBit => self.number(1),
            Encoding::Binary => self.number(2),
            Encoding::Base64 => self.number(3),
            Encoding::QuotedPrintable => self.number(4),
            Encoding::Uuencode => self.number(5),
            Encoding::Other(token) => {
                self.number(6);
                self.text(token);
            }
        }
    }

    fn part(&mut self, part: &Part) {
        self.number(part.header_start);
        self.number(part.body_start.saturating_sub(part.header_start));
        self.number(part.body_end.saturating_sub(part.body_start));
        self.number(part.lines);
        self.text(&part.content_type);
        self.text(&part.subtype);
        self.params(&part.params);
        self.encoding(&part.encoding);
        for text in [&part.id, &part.description, &part.md5, &part.location] {
            self.optional(text.as_deref());
        }
        self.optional(part.disposition.as_ref().map(|d| d.kind.as_str()));
        if let Some(disposition) = &part.disposition {
            self.params(&disposition.params);
        }
        self.number(part.language.len() as u64);
        part.language.iter().for_each(|tag| self.text(tag));
        match &part.content {
            Content::Leaf => self.number(0),
            Content::Multipart(parts) => {
                self.number(1);
                self.number(parts.len() as u64);
                parts.iter().for_each(|child| self.part(child));
            }
            Content::Message(nested) => {
                self.number(2);
                self.envelope(&nested.envelope);
                self.part(&nested.child);
            }
        }
    }

    fn fields(&mut self, fields: &Fields) {
        self.0.push(fields.known);
        self.0.push(u8::from(fields.others_cut));
        self.0.extend_from_slice(&fields.incomplete.to_le_bytes());
        self.number(fields.others.len() as u64);
        fields.others.iter().for_each(|hash| self.0.extend_from_slice(&hash.to_le_bytes()));
        self.number(fields.kept.len() as u64);
        for (number, raw) in &fields.kept {
            self.0.push(*number);
            self.octets(raw);
        }
    }
}
