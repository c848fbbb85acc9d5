//! Reading the stored form. Total: any octets give a value or an error, in time and memory linear in their number.

use super::borrowed::AddressView;
use super::{DEPTH_MAX, agrees};
use crate::address::{Address, Mailbox};
use crate::decode::Encoding;
use crate::{Content, Disposition, Envelope, Error, Fields, Nested, Param, Part};

#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    section: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], section: &'static str) -> Reader<'a> {
        Reader { rest: bytes, section }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn damaged(&self) -> Error {
        Error::SummaryDamaged(self.section)
    }

    pub(super) fn end(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.damaged()) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.damaged())?;
        self.rest = rest;
        Ok(head)
    }

    pub(super) fn octet(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn number(&mut self) -> Result<u64, Error> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            let bits = u64::from(octet & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.damaged());
            }
            value |= bits << shift;
            if octet < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged())
    }

    pub(super) fn signed(&mut self) -> Result<i64, Error> {
        let value = self.number()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(super) fn length(&mut self) -> Result<usize, Error> {
        usize::try_from(self.number()?).map_err(|_| self.damaged())
    }

    /// A count of things of at least one octet each: no more than there are octets, so that nothing is reserved for a lie.
    pub(super) fn count(&mut self) -> Result<usize, Error> {
        let count = self.length()?;
        if count <= self.rest.len() { Ok(count) } else { Err(self.damaged()) }
    }

    fn utf8(&mut self, length: usize) -> Result<&'a str, Error> {
        let octets = self.take(length)?;
        std::str::from_utf8(octets).map_err(|_| self.damaged())
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Error> {
        let length = self.length()?;
        self.utf8(length)
    }

    fn owned(&mut self) -> Result<String, Error> {
        self.text().map(str::to_owned)
    }

    fn optional_owned(&mut self) -> Result<Option<String>, Error> {
        Ok(self.optional()?.map(str::to_owned))
    }

    pub(super) fn optional(&mut self) -> Result<Option<&'a str>, Error> {
        match self.length()? {
            0 => Ok(None),
            more => self.utf8(more - 1).map(Some),
        }
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Reader<'a>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let count = self.count()?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(read(self)?);
        }
        Ok(list)
    }

    pub(super) fn envelope(&mut self) -> Result<Envelope, Error> {
        let list = |reader: &mut Reader<'a>| reader.list(|reader| reader.address().map(Address::from));
        Ok(Envelope {
            date: self.optional_owned()?,
            subject: self.optional_owned()?,
            from: list(self)?,
            sender: list(self)?,
            reply_to: list(self)?,
            to: list(self)?,
            cc: list(self)?,
            bcc: list(self)?,
            in_reply_to: self.optional_owned()?,
            message_id: self.optional_owned()?,
        })
    }

    pub(super) fn address(&mut self) -> Result<AddressView<'a>, Error> {
        match self.number()? {
            0 => Ok(AddressView::Mailbox {
                name: self.optional()?,
                route: self.optional()?,
                local: self.text()?,
                host: self.text()?,
            }),
            1 => Ok(AddressView::GroupStart(self.text()?)),
            2 => Ok(AddressView::GroupEnd),
            _ => Err(self.damaged()),
        }
    }

    fn params(&mut self) -> Result<Vec<Param>, Error> {
        self.list(|reader| Ok(Param { name: reader.owned()?, value: reader.owned()? }))
    }

    /// One that we know, or its token.
    pub(super) fn encoding(&mut self) -> Result<Result<Encoding, &'a str>, Error> {
        Ok(match self.number()? {
            0 => Ok(Encoding::SevenBit),
            1 => Ok(Encoding::EightBit),
            2 => Ok(Encoding::Binary),
            3 => Ok(Encoding::Base64),
            4 => Ok(Encoding::QuotedPrintable),
            5 => Ok(Encoding::Uuencode),
            6 => Err(self.text()?),
            _ => return Err(self.damaged()),
        })
    }

    fn disposition(&mut self) -> Result<Option<Disposition>, Error> {
        match self.optional_owned()? {
            Some(kind) => Ok(Some(Disposition { kind, params: self.params()? })),
            None => Ok(None),
        }
    }

    pub(super) fn part(&mut self, depth: usize) -> Result<Part, Error> {
        if depth > DEPTH_MAX {
            return Err(self.damaged());
        }
        let header_start = self.number()?;
        let body_start = header_start.checked_add(self.number()?).ok_or_else(|| self.damaged())?;
        let body_end = body_start.checked_add(self.number()?).ok_or_else(|| self.damaged())?;
        let part = Part {
            header_start,
            body_start,
            body_end,
            lines: self.number()?,
            content_type: self.owned()?,
            subtype: self.owned()?,
            params: self.params()?,
            encoding: self.encoding()?.unwrap_or_else(|token| Encoding::Other(token.to_owned())),
            id: self.optional_owned()?,
            description: self.optional_owned()?,
            md5: self.optional_owned()?,
            location: self.optional_owned()?,
            disposition: self.disposition()?,
            language: self.list(Reader::owned)?,
            content: self.content(depth)?,
        };
        if agrees(&part) { Ok(part) } else { Err(self.damaged()) }
    }

    fn content(&mut self, depth: usize) -> Result<Content, Error> {
        match self.number()? {
            0 => Ok(Content::Leaf),
            1 => Ok(Content::Multipart(self.list(|reader| reader.part(depth + 1))?)),
            2 => {
                let envelope = self.envelope()?;
                let child = self.part(depth + 1)?;
                Ok(Content::Message(Box::new(Nested { envelope, child })))
            }
            _ => Err(self.damaged()),
        }
    }

    pub(super) fn fields(&mut self) -> Result<Fields, Error> {
        let known = self.octet()?;
        let others_cut = self.octet()? != 0;
        let mut incomplete = [0; 16];
        incomplete.copy_from_slice(self.take(16)?);
        let mut others = self.list(|reader| {
            let pair = reader.take(2)?;
            Ok(u16::from_le_bytes([pair[0], pair[1]]))
        })?;
        // Looked up by halves; damaged octets must not break that.
        others.sort_unstable();
        let kept = self.list(|reader| {
            let number = reader.octet()?;
            let length = reader.length()?;
            Ok((number, reader.take(length)?.to_vec()))
        })?;
        // A name is a bit of `incomplete`.
        if known > 128 {
            return Err(self.damaged());
        }
        Ok(Fields { kept, known, incomplete: u128::from_le_bytes(incomplete), others, others_cut })
    }
}

impl From<AddressView<'_>> for Address {
    fn from(view: AddressView<'_>) -> Address {
        match view {
            AddressView::Mailbox { name, route, local, host } => Address::Mailbox(Mailbox {
                name: name.map(str::to_owned),
                route: route.map(str::to_owned),
                local: local.to_owned(),
                host: host.to_owned(),
            }),
            AddressView::GroupStart(name) => Address::GroupStart(name.to_owned()),
            AddressView::GroupEnd => Address::GroupEnd,
        }
    }
}
