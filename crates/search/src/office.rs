//! The text of office documents: OOXML (ECMA-376: .docx, .xlsx, .pptx) and OpenDocument (ISO 26300: .odt, .ods, .odp), which
//! are ZIP archives with XML in them.
//!
//! What it never does: fail, follow references, expand entities of a document's own, or produce more than the constants allow,
//! whatever the archive says of itself. What cannot be read has no text.

use std::io::Read;

use flate2::read::DeflateDecoder;
use quick_xml::Reader;
use quick_xml::events::Event;

/// Octets of the largest document that is looked into.
pub const OCTETS_MAX: usize = 16 * 1024 * 1024;
/// Octets of XML that are unpacked of all documents of one message together: a file of a few octets may claim more, and a
/// message may have many such files.
pub const UNPACKED_MAX: u64 = 16 * 1024 * 1024;
/// Octets of text taken out of one document.
const TEXT_MAX: usize = 4 * 1024 * 1024;
/// Files of an archive that are looked at.
const FILES_MAX: usize = 4_096;

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Office {
    /// OOXML.
    Ooxml,
    /// OpenDocument.
    OpenDocument,
}

impl Office {
    /// By the subtype of `application/..`.
    pub fn of_subtype(subtype: &str) -> Option<Office> {
        if subtype.starts_with("vnd.openxmlformats-officedocument.") {
            return Some(Office::Ooxml);
        }
        subtype.starts_with("vnd.oasis.opendocument.").then_some(Office::OpenDocument)
    }

    /// By the end of a file's name.
    pub fn of_name(name: &str) -> Option<Office> {
        let (_, end) = name.rsplit_once('.')?;
        match end.to_ascii_lowercase().as_str() {
            "docx" | "docm" | "xlsx" | "xlsm" | "pptx" | "pptm" => Some(Office::Ooxml),
            "odt" | "ods" | "odp" => Some(Office::OpenDocument),
            _ => None,
        }
    }

    /// Whether a file of the archive has text for people.
    fn reads(self, file: &[u8]) -> bool {
        let Ok(file) = std::str::from_utf8(file) else { return false };
        match self {
            Office::OpenDocument => file == "content.xml" || file == "styles.xml",
            Office::Ooxml if !file.ends_with(".xml") => false,
            Office::Ooxml => {
                let known = ["document", "footnotes", "endnotes", "comments", "header", "footer", "sharedStrings"];
                let in_word = file.strip_prefix("word/").or_else(|| file.strip_prefix("xl/"));
                in_word.is_some_and(|name| known.iter().any(|known| name.starts_with(known)))
                    || ["ppt/slides/slide", "ppt/notesSlides/", "xl/worksheets/sheet"]
                        .iter()
                        .any(|p| file.starts_with(p))
            }
        }
    }
}

/// The text of a document. `left`: octets of XML that may still be unpacked, which becomes less ([`UNPACKED_MAX`] at first).
pub fn text(office: Office, archive: &[u8], left: &mut u64) -> String {
    let mut out = String::new();
    for file in files(archive).into_iter().filter(|file| office.reads(file.name)) {
        if out.len() >= TEXT_MAX || *left == 0 {
            break;
        }
        let mut xml = Vec::new();
        let read = match file.method {
            STORED => file.data.take(*left).read_to_end(&mut xml),
            DEFLATED => DeflateDecoder::new(file.data).take(*left).read_to_end(&mut xml),
            _ => continue,
        };
        *left = left.saturating_sub(xml.len() as u64);
        // What was read before the damage counts.
        let _damaged = read.is_err();
        text_of_xml(office, &xml, &mut out);
    }
    out
}

fn text_of_xml(office: Office, xml: &[u8], out: &mut String) {
    let mut reader = Reader::from_reader(xml);
    reader.config_mut().check_end_names = false;
    let mut inside = 0u32;
    while out.len() < TEXT_MAX {
        match reader.read_event() {
            Err(_) | Ok(Event::Eof) => return,
            Ok(Event::Start(tag)) => {
                if tag.local_name().as_ref() == b"t" {
                    inside += 1;
                }
            }
            Ok(Event::End(tag)) => match tag.local_name().as_ref() {
                b"t" => inside = inside.saturating_sub(1),
                b"p" | b"h" | b"si" | b"is" | b"row" | b"c" => out.push('\n'),
                _ => {}
            },
            Ok(Event::Empty(tag)) => match tag.local_name().as_ref() {
                b"tab" | b"s" => out.push(' '),
                b"br" | b"cr" | b"line-break" | b"p" => out.push('\n'),
                _ => {}
            },
            Ok(Event::Text(text)) if inside > 0 || office == Office::OpenDocument => {
                out.push_str(&String::from_utf8_lossy(&text));
            }
            Ok(Event::CData(text)) if inside > 0 || office == Office::OpenDocument => {
                out.push_str(&String::from_utf8_lossy(&text));
            }
            Ok(Event::GeneralRef(name)) if inside > 0 || office == Office::OpenDocument => match &name[..] {
                b"amp" => out.push('&'),
                b"lt" => out.push('<'),
                b"gt" => out.push('>'),
                b"quot" => out.push('"'),
                b"apos" => out.push('\''),
                _ => out.extend(name.resolve_char_ref().ok().flatten()),
            },
            Ok(
                Event::Text(_)
                | Event::CData(_)
                | Event::GeneralRef(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::DocType(_),
            ) => {}
        }
    }
}

/// A file of an archive.
struct File<'a> {
    name: &'a [u8],
    method: u16,
    data: &'a [u8],
}

/// The files of a ZIP archive, by its central directory (APPNOTE.TXT §4.3.12).
fn files(archive: &[u8]) -> Vec<File<'_>> {
    let mut files = Vec::new();
    let Some(mut at) = directory(archive) else { return files };
    while files.len() < FILES_MAX {
        let Some((file, length)) = entry(archive, at) else { break };
        files.extend(file);
        at += length;
    }
    files
}

/// Where the central directory begins, by the record at the end, behind which a comment may stand.
fn directory(archive: &[u8]) -> Option<usize> {
    let from = archive.len().saturating_sub(END_LENGTH + COMMENT_MAX);
    let end = (from..=archive.len().checked_sub(END_LENGTH)?).rev().find(|at| archive[*at..].starts_with(END_MAGIC))?;
    number(archive, end + 16, 4)
}

/// A file by its entry in the directory, if its data is there, and the length of the entry.
fn entry(archive: &[u8], at: usize) -> Option<(Option<File<'_>>, usize)> {
    if !archive.get(at..)?.starts_with(ENTRY_MAGIC) {
        return None;
    }
    let field = |offset, length| number(archive, at + offset, length);
    let (name, extra, comment) = (field(28, 2)?, field(30, 2)?, field(32, 2)?);
    let name_at = at + ENTRY_LENGTH;
    let (stored, local) = (field(20, 4)?, field(42, 4)?);
    let file = data(archive, local, stored).and_then(|data| {
        Some(File { name: archive.get(name_at..name_at + name)?, method: field(10, 2)? as u16, data })
    });
    Some((file, ENTRY_LENGTH + name + extra + comment))
}

/// The data behind a local header.
fn data(archive: &[u8], local: usize, stored: usize) -> Option<&[u8]> {
    if !archive.get(local..)?.starts_with(LOCAL_MAGIC) {
        return None;
    }
    let start = local + LOCAL_LENGTH + number(archive, local + 26, 2)? + number(archive, local + 28, 2)?;
    archive.get(start..start.checked_add(stored)?)
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const END_MAGIC: &[u8] = b"PK\x05\x06";
const ENTRY_MAGIC: &[u8] = b"PK\x01\x02";
const LOCAL_MAGIC: &[u8] = b"PK\x03\x04";
const END_LENGTH: usize = 22;
const ENTRY_LENGTH: usize = 46;
const LOCAL_LENGTH: usize = 30;
const COMMENT_MAX: usize = 65_535;
