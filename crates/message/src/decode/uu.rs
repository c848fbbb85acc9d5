//! uuencode (POSIX.1), as a stream: what is between `begin` and `end`.

/// Octets of a line that are looked at: the longest legal line has 61 and its line end.
const LINE_MAX: usize = 128;

#[derive(Debug, Clone, Default)]
pub(super) struct Uuencode {
    line: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Inside,
    After,
}

impl Uuencode {
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            let room = LINE_MAX.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.line(out);
            }
        }
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        self.line(out);
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        let text = line.trim_ascii_end();
        match self.state {
            State::Before if text.starts_with(b"begin ") => self.state = State::Inside,
            State::Inside if text == b"end" => self.state = State::After,
            State::Inside => decode_line(text, out),
            State::Before | State::After => {}
        }
    }
}

fn decode_line(text: &[u8], out: &mut Vec<u8>) {
    let Some((&length, digits)) = text.split_first() else { return };
    let length = usize::from(length.wrapping_sub(b' ') & 0x3f);
    let mut bytes = Vec::with_capacity(length + 3);
    for four in digits.chunks(4) {
        // White space at the end of lines gets lost in transport; it stands for zero.
        let bits = (0..4).fold(0u32, |bits, i| {
            let byte = four.get(i).copied().unwrap_or(b' ');
            (bits << 6) | u32::from(byte.wrapping_sub(b' ') & 0x3f)
        });
        bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
    bytes.resize(length, 0);
    out.extend_from_slice(&bytes);
}
