//! Mail that is not from whom it says.

use postroad_testkit::run_in;

use super::place::{PASSWORD, STRANGER, UNIVERSITY, message, places};

#[test]
fn the_authors_domain_gets_its_way() {
    for place in places() {
        let to = place.account();
        let bring = |from: &str, id: &str| place.bring(STRANGER, from, &to, message(from, &to, id).as_bytes());
        let refused = bring("boss@bank.test", "reject");
        assert!(!refused.success && refused.out.contains("550 5.7.26 "), "{refused:?}");
        assert!(refused.out.contains("bank.test"), "{refused:?}");
        bring("shop@shop.test", "quarantine").good();
        bring("x@watch.test", "none").good();
        let some = |count: &str, unseen: &str| (count.to_owned(), unseen.to_owned());
        assert_eq!(place.count(&to, "Junk"), some("1", "1"));
        assert_eq!(place.count(&to, "INBOX"), some("1", "1"));
        assert!(place.read(&to, "Junk").contains("Subject: quarantine"));

        let story = place.cli(&["trace", &format!("<reject.{to}>")]);
        for line in ["fail for MAIL FROM bank.test", "fail for bank.test, p=reject", "dmarc-reject", "550 5.7.26"] {
            assert!(story.contains(line), "{line}: {story}");
        }
        let story = place.cli(&["trace", &format!("<quarantine.{to}>")]);
        assert!(
            story.contains("junk for example.test: dmarc-quarantine") && story.contains("Junk as uid 1"),
            "{story}"
        );
    }
}

/// What is in Junk is found by a person's client, and is new there.
#[test]
fn mutt_finds_new_mail_in_junk() {
    let place = places()[0];
    let who = place.account();
    place.bring(STRANGER, "shop@shop.test", &who, message("shop@shop.test", &who, "offer").as_bytes()).good();
    let home = tempfile::tempdir().expect("a folder");
    let settings = format!(
        "set imap_user=\"{who}\"\nset imap_pass=\"{PASSWORD}\"\nset ssl_starttls=no\nset ssl_force_tls=no\n\
         set folder=\"imap://127.0.0.1:{}/\"\nset spoolfile=\"+Junk\"\nset quit=yes\nset wait_key=no\n\
         set mail_check=0\nset pipe_decode=no\n",
        place.port(143)
    );
    let file = home.path().join("muttrc");
    std::fs::write(&file, settings).expect("written");
    let keys = "push '<next-new><pipe-message>cat > seen.eml<enter><quit>'";
    let line = format!("mutt -n -F {} -e \"{keys}\"", file.display());
    run_in(home.path(), "script", &["-qec", &line, "/dev/null"], b"").good();
    let seen = std::fs::read_to_string(home.path().join("seen.eml")).expect("mutt has piped the message");
    assert!(seen.contains("Subject: offer") && seen.contains("dmarc=fail"), "{seen}");
}

#[test]
fn the_recipients_domain_and_the_administrator_may_want_something_else() {
    for place in places() {
        let domain = format!("d{}", place.account().replace("@example", ""));
        let to = format!("carol@{domain}");
        place.cli(&["domain", "add", &domain]);
        place.cli(&["account", "add", &to, "--password", PASSWORD]);
        let bring =
            |id: &str| place.bring(UNIVERSITY, "boss@bank.test", &to, message("boss@bank.test", &to, id).as_bytes());
        assert!(!bring("usual").success);

        place.cli(&["domain", "policy", "set", &domain, "dmarc-reject=junk", "unsure=tag"]);
        let shown = place.cli(&["domain", "policy", "show", &domain]);
        assert!(shown.lines().any(|line| line.starts_with("dmarc-reject") && line.contains("junk")), "{shown}");
        bring("junk").good();
        assert_eq!(place.count(&to, "Junk").0, "1");

        place.cli(&["domain", "policy", "set", &domain, "dmarc-reject=default"]);
        assert!(!bring("again").success);
        place.cli(&["trusted", "add", "forwarder", "uni.test", "--note", "our university"]);
        assert!(place.cli(&["trusted", "list"]).contains("our university"));
        bring("sent-on").good();
        assert_eq!(place.count(&to, "INBOX").0, "1");
        let story = place.cli(&["trace", &format!("<sent-on.{to}>")]);
        assert!(story.contains("believed: mx.uni.test is in uni.test"), "{story}");
        place.cli(&["trusted", "remove", "forwarder", "uni.test"]);
        assert!(!bring("no-more").success);
    }
}
