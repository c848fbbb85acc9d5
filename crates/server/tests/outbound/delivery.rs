//! A message that is handed in arrives at the next server as it was.

use postroad_testkit::postfix::{Postfix, Setup, can_run};
use postroad_testkit::remote::{Manner, Received};
use postroad_testkit::{Remote, run};

use crate::town::{PASSWORD, message, towns};

/// What stands before the original: fields that servers on the way put there, by name.
fn added(mail: &str, original: &str) -> Vec<String> {
    let Some(before) = mail.strip_suffix(original) else { panic!("not as it was sent:\n{mail}\n---\n{original}") };
    let fields = before.lines().filter(|line| !line.starts_with([' ', '\t']));
    fields.map(|line| line.split(':').next().unwrap_or_default().to_lowercase()).collect()
}

#[test]
fn a_message_reaches_postfix_byte_for_byte() {
    if !can_run() {
        eprintln!("Postfix wants to be started as root; not tested");
        return;
    }
    for town in towns() {
        let (from, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        let to = format!("dave@{domain}");
        let postfix = Postfix::start(&Setup { listen: Some(at), mailboxes: &[&to], ..Setup::default() });
        let text = message(&from, &to, "by-curl");
        let url = format!("smtp://{}", town.at(587));
        let login = format!("{from}:{PASSWORD}");
        let arguments = ["-sS", &url, "-u", &login, "--mail-from", &from, "--mail-rcpt", &to, "-T", "-"];
        run("curl", &arguments, text.as_bytes()).good();

        let mail = postfix.wait_for_mail(&to, 1).remove(0);
        let original = text.replace("\r\n", "\n");
        // The first four are Postfix's; no Return-Path of ours, no Delivered-To where nothing was forwarded.
        assert_eq!(added(&mail, &original), ["return-path", "x-original-to", "delivered-to", "received", "received"]);
        assert!(mail.starts_with(&format!("Return-Path: <{from}>\n")), "{mail}");

        town.wait_until_gone(&domain);
        let story = town.cli(&["trace", &to]);
        for words in ["queued", "250 2.0.0 Ok", &format!("mx.{domain}"), &at.to_string()] {
            assert!(story.contains(words), "{words:?} is not in the story:\n{story}");
        }
        let story = town.cli(&["trace", &to, "--json"]);
        assert!(story.starts_with("[{"), "{story}");
    }
}

#[test]
fn many_recipients_of_a_domain_share_a_transaction() {
    for town in towns() {
        let (from, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        let remote = Remote::start(at, Manner::default());
        let to: Vec<String> = (0..20).map(|number| format!("r{number}@{domain}")).collect();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        let text = message(&from, to[0], "shared");
        town.submit(&from, &to, &text);
        let received = remote.wait_for(1);
        town.wait_until_gone(&domain);
        assert_eq!(remote.ledger().received.len(), 1, "one transaction for all");
        let mut reached: Vec<&str> = received[0].recipients().collect();
        reached.sort_unstable();
        let mut wanted = to.clone();
        wanted.sort_unstable();
        assert_eq!(reached, wanted);
        assert_eq!(received[0].sender(), from);
        assert_eq!(added(&received[0].text(), &text), ["received"]);
    }
}

#[test]
fn a_connection_is_used_again() {
    for town in towns() {
        let (from, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        let remote = Remote::start(at, Manner::default());
        let to = format!("often@{domain}");
        for number in 1..=10 {
            let text = message(&from, &to, &format!("often-{number}"));
            town.submit(&from, &[&to], &text);
            remote.wait_for(number);
        }
        town.wait_until_gone(&domain);
        let ledger = remote.ledger();
        assert!(ledger.connections.len() < 5, "{} connections for 10 messages", ledger.connections.len());
        for number in 1..=10 {
            assert_eq!(ledger.times(&format!("often-{number}@example.test"), &to), 1);
        }
    }
}

#[test]
fn a_large_message_arrives_whole() {
    for town in towns() {
        let (from, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        let to = format!("large@{domain}");
        let line = "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ .\r\n";
        let text = message(&from, &to, "large") + &line.repeat(30_000) + ".\r\n";
        for offers in [&["PIPELINING", "CHUNKING"][..], &["PIPELINING"], &[]] {
            let remote = Remote::start(at, Manner::default().offering(offers));
            town.submit(&from, &[&to], &text);
            let received: Vec<Received> = remote.wait_for(1);
            assert_eq!(added(&received[0].text(), &text), ["received"]);
            town.wait_until_gone(&domain);
        }
    }
}

#[test]
fn aliases_groups_and_forwards_lead_outside() {
    for town in towns() {
        let (from, here, forwarding, at) = (town.account(), town.account(), town.account(), town.host());
        let domain = town.domain_at(at);
        let remote = Remote::start(at, Manner::default());
        let (alias, group) = (format!("alias-{domain}@example.test"), format!("group-{domain}@example.test"));
        let outside = |name: &str| format!("{name}@{domain}");
        town.cli(&["alias", "add", &alias, &outside("one")]);
        town.cli(&["alias", "add", &group, &outside("two"), &outside("three"), &here]);
        town.cli(&["forward", "set", &forwarding, &outside("four")]);
        let cases: [(&str, &[&str]); 3] = [(&alias, &["one"]), (&group, &["two", "three"]), (&forwarding, &["four"])];
        for (count, (through, names)) in cases.iter().enumerate() {
            let id = format!("through-{count}-{domain}");
            // A stranger writes in by port 25: what leads outside leaves all the same.
            let text = message("carol@elsewhere.test", through, &id);
            let relay = town.at(25).to_string();
            let swaks = ["--server", &relay, "--from", "carol@elsewhere.test", "--helo", "mx.elsewhere.test", "--to"];
            run("swaks", &[&swaks[..], &[through, "--data", "-"]].concat(), text.replace("\r\n", "\n").as_bytes())
                .good();
            for name in *names {
                let reached = || remote.look(|ledger| ledger.times(&format!("{id}@example.test"), &outside(name)));
                postroad_testkit::eventually(name, || (reached() == 1).then_some(()));
            }
            let received = remote.ledger().received.pop().expect("it was taken");
            assert_eq!(received.field("Delivered-To").as_deref(), Some(*through), "the copy that leaves is marked");
        }
        assert_eq!(town.wait_for_inbox(&here, 1).len(), 1);
        let _ = from;
        town.wait_until_gone(&domain);
    }
}
