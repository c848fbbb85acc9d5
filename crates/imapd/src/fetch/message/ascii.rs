//! What a client hears that did not enable UTF8=ACCEPT: headers in ASCII (RFC 6855 §8, RFC 6858), with the sizes of what it hears.

use std::ops::Range;
use std::sync::Arc;

use postroad_imap::Writer;
use postroad_imap::command::Partial;
use postroad_message::surrogate::{self, Told};
use postroad_message::{Content, Part, Summary};
use postroad_store::ReadTx;

use super::{Message, Purpose, Stream, Value, part_of, plain};
use crate::error::Error;

impl Message {
    /// A section as it is told: its headers in ASCII for a client without UTF-8 (RFC 6858).
    pub(super) fn as_told(
        &mut self,
        writer: &mut Writer<'_>,
        tx: &ReadTx,
        range: Range<u64>,
        partial: Option<Partial>,
    ) -> Result<Value, Error> {
        if writer.utf8 {
            return Ok(plain(writer, range, partial));
        }
        let told = self.told(tx)?;
        if !told.changes(&range) {
            return Ok(plain(writer, range, partial));
        }
        self.downgraded = true;
        let wanted = part_of(0..told.size(&range), partial);
        if wanted.is_empty() {
            writer.raw(b"\"\"");
            return Ok(Value::Done);
        }
        writer.literal_head(wanted.end - wanted.start);
        let pieces = told.pieces(&range, wanted).into();
        Ok(Value::Stream(Stream::Told(told, pieces, false)))
    }

    /// RFC822.SIZE for a client without UTF-8: of the message as it is told, where the summary is at hand and says that it is
    /// told otherwise than it is stored. RFC 6858 §3 would take the stored size for all, but clients that fetch by pieces
    /// stop at the size.
    pub(super) fn told_size(&mut self, tx: &ReadTx) -> Result<u64, Error> {
        let at_hand = self.entry.facts.as_ref().is_some_and(|facts| !facts.summary.is_empty());
        if !at_hand || !self.may_be_told_otherwise()? {
            return Ok(self.entry.size);
        }
        Ok(self.told(tx)?.size(&(0..self.entry.size)))
    }

    /// BODYSTRUCTURE where the size of a message within is another than that of what is stored.
    pub(super) fn structure_as_told(&mut self, tx: &ReadTx) -> Result<Option<Part>, Error> {
        let (body, may_be) = {
            let summary = self.summary()?;
            (summary.body_start, summary.facts.has_eight_bit_parts())
        };
        if !may_be || !has_message(&self.structure()?) {
            return Ok(None);
        }
        let told = self.told(tx)?;
        if !told.changes(&(body..self.entry.size)) {
            return Ok(None);
        }
        self.downgraded = true;
        Ok(Some(told.structure(&self.structure()?)))
    }

    fn may_be_told_otherwise(&self) -> Result<bool, Error> {
        let facts = self.summary()?.facts;
        Ok(facts.eight_bit_header || facts.has_eight_bit_parts())
    }

    /// What of the message is told otherwise to a client without UTF-8. Reads nothing where the summary says that all is ASCII.
    pub(super) fn told(&mut self, tx: &ReadTx) -> Result<Arc<Told>, Error> {
        if let Some(told) = &self.told {
            return Ok(Arc::clone(told));
        }
        let blocks = {
            let summary = self.summary()?;
            let facts = summary.facts;
            match facts.has_eight_bit_parts() {
                true => surrogate::blocks(facts, &self.structure()?),
                false => surrogate::blocks(facts, &Part { body_start: summary.body_start, ..Part::default() }),
            }
        };
        let mut told = Told::default();
        for span in surrogate::spans(&blocks) {
            told.look(&blocks, span.start, self.octets.read(tx, span.clone())?);
        }
        let told = Arc::new(told);
        self.told = Some(Arc::clone(&told));
        Ok(told)
    }

    /// A part without transfer encoding that has headers within, or the message.
    pub(super) fn binary_as_told(
        &mut self,
        writer: &mut Writer<'_>,
        told: Arc<Told>,
        body: &Range<u64>,
        partial: Option<Partial>,
        purpose: Purpose,
    ) -> Result<Value, Error> {
        self.downgraded = true;
        let wanted = part_of(0..told.size(body), partial);
        if purpose == Purpose::Size {
            writer.raw((wanted.end - wanted.start).to_string().as_bytes());
            return Ok(Value::Done);
        }
        let nul = self.summary()?.facts.nul;
        match nul {
            // RFC 3516 §4.2: only a literal8 can have NULs.
            true => writer.literal8_head(wanted.end - wanted.start),
            false => writer.literal_head(wanted.end - wanted.start),
        }
        let pieces = told.pieces(body, wanted).into();
        Ok(Value::Stream(Stream::Told(told, pieces, nul)))
    }

    /// What is told of the summary is in ASCII from now on.
    pub(super) fn summary_in_ascii(&mut self) -> Result<(), Error> {
        (self.downgraded, self.downgraded_summary) = (true, true);
        if let Some(facts) = &mut self.entry.facts {
            let summary = Summary::decode(&facts.summary).map_err(|_| Error::Summary)?;
            facts.summary = surrogate::summary(&summary).encode();
        }
        Ok(())
    }
}

/// Whether there is a message within: as deep as the parser lets it be.
fn has_message(part: &Part) -> bool {
    matches!(part.content, Content::Message(_)) || part.children().iter().any(has_message)
}
