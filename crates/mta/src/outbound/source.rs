//! The bytes of a message as they leave, in bounded pieces.
//!
//! What is stored is sent as it is, with two exceptions: our own Return-Path line at its top stays here (RFC 5321 §4.4:
//! only the last server on the way writes one), and mail that one of our addresses forwards has that address in
//! a Delivered-To line above everything else, by which loops are found.

use std::sync::Arc;

use postroad_message::downgrade::{Downgrader, Plan, Survey, Unconvertible};
use postroad_store::{BlobId, Store};

use crate::sign::{Anew, Replaced, Signers};

/// So much is read at once: inline messages in one look.
const PIECE: u64 = 128 * 1024;
/// RFC 8689 §5.
const TLS_REQUIRED: &[u8] = b"tls-required:";
/// A Return-Path that is longer is not one of ours.
const RETURN_PATH_MAX: usize = 1024;

/// A message on its way out.
pub(crate) struct Source {
    store: Store,
    blob: BlobId,
    /// Put before everything.
    head: Vec<u8>,
    /// Of these, what goes to all hosts.
    head_for_all: usize,
    /// Of the stored bytes, what was read when it was opened, without the line that stays here.
    first: Vec<u8>,
    /// Where `first` ends in the stored bytes.
    first_end: u64,
    stored: u64,
    /// Where the next piece begins; `None` before the first.
    at: Option<u64>,
    conversion: Option<Conversion>,
    /// Who signs what was converted.
    signers: Option<Arc<Signers>>,
}

/// The message as lines of seven bits.
struct Conversion {
    plan: Plan,
    /// The bytes that leave.
    size: u64,
    /// Under way; `None` before the first piece and after the last.
    converter: Option<Downgrader>,
    /// The header with signatures that hold, in place of the converted one.
    replaced: Option<Replaced>,
    /// Octets of the converted header that are still to be left out.
    skip: u64,
}

/// Why a message cannot be converted.
#[derive(Debug)]
pub(crate) enum NotConverted {
    Unfit(Unconvertible),
    Unreadable(postroad_store::Error),
}

impl From<postroad_store::Error> for NotConverted {
    fn from(error: postroad_store::Error) -> NotConverted {
        NotConverted::Unreadable(error)
    }
}

impl Source {
    /// Reads the first piece. `via` is the address of ours that forwarded.
    pub(crate) async fn open(store: &Store, blob: BlobId, via: Option<&str>) -> Result<Source, postroad_store::Error> {
        let look =
            store.read(move |tx| Ok::<_, postroad_store::Error>((tx.blob_size(blob)?, tx.blob_read(blob, 0..PIECE)?)));
        let (stored, mut first) = look.await?;
        let first_end = first.len() as u64;
        first.drain(..return_path(&first));
        let head = via.map(|address| format!("Delivered-To: {address}\r\n").into_bytes()).unwrap_or_default();
        Ok(Source {
            store: store.clone(),
            blob,
            head_for_all: head.len(),
            head,
            first,
            first_end,
            stored,
            at: None,
            conversion: None,
            signers: None,
        })
    }

    /// The same, signed anew when it has to be converted.
    pub(crate) fn signed_by(self, signers: Option<Arc<Signers>>) -> Source {
        Source { signers, ..self }
    }

    /// Puts fields before everything, in place of those that another host was given. Not once it is converted.
    pub(crate) fn put_before(&mut self, fields: &[u8]) {
        self.head.truncate(self.head_for_all);
        self.head.extend_from_slice(fields);
    }

    /// The bytes that leave.
    pub(crate) fn size(&self) -> u64 {
        match &self.conversion {
            Some(conversion) => conversion.size,
            None => self.head.len() as u64 + self.first.len() as u64 + (self.stored - self.first_end),
        }
    }

    /// Whether all header fields are ASCII. A header that is longer than a piece counts as not.
    pub(crate) fn has_ascii_header(&self) -> bool {
        let end = self.first.windows(4).position(|four| four == b"\r\n\r\n");
        match end {
            Some(end) => self.head.is_ascii() && self.first[..end].is_ascii(),
            None => self.first_end == self.stored && self.head.is_ascii() && self.first.is_ascii(),
        }
    }

    /// Whether its sender would rather have it delivered than protected: `TLS-Required: No`, once (RFC 8689 §5). A field
    /// that is beyond the first piece is not looked for.
    pub(crate) fn needs_no_tls(&self) -> bool {
        let end = self.first.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(self.first.len());
        let (mut found, mut says_no, mut inside) = (0, false, false);
        for line in self.first[..end].split(|octet| *octet == b'\n') {
            if matches!(line.first(), Some(b' ' | b'\t')) {
                // A value that goes on is not `No`.
                says_no &= !inside || line.trim_ascii().is_empty();
                continue;
            }
            inside = line.get(..TLS_REQUIRED.len()).is_some_and(|name| name.eq_ignore_ascii_case(TLS_REQUIRED));
            if inside {
                found += 1;
                let value = line[TLS_REQUIRED.len()..].trim_ascii();
                says_no = value.eq_ignore_ascii_case(b"no");
            }
        }
        found == 1 && says_no
    }

    /// From now on the message leaves as lines of seven bits, for a host that takes no others. Reads it twice: what it
    /// needs, and how long it becomes.
    pub(crate) async fn convert(&mut self) -> Result<(), NotConverted> {
        if self.conversion.is_some() {
            return Ok(());
        }
        let mut survey = Survey::new();
        self.at = None;
        while let Some(piece) = self.piece().await? {
            survey.feed(&piece);
        }
        let plan = survey.finish().map_err(NotConverted::Unfit)?;
        let (mut converter, mut out, mut size) = (plan.converter(), Vec::new(), 0);
        let mut anew = Anew::new();
        self.at = None;
        while let Some(piece) = self.piece().await? {
            converter.feed(&piece, &mut out);
            anew.feed(&out);
            size += out.len() as u64;
            out.clear();
        }
        converter.finish(&mut out);
        anew.feed(&out);
        size += out.len() as u64;
        let replaced = match &self.signers {
            Some(signers) => anew.finish(signers).await?,
            None => None,
        };
        if let Some(replaced) = &replaced {
            size = size - replaced.old + replaced.new.len() as u64;
        }
        self.conversion = Some(Conversion { plan, size, converter: None, replaced, skip: 0 });
        Ok(())
    }

    /// As it is stored again.
    pub(crate) fn restore(&mut self) {
        self.conversion = None;
    }

    /// Back to the beginning, for the next host.
    pub(crate) fn rewind(&mut self) {
        self.at = None;
        if let Some(conversion) = &mut self.conversion {
            conversion.converter = Some(conversion.plan.converter());
            conversion.skip = 0;
        }
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, postroad_store::Error> {
        loop {
            let is_first = self.at.is_none();
            let piece = self.piece().await?;
            let Some(conversion) = &mut self.conversion else { return Ok(piece) };
            let mut out = Vec::new();
            if let Some(replaced) = conversion.replaced.as_ref().filter(|_| is_first) {
                conversion.skip = replaced.old;
                out.extend_from_slice(&replaced.new);
            }
            let before = out.len();
            match (piece, conversion.converter.take()) {
                (_, None) => return Ok(None),
                (Some(piece), Some(mut converter)) => {
                    converter.feed(&piece, &mut out);
                    conversion.converter = Some(converter);
                    conversion.leave_out(&mut out, before);
                    if out.is_empty() {
                        continue;
                    }
                }
                (None, Some(converter)) => {
                    converter.finish(&mut out);
                    conversion.leave_out(&mut out, before);
                }
            }
            return Ok(Some(out));
        }
    }

    /// The next piece as it is stored.
    async fn piece(&mut self) -> Result<Option<Vec<u8>>, postroad_store::Error> {
        let Some(at) = self.at else {
            self.at = Some(self.first_end);
            return Ok(Some([self.head.as_slice(), self.first.as_slice()].concat()));
        };
        if at >= self.stored {
            return Ok(None);
        }
        let (blob, range) = (self.blob, at..at + PIECE);
        let piece = self.store.read(move |tx| tx.blob_read(blob, range)).await?;
        if piece.is_empty() {
            return Err(postroad_store::Error::Corrupt(format!("blob {blob} is shorter than it should be")));
        }
        self.at = Some(at + piece.len() as u64);
        Ok(Some(piece))
    }
}

impl Conversion {
    /// Takes what is left of the converted header out of what came behind `from`.
    fn leave_out(&mut self, out: &mut Vec<u8>, from: usize) {
        let many = usize::try_from(self.skip).unwrap_or(usize::MAX).min(out.len() - from);
        out.drain(from..from + many);
        self.skip -= many as u64;
    }
}

/// How many bytes at the top are our Return-Path field, continuation lines included.
fn return_path(bytes: &[u8]) -> usize {
    const NAME: &[u8] = b"return-path:";
    if !bytes.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
        return 0;
    }
    let mut end = 0;
    while let Some(line) = bytes[end..].iter().take(RETURN_PATH_MAX).position(|byte| *byte == b'\n') {
        end += line + 1;
        if !matches!(bytes.get(end), Some(b' ' | b'\t')) {
            return end;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_line_at_the_top_stays() {
        for (stored, stays) in [
            (&b"Return-Path: <a@b.test>\r\nReceived: x\r\n\r\n"[..], 25),
            (b"return-path:\r\n <a@b.test>\r\nTo: x\r\n", 27),
            (b"Received: x\r\nReturn-Path: <a@b.test>\r\n", 0),
            (b"Return-Paths: x\r\n", 0),
            (b"Return-Path: <a@b.test>", 0),
            (b"", 0),
        ] {
            assert_eq!(return_path(stored), stays, "{:?}", String::from_utf8_lossy(stored));
        }
    }
}
