//! HTML to visible text, for previews and search: a tokenizer, no tree, one pass, linear. It makes nothing safe to display.

/// Elements whose content is not visible.
const HIDDEN: &[&str] = &["script", "style", "title", "template", "noscript", "svg", "math", "object", "select"];

/// Elements that begin and end on lines of their own.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "br",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "html",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tbody",
    "thead",
    "tr",
    "ul",
];

/// Octets of the longest entity name looked at.
const ENTITY_MAX: usize = 10;

/// The visible text of HTML: no tags, no scripts or styles, entities decoded, blocks on lines of their own.
pub fn html_to_text(html: &str) -> String {
    html_to_text_limited(html, usize::MAX)
}

/// [`html_to_text`] that stops after about `limit` octets of text.
pub fn html_to_text_limited(html: &str, limit: usize) -> String {
    let mut out = Text::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.characters(&rest[..at]);
        if out.text.len() >= limit {
            return out.text;
        }
        rest = &rest[at..];
        match markup(rest) {
            Some(Markup { length, name, closing }) => {
                let after = &rest[length..];
                out.element(&name);
                let hidden = !closing && HIDDEN.contains(&name.as_str());
                rest = if hidden { skip_hidden(after, &name) } else { after };
            }
            None => {
                out.characters("<");
                rest = &rest[1..];
            }
        }
    }
    out.characters(rest);
    out.text.truncate(out.text.trim_end().len());
    out.text
}

struct Markup {
    length: usize,
    name: String,
    closing: bool,
}

/// What begins with this `<`; `None` if it is a mere character. Unclosed markup takes all the rest.
fn markup(rest: &str) -> Option<Markup> {
    let bytes = rest.as_bytes();
    let nameless = |length| Some(Markup { length, name: String::new(), closing: false });
    if let Some(comment) = rest.strip_prefix("<!--") {
        return nameless(comment.find("-->").map_or(rest.len(), |end| 4 + end + 3));
    }
    let closing = bytes.get(1) == Some(&b'/');
    let start = if closing { 2 } else { 1 };
    match bytes.get(start)? {
        b'!' | b'?' => return nameless(rest.find('>').map_or(rest.len(), |end| end + 1)),
        first if !first.is_ascii_alphabetic() => return None,
        _ => {}
    }
    let name_length = bytes[start..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    let name = rest[start..start + name_length.min(16)].to_ascii_lowercase();
    Some(Markup { length: tag_length(bytes, start + name_length), name, closing })
}

/// To the `>` that ends the tag, attribute values in quotes skipped.
fn tag_length(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    let mut value_follows = false;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'>' => return at,
            b'"' | b'\'' if value_follows => {
                at = memchr::memchr(byte, &bytes[at..]).map_or(bytes.len(), |end| at + end + 1);
            }
            _ => {}
        }
        value_follows = byte == b'=' || (value_follows && byte.is_ascii_whitespace());
    }
    bytes.len()
}

/// To the closing tag of an element whose content is not shown.
fn skip_hidden<'a>(rest: &'a str, name: &str) -> &'a str {
    let bytes = rest.as_bytes();
    for at in memchr::memmem::find_iter(bytes, b"</") {
        let candidate = bytes.get(at + 2..at + 2 + name.len());
        if candidate.is_some_and(|c| c.eq_ignore_ascii_case(name.as_bytes())) {
            return &rest[at..];
        }
    }
    ""
}

#[derive(Default)]
struct Text {
    text: String,
    /// White space was seen that is written only if something follows on the line.
    space: bool,
}

impl Text {
    fn element(&mut self, name: &str) {
        if BLOCKS.contains(&name) {
            self.space = false;
            if !self.text.is_empty() && !self.text.ends_with('\n') {
                self.text.push('\n');
            }
        } else if matches!(name, "td" | "th" | "option") {
            self.space = true;
        }
    }

    fn characters(&mut self, mut piece: &str) {
        while let Some(at) = piece.find('&') {
            self.literal(&piece[..at]);
            piece = &piece[at + 1..];
            match entity(piece) {
                Some((character, length)) => {
                    self.character(character);
                    piece = &piece[length..];
                }
                None => self.character('&'),
            }
        }
        self.literal(piece);
    }

    fn literal(&mut self, mut piece: &str) {
        while let Some(c) = piece.chars().next() {
            // A word goes at once.
            let word = piece.bytes().take_while(|byte| matches!(byte, b'!'..=b'~')).count();
            match word {
                0 => self.character(c),
                _ => self.word(&piece[..word]),
            }
            piece = &piece[word.max(c.len_utf8())..];
        }
    }

    /// Without white space.
    fn word(&mut self, word: &str) {
        if std::mem::take(&mut self.space) && !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push(' ');
        }
        self.text.push_str(word);
    }

    fn character(&mut self, c: char) {
        match c.is_whitespace() {
            true => self.space = true,
            false => self.word(c.encode_utf8(&mut [0; 4])),
        }
    }
}

/// The character that an entity stands for and the octets it takes after the `&`.
fn entity(text: &str) -> Option<(char, usize)> {
    let bytes = &text.as_bytes()[..text.len().min(ENTITY_MAX)];
    if bytes.first() == Some(&b'#') {
        return numeric(bytes);
    }
    let length = bytes.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    let name = &text[..length];
    let ended = usize::from(bytes.get(length) == Some(&b';'));
    let (_, character) = ENTITIES.iter().find(|(known, _)| *known == name)?;
    // Without the semicolon only the oldest are entities; `&copy=1` in text is rare enough.
    (ended == 1 || matches!(name, "nbsp" | "amp" | "lt" | "gt" | "quot")).then_some((*character, length + ended))
}

fn numeric(bytes: &[u8]) -> Option<(char, usize)> {
    let (radix, start) = if matches!(bytes.get(1), Some(b'x' | b'X')) { (16, 2) } else { (10, 1) };
    let length = bytes[start..].iter().take_while(|b| char::from(**b).is_digit(radix)).count();
    let digits = std::str::from_utf8(&bytes[start..start + length]).ok()?;
    let code = u32::from_str_radix(digits, radix).ok()?;
    let end = start + length;
    let character = match code {
        // The HTML standard reads these as windows-1252.
        0x80..=0x9f => encoding_rs::WINDOWS_1252.decode(&[code as u8]).0.chars().next()?,
        _ => char::from_u32(code).filter(|c| *c != '\0').unwrap_or('\u{fffd}'),
    };
    Some((character, end + usize::from(bytes.get(end) == Some(&b';'))))
}

/// The entities that mail uses; the full HTML list has 2,231.
#[rustfmt::skip]
const ENTITIES: &[(&str, char)] = &[
    ("nbsp", '\u{a0}'), ("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("iexcl", '¡'),
    ("cent", '¢'), ("pound", '£'), ("curren", '¤'), ("yen", '¥'), ("brvbar", '¦'), ("sect", '§'), ("uml", '¨'),
    ("copy", '©'), ("ordf", 'ª'), ("laquo", '«'), ("not", '¬'), ("shy", '\u{ad}'), ("reg", '®'), ("macr", '¯'),
    ("deg", '°'), ("plusmn", '±'), ("sup2", '²'), ("sup3", '³'), ("acute", '´'), ("micro", 'µ'), ("para", '¶'),
    ("middot", '·'), ("cedil", '¸'), ("sup1", '¹'), ("ordm", 'º'), ("raquo", '»'), ("frac14", '¼'), ("frac12", '½'),
    ("frac34", '¾'), ("iquest", '¿'), ("Agrave", 'À'), ("Aacute", 'Á'), ("Acirc", 'Â'), ("Atilde", 'Ã'),
    ("Auml", 'Ä'), ("Aring", 'Å'), ("AElig", 'Æ'), ("Ccedil", 'Ç'), ("Egrave", 'È'), ("Eacute", 'É'), ("Ecirc", 'Ê'),
    ("Euml", 'Ë'), ("Igrave", 'Ì'), ("Iacute", 'Í'), ("Icirc", 'Î'), ("Iuml", 'Ï'), ("ETH", 'Ð'), ("Ntilde", 'Ñ'),
    ("Ograve", 'Ò'), ("Oacute", 'Ó'), ("Ocirc", 'Ô'), ("Otilde", 'Õ'), ("Ouml", 'Ö'), ("times", '×'), ("Oslash", 'Ø'),
    ("Ugrave", 'Ù'), ("Uacute", 'Ú'), ("Ucirc", 'Û'), ("Uuml", 'Ü'), ("Yacute", 'Ý'), ("THORN", 'Þ'), ("szlig", 'ß'),
    ("agrave", 'à'), ("aacute", 'á'), ("acirc", 'â'), ("atilde", 'ã'), ("auml", 'ä'), ("aring", 'å'), ("aelig", 'æ'),
    ("ccedil", 'ç'), ("egrave", 'è'), ("eacute", 'é'), ("ecirc", 'ê'), ("euml", 'ë'), ("igrave", 'ì'),
    ("iacute", 'í'), ("icirc", 'î'), ("iuml", 'ï'), ("eth", 'ð'), ("ntilde", 'ñ'), ("ograve", 'ò'), ("oacute", 'ó'),
    ("ocirc", 'ô'), ("otilde", 'õ'), ("ouml", 'ö'), ("divide", '÷'), ("oslash", 'ø'), ("ugrave", 'ù'),
    ("uacute", 'ú'), ("ucirc", 'û'), ("uuml", 'ü'), ("yacute", 'ý'), ("thorn", 'þ'), ("yuml", 'ÿ'), ("OElig", 'Œ'),
    ("oelig", 'œ'), ("Scaron", 'Š'), ("scaron", 'š'), ("Yuml", 'Ÿ'), ("circ", 'ˆ'), ("tilde", '˜'),
    ("ensp", '\u{2002}'), ("emsp", '\u{2003}'), ("thinsp", '\u{2009}'), ("zwnj", '\u{200c}'), ("zwj", '\u{200d}'),
    ("lrm", '\u{200e}'), ("rlm", '\u{200f}'), ("ndash", '–'), ("mdash", '—'), ("lsquo", '‘'), ("rsquo", '’'),
    ("sbquo", '‚'), ("ldquo", '“'), ("rdquo", '”'), ("bdquo", '„'), ("dagger", '†'), ("Dagger", '‡'), ("bull", '•'),
    ("hellip", '…'), ("permil", '‰'), ("prime", '′'), ("lsaquo", '‹'), ("rsaquo", '›'), ("euro", '€'), ("trade", '™'),
    ("larr", '←'), ("uarr", '↑'), ("rarr", '→'), ("darr", '↓'), ("harr", '↔'), ("minus", '−'), ("infin", '∞'),
    ("asymp", '≈'), ("ne", '≠'), ("le", '≤'), ("ge", '≥'), ("check", '✓'), ("hearts", '♥'),
];
