//! A header block as it flows by: each field is read when it is complete, only what is wanted is kept.

use super::Limits;
use crate::address::{Address, Mailbox, parse_limited};
use crate::date::DateTime;
use crate::decode::Encoding;
use crate::header::{Field, content_disposition, content_type, field, text};
use crate::{Disposition, Envelope, Fields, HeaderDate, Param, Part};

/// Addresses kept of one message's envelope.
const ADDRESSES_MAX: usize = 2048;
/// Octets kept of one text, such as a subject.
const TEXT_MAX: usize = 8 << 10;
/// Octets of the longest name of a field that is understood.
const NAME_MAX: usize = 32;
/// Tags kept of Content-Language.
const LANGUAGES_MAX: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadKind {
    /// Of the message itself.
    Top,
    /// Of a message inside it.
    Nested,
    /// Of a part.
    Part,
}

#[derive(Debug)]
pub(super) struct Head {
    kind: HeadKind,
    field: Vec<u8>,
    field_cut: bool,
    octets: usize,
    has_type: bool,
    has_encoding: bool,
    out: Finished,
}

/// What a header block said.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) part: Part,
    pub(super) envelope: Envelope,
    pub(super) date: HeaderDate,
    pub(super) fields: Fields,
    pub(super) cut: bool,
    /// It has no byte above 127.
    pub(super) ascii: bool,
}

impl Head {
    /// A block that starts at `start`. `in_digest`: without a type of its own it is a message (RFC 2046 §5.1.5).
    pub(super) fn new(kind: HeadKind, start: u64, in_digest: bool) -> Head {
        let mut part = Part { header_start: start, ..Part::default() };
        if in_digest {
            part.content_type = "message".to_owned();
            part.subtype = "rfc822".to_owned();
            part.params.clear();
        }
        Head::of(kind, part)
    }

    /// The head that is there while none is read.
    pub(super) fn none() -> Head {
        Head::of(HeadKind::Part, Part::blank())
    }

    fn of(kind: HeadKind, part: Part) -> Head {
        Head {
            kind,
            field: Vec::new(),
            field_cut: false,
            octets: 0,
            has_type: false,
            has_encoding: false,
            out: Finished {
                part,
                envelope: Envelope::default(),
                date: HeaderDate::Missing,
                fields: Fields::default(),
                cut: false,
                ascii: true,
            },
        }
    }

    pub(super) fn kind(&self) -> HeadKind {
        self.kind
    }

    /// The next line, with its line end; not the blank one.
    pub(super) fn line(&mut self, line: &[u8], cut: bool, limits: &Limits) {
        let continues = matches!(line.first(), Some(b' ' | b'\t')) && !self.field.is_empty();
        if !continues {
            self.end_field(limits);
        }
        self.octets = self.octets.saturating_add(line.len());
        // Nobody saw the rest of a line that was cut.
        self.out.ascii &= !cut && line.is_ascii();
        if self.octets > limits.header_bytes {
            self.out.cut = true;
            self.field_cut = true;
            return;
        }
        let room = limits.field_bytes.saturating_sub(self.field.len());
        self.field_cut |= cut || line.len() > room;
        self.field.extend_from_slice(&line[..line.len().min(room)]);
    }

    pub(super) fn finish(mut self, limits: &Limits, text_left: &mut usize) -> Finished {
        self.end_field(limits);
        if self.out.cut {
            self.out.fields.cut_short();
        }
        fit_envelope(&mut self.out.envelope, text_left);
        fit_part(&mut self.out.part, text_left);
        self.out
    }

    fn end_field(&mut self, limits: &Limits) {
        let raw = std::mem::take(&mut self.field);
        let cut = std::mem::take(&mut self.field_cut);
        if !raw.is_empty() {
            let field = field(&raw, 0);
            if !field.name.is_empty() {
                self.field(&field, cut, limits);
            }
        }
        self.out.cut |= cut;
        self.field = raw;
        self.field.clear();
    }

    fn field(&mut self, field: &Field<'_>, cut: bool, limits: &Limits) {
        if self.kind == HeadKind::Top {
            self.out.fields.push(field.name, field.raw, cut, limits.kept_bytes);
        }
        let mut space = [0; NAME_MAX];
        let Some(name) = space.get_mut(..field.name.len()) else { return };
        name.copy_from_slice(field.name);
        name.make_ascii_lowercase();
        if name.starts_with(b"content-") {
            self.content_field(name, field.value);
        } else if self.kind != HeadKind::Part {
            self.envelope_field(name, field.value);
        }
    }

    fn content_field(&mut self, name: &[u8], value: &[u8]) {
        let part = &mut self.out.part;
        match name {
            b"content-type" if !self.has_type => {
                self.has_type = true;
                // RFC 2045 §5.2: what is not understood is text/plain; charset=us-ascii.
                (part.content_type, part.subtype, part.params) = content_type(value).unwrap_or_else(|| {
                    let plain = Part::default();
                    (plain.content_type, plain.subtype, plain.params)
                });
            }
            b"content-transfer-encoding" if !self.has_encoding => {
                self.has_encoding = true;
                part.encoding = Encoding::parse(value);
            }
            b"content-disposition" if part.disposition.is_none() => {
                part.disposition = content_disposition(value).map(|(kind, params)| Disposition { kind, params });
            }
            b"content-id" => keep(&mut part.id, value),
            b"content-description" => keep(&mut part.description, value),
            b"content-md5" => keep(&mut part.md5, value),
            b"content-location" => keep(&mut part.location, value),
            b"content-language" if part.language.is_empty() => {
                let tags = short_text(value);
                let tags = tags.split(',').map(str::trim).filter(|t| !t.is_empty());
                part.language = tags.take(LANGUAGES_MAX).map(str::to_owned).collect();
            }
            _ => {}
        }
    }

    fn envelope_field(&mut self, name: &[u8], value: &[u8]) {
        let envelope = &mut self.out.envelope;
        let taken = [&envelope.from, &envelope.sender, &envelope.reply_to, &envelope.to, &envelope.cc, &envelope.bcc];
        let room = ADDRESSES_MAX - taken.iter().map(|list| list.len()).sum::<usize>().min(ADDRESSES_MAX);
        match name {
            b"date" if self.out.date == HeaderDate::Missing => {
                self.out.date = DateTime::parse(value).map_or(HeaderDate::Invalid, HeaderDate::Valid);
                envelope.date = Some(short_text(value));
            }
            b"subject" => keep(&mut envelope.subject, value),
            b"message-id" => keep(&mut envelope.message_id, value),
            b"in-reply-to" => keep(&mut envelope.in_reply_to, value),
            b"from" => first_list(&mut envelope.from, value, room),
            b"sender" => first_list(&mut envelope.sender, value, room),
            b"reply-to" => first_list(&mut envelope.reply_to, value, room),
            // RFC 5322 §4.5.3 allowed these more than once.
            b"to" => envelope.to.extend(parse_limited(value, room)),
            b"cc" => envelope.cc.extend(parse_limited(value, room)),
            b"bcc" => envelope.bcc.extend(parse_limited(value, room)),
            _ => {}
        }
    }
}

/// Of fields that may occur once, the first counts.
fn keep(slot: &mut Option<String>, value: &[u8]) {
    if slot.is_none() {
        *slot = Some(short_text(value));
    }
}

fn first_list(list: &mut Vec<Address>, value: &[u8], room: usize) {
    if list.is_empty() {
        *list = parse_limited(value, room);
    }
}

fn short_text(value: &[u8]) -> String {
    let mut text = text(value);
    if text.len() > TEXT_MAX {
        let end = (0..=TEXT_MAX).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// What an address takes beyond its texts.
const ADDRESS_COST: usize = 64;

/// Takes from what is left; false if it is too much.
fn afford(text_left: &mut usize, cost: usize) -> bool {
    let enough = *text_left >= cost;
    if enough {
        *text_left -= cost;
    }
    enough
}

fn fit_text(text: &mut Option<String>, text_left: &mut usize) {
    if text.as_ref().is_some_and(|t| !afford(text_left, t.len())) {
        *text = None;
    }
}

/// Drops what does not fit, the most useful considered first.
fn fit_envelope(envelope: &mut Envelope, text_left: &mut usize) {
    for text in [&mut envelope.subject, &mut envelope.date, &mut envelope.message_id, &mut envelope.in_reply_to] {
        fit_text(text, text_left);
    }
    let lists = [
        &mut envelope.from,
        &mut envelope.sender,
        &mut envelope.reply_to,
        &mut envelope.to,
        &mut envelope.cc,
        &mut envelope.bcc,
    ];
    for list in lists {
        let fits = list.iter().take_while(|address| afford(text_left, ADDRESS_COST + address_octets(address))).count();
        truncate(list, fits);
    }
}

/// Cuts a list; a group that is cut still ends.
fn truncate(list: &mut Vec<Address>, length: usize) {
    if length < list.len() {
        list.truncate(length);
        let group = list.iter().rev().find(|a| !matches!(a, Address::Mailbox(_)));
        if matches!(group, Some(Address::GroupStart(_))) {
            list.push(Address::GroupEnd);
        }
    }
}

fn address_octets(address: &Address) -> usize {
    match address {
        Address::Mailbox(Mailbox { name, route, local, host }) => {
            let optional = [name, route].into_iter().flatten().map(String::len).sum::<usize>();
            optional + local.len() + host.len()
        }
        Address::GroupStart(name) => name.len(),
        Address::GroupEnd => 0,
    }
}

fn fit_params(params: &mut Vec<Param>, text_left: &mut usize) {
    params.retain(|param| afford(text_left, ADDRESS_COST + param.name.len() + param.value.len()));
}

fn fit_part(part: &mut Part, text_left: &mut usize) {
    fit_params(&mut part.params, text_left);
    if let Some(disposition) = &mut part.disposition {
        fit_params(&mut disposition.params, text_left);
    }
    for text in [&mut part.id, &mut part.description, &mut part.md5, &mut part.location] {
        fit_text(text, text_left);
    }
    part.language.retain(|tag| afford(text_left, ADDRESS_COST + tag.len()));
}
