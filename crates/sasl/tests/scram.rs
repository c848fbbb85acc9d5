//! SCRAM: the exchanges of the RFCs, and everything that is not one.

mod common;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Account, begin, meet, row, run, tls};
use postroad_sasl::{Bindings, Client, ClientIdentity, Error, Secret, Turn, choose};

fn coded(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

struct Known {
    mechanism: &'static str,
    salt: &'static str,
    client_nonce: &'static str,
    server_nonce: &'static str,
    messages: [&'static str; 4],
}

/// RFC 5802 §5 and RFC 7677 §3: user "user", password "pencil".
const KNOWN: [Known; 2] = [
    Known {
        mechanism: "SCRAM-SHA-1",
        salt: "QSXCR+Q6sek8bf92",
        client_nonce: "fyko+d2lbbFgONRv9qkxdawL",
        server_nonce: "3rfcNHYJY1ZVvWVs7j",
        messages: [
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ],
    },
    Known {
        mechanism: "SCRAM-SHA-256",
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        client_nonce: "rOprNGfwEbeRWgbNEkqO",
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        messages: [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    },
];

fn account(known: &Known) -> Account {
    let salt = BASE64_STANDARD.decode(known.salt).expect("base64");
    Account { salt, nonce: known.server_nonce, ..Account::new("user", "pencil") }
}

#[test]
fn the_exchanges_of_the_rfcs() {
    for known in &KNOWN {
        let [first, server_first, last, server_last] = known.messages.map(coded);
        let (challenges, end) = run(&mut account(known), known.mechanism, Some(&first), &[&last, ""]);
        assert_eq!((challenges, end), (vec![server_first.clone(), server_last.clone()], Ok("- user".into())));
        let mut late = account(known);
        assert_eq!(run(&mut late, known.mechanism, None, &[&first, &last, ""]).1, Ok("- user".into()));

        let identity = ClientIdentity::password("user", Secret::new("pencil".into())).expect("a nonce");
        let identity = identity.with_nonce(known.client_nonce);
        let mut client = Client::new(row(known.mechanism), identity, &Bindings::default()).expect("a client");
        assert_eq!(client.initial().expect("first").expose(), first);
        assert_eq!(client.answer(server_first.as_bytes()).expect("a proof").expose(), last);
        assert_eq!(client.finished(None), Err(Error::NotTheServer), "it has not signed yet");
        assert_eq!(client.answer(server_last.as_bytes()).expect("nothing").expose(), "");
        assert_eq!(client.finished(None), Ok(()));
    }
}

#[test]
fn a_server_that_does_not_know_the_password_is_found_out() {
    for known in &KNOWN {
        let client = || {
            let identity = ClientIdentity::password("user", Secret::new("pencil".into())).expect("a nonce");
            let identity = identity.with_nonce(known.client_nonce);
            let mut client = Client::new(row(known.mechanism), identity, &Bindings::default()).expect("a client");
            client.initial();
            client
        };
        let server_first = known.messages[1];
        for (message, error) in [
            (server_first.replace("r=", "r=x"), Error::NotTheServer),
            (format!("r={},s={},i=4096", known.client_nonce, known.salt), Error::BadMessage),
            (server_first.replace("i=4096", "i=0"), Error::BadMessage),
            (server_first.replace("i=4096", "i=4000000000"), Error::BadMessage),
            (server_first.replace("i=4096", "i=-1"), Error::BadMessage),
            (server_first.replace(known.salt, ""), Error::BadMessage),
            (format!("m=x,{server_first}"), Error::BadMessage),
            (String::new(), Error::BadMessage),
        ] {
            assert_eq!(client().answer(coded(&message).as_bytes()).err(), Some(error), "{message}");
        }
        for last in ["v=AAAA", "e=other-error", "", "v="] {
            let mut client = client();
            client.answer(coded(server_first).as_bytes()).expect("a proof");
            assert!(client.answer(coded(last).as_bytes()).is_err(), "{last}");
            assert!(client.finished(Some(coded(last).as_bytes())).is_err(), "{last}");
        }
    }
}

#[test]
fn what_does_not_follow_the_mechanism_is_refused() {
    let known = &KNOWN[1];
    let [first, _, last, _] = known.messages;
    for (message, error) in [
        ("", Error::BadMessage),
        ("n", Error::BadMessage),
        ("n,,", Error::BadMessage),
        ("x,,n=user,r=abc", Error::BadMessage),
        ("p=,,n=user,r=abc", Error::BadMessage),
        ("n,b=x,n=user,r=abc", Error::BadMessage),
        ("n,,m=ext,n=user,r=abc", Error::BadMessage),
        ("n,,n=,r=abc", Error::BadMessage),
        ("n,,n=us=er,r=abc", Error::BadMessage),
        ("n,,n=user", Error::BadMessage),
        ("n,,n=user,r=", Error::BadMessage),
        ("n,,n=user,r=a b", Error::BadMessage),
        ("n,,n=us\0er,r=abc", Error::BadMessage),
        // The client could have bound itself, and we offered that.
        ("y,,n=user,r=abc", Error::BadBinding),
        ("p=tls-exporter,,n=user,r=abc", Error::BadBinding),
    ] {
        let ended = run(&mut account(known), known.mechanism, Some(&coded(message)), &[]);
        assert_eq!(ended.1, Err(error), "{message:?}");
    }
    let long = format!("n,,n={},r=abc", "u".repeat(5000));
    assert_eq!(run(&mut account(known), known.mechanism, Some(&coded(&long)), &[]).1, Err(Error::TooLong));
    for (message, error) in [
        (last.replace("c=biws", "c=eSws"), Error::BadBinding),
        (last.replace("c=biws", "c=!"), Error::BadMessage),
        (last.replace("r=r", "r=x"), Error::BadMessage),
        (last.split(",p=").next().unwrap_or_default().to_owned(), Error::BadMessage),
        (last.replace("dHzb", ""), Error::BadMessage),
        (last.replace("p=dH", "p=AA"), Error::Cancelled),
        (String::new(), Error::BadMessage),
    ] {
        let (_, ended) = run(&mut account(known), known.mechanism, Some(&coded(first)), &[&coded(&message)]);
        match error {
            // A proof of another password: the world says so.
            Error::Cancelled => assert_eq!(ended, Ok("refused: wrong".into()), "{message}"),
            error => assert_eq!(ended, Err(error), "{message}"),
        }
    }
    let (_, ended) = run(&mut account(known), known.mechanism, Some(&coded(first)), &["*"]);
    assert_eq!(ended, Err(Error::Cancelled));
    let (_, ended) = run(&mut account(known), known.mechanism, Some(&coded(first)), &[&coded(last), &coded("more")]);
    assert_eq!(ended, Err(Error::BadMessage), "nothing is said to the signature");
}

#[test]
fn bindings_are_of_this_connection() {
    for name in ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"] {
        for (binding, known) in
            [("tls-exporter", true), ("tls-server-end-point", true), ("tls-unique", false), ("x", false)]
        {
            let first = format!("p={binding},,n=user,r=abc");
            let last = format!("c={},r=abcserver,p=", coded(&format!("p={binding},,something else")));
            let proof = BASE64_STANDARD.encode(vec![0; if name.contains("256") { 32 } else { 20 }]);
            let mut account = Account::new("user", "pencil");
            // The world is asked for keys when the binding is one that we have, and never for the proof.
            let lines = [coded(&format!("{last}{proof}"))];
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let (challenges, ended) = run(&mut account, name, Some(&coded(&first)), &lines);
            assert_eq!((challenges.len(), account.asked), if known { (1, 1) } else { (0, 0) }, "{name} {binding}");
            assert_eq!(ended, Err(Error::BadBinding), "{name} {binding}");
        }
        for message in ["n,,n=user,r=abc", "y,,n=user,r=abc"] {
            let ended = run(&mut Account::new("user", "pencil"), name, Some(&coded(message)), &[]);
            assert_eq!(ended.1, Err(Error::BadBinding), "{name} {message}");
        }
    }
}

#[test]
fn nobody_is_asked_as_often_and_challenged_as_much() {
    for name in ["SCRAM-SHA-1", "SCRAM-SHA-256"] {
        let steps = |user: &str, password: &str| {
            let mut account = Account::new("user", "pencil");
            let identity = ClientIdentity::password(user, Secret::new(password.into())).expect("a nonce");
            let mut client = Client::new(row(name), identity, &Bindings::default()).expect("a client");
            let first = client.initial().expect("first").expose().to_owned();
            let nonce = BASE64_STANDARD.decode(&first).expect("base64");
            let nonce = String::from_utf8(nonce).expect("text").split("r=").nth(1).expect("a nonce").to_owned();
            let offer = format!("r={nonce}server,s={},i=4096", coded("salt"));
            let last = client.answer(coded(&offer).as_bytes()).expect("a proof");
            let (challenges, ended) = run(&mut account, name, Some(&first), &[last.expose()]);
            (challenges.len(), account.asked, ended)
        };
        assert_eq!(steps("user", "wrong"), steps("nobody", "pencil"), "{name}");
        assert_eq!(steps("user", "wrong"), (1, 2, Ok("refused: wrong".into())), "{name}");
    }
}

#[test]
fn the_strongest_that_fits_is_chosen() {
    let password = ClientIdentity::password("me", Secret::new("pw".into())).expect("a nonce");
    let (bound, none) = (tls().bindings, Bindings::default());
    let all = ["LOGIN", "PLAIN", "scram-sha-1", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "XOAUTH2", "NTLM"];
    for (offered, bindings, private, expected) in [
        (&all[..], &bound, true, Some("SCRAM-SHA-256-PLUS")),
        (&all[..], &none, true, Some("SCRAM-SHA-256")),
        (&all[..3], &none, false, Some("SCRAM-SHA-1")),
        (&["SCRAM-SHA-256", "SCRAM-SHA-1-PLUS"], &bound, true, Some("SCRAM-SHA-1-PLUS")),
        (&["SCRAM-SHA-256", "SCRAM-SHA-1-PLUS"], &none, true, Some("SCRAM-SHA-256")),
        (&all[..2], &none, true, Some("PLAIN")),
        (&all[..2], &none, false, None),
        (&all[5..6], &none, true, None),
        (&all[5..], &none, true, Some("NTLM")),
    ] {
        let chosen = choose(offered.iter().copied(), &password, bindings, private);
        assert_eq!(chosen.map(|row| row.name), expected, "{offered:?}");
    }
}

#[test]
fn a_client_that_could_bind_says_so_and_hears_of_a_list_that_was_cut() {
    let (in_tls, in_clear) = (tls(), postroad_protocol::TlsFacts { bindings: Bindings::default(), ..tls() });
    for (bindings, mechanism, connection, ends) in [
        (&in_tls.bindings, "SCRAM-SHA-256-PLUS", &in_tls, Ok("user")),
        // The server offered -PLUS, and somebody took it out of the list.
        (&in_tls.bindings, "SCRAM-SHA-256", &in_tls, Err(Error::BadBinding)),
        // The server has none, for something in between ends TLS.
        (&in_tls.bindings, "SCRAM-SHA-256", &in_clear, Ok("user")),
        (&Bindings::default(), "SCRAM-SHA-256", &in_tls, Ok("user")),
    ] {
        let mut account = Account::new("user", "pencil");
        let identity = ClientIdentity::password("user", Secret::new("pencil".into())).expect("a nonce");
        let mut client = Client::new(row(mechanism), identity, bindings).expect("a client");
        let first = client.initial().expect("it speaks first");
        let begun = begin(mechanism, Some(first.expose().as_bytes()), Some(connection));
        let ended = match meet(&mut client, begun, &mut account) {
            Turn::Done(_) => client.finished(None).map(|()| "user"),
            Turn::Malformed(error, _) => Err(error),
            other => panic!("{other:?}"),
        };
        assert_eq!(ended, ends, "{mechanism} {bindings:?}");
    }
}
