//! Notices as programs read them, field by field (RFC 3464 §2.2 and §2.3, RFC 6533 §3).

use postroad_smtp::Enhanced;
use postroad_store::{Timestamp, TraceId};

use super::*;

const NOW: Timestamp = Timestamp(1_795_348_800_000_000);

fn why() -> Why {
    let words = Words::said(450, Some(Enhanced(4, 2, 2)), "The mailbox is full", "RCPT TO");
    Why { words, host: Some("mx.far.test".to_owned()), at: Some(NOW) }
}

fn report(told: Vec<Told>) -> Report {
    Report {
        hostname: "mx.example.test".to_owned(),
        sender: Some("alice@example.test".parse().expect("an address")),
        envid: Some("QQ 314".to_owned()),
        arrived: NOW,
        now: NOW,
        trace: Some(TraceId(77)),
        serial: None,
        stranger: false,
        utf8: false,
        deliver_by: Some(NOW),
        hold_asked: Some("for;60".to_owned()),
        priority: 0,
        original: Original::header(b"Subject: Lunch?\r\nMessage-ID: <1@example.test>\r\n\r\n"),
        told,
    }
}

fn told(address: &str, original: Option<&str>, fate: Fate) -> Told {
    Told { address: address.to_owned(), original: original.map(str::to_owned), fate }
}

fn text(report: &Report) -> String {
    String::from_utf8(write(report)).expect("UTF-8")
}

#[test]
fn each_field_is_there_where_it_has_to_be() {
    let until = Timestamp(NOW.0 + 3_600_000_000);
    let all = [
        (Fate::Failed(why()), "failed", "5.2.2"),
        (Fate::Expired(why()), "failed", "4.4.7"),
        (Fate::Delayed { why: why(), until, in_time: false }, "delayed", "4.2.2"),
        (Fate::Delayed { why: why(), until, in_time: true }, "delayed", "4.4.7"),
        (Fate::Delivered, "delivered", "2.1.5"),
        (Fate::Relayed(why()), "relayed", "2.1.9"),
        (Fate::Expanded, "expanded", "2.1.5"),
    ];
    for (fate, action, status) in all {
        let says_why = !matches!(fate, Fate::Delivered | Fate::Expanded);
        let delayed = matches!(fate, Fate::Delayed { .. });
        let notice = text(&report(vec![told("bob@far.test", Some("rfc822;Bob@far.test"), fate)]));
        // The outermost type is what Exchange maps to its own reports.
        assert!(notice.contains("\r\nContent-Type: multipart/report; report-type=delivery-status;"), "{notice}");
        assert!(notice.contains("\r\nContent-Type: message/delivery-status\r\n"), "{notice}");
        for field in [
            "Original-Envelope-Id: QQ 314",
            "Reporting-MTA: dns; mx.example.test",
            "Arrival-Date: Sun, 22 Nov 2026 12:00:00 +0000",
            "Deliver-By-Date: Sun, 22 Nov 2026 12:00:00 +0000",
            "Future-Release-Request: for;60",
            "Original-Recipient: rfc822; Bob@far.test",
            "Final-Recipient: rfc822; bob@far.test",
            &format!("Action: {action}"),
            &format!("Status: {status}"),
        ] {
            assert!(notice.contains(&format!("\r\n{field}\r\n")), "{field} in {notice}");
        }
        for (field, expected) in [
            ("Remote-MTA: dns; mx.far.test", says_why),
            ("Diagnostic-Code: smtp; 450 4.2.2 The mailbox is full", says_why),
            ("Last-Attempt-Date: Sun, 22 Nov 2026 12:00:00 +0000", says_why),
            ("Will-Retry-Until: Sun, 22 Nov 2026 13:00:00 +0000", delayed),
        ] {
            assert_eq!(notice.contains(&format!("\r\n{field}\r\n")), expected, "{field} in {notice}");
        }
        // RFC 3834 §5, and Exchange's own: nobody answers a notice.
        for field in ["Auto-Submitted: auto-replied", "X-Auto-Response-Suppress: All", "In-Reply-To: <1@example.test>"]
        {
            assert!(notice.contains(&format!("\r\n{field}\r\n")), "{field} in {notice}");
        }
    }
}

/// RFC 6533 §3: global types where the sender reads UTF-8, else addresses in ASCII.
#[test]
fn addresses_in_other_scripts_have_their_types() {
    let bob = || vec![told("jörg@far.test", Some("utf-8;jörg@far.test"), Fate::Failed(why()))];
    let ascii = text(&report(bob()));
    assert!(ascii.contains("\r\nContent-Type: message/delivery-status\r\n"), "{ascii}");
    assert!(ascii.contains("\r\nFinal-Recipient: utf-8; j\\x{F6}rg@far.test\r\n"), "{ascii}");
    assert!(ascii.contains("\r\nOriginal-Recipient: utf-8; j\\x{F6}rg@far.test\r\n"), "{ascii}");
    let global = text(&Report { utf8: true, ..report(bob()) });
    assert!(global.contains("\r\nContent-Type: message/global-delivery-status\r\n"), "{global}");
    assert!(global.contains("\r\nFinal-Recipient: utf-8; jörg@far.test\r\n"), "{global}");
    let original = Original::header("Subject: grüße\r\n\r\n".as_bytes());
    let headers = text(&Report { utf8: true, original, ..report(bob()) });
    assert!(headers.contains("\r\nContent-Type: message/global-headers\r\n"), "{headers}");
}

#[test]
fn people_read_first_what_happened_and_what_to_do() {
    let words = |code, text: &str| Words::said(code, None, text, "RCPT TO");
    let at = |host: &str, words| Why { words, host: Some(host.to_owned()), at: None };
    for (why, expected) in [
        (
            at("mx.google.com", Words::said(550, Some(Enhanced(5, 7, 26)), "unauthenticated - gsmtp", "DATA")),
            "could not verify",
        ),
        (at("mx.far.test", words(550, "No such user here")), "There is no such address. Look for a typing error"),
        (at("mx.far.test", words(554, "blocked using zen.spamhaus.org")), "does not trust the server"),
        (at("mx.far.test", words(550, "Nope")), "does not want the message"),
        (Why { words: Words::ours((5, 4, 7), "late", "x"), host: None, at: None }, "The time by which you wanted it"),
        (Why { words: Words::ours((5, 7, 19), "rrvs", "x"), host: None, at: None }, "who had the address at a time"),
    ] {
        let notice = text(&report(vec![told("bob@far.test", None, Fate::Failed(why))]));
        let people = notice.split("message/delivery-status").next().expect("a part").replace("\r\n    ", " ");
        assert!(people.contains(expected), "{expected} in {people}");
    }
}
