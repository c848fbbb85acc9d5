//! Anything in, no panic; nobody comes in but with what the world said was good.
//!
//! `fuzz_exchanges` runs every mechanism on raw lines, `fuzz_messages` on messages that are base64 at least, `fuzz_near_misses` on
//! messages near to right ones, `fuzz_ntlm` on those of NTLM, and `fuzz_clients` has clients hear anything.

mod common;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Account, begin, tls};
use postroad_sasl::digest::Key;
use postroad_sasl::gss::{Context, Question, Step};
use postroad_sasl::ntlm::{Names, NtHash, challenge};
use postroad_sasl::scram::Offer;
use postroad_sasl::{Answer, Client, ClientIdentity, Credential, Evidence, MECHANISMS, Mechanism, Secret, Turn};

/// Runs an exchange with a world in which nobody is anybody.
fn nobody_comes_in(row: &Mechanism, initial: Option<&[u8]>, lines: &[Vec<u8>]) {
    let tls = tls();
    let (mut exchange, mut turn) = begin(row.name, initial, Some(&tls));
    let mut lines = lines.iter();
    for _ in 0..STEPS {
        turn = match turn {
            Turn::Challenge(text) => {
                assert!(BASE64_STANDARD.decode(text).is_ok());
                let Some(line) = lines.next() else { return };
                exchange.answer(line)
            }
            Turn::Ask(ask) => exchange.answered(match ask.evidence {
                Evidence::Password(password) => {
                    assert!(!ask.authcid.is_empty() && !password.expose().is_empty());
                    Answer::refused("wrong")
                }
                Evidence::ScramKeys(_) => {
                    assert!(!ask.authcid.is_empty());
                    Answer::Scram(Offer { salt: vec![1], iterations: 4096, nonce: "x".into() })
                }
                Evidence::Token(token) => {
                    assert!(!token.expose().is_empty());
                    Answer::Refused { why: "token", last: Some(b"{}".to_vec()) }
                }
                Evidence::NtlmFlags(flags) => {
                    Answer::Challenge(challenge(flags, &Names::new("mail.example.test"), [7; 8], 0))
                }
                Evidence::NtlmProof(proof) => {
                    assert!(!ask.authcid.is_empty() && !proof.verify(&NtHash::of_password("never this one")));
                    Answer::refused("wrong")
                }
                Evidence::Gss(question) => match *question {
                    Question::Token { context, token, .. } => {
                        // What a library makes of it is the library's; that it stands is not.
                        let context = context.unwrap_or_else(|| Context::new(()));
                        Answer::Gss(Step { context, token, peer: None, offer: Vec::new() })
                    }
                    Question::Choice { .. } | Question::Peer { .. } => panic!("no context stands"),
                },
                Evidence::DigestChallenge => Answer::Challenge(common::CHALLENGE.as_bytes().to_vec()),
                Evidence::DigestProof(proof) => {
                    let key = Key::of_password(proof.digest(), "never this one").expect("not long");
                    assert!(!ask.authcid.is_empty() && !proof.verify(&key));
                    Answer::refused("wrong")
                }
                Evidence::ScramProof(_) | Evidence::Certificate(_) | Evidence::Malformed(_) => Answer::refused("wrong"),
            }),
            Turn::Done(who) => panic!("{who} came in"),
            Turn::Refused(_) | Turn::Unavailable | Turn::Malformed(..) | Turn::Failed(_) => return,
        };
    }
    panic!("{} does not end", row.name);
}

#[test]
fn fuzz_exchanges() {
    postroad_fuzz::check!(2000).with_type::<(Option<Vec<u8>>, Vec<Vec<u8>>)>().for_each(|(initial, lines)| {
        for row in &MECHANISMS {
            nobody_comes_in(row, initial.as_deref(), lines);
        }
    });
}

#[test]
fn fuzz_messages() {
    postroad_fuzz::check!(2000).with_type::<Vec<Vec<u8>>>().for_each(|messages| {
        let lines: Vec<Vec<u8>> = messages.iter().map(|message| BASE64_STANDARD.encode(message).into_bytes()).collect();
        for row in &MECHANISMS {
            nobody_comes_in(row, None, &lines);
            nobody_comes_in(row, lines.first().map(Vec::as_slice), lines.get(1..).unwrap_or_default());
        }
    });
}

/// Messages that are right but for who sends them; each is changed in one place.
const NEAR: [&str; 8] = [
    "me b913a602c7eda7a495b4e6e7334d3890",
    "n,,n=user,r=abc",
    "p=tls-exporter,,n=user,r=abc",
    "n,a=b,n=us=2Cer,r=abc",
    "c=biws,r=abcx,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "n,a=me,\x01host=h\x01port=1\x01auth=Bearer abc\x01\x01",
    "user=me\x01auth=Bearer abc\x01\x01",
    "\0me\0pw",
];

#[test]
fn fuzz_near_misses() {
    postroad_fuzz::check!(2000).with_type::<(u8, u16, u8, bool, u8)>().for_each(|(first, place, byte, cut, second)| {
        let mut message = NEAR[usize::from(*first) % NEAR.len()].as_bytes().to_vec();
        let place = usize::from(*place) % message.len();
        if *cut {
            message.truncate(place);
        } else {
            message[place] = *byte;
        }
        let then = NEAR[usize::from(*second) % NEAR.len()].as_bytes();
        let lines = [message.as_slice(), then, b""].map(|message| BASE64_STANDARD.encode(message).into_bytes());
        for row in &MECHANISMS {
            nobody_comes_in(row, None, &lines);
        }
    });
}

/// Messages of NTLM that a client of ours wrote for this very exchange, each changed in one place.
#[test]
fn fuzz_ntlm() {
    let row = common::row("NTLM");
    let message = |text: &str| BASE64_STANDARD.decode(text).expect("base64");
    postroad_fuzz::check!(2000).with_type::<(bool, u16, u8, bool, u16)>().for_each(
        |(early, place, byte, cut, other)| {
            let identity = ClientIdentity::password("me", Secret::new("secret".to_owned())).expect("a nonce");
            let mut client = Client::new(row, identity.with_nonce("n"), &tls().bindings).expect("a client");
            let mut negotiate = message(client.initial().expect("NEGOTIATE").expose());
            let asked = challenge(0xa088_8205, &Names::new("mail.example.test"), [7; 8], 0);
            let said = client.answer(BASE64_STANDARD.encode(&asked).as_bytes()).expect("AUTHENTICATE");
            let mut authenticate = message(said.expose());
            let changed = if *early { &mut negotiate } else { &mut authenticate };
            let place = usize::from(*place) % changed.len();
            if *cut {
                changed.truncate(place);
            } else {
                changed[place] = *byte;
                let other = usize::from(*other) % changed.len();
                changed[other] ^= byte;
            }
            let lines = [negotiate, authenticate].map(|message| BASE64_STANDARD.encode(message).into_bytes());
            nobody_comes_in(row, None, &lines);
        },
    );
}

#[test]
fn fuzz_clients() {
    postroad_fuzz::check!(1000).with_type::<Vec<Vec<u8>>>().for_each(|challenges| {
        // Of Kerberos there is a server's side alone.
        for row in MECHANISMS.iter().filter(|row| !row.name.starts_with("GSS")) {
            let secret = || Secret::new("secret".to_owned());
            let credential = match row.name {
                "OAUTHBEARER" | "XOAUTH2" => Credential::Token { token: secret(), host: "h".into(), port: 1 },
                "EXTERNAL" => Credential::Certificate,
                _ => Credential::Password(secret()),
            };
            let identity = ClientIdentity::new("me", credential).expect("a nonce");
            let mut client = Client::new(row, identity, &tls().bindings).expect("a client");
            client.initial();
            for challenge in challenges {
                if client.answer(BASE64_STANDARD.encode(challenge).as_bytes()).is_err() {
                    break;
                }
            }
            // Nobody who says just anything knows the password.
            assert!(!row.name.starts_with("SCRAM") || client.finished(None).is_err());
        }
    });
}

#[test]
fn a_right_answer_still_comes_in() {
    let mut account = Account::new("me", "pw");
    let plain = BASE64_STANDARD.encode("\0me\0pw");
    assert_eq!(common::run(&mut account, "PLAIN", Some(&plain), &[]).1, Ok("- me".into()));
}

/// Turns of an exchange; none has more than a handful.
const STEPS: usize = 16;
