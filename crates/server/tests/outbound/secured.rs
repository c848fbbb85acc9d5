//! STARTTLS by opportunity: used when it is offered, whoever signed, and never a reason to keep mail back.

use postroad_testkit::Remote;
use postroad_testkit::certificates::Authority;
use postroad_testkit::postfix::{Postfix, Setup, can_run};
use postroad_testkit::remote::{Deed, Manner, Phase};

use crate::town::{message, towns};

#[test]
fn tls_is_used_when_it_is_offered() {
    let pair = Authority::new().issue(&["somebody.else.test"]);
    for town in towns() {
        let (at, from) = (town.host(), town.account());
        let domain = town.domain_at(at);
        let to = format!("dave@{domain}");
        let remote = Remote::start(at, Manner::default().secured(&pair));
        town.submit(&from, &[&to], &message(&from, &to, "secured"));
        let received = remote.wait_for(1);
        assert!(received[0].tls);
        let heard = remote.ledger().connections[0].commands.join("\n").to_uppercase();
        assert_eq!(heard.matches("EHLO ").count(), 2, "asked again within TLS: {heard}");
        town.wait_until_gone(&domain);
        assert!(town.cli(&["trace", &to]).contains("TLSv1.3"));
    }
}

#[test]
fn postfix_is_spoken_to_in_tls() {
    if !can_run() {
        eprintln!("Postfix wants to be started as root; not tested");
        return;
    }
    let pair = Authority::new().issue(&["mx.there.test"]);
    for town in towns() {
        let (at, from) = (town.host(), town.account());
        let to = format!("dave@{}", town.domain_at(at));
        let postfix = Postfix::start(&Setup {
            listen: Some(at),
            certificate: Some(&pair),
            mailboxes: &[&to],
            ..Setup::default()
        });
        town.submit(&from, &[&to], &message(&from, &to, "to-postfix"));
        let mail = postfix.wait_for_mail(&to, 1);
        assert!(mail[0].contains("using TLSv1.3"), "{}", mail[0]);
    }
}

#[test]
fn broken_tls_is_done_without() {
    let pair = Authority::new().issue(&["mx.there.test"]);
    for town in towns() {
        let secured = || Manner::default().secured(&pair);
        let ways = [
            secured().and(Phase::StartTls, Deed::BreakTls),
            secured().and(Phase::StartTls, Deed::Close),
            secured().and(Phase::StartTls, Deed::Say(b"454 4.7.0 not now\r\n".to_vec())),
            // What comes in the clear behind the 220 must not be taken for what comes within TLS.
            secured().and(Phase::StartTls, Deed::Inject(b"250-SIZE 1\r\n250 AUTH PLAIN\r\n".to_vec())),
        ];
        for (number, manner) in ways.into_iter().enumerate() {
            let (at, from) = (town.host(), town.account());
            let domain = town.domain_at(at);
            let to = format!("dave@{domain}");
            let remote = Remote::start(at, manner);
            let id = format!("broken-{number}");
            town.submit(&from, &[&to], &message(&from, &to, &id));
            let received = remote.wait_for(1);
            assert!(!received[0].tls, "way {number}");
            town.wait_until_gone(&domain);
            assert_eq!(remote.ledger().times(&format!("{id}@example.test"), &to), 1);
        }
    }
}
