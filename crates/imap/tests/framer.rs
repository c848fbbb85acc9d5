//! The framer: what comes out of what is sent, however it is cut.

use postroad_imap::{Event, Framer, Limits, Syntax};

fn framer() -> Framer {
    let limits = Limits {
        line: 64,
        literal: 20,
        literals: 30,
        append: 1000,
        swallow: 5000,
        messages: 3,
        parts: 3,
        ..Limits::default()
    };
    Framer::new(Syntax { utf8: false, limits })
}

/// All events, one per line; pieces of a message are joined. APPEND is accepted, unless it goes to `refuse`.
fn events(framer: &mut Framer, pieces: &[&[u8]]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut message: Vec<u8> = Vec::new();
    let mut refuse = false;
    for piece in pieces {
        framer.feed(piece);
        loop {
            let event = framer.next_event();
            if !matches!(event, Event::AppendChunk(_) | Event::NeedInput) && !message.is_empty() {
                found.push(format!("message {}", message.escape_ascii()));
                message.clear();
            }
            match event {
                Event::NeedInput => break,
                Event::AppendChunk(chunk) => message.extend_from_slice(&chunk),
                Event::Command(command) => {
                    if command.ends_with(b"IDLE") {
                        framer.expect_line();
                    }
                    found.push(format!("command {}", command.escape_ascii()));
                }
                Event::Line(line) => found.push(format!("line {}", line.escape_ascii())),
                Event::Continue => found.push("continue".to_owned()),
                Event::AppendStart(append) => {
                    refuse = append.mailbox.as_str() == "refuse";
                    let replaces = append.replaces.map_or(String::new(), |replaced| {
                        format!(" for {:?} {}", replaced.numbering, replaced.number.unwrap_or(0))
                    });
                    found.push(format!("append {} to {}{replaces}", append.tag, append.mailbox));
                }
                Event::AppendMessage(head) => {
                    let flags = head.flags.iter().map(|flag| flag.as_str().to_owned());
                    found.push(format!("next {}", flags.collect::<String>()));
                }
                Event::AppendLiteral(literal) => {
                    let verdict = match refuse {
                        true => format!("refused, close {}", framer.refuse_append()),
                        false => format!("accepted, continue {}", framer.accept_append()),
                    };
                    let binary = if literal.binary { " binary" } else { "" };
                    found.push(format!("{:?}, {} octets{binary}, {verdict}", literal.kind, literal.size));
                }
                Event::AppendUrl(url) => found.push(format!("url {url}")),
                Event::AppendMessageEnd => found.push("message end".to_owned()),
                Event::AppendEnd => found.push("append end".to_owned()),
                Event::Refused(refused) => {
                    let tag = refused.tag.as_ref().map_or("*", |tag| tag.as_str());
                    let close = if refused.close { ", close" } else { "" };
                    found.push(format!("{tag} refused: {}{close}", refused.why));
                }
            }
        }
    }
    if !message.is_empty() {
        found.push(format!("message {}", message.escape_ascii()));
    }
    found
}

fn check(input: &str, expected: &[&str]) {
    let bytes = input.as_bytes();
    assert_eq!(events(&mut framer(), &[bytes]), expected, "{input:?}");
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(events(&mut framer(), &single), expected, "{input:?} octet by octet");
    for cut in 1..bytes.len() {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(events(&mut framer(), &[first, second]), expected, "{input:?} cut at {cut}");
    }
}

#[test]
fn commands_and_lines() {
    check("a NOOP\r\nb NOOP\r\n", &["command a NOOP", "command b NOOP"]);
    check("a NOOP\nb", &["command a NOOP"]);
    // iOS sends an empty line before a command.
    check("\r\n\r\n B41 UID MOVE 1 x\r\n", &["command  B41 UID MOVE 1 x"]);
    // iOS sends the next command together with DONE.
    check("a IDLE\r\nDONE\r\nb NOOP\r\n", &["command a IDLE", "line DONE", "command b NOOP"]);
    check("a IDLE\r\n\r\nb NOOP\r\n", &["command a IDLE", "line ", "command b NOOP"]);
}

#[test]
fn literals() {
    check(
        "a LOGIN {4}\r\nuser {4+}\r\npass\r\nb NOOP\r\n",
        &["continue", "command a LOGIN {4}\\r\\nuser {4+}\\r\\npass", "command b NOOP"],
    );
    check("a LOGIN {0+}\r\n x\r\n", &["command a LOGIN {0+}\\r\\n x"]);
    check("a LOGIN {2+}\r\n\r\n x\r\n", &["command a LOGIN {2+}\\r\\n\\r\\n x"]);
    check("a LOGIN user{5}\r\n", &["command a LOGIN user{5}"]);
    check("a LOGIN user{2+}\r\nab\r\n", &["command a LOGIN user{2+}\\r\\nab"]);
    check("a X {21}\r\nb NOOP\r\n", &["a refused: the literal is too big", "command b NOOP"]);
    let big = format!("a X {{21+}}\r\n{}\r\nb NOOP\r\n", "x".repeat(21));
    check(&big, &["a refused: the literal is too big", "command b NOOP"]);
    let more = format!("a X {{21+}}\r\n{} {{5+}}\r\n12\r\n5 {{3}}\r\nb NOOP\r\n", "x".repeat(21));
    check(&more, &["a refused: the literal is too big", "command b NOOP"]);
    let twice = format!("a X {{20+}}\r\n{} {{11+}}\r\n{}\r\nb NOOP\r\n", "x".repeat(20), "y".repeat(11));
    check(&twice, &["a refused: the literal is too big", "command b NOOP"]);
    check("a X {5001+}\r\nxxx", &["a refused: the literal is too big, close"]);
    check("a X {99999999999999999999+}\r\nxxx", &["a refused: the literal is too big, close"]);
}

#[test]
fn long_lines() {
    let exact = format!("a {}\r\n", "x".repeat(62));
    check(&exact, &[&format!("command a {}", "x".repeat(62))]);
    let long = format!("a {}\r\nb NOOP\r\n", "x".repeat(63));
    check(&long, &["a refused: the line is too long", "command b NOOP"]);
    let announcing = format!("a {} {{7+}}\r\nb NOOP\n\r\nc NOOP\r\n", "x".repeat(80));
    check(&announcing, &["a refused: the line is too long", "command c NOOP"]);
    let in_pieces = format!("a {} {{1+}}\r\nx{}\r\nb NOOP\r\n", "x".repeat(50), "y".repeat(10));
    check(&in_pieces, &["a refused: the line is too long", "command b NOOP"]);
    let raw = format!("a IDLE\r\n{}\r\nb NOOP\r\n", "x".repeat(65));
    check(&raw, &["command a IDLE", "* refused: the line is too long", "command b NOOP"]);
    check(&"x".repeat(300), &["* refused: the line is too long"]);
    let endless = "x".repeat(5001);
    assert_eq!(
        events(&mut framer(), &[endless.as_bytes()]),
        ["* refused: the line is too long", "* refused: the literal is too big, close"]
    );
}

#[test]
fn messages_flow() {
    check(
        "a APPEND x (\\Seen) {5}\r\nhello\r\nb NOOP\r\n",
        &[
            "append a to x",
            "next \\Seen",
            "Message, 5 octets, accepted, continue true",
            "message hello",
            "message end",
            "append end",
            "command b NOOP",
        ],
    );
    check(
        "a APPEND {1+}\r\nx ~{5+}\r\nhello \r\n",
        &[
            "append a to x",
            "next ",
            "Message, 5 octets binary, accepted, continue false",
            "message hello",
            "message end",
            "append end",
        ],
    );
    check(
        "a APPEND x {0+}\r\n\r\n",
        &["append a to x", "next ", "Message, 0 octets, accepted, continue false", "message end", "append end"],
    );
    let refused = ["append a to refuse", "next ", "Message, 5 octets, refused, close false", "command b NOOP"];
    check("a APPEND refuse {5}\r\nb NOOP\r\n", &refused);
    check("a APPEND refuse {5+}\r\nhello\r\nb NOOP\r\n", &refused);
    check("a APPEND refuse {5+}\r\nhello (\\Seen) {3+}\r\nabc\r\nb NOOP\r\n", &refused);
    check("a APPEND x {1001}\r\nb NOOP\r\n", &["a refused: the message is too big", "command b NOOP"]);
    check("a APPEND x {9999+}\r\nb", &["a refused: the message is too big, close"]);
    check("a APPEND x (\\) {3+}\r\nabc\r\nb NOOP\r\n", &["a refused: expected a flag at octet 12", "command b NOOP"]);
    check("a APPEND\r\nb NOOP\r\n", &["a refused: expected a mailbox name at octet 8", "command b NOOP"]);
    check(
        "a APPEND x {3+}\r\nabcX\r\nb NOOP\r\n",
        &[
            "append a to x",
            "next ",
            "Message, 3 octets, accepted, continue false",
            "message abc",
            "message end",
            "a refused: expected the end of the line after the message at octet 0",
            "command b NOOP",
        ],
    );
}

#[test]
fn several_messages_flow() {
    check(
        "a APPEND x {3+}\r\nabc (\\Seen) {2}\r\nxy\r\nb NOOP\r\n",
        &[
            "append a to x",
            "next ",
            "Message, 3 octets, accepted, continue false",
            "message abc",
            "message end",
            "next \\Seen",
            "Message, 2 octets, accepted, continue true",
            "message xy",
            "message end",
            "append end",
            "command b NOOP",
        ],
    );
    check(
        "a REPLACE 4 x CATENATE (URL {2+}\r\n/a TEXT {3+}\r\nabc URL /b) \r\nb NOOP\r\n",
        &[
            "append a to x for Sequence 4",
            "next ",
            "url /a",
            "Part, 3 octets, accepted, continue false",
            "message abc",
            "url /b",
            "message end",
            "append end",
            "command b NOOP",
        ],
    );
    check(
        "a APPEND x CATENATE (URL /a) UTF8 (~{3+}\r\nabc)\r\n",
        &[
            "append a to x",
            "next ",
            "url /a",
            "message end",
            "next ",
            "Utf8Message, 3 octets binary, accepted, continue false",
            "message abc",
            "message end",
            "append end",
        ],
    );
    check(
        "a UID REPLACE 4 x {1+}\r\na {1+}\r\nb\r\nb NOOP\r\n",
        &[
            "append a to x for Uid 4",
            "next ",
            "Message, 1 octets, accepted, continue false",
            "message a",
            "message end",
            "a refused: expected one message, not several at octet 0",
            "command b NOOP",
        ],
    );
}

#[test]
fn messages_and_parts_are_counted() {
    let three = "{1+}\r\na ".repeat(3);
    let found = events(&mut framer(), &[format!("a APPEND x {three}{{1+}}\r\na\r\nb NOOP\r\n").as_bytes()]);
    assert_eq!(found[found.len() - 2..], ["a refused: no more than 3 messages at once", "command b NOOP"]);
    let four = "URL /a ".repeat(4);
    let found = events(&mut framer(), &[format!("a APPEND x CATENATE ({four})\r\nb NOOP\r\n").as_bytes()]);
    assert_eq!(found, ["a refused: the message has too many parts", "command b NOOP"]);
    let texts = "TEXT {1+}\r\na ".repeat(4);
    let found = events(&mut framer(), &[format!("a APPEND x CATENATE ({texts})\r\nb NOOP\r\n").as_bytes()]);
    assert_eq!(found[found.len() - 2..], ["a refused: the message has too many parts", "command b NOOP"]);
}

#[test]
fn a_message_can_be_refused_half_way() {
    let mut framer = framer();
    framer.feed(b"a APPEND x {8+}\r\nhell");
    assert!(matches!(framer.next_event(), Event::AppendStart(_)));
    assert!(matches!(framer.next_event(), Event::AppendMessage(_)));
    assert!(matches!(framer.next_event(), Event::AppendLiteral(_)));
    framer.accept_append();
    assert_eq!(framer.next_event(), Event::AppendChunk(b"hell".to_vec()));
    assert!(!framer.refuse_append());
    framer.feed(b"o\r\n\r {2+}\r\nxy\r\nb NOOP\r\n");
    assert_eq!(framer.next_event(), Event::Command(b"b NOOP".to_vec()));
}

#[test]
fn an_append_can_be_refused_between_its_parts() {
    let mut framer = framer();
    framer.feed(b"a APPEND x CATENATE (URL /a URL /b)\r\nb NOOP\r\n");
    assert!(matches!(framer.next_event(), Event::AppendStart(_)));
    assert!(matches!(framer.next_event(), Event::AppendMessage(_)));
    assert_eq!(framer.next_event(), Event::AppendUrl("/a".to_owned()));
    assert!(!framer.refuse_append());
    assert_eq!(framer.next_event(), Event::Command(b"b NOOP".to_vec()));
    framer.feed(b"c APPEND x CATENATE (TEXT {1+}\r\na");
    while !matches!(framer.next_event(), Event::AppendLiteral(_)) {}
    framer.accept_append();
    assert_eq!(framer.next_event(), Event::AppendChunk(b"a".to_vec()));
    assert_eq!(framer.next_event(), Event::NeedInput);
    assert!(!framer.refuse_append());
    framer.feed(b" TEXT {2+}\r\n\r\n)\r\nd NOOP\r\n");
    assert_eq!(framer.next_event(), Event::Command(b"d NOOP".to_vec()));
}

#[test]
fn starttls_drops_what_was_sent_in_clear() {
    let mut framer = framer();
    framer.feed(b"a STARTTLS\r\nb LOGIN x y\r\nc LO");
    assert_eq!(framer.next_event(), Event::Command(b"a STARTTLS".to_vec()));
    assert_eq!(framer.clear(), 17);
    assert_eq!(framer.next_event(), Event::NeedInput);
    framer.feed(b"d NOOP\r\n");
    assert_eq!(framer.next_event(), Event::Command(b"d NOOP".to_vec()));
}

#[test]
fn any_cut_gives_the_same() {
    postroad_fuzz::check!(2000).with_type::<(Vec<u8>, Vec<u8>)>().for_each(|(seed, cuts)| {
        let input = from_seed(seed);
        let whole = events(&mut framer(), &[&input]);
        let mut pieces: Vec<&[u8]> = Vec::new();
        let mut rest = &input[..];
        for &cut in cuts {
            let (piece, after) = rest.split_at(rest.len().min(usize::from(cut)));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        assert_eq!(events(&mut framer(), &pieces), whole, "{}", input.escape_ascii());
    });
}

/// Random bytes rarely make commands: let them choose among pieces of these.
fn from_seed(seed: &[u8]) -> Vec<u8> {
    const WORDS: [&[u8]; 24] = [
        b"f REPLACE 1 x CATENATE (",
        b"TEXT {5+}\r\n",
        b"URL /a",
        b")",
        b"a NOOP",
        b"\r\n",
        b"\n",
        b" ",
        b"{",
        b"}",
        b"+",
        b"5",
        b"b APPEND x ",
        b"{5+}\r\n",
        b"{30}\r\n",
        b"{1200+}\r\n",
        b"hello",
        b"c IDLE\r\n",
        b"\r",
        b"(\\Seen) ",
        b"d APPEND refuse {9+}\r\n",
        b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        b"~{3}\r\n",
        b"e LOGIN {2}\r\n",
    ];
    seed.iter().flat_map(|&byte| WORDS[usize::from(byte) % WORDS.len()].iter().copied()).collect()
}
