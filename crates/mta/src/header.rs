//! What the header of an incoming message says, and how it is edited before it is stored: pure.
//!
//! What is not named here stays byte for byte, order and folding included.

use std::cell::LazyCell;

use postroad_mailauth::results;
use postroad_message::address;
use postroad_message::header::{Field, fields};

/// What matters of a header block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Review {
    /// Received fields: hosts that the message passed.
    pub(crate) received: usize,
    /// From fields; RFC 5322 §3.6 wants exactly one.
    pub(crate) from_fields: usize,
    /// The addresses in From.
    pub(crate) from: Vec<Author>,
    /// A From field that readers may understand in another way than we do: nobody knows whom they show.
    pub(crate) from_is_odd: bool,
    /// Sender fields.
    pub(crate) sender_fields: usize,
    /// The addresses in Sender.
    pub(crate) sender: Vec<Author>,
    /// The addresses in the newest Resent-From, of who sends the message on (RFC 5322 §3.6.6).
    pub(crate) resent_from: Vec<Author>,
    pub(crate) has_date: bool,
    pub(crate) has_message_id: bool,
    /// The Message-ID without its angle brackets.
    pub(crate) message_id: Option<String>,
    /// The addresses in Delivered-To: who sent it on to somebody else on its way, newest first.
    pub(crate) delivered_to: Vec<String>,
    /// The first line begins with white space: put behind ours, it would go on with our last field.
    pub(crate) continues: bool,
}

/// An address in From, Sender or Resent-From.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) local: String,
    pub(crate) domain: String,
}

/// What is put in and taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Edits {
    /// Fields with these names go.
    pub(crate) remove: Vec<&'static str>,
    /// Fields whose names begin so go.
    pub(crate) remove_prefix: Vec<&'static str>,
    /// `Authentication-Results` that claim to be by this host go (RFC 8601 §5); empty: none.
    pub(crate) remove_results_by: String,
    /// Whole field lines with CRLF that come at the end of the block.
    pub(crate) add: Vec<String>,
}

/// Only delivery may say where a message came from (RFC 5321 §4.4).
pub(crate) const RETURN_PATH: &str = "Return-Path";

/// Only we say what we found.
const AUTHENTICATION_RESULTS: &str = "Authentication-Results";

/// Hidden recipients stay hidden (RFC 5322 §3.6.3).
pub(crate) const HIDDEN: [&str; 2] = ["Bcc", "Resent-Bcc"];

/// Orders to an Exchange organisation: spam verdicts, authentication as an insider, shadow copies.
pub(crate) const FIREWALL: [&str; 3] =
    ["X-MS-Exchange-Organization-", "X-MS-Exchange-Forest-", "X-MS-Exchange-CrossTenant-"];

/// Reads a header block.
pub(crate) fn review(block: &[u8]) -> Review {
    let mut review = Review { continues: matches!(block.first(), Some(b' ' | b'\t')), ..Review::default() };
    for field in fields(block) {
        if field.is("Received") {
            review.received += 1;
        } else if field.is("From") {
            review.from_fields += 1;
            add_authors(&mut review.from, &field);
            review.from_is_odd |= is_odd(field.value);
        } else if field.is("Sender") {
            review.sender_fields += 1;
            add_authors(&mut review.sender, &field);
        } else if field.is("Resent-From") && review.resent_from.is_empty() {
            add_authors(&mut review.resent_from, &field);
        } else if field.is("Delivered-To") && review.delivered_to.len() < MAX_DELIVERED_TO {
            let value = postroad_message::header::text(field.value);
            review.delivered_to.push(value.trim_start_matches('<').trim_end_matches('>').to_owned());
        } else if field.is("Date") {
            review.has_date = true;
        } else if field.is("Message-ID") && review.message_id.is_none() {
            review.has_message_id = true;
            review.message_id = message_id(field.value);
        }
    }
    review
}

/// Edits a header block in place; its blank line, where it has one, stays its end.
pub(crate) fn edit(block: &mut Vec<u8>, edits: &Edits) {
    let goes = |field: &Field<'_>| {
        edits.remove.iter().any(|name| field.is(name))
            || edits.remove_prefix.iter().any(|prefix| starts_with(field.name, prefix))
            || !edits.remove_results_by.is_empty()
                && field.is(AUTHENTICATION_RESULTS)
                && results::is_ours(field.value, &edits.remove_results_by)
    };
    if edits.add.is_empty() && !fields(block).any(|field| goes(&field)) {
        return;
    }
    let mut edited = Vec::with_capacity(block.len() + 256);
    let mut end = 0;
    for field in fields(block) {
        end = field.start + field.raw.len();
        if !goes(&field) {
            edited.extend_from_slice(field.raw);
        }
    }
    if !edits.add.is_empty() && !edited.is_empty() && !edited.ends_with(b"\n") {
        edited.extend_from_slice(b"\r\n");
    }
    for line in &edits.add {
        edited.extend_from_slice(line.as_bytes());
    }
    edited.extend_from_slice(&block[end..]);
    *block = edited;
}

/// Adds the addresses of a field, one more than [`MAX_AUTHORS`] at most.
fn add_authors(authors: &mut Vec<Author>, field: &Field<'_>) {
    let list = address::parse(field.value);
    let bare = !field.value.contains(&b'<');
    let found = address::mailboxes(&list).flat_map(|mailbox| {
        // Two addresses without a comma between them: one reader takes the first, another the last.
        let second = mailbox.name.as_ref().filter(|name| bare && name.contains('@'));
        let second = second.map(|name| Author { local: name.clone(), domain: String::new() });
        [Author { local: mailbox.local.clone(), domain: mailbox.host.clone() }].into_iter().chain(second)
    });
    authors.extend(found.take((MAX_AUTHORS + 1).saturating_sub(authors.len())));
}

/// Whether a From may show an address that is none of those that we see there, and that can be verified or owned.
///
/// Readers decode words where none may be (`=?utf-8?q?a=40bank.test=00?=@evil.test`), stop at controls, take the first of two
/// at signs or of two addresses without a comma, and show as the author whatever text has no address behind it.
fn is_odd(value: &[u8]) -> bool {
    let list = address::parse(value);
    // Once, however many have no address: the field may be as long as a header.
    let shows = LazyCell::new(|| postroad_message::header::decode(value).contains(['@', '\u{fe6b}', '\u{ff20}']));
    let bare = !value.contains(&b'<');
    let mut some = false;
    for mailbox in address::mailboxes(&list).take(MAX_AUTHORS + 1) {
        some = true;
        let torn = bare && mailbox.name.as_ref().is_some_and(|name| name.contains('@'));
        let disguised = |c: char| c == '@' || c.is_control();
        if torn || mailbox.local.contains(disguised) || mailbox.local.contains("=?") || !is_host(&mailbox.host) {
            return true;
        }
        // `MAILER-DAEMON` alone shows nobody's address.
        if mailbox.host.is_empty() && *shows {
            return true;
        }
    }
    !some && *shows
}

/// Whether DNS could know it; nothing at all is no lie either.
fn is_host(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c) || (!c.is_ascii() && !c.is_control());
    let name = text.strip_suffix('.').unwrap_or(text);
    text.is_empty() || (name.chars().all(fits) && name.split('.').all(|label| !label.is_empty()))
}

fn message_id(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let inside = text.split_once('<').map_or(text, |(_, rest)| rest);
    let id = inside.split_once('>').map_or(inside, |(id, _)| id).trim();
    (!id.is_empty()).then(|| id.to_owned())
}

fn starts_with(name: &[u8], prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// Addresses looked at in one field; a From with more is nobody's own.
pub(crate) const MAX_AUTHORS: usize = 50;

/// Delivered-To fields that are looked at. A message that passed so many servers is stopped by its Received fields.
const MAX_DELIVERED_TO: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &[u8] = b"Return-Path: <x@y>\r\nReceived: a\r\n b\r\nreceived: c\r\nFrom: A <a@one.test>,\r\n \"b c\"@two.test\r\n\
        Subject:  odd   spacing \r\nBCC: hidden@one.test,\r\n\tmore@one.test\r\nx-ms-exchange-organization-SCL: -1\r\nMessage-Id: <id@one.test>\r\n\r\n";

    #[test]
    fn a_header_is_read() {
        let review = review(BLOCK);
        assert_eq!((review.received, review.from_fields), (2, 1));
        assert_eq!(review.from.len(), 2);
        assert_eq!((review.from[1].local.as_str(), review.from[1].domain.as_str()), ("b c", "two.test"));
        assert!(!review.has_date && review.has_message_id);
        assert_eq!(review.message_id.as_deref(), Some("id@one.test"));
    }

    #[test]
    fn nobody_is_hidden_among_the_authors() {
        let authors = |value: &str| -> Vec<String> {
            let review = review(format!("From: {value}\r\n\r\n").as_bytes());
            review.from.iter().map(|author| format!("{}@{}", author.local, author.domain)).collect()
        };
        assert_eq!(authors("B <b@two.test> a@one.test"), ["b@two.test"]);
        assert_eq!(authors("\"b@two.test\" <a@one.test>"), ["a@one.test"], "a name is a name");
        assert_eq!(authors("b@two.test a@one.test"), ["a@one.test", "b@two.test@"], "two without a comma");
        let crowd = format!("{}b@two.test", "a@one.test, ".repeat(MAX_AUTHORS));
        assert_eq!(authors(&crowd).len(), MAX_AUTHORS + 1);
        let fields = "From: a@one.test\r\n".repeat(1_000);
        assert_eq!(review(fields.as_bytes()).from.len(), MAX_AUTHORS + 1, "bounded, whatever comes");
    }

    #[test]
    fn what_readers_may_understand_otherwise_is_odd() {
        let odd = |value: &str| review(format!("From: {value}\r\n\r\n").as_bytes()).from_is_odd;
        for value in [
            "ceo@bank.test x@evil.test",
            "ceo@bank.test:;",
            "ceo@bank.test <>",
            "\"ceo@bank.test\" <nobody>",
            "=?utf-8?q?ceo=40bank.test?=",
            "=?utf-8?b?Y2VvQGJhbmsudGVzdAA=?=@evil.test",
            "=?utf-8?q?ceo=40bank.test=00?= <=?utf-8?q?ceo=40bank.test=00?=@evil.test>",
            "ceo@bank.test\0@evil.test",
            "ceo@bank.test@evil.test",
            "<ceo@bank.test x@evil.test>",
            "\"ceo@bank.test\"@evil.test",
            "\"without an end <ceo@bank.test>",
            "ceo\u{ff20}bank.test",
            "x@[192.0.2.1]",
            "x@bank..test",
            "x@bank.test\0",
        ] {
            assert!(odd(value), "{value:?}");
        }
        for value in [
            "ceo@bank.test",
            "ceo@bank.test.",
            "ceo@b\u{e4}nk.test",
            "ceo@a_b.bank.test",
            "\"ceo@bank.test\" <x@evil.test>",
            "ceo@bank.test <x@evil.test>",
            "=?utf-8?q?J=C3=BCrgen?= <j@bank.test>, b@bank.test (B)",
            "A group: a@one.test, b@two.test;",
            "undisclosed:;",
            "MAILER-DAEMON",
            "root (Cron Daemon)",
            "",
        ] {
            assert!(!odd(value), "{value:?}");
        }
        assert!(!review(b"Subject: x\r\n\r\n").from_is_odd);
        assert!(review(b"From: a@one.test\r\nfrom : a@b@c.test\r\n\r\n").from_is_odd, "any of them");
    }

    #[test]
    fn what_is_not_named_stays_byte_for_byte() {
        let mut block = BLOCK.to_vec();
        edit(&mut block, &Edits::default());
        assert_eq!(block, BLOCK);
        let edits = Edits {
            remove: vec![RETURN_PATH, "Bcc"],
            remove_prefix: FIREWALL.to_vec(),
            add: vec!["Date: today\r\n".to_owned()],
            ..Edits::default()
        };
        edit(&mut block, &edits);
        assert_eq!(
            String::from_utf8(block).expect("ASCII"),
            "Received: a\r\n b\r\nreceived: c\r\nFrom: A <a@one.test>,\r\n \"b c\"@two.test\r\n\
             Subject:  odd   spacing \r\nMessage-Id: <id@one.test>\r\nDate: today\r\n\r\n"
        );
    }

    /// RFC 8601 §5: what claims to be by us is not; everything else stays byte for byte.
    #[test]
    fn nobody_else_speaks_in_our_name() {
        let ours = [
            "Authentication-Results: mx.example.test; dmarc=pass header.from=bank.test\r\n",
            "authentication-RESULTS: MX.example.TEST; spf=pass\r\n",
            "Authentication-Results:\r\n mx.example.test;\r\n\tdmarc=pass\r\n",
            "Authentication-Results : mx.example.test; none\r\n",
            "Authentication-Results\r\n : mx.example.test; none\r\n",
            "Authentication-Results:\r\n\t(a comment (in another))\r\n mx.example.test 1; none\r\n",
            "Authentication-Results: \"mx.example.test\"; none\r\n",
        ];
        let theirs = [
            "Authentication-Results: mx.example.test.evil.test; dmarc=pass\r\n",
            "Authentication-Results: other.test; dkim=pass (mx.example.test)\r\n",
            "X-Authentication-Results: mx.example.test; none\r\n",
            "ARC-Authentication-Results: i=1; mx.example.test; none\r\n",
            "Subject: Authentication-Results: mx.example.test; none\r\n",
        ];
        let edits = Edits { remove_results_by: "mx.example.test".to_owned(), ..Edits::default() };
        for field in ours {
            let mut block = format!("{}{field}{}\r\n", theirs[0], theirs[1]).into_bytes();
            edit(&mut block, &edits);
            assert_eq!(String::from_utf8(block).expect("ASCII"), format!("{}{}\r\n", theirs[0], theirs[1]), "{field}");
        }
        let mut block = format!("{}\r\n", theirs.concat()).into_bytes();
        edit(&mut block, &edits);
        assert_eq!(String::from_utf8(block).expect("ASCII"), format!("{}\r\n", theirs.concat()));
    }

    #[test]
    fn fields_come_before_the_blank_line_or_at_the_end() {
        let add = Edits { add: vec!["Date: today\r\n".to_owned()], ..Edits::default() };
        for (before, after) in [
            ("A: b\r\n\r\n", "A: b\r\nDate: today\r\n\r\n"),
            ("A: b\r\n", "A: b\r\nDate: today\r\n"),
            ("A: b", "A: b\r\nDate: today\r\n"),
            ("\r\n", "Date: today\r\n\r\n"),
            ("", "Date: today\r\n"),
        ] {
            let mut block = before.as_bytes().to_vec();
            edit(&mut block, &add);
            assert_eq!(String::from_utf8(block).expect("ASCII"), after);
        }
    }

    /// Whatever the bytes: what is not named stays, in order and byte for byte; what is named is gone; what
    /// is added is there.
    #[test]
    fn fuzz_edit() {
        // Random bytes are hardly ever a header; these pieces often are.
        const PIECES: [&str; 12] =
            ["a: ", "x-y: ", "bcc:", "From: ", "\r\n", "\r\n", "\n", "\r", " ", "z", ": ", "\0é"];
        postroad_fuzz::check!(5_000).with_type::<Vec<u8>>().for_each(|bytes| {
            let block: Vec<u8> =
                bytes.iter().flat_map(|byte| PIECES[usize::from(*byte) % PIECES.len()].bytes()).collect();
            let block = &block;
            let mut same = block.clone();
            edit(&mut same, &Edits::default());
            assert_eq!(&same, block);
            let edits = Edits {
                remove: vec!["a", "Bcc"],
                remove_prefix: vec!["x-"],
                add: vec!["Date: today\r\n".to_owned()],
                ..Edits::default()
            };
            let goes = |field: &Field<'_>| field.is("a") || field.is("Bcc") || starts_with(field.name, "x-");
            let mut edited = block.clone();
            edit(&mut edited, &edits);
            let stays: Vec<u8> =
                fields(block).filter(|field| !goes(field)).flat_map(|field| field.raw.to_vec()).collect();
            assert!(edited.starts_with(&stays));
            assert!(edited[stays.len()..].windows(13).any(|bytes| bytes == b"Date: today\r\n"));
            assert!(!fields(&edited).any(|field| goes(&field)), "{:?}", String::from_utf8_lossy(&edited));
            let _ = review(block);
        });
    }
}
