//! What comes from outside in certificates and records is read without a panic.

#![allow(missing_docs)]

use postroad_trust::certificates::Origin;
use postroad_web::acme::{Tlsa, facts, import, parse, tlsa_matches, tlsa_of};
use postroad_web::autoconfig::{ADDRESS_MAX, Offer, Offers, Protocol, Security, autodiscover, profile, thunderbird};

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

/// Parts of requests, put together by chance, so that some come near to real ones.
const PARTS: [&str; 16] = [
    "<?xml version='1.0' encoding='utf-16'?>",
    "<Autodiscover xmlns='x'>",
    "</Autodiscover>",
    "<Request>",
    "</Request>",
    "<EMailAddress>",
    "</EMailAddress>",
    "<AcceptableResponseSchema>",
    "</AcceptableResponseSchema>",
    "<![CDATA[u@d.test]]>",
    "u@d.test",
    "&#64;",
    "&#x0;",
    "&amp;",
    "<!DOCTYPE a>",
    "<!-- ",
];

#[test]
fn fuzz_autodiscover_requests() {
    postroad_fuzz::check!(2000).with_type::<(Vec<u8>, Vec<u8>)>().for_each(|(octets, choices)| {
        let mixed: String = choices.iter().map(|choice| PARTS[usize::from(choice % 16)]).collect();
        for request in [octets.clone(), mixed.clone().into_bytes(), [mixed.as_bytes(), octets].concat()] {
            if let Ok(address) = autodiscover::address_of(&request) {
                assert!(!address.is_empty() && address.len() <= ADDRESS_MAX, "{address}");
                assert!(!request.windows(9).any(|nine| nine == b"<!DOCTYPE"), "{request:?}");
            }
        }
    });
}

/// Whatever stands in an address or a name, the answers are XML that says it, and nothing more.
#[test]
fn fuzz_answers_are_well_formed() {
    let offer = |protocol: Protocol, security| Offer { protocol, security, port: 1, password: true, token: true };
    let services = Protocol::ALL.map(|protocol| offer(protocol, Security::Tls)).to_vec();
    let offers = Offers { host: "mail.test".into(), services, ..Offers::default() };
    let counts = |address: &str, name: &str| {
        let answers = [
            thunderbird::config(&offers, address, Some(name)).expect("settings"),
            autodiscover::settings(&offers, address).expect("settings"),
            profile::profile(&offers, address, Some(name)).expect("a profile"),
        ];
        answers.map(|answer| elements(&answer))
    };
    let plain = counts("u@here.test", "Anna");
    postroad_fuzz::check!(2000).with_type::<(String, String)>().for_each(|(address, name)| {
        assert_eq!(counts(address, name), plain);
    });
}

/// How many elements there are in what must be well-formed.
fn elements(xml: &str) -> usize {
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut count = 0;
    loop {
        match reader.read_event().expect("well-formed") {
            quick_xml::events::Event::Start(_) | quick_xml::events::Event::Empty(_) => count += 1,
            quick_xml::events::Event::Eof => return count,
            _ => {}
        }
    }
}
