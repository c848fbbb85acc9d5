//! OAUTHBEARER, XOAUTH2 and EXTERNAL.

mod common;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Account, begin, meet, row, run, tls};
use postroad_sasl::{Bindings, Client, ClientIdentity, Credential, Error, Evidence, Secret, TokenRefusal, Turn};

fn coded(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

#[test]
fn tokens_are_taken_out_of_what_clients_send() {
    let mut account = Account::new("user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
    // RFC 7628 §4.1
    let rfc = "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer \
               vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
    let google = "user=user@example.com\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
    for (name, message, expected) in [
        ("OAUTHBEARER", rfc.to_owned(), Ok("- user@example.com")),
        ("OAUTHBEARER", rfc.replace("a=user@example.com", ""), Ok("- ")),
        ("OAUTHBEARER", rfc.replace("n,a", "y,a"), Ok("- user@example.com")),
        ("OAUTHBEARER", rfc.replace("auth=Bearer ", "auth=bearer  "), Ok("- user@example.com")),
        ("OAUTHBEARER", rfc.replace("host=server.example.com\x01port=143\x01", ""), Ok("- user@example.com")),
        ("XOAUTH2", google.to_owned(), Ok("- user@example.com")),
        ("OAUTHBEARER", rfc.replace("n,a", "p=tls-exporter,a"), Err(Error::BadMessage)),
        ("OAUTHBEARER", rfc.replace("auth=Bearer", "auth=Basic"), Err(Error::BadMessage)),
        ("OAUTHBEARER", rfc.replace("vF9d", "v F9d"), Err(Error::BadMessage)),
        ("OAUTHBEARER", rfc.replace("\x01\x01", "\x01"), Err(Error::BadMessage)),
        ("OAUTHBEARER", rfc.replace("port=143", "port"), Err(Error::BadMessage)),
        ("OAUTHBEARER", google.to_owned(), Err(Error::BadMessage)),
        ("OAUTHBEARER", String::new(), Err(Error::BadMessage)),
        ("XOAUTH2", google.replace("user=user@example.com", "user="), Err(Error::BadMessage)),
        ("XOAUTH2", google.replace("user=user@example.com\x01", ""), Err(Error::BadMessage)),
        ("XOAUTH2", google.replace("auth=", "user=other\x01auth="), Err(Error::BadMessage)),
        ("XOAUTH2", google.replace("\x01\x01", "\x01auth=Bearer x\x01\x01"), Err(Error::BadMessage)),
        ("XOAUTH2", google.replace("vF9d", "v\0F9d"), Err(Error::BadMessage)),
        ("XOAUTH2", String::new(), Err(Error::BadMessage)),
    ] {
        let (_, ended) = run(
            &mut account,
            name,
            Some(&coded(&message)).filter(|text| !text.is_empty()).map(|text| text.as_str()).or(Some("=")),
            &[],
        );
        assert_eq!(ended, expected.map(str::to_owned), "{name} {message:?}");
    }
}

#[test]
fn a_refused_token_is_answered_with_reasons_first() {
    for name in ["OAUTHBEARER", "XOAUTH2"] {
        let message = match name {
            "XOAUTH2" => "user=me\x01auth=Bearer bad\x01\x01",
            _ => "n,a=me,\x01auth=Bearer bad\x01\x01",
        };
        // Whatever is said to it: the dummy of RFC 7628 §3.2.3, nothing, a cancellation, a new try, what is no base64.
        for line in ["AQ==", "", "*", &coded(message), "?"] {
            let (challenges, ended) = run(&mut Account::new("me", "good"), name, Some(&coded(message)), &[line]);
            assert_eq!((challenges, ended), (vec![coded("{}")], Ok("refused: token".into())), "{name} {line}");
        }
    }
    let refusal = TokenRefusal {
        scope_missing: false,
        scope: "mail:imap".into(),
        configuration: Some("https://mail.example.test/.well-known/openid-configuration".into()),
    };
    let texts = [(refusal.clone(), "OAUTHBEARER"), (refusal.clone(), "XOAUTH2")];
    let texts = texts.map(|(refusal, name)| String::from_utf8(refusal.json(name)).expect("text"));
    assert_eq!(
        texts,
        [
            "{\"status\":\"invalid_token\",\"scope\":\"mail:imap\",\
             \"openid-configuration\":\"https://mail.example.test/.well-known/openid-configuration\"}",
            "{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"mail:imap\"}",
        ]
    );
    let missing = TokenRefusal { scope_missing: true, scope: "a\"b".into(), configuration: None };
    assert_eq!(missing.json("OAUTHBEARER"), b"{\"status\":\"insufficient_scope\",\"scope\":\"a\\\"b\"}");
}

#[test]
fn clients_show_tokens_and_certificates() {
    for name in ["OAUTHBEARER", "XOAUTH2", "EXTERNAL"] {
        for (token, opens) in [("good", true), ("bad", false)] {
            let secret = Secret::new(token.to_owned());
            let credential = match name {
                "EXTERNAL" => Credential::Certificate,
                _ => Credential::Token { token: secret, host: "imap.example.test".into(), port: 993 },
            };
            let identity = ClientIdentity::new("me", credential).expect("a nonce");
            let mut client = Client::new(row(name), identity, &Bindings::default()).expect("a client");
            let tls = tls();
            let initial = client.initial().expect("it speaks first");
            let begun = begin(name, Some(initial.expose().as_bytes()), Some(&tls));
            let ended = match meet(&mut client, begun, &mut Account::new("me", "good")) {
                Turn::Done(_) => true,
                Turn::Refused(_) => false,
                other => panic!("{name}: {other:?}"),
            };
            assert_eq!(ended, opens || name == "EXTERNAL", "{name} {token}");
        }
    }
}

#[test]
fn external_needs_a_certificate() {
    let mut account = Account::new("me", "");
    assert_eq!(run(&mut account, "EXTERNAL", Some("="), &[]).1, Ok("- ".into()));
    assert_eq!(run(&mut account, "EXTERNAL", None, &[""]).1, Ok("- ".into()));
    assert_eq!(run(&mut account, "EXTERNAL", Some("bWU="), &[]).1, Ok("- me".into()));
    assert_eq!(run(&mut account, "EXTERNAL", Some("bQBl"), &[]).1, Err(Error::BadMessage));
    let (_, turn) = begin("EXTERNAL", Some(b"bWU="), None);
    let Turn::Ask(ask) = turn else { panic!("{turn:?}") };
    assert_eq!(ask.evidence, Evidence::Malformed(Error::BadMessage));
}
