//! FETCH (RFC 9051 §6.4.5) with BINARY (RFC 3516), CONDSTORE and QRESYNC (RFC 7162), OBJECTID (RFC 8474), SAVEDATE
//! (RFC 8514), PREVIEW (RFC 8970).

use crate::command::Body;
use crate::command::search::{PartialRange, partial_range};
use crate::cursor::{Cursor, Rule, is_atom_char};
use crate::error::Problem;
use crate::set::{MessageSet, Numbering};

/// FETCH or UID FETCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// What the numbers of `set` are.
    pub numbering: Numbering,
    /// Of which messages.
    pub set: MessageSet,
    /// What to tell: macros are expanded, doubles removed, order kept. UID FETCH's implied UID is not added.
    pub items: Vec<FetchItem>,
    /// `CHANGEDSINCE n`: only what changed after this modification sequence (RFC 7162 §3.1.4.1). 0 is all.
    pub changed_since: Option<u64>,
    /// `VANISHED`: also tell what was expunged since (RFC 7162 §3.2.6); only with UID and `changed_since`.
    pub vanished: bool,
    /// `PARTIAL range`: only these of the messages (RFC 9394 §3.3); only with UID.
    pub partial: Option<PartialRange>,
}

/// One thing to tell about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchItem {
    /// `UID`.
    Uid,
    /// `FLAGS`.
    Flags,
    /// `INTERNALDATE`.
    InternalDate,
    /// `RFC822.SIZE`.
    Size,
    /// `ENVELOPE`.
    Envelope,
    /// `BODY`, the structure without extension data.
    Body,
    /// `BODYSTRUCTURE`.
    BodyStructure,
    /// `RFC822`: as `BODY[]`, named `RFC822` in the answer (RFC 3501).
    Rfc822,
    /// `RFC822.HEADER`: as `BODY.PEEK[HEADER]`.
    Rfc822Header,
    /// `RFC822.TEXT`: as `BODY[TEXT]`.
    Rfc822Text,
    /// `BODY[section]<partial>` and `BODY.PEEK[..]`.
    Section {
        /// Without setting `\Seen`.
        peek: bool,
        /// Which part.
        section: Section,
        /// Which octets of it.
        partial: Option<Partial>,
    },
    /// `BINARY[part]<partial>` and `BINARY.PEEK[..]` (RFC 3516 §4.2): with the transfer encoding removed.
    Binary {
        /// Without setting `\Seen`.
        peek: bool,
        /// The part's path; empty is the whole message.
        part: Vec<u32>,
        /// Which octets of it.
        partial: Option<Partial>,
    },
    /// `BINARY.SIZE[part]` (RFC 3516 §4.2).
    BinarySize {
        /// The part's path; empty is the whole message.
        part: Vec<u32>,
    },
    /// `MODSEQ` (RFC 7162 §3.1.5).
    ModSeq,
    /// `EMAILID` (RFC 8474 §5.1).
    EmailId,
    /// `THREADID` (RFC 8474 §5.2).
    ThreadId,
    /// `SAVEDATE` (RFC 8514 §4.2).
    SaveDate,
    /// `PREVIEW`, `PREVIEW (LAZY)` (RFC 8970 §3): the modifier lets a server that has no preview yet say so.
    Preview,
    /// `X-GM-MSGID` (Gmail's X-GM-EXT-1): the object id as a number.
    GmailMessage,
    /// `X-GM-THRID`: the conversation's.
    GmailThread,
    /// `X-GM-LABELS`.
    Labels,
}

impl FetchItem {
    /// RFC 9051 §6.4.5: reading the text of a message sets `\Seen`, unless it is done with PEEK.
    pub fn sets_seen(&self) -> bool {
        match self {
            FetchItem::Section { peek, .. } | FetchItem::Binary { peek, .. } => !peek,
            FetchItem::Rfc822 | FetchItem::Rfc822Text => true,
            FetchItem::Uid
            | FetchItem::Flags
            | FetchItem::InternalDate
            | FetchItem::Size
            | FetchItem::Envelope
            | FetchItem::Body
            | FetchItem::BodyStructure
            | FetchItem::Rfc822Header
            | FetchItem::BinarySize { .. }
            | FetchItem::ModSeq
            | FetchItem::EmailId
            | FetchItem::ThreadId
            | FetchItem::SaveDate
            | FetchItem::Preview
            | FetchItem::GmailMessage
            | FetchItem::GmailThread
            | FetchItem::Labels => false,
        }
    }
}

/// `section-spec` (RFC 9051 §9).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Section {
    /// The part's path, counted from 1; empty is the message itself.
    pub part: Vec<u32>,
    /// Which text of the part; `None` is its content (the whole message for an empty path).
    pub text: Option<SectionText>,
}

/// `section-text`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SectionText {
    /// `HEADER`.
    Header,
    /// `HEADER.FIELDS (..)`, names as the client wrote them: the answer repeats them.
    HeaderFields(Vec<String>),
    /// `HEADER.FIELDS.NOT (..)`.
    HeaderFieldsNot(Vec<String>),
    /// `TEXT`.
    Text,
    /// `MIME`, only with a path.
    Mime,
}

/// `<offset.length>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Partial {
    /// The first octet, counted from 0. The answer repeats it.
    pub offset: u64,
    /// How many octets at most.
    pub length: u64,
}

/// `fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers]`.
pub(super) fn fetch(cursor: &mut Cursor<'_>, numbering: Numbering) -> Rule<Body> {
    cursor.space()?;
    let set = cursor.message_set()?;
    cursor.space()?;
    let mut items = Vec::new();
    if cursor.peek() == Some(b'(') {
        cursor.list("what to fetch", |cursor| item(cursor, &mut items))?;
    } else {
        item(cursor, &mut items)?;
    }
    if items.is_empty() {
        return cursor.expected("what to fetch");
    }
    let mut fetch = Fetch { numbering, set, items, changed_since: None, vanished: false, partial: None };
    if cursor.more() {
        modifiers(cursor, &mut fetch)?;
    }
    Ok(Body::Fetch(fetch))
}

/// `fetch-modifiers` (RFC 4466, RFC 7162 §7).
fn modifiers(cursor: &mut Cursor<'_>, fetch: &mut Fetch) -> Rule<()> {
    let start = cursor.position();
    cursor.list("fetch modifiers or the end of the line", |cursor| {
        let start = cursor.position();
        match cursor.word("a fetch modifier")?.as_str() {
            "CHANGEDSINCE" => {
                cursor.space()?;
                fetch.changed_since = Some(cursor.mod_sequence()?);
            }
            "VANISHED" => fetch.vanished = true,
            // RFC 9394 §3.3 extends UID FETCH.
            "PARTIAL" if fetch.numbering == Numbering::Uid && fetch.partial.is_none() => {
                cursor.space()?;
                fetch.partial = Some(partial_range(cursor)?);
            }
            "PARTIAL" => return cursor.fault_at(start, Problem::Expected("PARTIAL once, and only in UID FETCH")),
            _ => return cursor.fault_at(start, Problem::Expected("CHANGEDSINCE, VANISHED or PARTIAL")),
        }
        Ok(())
    })?;
    // RFC 7162 §3.2.6: VANISHED only with UID FETCH and CHANGEDSINCE.
    if fetch.vanished && (fetch.changed_since.is_none() || fetch.numbering == Numbering::Sequence) {
        return cursor.fault_at(start, Problem::Expected("VANISHED only in UID FETCH with CHANGEDSINCE"));
    }
    Ok(())
}

/// One `fetch-att` or macro, which clients also put into parentheses.
pub(super) fn item(cursor: &mut Cursor<'_>, items: &mut Vec<FetchItem>) -> Rule<()> {
    let start = cursor.position();
    let name = cursor.run(|byte| is_atom_char(byte) && byte != b'[' && byte != b'<').to_ascii_uppercase();
    let name = String::from_utf8_lossy(&name);
    if let Some((_, expanded)) = NAMES.iter().find(|(known, _)| *known == name) {
        // `BODY` is two things.
        if !(name == "BODY" && cursor.peek() == Some(b'[')) {
            for item in *expanded {
                push(items, item.clone());
            }
            return if name == "PREVIEW" { preview_modifiers(cursor) } else { Ok(()) };
        }
    }
    let item = match name.as_ref() {
        "BODY" | "BODY.PEEK" => {
            let section = section(cursor)?;
            FetchItem::Section { peek: name == "BODY.PEEK", section, partial: partial(cursor)? }
        }
        "BINARY" | "BINARY.PEEK" => {
            let part = binary_part(cursor)?;
            FetchItem::Binary { peek: name == "BINARY.PEEK", part, partial: partial(cursor)? }
        }
        "BINARY.SIZE" => FetchItem::BinarySize { part: binary_part(cursor)? },
        _ => return cursor.fault_at(start, Problem::Expected("the name of something to fetch")),
    };
    push(items, item);
    Ok(())
}

/// `[SP "(" preview-mod *(SP preview-mod) ")"]` (RFC 8970 §6). Behind an item that stands alone such a list may also be that of
/// the command's modifiers: its first word tells.
fn preview_modifiers(cursor: &mut Cursor<'_>) -> Rule<()> {
    let rest = cursor.rest();
    let Some(first) = rest.strip_prefix(b" (") else { return Ok(()) };
    if !first.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"LAZY")) {
        return Ok(());
    }
    cursor.space()?;
    cursor.list("LAZY", |cursor| if cursor.eat_word("LAZY") { Ok(()) } else { cursor.expected("LAZY") })
}

fn push(items: &mut Vec<FetchItem>, item: FetchItem) {
    if !items.contains(&item) {
        items.push(item);
    }
}

/// `section = "[" [section-spec] "]"`.
pub(crate) fn section(cursor: &mut Cursor<'_>) -> Rule<Section> {
    if !cursor.eat(b'[') {
        return cursor.expected("[ and a section");
    }
    let mut section = Section { part: Vec::new(), text: None };
    let mut after_dot = false;
    while cursor.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        part_number(cursor, &mut section.part)?;
        after_dot = cursor.eat(b'.');
        if !after_dot {
            break;
        }
    }
    if after_dot || (section.part.is_empty() && cursor.peek() != Some(b']')) {
        section.text = Some(section_text(cursor, !section.part.is_empty())?);
    }
    if !cursor.eat(b']') {
        return cursor.expected("] after the section");
    }
    Ok(section)
}

/// One `nz-number` of `section-part`.
fn part_number(cursor: &mut Cursor<'_>, part: &mut Vec<u32>) -> Rule<()> {
    if part.len() == cursor.syntax().limits.depth {
        return cursor.fault_at(cursor.position(), Problem::TooMuch("levels in a part's number"));
    }
    part.push(cursor.nz_number("the number of a part")?);
    Ok(())
}

/// `section-msgtext`, or `section-text` within a part.
fn section_text(cursor: &mut Cursor<'_>, within_part: bool) -> Rule<SectionText> {
    let start = cursor.position();
    let word = cursor.word("HEADER, TEXT, MIME or the number of a part")?;
    Ok(match word.as_str() {
        "HEADER" => SectionText::Header,
        "HEADER.FIELDS" => SectionText::HeaderFields(fields(cursor)?),
        "HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(fields(cursor)?),
        "TEXT" => SectionText::Text,
        "MIME" if within_part => SectionText::Mime,
        _ => return cursor.fault_at(start, Problem::Expected("HEADER, TEXT, MIME (of a part) or a part's number")),
    })
}

/// `header-list`.
fn fields(cursor: &mut Cursor<'_>) -> Rule<Vec<String>> {
    cursor.space()?;
    let mut fields = Vec::new();
    cursor.list("names of header fields", |cursor| {
        fields.push(cursor.text("the name of a header field")?);
        Ok(())
    })?;
    if fields.is_empty() { cursor.expected("the name of a header field") } else { Ok(fields) }
}

/// `section-binary = "[" [section-part] "]"`.
fn binary_part(cursor: &mut Cursor<'_>) -> Rule<Vec<u32>> {
    if !cursor.eat(b'[') {
        return cursor.expected("[ and the number of a part");
    }
    let mut part = Vec::new();
    if !cursor.eat(b']') {
        loop {
            part_number(cursor, &mut part)?;
            if !cursor.eat(b'.') {
                break;
            }
        }
        if !cursor.eat(b']') {
            return cursor.expected("] after the part's number");
        }
    }
    Ok(part)
}

/// `partial = "<" number64 "." nz-number64 ">"`.
fn partial(cursor: &mut Cursor<'_>) -> Rule<Option<Partial>> {
    if !cursor.eat(b'<') {
        return Ok(None);
    }
    let offset = cursor.number(i64::MAX.cast_unsigned(), "the first octet wanted")?;
    if !cursor.eat(b'.') {
        return cursor.expected(". and how many octets are wanted");
    }
    let length = cursor.number(i64::MAX.cast_unsigned(), "how many octets are wanted")?;
    if length == 0 {
        return cursor.expected("at least one octet to be wanted");
    }
    if !cursor.eat(b'>') {
        return cursor.expected("> after the range of octets");
    }
    Ok(Some(Partial { offset, length }))
}

/// Items without arguments, and macros (RFC 9051 §6.4.5).
const NAMES: &[(&str, &[FetchItem])] = &[
    ("ALL", &[FetchItem::Flags, FetchItem::InternalDate, FetchItem::Size, FetchItem::Envelope]),
    ("FAST", &[FetchItem::Flags, FetchItem::InternalDate, FetchItem::Size]),
    ("FULL", &[FetchItem::Flags, FetchItem::InternalDate, FetchItem::Size, FetchItem::Envelope, FetchItem::Body]),
    ("UID", &[FetchItem::Uid]),
    ("FLAGS", &[FetchItem::Flags]),
    ("INTERNALDATE", &[FetchItem::InternalDate]),
    ("RFC822.SIZE", &[FetchItem::Size]),
    ("ENVELOPE", &[FetchItem::Envelope]),
    ("BODY", &[FetchItem::Body]),
    ("BODYSTRUCTURE", &[FetchItem::BodyStructure]),
    ("RFC822", &[FetchItem::Rfc822]),
    ("RFC822.HEADER", &[FetchItem::Rfc822Header]),
    ("RFC822.TEXT", &[FetchItem::Rfc822Text]),
    ("MODSEQ", &[FetchItem::ModSeq]),
    ("EMAILID", &[FetchItem::EmailId]),
    ("THREADID", &[FetchItem::ThreadId]),
    ("SAVEDATE", &[FetchItem::SaveDate]),
    ("PREVIEW", &[FetchItem::Preview]),
    ("X-GM-MSGID", &[FetchItem::GmailMessage]),
    ("X-GM-THRID", &[FetchItem::GmailThread]),
    ("X-GM-LABELS", &[FetchItem::Labels]),
];
