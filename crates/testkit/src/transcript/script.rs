//! The grammar of transcripts: lines into items.

/// One item of a transcript, with the lines it was written in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// As written, without the last line end.
    pub(super) source: String,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A comment or an empty line.
    Aside,
    Client {
        session: u32,
        what: Send,
    },
    Server {
        session: u32,
        how: Expect,
        pattern: String,
    },
    Directive {
        name: String,
        words: Vec<String>,
        block: Option<String>,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Send {
    /// Holes are filled, CRLF is added.
    Line(String),
    /// Escapes are replaced, nothing is added.
    Exact(Vec<u8>),
    /// Sent as it is.
    Block(String),
    /// The name of a block.
    Named(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    Next,
    AnyOrder,
    Skip,
}

/// Reads a transcript. The error names the line.
pub(super) fn parse(text: &str) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut source = line.to_owned();
        let mut block = None;
        if let Some(end) = block_end(line) {
            let mut inside = String::new();
            loop {
                let (_, line) = lines.next().ok_or_else(|| format!("line {}: the block has no {end:?}", number + 1))?;
                source.push('\n');
                source.push_str(line);
                if line == end {
                    break;
                }
                inside.push_str(line);
                inside.push_str("\r\n");
            }
            block = Some(inside);
        }
        let kind = kind(line, block).map_err(|why| format!("line {}: {why}", number + 1))?;
        items.push(Item { source, kind });
    }
    Ok(items)
}

/// Only `C<<END` and `@directive .. <<END` open a block; an answer may well hold `<<`.
fn block_end(line: &str) -> Option<&str> {
    let (before, end) = line.rsplit_once("<<")?;
    let opens = before.starts_with('@')
        || before.strip_prefix('C').is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()));
    let is_word = !end.is_empty() && end.bytes().all(|b| b.is_ascii_alphanumeric());
    (opens && is_word).then_some(end)
}

fn kind(line: &str, block: Option<String>) -> Result<Kind, String> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(Kind::Aside);
    }
    if let Some(rest) = line.strip_prefix('@') {
        let rest = if block.is_some() { rest.rsplit_once("<<").map_or(rest, |(rest, _)| rest) } else { rest };
        let mut words = rest.split_whitespace().map(str::to_owned);
        let name = words.next().ok_or("a directive has a name")?;
        return Ok(Kind::Directive { name, words: words.collect(), block });
    }
    let side = match line.as_bytes().first() {
        Some(b'C') => 'C',
        Some(b'S') => 'S',
        _ => return Err(unknown()),
    };
    let digits = line[1..].bytes().take_while(u8::is_ascii_digit).count();
    let session = match &line[1..1 + digits] {
        "" => 1,
        number => number.parse().map_err(|_| "the session's number is too large")?,
    };
    let rest = &line[1 + digits..];
    if let ('C', Some(block)) = (side, block) {
        return Ok(Kind::Client { session, what: Send::Block(block) });
    }
    let (mark, text) = rest.split_once(':').ok_or_else(unknown)?;
    let text = text.strip_prefix(' ').unwrap_or(text);
    let server = |how| Kind::Server { session, how, pattern: text.to_owned() };
    let client = |what| Kind::Client { session, what };
    match (side, mark) {
        ('C', "") => Ok(client(Send::Line(text.to_owned()))),
        ('C', "!") => Ok(client(Send::Exact(unescape(text)?))),
        ('C', "=") => Ok(client(Send::Named(text.trim().to_owned()))),
        ('S', "") => Ok(server(Expect::Next)),
        ('S', "~") => Ok(server(Expect::AnyOrder)),
        ('S', "*") => Ok(server(Expect::Skip)),
        _ => Err(unknown()),
    }
}

fn unknown() -> String {
    "a line begins with C:, S:, @ or #".to_owned()
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let escape = after.chars().next().ok_or("a backslash at the end of the line")?;
        let mut used = escape.len_utf8();
        bytes.push(match escape {
            'r' => b'\r',
            'n' => b'\n',
            't' => b'\t',
            '0' => 0,
            '\\' => b'\\',
            'x' => {
                used = 3;
                after
                    .get(1..3)
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
                    .ok_or("\\x needs two hexadecimal digits")?
            }
            other => return Err(format!("\\{other} is no escape")),
        });
        rest = &after[used..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_items() {
        let items = parse("# aside\nC2: NOOP\nC!: a\\x00\\r\\n\nC<<EOF\nC: no\n.\nEOF\nS*: 250 <<x\n@deliver alice <<END\nhello\nEND\n")
            .expect("a good transcript");
        let kinds: Vec<_> = items.iter().map(|item| &item.kind).collect();
        assert_eq!(
            kinds,
            [
                &Kind::Aside,
                &Kind::Client { session: 2, what: Send::Line("NOOP".into()) },
                &Kind::Client { session: 1, what: Send::Exact(b"a\0\r\n".to_vec()) },
                &Kind::Client { session: 1, what: Send::Block("C: no\r\n.\r\n".into()) },
                &Kind::Server { session: 1, how: Expect::Skip, pattern: "250 <<x".into() },
                &Kind::Directive {
                    name: "deliver".into(),
                    words: vec!["alice".into()],
                    block: Some("hello\r\n".into())
                },
            ]
        );
        let written: Vec<_> = items.iter().map(|item| item.source.as_str()).collect();
        assert_eq!(written[3], "C<<EOF\nC: no\n.\nEOF");
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, expect) in [
            ("\nhello", "line 2: a line begins with C:, S:, @ or #"),
            ("C<<EOF\n", "line 1: the block has no \"EOF\""),
            ("C!: \\q", "line 1: \\q is no escape"),
            ("é: x", "line 1: a line begins with C:, S:, @ or #"),
        ] {
            assert_eq!(parse(text).expect_err(text), expect);
        }
    }
}
