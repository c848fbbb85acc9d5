//! What could not be delivered comes back as a notice that a person can read, and a program too (RFC 3461 to 3464).

use postroad_testkit::postfix::{Postfix, Setup, can_run};
use postroad_testkit::remote::Manner;
use postroad_testkit::{Remote, run_in};

use crate::talk;
use crate::town::{PASSWORD, Town, message, towns};

/// What mutt shows of the first message of this account's INBOX.
fn shown_by_mutt(town: &Town, who: &str) -> String {
    let home = tempfile::tempdir().expect("a folder");
    let settings = format!(
        "set imap_user=\"{who}\"\nset imap_pass=\"{PASSWORD}\"\nset ssl_starttls=no\nset ssl_force_tls=no\n\
         set folder=\"imap://127.0.0.1:{port}/\"\nset spoolfile=\"+INBOX\"\nset quit=yes\nset wait_key=no\n\
         set mail_check=0\nset pipe_decode=yes\n",
        port = town.at(143).port()
    );
    let file = home.path().join("muttrc");
    std::fs::write(&file, settings).expect("written");
    let keys = "push '<first-entry><pipe-message>cat > shown.txt<enter><quit>'";
    let line = format!("mutt -R -n -F {} -e \"{keys}\"", file.display());
    run_in(home.path(), "script", &["-qec", &line, "/dev/null"], b"").good();
    std::fs::read_to_string(home.path().join("shown.txt")).expect("mutt has shown the message")
}

/// The value of a field of the report, and of the fields of its first recipient.
fn field(notice: &str, name: &str) -> Option<String> {
    let part = notice.split("message/delivery-status").nth(1)?;
    let unfolded = part.replace("\r\n ", " ").replace("\r\n\t", " ");
    unfolded.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

#[test]
fn what_postfix_refuses_comes_back_and_mutt_shows_it() {
    if !can_run() {
        eprintln!("Postfix wants to be started as root; not tested");
        return;
    }
    for town in towns() {
        let (from, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        let (good, bad) = (format!("dave@{domain}"), format!("nobody@{domain}"));
        let postfix = Postfix::start(&Setup { listen: Some(at), mailboxes: &[&good], ..Setup::default() });
        town.submit(&from, &[&good, &bad], &message(&from, &bad, "refused"));
        postfix.wait_for_mail(&good, 1);

        let notice = town.wait_for_notice(&from);
        assert!(notice.starts_with("Return-Path: <>\r\n"), "{notice}");
        assert_eq!(field(&notice, "Action").as_deref(), Some("failed"), "{notice}");
        assert_eq!(field(&notice, "Status").as_deref(), Some("5.1.1"));
        assert_eq!(field(&notice, "Final-Recipient"), Some(format!("rfc822; {bad}")), "{notice}");
        assert_eq!(field(&notice, "Remote-MTA"), Some(format!("dns; mx.{domain}")), "{notice}");
        assert!(field(&notice, "Diagnostic-Code").is_some_and(|code| code.starts_with("smtp; 550 5.1.1")), "{notice}");
        assert!(notice.contains("Auto-Submitted: auto-replied"), "{notice}");
        assert!(!notice.contains(&good), "a notice speaks of those who failed: {notice}");

        let shown = shown_by_mutt(town, &from);
        for words in [bad.as_str(), "550 5.1.1", "Subject: refused"] {
            assert!(shown.contains(words), "{words:?} is not shown:\n{shown}");
        }
        assert!(!shown.contains("unsupported"), "mutt does not know a part:\n{shown}");
        let story = town.cli(&["trace", &bad]);
        assert!(story.contains("550 5.1.1") && story.contains("notice"), "{story}");
        assert!(postfix.mail(&bad).is_empty());
    }
}

#[test]
fn a_refusal_at_the_end_of_data_is_told_with_its_words() {
    for town in towns() {
        let (from, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        use postroad_testkit::remote::{Deed, Phase};
        let words = "554-5.7.1 We do not like this.\r\n554 5.7.1 See https://there.test/why\r\n";
        let _remote = Remote::start(at, Manner::of(Phase::End, Deed::Say(words.into())));
        let to = format!("picky@{domain}");
        town.submit(&from, &[&to], &message(&from, &to, "disliked"));
        let notice = town.wait_for_notice(&from);
        assert_eq!(field(&notice, "Status").as_deref(), Some("5.7.1"));
        assert!(notice.contains("We do not like this."), "{notice}");
        assert!(notice.contains("https://there.test/why"), "{notice}");
    }
}

#[test]
fn each_recipient_has_a_fate_of_its_own() {
    for town in towns() {
        let (from, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        let to = |name: &str| format!("{name}@{domain}");
        let manner = Manner::default()
            .refusing(&to("never"), "550 5.1.1 never heard of")
            .refusing(&to("later"), "450 4.2.1 busy");
        let remote = Remote::start(at, manner);
        let (good, never, later) = (to("good"), to("never"), to("later"));
        town.submit(&from, &[&good, &never, &later], &message(&from, &good, "fates"));
        let received = remote.wait_for(1);
        assert_eq!(received[0].recipients().collect::<Vec<_>>(), [good.as_str()]);
        let notice = town.wait_for_notice(&from);
        assert!(notice.contains(&never) && !notice.contains(&later), "{notice}");
        let shown = town.wait_for_deferral(&domain, "450 4.2.1");
        assert!(shown.contains(&later), "{shown}");

        remote.behave(Manner::default());
        town.cli(&["queue", "retry", "--domain", &domain]);
        let received = remote.wait_for(2);
        assert_eq!(received[1].recipients().collect::<Vec<_>>(), [later.as_str()]);
        town.wait_until_gone(&domain);
        assert_eq!(town.wait_for_inbox(&from, 1).len(), 1, "no other notice");
    }
}

#[test]
fn success_is_told_to_who_asks_and_by_who_can() {
    for town in towns() {
        let at = town.host();
        let domain = town.domain_at(at);
        let to = format!("asked@{domain}");
        // The next server can report: it is asked to, and we are silent.
        let from = town.account();
        let remote = Remote::start(at, Manner::default());
        let (sender, recipient) = (
            format!("<{from}> RET=HDRS ENVID=e+2B1"),
            format!("<{to}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first+2Blast@{domain}"),
        );
        talk::submit(town.at(587), &from, &sender, &[&recipient], message(&from, &to, "dsn").as_bytes());
        let received = remote.wait_for(1).remove(0);
        let (mail, rcpt) = (received.mail.to_uppercase(), received.rcpt[0].clone());
        assert!(mail.contains("RET=HDRS") && mail.contains("ENVID=E+2B1"), "{mail}");
        assert!(rcpt.contains("NOTIFY=SUCCESS,FAILURE"), "{rcpt}");
        assert!(rcpt.contains(&format!("ORCPT=rfc822;first+2Blast@{domain}")), "{rcpt}");
        town.wait_until_gone(&domain);

        // It cannot: we tell that it was handed on.
        remote.behave(Manner::default().offering(&["PIPELINING"]));
        drop(remote);
        let remote = Remote::start(at, Manner::default().offering(&["PIPELINING"]));
        talk::submit(town.at(587), &from, &sender, &[&recipient], message(&from, &to, "relayed").as_bytes());
        let received = remote.wait_for(1).remove(0);
        assert!(!received.mail.contains("RET=") && !received.rcpt[0].contains("NOTIFY"), "{received:?}");
        let notice = town.wait_for_notice(&from);
        assert_eq!(field(&notice, "Action").as_deref(), Some("relayed"), "{notice}");
        assert_eq!(field(&notice, "Original-Envelope-Id").as_deref(), Some("e+1"), "{notice}");
        assert!(field(&notice, "Original-Recipient").is_some_and(|one| one.contains("first+last")), "{notice}");
        assert!(!notice.contains("First line."), "RET=HDRS: the header only: {notice}");
    }
}

#[test]
fn nobody_is_told_who_does_not_want_to_hear() {
    for town in towns() {
        let (from, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        let to = format!("quiet@{domain}");
        let _remote = Remote::start(at, Manner::default().refusing(&to, "550 5.1.1 no"));
        let recipient = format!("<{to}> NOTIFY=NEVER");
        let text = message(&from, &to, "never");
        talk::submit(town.at(587), &from, &format!("<{from}>"), &[&recipient], text.as_bytes());
        // Nor the null sender.
        talk::submit(town.at(587), &from, "<>", &[&format!("<{to}>")], text.as_bytes());
        town.wait_until_gone(&domain);
        assert!(talk::messages(town.at(143), &from, "INBOX").is_empty());
        let story = town.cli(&["trace", &to]);
        assert_eq!(story.matches("550 5.1.1").count(), 2, "{story}");
    }
}
