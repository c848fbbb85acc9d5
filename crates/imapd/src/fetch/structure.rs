//! BODY and BODYSTRUCTURE (RFC 9051 §7.5.2), from the summary as it is stored.

use postroad_imap::Writer;
use postroad_message::{Error, Inside, Part, PartView, StructureReader, TextsView};

use crate::fetch::envelope;

/// BODYSTRUCTURE of a part that is at hand.
pub(crate) fn write(writer: &mut Writer<'_>, part: &Part, extended: bool) {
    let (stored, start) = (part.encode(), writer.out.len());
    if write_stored(writer, &mut StructureReader::of(&stored), extended).is_err() {
        // Only a part that breaks the invariants of its type is stored in a form that cannot be read.
        writer.out.truncate(start);
        writer.raw(b"NIL");
    }
}

/// `body`; with `extended`, BODYSTRUCTURE's extension data. After an error a part of it is written.
pub(super) fn write_stored(
    writer: &mut Writer<'_>,
    structure: &mut StructureReader<'_>,
    extended: bool,
) -> Result<(), Error> {
    write_part(writer, structure, extended, 0)?;
    structure.end()
}

fn write_part(
    writer: &mut Writer<'_>,
    structure: &mut StructureReader<'_>,
    extended: bool,
    depth: usize,
) -> Result<(), Error> {
    let part = structure.part(depth)?;
    writer.raw(b"(");
    match part.inside {
        Inside::Parts(count) => {
            for _ in 0..count {
                write_part(writer, structure, extended, depth + 1)?;
            }
            writer.raw(b" ");
            writer.string(part.subtype.as_bytes());
            if extended {
                writer.raw(b" ");
                texts(writer, part.params);
                extension(writer, &part);
            }
        }
        Inside::Message => {
            fields(writer, &part);
            let start = writer.out.len();
            writer.raw(b" ");
            envelope::write(writer, &mut structure.envelope())?;
            writer.raw(b" ");
            write_part(writer, structure, extended, depth + 1)?;
            number(writer, part.lines);
            // RFC 3501 §9 knows no MESSAGE/GLOBAL: to its clients it is a part like any other.
            if part.subtype != "rfc822" && !writer.utf8 {
                writer.out.truncate(start);
            }
            one_part_extension(writer, &part, extended);
        }
        Inside::Nothing => {
            fields(writer, &part);
            if part.content_type == "text" {
                number(writer, part.lines);
            }
            one_part_extension(writer, &part, extended);
        }
    }
    writer.raw(b")");
    Ok(())
}

/// `media-type media-subtype body-fields`.
fn fields(writer: &mut Writer<'_>, part: &PartView<'_>) {
    writer.string(part.content_type.as_bytes());
    writer.raw(b" ");
    writer.string(part.subtype.as_bytes());
    writer.raw(b" ");
    texts(writer, part.params);
    writer.raw(b" ");
    text(writer, part.id);
    writer.raw(b" ");
    text(writer, part.description);
    writer.raw(b" ");
    writer.string(part.encoding.as_bytes());
    number(writer, part.body_size);
}

/// `body-ext-1part`.
fn one_part_extension(writer: &mut Writer<'_>, part: &PartView<'_>, extended: bool) {
    if extended {
        writer.raw(b" ");
        text(writer, part.md5);
        extension(writer, part);
    }
}

/// `body-fld-dsp body-fld-lang body-fld-loc`.
fn extension(writer: &mut Writer<'_>, part: &PartView<'_>) {
    writer.raw(b" ");
    match part.disposition {
        Some((kind, params)) => {
            writer.raw(b"(");
            writer.string(kind.as_bytes());
            writer.raw(b" ");
            texts(writer, params);
            writer.raw(b")");
        }
        None => writer.raw(b"NIL"),
    }
    writer.raw(b" ");
    match part.language.into_iter().next() {
        Some(one) if part.language.len() == 1 => writer.string(one.as_bytes()),
        Some(_) | None => texts(writer, part.language),
    }
    writer.raw(b" ");
    text(writer, part.location);
}

/// `body-fld-param`, or several languages.
fn texts(writer: &mut Writer<'_>, texts: TextsView<'_>) {
    if texts.is_empty() {
        return writer.raw(b"NIL");
    }
    for (index, text) in texts.into_iter().enumerate() {
        writer.raw(if index == 0 { b"(" } else { b" " });
        writer.string(text.as_bytes());
    }
    writer.raw(b")");
}

fn text(writer: &mut Writer<'_>, text: Option<&str>) {
    writer.nstring(text.map(str::as_bytes));
}

fn number(writer: &mut Writer<'_>, number: u64) {
    writer.raw(b" ");
    writer.number(number);
}
