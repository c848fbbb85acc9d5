//! Whatever comes, nothing panics, and what is written can be read again.

use postroad_imap::command::{Body, SearchKey, gmail};
use postroad_imap::url::Url;
use postroad_imap::{
    DateTime, Event, Flag, Framer, Limits, MailboxName, NumberSet, Pattern, SequenceSet, Syntax, Writer, from_utf7,
    parse, parse_auth_line, to_utf7,
};

const INPUTS: u64 = 2000;

fn syntax(utf8: bool) -> Syntax {
    Syntax { utf8, limits: Limits { line: 4096, depth: 8, ..Limits::default() } }
}

#[test]
fn fuzz_framer() {
    postroad_fuzz::check!(INPUTS).with_type::<Vec<u8>>().for_each(|bytes| {
        let mut framer = Framer::new(syntax(false));
        framer.feed(bytes);
        // Each event consumes something.
        for _ in 0..=bytes.len() {
            match framer.next_event() {
                Event::NeedInput => return,
                Event::AppendLiteral(literal) if literal.size % 2 == 0 => {
                    framer.refuse_append();
                }
                Event::AppendLiteral(_) => {
                    framer.accept_append();
                }
                Event::Command(_)
                | Event::Line(_)
                | Event::Continue
                | Event::AppendStart(_)
                | Event::AppendMessage(_)
                | Event::AppendUrl(_)
                | Event::AppendMessageEnd
                | Event::AppendChunk(_)
                | Event::AppendEnd
                | Event::Refused(_) => {}
            }
        }
        panic!("the framer makes events of nothing: {}", bytes.escape_ascii());
    });
}

/// Searches in Gmail's words: whatever is typed, there is an end to their depth and number.
#[test]
fn fuzz_gmail() {
    const WORDS: &[&str] = &[
        "from:",
        "is:unread",
        "(",
        ")",
        "{",
        "}",
        "\"",
        "-",
        "+",
        " ",
        "OR",
        "AND",
        "a",
        "\u{e9}:",
        "in:inbox",
        "label:x-y",
        "after:2004/04/16",
        "before:",
        "older_than:3m",
        "newer_than:\u{e9}",
        "larger:10M",
        "smaller:9999999999999999999g",
        "size:k",
        "filename:",
        "rfc822msgid:<a@b>",
        ":",
        "|",
    ];
    fn depth(key: &SearchKey) -> (usize, usize) {
        let both = |a: (usize, usize), b: (usize, usize)| (a.0.max(b.0), a.1 + b.1);
        let (deep, keys) = match key {
            SearchKey::And(keys) => keys.iter().map(depth).fold((0, 0), both),
            SearchKey::Or(first, second) => both(depth(first), depth(second)),
            SearchKey::Not(key) => depth(key),
            _ => (0, 0),
        };
        (deep + 1, keys + 1)
    }
    postroad_fuzz::check!(INPUTS).with_type::<Vec<u8>>().for_each(|bytes| {
        let text: String = bytes.iter().map(|byte| WORDS[usize::from(*byte) % WORDS.len()]).collect();
        for text in [text.as_str(), &String::from_utf8_lossy(bytes)] {
            if let Ok(key) = gmail::raw(text, 8, 64) {
                let (deep, keys) = depth(&key);
                assert!(keys <= 64 * 8 && deep <= 8 * 12 + 16, "{keys} keys, {deep} deep: {text}");
            }
        }
        let mut command = b"a STORE 1 +X-GM-LABELS (".to_vec();
        command.extend_from_slice(bytes);
        command.push(b')');
        for utf8 in [false, true] {
            if let Ok(read) = parse(&command, &syntax(utf8)) {
                let Body::StoreLabels(store) = &read.body else { panic!("{read:?}") };
                let mut out = Vec::new();
                let mut writer = Writer::new(&mut out, utf8);
                writer.fetch_begin(1);
                writer.fetch_labels(&store.labels);
                let said = String::from_utf8_lossy(&out).into_owned();
                if let Some(list) = said.strip_prefix("* 1 FETCH (X-GM-LABELS ").filter(|list| !list.contains("{")) {
                    let again = parse(format!("a STORE 1 X-GM-LABELS {list}").as_bytes(), &syntax(utf8));
                    let Ok(Body::StoreLabels(again)) = again.map(|read| read.body) else { panic!("{said}") };
                    assert_eq!(again.labels, store.labels, "{said}");
                }
            }
        }
    });
}

/// A URL that is one names the same after its relative form was read.
#[test]
fn fuzz_url() {
    const WORDS: &[&str] = &[
        "imap://",
        "//",
        "/",
        "a",
        "joe@",
        "example.com",
        ":143",
        ";UID=",
        "20",
        ";UIDVALIDITY=",
        ";SECTION=",
        "1.2",
        ".MIME",
        "HEADER",
        ";PARTIAL=",
        "0.5",
        ";EXPIRE=",
        "2026-11-22T10:00:00Z",
        ";URLAUTH=",
        "submit+",
        "user+",
        "anonymous",
        "authuser",
        ":internal:",
        "91354a473744909de610943775f92038",
        "%20",
        "%",
        "?",
        "[",
        "]",
        "\u{fc}",
        "INBOX",
        ";AUTH=*",
        "@",
    ];
    postroad_fuzz::check!(INPUTS).with_type::<(bool, Vec<u8>)>().for_each(|(words, seed)| {
        let text = match words {
            true => seed.iter().map(|&byte| WORDS[usize::from(byte) % WORDS.len()]).collect::<String>(),
            false => String::from_utf8_lossy(seed).into_owned(),
        };
        let Ok(url) = Url::parse(&text) else { return };
        assert!(url.uid > 0);
        if let Some(auth) = &url.auth {
            // What is signed is a URL of the same message for the same people.
            let rump = Url::parse(&text[..auth.rump]).expect("a rump is a URL");
            let own = rump.auth.clone().expect("it says who may use it");
            assert_eq!((own.access, own.expires, own.token), (auth.access.clone(), auth.expires, None));
            assert_eq!((rump.uid, rump.mailbox, rump.section), (url.uid, url.mailbox, url.section));
        }
    });
}

#[test]
fn fuzz_parse() {
    postroad_fuzz::check!(INPUTS).with_type::<(bool, Vec<u8>)>().for_each(|(utf8, bytes)| {
        let _ = parse(bytes, &syntax(*utf8));
        let _ = parse_auth_line(bytes);
    });
}

/// Commands made of the grammar's own words get further in than random bytes.
#[test]
fn fuzz_parse_words() {
    const WORDS: &[&str] = &[
        "FETCH ",
        "SEARCH ",
        "SORT (REVERSE DATE) UTF-8 ",
        "THREAD REFERENCES UTF-8 ",
        "CANCELUPDATE ",
        "PARTIAL -1:-2",
        "STORE ",
        "SELECT ",
        "LIST ",
        "UID ",
        "(",
        ")",
        " ",
        "1:*",
        "$",
        "BODY[",
        "]",
        "<0.1>",
        "HEADER.FIELDS ",
        "\"a\\\"b\"",
        "{3}\r\nabc",
        "~{1}\r\nx",
        "OR ",
        "NOT ",
        "RETURN ",
        "FLAGS",
        "+FLAGS",
        "\\Seen",
        "CHARSET UTF-8 ",
        "\u{fc}",
        "&APw-",
        "QRESYNC ",
        "STATUS ",
        "NIL",
        "1.2.",
        "MIME",
        "5",
        "*",
        "%",
        "TEXT ",
        "=",
        "AUTHENTICATE PLAIN ",
        "ID ",
        "CREATE a ",
        "USE ",
        "MODSEQ ",
        "\"/flags/\" all ",
        "CHANGEDSINCE ",
        "BINARY.SIZE[",
    ];
    postroad_fuzz::check!(INPUTS).with_type::<Vec<u8>>().for_each(|seed| {
        let words = seed.iter().map(|&byte| WORDS[usize::from(byte) % WORDS.len()]);
        let command: String = std::iter::once("a ").chain(words).collect();
        if let Err(error) = parse(command.as_bytes(), &syntax(false)) {
            assert!(error.position <= command.len());
            assert!(error.tag.is_some());
        }
    });
}

/// NOTIFY and UIDBATCHES, whose lists lie within each other (RFC 5465 §8, RFC 10022).
#[test]
fn fuzz_parse_words_of_notify_and_batches() {
    const WORDS: &[&str] = &[
        "NOTIFY ",
        "SET ",
        "NONE",
        "STATUS ",
        "(",
        ")",
        " ",
        "selected ",
        "selected-delayed ",
        "inboxes ",
        "personal ",
        "subscribed ",
        "subtree ",
        "mailboxes ",
        "INBOX",
        "\"a b\"",
        "{3}\r\nabc",
        "MessageNew ",
        "MessageExpunge",
        "FlagChange",
        "MailboxName",
        "SubscriptionChange",
        "AnnotationChange",
        "MailboxMetadataChange",
        "ServerMetadataChange",
        "(UID BODY.PEEK[])",
        "(FLAGS RFC822)",
        "UIDBATCHES ",
        "1000",
        "0",
        "1:2",
        ":",
        "4294967296",
        "\u{fc}",
    ];
    postroad_fuzz::check!(INPUTS).with_type::<(bool, Vec<u8>)>().for_each(|(notify, seed)| {
        let words = seed.iter().map(|&byte| WORDS[usize::from(byte) % WORDS.len()]);
        let name = if *notify { "NOTIFY SET (" } else { "UIDBATCHES " };
        let command: String = ["a ", name].into_iter().chain(words).collect();
        if let Err(error) = parse(command.as_bytes(), &syntax(false)) {
            assert!(error.position <= command.len());
            assert!(error.tag.is_some());
        }
    });
}

#[test]
fn fuzz_sets() {
    postroad_fuzz::check!(INPUTS).with_type::<(Vec<u8>, Vec<u8>)>().for_each(|(a, b)| {
        let _ = SequenceSet::parse(a, 10);
        let numbers = |bytes: &[u8]| NumberSet::from_unsorted(bytes.iter().map(|&byte| u32::from(byte)));
        let (left, right) = (numbers(a), numbers(b));
        assert_eq!(left.to_string().parse(), Ok(left.clone()));
        let mut grown = NumberSet::new();
        a.iter().for_each(|&byte| grown.insert(u32::from(byte)));
        assert_eq!(grown, left);
        let (both, either, rest) = (left.intersection(&right), left.union(&right), left.difference(&right));
        for number in 0..=256 {
            let (l, r) = (left.contains(number), right.contains(number));
            assert_eq!(l, number > 0 && a.iter().any(|&byte| u32::from(byte) == number));
            assert_eq!(both.contains(number), l && r);
            assert_eq!(either.contains(number), l || r);
            assert_eq!(rest.contains(number), l && !r);
        }
        assert_eq!(either.count(), rest.count() + right.count());
        let existing: Vec<u32> = right.iter().collect();
        assert_eq!(left.select(&existing), both.iter().collect::<Vec<u32>>());
    });
}

#[test]
fn fuzz_utf7() {
    postroad_fuzz::check!(INPUTS).with_type::<String>().for_each(|text| {
        assert_eq!(from_utf7(to_utf7(text).as_bytes()).as_ref(), Ok(text));
    });
}

#[test]
fn fuzz_utf7_bytes() {
    postroad_fuzz::check!(INPUTS).with_type::<Vec<u8>>().for_each(|bytes| {
        if let Ok(text) = from_utf7(bytes) {
            assert_eq!(to_utf7(&text).as_bytes(), bytes);
        }
        let _ = MailboxName::from_wire(bytes, false);
    });
}

#[test]
fn fuzz_names_come_back() {
    postroad_fuzz::check!(INPUTS).with_type::<(bool, String)>().for_each(|(utf8, text)| {
        let Ok(name) = MailboxName::from_text(text) else { return };
        let mut out = b"a SELECT ".to_vec();
        Writer::new(&mut out, *utf8).mailbox(&name);
        let command = parse(&out, &syntax(*utf8)).map(|command| format!("{:?}", command.body));
        let expected = format!("Select(Select {{ mailbox: {name:?}, condstore: false, qresync: None }})");
        assert_eq!(command.as_deref(), Ok(expected.as_str()), "{}", out.escape_ascii());
    });
}

#[test]
fn fuzz_strings_come_back() {
    postroad_fuzz::check!(INPUTS).with_type::<(bool, String)>().for_each(|(utf8, text)| {
        let mut out = b"a SEARCH CHARSET UTF-8 SUBJECT ".to_vec();
        Writer::new(&mut out, *utf8).astring(text.as_bytes());
        let command = parse(&out, &syntax(*utf8)).map(|command| format!("{:?}", command.body));
        let expected = text.replace('\0', " ");
        let expected =
            format!("Search(Search {{ numbering: Sequence, returns: None, key: Subject({expected:?}), push: [] }})");
        assert_eq!(command.as_deref(), Ok(expected.as_str()));
    });
}

#[test]
fn fuzz_flags_and_dates() {
    postroad_fuzz::check!(INPUTS).with_type::<(Vec<u8>, i64, i16)>().for_each(|(bytes, seconds, zone)| {
        if let Ok(flag) = Flag::parse(bytes) {
            assert_eq!(Flag::parse(flag.as_str().as_bytes()), Ok(flag));
        }
        let _ = DateTime::parse(bytes);
        let moment = DateTime { seconds: seconds % 253_402_300_800, offset: i32::from(zone % 1440) };
        let written = moment.format();
        if (0..250_000_000_000).contains(&moment.seconds) {
            assert_eq!(DateTime::parse(written.as_bytes()), Some(moment), "{written}");
        }
    });
}

#[test]
fn fuzz_patterns() {
    postroad_fuzz::check!(INPUTS).with_type::<(Vec<u8>, Vec<u8>)>().for_each(|(pattern, name)| {
        let text = |bytes: &[u8]| bytes.iter().map(|&byte| ['a', 'b', '/', '*', '%'][usize::from(byte) % 5]).collect();
        let (pattern, name): (String, String) =
            (text(&pattern[..pattern.len().min(12)]), text(&name[..name.len().min(12)]));
        let name = name.replace(['*', '%'], "a");
        let absolute = pattern.strip_prefix('/').unwrap_or(&pattern);
        assert_eq!(Pattern::new("", &pattern).matches(&name), plainly(absolute.as_bytes(), name.as_bytes()));
    });
}

/// The definition, exponential.
fn plainly(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((&wild @ (b'*' | b'%'), rest)) => (0..=name.len())
            .take_while(|&length| wild == b'*' || !name[..length].contains(&b'/'))
            .any(|length| plainly(rest, &name[length..])),
        Some((byte, rest)) => name.first() == Some(byte) && plainly(rest, &name[1..]),
    }
}

/// Whatever a server says, and however it is cut: the client's session ends or goes on, and keeps no more than its limits.
#[test]
fn fuzz_client_session() {
    use postroad_imap::client::{Event, Limits, Line, Session};
    postroad_fuzz::check!(2_000).with_type::<(Vec<u8>, u8)>().for_each(|(said, cut)| {
        let limits = Limits { response: 4_096, message: 4_096, ..Limits::default() };
        let mut session = Session::new(limits);
        session.input(b"* OK [CAPABILITY IMAP4rev1 LITERAL+] hello\r\n* 1 FETCH (UID 1 BODY[] {3}\r\nabc) \r\n* ");
        let _ = session.send(Line::new("UID FETCH 1").word("(UID BODY.PEEK[])"));
        for piece in said.chunks(usize::from(*cut).max(1)) {
            session.input(piece);
            loop {
                match session.step() {
                    Ok(Some(Event::Send)) => session.octets(b"x"),
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
            session.take_output();
        }
    });
}
