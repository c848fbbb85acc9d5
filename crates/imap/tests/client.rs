//! The client's session against what servers say: whole dialogues, odd forms, and hostile ones.
#![allow(clippy::unwrap_used)]

use postroad_imap::client::{Code, Error, Event, Limits, Line, Names, Response, Session, Status, parse};
use postroad_protocol::Bindings;
use postroad_sasl::{Client, ClientIdentity, Secret};

fn session(greeting: &[u8]) -> Session {
    let mut session = Session::new(Limits::default());
    session.input(greeting);
    assert!(matches!(session.step(), Ok(Some(Event::Greeting(_)))));
    session
}

fn said(session: &mut Session) -> String {
    String::from_utf8(session.take_output()).unwrap()
}

fn events(session: &mut Session) -> Vec<Event> {
    let mut all = Vec::new();
    while let Some(event) = session.step().unwrap() {
        all.push(event);
    }
    all
}

#[test]
fn what_came_before_tls_is_forgotten() {
    let mut session = session(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n");
    assert!(session.has("starttls"));
    session.start_tls().unwrap();
    assert_eq!(said(&mut session), "P1 STARTTLS\r\n");
    session.input(b"P1 OK go on\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN X-EVIL\r\n");
    assert_eq!(session.step().unwrap(), Some(Event::Handshake));
    assert_eq!(session.step().unwrap(), None, "nothing is read until TLS is there");
    session.input(b"* OK more of it\r\n");
    session.secured();
    assert_eq!((session.step().unwrap(), session.capabilities()), (None, None));
}

#[test]
fn a_literal_waits_unless_the_server_takes_it_at_once() {
    let mut waits = session(b"* OK [CAPABILITY IMAP4rev1] hello\r\n");
    waits.send(Line::new("SELECT").string("ü".as_bytes())).unwrap();
    assert_eq!(said(&mut waits), "P1 SELECT {2}\r\n");
    waits.input(b"+ go on\r\n");
    events(&mut waits);
    assert_eq!(said(&mut waits), "ü\r\n");
    let mut at_once = session(b"* OK [CAPABILITY IMAP4rev1 LITERAL+] hello\r\n");
    at_once.send(Line::new("SELECT").string("ü".as_bytes())).unwrap();
    assert_eq!(said(&mut at_once), "P1 SELECT {2+}\r\nü\r\n");
    // LITERAL-: small ones only.
    let mut minus = session(b"* OK [CAPABILITY IMAP4rev1 LITERAL-] hello\r\n");
    minus.send(Line::new("APPEND").string(b"x").message(4097)).unwrap();
    assert_eq!(said(&mut minus), "P1 APPEND \"x\" {4097}\r\n");
}

#[test]
fn several_messages_in_one_append() {
    let mut session = session(b"* OK [CAPABILITY IMAP4rev1 LITERAL+ MULTIAPPEND] hello\r\n");
    let line = Line::new("APPEND").string(b"x").flags(["\\Seen"]).message(3).flags(std::iter::empty()).message(2);
    session.send(line).unwrap();
    assert_eq!(session.step().unwrap(), Some(Event::Send));
    session.octets(b"abc");
    assert_eq!(session.step().unwrap(), Some(Event::Send));
    session.octets(b"dexxx");
    assert_eq!(said(&mut session), "P1 APPEND \"x\" (\\Seen) {3+}\r\nabc () {2+}\r\nde\r\n");
    session.input(b"P1 OK [APPENDUID 7 3:4] done\r\n");
    let [Event::Done(done)] = &events(&mut session)[..] else { panic!("one event") };
    assert_eq!(done.word.code, Some(Code::AppendUid(7, "3:4".parse().unwrap())));
}

#[test]
fn where_utf8_is_enabled_names_and_headers_go_in_it() {
    let mut session = session(b"* OK [CAPABILITY IMAP4rev1 LITERAL+ MULTIAPPEND ENABLE UTF8=ACCEPT] hello\r\n");
    session.send(Line::new("ENABLE UTF8=ACCEPT")).unwrap();
    assert_eq!((session.takes_utf8(), session.names()), (false, Names::Utf7), "it is not yet");
    session.input(b"* ENABLED utf8=accept\r\nP1 OK done\r\n");
    assert_eq!(events(&mut session).len(), 2);
    assert_eq!((session.takes_utf8(), session.names()), (true, Names::Utf8));
    said(&mut session);
    session.send(Line::new("SELECT").string("ü\"".as_bytes())).unwrap();
    session.send(Line::new("SELECT").string(b"\xc3")).unwrap();
    let octets = session.take_output();
    assert_eq!(octets, b"P2 SELECT \"\xc3\xbc\\\"\"\r\nP3 SELECT {1+}\r\n\xc3\r\n");
    // RFC 6855 §4: with others in one command.
    let line = Line::new("APPEND").string(b"x").utf8_message(3).flags(["\\Seen"]).message(2).utf8_message(1);
    session.send(line).unwrap();
    for octets in [&b"abc"[..], b"de", b"f"] {
        assert_eq!(session.step().unwrap(), Some(Event::Send));
        session.octets(octets);
    }
    let expected = "P4 APPEND \"x\" UTF8 (~{3+}\r\nabc) (\\Seen) {2+}\r\nde UTF8 (~{1+}\r\nf)\r\n";
    assert_eq!(said(&mut session), expected);
    // What was said before TLS counts for nothing.
    session.secured();
    assert!(!session.takes_utf8());
}

#[test]
fn a_message_is_handed_on_in_pieces_and_not_kept() {
    let mut session = session(b"* OK hello\r\n");
    session.send(Line::new("UID FETCH 7").word("(UID BODY.PEEK[])")).unwrap();
    let text = b"* 2 FETCH (FLAGS (\\Seen) BODY[] {12}\r\nP1 OK lies\r\n UID 7)\r\nP1 OK done\r\n";
    // However it is cut.
    let (mut octets, mut fetched) = (Vec::new(), None);
    for byte in text {
        session.input(&[*byte]);
        for event in events(&mut session) {
            match event {
                Event::Piece(piece) => octets.extend(piece),
                Event::Response(Response::Fetch(found)) => fetched = Some(found),
                Event::Begin(size) => assert_eq!(size, 12),
                Event::End | Event::Done(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(octets, b"P1 OK lies\r\n");
    let fetched = fetched.unwrap();
    assert_eq!((fetched.uid, fetched.flags), (Some(7), Some(vec!["\\Seen".to_owned()])));
}

#[test]
fn an_answer_that_does_not_show_the_password_is_nobody_s() {
    let mut session = session(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256] hello\r\n");
    let identity = ClientIdentity::password("alice", Secret::new("pw".into())).unwrap();
    let mechanism = postroad_sasl::find("SCRAM-SHA-256").unwrap();
    session.authenticate(Client::new(mechanism, identity, &Bindings::default()).unwrap()).unwrap();
    assert!(said(&mut session).starts_with("P1 AUTHENTICATE SCRAM-SHA-256 "));
    session.input(b"P1 OK come in\r\n");
    assert!(matches!(session.step(), Err(Error::Server(_))));
}

#[test]
fn a_password_that_is_repeated_is_not_passed_on() {
    let mut session = session(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n");
    let identity = ClientIdentity::password("alice", Secret::new("secret-word".into())).unwrap();
    let mechanism = postroad_sasl::find("PLAIN").unwrap();
    session.authenticate(Client::new(mechanism, identity, &Bindings::default()).unwrap()).unwrap();
    session.take_output();
    session.input(b"P1 NO wrong password: secret-word\r\n");
    let [Event::Done(done)] = &events(&mut session)[..] else { panic!("one event") };
    assert_eq!((done.word.status, done.word.text.as_str()), (Status::No, ""));
}

#[test]
fn responses_are_read_leniently() {
    let read = |text: &str| parse(text.as_bytes(), &Limits::default()).unwrap();
    assert!(matches!(read("* LIST (\\HasNoChildren) NIL NIL"), Response::List(found) if found.wire == b"NIL"));
    assert!(matches!(read("* SEARCH"), Response::Search(found) if found.is_empty()));
    assert!(matches!(read("* ESEARCH (TAG \"x\") UID ALL 1:3"), Response::Search(found) if found.count() == 3));
    assert!(matches!(read("* VANISHED (EARLIER) 4:6"), Response::Vanished(true, found) if found.count() == 3));
    assert!(matches!(read("* 4 FETCH (UID 3 FLAGS (\\Seen"), Response::Fetch(found) if found.uid == Some(3)));
    assert!(matches!(read("* OK [UIDVALIDITY 4294967296] too large"), Response::Word(_)));
    let Response::Fetch(found) = read(
        "* 1 FETCH (X-GM-MSGID 1278455344230334865 X-GM-LABELS (\\Inbox \"Muy Importante\" {1}\r\na) UID 9 \
         INTERNALDATE \" 7-Feb-2022 21:52:25 -0800\" RFC822.SIZE 44827 MODSEQ (7))",
    ) else {
        panic!("it is a FETCH")
    };
    assert_eq!(found.identity.as_deref(), Some("1278455344230334865"));
    assert_eq!(found.labels.unwrap(), [&b"\\Inbox"[..], b"Muy Importante", b"a"]);
    assert_eq!((found.size, found.modseq, found.date.unwrap().seconds), (Some(44_827), Some(7), 1_644_299_545));
    let Response::Status(name, items) = read("* STATUS \"a b\" (MESSAGES 231 UIDNEXT 44292)") else {
        panic!("it is a STATUS")
    };
    assert_eq!((name, items[1].1), (b"a b".to_vec(), 44_292));
}

#[test]
fn limits_end_the_connection() {
    let small = Limits { response: 100, message: 100, values: 10, depth: 2, ..Limits::default() };
    for hostile in [
        format!("* LIST ({}", "x".repeat(200)),
        "* LIST () \"/\" {101}\r\n".to_owned(),
        "* 1 FETCH (BODY[] {101}\r\n".to_owned(),
        "* LIST ((((\r\n".to_owned(),
        "* X 1 2 3 4 5 6 7 8 9 10 11 12\r\n".to_owned(),
        "* LIST () {99999999999999999999}\r\n* BAD\r\nP9 OK done\r\n".to_owned(),
    ] {
        let mut session = Session::new(small.clone());
        session.input(b"* OK hello\r\n");
        session.input(hostile.as_bytes());
        let ended = (0..1_000).find_map(|_| match session.step() {
            Ok(Some(_)) => None,
            Ok(None) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        });
        assert!(matches!(ended, Some(Err(Error::Server(_)))), "{hostile}: {ended:?}");
    }
}
