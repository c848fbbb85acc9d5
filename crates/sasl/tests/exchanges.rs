//! Exchanges as tables: what the client sends in base64, what comes of it.

mod common;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Account, begin, meet, row, tls};
use postroad_sasl::{Answer, Bindings, Client, ClientIdentity, Error, Evidence, Secret, Turn, Unusable, usable};

/// Runs an exchange in which the world takes any password: gives the challenges, and who it was with which.
fn run(name: &str, initial: Option<&str>, lines: &[&str]) -> (Vec<String>, Result<String, Error>) {
    let tls = tls();
    let (mut exchange, mut turn) = begin(name, initial.map(str::as_bytes), Some(&tls));
    let mut challenges = Vec::new();
    let mut lines = lines.iter();
    loop {
        turn = match turn {
            Turn::Challenge(text) => {
                challenges.push(text);
                exchange.answer(lines.next().expect("another line").as_bytes())
            }
            Turn::Ask(postroad_sasl::Ask { evidence: Evidence::Malformed(_), .. }) => {
                exchange.answered(Answer::refused("malformed"))
            }
            Turn::Malformed(error, "malformed") => return (challenges, Err(error)),
            Turn::Ask(ask) => {
                let Evidence::Password(password) = &ask.evidence else { panic!("a password") };
                let authzid = ask.authzid.as_deref().unwrap_or("-");
                return (challenges, Ok(format!("{authzid} {} {}", ask.authcid, password.expose())));
            }
            Turn::Failed(error) => return (challenges, Err(error)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn plain_is_taken_apart() {
    // RFC 4616 §4: tim authenticates; Kurt authorises as Ursel.
    let tim = "AHRpbQB0YW5zdGFhZnRhbnN0YWFm";
    assert_eq!(run("PLAIN", Some(tim), &[]), (vec![], Ok("- tim tanstaaftanstaaf".into())));
    assert_eq!(run("plain", None, &[tim]), (vec!["".into()], Ok("- tim tanstaaftanstaaf".into())));
    let kurt = "VXJzZWwAS3VydAB4aXBqMzBxbQ==";
    assert_eq!(run("PLAIN", Some(kurt), &[]).1, Ok("Ursel Kurt xipj30qm".into()));
    for (message, error) in [
        ("=", Error::BadMessage),
        ("dGlt", Error::BadMessage),
        ("AHRpbQ==", Error::BadMessage),
        ("AAB4", Error::BadMessage),
        ("AHRpbQA=", Error::BadMessage),
        ("AHRpbQB4AHk=", Error::BadMessage),
        ("AHRpbQD/", Error::NotUtf8),
        ("AP8AeA==", Error::NotUtf8),
        ("no base64", Error::BadBase64),
    ] {
        assert_eq!(run("PLAIN", Some(message), &[]).1, Err(error), "{message}");
    }
}

#[test]
fn padding_may_be_left_out_and_blanks_may_follow() {
    for text in ["VXJzZWwAS3VydAB4aXBqMzBxbQ", "VXJzZWwAS3VydAB4aXBqMzBxbQ== "] {
        assert_eq!(run("PLAIN", Some(text), &[]).1, Ok("Ursel Kurt xipj30qm".into()));
    }
}

#[test]
fn login_has_the_prompts_that_outlook_knows() {
    let prompts = vec!["VXNlcm5hbWU6".to_owned(), "UGFzc3dvcmQ6".to_owned()];
    assert_eq!(run("LOGIN", None, &["dGlt", "cHc="]), (prompts.clone(), Ok("- tim pw".into())));
    assert_eq!(run("LOGIN", Some("dGlt"), &["cHc="]), (prompts[1..].to_vec(), Ok("- tim pw".into())));
    assert_eq!(run("LOGIN", None, &["dGltAA==", "cHcA"]), (prompts.clone(), Ok("- tim pw".into())));
    assert_eq!(run("LOGIN", None, &["dGlt", ""]), (prompts.clone(), Err(Error::BadMessage)));
    assert_eq!(run("LOGIN", Some("="), &[]).1, Err(Error::BadMessage));
    assert_eq!(run("LOGIN", None, &["dGlt", "* "]), (prompts, Err(Error::Cancelled)));
}

#[test]
fn lines_are_bounded() {
    let long = "A".repeat(postroad_sasl::LINE_LIMIT + 1);
    assert_eq!(run("PLAIN", Some(&long), &[]).1, Err(Error::TooLong));
    assert_eq!(run("LOGIN", None, &[&long]).1, Err(Error::TooLong));
}

#[test]
fn cram_md5_is_as_its_rfc_shows() {
    // RFC 2195 §2
    let challenge = "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+";
    let answer = "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw";
    let run = |lines: &[&str]| common::run(&mut Account::new("tim", "tanstaaftanstaaf"), "CRAM-MD5", None, lines);
    assert_eq!(run(&[answer]), (vec![challenge.to_owned()], Ok("- tim".into())));
    for (message, error) in [
        ("", Error::BadMessage),
        ("tim", Error::BadMessage),
        ("tim b913a602", Error::BadMessage),
        (" b913a602c7eda7a495b4e6e7334d3890", Error::BadMessage),
        ("tim\0 b913a602c7eda7a495b4e6e7334d3890", Error::BadMessage),
        ("tim b913a602c7eda7a495b4e6e7334d3890 ", Error::BadMessage),
    ] {
        assert_eq!(run(&[&BASE64_STANDARD.encode(message)]).1, Err(error), "{message}");
    }
    let not_text = BASE64_STANDARD.encode(b"\xff b913a602c7eda7a495b4e6e7334d3890");
    assert_eq!(run(&[&not_text]).1, Err(Error::NotUtf8));
    let wrong = BASE64_STANDARD.encode("tim b913a602c7eda7a495b4e6e7334d3891");
    assert_eq!(run(&[&wrong]).1, Ok("refused: wrong".into()));
    let stranger = BASE64_STANDARD.encode("tom b913a602c7eda7a495b4e6e7334d3890");
    assert_eq!(run(&[&stranger]).1, Ok("refused: wrong".into()));
    // RFC 4954 §4: the server speaks first.
    for initial in ["=", answer] {
        let ended = common::run(&mut Account::new("tim", "tanstaaftanstaaf"), "CRAM-MD5", Some(initial), &[]);
        assert_eq!(ended, (vec![], Err(Error::TooEarly)), "{initial}");
    }
}

#[test]
fn what_does_not_follow_a_mechanism_is_counted_and_what_is_cancelled_is_not() {
    let malformed = |name, lines: &[&str]| {
        let (mut exchange, mut turn) = begin(name, None, Some(&tls()));
        for line in lines {
            assert!(matches!(turn, Turn::Challenge(_)), "{name} {turn:?}");
            turn = exchange.answer(line.as_bytes());
        }
        (exchange, turn)
    };
    let long = "A".repeat(postroad_sasl::LINE_LIMIT + 1);
    for (name, lines, error) in [
        ("PLAIN", &["!"][..], Error::BadBase64),
        ("PLAIN", &["AAB4"], Error::BadMessage),
        ("LOGIN", &["dGlt", ""], Error::BadMessage),
        ("LOGIN", &[&long], Error::TooLong),
        ("SCRAM-SHA-256", &["bm9ucw=="], Error::BadMessage),
        ("XOAUTH2", &["//8="], Error::NotUtf8),
        ("EXTERNAL", &["AA=="], Error::BadMessage),
        ("NTLM", &["TlRMTVNTUA=="], Error::BadMessage),
    ] {
        for granted in [false, true] {
            let (mut exchange, turn) = malformed(name, lines);
            let Turn::Ask(ask) = turn else { panic!("{name}: {turn:?}") };
            assert_eq!((ask.mechanism, &ask.evidence), (row(name).name, &Evidence::Malformed(error)), "{name}");
            // Whatever the world says, nobody comes in.
            match granted {
                true => assert_eq!(exchange.answered(Answer::granted("me".to_owned())), Turn::Failed(error)),
                false => assert_eq!(exchange.answered(Answer::refused("no")), Turn::Malformed(error, "no")),
            }
        }
    }
    for name in ["PLAIN", "LOGIN", "SCRAM-SHA-256", "NTLM"] {
        assert_eq!(malformed(name, &["*"]).1, Turn::Failed(Error::Cancelled), "{name}");
    }
}

#[test]
fn who_cannot_use_a_mechanism_hears_why() {
    let policy: Vec<_> = postroad_sasl::MECHANISMS.iter().filter(|row| row.name != "NTLM").collect();
    let full = tls();
    let bare = postroad_protocol::TlsFacts { version: "TLSv1.3", ..Default::default() };
    for (name, tls, clear, why) in [
        ("PLAIN", None, false, Err(Unusable::Privacy)),
        ("plain", None, true, Ok(())),
        ("SCRAM-SHA-256", None, false, Err(Unusable::Privacy)),
        ("SCRAM-SHA-256-PLUS", None, true, Err(Unusable::Clear)),
        ("EXTERNAL", None, false, Err(Unusable::Clear)),
        ("EXTERNAL", Some(&bare), true, Err(Unusable::Certificate)),
        ("SCRAM-SHA-1-PLUS", Some(&bare), false, Err(Unusable::Binding)),
        ("EXTERNAL", Some(&full), false, Ok(())),
        ("SCRAM-SHA-1-PLUS", Some(&full), false, Ok(())),
        ("NTLM", Some(&full), false, Err(Unusable::Unknown)),
        ("ROT13", None, true, Err(Unusable::Unknown)),
    ] {
        assert_eq!(usable(&policy, name, tls, clear).map(|_| ()), why, "{name}");
    }
}

fn client(name: &str, user: &str, password: &str) -> Result<Client, Error> {
    let identity = ClientIdentity::password(user, Secret::new(password.into()))?;
    Client::new(row(name), identity, &tls().bindings)
}

#[test]
fn both_sides_understand_each_other() {
    let names =
        ["PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "CRAM-MD5"];
    for (name, authzid) in names.into_iter().flat_map(|name| [(name, ""), (name, "boss,=")]) {
        for early in [true, false] {
            let mut account = Account::new("m=e,", "pä ss");
            let mut identity = ClientIdentity::password("m=e,", Secret::new("pä ss".into())).expect("a nonce");
            authzid.clone_into(&mut identity.authzid);
            let tls = tls();
            // Who has a binding and does not use it says that the server offered none; here it does.
            let bindings = if name.ends_with("-PLUS") { tls.bindings.clone() } else { Bindings::default() };
            let mut client = Client::new(row(name), identity, &bindings).expect("sendable");
            let initial = early.then(|| client.initial()).flatten();
            let bytes = initial.as_ref().map(|text| text.expose().as_bytes());
            let last = meet(&mut client, begin(name, bytes, Some(&tls)), &mut account);
            let Turn::Done(who) = last else { panic!("{name}: {last:?}") };
            let acts = if authzid.is_empty() || matches!(name, "LOGIN" | "CRAM-MD5") { "-" } else { authzid };
            assert_eq!(who, format!("{acts} m=e,"), "{name}");
            assert_eq!(client.finished(None), Ok(()), "{name}");
            assert!(client.answer(b"bW9yZQ==").is_err(), "the client has nothing more to say");
        }
    }
    assert!(client("PLAIN", "", "x").is_err());
    assert!(client("PLAIN", "a\0b", "x").is_err());
    assert!(client("OAUTHBEARER", "a", "x").is_err(), "a password is no token");
    let identity = ClientIdentity::password("a", Secret::new("x".into())).expect("a nonce");
    assert_eq!(Client::new(row("SCRAM-SHA-256-PLUS"), identity, &Bindings::default()).err(), Some(Error::BadBinding));
}

#[test]
fn passwords_do_not_show() {
    let (exchange, turn) = begin("PLAIN", Some(b"AHRpbQB0YW5zdGFhZg=="), None);
    let shown = format!("{exchange:?} {turn:?}");
    assert!(shown.contains("tim") && !shown.contains("tanstaaf"), "{shown}");
}

#[test]
fn what_was_said_in_confidence_is_recognised() {
    let mut client = client("PLAIN", "tim", "tanstaaf").expect("it can be sent");
    let said = client.initial().expect("PLAIN speaks first");
    for (text, expected) in [
        (format!("what is AUTH PLAIN {}?", said.expose()), true),
        (format!("what is {}", &said.expose()[8..]), true),
        (format!("what is auth plain {}", said.expose().to_lowercase()), true),
        ("dGFuc3RhYWY= is no command".into(), true),
        ("the password tanstaaf is too old".into(), true),
        ("Authentication unsuccessful for tim".into(), false),
        // The name is no secret.
        (format!("unknown user {}", &said.expose()[..6]), false),
        (String::new(), false),
    ] {
        assert_eq!(client.is_repeated_in(&text), expected, "{text}");
    }
}
