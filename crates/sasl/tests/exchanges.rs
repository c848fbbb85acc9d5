//! Exchanges as tables: what the client sends in base64, what comes of it.

use postroad_sasl::{Client, Error, Exchange, Secret, Turn, find};

/// Runs an exchange: the initial response, then each line; gives the challenges and the end.
fn run(name: &str, initial: Option<&str>, lines: &[&str]) -> (Vec<String>, Result<String, Error>) {
    let row = find(name).expect("a mechanism");
    let (mut exchange, mut turn) = Exchange::begin(row, initial.map(str::as_bytes));
    let mut challenges = Vec::new();
    let mut lines = lines.iter();
    loop {
        match turn {
            Turn::Challenge(text) => challenges.push(text),
            Turn::Check(check) => {
                let authzid = check.authzid.as_deref().unwrap_or("-");
                assert_eq!(check.mechanism, row.name);
                return (challenges, Ok(format!("{authzid} {} {}", check.authcid, check.password.expose())));
            }
            Turn::Failed(error) => return (challenges, Err(error)),
        }
        turn = exchange.answer(lines.next().expect("another line").as_bytes());
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
fn both_sides_understand_each_other() {
    for (name, authzid) in [("PLAIN", ""), ("PLAIN", "boss"), ("LOGIN", "")] {
        let row = find(name).expect("a mechanism");
        for early in [true, false] {
            let password = Secret::new("pä ss".into());
            let mut client = Client::new(row, authzid, "me", password).expect("sendable");
            let initial = early.then(|| client.initial()).flatten();
            let bytes = initial.as_ref().map(|text| text.expose().as_bytes());
            let (mut exchange, mut turn) = Exchange::begin(row, bytes);
            while let Turn::Challenge(challenge) = turn {
                let answer = client.answer(challenge.as_bytes()).expect("an answer");
                turn = exchange.answer(answer.expose().as_bytes());
            }
            let Turn::Check(check) = turn else { panic!("{name}: {turn:?}") };
            assert_eq!((check.authcid.as_str(), check.password.expose()), ("me", "pä ss"));
            assert_eq!(check.authzid.as_deref(), (!authzid.is_empty()).then_some(authzid));
            assert!(client.answer(b"more").is_err(), "the client has nothing more to say");
        }
    }
    let row = find("PLAIN").expect("a mechanism");
    assert!(Client::new(row, "", "", Secret::new("x".into())).is_err());
    assert!(Client::new(row, "", "a\0b", Secret::new("x".into())).is_err());
}

#[test]
fn passwords_do_not_show() {
    let (exchange, turn) = Exchange::begin(find("PLAIN").expect("a row"), Some(b"AHRpbQB0YW5zdGFhZg=="));
    let shown = format!("{exchange:?} {turn:?}");
    assert!(shown.contains("tim") && !shown.contains("tanstaaf"), "{shown}");
}

#[test]
fn what_was_said_in_confidence_is_recognised() {
    let mut client =
        Client::new(find("PLAIN").expect("a row"), "", "tim", Secret::new("tanstaaf".into())).expect("it can be sent");
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
