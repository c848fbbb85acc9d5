//! What programs write into the header of a message in an mbox, and what it says.
//!
//! Postroad's own block stands first and has a fixed form, so that it is taken out exactly; it carries what mbox has
//! no place for. Of others' fields those at the very beginning (Thunderbird) and at the very end (UW, mutt, Dovecot)
//! of the header are taken out; the same names in between are the message's own.

use postroad_store::Timestamp;

use crate::marks::Marks;

/// What the header of a message in an mbox says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) marks: Marks,
    /// More exact than the From_ line.
    pub(crate) received: Option<Timestamp>,
    /// Its lines ended with CRLF before it came into this file.
    pub(crate) was_crlf: bool,
    /// The newline at its end was put there by the writer.
    pub(crate) no_newline_at_end: bool,
    /// It is the folder's own data, not a message.
    pub(crate) pseudo: bool,
    /// It was deleted and not yet taken out of the file.
    pub(crate) expunged: bool,
    /// The header block without what is the file's, its blank line included.
    pub(crate) rest: Vec<u8>,
}

/// Words of our block; the first two are equally long, so that one can take the other's place.
pub(crate) const ENDS_WITH_NEWLINE: &str = "ends-with-newline";
pub(crate) const NO_NEWLINE_AT_END: &str = "no-newline-at-end";
pub(crate) const CRLF: &str = "crlf";

/// The name of the field that begins our block.
const OURS: &str = "X-Postroad";
/// The fields of our block, in their order.
const BLOCK: [&str; 4] = [OURS, "Status", "X-Status", "X-Keywords"];
const FIRST: [&str; 5] = ["X-Account-Key", "X-UIDL", "X-Mozilla-Status", "X-Mozilla-Status2", "X-Mozilla-Keys"];
const LAST: [&str; 8] =
    ["Status", "X-Status", "X-Keywords", "X-UID", "X-IMAP", "X-IMAPbase", "Content-Length", "Lines"];
/// Longest value that is looked at.
const VALUE_MAX: usize = 64 * 1024;

/// Our block for a message, with these line ends.
pub(crate) fn block(marks: &Marks, received: Timestamp, words: &[&str], newline: &str) -> String {
    let (status, more) = marks.status();
    let keywords: Vec<&str> = marks.keywords.iter().map(postroad_mail::Keyword::as_str).collect();
    let ours: String = words.iter().map(|word| format!(" {word}")).collect();
    let lines = [format!("{}{ours}", received.0), status.into(), more, keywords.join(" ")];
    BLOCK.iter().zip(lines).map(|(name, value)| format!("{name}: {value}{newline}")).collect()
}

/// Reads a header block that ends with its blank line, or with the message.
pub(crate) fn read(block: &[u8]) -> Head {
    let mut fields = fields(block);
    let mut head = Head::default();
    if fields.first().is_some_and(|field| field.is(OURS)) {
        let mut expected = BLOCK.iter();
        let ours = fields.iter().take_while(|field| expected.next().is_some_and(|name| field.is(name))).count();
        // Each is one line; a message that begins with a blank does not go on with it.
        for field in fields.iter_mut().take(ours) {
            let line = block[field.start..field.end].iter().position(|byte| *byte == b'\n');
            field.end = line.map_or(field.end, |length| field.start + length + 1);
        }
        // A program that changed flags moved the other fields of the block to the end of the header.
        let looked_at = if ours == BLOCK.len() { ours } else { fields.len() };
        fields.iter().take(looked_at).for_each(|field| head.look_at(field, block));
        head.rest = block[fields[ours - 1].end..].to_vec();
        head.pseudo = false;
        return head;
    }
    fields.iter().for_each(|field| head.look_at(field, block));
    let in_front = fields.iter().take_while(|field| FIRST.iter().any(|name| field.is(name))).last();
    let start = in_front.map_or(0, |field| field.end);
    let behind = fields.iter().rev().take_while(|field| LAST.iter().any(|name| field.is(name))).last();
    let fields_end = fields.last().map_or(0, |field| field.end);
    let end = behind.map_or(fields_end, |field| field.start).max(start);
    head.rest = [&block[start.min(end)..end], &block[fields_end.max(start)..]].concat();
    head
}

/// Whether a block begins with ours: then a `Content-Length` in it is the message's own.
pub(crate) fn is_ours(block: &[u8]) -> bool {
    block.strip_prefix(OURS.as_bytes()).is_some_and(|rest| rest.starts_with(b":"))
}

/// The length that the header says, of an mboxcl.
pub(crate) fn content_length(block: &[u8]) -> Option<u64> {
    let fields = fields(block);
    let field = fields.iter().rev().find(|field| field.is("Content-Length"))?;
    field.value(block).trim().parse().ok()
}

struct Field<'a> {
    name: &'a [u8],
    start: usize,
    value: usize,
    end: usize,
}

impl Field<'_> {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    fn value(&self, block: &[u8]) -> String {
        let value = &block[self.value..self.end];
        String::from_utf8_lossy(&value[..value.len().min(VALUE_MAX)]).trim().to_owned()
    }
}

/// The fields of a block with their continuation lines, up to the first line that is none.
fn fields(block: &[u8]) -> Vec<Field<'_>> {
    let mut fields: Vec<Field<'_>> = Vec::new();
    let mut at = 0;
    while at < block.len() {
        let end = block[at..].iter().position(|byte| *byte == b'\n').map_or(block.len(), |length| at + length + 1);
        let line = &block[at..end];
        match (line.first(), fields.last_mut()) {
            (Some(b' ' | b'\t'), Some(last)) if !line.trim_ascii().is_empty() => last.end = end,
            _ => {
                let Some(colon) = line.iter().position(|byte| *byte == b':') else { break };
                let name = line[..colon].trim_ascii_end();
                if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
                    break;
                }
                fields.push(Field { name, start: at, value: at + colon + 1, end });
            }
        }
        at = end;
    }
    fields
}

impl Head {
    fn look_at(&mut self, field: &Field<'_>, block: &[u8]) {
        if field.is("Status") || field.is("X-Status") {
            self.marks.add_status(&field.value(block));
        } else if field.is("X-Keywords") || field.is("X-Mozilla-Keys") {
            field.value(block).split_ascii_whitespace().for_each(|keyword| self.marks.add(keyword));
        } else if field.is("X-Mozilla-Status") {
            self.expunged |= self.marks.add_mozilla_status(&field.value(block));
        } else if field.is(OURS) && field.start == 0 {
            let value = field.value(block);
            let mut words = value.split_ascii_whitespace();
            self.received = words.next().and_then(|word| word.parse().ok()).map(Timestamp);
            for word in words {
                self.was_crlf |= word == CRLF;
                self.no_newline_at_end |= word == NO_NEWLINE_AT_END;
            }
        } else if field.is("Subject") {
            self.pseudo |= field.value(block).starts_with("DON'T DELETE THIS MESSAGE");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroad_mail::Flags;

    #[test]
    fn what_is_the_files_is_taken_out() {
        for (block, rest, flags) in [
            ("A: b\nStatus: RO\nX-Status: F\n\n", "A: b\n\n", Flags::SEEN | Flags::FLAGGED),
            ("X-Mozilla-Status: 0001\nX-Mozilla-Keys: a  \nA: b\n\n", "A: b\n\n", Flags::SEEN),
            ("Status: mine\nA: b\n\n", "Status: mine\nA: b\n\n", Flags::NONE),
            ("A: b\r\nContent-Length: 12\r\n\r\n", "A: b\r\n\r\n", Flags::NONE),
            ("Status: R\n\n", "\n", Flags::SEEN),
            ("\n", "\n", Flags::NONE),
            ("", "", Flags::NONE),
            ("no header\n", "no header\n", Flags::NONE),
            ("A: b\nStatus: RO\n  more\nno header\n", "A: b\nno header\n", Flags::SEEN),
        ] {
            let head = read(block.as_bytes());
            assert_eq!(String::from_utf8_lossy(&head.rest), rest, "{block:?}");
            assert_eq!(head.marks.flags, flags, "{block:?}");
        }
        assert!(read(b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n\n").pseudo);
        assert_eq!(content_length(b"A: b\nContent-Length: 12\n\n"), Some(12));
    }

    #[test]
    fn our_block_is_taken_out_exactly() {
        let mut marks = Marks { flags: Flags::SEEN | Flags::DRAFT, keywords: Vec::new() };
        marks.add("$Forwarded");
        let ours = block(&marks, Timestamp(1_234), &["crlf", "no-newline-at-end"], "\n");
        for rest in [
            "",
            "\n",
            "Status: mine\n\n",
            "X-Keywords: a\nStatus: b\n\nbody",
            "X-Postroad: 5\n\n",
            "\r\n",
            "garbage",
            " more\n\n",
        ] {
            let head = read(format!("{ours}{rest}").as_bytes());
            assert_eq!(String::from_utf8_lossy(&head.rest), rest);
            assert_eq!((head.received, head.marks.keywords.len()), (Some(Timestamp(1_234)), 1));
            assert!(head.was_crlf && head.no_newline_at_end);
            assert!(head.marks.flags.contains(Flags::DRAFT));
        }
    }
}
