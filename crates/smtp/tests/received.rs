//! Received lines, and what a session tells about itself.

mod common;

use common::{Drive, peer, settings, tls};
use postroad_protocol::{Interrupt, Protocol};
use postroad_smtp::{Role, with_protocol};

#[test]
fn a_session_gives_the_facts_of_its_received_line() {
    let mut drive = Drive::new(settings(&["submission"]), peer("[2001:db8::9]:4711"), Some(tls()));
    drive.feed(b"EHLO [192.0.2.9]\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n");
    drive.feed(b"MAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@foo.com>\r\n");
    let mut received = drive.session.received("0123456789abc", "Sun, 22 Nov 2026 03:00:00 +0000");
    received.reverse_name = Some("host.example");
    assert_eq!(
        received.header(),
        "Received: from [192.0.2.9] (host.example [IPv6:2001:db8::9])\r\n\
         \tby mx.example.com with ESMTPSA\r\n\
         \t(TLSv1.3 TLS_AES_128_GCM_SHA256 X25519MLKEM768)\r\n\
         \t(authenticated as alice@example.com)\r\n\
         \tid 0123456789abc\r\n\
         \tfor <bob@foo.com>;\r\n\
         \tSun, 22 Nov 2026 03:00:00 +0000\r\n"
    );
    received.reverse_name = Some("evil) (x.example");
    assert!(!received.header().contains("evil"));
    received.login = Some("a(b\\)\r\nX: y");
    received.remote = None;
    received.recipient = None;
    let header = received.header();
    assert!(header.contains("(authenticated as a\\(b\\\\\\)X: y)"), "{header}");
    assert!(!header.contains("2001:db8") && !header.contains("bob@foo.com"));
    drive.feed(b"RCPT TO:<carol@foo.com>\r\n");
    assert!(!drive.session.received("x", "y").header().contains("for <"), "with two recipients none is named");
}

#[test]
fn with_keywords_are_the_registered_ones() {
    for (role, extended, smtputf8, tls, auth, keyword) in [
        (Role::Relay, false, false, false, false, "SMTP"),
        (Role::Relay, true, false, false, false, "ESMTP"),
        (Role::Relay, true, false, true, false, "ESMTPS"),
        (Role::Submission, true, false, false, true, "ESMTPA"),
        (Role::Submission, true, true, true, true, "UTF8SMTPSA"),
        (Role::Lmtp, true, false, false, false, "LMTP"),
        (Role::Lmtp, true, true, true, false, "UTF8LMTPS"),
    ] {
        assert_eq!(with_protocol(role, extended, smtputf8, tls, auth), keyword);
    }
}

#[test]
fn interrupts_are_told_to_the_client() {
    for (why, words) in
        [(Interrupt::TimedOut, "421 4.4.2 "), (Interrupt::ShuttingDown, "421 4.3.2 "), (Interrupt::Closed, "")]
    {
        let mut drive = Drive::new(settings(&["relay"]), peer("192.0.2.9:1"), None);
        drive.feed(b"HELO x.example\r\n");
        drive.session.interrupt(why);
        let output = String::from_utf8(drive.session.take_output()).expect("text");
        assert!(output.starts_with(words) && output.is_empty() == words.is_empty(), "{output}");
        assert_eq!(drive.session.step(), postroad_protocol::Step::Close);
    }
}

#[test]
fn who_talks_before_the_greeting_is_refused_on_relay_only() {
    for (word, code) in [("relay", "554 5.5.1 "), ("submission", "220 "), ("lmtp", "220 ")] {
        let mut session =
            postroad_smtp::Session::new(std::sync::Arc::new(settings(&[word])), peer("192.0.2.9:1"), None, ());
        session.input(b"EHLO x\r\n");
        if session.step() == postroad_protocol::Step::Do(postroad_smtp::Stage::Connect) {
            session.verdict(postroad_smtp::Verdict::Accept);
        }
        let output = String::from_utf8(session.take_output()).expect("text");
        assert!(output.starts_with(code), "{word}: {output}");
    }
}

#[test]
fn what_came_in_clear_behind_starttls_is_counted() {
    let mut drive = Drive::new(settings(&["relay"]), peer("192.0.2.9:1"), None);
    drive.feed(b"EHLO x.example\r\nSTARTTLS\r\nNOOP\r\n");
    drive.session.input(b"NOOP\r\n");
    drive.secured();
    assert_eq!(drive.session.counters().injected, 12);
    assert!(drive.session.tls().is_some() && drive.session.helo().is_none());
    assert!(drive.output.ends_with(b"220 2.0.0 Begin TLS\r\n"));
}
