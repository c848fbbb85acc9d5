//! DANE (RFC 7672) towards hosts whose TLSA records are in signed zones.

use postroad_testkit::Remote;
use postroad_testkit::postfix::{Postfix, Setup};
use postroad_testkit::remote::{Deed, Manner, Phase};

use crate::harbour::{by_authority, by_key, harbour};
use crate::talk;
use crate::town::message;

#[test]
fn postfix_gets_mail_whose_key_is_in_the_dns() {
    let Some(harbour) = harbour() else { return };
    let (mine, theirs) = (harbour.host(), harbour.host());
    // Nobody knows who signed the one; the other's authority stands in the DNS, and is in no list either.
    let (by_itself, signed) = (harbour.unknown.issue(&["any.name.test"]), harbour.unknown.issue(&["mx.vouched.test"]));
    harbour.signed("keyed.test", mine, &[by_key(&by_itself)]);
    harbour.signed("vouched.test", theirs, &[by_authority(&signed)]);
    for (domain, at, pair, kind) in
        [("keyed.test", mine, &by_itself, "3 1 1"), ("vouched.test", theirs, &signed, "2 0 1")]
    {
        let to = format!("dave@{domain}");
        let postfix =
            Postfix::start(&Setup { listen: Some(at), certificate: Some(pair), mailboxes: &[&to], ..Setup::default() });
        harbour.submit(&to, domain);
        let mail = postfix.wait_for_mail(&to, 1);
        assert!(mail[0].contains("using TLSv1.3"), "{}", mail[0]);
        let story = harbour.wait_for_story(&to, "sent");
        assert!(story.contains(&format!("certificate verified by DANE ({kind}); by DANE ({kind})")), "{story}");
    }
}

#[test]
fn postfix_with_another_key_gets_nothing_until_the_records_follow() {
    let Some(harbour) = harbour() else { return };
    let at = harbour.host();
    let (old, new) = (harbour.known.issue(&["mx.renewed.test"]), harbour.known.issue(&["mx.renewed.test"]));
    harbour.signed("renewed.test", at, &[by_key(&old)]);
    let to = "dave@renewed.test";
    let postfix =
        Postfix::start(&Setup { listen: Some(at), certificate: Some(&new), mailboxes: &[to], ..Setup::default() });
    harbour.submit(to, "renewed");
    let story = harbour.wait_for_story(to, "deferred");
    assert!(story.contains("its certificate matches none of its TLSA records. DANE (3 1 1) demands it"), "{story}");
    assert!(story.contains("TLS not established; by DANE (3 1 1)"), "{story}");
    let queued = harbour.cli(&["queue", "list", "--domain", "renewed.test"]);
    let id = queued.lines().nth(1).and_then(|line| line.split_whitespace().next()).expect("it waits").to_owned();
    let shown = harbour.cli(&["queue", "show", &id]);
    assert!(shown.contains("its certificate matches none of its TLSA records"), "{shown}");
    assert!(postfix.mail(to).is_empty());
    // Whoever would rather have it delivered than protected does not wait behind it (RFC 8689 §5).
    let from = harbour.account();
    let text = format!("TLS-Required: No\r\n{}", message(&from, to, "relaxed"));
    talk::submit(harbour.at(587), &from, &format!("<{from}>"), &[&format!("<{to}>")], text.as_bytes());
    assert!(postfix.wait_for_mail(to, 1)[0].contains("TLS-Required: No"));
    harbour.wait_for_story(to, "by TLS-Required: No");
    assert!(harbour.cli(&["queue", "list", "--domain", "renewed.test"]).contains(&id), "the other one waits on");
    // A second record is enough, as when keys are changed in the right order.
    harbour.records(&format!("_{}._tcp.mx.renewed.test. TLSA {}\n", harbour.port.number(), by_key(&new)));
    harbour.retry("renewed.test");
    postfix.wait_for_mail(to, 2);
}

#[test]
fn who_takes_tls_or_the_proof_away_gets_nothing() {
    let Some(harbour) = harbour() else { return };
    let (stripped, broken) = (harbour.host(), harbour.host());
    let pair = harbour.known.issue(&["mx.stripped.test", "mx.broken.test"]);
    harbour.signed("stripped.test", stripped, &[by_key(&pair)]);
    harbour.signed("broken.test", broken, &[by_key(&pair)]);
    let in_clear = Remote::start(stripped, Manner::default());
    let breaking = Remote::start(broken, Manner::default().secured(&pair).and(Phase::StartTls, Deed::BreakTls));
    for (domain, words) in [
        ("stripped.test", "TLS is required and the remote does not offer it. DANE (3 1 1) demands it"),
        ("broken.test", "The TLS handshake failed"),
        ("forged.test", "mx.forged.test cannot be spoken with safely: its TLSA records (DANE) cannot be looked up"),
    ] {
        let to = format!("dave@{domain}");
        harbour.submit(&to, domain);
        let story = harbour.wait_for_story(&to, "deferred");
        assert!(story.contains(words), "{story}");
    }
    assert!(in_clear.ledger().received.is_empty() && breaking.ledger().received.is_empty());
}
