//! DEFLATE over a connection (RFC 4978), in bounded pieces and little memory.
//!
//! What comes in is expanded a piece at a time: a piece is handed to the session before the next is made, so that whoever sends
//! a megabyte that is a gigabyte gets no further than a session gets that reads a gigabyte, and nothing is held of it.
//!
//! What goes out is flushed with each answer. The sender's window is given back when the client lets us wait: a new one
//! goes on where the old one ended, at the octet, without its words. So an idle connection keeps only what reading
//! needs: the 32 KiB that the client may look back, and its tables. That the words of one answer seldom help to compress the next is also wished for: see
//! `docs/lessons.md` on secrets in compressed streams.
//!
//! What it never does: sockets, or a name for the format's headers (the stream is raw).

use std::io;

use flate2::{Compress, Compression as Level, Decompress, FlushCompress, FlushDecompress, Status};
use memchr::memmem;

use crate::stream::READ_SIZE;

/// Both directions of a compressed connection.
pub(crate) struct Compression {
    reading: Box<Decompress>,
    /// None while the client lets us wait.
    writing: Option<Box<Compress>>,
    /// What came and was not expanded yet: one read of the loop at most.
    input: Vec<u8>,
    /// How much of it was expanded.
    taken: usize,
    /// More may come out without anything going in: the last piece was full.
    full: bool,
    /// The client ended its stream.
    ended: bool,
}

impl Compression {
    pub(crate) fn new() -> Compression {
        Compression {
            // A raw stream does not say how far it looks back; RFC 1951 lets it be 32 KiB.
            reading: Box::new(Decompress::new(false)),
            writing: None,
            input: Vec::new(),
            taken: 0,
            full: false,
            ended: false,
        }
    }

    /// Takes what came from the client.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.input.drain(..self.taken);
        self.taken = 0;
        self.input.extend_from_slice(bytes);
    }

    /// Hands the next piece to `take`; its octets. `None`: there is none until more comes in; `Some(0)`: the client ended its
    /// stream. An error when what came is no such stream: there is no way on from that.
    pub(crate) fn piece(&mut self, take: impl FnOnce(&[u8])) -> io::Result<Option<usize>> {
        if self.ended {
            return Ok(Some(0));
        }
        let mut space = [0; READ_SIZE];
        let mut count = 0;
        while count == 0 && (self.full || self.taken < self.input.len()) {
            let input = stretch(&self.input[self.taken..]);
            let (before_in, before_out) = (self.reading.total_in(), self.reading.total_out());
            let result = self.reading.decompress(input, &mut space, FlushDecompress::None);
            let used = difference(before_in, self.reading.total_in());
            self.taken += used;
            count = difference(before_out, self.reading.total_out());
            self.full = count == space.len();
            match result {
                Ok(Status::Ok | Status::BufError) if used > 0 || count > 0 => {}
                // Nothing could be done: more has to come in.
                Ok(Status::Ok | Status::BufError) => break,
                Ok(Status::StreamEnd) => {
                    self.ended = true;
                    break;
                }
                // What was made before it is good; the next piece fails again.
                Err(_) if count > 0 => break,
                Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        if self.taken >= self.input.len() {
            // An idle connection holds no buffer.
            (self.input, self.taken) = (Vec::new(), 0);
        }
        match (count, self.ended) {
            (0, false) => Ok(None),
            (0, true) => Ok(Some(0)),
            (count, _) => {
                take(&space[..count]);
                Ok(Some(count))
            }
        }
    }

    /// What came behind the end of the compression.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        self.input.split_off(self.taken)
    }

    /// Compresses a piece of output. With the last one all of it is out, to the octet.
    pub(crate) fn squeeze(&mut self, plain: &[u8], last: bool) -> Vec<u8> {
        let new = || Box::new(Compress::new_with_window_bits(Level::new(LEVEL), false, WINDOW_BITS));
        let writing = self.writing.get_or_insert_with(new);
        let flush = if last { FlushCompress::Sync } else { FlushCompress::None };
        let (mut out, mut used) = (Vec::new(), 0);
        loop {
            // Most text comes to a third of what it was.
            out.reserve((plain.len() - used) / 2 + SPARE);
            let before = writing.total_in();
            let done = writing.compress_vec(&plain[used..], &mut out, flush);
            used += difference(before, writing.total_in());
            // With room left there is nothing that waits for room.
            if out.len() < out.capacity() && (used == plain.len() || !matches!(done, Ok(Status::Ok))) {
                return out;
            }
        }
    }

    /// Whether there is something that [`Compression::cool_down`] would give back.
    pub(crate) fn is_warm(&self) -> bool {
        self.writing.is_some()
    }

    /// Gives back what writing needed: the last answer was flushed, and the next one is a while away.
    pub(crate) fn cool_down(&mut self) {
        self.writing = None;
    }
}

/// The next input, up to where a flush ends: behind it the client may have ended the compression (RFC 8437 §4.1), and what
/// follows is none of ours.
fn stretch(rest: &[u8]) -> &[u8] {
    match memmem::find(rest, FLUSHED) {
        Some(found) => &rest[..found + FLUSHED.len()],
        None => rest,
    }
}

fn difference(before: u64, after: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

/// How a flush ends: an empty stored block (RFC 1951 §3.2.4).
const FLUSHED: &[u8] = &[0, 0, 0xff, 0xff];
/// Most of what can be saved, for a third of the time of the usual level.
const LEVEL: u32 = 3;
/// 8 KiB: the answers of IMAP repeat what is near, and the memory of an active connection follows it.
const WINDOW_BITS: u8 = 13;
/// Room beside the text itself.
const SPARE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn squeezed(plain: &[u8], level: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(plain.len() + 1000);
        let mut writing = Compress::new(Level::new(level), false);
        writing.compress_vec(plain, &mut out, FlushCompress::Sync).expect("compressed");
        out
    }

    fn expand(compression: &mut Compression, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        compression.feed(bytes);
        while compression.piece(|piece| out.extend_from_slice(piece))?.is_some_and(|count| count > 0) {}
        Ok(())
    }

    #[test]
    fn a_bomb_comes_in_pieces_and_nothing_of_it_is_held() {
        let bomb = squeezed(&vec![b'x'; 50_000_000], 9);
        assert!(bomb.len() < 60_000, "{}", bomb.len());
        let mut compression = Compression::new();
        let (mut total, mut pieces) = (0, 0);
        for read in bomb.chunks(READ_SIZE) {
            compression.feed(read);
            while let Some(count) = compression.piece(|piece| assert!(piece.len() <= READ_SIZE)).expect("a stream") {
                total += count;
                pieces += 1;
                assert!(compression.input.len() <= READ_SIZE);
            }
        }
        assert_eq!(total, 50_000_000);
        assert!(pieces >= total / READ_SIZE, "{pieces}");
        assert_eq!(compression.input.capacity(), 0, "an idle connection holds no buffer");
    }

    #[test]
    fn what_goes_out_is_one_stream_whoever_made_its_parts() {
        let (mut there, mut here) = (Compression::new(), Compression::new());
        let text: Vec<u8> = (0..200_000u32).flat_map(|number| number.to_string().into_bytes()).collect();
        let mut got = Vec::new();
        for (number, part) in text.chunks(77_777).enumerate() {
            if number % 3 == 2 {
                there.cool_down();
            }
            let out = [there.squeeze(&part[..part.len() / 2], false), there.squeeze(&part[part.len() / 2..], true)];
            expand(&mut here, &out.concat(), &mut got).expect("a stream");
            assert_eq!(got.len(), (number * 77_777 + part.len()).min(text.len()), "each answer is out as a whole");
        }
        assert!(got == text);
    }

    #[test]
    fn fuzz_any_input_is_expanded_or_refused() {
        postroad_fuzz::check!(1_000).with_type::<(Vec<u8>, Vec<u8>, u8)>().for_each(|(plain, noise, cut)| {
            let good = squeezed(plain, u32::from(*cut % 10));
            for cut in [1, usize::from(*cut) + 1] {
                let (mut compression, mut got) = (Compression::new(), Vec::new());
                for part in good.chunks(cut) {
                    expand(&mut compression, part, &mut got).expect("a stream");
                }
                assert_eq!(&got, plain);
                let _ = expand(&mut compression, noise, &mut got);
                let _ = expand(&mut compression, noise, &mut got);
            }
        });
    }
}
