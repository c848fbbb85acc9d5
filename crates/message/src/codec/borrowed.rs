//! A stored envelope and structure, read in the order in which they are stored, their texts not copied.
//!
//! For whoever writes down at once what it reads. The same octets are errors here as for [`super::SummaryView::envelope`] and
//! [`super::SummaryView::structure`].

use super::DEPTH_MAX;
use super::read::Reader;
use crate::Error;
use crate::decode::Encoding;

/// A stored envelope: take its pieces in their order with [`EnvelopeReader::text`] and [`EnvelopeReader::addresses`]: Date and Subject; From,
/// Sender, Reply-To, To, Cc and Bcc; In-Reply-To and Message-ID.
#[derive(Debug)]
pub struct EnvelopeReader<'r, 'a>(&'r mut Reader<'a>);

/// One entry of an address list, as [`crate::address::Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressView<'a> {
    /// A mailbox.
    Mailbox {
        /// The display name.
        name: Option<&'a str>,
        /// An obsolete source route.
        route: Option<&'a str>,
        /// The local part; may be empty.
        local: &'a str,
        /// The domain; may be empty.
        host: &'a str,
    },
    /// `name:`.
    GroupStart(&'a str),
    /// `;`.
    GroupEnd,
}

/// A stored structure: [`StructureReader::part`] gives the root, then what is inside it.
#[derive(Debug)]
pub struct StructureReader<'a> {
    reader: Reader<'a>,
}

/// One part, as [`crate::Part`]; what is inside it comes next.
#[derive(Debug, Clone)]
pub struct PartView<'a> {
    /// [`crate::Part::body_size`].
    pub body_size: u64,
    /// [`crate::Part::lines`].
    pub lines: u64,
    /// [`crate::Part::content_type`].
    pub content_type: &'a str,
    /// [`crate::Part::subtype`].
    pub subtype: &'a str,
    /// Names and values of [`crate::Part::params`], in turn.
    pub params: TextsView<'a>,
    /// [`Encoding::as_str`] of [`crate::Part::encoding`].
    pub encoding: &'a str,
    /// [`crate::Part::id`].
    pub id: Option<&'a str>,
    /// [`crate::Part::description`].
    pub description: Option<&'a str>,
    /// [`crate::Part::md5`].
    pub md5: Option<&'a str>,
    /// [`crate::Part::location`].
    pub location: Option<&'a str>,
    /// [`crate::Part::disposition`]: its kind, and names and values of its parameters.
    pub disposition: Option<(&'a str, TextsView<'a>)>,
    /// [`crate::Part::language`].
    pub language: TextsView<'a>,
    /// What comes next.
    pub inside: Inside,
}

/// What comes after a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// Nothing of it.
    Nothing,
    /// So many parts, at least one.
    Parts(usize),
    /// An envelope, then its root part.
    Message,
}

/// Texts, one after another; known to be sound.
#[derive(Debug, Clone, Copy)]
pub struct TextsView<'a> {
    count: usize,
    octets: &'a [u8],
}

impl TextsView<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> IntoIterator for TextsView<'a> {
    type Item = &'a str;
    type IntoIter = Texts<'a>;

    fn into_iter(self) -> Texts<'a> {
        Texts { left: self.count, reader: Reader::new(self.octets, "texts") }
    }
}

/// The texts of a [`TextsView`].
#[derive(Debug)]
pub struct Texts<'a> {
    left: usize,
    reader: Reader<'a>,
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.left = self.left.checked_sub(1)?;
        self.reader.text().ok()
    }
}

impl<'r, 'a> EnvelopeReader<'r, 'a> {
    pub(super) fn new(reader: &'r mut Reader<'a>) -> EnvelopeReader<'r, 'a> {
        EnvelopeReader(reader)
    }

    /// A text, or that there is none.
    pub fn text(&mut self) -> Result<Option<&'a str>, Error> {
        self.0.optional()
    }

    /// Shows the entries of a list; how many there were.
    pub fn addresses(&mut self, mut each: impl FnMut(AddressView<'a>)) -> Result<usize, Error> {
        let count = self.0.count()?;
        for _ in 0..count {
            each(self.0.address()?);
        }
        Ok(count)
    }
}

impl<'a> StructureReader<'a> {
    pub(super) fn new(octets: &'a [u8]) -> StructureReader<'a> {
        StructureReader { reader: Reader::new(octets, "structure") }
    }

    /// The next part, `depth` levels below the root.
    pub fn part(&mut self, depth: usize) -> Result<PartView<'a>, Error> {
        if depth > DEPTH_MAX {
            return Err(self.reader.damaged());
        }
        let reader = &mut self.reader;
        let body_start = reader.number()?.checked_add(reader.number()?).ok_or_else(|| reader.damaged())?;
        let body_size = reader.number()?;
        body_start.checked_add(body_size).ok_or_else(|| reader.damaged())?;
        let part = PartView {
            body_size,
            lines: reader.number()?,
            content_type: reader.text()?,
            subtype: reader.text()?,
            params: params(reader)?,
            encoding: reader.encoding_name()?,
            id: reader.optional()?,
            description: reader.optional()?,
            md5: reader.optional()?,
            location: reader.optional()?,
            disposition: match reader.optional()? {
                Some(kind) => Some((kind, params(reader)?)),
                None => None,
            },
            language: texts(reader, 1)?,
            inside: match reader.number()? {
                0 => Inside::Nothing,
                1 => Inside::Parts(reader.count()?),
                2 => Inside::Message,
                _ => return Err(reader.damaged()),
            },
        };
        if part.agrees() { Ok(part) } else { Err(reader.damaged()) }
    }

    /// The envelope after a part with [`Inside::Message`].
    pub fn envelope(&mut self) -> EnvelopeReader<'_, 'a> {
        EnvelopeReader(&mut self.reader)
    }

    /// Nothing is left.
    pub fn end(&self) -> Result<(), Error> {
        self.reader.end()
    }
}

impl PartView<'_> {
    /// The invariants of [`crate::Part`].
    fn agrees(&self) -> bool {
        let message = self.content_type == "message" && matches!(self.subtype, "rfc822" | "global");
        let multipart = self.content_type == "multipart";
        match self.inside {
            Inside::Nothing => !message && !multipart,
            Inside::Parts(count) => multipart && count > 0,
            Inside::Message => message,
        }
    }
}

fn params<'a>(reader: &mut Reader<'a>) -> Result<TextsView<'a>, Error> {
    texts(reader, 2)
}

/// A list of things that are so many texts each.
fn texts<'a>(reader: &mut Reader<'a>, each: usize) -> Result<TextsView<'a>, Error> {
    let count = reader.count()?.saturating_mul(each);
    let before = reader.rest();
    for _ in 0..count {
        reader.text()?;
    }
    Ok(TextsView { count, octets: &before[..before.len() - reader.rest().len()] })
}

impl<'a> Reader<'a> {
    /// The token of an encoding.
    fn encoding_name(&mut self) -> Result<&'a str, Error> {
        Ok(match self.encoding()? {
            Ok(Encoding::SevenBit) => "7BIT",
            Ok(Encoding::EightBit) => "8BIT",
            Ok(Encoding::Binary) => "BINARY",
            Ok(Encoding::Base64) => "BASE64",
            Ok(Encoding::QuotedPrintable) => "QUOTED-PRINTABLE",
            Ok(Encoding::Uuencode) => "X-UUENCODE",
            Ok(Encoding::Other(_)) => return Err(self.damaged()),
            Err(token) => token,
        })
    }
}
