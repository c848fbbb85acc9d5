//! Submitted mail, notices: signed once, believed by others.

use postroad_testkit::remote::Manner;
use postroad_testkit::{Remote, Sink};

use crate::town::{Town, message, towns};
use crate::{talk, verdict};

/// The records of the domain's keys are in the DNS, and the keys sign.
pub(crate) fn published(town: &Town, domain: &str) {
    let zone = town.cli(&["dkim", "show", domain]);
    town.records(&zone);
    let listed = town.cli(&["dkim", "check", domain]);
    assert!(listed.contains("active") && !listed.contains("made"), "{listed}");
}

pub(crate) const BOTH: [&str; 2] = ["rsa-sha256 example.test True", "ed25519-sha256 example.test True"];

/// What dkimpy says, without the selectors.
pub(crate) fn verified(town: &Town, message: &[u8]) -> Vec<String> {
    let lines = verdict::dkim(town.name_server(), message);
    let words = |line: &String| {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.remove(2);
        words.join(" ")
    };
    lines.iter().map(words).collect()
}

#[test]
fn both_signatures_hold_at_others() {
    for town in towns() {
        let (from, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        published(town, "example.test");
        let remote = Remote::start(at, Manner::default());
        let to = format!("dave@{domain}");
        town.submit(&from, &[&to], &message(&from, &to, "signed"));
        let received = remote.wait_for(1).remove(0);
        assert_eq!(verified(town, &received.bytes), BOTH, "{}", received.text());
        assert!(town.cli(&["trace", "signed@example.test"]).contains("signed"), "it is in the story");

        // The fields that a swindler would add are covered, although they were not there.
        let text = received.text();
        for (from, into) in [("Subject: signed\r\n", "Subject: other\r\n"), ("To:", "Cc: everybody@there.test\r\nTo:")]
        {
            assert!(text.contains(from));
            let changed = verified(town, text.replacen(from, into, 1).as_bytes());
            assert!(changed.iter().all(|line| !line.ends_with("True")), "{into}: {changed:?}");
        }

        let keys: serde_json::Value =
            serde_json::from_str(&town.cli(&["dkim", "show", "example.test", "--json"])).expect("JSON");
        let text = |key: &serde_json::Value, name: &str| key[name].as_str().unwrap_or_default().to_owned();
        let keys: Vec<_> =
            keys.as_array().expect("a list").iter().map(|key| (text(key, "name"), text(key, "record"))).collect();
        let said = verdict::opendkim(&keys, &received.bytes);
        assert!(said.contains("verification (s=r2") && said.contains("succeeded"), "{said}");

        // The copy of a colleague has them too.
        let colleague = town.account();
        town.submit(&from, &[&colleague], &message(&from, &colleague, "within"));
        let copy = town.wait_for_inbox(&colleague, 1).remove(0);
        assert_eq!(verified(town, copy.as_bytes()), BOTH, "{copy}");
    }
}

#[test]
fn postfix_gets_it_signed() {
    for town in towns() {
        let (from, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        published(town, "example.test");
        let sink = Sink::start(at, &[]);
        let to = format!("dave@{domain}");
        let list =
            "List-Unsubscribe: <https://example.test/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";
        town.submit(&from, &[&to], &format!("{list}{}", message(&from, &to, "sink")));
        town.wait_until_gone(&domain);
        let dump = sink.dump();
        let text: String = dump
            .lines()
            .skip_while(|line| !line.starts_with("DKIM-Signature:"))
            .map(|line| format!("{line}\r\n"))
            .collect();
        // What smtp-sink writes behind a message is one more empty line, which does not count.
        assert_eq!(verified(town, text.as_bytes()), BOTH, "{dump}");
        assert!(text.to_lowercase().contains("list-unsubscribe-post"), "{text}");
        let signed = text.split("bh=").next().unwrap_or_default().replace("\r\n\t", "").replace("\r\n ", "");
        assert!(signed.to_lowercase().contains("list-unsubscribe:list-unsubscribe:list-unsubscribe-post"), "{signed}");
    }
}

#[test]
fn nobody_is_signed_for_who_is_somebody_else() {
    for town in towns() {
        let (from, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        published(town, "example.test");
        let other = town.unknown_domain();
        town.cli(&["domain", "add", &other]);
        published(town, &other);
        let remote = Remote::start(at, Manner::default());
        let to = format!("dave@{domain}");
        // Somebody in another domain of this server is not written as at all.
        let mut talk = talk::submission(town.at(587), &from);
        for command in [format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{to}>"), "DATA".into()] {
            let answer = talk.ask(&command);
            assert!(answer.starts_with(['2', '3']), "{command}: {answer}");
        }
        talk.say(message(&format!("boss@{other}"), &to, "boss").as_bytes());
        let answer = talk.ask(".");
        assert!(answer.starts_with("550 5.7.1"), "{answer}");
        // Somebody who is not here is, beside who brings it.
        town.submit(&from, &[&to], &message("ceo@bank.test", &to, "bank"));
        let received = remote.wait_for(1).remove(0);
        assert_eq!(verified(town, &received.bytes), BOTH, "the login's own domain: {}", received.text());
        assert_eq!(received.field("Sender").as_deref(), Some(from.as_str()));
    }
}

#[test]
fn before_its_record_is_there_a_key_does_not_sign() {
    for town in towns() {
        let (from, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        let ours = town.unknown_domain();
        town.cli(&["domain", "add", &ours]);
        town.cli(&["alias", "add", &format!("team@{ours}"), &from]);
        published(town, "example.test");
        let remote = Remote::start(at, Manner::default());
        let (author, to) = (format!("team@{ours}"), format!("dave@{domain}"));
        let send = |id: &str| town.submit(&from, &[&to], &message(&author, &to, id));
        let checked = town.try_cli(&["dkim", "check", &ours]);
        assert!(!checked.success && checked.out.contains("missing"), "{checked:?}");
        send("before");
        let received = remote.wait_for(1).remove(0);
        assert_eq!(verified(town, &received.bytes), BOTH, "who handed it in answers for it: {}", received.text());
        published(town, &ours);
        send("after");
        let received = remote.wait_for(2).remove(1);
        let expect = BOTH.map(|line| line.replace("example.test", &ours));
        assert_eq!(verified(town, &received.bytes), expect, "{}", received.text());
    }
}

#[test]
fn what_we_write_ourselves_is_signed() {
    let town = Town::with_settings(&[("hostname = \"localhost\"", "hostname = \"mx.example.test\"")]);
    let (from, at) = (town.account(), town.host());
    let domain = town.domain_at(at);
    published(&town, "example.test");
    let nobody = format!("nobody@{domain}");
    let _remote = Remote::start(at, Manner::default().refusing(&nobody, "550 5.1.1 unknown"));
    town.submit(&from, &[&nobody], &message(&from, &nobody, "lost"));
    let notice = town.wait_for_notice(&from);
    assert!(notice.contains("From: Mail Delivery System <postmaster@mx.example.test>"), "{notice}");
    assert_eq!(verified(&town, notice.as_bytes()), BOTH, "the domain above the host's name: {notice}");
}
