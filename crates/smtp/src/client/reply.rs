//! Replies of the remote, read from its octets (RFC 5321 §4.2, RFC 2034, RFC 3463).
//!
//! Tolerated: lines that end with LF alone, lines without text or without the blank, empty lines, lines of a reply without
//! a code, other codes in the lines of one reply, text that is not UTF-8. Bounded: a line, the octets and the lines of a
//! reply, and what is kept of them. Invariant: what comes out does not depend on how the input was cut.

use memchr::memchr;

use crate::{Enhanced, Reply};

/// What came from the remote and was not yet understood.
#[derive(Debug, Default)]
pub(super) struct Replies {
    bytes: Vec<u8>,
    start: usize,
    /// How far from `start` no LF stands.
    scanned: usize,
    open: Option<Open>,
    /// More came than any remote has to say.
    flooded: bool,
}

/// The remote said something that is no reply: a printable extract.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbled(pub(super) String);

/// A reply of which some lines have come.
#[derive(Debug)]
struct Open {
    code: u16,
    lines: Vec<String>,
    /// Lines and octets so far, kept or not.
    seen: usize,
    octets: usize,
    /// Octets of the lines that are kept.
    kept: usize,
}

/// A line taken apart.
struct Parts {
    code: u16,
    more: bool,
    text: String,
}

impl Replies {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.flooded |= self.bytes.len() + bytes.len() > INPUT_LIMIT;
        if !self.flooded {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Replies::default();
    }

    /// Whether nothing at all is there.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none() && self.bytes[self.start..].is_empty()
    }

    /// Whether anything came that was not yet taken as a reply. White space is nothing.
    pub(super) fn pending(&self) -> bool {
        self.flooded || self.open.is_some() || self.bytes[self.start..].iter().any(|byte| !byte.is_ascii_whitespace())
    }

    /// The next whole reply.
    pub(super) fn next(&mut self) -> Result<Option<Reply>, Garbled> {
        if self.flooded {
            return Err(Garbled("more than it has been asked for".to_owned()));
        }
        while let Some(line) = self.line()? {
            if let Some(reply) = self.take(&line)? {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    /// The next line without its line end.
    fn line(&mut self) -> Result<Option<Vec<u8>>, Garbled> {
        let from = self.start + self.scanned;
        let Some(found) = memchr(b'\n', &self.bytes[from..]) else {
            self.scanned = self.bytes.len() - self.start;
            if self.scanned > LINE_LIMIT {
                return Err(Garbled(printable(&self.bytes[self.start..], EXTRACT_LIMIT)));
            }
            if self.scanned == 0 {
                // An idle connection holds no memory.
                (self.bytes, self.start) = (Vec::new(), 0);
            }
            return Ok(None);
        };
        let mut line = &self.bytes[self.start..from + found];
        if line.len() > LINE_LIMIT {
            return Err(Garbled(printable(line, EXTRACT_LIMIT)));
        }
        while let Some(shorter) = line.strip_suffix(b"\r") {
            line = shorter;
        }
        let line = line.to_vec();
        self.start = from + found + 1;
        self.scanned = 0;
        Ok(Some(line))
    }

    /// Takes a line; a reply when it is its last.
    fn take(&mut self, line: &[u8]) -> Result<Option<Reply>, Garbled> {
        if line.trim_ascii().is_empty() {
            // A server was seen that puts empty lines between those of a reply. It counts, so that they end.
            return self.count(0).map(|()| None);
        }
        self.count(line.len())?;
        let Some(parts) = parts(line) else {
            // Inside a reply, a line without a code is one more line of its text.
            let Some(open) = &mut self.open else { return Err(Garbled(printable(line, EXTRACT_LIMIT))) };
            open.keep(printable(line, TEXT_LIMIT));
            return Ok(None);
        };
        let mut open = self.open.take().unwrap_or_else(|| Open::new(parts.code));
        open.code = worse(open.code, parts.code);
        open.keep(parts.text);
        if parts.more {
            self.open = Some(open);
            return Ok(None);
        }
        Ok(Some(open.finish()))
    }

    /// Counts a line of the reply under way.
    fn count(&mut self, octets: usize) -> Result<(), Garbled> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.seen += 1;
        open.octets += octets;
        match open.seen > SEEN_LIMIT || open.octets > REPLY_LIMIT {
            true => Err(Garbled(format!("{} and no end of lines", open.code))),
            false => Ok(()),
        }
    }
}

impl Open {
    fn new(code: u16) -> Open {
        Open { code, lines: Vec::new(), seen: 0, octets: 0, kept: 0 }
    }

    fn keep(&mut self, text: String) {
        if self.lines.len() < KEPT_LIMIT && self.kept + text.len() <= KEPT_TEXT_LIMIT {
            self.kept += text.len();
            self.lines.push(text);
        }
    }

    fn finish(mut self) -> Reply {
        let class = u8::try_from(self.code / 100).unwrap_or(5);
        let mut enhanced = None;
        if matches!(class, 2 | 4 | 5) {
            // RFC 2034 §4: the code stands in each line.
            for line in &mut self.lines {
                if let Some((code, rest)) = leading(line) {
                    enhanced.get_or_insert(code);
                    *line = rest.to_owned();
                }
            }
            enhanced = enhanced.or_else(|| self.lines.last().and_then(|line| trailing(line)));
        }
        // RFC 3463 §2: the class repeats the first digit; where it does not, the digit is what counts.
        let enhanced = enhanced.map(|Enhanced(_, subject, detail)| Enhanced(class, subject, detail));
        Reply::heard(self.code, enhanced, self.lines)
    }
}

/// RFC 5321 §4.2.1: the code is the same in all lines. Where it is not (`220-…` followed by `521 …` was seen), the worst
/// news count: nothing is believed to be accepted, and nothing given up, that another line denies.
fn worse(one: u16, other: u16) -> u16 {
    let rank = |code: u16| match code / 100 {
        4 => 3,
        5 => 2,
        3 => 1,
        _ => 0,
    };
    if rank(one) > rank(other) { one } else { other }
}

/// `Reply-code [ "-" / SP ] [ textstring ]`. Other separators were seen (`550; …`); they are taken as blanks.
fn parts(line: &[u8]) -> Option<Parts> {
    let (digits, rest) = line.split_at_checked(3)?;
    let [class @ b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] = digits else { return None };
    if rest.first().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let number = |digit: u8| u16::from(digit - b'0');
    let code = number(*class) * 100 + number(digits[1]) * 10 + number(digits[2]);
    let text = printable(rest.get(1..).unwrap_or_default(), TEXT_LIMIT);
    Some(Parts { code, more: rest.first() == Some(&b'-'), text: text.trim().to_owned() })
}

/// An enhanced code at the front of a text, and what follows it. `#5.1.0` is written by some appliances.
fn leading(text: &str) -> Option<(Enhanced, &str)> {
    let (code, rest) = enhanced(text.strip_prefix('#').unwrap_or(text))?;
    match rest.chars().next() {
        None => Some((code, rest)),
        Some(c) if c.is_whitespace() || matches!(c, ':' | ';' | ',') => {
            Some((code, rest.trim_start_matches([':', ';', ',']).trim_start()))
        }
        // Part of something else, such as an IP address.
        Some(_) => None,
    }
}

/// `… (#5.1.1)` at the end of a text, as qmail writes.
fn trailing(text: &str) -> Option<Enhanced> {
    let (_, code) = text.strip_suffix(')')?.rsplit_once("(#")?;
    enhanced(code).filter(|(_, rest)| rest.is_empty()).map(|(code, _)| code)
}

/// `status-code = class "." subject "." detail` (RFC 3463 §2), off the front of a text.
fn enhanced(text: &str) -> Option<(Enhanced, &str)> {
    let (class, rest) = number(text)?;
    let (subject, rest) = number(rest.strip_prefix('.')?)?;
    let (detail, rest) = number(rest.strip_prefix('.')?)?;
    let class = u8::try_from(class).ok().filter(|class| matches!(class, 2 | 4 | 5))?;
    Some((Enhanced(class, subject, detail), rest))
}

/// `1*3digit`
fn number(text: &str) -> Option<(u16, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.len() <= 3).then(|| digits.parse().ok()).flatten().map(|value| (value, rest))
}

/// Text as it may stand in logs and notices: what is no UTF-8, a control or a line end by Unicode's word becomes `?`;
/// cut at a limit of octets.
pub(super) fn printable(bytes: &[u8], limit: usize) -> String {
    let cut = &bytes[..bytes.len().min(limit)];
    let text: String = String::from_utf8_lossy(cut)
        .chars()
        .map(|c| match c {
            '\t' => ' ',
            '\u{FFFD}' | '\u{2028}' | '\u{2029}' => '?',
            c if c.is_control() || is_direction(c) => '?',
            c => c,
        })
        .collect();
    text
}

/// Marks that turn the direction of text around, and with it the meaning of a log line.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Octets of a line. RFC 5321 §4.5.3.1.5 allows 512; a longer one is read, one without an end is not.
const LINE_LIMIT: usize = 16 * 1024;
/// Octets kept of a line's text.
const TEXT_LIMIT: usize = 1_000;
/// Octets of a reply.
const REPLY_LIMIT: usize = 64 * 1024;
/// Lines of a reply.
const SEEN_LIMIT: usize = 500;
/// Lines kept of a reply. No server offers nearly as many extensions.
const KEPT_LIMIT: usize = 100;
/// Octets kept of a reply: it is kept once for each recipient of a message.
const KEPT_TEXT_LIMIT: usize = 4 * 1024;
/// Octets between two steps. The replies to all commands that are under way are much less.
const INPUT_LIMIT: usize = 256 * 1024;
/// Octets kept of what is no reply.
const EXTRACT_LIMIT: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], cut: usize) -> (Vec<String>, Option<Garbled>) {
        let mut replies = Replies::default();
        let mut heard = Vec::new();
        for piece in bytes.chunks(cut) {
            replies.push(piece);
            loop {
                match replies.next() {
                    Ok(Some(reply)) => heard.push(format!("{:?} {reply}", reply.enhanced())),
                    Ok(None) => break,
                    Err(garbled) => return (heard, Some(garbled)),
                }
            }
        }
        (heard, None)
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        let mut replies = Replies::default();
        replies.push(bytes);
        std::iter::from_fn(|| replies.next().expect("replies")).map(|reply| reply.to_string()).collect()
    }

    #[test]
    fn codes_are_recognised_as_they_are_written() {
        let table: [(&[u8], &str); 22] = [
            (b"250 2.1.5 ok\r\n", "250 2.1.5 ok"),
            (b"250 ok\n", "250 ok"),
            (b"250\r\n", "250 "),
            (b"250 \r\n", "250 "),
            (b"250-\r\n250\r\n", "250  / "),
            (b"250-2.0.0 a\r\n250-2.0.0 b\r\n250 2.0.0 c\r\n", "250 2.0.0 a / b / c"),
            (b"550 5.7.1\r\n", "550 5.7.1 "),
            (b"550 5.7.1: no\r\n", "550 5.7.1 no"),
            (b"550 #5.1.0 no\r\n", "550 5.1.0 no"),
            (b"550 no (#5.1.1)\r\n", "550 5.1.1 no (#5.1.1)"),
            (b"550 192.0.2.1 is bad\r\n", "550 192.0.2.1 is bad"),
            (b"550 5.1.1.2 is bad\r\n", "550 5.1.1.2 is bad"),
            (b"550 5.1.1234 no\r\n", "550 5.1.1234 no"),
            (b"550 3.1.1 no\r\n", "550 3.1.1 no"),
            // The first digit counts.
            (b"550 4.2.1 no\r\n", "550 5.2.1 no"),
            (b"450 5.7.1 no\r\n", "450 4.7.1 no"),
            // The worst news count.
            (b"250-a\r\n450 b\r\n", "450 a / b"),
            (b"550-a\r\n250 b\r\n", "550 a / b"),
            (b"550-a\r\n450-b\r\n250 c\r\n", "450 a / b / c"),
            (b"354-a\r\n250 b\r\n", "354 a / b"),
            // RFC 2034 §4: no enhanced code in 3xx.
            (b"354 2.0.0 go\r\n", "354 2.0.0 go"),
            ("550 a\u{202E}b\u{7f}\tc\r\n".as_bytes(), "550 a?b? c"),
        ];
        for (bytes, expected) in table {
            assert_eq!(texts(bytes), [expected], "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_reply_is_shown_in_part() {
        let tables: [(&[u8], &str); 6] = [
            (b"HTTP/1.1 400 Bad Request\r\n", "HTTP/1.1 400 Bad Request"),
            (b"150 no\r\n", "150 no"),
            (b"600 no\r\n", "600 no"),
            (b"25 no\r\n", "25 no"),
            (b"2500 no\r\n", "2500 no"),
            (b"\xff\x00\x1b\r\n", "???"),
        ];
        for (bytes, expected) in tables {
            assert_eq!(read(bytes, 100), (vec![], Some(Garbled(expected.to_owned()))));
        }
    }

    #[test]
    fn replies_are_bounded() {
        let long = [b"250 ".to_vec(), vec![b'x'; LINE_LIMIT], b"\r\n".to_vec()].concat();
        let endless = vec![b'2'; LINE_LIMIT + 1];
        let many = b"250-x\r\n".repeat(SEEN_LIMIT + 2);
        let empty = [b"250-x\r\n".to_vec(), b"\r\n".repeat(SEEN_LIMIT + 2)].concat();
        let large = [b"250-".to_vec(), vec![b'x'; 1_000], b"\r\n".to_vec()].concat().repeat(70);
        for bytes in [long, endless, many, empty, large] {
            for cut in [1, 1_000, usize::MAX] {
                let (heard, garbled) = read(&bytes, cut);
                assert!(heard.is_empty() && garbled.is_some_and(|garbled| garbled.0.len() <= EXTRACT_LIMIT));
            }
        }
        // A long line is kept in part, as are many lines.
        let fits = [b"250 ".to_vec(), vec![b'x'; LINE_LIMIT - 10], b"\r\n".to_vec()].concat();
        assert_eq!(texts(&fits)[0].len(), "250 ".len() + TEXT_LIMIT);
        let fits = [b"250-x\r\n".repeat(SEEN_LIMIT - 1), b"250 y\r\n".to_vec()].concat();
        assert_eq!(texts(&fits)[0].matches('x').count(), KEPT_LIMIT);
        let fits =
            [[b"250-".to_vec(), vec![b'x'; 900], b"\r\n".to_vec()].concat().repeat(20), b"250\r\n".to_vec()].concat();
        assert_eq!(texts(&fits)[0].matches('x').count(), KEPT_TEXT_LIMIT / 900 * 900);
        let mut replies = Replies::default();
        (0..1_000_000).for_each(|_| replies.push(b"250 ok\r\n"));
        assert!(replies.bytes.len() <= INPUT_LIMIT && replies.next().is_err());
    }

    #[test]
    fn fuzz_replies_do_not_depend_on_the_cut() {
        let scraps: [&[u8]; 12] =
            [b"250 ", b"250-", b"\r\n", b"\n", b"\r", b"5.1.1 ", b"550", b"421 ", b"text", b"\xe2\x80\xae", b"#", b" "];
        postroad_fuzz::check!(2000).with_type::<(u8, Vec<(u8, Vec<u8>)>)>().for_each(|(cut, words)| {
            let mut bytes = Vec::new();
            for (word, noise) in words {
                bytes.extend_from_slice(scraps.get(usize::from(*word) % 14).unwrap_or(&noise.as_slice()));
            }
            let whole = read(&bytes, usize::MAX);
            assert_eq!(read(&bytes, usize::from(*cut).max(1)), whole);
            assert!(whole.0.iter().all(|text| !text.chars().any(char::is_control)));
        });
    }
}
