//! NTLM from both sides: who knows the password comes in, and every way around it is refused.
#![allow(missing_docs)]

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postroad_protocol::{Bindings, TlsFacts};
use postroad_sasl::ntlm::{MESSAGE_LIMIT, Names, NtHash, challenge};
use postroad_sasl::{
    Answer, Ask, Channel, Client, ClientIdentity, Error, Evidence, Exchange, Secret, Turn, choose, find,
};

type Talk = Exchange<String, &'static str>;
type Next = Turn<String, &'static str>;

const NOW: i64 = 1_795_338_907_000_000;

fn answer(ask: Ask, number: u8) -> Answer<String, &'static str> {
    match ask.evidence {
        Evidence::NtlmFlags(flags) => {
            assert_eq!(ask.authcid, "");
            Answer::Challenge(challenge(flags, &Names::new("mail.example.test"), [number; 8], NOW))
        }
        Evidence::NtlmProof(proof) => match proof.verify(&NtHash::of_password("right")) {
            true => Answer::granted(ask.authcid),
            false => Answer::refused("wrong"),
        },
        Evidence::Malformed(_) => Answer::refused("malformed"),
        other => panic!("NTLM asks for no {other:?}"),
    }
}

fn tls(end_point: Option<u8>) -> TlsFacts {
    let bindings = Bindings { exporter: None, end_point: end_point.map(|octet| vec![octet; 32]) };
    TlsFacts { version: "TLSv1.3", bindings, ..Default::default() }
}

/// An exchange that stands before AUTHENTICATE, with its challenge.
fn challenged(tls: Option<&TlsFacts>, negotiate: &[u8], number: u8) -> (Talk, Vec<u8>) {
    let row = find("ntlm").expect("NTLM");
    let (mut exchange, turn) = Talk::begin(row, None, Channel { tls, offered: &[row] });
    assert_eq!(turn, Turn::Challenge(String::new()));
    assert_eq!((exchange.invitation(), exchange.invitation()), (Some("ntlm supported"), None));
    let turn = exchange.answer(BASE64_STANDARD.encode(negotiate).as_bytes());
    let Turn::Ask(ask) = turn else { panic!("{turn:?}") };
    let turn = exchange.answered(answer(ask, number));
    let Turn::Challenge(text) = turn else { panic!("{turn:?}") };
    (exchange, BASE64_STANDARD.decode(text).expect("base64"))
}

fn finish(mut exchange: Talk, message: &[u8]) -> Next {
    match exchange.answer(BASE64_STANDARD.encode(message).as_bytes()) {
        Turn::Ask(ask) => exchange.answered(answer(ask, 0)),
        turn => turn,
    }
}

/// A client of ours: its NEGOTIATE, and what answers a challenge.
fn client(user: &str, password: &str, end_point: Option<u8>) -> (Client, Vec<u8>) {
    let identity = ClientIdentity::password(user, Secret::new(password.into())).expect("random");
    let identity = identity.with_nonce("nonce");
    let mut client = Client::new(find("NTLM").expect("NTLM"), identity, &tls(end_point).bindings).expect("a client");
    let first = client.initial().expect("NEGOTIATE");
    (client, BASE64_STANDARD.decode(first.expose()).expect("base64"))
}

fn authenticate(client: &mut Client, challenge: &[u8]) -> Vec<u8> {
    let said = client.answer(BASE64_STANDARD.encode(challenge).as_bytes()).expect("AUTHENTICATE");
    BASE64_STANDARD.decode(said.expose()).expect("base64")
}

/// One exchange with a message changed on its way.
fn with_changed(change: impl FnOnce(&mut Vec<u8>)) -> Next {
    let connection = tls(Some(9));
    let (mut client, negotiate) = client("CORP\\alice", "right", Some(9));
    let (exchange, challenge) = challenged(Some(&connection), &negotiate, 1);
    let mut message = authenticate(&mut client, &challenge);
    change(&mut message);
    finish(exchange, &message)
}

/// Where a field of AUTHENTICATE begins.
fn offset(message: &[u8], field: usize) -> usize {
    let octets: [u8; 4] = message[field + 4..field + 8].try_into().expect("four");
    u32::from_le_bytes(octets) as usize
}

const NT: usize = 20;
const USER: usize = 36;
const FLAGS: usize = 60;
const CODE: usize = 72;

#[test]
fn who_knows_the_password_comes_in() {
    for (user, name, bound) in [
        ("CORP\\alice", "CORP\\alice", Some(9)),
        ("alice@example.test", "alice@example.test", Some(9)),
        ("alice", "alice", None),
        ("Übung@example.test", "Übung@example.test", None),
    ] {
        let connection = tls(bound);
        let (mut client, negotiate) = client(user, "right", bound);
        let (exchange, challenge) = challenged(Some(&connection), &negotiate, 1);
        let message = authenticate(&mut client, &challenge);
        assert_eq!(finish(exchange, &message), Turn::Done(name.to_owned()), "{user}");
        assert_eq!(client.finished(None), Ok(()));
    }
}

#[test]
fn a_wrong_password_does_not() {
    let (mut client, negotiate) = client("alice", "wrong", None);
    let (exchange, challenge) = challenged(None, &negotiate, 1);
    let message = authenticate(&mut client, &challenge);
    assert_eq!(finish(exchange, &message), Turn::Refused("wrong"));
}

#[test]
fn a_proof_of_noughts_or_without_its_last_octet_is_wrong() {
    assert!(matches!(with_changed(|_| ()), Turn::Done(_)));
    let proof = |octet: u8| {
        move |message: &mut Vec<u8>| {
            let at = offset(message, NT);
            message[at..at + 16].fill(octet);
        }
    };
    assert_eq!(with_changed(proof(0)), Turn::Refused("wrong"));
    assert_eq!(with_changed(proof(0xee)), Turn::Refused("wrong"));
    assert_eq!(with_changed(|message| message[NT] -= 1), Turn::Refused("wrong"));
    // Another name than the one that the proof is made with.
    assert_eq!(
        with_changed(|message| {
            let at = offset(message, USER);
            message[at] = b'b';
        }),
        Turn::Refused("wrong")
    );
}

#[test]
fn a_stripped_or_wrong_integrity_code_is_refused() {
    assert_eq!(with_changed(|message| message[CODE..CODE + 16].fill(0)), Turn::Refused("wrong"));
    assert_eq!(with_changed(|message| message[CODE + 15] ^= 1), Turn::Refused("wrong"));
    // Taken out whole: all fields move.
    let stripped = with_changed(|message| {
        message.drain(CODE..CODE + 16);
        for field in (12..60).step_by(8) {
            let at = (offset(message, field) as u32 - 16).to_le_bytes();
            message[field + 4..field + 8].copy_from_slice(&at);
        }
    });
    assert_eq!(stripped, Turn::Malformed(Error::BadMessage, "malformed"));
    // The promise itself is proven: without it the proof is another's.
    let unpromised = with_changed(|message| {
        let promise = [6, 0, 4, 0, 2, 0, 0, 0];
        let at = message.windows(8).position(|part| part == promise).expect("the promise");
        message[at + 4] = 0;
    });
    assert_eq!(unpromised, Turn::Refused("wrong"));
    // Flags are in no proof; the code is over them.
    assert_eq!(with_changed(|message| message[FLAGS + 1] ^= 0x80), Turn::Refused("wrong"));
}

#[test]
fn an_answer_to_another_challenge_is_refused() {
    let (mut client, negotiate) = client("alice", "right", None);
    let (first, challenge) = challenged(None, &negotiate, 1);
    let message = authenticate(&mut client, &challenge);
    // On another connection, or the same one later, there is another challenge.
    let (second, _) = challenged(None, &negotiate, 2);
    assert_eq!(finish(second, &message), Turn::Refused("wrong"));
    // A challenge is gone with its answer, whatever that was.
    let mut first = first;
    let Turn::Ask(ask) = first.answer(b"TlRMTVNTUAA=") else { panic!("it is counted") };
    assert_eq!(first.answered(answer(ask, 0)), Turn::Malformed(Error::BadMessage, "malformed"));
    assert_eq!(finish(first, &message), Turn::Malformed(Error::BadMessage, "malformed"));
}

#[test]
fn who_is_bound_to_another_connection_is_refused() {
    for (bound, connection, comes_in) in [
        (Some(9), Some(9), true),
        (None, Some(9), true),
        (None, None, true),
        (Some(8), Some(9), false),
        (Some(9), None, false),
    ] {
        let facts = tls(connection);
        let (mut client, negotiate) = client("alice", "right", bound);
        let (exchange, challenge) = challenged(Some(&facts), &negotiate, 1);
        let turn = finish(exchange, &authenticate(&mut client, &challenge));
        match comes_in {
            true => assert!(matches!(turn, Turn::Done(_)), "{bound:?} {connection:?}"),
            false => assert_eq!(turn, Turn::Malformed(Error::BadBinding, "malformed"), "{bound:?} {connection:?}"),
        }
    }
    // Behind TLS that somebody else ended, the client is bound and we are in clear.
    let (mut client, negotiate) = client("alice", "right", Some(9));
    let (exchange, challenge) = challenged(None, &negotiate, 1);
    assert_eq!(
        finish(exchange, &authenticate(&mut client, &challenge)),
        Turn::Malformed(Error::BadBinding, "malformed")
    );
}

#[test]
fn nobody_version_1_and_lm_are_refused() {
    let empty = |field: usize| move |message: &mut Vec<u8>| message[field..field + 4].fill(0);
    assert_eq!(with_changed(empty(USER)), Turn::Malformed(Error::BadMessage, "malformed"));
    assert_eq!(with_changed(empty(NT)), Turn::Malformed(Error::BadMessage, "malformed"));
    assert_eq!(with_changed(|message| message[FLAGS + 1] |= 0x08), Turn::Malformed(Error::BadMessage, "malformed"));
    // 24 octets are version 1, or LM with session security.
    assert_eq!(
        with_changed(|message| message[NT..NT + 4].copy_from_slice(&[24, 0, 24, 0])),
        Turn::Malformed(Error::BadMessage, "malformed")
    );
    // Another version of what is behind the proof.
    assert_eq!(
        with_changed(|message| {
            let at = offset(message, NT);
            message[at + 16] = 2;
        }),
        Turn::Malformed(Error::BadMessage, "malformed")
    );
}

#[test]
fn messages_that_are_none_are_refused() {
    let (_, negotiate) = client("alice", "right", None);
    let row = find("NTLM").expect("NTLM");
    let mut neither = negotiate.clone();
    neither[12] &= !3;
    let wrong: [(&[u8], Error); 6] = [
        (b"", Error::BadMessage),
        (b"NTLMSSP\0", Error::BadMessage),
        (&negotiate[..15], Error::BadMessage),
        (&neither, Error::BadMessage),
        (b"NTLMSSP\0\x03\0\0\0\x07\0\0\0", Error::BadMessage),
        (&[b'N'; MESSAGE_LIMIT + 1], Error::TooLong),
    ];
    for (message, error) in wrong {
        let line = BASE64_STANDARD.encode(message);
        let line = if line.is_empty() { "=".to_owned() } else { line };
        let (_, turn) = Talk::begin(row, Some(line.as_bytes()), Channel { tls: None, offered: &[row] });
        let Turn::Ask(ask) = turn else { panic!("{turn:?}") };
        assert_eq!(ask.evidence, Evidence::Malformed(error), "{line:.40}");
    }
    for field in (12..60).step_by(8) {
        for (length, at) in [(4u16, u32::MAX), (u16::MAX, 88), (4, 100_000), (4, 8)] {
            let outside = with_changed(|message| {
                message[field..field + 2].copy_from_slice(&length.to_le_bytes());
                message[field + 4..field + 8].copy_from_slice(&at.to_le_bytes());
            });
            assert_eq!(outside, Turn::Malformed(Error::BadMessage, "malformed"), "{field} {length} {at}");
        }
    }
    // Half a sign, and half of a pair of surrogates.
    assert_eq!(with_changed(|message| message[USER] -= 1), Turn::Malformed(Error::BadMessage, "malformed"));
    for unit in [[0x00, 0xd8], [0, 0]] {
        let turn = with_changed(|message| {
            let at = offset(message, USER);
            message[at..at + 2].copy_from_slice(&unit);
        });
        assert_eq!(turn, Turn::Malformed(Error::BadMessage, "malformed"));
    }
}

#[test]
fn a_client_takes_it_last_and_never_in_clear() {
    let identity = ClientIdentity::password("alice", Secret::new("right".into())).expect("random");
    let chosen = |offered: &[&'static str], private| {
        choose(offered.iter().copied(), &identity, &Bindings::default(), private).map(|row| row.name)
    };
    assert_eq!(chosen(&["NTLM", "LOGIN"], true), Some("LOGIN"));
    assert_eq!(chosen(&["GSSAPI", "NTLM"], true), Some("NTLM"));
    assert_eq!(chosen(&["NTLM"], false), None);
}

#[test]
fn a_server_that_would_have_version_1_hears_nothing() {
    let (mut client, negotiate) = client("alice", "right", None);
    let (_, mut challenge) = challenged(None, &negotiate, 1);
    // Without information about the server there can be no version 2.
    challenge[22] &= !0x80;
    let line = BASE64_STANDARD.encode(&challenge);
    assert_eq!(client.answer(line.as_bytes()).expect_err("refused"), Error::BadMessage);
}
