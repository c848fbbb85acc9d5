//! Words, strings and lists of a response, read as leniently as can be told apart.

use super::{Error, Limits};

/// A part of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A word: NIL, a number, a flag, `BODY[HEADER.FIELDS (TO)]`.
    Atom(Vec<u8>),
    /// A quoted string or literal.
    Text(Vec<u8>),
    /// A list in parentheses.
    List(Vec<Value>),
}

impl Value {
    /// The octets of a word or string; NIL and lists have none.
    pub(super) fn octets(&self) -> Option<&[u8]> {
        match self {
            Value::Atom(octets) if octets.eq_ignore_ascii_case(b"NIL") => None,
            Value::Atom(octets) | Value::Text(octets) => Some(octets),
            Value::List(_) => None,
        }
    }

    /// The octets as text; what is no UTF-8 is replaced.
    pub(super) fn text(&self) -> Option<String> {
        self.octets().map(|octets| String::from_utf8_lossy(octets).into_owned())
    }

    /// A number.
    pub(super) fn number(&self) -> Option<u64> {
        number(self.octets()?)
    }

    pub(super) fn list(&self) -> Option<&[Value]> {
        match self {
            Value::List(values) => Some(values),
            Value::Atom(_) | Value::Text(_) => None,
        }
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self, Value::Atom(octets) if octets.eq_ignore_ascii_case(word.as_bytes()))
    }
}

/// A number in digits.
pub(super) fn number(octets: &[u8]) -> Option<u64> {
    std::str::from_utf8(octets).ok().filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()))?.parse().ok()
}

/// All values of a response. An unclosed list or string ends with the response: what there is of it counts.
pub(super) fn values(text: &[u8], limits: &Limits) -> Result<Vec<Value>, Error> {
    let mut scan = Scan { text, at: 0, left: limits.values };
    // The lists that are open, the outermost first.
    let mut open: Vec<Vec<Value>> = vec![Vec::new()];
    while let Some(token) = scan.next()? {
        match token {
            Token::Open if open.len() > limits.depth => return Err(Error::Server("too many lists in lists")),
            Token::Open => open.push(Vec::new()),
            Token::Close => close(&mut open),
            Token::Value(value) => push(&mut open, value),
        }
    }
    while open.len() > 1 {
        close(&mut open);
    }
    Ok(open.pop().unwrap_or_default())
}

fn push(open: &mut [Vec<Value>], value: Value) {
    if let Some(innermost) = open.last_mut() {
        innermost.push(value);
    }
}

fn close(open: &mut Vec<Vec<Value>>) {
    // A parenthesis too many is passed over.
    if open.len() > 1
        && let Some(list) = open.pop()
    {
        push(open, Value::List(list));
    }
}

enum Token {
    Open,
    Close,
    Value(Value),
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    left: usize,
}

impl Scan<'_> {
    fn next(&mut self) -> Result<Option<Token>, Error> {
        while self.text.get(self.at).is_some_and(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        let Some(&octet) = self.text.get(self.at) else { return Ok(None) };
        self.left = self.left.checked_sub(1).ok_or(Error::Server("a response with too many words"))?;
        Ok(Some(match octet {
            b'(' => {
                self.at += 1;
                Token::Open
            }
            b')' => {
                self.at += 1;
                Token::Close
            }
            b'"' => Token::Value(Value::Text(self.quoted())),
            b'{' => Token::Value(self.literal()),
            b'~' if self.text.get(self.at + 1) == Some(&b'{') => {
                self.at += 1;
                Token::Value(self.literal())
            }
            _ => Token::Value(Value::Atom(self.atom())),
        }))
    }

    fn quoted(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        self.at += 1;
        while let Some(&octet) = self.text.get(self.at) {
            self.at += 1;
            match octet {
                b'"' => break,
                b'\\' => {
                    if let Some(&escaped) = self.text.get(self.at) {
                        text.push(escaped);
                        self.at += 1;
                    }
                }
                octet => text.push(octet),
            }
        }
        text
    }

    /// `{12}` CRLF and octets. What only begins like one is a word.
    fn literal(&mut self) -> Value {
        let rest = &self.text[self.at..];
        let end = memchr::memchr(b'\n', rest);
        let size = end.and_then(|end| literal_size(&rest[..end]));
        let (Some(end), Some((size, _))) = (end, size) else { return Value::Atom(self.atom()) };
        let begin = self.at + end + 1;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let stop = begin.saturating_add(size).min(self.text.len());
        self.at = stop;
        Value::Text(self.text[begin..stop].to_vec())
    }

    /// Up to a space or parenthesis; brackets hold both.
    fn atom(&mut self) -> Vec<u8> {
        let begin = self.at;
        let bracketed = [&b"BODY"[..], b"BINARY"]
            .iter()
            .any(|word| self.text[begin..].get(..word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word)));
        let mut inside = false;
        while let Some(&octet) = self.text.get(self.at) {
            match octet {
                b'[' if bracketed => inside = true,
                b']' if inside => inside = false,
                b'\r' | b'\n' => break,
                b' ' | b'(' | b')' if !inside => break,
                _ => {}
            }
            self.at += 1;
        }
        // Progress in any case.
        self.at = self.at.max(begin + 1);
        self.text[begin..self.at].to_vec()
    }
}

/// The size that a line ends with, and where its `{` (or `~{`) stands: `{12}`, `{12+}`, with or without CR.
pub(super) fn literal_size(line: &[u8]) -> Option<(u64, usize)> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let inner = line.strip_suffix(b"}")?;
    let inner = inner.strip_suffix(b"+").unwrap_or(inner);
    let brace = memchr::memrchr(b'{', inner)?;
    let digits = &inner[brace + 1..];
    let size = Some(digits).filter(|digits| !digits.is_empty()).and_then(number)?;
    let begin = brace.checked_sub(1).filter(|&at| line[at] == b'~').unwrap_or(brace);
    Some((size, begin))
}
