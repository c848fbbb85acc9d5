//! GSSAPI and GSS-SPNEGO against a library of the test's own: what is asked when, and what is never asked.
#![allow(missing_docs)]

mod common;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Next, Talk, begin, tls};
use postroad_sasl::gss::{Choice, Context, Form, Kind, OFFER, Question, ROUNDS_MAX, Step, TOKEN_LIMIT, first};
use postroad_sasl::{Answer, Error, Evidence, Turn};

/// A first token of Kerberos, and one of SPNEGO that offers it.
const KERBEROS: &[u8] = b"\x60\x0d\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01\x00";
const NEGOTIATION: &[u8] = b"\x60\x1b\x06\x06\x2b\x06\x01\x05\x05\x02\xa0\x11\x30\x0f\xa0\x0d\x30\x0b\x06\x09\x2a\x86\x48\x82\xf7\x12\x01\x02\x02";
const PEER: &str = "alice@EXAMPLE.TEST";

fn line(octets: &[u8]) -> Vec<u8> {
    BASE64_STANDARD.encode(octets).into_bytes()
}

fn question(turn: Next) -> (String, Question) {
    let Turn::Ask(ask) = turn else { panic!("{turn:?}") };
    match ask.evidence {
        Evidence::Gss(question) => (ask.authcid, *question),
        other => panic!("{other:?}"),
    }
}

fn step(context: &Context, token: &[u8], peer: Option<&str>) -> Answer<String, &'static str> {
    let offer = if peer.is_some() { b"an offer".to_vec() } else { Vec::new() };
    Answer::Gss(Step { context: context.clone(), token: token.to_vec(), peer: peer.map(str::to_owned), offer })
}

fn malformed(turn: Next) -> Error {
    match turn {
        Turn::Ask(ask) => match ask.evidence {
            Evidence::Malformed(error) => error,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn challenge(turn: Next) -> Vec<u8> {
    match turn {
        Turn::Challenge(text) => BASE64_STANDARD.decode(text).expect("base64"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn gssapi_goes_its_way() {
    let (tls, context) = (tls(), Context::new(7_u8));
    let (mut exchange, turn) = begin("GSSAPI", None, Some(&tls));
    assert_eq!(challenge(turn), b"");
    let (authcid, asked) = question(exchange.answer(&line(KERBEROS)));
    let end_point = tls.bindings.end_point.clone();
    assert!(end_point.is_some());
    let expected = Question::Token { context: None, form: Form::Gssapi, token: KERBEROS.to_vec(), end_point };
    assert_eq!((authcid.as_str(), asked), ("", expected));
    // A second round, of which nothing is looked at here, in the same context.
    assert_eq!(challenge(exchange.answered(step(&context, b"more", None))), b"more");
    let (_, asked) = question(exchange.answer(&line(b"anything")));
    assert!(matches!(&asked, Question::Token { context: Some(same), .. } if *same == context), "{asked:?}");
    assert_ne!(context, Context::new(7_u8));
    assert_eq!(context.kept::<u8>(), Some(&7));
    // The context stands: our last token, nothing, the offer, the choice.
    assert_eq!(challenge(exchange.answered(step(&context, b"last", Some(PEER)))), b"last");
    assert_eq!(challenge(exchange.answer(b"")), b"an offer");
    let (authcid, asked) = question(exchange.answer(&line(b"a choice")));
    assert_eq!((authcid.as_str(), asked), (PEER, Question::Choice { context, wrapped: b"a choice".to_vec() }));
    assert_eq!(exchange.answered(Answer::granted("alice".into())), Turn::Done("alice".into()));
}

#[test]
fn gssapi_without_mutual_authentication_is_shorter() {
    let context = Context::new(());
    let (mut exchange, turn) = begin("GSSAPI", Some(&line(KERBEROS)), None);
    question(turn);
    assert_eq!(challenge(exchange.answered(step(&context, b"", Some(PEER)))), b"an offer");
    question(exchange.answer(&line(b"a choice")));
    assert_eq!(exchange.answered(Answer::refused("no")), Turn::Refused("no"));
}

#[test]
fn negotiation_has_no_layer() {
    for last in [&b""[..], b"last"] {
        let context = Context::new(());
        let (mut exchange, turn) = begin("GSS-SPNEGO", Some(&line(NEGOTIATION)), None);
        let (_, asked) = question(turn);
        assert!(matches!(asked, Question::Token { form: Form::Spnego, .. }));
        let (authcid, asked) = question(exchange.answered(step(&context, last, Some(PEER))));
        assert_eq!((authcid.as_str(), asked), (PEER, Question::Peer { context }));
        let turn = exchange.answered(Answer::granted("alice".into()));
        if last.is_empty() {
            assert_eq!(turn, Turn::Done("alice".into()));
            continue;
        }
        assert_eq!(challenge(turn), last);
        assert_eq!(exchange.answer(b""), Turn::Done("alice".into()));
    }
}

#[test]
fn who_leaves_the_way_is_not_let_in() {
    let context = Context::new(());
    let stands = |form: &'static str, token: &[u8]| -> Talk {
        let first = if form == "GSSAPI" { KERBEROS } else { NEGOTIATION };
        let (mut exchange, turn) = begin(form, Some(&line(first)), None);
        question(turn);
        exchange.answered(step(&context, token, Some(PEER)));
        exchange
    };
    // Something where nothing is due, after it was granted, too.
    assert_eq!(malformed(stands("GSSAPI", b"last").answer(&line(b"x"))), Error::BadMessage);
    let mut granted = stands("GSS-SPNEGO", b"last");
    challenge(granted.answered(Answer::granted("alice".into())));
    assert_eq!(malformed(granted.answer(&line(b"x"))), Error::BadMessage);
    assert_eq!(granted.answered(Answer::granted("alice".into())), Turn::Failed(Error::BadMessage));
    // Granted before it was asked.
    let (mut early, _) = begin("GSSAPI", Some(&line(KERBEROS)), None);
    assert_eq!(malformed(early.answered(Answer::granted("alice".into()))), Error::BadMessage);
    // A library that is not done and has nothing to say; rounds without an end.
    let (mut silent, _) = begin("GSSAPI", Some(&line(KERBEROS)), None);
    assert_eq!(malformed(silent.answered(step(&context, b"", None))), Error::BadMessage);
    let (mut long, mut turn) = begin("GSSAPI", Some(&line(KERBEROS)), None);
    for _ in 1..ROUNDS_MAX {
        question(turn);
        challenge(long.answered(step(&context, b"more", None)));
        turn = long.answer(&line(b"more"));
    }
    question(turn);
    challenge(long.answered(step(&context, b"more", None)));
    assert_eq!(malformed(long.answer(&line(b"more"))), Error::BadMessage);
    // No token, and more than there may be.
    for (first, error) in [(&b"="[..], Error::BadMessage), (&line(&vec![0; TOKEN_LIMIT + 1]), Error::TooLong)] {
        assert_eq!(malformed(begin("GSSAPI", Some(first), None).1), error);
    }
}

/// Octets near to a token: one of the two, with a stretch replaced.
fn near(which: bool, at: u8, with: &[u8]) -> Vec<u8> {
    let token = if which { KERBEROS } else { NEGOTIATION };
    let at = usize::from(at) % token.len();
    let rest = token.get(at + with.len()..).unwrap_or_default();
    [&token[..at], with, rest].concat()
}

#[test]
fn fuzz_tokens() {
    assert_eq!(
        (first(Form::Gssapi, KERBEROS), first(Form::Spnego, NEGOTIATION)),
        (Ok(Kind::Kerberos), Ok(Kind::Negotiation))
    );
    postroad_fuzz::check!(4_000).with_type::<(bool, u8, Vec<u8>)>().for_each(|(which, at, with)| {
        for token in [with.clone(), near(*which, *at, with)] {
            // What is taken for a negotiation is taken under both names, Kerberos by itself under one.
            match first(Form::Spnego, &token) {
                Ok(kind) => assert_eq!((kind, first(Form::Gssapi, &token)), (Kind::Negotiation, Ok(kind))),
                Err(_) => assert_ne!(first(Form::Gssapi, &token), Ok(Kind::Negotiation)),
            }
        }
    });
}

#[test]
fn fuzz_choices() {
    postroad_fuzz::check!(2_000).with_type::<Vec<u8>>().for_each(|message| {
        if let Ok(choice) = Choice::read(message) {
            let again = [&OFFER[..], choice.authzid.as_deref().unwrap_or_default().as_bytes()].concat();
            assert_eq!((message[0], &message[4..]), (OFFER[0], &again[4..]));
        }
        assert_eq!(
            Choice::read(&[&OFFER[..], message].concat()).is_ok(),
            std::str::from_utf8(message).is_ok_and(|text| !text.contains('\0') && text.len() <= 1_024)
        );
    });
}

/// Anything that a client may say to a library that lets the third token through, and a world that lets nobody in.
#[test]
fn fuzz_exchanges_with_a_library() {
    postroad_fuzz::check!(2_000).with_type::<(bool, bool, Vec<Vec<u8>>)>().for_each(|(form, mutual, messages)| {
        let (name, token) = if *form { ("GSSAPI", KERBEROS) } else { ("GSS-SPNEGO", NEGOTIATION) };
        let (mut exchange, mut turn) = begin(name, Some(&line(token)), None);
        let mut messages = messages.iter();
        let mut steps = 0;
        for _ in 0..32 {
            turn = match turn {
                Turn::Challenge(_) => {
                    let Some(message) = messages.next() else { return };
                    exchange.answer(&line(message))
                }
                Turn::Ask(ask) => match ask.evidence {
                    Evidence::Gss(asked) => match *asked {
                        Question::Token { context, token, .. } => {
                            assert!(!token.is_empty() && context.is_some() == (steps > 0));
                            steps += 1;
                            let last: &[u8] = if *mutual { b"last" } else { b"" };
                            let context = context.unwrap_or_else(|| Context::new(()));
                            let done = steps == 3;
                            exchange.answered(step(&context, if done { last } else { b"more" }, done.then_some(PEER)))
                        }
                        Question::Choice { .. } | Question::Peer { .. } => {
                            assert_eq!((steps, ask.authcid.as_str()), (3, PEER));
                            exchange.answered(Answer::refused("nobody"))
                        }
                    },
                    Evidence::Malformed(_) => exchange.answered(Answer::refused("nobody")),
                    other => panic!("{other:?}"),
                },
                Turn::Done(who) => panic!("{who} came in"),
                Turn::Refused(_) | Turn::Unavailable | Turn::Malformed(..) | Turn::Failed(_) => return,
            };
        }
        panic!("it does not end");
    });
}
