//! Servers that misbehave: mail is tried again, and neither lost nor sent twice where an answer came.

use postroad_queue::State;
use postroad_testkit::remote::{Deed, Manner, Phase};
use postroad_testkit::{Remote, Sink, eventually};

use crate::town::{Town, message, towns};

/// Each way to misbehave, and whether the message was taken by it.
fn ways() -> Vec<(&'static str, Manner, bool)> {
    let huge = || Deed::Say(["250-".as_bytes(), &vec![b'x'; 5_000_000], b"\r\n250 ok\r\n"].concat());
    let lines = || Deed::Say("250-more\r\n".repeat(200_000).into_bytes());
    let mut ways = Vec::new();
    use Phase::{Body, Connect, Data, Ehlo, End, Mail, Rcpt};
    for phase in [Connect, Ehlo, Mail, Rcpt, Data, Body, End] {
        ways.push(("closes", Manner::of(phase, Deed::Close), false));
    }
    for phase in [Connect, Mail, Rcpt, Data, End] {
        ways.push(("421", Manner::of(phase, Deed::SayAndClose(b"421 4.3.2 going down\r\n".to_vec())), false));
        ways.push(("garbage", Manner::of(phase, Deed::Say(b"\x00\xff what?\r\n".to_vec())), false));
    }
    for phase in [Connect, Mail, End] {
        ways.push(("huge line", Manner::of(phase, huge()), false));
        ways.push(("endless reply", Manner::of(phase, Deed::Babble), false));
    }
    ways.push(("many lines", Manner::of(Ehlo, lines()), false));
    ways.push(("450 at the end", Manner::saying(End, "450 4.3.0 try again"), false));
    ways.push(("452 for recipients", Manner::saying(Rcpt, "452 4.5.3 too many"), false));
    ways.push(("takes it and closes", Manner::of(End, Deed::TakeAndClose), true));
    ways
}

#[test]
fn whatever_the_next_server_does_the_mail_waits_and_arrives() {
    for town in towns() {
        let mut waiting = Vec::new();
        for (number, (what, manner, taken)) in ways().into_iter().enumerate() {
            let (at, from) = (town.host(), town.account());
            let domain = town.domain_at(at);
            let (to, id) = (format!("dave@{domain}"), format!("trouble-{number}"));
            let remote = Remote::start(at, manner);
            town.submit(&from, &[&to], &message(&from, &to, &id));
            waiting.push((what, taken, from, domain, to, id, remote));
        }
        for (what, taken, from, domain, to, id, remote) in waiting {
            eventually(what, || {
                let waiting = town.waiting(&domain);
                let recipient = waiting.first()?.recipients.first()?;
                (recipient.attempts > 0 && recipient.state != State::Claimed).then_some(())
            });
            assert_eq!(remote.ledger().received.len(), usize::from(taken), "{what}");
            remote.behave(Manner::default());
            town.cli(&["queue", "retry", "--domain", &domain]);
            remote.wait_for(1);
            town.wait_until_gone(&domain);
            let times = remote.ledger().times(&format!("{id}@example.test"), &to);
            assert_eq!(times, 1 + usize::from(taken), "{what}: twice only where no answer came");
            assert!(crate::talk::messages(town.at(143), &from, "INBOX").is_empty(), "{what}: nobody is told");
        }
    }
}

#[test]
fn smtp_sink_refuses_hard_and_soft() {
    for town in towns() {
        let (hard, soft, from) = (town.host(), town.host(), town.account());
        let (refusing, deferring) = (town.domain_at(hard), town.domain_at(soft));
        let _hard = Sink::start(hard, &["-f", "RCPT"]);
        let to = format!("dave@{refusing}");
        town.submit(&from, &[&to], &message(&from, &to, "hard"));
        let notice = town.wait_for_notice(&from);
        assert!(notice.contains(&to), "{notice}");
        let to = format!("dave@{deferring}");
        let sink = Sink::start(soft, &["-r", "MAIL"]);
        town.submit(&from, &[&to], &message(&from, &to, "soft"));
        town.wait_for_deferral(&deferring, "4");
        drop(sink);
        let sink = Sink::start(soft, &[]);
        town.cli(&["queue", "retry", "--domain", &deferring]);
        eventually("the mail", || (sink.recipients() == 1).then_some(()));
        assert!(sink.dump().contains("Subject: soft"), "{}", sink.dump());
    }
}

/// One destination that does not answer must not hold up the others, nor the stop of the server.
#[test]
fn who_stalls_stalls_alone() {
    for town in towns() {
        let (dead, alive, from) = (town.host(), town.host(), town.account());
        let (stalling, moving) = (town.domain_at(dead), town.domain_at(alive));
        let stalled = Remote::start(dead, Manner::of(Phase::Mail, Deed::Stall));
        let remote = Remote::start(alive, Manner::default());
        for number in 0..60 {
            let to = format!("r{number}@{stalling}");
            town.submit(&from, &[&to], &message(&from, &to, &format!("stalled-{number}")));
        }
        stalled.wait_for_connections(1);
        let to = format!("dave@{moving}");
        town.submit(&from, &[&to], &message(&from, &to, "moving"));
        remote.wait_for(1);
        let open = stalled.ledger().connections.iter().filter(|one| one.ended.is_none()).count();
        assert!(open <= 20, "{open} connections to one destination");
        drop(stalled);
        let _calm = Remote::start(dead, Manner::default());
        town.retry_until_gone(&stalling);
    }
}

/// RFC 5321 §4.5.3.2, with a hundredth of its times: who does not answer is given up, three of their domains find that out,
/// and the others hear of it without waiting; the order to try again is for all of them.
#[test]
fn who_does_not_answer_is_given_up_in_time_for_all_domains() {
    let town = Town::with_settings(&[("patience-percent = 100", "patience-percent = 1")]);
    let (at, from) = (town.host(), town.account());
    let stalled = Remote::start(at, Manner::of(Phase::Connect, Deed::Stall));
    let domains: Vec<String> = (0..20).map(|_| town.domain_at(at)).collect();
    for domain in &domains {
        let to = format!("dave@{domain}");
        town.submit(&from, &[&to], &message(&from, &to, domain));
    }
    for domain in &domains {
        town.wait_for_deferral(domain, "silent for too long");
    }
    let asked = stalled.ledger().connections.len();
    // Five at once until somebody has been greeted; the places of the first two that fail are given again, the third
    // failure ends it.
    assert!((3..=7).contains(&asked), "{asked} connections");
    drop(stalled);
    let _remote = Remote::start(at, Manner::default());
    // The host rests for half a minute on this node, and one tries for all.
    for domain in &domains {
        town.retry_until_gone(domain);
    }
}
