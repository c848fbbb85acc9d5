//! BODY and BODYSTRUCTURE (RFC 9051 §7.5.2), from the summary.

use postroad_imap::Writer;
use postroad_message::{Content, Disposition, Nested, Param, Part};

use crate::fetch::envelope;

/// `body`; with `extended`, BODYSTRUCTURE's extension data.
pub(crate) fn write(writer: &mut Writer<'_>, part: &Part, extended: bool) {
    writer.raw(b"(");
    match &part.content {
        Content::Multipart(parts) => {
            for part in parts {
                write(writer, part, extended);
            }
            writer.raw(b" ");
            writer.string(part.subtype.as_bytes());
            if extended {
                writer.raw(b" ");
                params(writer, &part.params);
                extension(writer, part);
            }
        }
        Content::Message(nested) => {
            fields(writer, part);
            message(writer, part, nested, extended);
            one_part_extension(writer, part, extended);
        }
        Content::Leaf => {
            fields(writer, part);
            if part.content_type == "text" {
                number(writer, part.lines);
            }
            one_part_extension(writer, part, extended);
        }
    }
    writer.raw(b")");
}

/// `media-type media-subtype body-fields`.
fn fields(writer: &mut Writer<'_>, part: &Part) {
    writer.string(part.content_type.as_bytes());
    writer.raw(b" ");
    writer.string(part.subtype.as_bytes());
    writer.raw(b" ");
    params(writer, &part.params);
    writer.raw(b" ");
    text(writer, part.id.as_deref());
    writer.raw(b" ");
    text(writer, part.description.as_deref());
    writer.raw(b" ");
    writer.string(part.encoding.as_str().as_bytes());
    number(writer, part.body_size());
}

/// `envelope body lines` of a message within.
fn message(writer: &mut Writer<'_>, part: &Part, nested: &Nested, extended: bool) {
    // RFC 3501 §9 knows no MESSAGE/GLOBAL: to its clients it is a part like any other.
    if part.subtype != "rfc822" && !writer.utf8 {
        return;
    }
    writer.raw(b" ");
    envelope::write(writer, &nested.envelope);
    writer.raw(b" ");
    write(writer, &nested.child, extended);
    number(writer, part.lines);
}

/// `body-ext-1part`.
fn one_part_extension(writer: &mut Writer<'_>, part: &Part, extended: bool) {
    if extended {
        writer.raw(b" ");
        text(writer, part.md5.as_deref());
        extension(writer, part);
    }
}

/// `body-fld-dsp body-fld-lang body-fld-loc`.
fn extension(writer: &mut Writer<'_>, part: &Part) {
    writer.raw(b" ");
    match &part.disposition {
        Some(Disposition { kind, params: list }) => {
            writer.raw(b"(");
            writer.string(kind.as_bytes());
            writer.raw(b" ");
            params(writer, list);
            writer.raw(b")");
        }
        None => writer.raw(b"NIL"),
    }
    writer.raw(b" ");
    match &part.language[..] {
        [] => writer.raw(b"NIL"),
        [one] => writer.string(one.as_bytes()),
        several => strings(writer, several.iter().map(String::as_str)),
    }
    writer.raw(b" ");
    text(writer, part.location.as_deref());
}

/// `body-fld-param`.
fn params(writer: &mut Writer<'_>, params: &[Param]) {
    if params.is_empty() {
        return writer.raw(b"NIL");
    }
    strings(writer, params.iter().flat_map(|param| [param.name.as_str(), param.value.as_str()]));
}

fn strings<'a>(writer: &mut Writer<'_>, texts: impl Iterator<Item = &'a str>) {
    for (index, text) in texts.enumerate() {
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
