//! What comes from outside in certificates and records is read without a panic.

#![allow(missing_docs)]

use postroad_trust::certificates::Origin;
use postroad_web::acme::{Tlsa, facts, import, parse, tlsa_matches, tlsa_of};

/// A chain that begins as one should.
fn pem(bytes: &[u8]) -> String {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let signs: String = bytes.iter().map(|byte| char::from(SIGNS[usize::from(byte % 64)])).collect();
    format!("-----BEGIN CERTIFICATE-----\n{signs}\n-----END CERTIFICATE-----\n")
}

#[test]
fn fuzz_chains() {
    postroad_fuzz::check!(2000).with_type::<(Vec<u8>, Vec<u8>)>().for_each(|(chain, key)| {
        for chain in [String::from_utf8_lossy(chain).into_owned(), pem(chain)] {
            let _ = facts(&chain);
            assert!(parse(&chain, key, Origin::Imported, "").is_err(), "nobody guesses a certificate and its key");
            assert!(import(&chain, key).is_err());
        }
        let _ = tlsa_of(chain);
    });
}

#[test]
fn fuzz_tlsa_records() {
    postroad_fuzz::check!(2000).with_type::<((u8, u8, u8), Vec<u8>, Vec<u8>)>().for_each(
        |((usage, selector, matching), data, der)| {
            let record = Tlsa { usage: *usage, selector: *selector, matching: *matching, data: data.clone() };
            let is_whole = *selector == 0 && *matching == 0 && *usage <= 3 && data == der;
            let is_named = tlsa_matches(&record, std::slice::from_ref(der));
            assert!(is_named || !is_whole, "{record:?}");
        },
    );
}
