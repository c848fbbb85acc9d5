//! The preview (RFC 8970): the start of the visible text, from text/plain, else from text/html.

use crate::Part;
use crate::decode::{Encoding, body, html_of, html_to_text_limited};

/// Octets of a text/plain part that are looked at.
const PLAIN_MAX: usize = 16 << 10;
/// Octets of a text/html part that are looked at: styles come first, and are long.
const HTML_MAX: usize = 128 << 10;

#[derive(Debug, Default)]
pub(super) struct Preview {
    plain: Option<Piece>,
    html: Option<Piece>,
    collecting: Collecting,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Collecting {
    #[default]
    Nothing,
    Plain,
    Html,
}

#[derive(Debug)]
struct Piece {
    encoding: Encoding,
    charset: Option<String>,
    octets: Vec<u8>,
}

impl Preview {
    /// The body of a visible leaf starts.
    pub(super) fn begin(&mut self, part: &Part) {
        self.collecting = Collecting::Nothing;
        let piece = || Piece { encoding: part.encoding.clone(), charset: part.charset(), octets: Vec::new() };
        if part.is("text", "plain") && self.plain.is_none() {
            self.plain = Some(piece());
            self.collecting = Collecting::Plain;
        } else if part.is("text", "html") && self.html.is_none() && self.plain.as_ref().is_none_or(Piece::is_thin) {
            self.html = Some(piece());
            self.collecting = Collecting::Html;
        }
    }

    /// Octets of the body.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let (piece, limit) = match self.collecting {
            Collecting::Nothing => return,
            Collecting::Plain => (&mut self.plain, PLAIN_MAX),
            Collecting::Html => (&mut self.html, HTML_MAX),
        };
        if let Some(piece) = piece {
            let room = limit.saturating_sub(piece.octets.len());
            piece.octets.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if bytes.len() >= room {
                self.collecting = Collecting::Nothing;
            }
        }
    }

    /// The body ends.
    pub(super) fn end(&mut self) {
        self.collecting = Collecting::Nothing;
        if self.plain.as_ref().is_some_and(|p| p.octets.trim_ascii().is_empty()) {
            self.plain = None;
        }
    }

    pub(super) fn finish(self, characters: usize) -> String {
        let plain = self.plain.map(|piece| plain_preview(&piece.text(), characters)).unwrap_or_default();
        match self.html {
            // Some senders write a plain part that says "your client cannot show HTML", or nothing but white space.
            Some(html) if plain.is_empty() => {
                let source = html_of(&html.encoding, html.charset.as_deref(), &html.octets);
                let text = html_to_text_limited(&source, characters.saturating_mul(8));
                collapse(&text, characters)
            }
            Some(_) | None => plain,
        }
    }
}

impl Piece {
    fn text(&self) -> String {
        body(&self.encoding, self.charset.as_deref(), &self.octets)
    }

    /// So short that it may turn out to hold no text at all.
    fn is_thin(&self) -> bool {
        self.octets.len() < 256
    }
}

/// The text without what it quotes, if anything else is there.
fn plain_preview(text: &str, characters: usize) -> String {
    let own = text.lines().filter(|line| !line.starts_with('>'));
    let (mut piece, mut count) = (String::new(), 0);
    for line in own {
        if count > characters.saturating_mul(2) {
            break;
        }
        piece.push_str(line);
        piece.push(' ');
        count += line.chars().count() + 1;
    }
    let preview = collapse(&piece, characters);
    if preview.is_empty() { collapse(text, characters) } else { preview }
}

/// White space to one space, invisible characters (which senders use to keep the preview empty) removed.
fn collapse(text: &str, characters: usize) -> String {
    let mut out = String::with_capacity(text.len().min(characters));
    let mut count = 0;
    let mut space = false;
    for c in text.chars() {
        // Most are of these.
        if !matches!(c, '!'..='~') {
            if c.is_whitespace() || c.is_control() {
                space = true;
                continue;
            }
            if is_invisible(c) {
                continue;
            }
        }
        if std::mem::take(&mut space) && count > 0 {
            if count + 1 >= characters {
                break;
            }
            out.push(' ');
            count += 1;
        }
        if count >= characters {
            break;
        }
        out.push(c);
        count += 1;
    }
    out
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}
