//! What strangers and administrators write is read or refused.

use postroad_dns::records::{Data, strings};
use postroad_dns::update::Key;

#[test]
fn fuzz_keys_are_read_or_refused() {
    postroad_fuzz::check!(2_000).with_type::<String>().for_each(|text| {
        if let Ok(key) = Key::parse(text) {
            assert!(!key.name().is_empty(), "{text:?}");
        }
        // Whatever the name is, a secret that is Base64 is read.
        let _ = Key::parse(&format!("hmac-sha256:{text}:AAAA"));
    });
}

#[test]
fn fuzz_texts_are_split_and_come_together_again() {
    postroad_fuzz::check!(2_000).with_type::<Vec<u8>>().for_each(|text| {
        let long = text.repeat(40);
        let parts: Vec<&[u8]> = strings(&long).collect();
        assert!(!parts.is_empty() && parts.iter().all(|part| part.len() <= 255));
        assert_eq!(parts.concat(), long);
        let line = Data::Txt(long).to_string();
        assert!(line.is_ascii() && !line.contains(['\n', '\r', '\0']), "{line}");
    });
}
