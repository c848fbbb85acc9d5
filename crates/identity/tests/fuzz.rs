//! Whatever comes from outside is read or refused, and what is read is what was written.

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
