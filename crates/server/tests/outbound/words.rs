//! What the next server cannot take as it is: converted where that keeps its meaning, else returned.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postroad_testkit::Remote;
use postroad_testkit::postfix::{Postfix, Setup, can_run};
use postroad_testkit::remote::Manner;

use crate::talk;
use crate::town::towns;

#[test]
fn eight_bits_become_seven_where_they_must() {
    for town in towns() {
        let (at, from) = (town.host(), town.account());
        let domain = town.domain_at(at);
        let to = format!("dave@{domain}");
        let text = format!(
            "From: {from}\r\nTo: {to}\r\nSubject: eight\r\nMessage-ID: <eight@example.test>\r\n\
             Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße aus Köln\r\n"
        );
        let sender = format!("<{from}> BODY=8BITMIME");
        let submit = || talk::submit(town.at(587), &from, &sender, &[&format!("<{to}>")], text.as_bytes());

        let able = Remote::start(at, Manner::default().offering(&["8BITMIME"]));
        submit();
        let received = able.wait_for(1).remove(0);
        assert!(received.mail.to_uppercase().contains("BODY=8BITMIME"), "{}", received.mail);
        assert!(received.text().ends_with(&text), "as it is: {}", received.text());
        town.wait_until_gone(&domain);
        drop(able);

        let unable = Remote::start(at, Manner::default().offering(&["PIPELINING", "CHUNKING"]));
        submit();
        let received = unable.wait_for(1).remove(0);
        assert!(!received.mail.to_uppercase().contains("BODY="), "{}", received.mail);
        assert!(received.bytes.is_ascii(), "{}", received.text());
        let encoding = received.field("Content-Transfer-Encoding").unwrap_or_default();
        match encoding.as_str() {
            "quoted-printable" => {
                assert!(received.text().ends_with("\r\n\r\nGr=C3=BC=C3=9Fe aus K=C3=B6ln\r\n"), "{}", received.text());
            }
            "base64" => assert!(received.text().contains(&BASE64_STANDARD.encode("Grüße aus Köln\r\n"))),
            other => panic!("{other:?} in {}", received.text()),
        }
        assert_eq!(received.field("Message-ID").as_deref(), Some("<eight@example.test>"));
        town.wait_until_gone(&domain);
    }
}

/// Hands bytes in as they are (RFC 3030).
fn submit_binary(at: std::net::SocketAddr, from: &str, to: &str, bytes: &[u8]) {
    let mut talk = talk::submission(at, from);
    for command in [format!("MAIL FROM:<{from}> BODY=BINARYMIME"), format!("RCPT TO:<{to}>")] {
        let answer = talk.ask(&command);
        assert!(answer.starts_with("250"), "{command}: {answer}");
    }
    talk.say(&[format!("BDAT {} LAST\r\n", bytes.len()).as_bytes(), bytes].concat());
    let answer = talk.reply();
    assert!(answer.starts_with("250"), "{answer}");
}

#[test]
fn binary_mail_goes_in_chunks_or_as_base64() {
    for town in towns() {
        let (at, from) = (town.host(), town.account());
        let domain = town.domain_at(at);
        let to = format!("dave@{domain}");
        let head = format!(
            "From: {from}\r\nTo: {to}\r\nSubject: binary\r\nMessage-ID: <binary@example.test>\r\n\
             Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n\
             Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        );
        let octets = b"\0one\n.\r\n\xff two\r three";
        let whole = [head.as_bytes(), octets].concat();
        let able = Remote::start(at, Manner::default().offering(&["8BITMIME", "BINARYMIME", "CHUNKING"]));
        submit_binary(town.at(587), &from, &to, &whole);
        let received = able.wait_for(1).remove(0);
        assert!(received.chunked && received.mail.contains("BODY=BINARYMIME"), "{}", received.mail);
        assert!(received.bytes.ends_with(&whole), "{}", received.text());
        town.wait_until_gone(&domain);
        drop(able);

        let unable = Remote::start(at, Manner::default().offering(&["8BITMIME"]));
        submit_binary(town.at(587), &from, &to, &whole);
        let received = unable.wait_for(1).remove(0);
        assert!(!received.mail.contains("BINARYMIME"), "{}", received.mail);
        assert_eq!(received.field("Content-Transfer-Encoding").as_deref(), Some("base64"), "{}", received.text());
        assert!(received.text().contains(&BASE64_STANDARD.encode(octets)), "{}", received.text());
        town.wait_until_gone(&domain);
    }
}

#[test]
fn postfix_without_extensions_gets_mail_all_the_same() {
    if !can_run() {
        eprintln!("Postfix wants to be started as root; not tested");
        return;
    }
    for town in towns() {
        let (at, from) = (town.host(), town.account());
        let domain = town.domain_at(at);
        let to = format!("dave@{domain}");
        let without = ["8bitmime", "smtputf8", "pipelining", "chunking", "size", "dsn", "enhancedstatuscodes"];
        let postfix =
            Postfix::start(&Setup { listen: Some(at), mailboxes: &[&to], without: &without, ..Setup::default() });
        let text = format!("From: {from}\r\nTo: {to}\r\nSubject: plain\r\n\r\n\u{e9}t\u{e9}\r\n.\r\n");
        talk::submit(town.at(587), &from, &format!("<{from}>"), &[&format!("<{to}>")], text.as_bytes());
        let mail = postfix.wait_for_mail(&to, 1).remove(0);
        assert!(mail.is_ascii(), "{mail}");
        town.wait_until_gone(&domain);
    }
}

#[test]
fn international_addresses_go_where_they_are_understood() {
    for town in towns() {
        let (at, from) = (town.host(), town.account());
        let domain = town.domain_at(at);
        let to = format!("jos\u{e9}@{domain}");
        let text = format!(
            "From: {from}\r\nTo: {to}\r\nSubject: \u{a1}hola!\r\nMessage-ID: <utf8@example.test>\r\n\r\nhi\r\n"
        );
        let sender = format!("<{from}> SMTPUTF8 BODY=8BITMIME");
        let submit = || talk::submit(town.at(587), &from, &sender, &[&format!("<{to}>")], text.as_bytes());
        let able = Remote::start(at, Manner::default());
        submit();
        let received = able.wait_for(1).remove(0);
        assert!(received.mail.contains("SMTPUTF8"), "{}", received.mail);
        assert_eq!(received.recipients().collect::<Vec<_>>(), [to.as_str()]);
        assert!(received.text().contains("Subject: \u{a1}hola!"), "{}", received.text());
        town.wait_until_gone(&domain);
        drop(able);

        let _unable = Remote::start(at, Manner::default().offering(&["8BITMIME"]));
        submit();
        let notice = town.wait_for_notice(&from);
        assert!(notice.contains("\r\nStatus: 5.6.7\r\n"), "{notice}");
        town.wait_until_gone(&domain);
    }
}

#[test]
fn what_is_too_large_for_the_next_server_is_not_begun() {
    for town in towns() {
        let (at, from) = (town.host(), town.account());
        let domain = town.domain_at(at);
        let to = format!("dave@{domain}");
        let remote = Remote::start(at, Manner::default().offering(&["SIZE 2000", "PIPELINING"]));
        let text = crate::town::message(&from, &to, "too-large") + &"0123456789\r\n".repeat(300);
        town.submit(&from, &[&to], &text);
        let notice = town.wait_for_notice(&from);
        assert!(notice.contains("\r\nStatus: 5.3.4\r\n"), "{notice}");
        let heard = remote.ledger().connections[0].commands.join("\n");
        assert!(!heard.contains("DATA"), "{heard}");
        town.wait_until_gone(&domain);
        // A small one is announced with its size and goes.
        let small = crate::town::message(&from, &to, "small");
        town.submit(&from, &[&to], &small);
        let received = remote.wait_for(1).remove(0);
        let size = received.mail.split("SIZE=").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
        assert_eq!(size, Some(received.bytes.len()), "{}", received.mail);
    }
}
