//! Whatever comes from outside is read or refused, and what is read is what was written.

use postroad_identity::webauthn::{self, Expected, Known, cbor, cose};
use postroad_identity::{Bearing, Challenge, Kind, Scopes, devices, redirect};

#[test]
fn fuzz_texts_of_strangers() {
    postroad_fuzz::check!(2_000).with_type::<(String, String)>().for_each(|(text, other)| {
        for (kind, prefix) in
            [(Kind::Access, "pra_"), (Kind::Refresh, "prr_"), (Kind::Code, "prc_"), (Kind::Session, "prs_")]
        {
            for text in [text.clone(), format!("{prefix}{text}")] {
                if let Some(read) = Bearing::parse(kind, &text) {
                    assert_eq!(read.text(), text);
                    assert!(read.account().0 > 0);
                }
            }
        }
        let scopes = Scopes::parse(text);
        assert_eq!(Scopes::parse(&scopes.to_string()), scopes);
        if let Some(typed) = devices::typed(text) {
            assert_eq!(devices::typed(&typed), Some(typed));
        }
        if let Some(challenge) = Challenge::parse(text) {
            assert!(!challenge.is_met_by(text));
        }
        // Nothing but a registered address, or its loopback twin, is ever answered at.
        if redirect::matches(other, text) && other != text {
            assert!(redirect::is_native(text), "{other} {text}");
        }
        if let Some(place) = redirect::form_action(text) {
            assert!(!place.contains([';', ',', ' ', '\'', '"']), "{place}");
        }
    });
}

/// Octets as an authenticator might send them: with a head that is right, so that what is behind it is looked at.
#[test]
fn fuzz_what_authenticators_say() {
    let expected = Expected {
        challenge: &[7; 32],
        origin: "https://mail.example.test",
        party: "mail.example.test",
        verified: false,
    };
    let client = r#"{"type":"webauthn.create","challenge":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
        "origin":"https://mail.example.test"}"#;
    let made = postroad_testkit::Authenticator::new("https://mail.example.test")
        .make("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc")
        .1;
    assert!(webauthn::registered(&expected, client.as_bytes(), &made).is_ok());
    postroad_fuzz::check!(2_000).with_type::<(Vec<u8>, Vec<u8>, u16, u8)>().for_each(|(octets, other, place, bit)| {
        if let Some((value, rest)) = cbor::read(octets) {
            // What is read is all of it that is there, and no more.
            let used = &octets[..octets.len() - rest.len()];
            assert_eq!(cbor::read(used), Some((value, &[][..])));
        }
        let _ = cose::Key::parse(octets);
        assert!(webauthn::registered(&expected, octets, other).is_err());
        // One bit of an honest answer.
        let mut bent = made.clone();
        let place = usize::from(*place) % bent.len();
        bent[place] ^= 1 << (bit % 8);
        if let Ok(read) = webauthn::registered(&expected, client.as_bytes(), &bent) {
            assert!(cose::Key::parse(&read.key).is_some() && !read.credential.is_empty());
        }
        let known = Known { key: octets, count: 0, copied: false };
        assert!(webauthn::asserted(&expected, known, other, octets, other).is_err());
    });
}
