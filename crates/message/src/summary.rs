//! What is stored with each message so that listing never parses: the types. No parsing happens here.
//!
//! Text in these types is valid UTF-8. Where the message had 8-bit bytes that are not UTF-8 (against RFC 5322, common in old
//! mail) they were read as windows-1252. "Raw" means: unfolded, but RFC 2047 encoded words are still encoded.

use crate::Fields;
use crate::address::Address;
use crate::date::DateTime;
use crate::decode::Encoding;

/// Everything about one message that can be answered without its bytes. All offsets are octets from the start of the message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Octets of the whole message (RFC822.SIZE).
    pub size: u64,
    /// Line feeds in the whole message.
    pub lines: u64,
    /// The envelope of the message, as RFC 9051 §7.5.2 ENVELOPE wants it.
    pub envelope: Envelope,
    /// The Date field, understood.
    pub date: HeaderDate,
    /// The root part. `structure.header_start` is 0, `structure.body_start` is the end of the header block (after its blank
    /// line), `structure.body_end` equals `size`.
    pub structure: Part,
    /// Raw header fields that clients ask for.
    pub fields: Fields,
    /// At most 200 characters of visible text, white space collapsed (RFC 8970). Empty if there is none.
    pub preview: String,
    /// Whether a person would say that something is attached.
    pub has_attachment: bool,
    /// Which transports the bytes need.
    pub facts: Facts,
}

/// What the bytes of a message need from a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// A byte above 127 somewhere in the top header block: relaying needs SMTPUTF8 (RFC 6531).
    pub eight_bit_header: bool,
    /// A byte above 127 after the top header block: relaying needs 8BITMIME (RFC 6152).
    pub eight_bit_body: bool,
    /// Of a message with `eight_bit_body`: no header of a part, or of a message within, has such a byte. Messages that were parsed
    /// before this was looked for do not say so.
    pub ascii_parts: bool,
    /// A NUL somewhere: relaying needs BINARYMIME (RFC 3030).
    pub nul: bool,
    /// A line feed without a carriage return before it.
    pub bare_lf: bool,
    /// The part or depth limit was met, and the rest of the message is one opaque leaf.
    pub limited: bool,
    /// A header block or field was longer than the limits allow and was read in part only.
    pub header_cut: bool,
}

impl Facts {
    /// Whether headers of parts, or of messages within, may have a byte above 127.
    pub fn has_eight_bit_parts(&self) -> bool {
        self.eight_bit_body && !self.ascii_parts
    }
}

/// RFC 9051 §7.5.2: the envelope. Absent fields are `None` or empty.
///
/// RFC 9051 wants Sender and Reply-To to repeat From when absent or empty: [`Envelope::sender_or_from`],
/// [`Envelope::reply_to_or_from`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// The Date field, unfolded, as written.
    pub date: Option<String>,
    /// The Subject, unfolded, encoded words still encoded.
    pub subject: Option<String>,
    /// Authors.
    pub from: Vec<Address>,
    /// Who handed it in, as written (may be empty).
    pub sender: Vec<Address>,
    /// Where answers go, as written (may be empty).
    pub reply_to: Vec<Address>,
    /// All To fields, one after another.
    pub to: Vec<Address>,
    /// All Cc fields, one after another.
    pub cc: Vec<Address>,
    /// All Bcc fields, one after another.
    pub bcc: Vec<Address>,
    /// The In-Reply-To field, unfolded, as written.
    pub in_reply_to: Option<String>,
    /// The Message-ID field, unfolded, as written (with its angle brackets).
    pub message_id: Option<String>,
}

impl Envelope {
    /// Sender, or From when there is no Sender (RFC 9051 §7.5.2).
    pub fn sender_or_from(&self) -> &[Address] {
        if self.sender.is_empty() { &self.from } else { &self.sender }
    }

    /// Reply-To, or From when there is no Reply-To (RFC 9051 §7.5.2).
    pub fn reply_to_or_from(&self) -> &[Address] {
        if self.reply_to.is_empty() { &self.from } else { &self.reply_to }
    }

    /// The subject with its encoded words decoded. Empty if there is none.
    pub fn subject_text(&self) -> String {
        self.subject.as_deref().map(|s| crate::header::decode(s.as_bytes())).unwrap_or_default()
    }
}

/// The Date field of a message, as far as it could be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderDate {
    /// There is no Date field.
    #[default]
    Missing,
    /// There is one that cannot be understood; use the internal date instead (RFC 5256 §2.2).
    Invalid,
    /// Understood.
    Valid(DateTime),
}

impl HeaderDate {
    /// The instant, if the date is valid.
    pub fn time(self) -> Option<DateTime> {
        match self {
            HeaderDate::Valid(time) => Some(time),
            HeaderDate::Missing | HeaderDate::Invalid => None,
        }
    }
}

/// One MIME entity: the message itself, a part of a multipart, or the message inside a message/rfc822 part.
///
/// Invariants, also for damaged mail, so that BODYSTRUCTURE is valid without special cases:
/// 1. `header_start <= body_start <= body_end`, children lie inside the body of their parent, in order.
/// 2. `content_type` is `multipart` if and only if `content` is [`Content::Multipart`], which has at least one child (an empty
///    `text/plain` is put into an empty multipart; an opaque `application/octet-stream` where the depth limit ends the search).
/// 3. The type is `message/rfc822` or `message/global` if and only if `content` is [`Content::Message`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// First octet of the part's header block. For the child of a message/rfc822 part: of the nested message's header.
    pub header_start: u64,
    /// First octet of the body, after the blank line.
    pub body_start: u64,
    /// After the last octet of the body (the line break before a boundary belongs to the boundary).
    pub body_end: u64,
    /// Line feeds in the body.
    pub lines: u64,
    /// Media type, lower case: `text`.
    pub content_type: String,
    /// Media subtype, lower case: `plain`.
    pub subtype: String,
    /// Parameters of Content-Type in order, as they were sent (RFC 2231 forms such as `name*0*` not joined): what
    /// BODYSTRUCTURE tells. Names are lower case, values unquoted. Use [`Part::param`] for the decoded value.
    pub params: Vec<Param>,
    /// Content-ID, with its angle brackets.
    pub id: Option<String>,
    /// Content-Description, raw.
    pub description: Option<String>,
    /// Content-Transfer-Encoding.
    pub encoding: Encoding,
    /// Content-MD5.
    pub md5: Option<String>,
    /// Content-Disposition.
    pub disposition: Option<Disposition>,
    /// Content-Language tags.
    pub language: Vec<String>,
    /// Content-Location.
    pub location: Option<String>,
    /// What is inside.
    pub content: Content,
}

/// What a part contains.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Content {
    /// Octets.
    #[default]
    Leaf,
    /// Parts; never empty.
    Multipart(Vec<Part>),
    /// A message (message/rfc822, message/global).
    Message(Box<Nested>),
}

/// The message inside a message/rfc822 or message/global part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nested {
    /// Its envelope.
    pub envelope: Envelope,
    /// Its root part. `child.header_start` equals the outer part's `body_start`, `child.body_end` its `body_end`. If the outer
    /// part is transfer encoded (against RFC 2046 §5.2.1) or too deep, it is an empty `text/plain` instead.
    pub child: Part,
}

/// One parameter of Content-Type or Content-Disposition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Lower case, with any RFC 2231 marks (`filename*0*`).
    pub name: String,
    /// Unquoted.
    pub value: String,
}

/// Content-Disposition (RFC 2183).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Disposition {
    /// Lower case: `attachment`, `inline`, ..
    pub kind: String,
    /// As sent; use [`Disposition::param`] for decoded values.
    pub params: Vec<Param>,
}

impl Default for Part {
    /// An empty `text/plain; charset=us-ascii` (RFC 2045 §5.2).
    fn default() -> Part {
        Part {
            content_type: "text".to_owned(),
            subtype: "plain".to_owned(),
            params: vec![Param { name: "charset".to_owned(), value: "us-ascii".to_owned() }],
            ..Part::blank()
        }
    }
}

impl Summary {
    /// What is yet to be filled in: without the default of [`Part`], which nobody would see.
    pub(crate) fn blank() -> Summary {
        Summary {
            size: 0,
            lines: 0,
            envelope: Envelope::default(),
            date: HeaderDate::Missing,
            structure: Part::blank(),
            fields: Fields::default(),
            preview: String::new(),
            has_attachment: false,
            facts: Facts::default(),
        }
    }
}

impl Part {
    /// No part, until one is put in its place.
    pub(crate) fn blank() -> Part {
        Part {
            header_start: 0,
            body_start: 0,
            body_end: 0,
            lines: 0,
            content_type: String::new(),
            subtype: String::new(),
            params: Vec::new(),
            id: None,
            description: None,
            encoding: Encoding::SevenBit,
            md5: None,
            disposition: None,
            language: Vec::new(),
            location: None,
            content: Content::Leaf,
        }
    }

    /// Octets of the body (BODYSTRUCTURE's body-fld-octets).
    pub fn body_size(&self) -> u64 {
        self.body_end.saturating_sub(self.body_start)
    }

    /// Whether the media type is this one; `media` in lower case: `is("text", "plain")`.
    pub fn is(&self, content_type: &str, subtype: &str) -> bool {
        self.content_type == content_type && self.subtype == subtype
    }

    /// The decoded value of a Content-Type parameter (RFC 2231 continuations and charsets, RFC 2047 words, raw 8-bit).
    pub fn param(&self, name: &str) -> Option<String> {
        crate::header::param(&self.params, name)
    }

    /// The charset parameter.
    pub fn charset(&self) -> Option<String> {
        self.param("charset")
    }

    /// The file name: from Content-Disposition, else Content-Type's `name`; decoded.
    pub fn file_name(&self) -> Option<String> {
        self.disposition.as_ref().and_then(|d| d.param("filename")).or_else(|| self.param("name"))
    }

    /// Parts directly inside: of a multipart its parts, of a message its root part.
    pub fn children(&self) -> &[Part] {
        match &self.content {
            Content::Leaf => &[],
            Content::Multipart(parts) => parts,
            Content::Message(nested) => std::slice::from_ref(&nested.child),
        }
    }
}

impl Disposition {
    /// The decoded value of a parameter, as [`Part::param`].
    pub fn param(&self, name: &str) -> Option<String> {
        crate::header::param(&self.params, name)
    }
}
