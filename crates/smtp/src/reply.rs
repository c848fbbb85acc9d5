//! A reply: code, enhanced status code, text (RFC 5321 §4.2, RFC 2034, RFC 3463).

use std::fmt;

/// `class.subject.detail` (RFC 3463 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enhanced(pub u8, pub u16, pub u16);

impl From<(u8, u16, u16)> for Enhanced {
    fn from((class, subject, detail): (u8, u16, u16)) -> Self {
        Enhanced(class, subject, detail)
    }
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A reply to a command. Its text cannot break out of the reply: line ends make lines of it, other
/// control characters become `?`, and long lines are folded into several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<Enhanced>,
    lines: Vec<String>,
}

impl Reply {
    /// A reply with an enhanced code, whose class is corrected to the code's when they differ
    /// (RFC 3463 §2). The text may have several lines, separated by LF.
    pub fn new(code: u16, enhanced: impl Into<Enhanced>, text: impl AsRef<str>) -> Reply {
        let Enhanced(_, subject, detail) = enhanced.into();
        let class = u8::try_from(code / 100).unwrap_or(5);
        let mut reply = Reply::plain(code, text);
        reply.enhanced = matches!(class, 2 | 4 | 5).then_some(Enhanced(class, subject, detail));
        reply
    }

    /// A reply without an enhanced code: greeting, EHLO and 3xx (RFC 2034 §4).
    ///
    /// # Panics
    /// When the code is not between 200 and 599.
    pub fn plain(code: u16, text: impl AsRef<str>) -> Reply {
        assert!((200..600).contains(&code), "reply codes are 2xx to 5xx");
        let mut lines = Vec::new();
        for line in text.as_ref().lines() {
            fold(line, &mut lines);
        }
        if lines.is_empty() {
            lines.push(String::new());
        }
        lines.truncate(LINES_LIMIT);
        Reply { code, enhanced: None, lines }
    }

    /// `334` with a SASL challenge in base64, which must stay one line however long it is
    /// (RFC 4954 §4).
    pub fn challenge(base64: String) -> Reply {
        Reply { code: 334, enhanced: None, lines: vec![base64] }
    }

    /// A reply of a remote, read and bounded by the client session. Its lines are printable.
    pub(crate) fn heard(code: u16, enhanced: Option<Enhanced>, mut lines: Vec<String>) -> Reply {
        if lines.is_empty() {
            lines.push(String::new());
        }
        Reply { code, enhanced, lines }
    }

    /// The three-digit code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced code, where the reply has one.
    pub fn enhanced(&self) -> Option<Enhanced> {
        self.enhanced
    }

    /// The text, one entry per line, without codes.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// 2xx.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 4xx: the client tries again later.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5xx: the client gives up.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Writes the wire form. Every line has the enhanced code (RFC 2034 §4).
    pub fn write(&self, out: &mut Vec<u8>) {
        let last = self.lines.len() - 1;
        for (number, line) in self.lines.iter().enumerate() {
            let mark = if number == last { ' ' } else { '-' };
            let head = match self.enhanced {
                Some(enhanced) => format!("{}{mark}{enhanced} ", self.code),
                None => format!("{}{mark}", self.code),
            };
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// The text for logs: `550 5.1.1 No such user here`, lines joined by ` / `.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.enhanced {
            Some(enhanced) => write!(f, "{} {enhanced} {}", self.code, self.lines.join(" / ")),
            None => write!(f, "{} {}", self.code, self.lines.join(" / ")),
        }
    }
}

/// Cuts a line into pieces that fit, at blanks where there are some, and removes controls.
fn fold(line: &str, lines: &mut Vec<String>) {
    let mut current = String::new();
    for word in line.split_inclusive(' ') {
        if !current.is_empty() && current.len() + word.len() > TEXT_LIMIT {
            lines.push(current.trim_end().to_owned());
            current.clear();
        }
        for c in word.chars() {
            if current.len() + c.len_utf8() > TEXT_LIMIT {
                lines.push(std::mem::take(&mut current));
            }
            current.push(if c.is_control() && c != '\t' { '?' } else { c });
        }
    }
    lines.push(current);
}

/// RFC 5321 §4.5.3.1.5: a reply line is at most 512 octets with code and CRLF; this leaves room for
/// `550-5.999.999 ` and the CRLF.
const TEXT_LIMIT: usize = 494;
/// RFC 5321 §4.2 sets no limit; some clients have small buffers.
const LINES_LIMIT: usize = 32;
