//! Mail from others that is looked at: forged, true, forwarded, by lists; with a DNS that answers and one that does not.
//! On each store; after each, nothing contradicts anything.

mod town;

use std::net::Ipv4Addr;
use std::sync::Mutex;

use postroad_dns::{Error, Fixed};
use postroad_mailauth::body::{Canonicalization, Hashers};
use postroad_mailauth::{arc, dkim, key::SigningKey};
use postroad_mta::Checker;
use postroad_mta::checks::Summary;
use postroad_store::WriteTx;
use postroad_testkit::{each_store, transcript};
use town::{MIGRATIONS, Town};

/// When the town's clock stands.
const NOW: i64 = 1_795_348_800;

/// Domains with and without policies, and some whose name servers do not answer.
fn zone() -> Fixed {
    let silent = || Error::Temporary("the server is down".into());
    Fixed::new()
        .with_txt("bank.test", "v=spf1 ip4:192.0.2.25 -all")
        .with_txt("_dmarc.bank.test", "v=DMARC1; p=reject; rua=mailto:reports@bank.test")
        .with_txt("s._domainkey.bank.test", public(&key()))
        .with_txt("shop.test", "v=spf1 ip4:192.0.2.26 -all")
        .with_txt("_dmarc.shop.test", "v=DMARC1; p=quarantine")
        .with_txt("watch.test", "v=spf1 ip4:192.0.2.26 -all")
        .with_txt("_dmarc.watch.test", "v=DMARC1; p=none")
        .with_txt("try.test", "v=spf1 ip4:192.0.2.26 -all")
        .with_txt("_dmarc.try.test", "v=DMARC1; p=reject; t=y")
        .with_txt("bare.test", "v=spf1 ip4:192.0.2.26 -all")
        .with_txt("s._domainkey.bare.test", public(&key()))
        .with_txt("list.test", "v=spf1 ip4:192.0.2.40 -all")
        .with_txt("s._domainkey.list.test", public(&key()))
        .with_txt("slow.test", "v=spf1 include:_spf.slow.test -all")
        .with_failure("_spf.slow.test", silent())
        .with_txt("_dmarc.slow.test", "v=DMARC1; p=reject")
        .with_txt("mute.test", "v=spf1 ip4:192.0.2.26 -all")
        .with_failure("_dmarc.mute.test", silent())
        .with_failure("s._domainkey.mute.test", silent())
        .with_ptr(Ipv4Addr::new(192, 0, 2, 25), "mail.bank.test")
        .with_address("mail.bank.test", Ipv4Addr::new(192, 0, 2, 25))
        .with_txt("mail.bank.test", "v=spf1 a -all")
        .with_ptr(Ipv4Addr::new(192, 0, 2, 40), "mx.uni.test")
        .with_address("mx.uni.test", Ipv4Addr::new(192, 0, 2, 40))
}

fn key() -> SigningKey {
    static KEY: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let pkcs8 = KEY.get_or_init(|| SigningKey::ed25519().expect("random bytes").to_pkcs8().expect("PKCS #8"));
    SigningKey::from_pkcs8(pkcs8).expect("our own key")
}

fn public(key: &SigningKey) -> String {
    key.record()
}

fn check(name: &str) {
    let path = format!("{}/tests/checks/{name}.smtp", env!("CARGO_MANIFEST_DIR"));
    each_store(MIGRATIONS, |test| {
        transcript::check_file(&path, Town::checked(&test.store, Checker::asking(std::sync::Arc::new(zone()))));
        Town::again(&test.store).audit();
    });
}

#[test]
fn forged() {
    check("forged");
}

#[test]
fn unsure() {
    check("unsure");
}

#[test]
fn recipients() {
    check("recipients");
}
