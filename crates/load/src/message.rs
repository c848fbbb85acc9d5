//! Messages of a wanted size, each different, as mail looks: some text, and beyond that a base64 attachment.
//!
//! The text is made of words, so that it can be compressed as mail can; the attachment is random octets. Making
//! a message is a copy: bodies are made once, only the header is new each time.

/// Different bodies; a server that recognises equal ones still sees different messages.
const BODIES: usize = 16;
/// At most so many octets are text, the rest is the attachment.
const TEXT: usize = 4096;
/// RFC 2045 §6.8: encoded lines have at most 76 characters.
const LINE: usize = 76;
/// Room that the header takes of the size, about.
const HEADER: usize = 230;
/// RFC 5322 dates of no day in particular: the date is the same for all messages.
const DATE: &str = "Sun, 22 Nov 2026 10:00:00 +0000";
const BOUNDARY: &str = "=_load-0123456789";
const WORDS: &[&str] = &[
    "the", "of", "and", "to", "meeting", "is", "that", "for", "we", "with", "as", "was", "report", "on", "are", "this",
    "you", "at", "from", "have", "an", "which", "please", "will", "were", "all", "budget", "there", "can", "more",
    "Thursday", "customer", "has", "when", "who", "invoice", "attached", "draft", "about", "would", "question",
    "regards", "schedule", "office", "tomorrow", "letter", "delivery", "answer", "project", "before", "number",
];

/// Makes the messages of one run.
#[derive(Debug)]
pub(crate) struct Maker {
    run: String,
    from: String,
    /// What stands there has its own author and date.
    given: bool,
    /// Content fields of the header, the empty line, the body, the final dot.
    bodies: Vec<Vec<u8>>,
}

impl Maker {
    /// Messages of about `size` octets each. `run` tells this run's subjects from those of others.
    pub(crate) fn new(run: &str, from: &str, size: usize) -> Maker {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ size as u64);
        let bodies = (0..BODIES).map(|_| body(&mut random, size.saturating_sub(HEADER))).collect();
        Maker { run: run.into(), from: from.into(), given: false, bodies }
    }

    /// Messages that are all this one; lines may end in LF or CRLF.
    pub(crate) fn of(run: &str, from: &str, message: &[u8]) -> Maker {
        let mut body = Vec::with_capacity(message.len() + 1024);
        for line in message.split_inclusive(|octet| *octet == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if text.starts_with(b".") {
                body.push(b'.');
            }
            body.extend_from_slice(text);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b".\r\n");
        Maker { run: run.into(), from: from.into(), given: true, bodies: vec![body] }
    }

    /// Writes message `number` as it goes over the wire, with the final dot.
    pub(crate) fn write(&self, number: u64, to: &str, out: &mut Vec<u8>) {
        let Maker { run, from, given, bodies } = self;
        let which = usize::try_from(number % bodies.len() as u64).unwrap_or(0);
        out.clear();
        let author = if *given { String::new() } else { format!("From: Load <{from}>\r\nDate: {DATE}\r\n") };
        let header =
            format!("{author}To: <{to}>\r\nSubject: {run} {number}\r\nMessage-ID: <{run}.{number}@elsewhere.test>\r\n");
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(&bodies[which]);
    }

    /// The number of a message of this run, from its subject.
    pub(crate) fn number(&self, subject: &str) -> Option<u64> {
        subject.strip_prefix(&self.run)?.strip_prefix(' ')?.parse().ok()
    }
}

fn body(random: &mut Random, size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 1024);
    let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
    put("MIME-Version: 1.0\r\n");
    if size <= TEXT {
        put("Content-Type: text/plain; charset=utf-8\r\n\r\n");
        text(random, size.saturating_sub(out.len()), &mut out);
    } else {
        put(&format!("Content-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\r\n\r\n"));
        put(&format!("--{BOUNDARY}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"));
        text(random, TEXT / 2, &mut out);
        let head = "Content-Type: application/octet-stream; name=\"report.bin\"\r\n\
                    Content-Disposition: attachment; filename=\"report.bin\"\r\n\
                    Content-Transfer-Encoding: base64\r\n\r\n";
        out.extend_from_slice(format!("\r\n--{BOUNDARY}\r\n{head}").as_bytes());
        let end = format!("--{BOUNDARY}--\r\n");
        attachment(random, size.saturating_sub(out.len() + end.len()), &mut out);
        out.extend_from_slice(end.as_bytes());
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// Lines of words, none of which begins with a dot.
fn text(random: &mut Random, size: usize, out: &mut Vec<u8>) {
    let end = out.len() + size;
    let mut column = 0;
    while out.len() + 2 < end {
        let word = WORDS[random.below(WORDS.len())];
        if column > 0 && column + word.len() >= LINE {
            out.extend_from_slice(b"\r\n");
            column = 0;
        } else if column > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word.as_bytes());
        column += word.len() + 1;
    }
    out.extend_from_slice(b"\r\n");
}

fn attachment(random: &mut Random, size: usize, out: &mut Vec<u8>) {
    use base64::Engine as _;
    let mut left = size;
    while left > 2 {
        let quanta = left.saturating_sub(2).min(LINE).div_ceil(4);
        let octets: Vec<u8> = (0..quanta * 3).map(|_| random.octet()).collect();
        out.extend_from_slice(base64::engine::general_purpose::STANDARD.encode(octets).as_bytes());
        out.extend_from_slice(b"\r\n");
        left = left.saturating_sub(quanta * 4 + 2);
    }
}

/// A generator of octets that is the same in every run (xorshift64*): runs are compared with each other.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn octet(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_message_stays_as_it_is() {
        let maker = Maker::of("run-7", "a@b", b"DKIM-Signature: x\nFrom: c@d\n\n.dot\r\nend");
        let mut out = Vec::new();
        maker.write(3, "u@example.test", &mut out);
        let text = String::from_utf8(out).expect("ASCII");
        let expect = "To: <u@example.test>\r\nSubject: run-7 3\r\nMessage-ID: <run-7.3@elsewhere.test>\r\n\
                      DKIM-Signature: x\r\nFrom: c@d\r\n\r\n..dot\r\nend\r\n.\r\n";
        assert_eq!(text, expect);
    }

    #[test]
    fn messages_have_their_size_and_no_line_that_begins_with_a_dot() {
        for size in [1_000, 4_000, 10_000, 100_000] {
            let maker = Maker::new("run-7", "sender@elsewhere.test", size);
            let mut out = Vec::new();
            for number in 0..20 {
                maker.write(number, "u0001@example.test", &mut out);
                let off = out.len().abs_diff(size);
                assert!(off < 100, "{size}: {} octets", out.len());
                let text = out.strip_suffix(b"\r\n.\r\n").expect("it ends with the final dot");
                let text = std::str::from_utf8(text).expect("ASCII");
                for line in text.split("\r\n") {
                    assert!(!line.starts_with('.') && line.len() <= 78 && !line.contains(['\r', '\n']), "{line:?}");
                }
            }
        }
    }

    #[test]
    fn messages_differ_and_are_known_again() {
        let maker = Maker::new("run-7", "a@b", 1000);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        maker.write(3, "c@d", &mut one);
        maker.write(3 + BODIES as u64, "c@d", &mut other);
        assert_ne!(one, other);
        assert_eq!(maker.number("run-7 19"), Some(19));
        assert_eq!(maker.number("run-71 19"), None);
        assert_eq!(maker.number("run-7 x"), None);
    }
}
