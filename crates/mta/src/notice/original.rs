//! What a notice repeats of the message: its header, or all of it when the sender asked for that and it is small.

use postroad_message::build::Builder;
use postroad_message::header::{self, fields};

/// Longest header that is repeated, in bytes; a longer one ends with a whole field before it.
pub(crate) const MAX_HEADER: usize = 32 * 1024;
/// Longest message that is repeated whole, in bytes.
pub(crate) const MAX_WHOLE: u64 = 1024 * 1024;
/// Longest Message-ID that is taken over into References, in bytes.
const MAX_ID: usize = 500;

/// What may be repeated of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Original {
    /// The header block without its blank line and without Return-Path.
    header: Vec<u8>,
    /// The whole message without Return-Path.
    whole: Option<Vec<u8>>,
}

impl Original {
    /// From the first bytes of a message: its header.
    pub(crate) fn header(start: &[u8]) -> Original {
        let cut = start.len() > MAX_HEADER;
        let mut header = Vec::new();
        for field in fields(&start[..start.len().min(MAX_HEADER)]) {
            // The last field of what was cut off may not be whole.
            let is_cut = cut && field.start + field.raw.len() == MAX_HEADER;
            if !field.name.is_empty() && !field.is("Return-Path") && !is_cut {
                header.extend_from_slice(field.raw);
            }
        }
        if !header.is_empty() && !header.ends_with(b"\n") {
            header.extend_from_slice(b"\r\n");
        }
        Original { header, whole: None }
    }

    /// From all of a message.
    pub(crate) fn whole(message: &[u8]) -> Original {
        let original = Original::header(message);
        Original { whole: Some(header::remove(message, &["Return-Path"])), ..original }
    }

    /// The Subject, decoded; empty if there is none.
    pub(crate) fn subject(&self) -> String {
        let field = header::find(&self.header, "Subject");
        field
            .map(|field| header::decode(field.value).split_whitespace().collect::<Vec<_>>().join(" "))
            .unwrap_or_default()
    }

    /// What answers its sender does not want, as it was written.
    pub(super) fn suppressed(&self) -> Option<String> {
        header::find(&self.header, "X-Auto-Response-Suppress").map(|field| header::text(field.value))
    }

    /// The Date as it was written.
    pub(crate) fn date(&self) -> String {
        header::find(&self.header, "Date").map(|field| header::text(field.value)).unwrap_or_default()
    }

    /// The Message-ID with its angle brackets, if it is one.
    pub(crate) fn message_id(&self) -> Option<String> {
        let id = header::text(header::find(&self.header, "Message-ID")?.value);
        let inside = id.strip_prefix('<')?.strip_suffix('>')?;
        let good = id.len() <= MAX_ID && inside.contains('@') && inside.bytes().all(|byte| byte.is_ascii_graphic());
        (good && !inside.contains(['<', '>'])).then_some(id)
    }

    /// Whether what [`Original::part`] makes of it is.
    pub(crate) fn is_ascii(&self) -> bool {
        self.header.is_ascii() && self.whole.as_ref().is_none_or(|whole| whole.is_ascii())
    }

    /// The part of the notice (RFC 6522 §3 and §4, RFC 6533 §4.2 and §4.3); none of an empty header.
    pub(crate) fn part(&self, may_be_whole: bool) -> Option<Builder> {
        let global = !self.header.is_ascii() && std::str::from_utf8(&self.header).is_ok();
        let (kind, bytes) = match &self.whole {
            Some(whole) if may_be_whole && global => ("message/global", whole),
            Some(whole) if may_be_whole => ("message/rfc822", whole),
            Some(_) | None if self.header.is_empty() => return None,
            Some(_) | None if global => ("message/global-headers", &self.header),
            Some(_) | None => ("text/rfc822-headers", &self.header),
        };
        let name = if kind.ends_with("headers") { "The header of your message" } else { "Your message" };
        Some(Builder::part().field("Content-Description", name).body(kind, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] =
        b"Return-Path: <a@b.test>\r\nReceived: x\r\n y\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n an alle\r\n\
        Message-ID: <1@b.test>\r\nDate: today\r\n\r\nhi\r\nSubject: no\r\n";

    #[test]
    fn the_header_is_repeated_without_what_only_we_wrote() {
        let original = Original::header(MESSAGE);
        assert_eq!(original.subject(), "grüße an alle");
        assert_eq!(original.message_id().as_deref(), Some("<1@b.test>"));
        assert_eq!(original.date(), "today");
        let part = String::from_utf8(original.part(true).expect("a part").build()).expect("ASCII");
        assert_eq!(
            part,
            "Content-Description: The header of your message\r\nContent-Type: text/rfc822-headers\r\n\
             Content-Transfer-Encoding: 7bit\r\n\r\nReceived: x\r\n y\r\n\
             Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n an alle\r\nMessage-ID: <1@b.test>\r\nDate: today\r\n"
        );
        assert!(Original::header(b"").part(true).is_none());
    }

    #[test]
    fn all_of_it_is_repeated_only_where_it_may_be() {
        let original = Original::whole(MESSAGE);
        let part = |may| String::from_utf8(original.part(may).expect("a part").build()).expect("ASCII");
        assert!(part(true).starts_with("Content-Description: Your message\r\nContent-Type: message/rfc822\r\n"));
        assert!(part(true).ends_with(
            "\r\n\r\nReceived: x\r\n y\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n an alle\r\n\
            Message-ID: <1@b.test>\r\nDate: today\r\n\r\nhi\r\nSubject: no\r\n"
        ));
        assert!(part(false).contains("\r\nContent-Type: text/rfc822-headers\r\n") && !part(false).contains("hi"));
        let utf8 = Original::whole("Subject: grüße\r\n\r\nhi\r\n".as_bytes());
        let kind = |may| String::from_utf8(utf8.part(may).expect("a part").build()).expect("UTF-8");
        assert!(kind(true).contains("\r\nContent-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n"));
        assert!(kind(false).contains("\r\nContent-Type: message/global-headers\r\n"));
    }

    #[test]
    fn a_long_header_ends_with_a_whole_field() {
        let long = format!("Subject: short\r\nX-Long: {}\r\n\r\n", "word ".repeat(MAX_HEADER));
        assert_eq!(Original::header(long.as_bytes()).header, b"Subject: short\r\n");
        for id in ["<a b@c>", "1@b", "<nothing>", "<a@b><c@d>"] {
            let message = format!("Message-ID: {id}\r\n\r\n");
            assert_eq!(Original::header(message.as_bytes()).message_id(), None, "{id}");
        }
    }
}
