//! A message on its way to the client: RETR and TOP, a chunk per job.
//!
//! The encoder makes of any octets what a multi-line response may hold (RFC 1939 §3): lines end with CR LF,
//! first dots are doubled, NUL becomes 0x80 (Outlook stops at NUL), and the header block ends with an empty
//! line even when the message does not have one (old Outlook Express waits for it).

use memchr::{memchr, memchr_iter};

use postroad_message::SummaryView;
use postroad_message::header::EndFinder;
use postroad_message::surrogate::{self, Told};
use postroad_store::{BlobId, ReadTx};

use crate::error::Error;
use crate::maildrop::Maildrop;

/// A RETR or TOP under way.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// The number of the message.
    pub(crate) number: usize,
    /// All of it was asked for.
    pub(crate) whole: bool,
    /// Those behind it are read with it.
    pub(crate) reads_ahead: bool,
    /// The content.
    pub(crate) blob: BlobId,
    /// Its size as the maildrop has it.
    pub(crate) size: u64,
    /// How much of it was read.
    pub(crate) offset: u64,
    /// A part of it is out.
    pub(crate) said: bool,
    /// All of it was read.
    pub(crate) done: bool,
    /// The client takes UTF-8 in headers.
    pub(crate) utf8: bool,
    /// What is told otherwise to a client that does not.
    pub(crate) told: Told,
    pub(crate) encoder: Encoder,
}

/// What of a message is told otherwise to a client that did not say UTF8: headers in ASCII (RFC 6858). `first`: the octets that it
/// begins with. What LIST says is the size of the message as it is stored (§4 of it).
pub(crate) fn in_ascii(
    tx: &ReadTx,
    maildrop: Option<&Maildrop>,
    (number, size): (usize, u64),
    (blob, first): (BlobId, &[u8]),
) -> Result<Told, Error> {
    if first.len() as u64 >= size {
        return Ok(Told::of(first));
    }
    let mut told = Told::default();
    let stored = maildrop.map(|maildrop| maildrop.summary(tx, number)).transpose()?.flatten();
    let summary = stored.as_deref().and_then(|stored| SummaryView::new(stored).ok());
    let structure = summary.as_ref().and_then(|summary| summary.structure().ok());
    let (Some(summary), Some(structure)) = (summary, structure) else {
        // Another session removed it, or what is known of it is damaged: its own header is here.
        let end = EndFinder::new().feed(first).unwrap_or(0);
        told.look(std::slice::from_ref(&(0..end as u64)), 0, &first[..end]);
        return Ok(told);
    };
    let blocks = surrogate::blocks(summary.facts, &structure);
    for span in surrogate::spans(&blocks) {
        told.look(&blocks, span.start, &tx.blob_read(blob, span.clone())?);
    }
    Ok(told)
}

/// Turns a message's octets into the lines of a response.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// Lines of the body still to be sent; `None` for all.
    lines_left: Option<u64>,
    /// The header block is not over yet.
    in_header: bool,
    /// Octets of the line under way, without its end.
    line: u64,
    /// The last octet was CR.
    cr: bool,
    /// Nothing more is to be sent.
    full: bool,
}

impl Encoder {
    /// `body_lines`: how many lines of the body (TOP); `None` for all (RETR).
    pub(crate) fn new(body_lines: Option<u64>) -> Encoder {
        Encoder { lines_left: body_lines, in_header: true, line: 0, cr: false, full: false }
    }

    /// Whether more of the message would change nothing.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Appends what becomes of the next octets.
    pub(crate) fn encode(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        if self.is_at_line_start() && self.lines_left.is_none() {
            // Mostly nothing is to be done to whole lines: they are looked through and then taken all at once.
            let clean = Clean::of(bytes);
            out.extend_from_slice(&bytes[..clean.octets]);
            self.in_header &= !clean.empty_line;
            bytes = &bytes[clean.octets..];
        }
        while !bytes.is_empty() && !self.full {
            match memchr(b'\n', bytes) {
                None => {
                    self.part(bytes, out);
                    return;
                }
                Some(end) => {
                    self.part(&bytes[..end], out);
                    self.line_end(out);
                    bytes = &bytes[end + 1..];
                }
            }
        }
    }

    fn is_at_line_start(&self) -> bool {
        self.line == 0 && !self.cr && !self.full
    }

    /// Appends what is missing at the message's end, and the response's last line.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if (self.line > 0 || self.cr) && !self.full {
            self.line_end(out);
        }
        if self.in_header {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }

    /// A part of a line, its end not included. A CR is held back until it is known what follows.
    fn part(&mut self, part: &[u8], out: &mut Vec<u8>) {
        if part.is_empty() {
            return;
        }
        if self.cr {
            self.text(b"\r", out);
        }
        self.cr = part.last() == Some(&b'\r');
        self.text(&part[..part.len() - usize::from(self.cr)], out);
    }

    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if self.line == 0 && text.first() == Some(&b'.') {
            out.push(b'.');
        }
        self.line += text.len() as u64;
        let mut rest = text;
        while let Some(nul) = memchr(0, rest) {
            out.extend_from_slice(&rest[..nul]);
            out.push(0x80);
            rest = &rest[nul + 1..];
        }
        out.extend_from_slice(rest);
    }

    /// LF: a CR before it belongs to it, and otherwise is added.
    fn line_end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        let empty = self.line == 0;
        (self.line, self.cr) = (0, false);
        if self.in_header {
            self.in_header = !empty;
        } else if let Some(left) = &mut self.lines_left {
            *left -= 1;
        }
        self.full = !self.in_header && self.lines_left == Some(0);
    }
}

/// Whole lines, from the first on, that go out as they are: they end with CR LF, begin with no dot, and have no NUL.
struct Clean {
    octets: usize,
    /// One of them is empty.
    empty_line: bool,
}

impl Clean {
    fn of(bytes: &[u8]) -> Clean {
        let bytes = &bytes[..memchr(0, bytes).unwrap_or(bytes.len())];
        let mut clean = Clean { octets: 0, empty_line: false };
        for end in memchr_iter(b'\n', bytes) {
            let line = &bytes[clean.octets..=end];
            if !line.ends_with(b"\r\n") || line[0] == b'.' {
                break;
            }
            clean.empty_line |= line.len() == 2;
            clean.octets = end + 1;
        }
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::Encoder;

    fn encode(message: &[u8], lines: Option<u64>, cut: usize) -> String {
        let mut encoder = Encoder::new(lines);
        let mut out = Vec::new();
        for piece in message.chunks(cut) {
            encoder.encode(piece, &mut out);
        }
        encoder.finish(&mut out);
        out.escape_ascii().to_string()
    }

    #[test]
    fn messages_become_lines_for_every_cut() {
        let all: [(&[u8], Option<u64>, &str); 20] = [
            (b"A: b\r\n\r\nx\r\n", None, r"A: b\r\n\r\nx\r\n.\r\n"),
            (b"A: b\r\n\r\n.\r\n..\r\n.x\r\n", None, r"A: b\r\n\r\n..\r\n...\r\n..x\r\n.\r\n"),
            (b"A: b\n\nx\n.\n", None, r"A: b\r\n\r\nx\r\n..\r\n.\r\n"),
            (b"A: b\r\n\r\nno end", None, r"A: b\r\n\r\nno end\r\n.\r\n"),
            (b"A: b\r\n", None, r"A: b\r\n\r\n.\r\n"),
            (b"A: b", None, r"A: b\r\n\r\n.\r\n"),
            (b"A: b\r", None, r"A: b\r\n\r\n.\r\n"),
            (b"", None, r"\r\n.\r\n"),
            (b"\r\nbody\r\n", None, r"\r\nbody\r\n.\r\n"),
            (b"A: b\r\n\r\n\0x\0\0\r\n", None, r"A: b\r\n\r\n\x80x\x80\x80\r\n.\r\n"),
            (b"A: b\r\n\r\nx\r\r\n", None, r"A: b\r\n\r\nx\r\r\n.\r\n"),
            (b"A: b\r\n\r\nx\ry\r\n", None, r"A: b\r\n\r\nx\ry\r\n.\r\n"),
            (b"A: b\r\n\r\n1\r\n2\r\n", Some(0), r"A: b\r\n\r\n.\r\n"),
            (b"A: b\r\n\r\n1\r\n2\r\n", Some(1), r"A: b\r\n\r\n1\r\n.\r\n"),
            (b"A: b\r\n\r\n1\r\n2\r\n", Some(2), r"A: b\r\n\r\n1\r\n2\r\n.\r\n"),
            (b"A: b\r\n\r\n1\r\n2", Some(9), r"A: b\r\n\r\n1\r\n2\r\n.\r\n"),
            (b"A: b\r\n\r\n\r\n2\r\n", Some(1), r"A: b\r\n\r\n\r\n.\r\n"),
            (b"A: b", Some(0), r"A: b\r\n\r\n.\r\n"),
            (b"A: b\r\n\r\n", Some(5), r"A: b\r\n\r\n.\r\n"),
            (b".A: b\r\n\r\n", Some(0), r"..A: b\r\n\r\n.\r\n"),
        ];
        for (message, lines, expect) in all {
            for cut in [1, 2, 3, 100] {
                let got = encode(message, lines, cut);
                assert_eq!(got, expect, "{:?} {lines:?} cut {cut}", message.escape_ascii().to_string());
            }
        }
    }

    /// Lines that are taken at once are what they are octet by octet.
    #[test]
    fn fuzz_cuts_change_nothing() {
        const SCRAPS: [&[u8]; 8] = [b"\r\n", b"\n", b"\r", b".", b"\0", b"A: b", b"\r\n.\r\n", b"\r\n\r\n"];
        postroad_fuzz::check!(2_000).with_type::<(Vec<u8>, u8)>().for_each(|(words, lines)| {
            let message: Vec<u8> =
                words.iter().flat_map(|word| SCRAPS[usize::from(*word) % SCRAPS.len()]).copied().collect();
            for lines in [None, Some(u64::from(*lines))] {
                assert_eq!(encode(&message, lines, 1), encode(&message, lines, usize::MAX));
            }
        });
    }
}
