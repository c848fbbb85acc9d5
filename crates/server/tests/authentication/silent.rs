//! A DNS that does not answer, and none at all.

use postroad_testkit::{DnsServer, eventually};

use super::place::{HOME, Place, STRANGER, message, records};

#[test]
fn a_dead_resolver_makes_no_verdict() {
    let mut dns = DnsServer::start(&records());
    let place = Place::start(Some(&dns.address().to_string()), None);
    let to = place.account();
    let bring = |address: &str, id: &str| {
        place.bring(address, "boss@bank.test", &to, message("boss@bank.test", &to, id).as_bytes())
    };
    dns.stop();
    // Neither the true one is refused nor the forged one taken.
    for (address, id) in [(HOME, "true"), (STRANGER, "forged")] {
        let told = bring(address, id);
        assert!(!told.success && told.out.contains("451 4.7."), "{told:?}");
    }
    assert_eq!(place.count(&to, "INBOX").0, "0");
    let story = place.cli(&["trace", &format!("<true.{to}>")]);
    assert!(
        story.contains("temperror for bank.test") && story.contains("deferred for example.test: unsure"),
        "{story}"
    );

    dns.start_again();
    // That nobody answered is remembered for a moment.
    eventually("the DNS again", || bring(HOME, "true").success.then_some(()));
    let refused = bring(STRANGER, "forged");
    assert!(!refused.success && refused.out.contains("550 5.7.26 "), "{refused:?}");
    assert_eq!(place.count(&to, "INBOX").0, "1");
}

#[test]
fn without_a_resolver_nothing_is_claimed() {
    let place = Place::start(None, None);
    let to = place.account();
    place.bring(STRANGER, "boss@bank.test", &to, message("boss@bank.test", &to, "unseen").as_bytes()).good();
    let read = place.read(&to, "INBOX");
    let results: Vec<&str> = read.lines().filter(|line| line.starts_with("Authentication-Results:")).collect();
    assert_eq!(results.len(), 1, "{read}");
    assert!(results[0].trim_end().ends_with("; none"), "{read}");
    let story = place.cli(&["trace", &to]);
    assert!(story.contains("no name server is set"), "{story}");
}
