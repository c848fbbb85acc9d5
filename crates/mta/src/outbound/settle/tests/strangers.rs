//! What a forged sender can have us write to others.

use super::*;
use postroad_queue::Standing;

#[test]
fn a_stranger_is_not_told_from_every_place_that_a_group_leads_to() {
    for (login, expected) in [(false, NOTICES_TO_STRANGERS), (true, 15)] {
        let test = TestStore::memory(MIGRATIONS);
        let office = Office::new(&test);
        let via = Some("all@example.test".to_owned());
        let group = (0..15).map(|number| Recipient { via: via.clone(), ..to(&format!("m@far{number}.test")) });
        office.put(group.collect(), LETTER, |outgoing| {
            outgoing.sender = "victim@elsewhere.test".into();
            outgoing.account = outgoing.account.filter(|_| login);
        });
        let mut settled = 0;
        for _ in 0..10 {
            for job in office.claim().iter().filter(|job| !job.message.sender.is_empty()) {
                settled += 1;
                office.settle(job, &[unknown()], Destination::AsBefore);
            }
        }
        assert_eq!((settled, office.notices().len()), (15, expected), "login: {login}");
        let kept = office.story().iter().filter(|event| event.starts_with("not told: ")).count();
        assert_eq!(kept, 15 - expected, "the story says so");
    }
}

/// Whom a forger named has nothing to do with it: neither where they are elsewhere nor where they are here.
#[test]
fn nobody_is_told_of_what_is_proven_forged() {
    for sender in ["victim@elsewhere.test", "alice@example.test"] {
        for (standing, notices) in [(Standing::Unknown, 1), (Standing::Forged, 0)] {
            let test = TestStore::memory(MIGRATIONS);
            let office = Office::new(&test);
            office.put(vec![to("bob@far.test")], LETTER, |message| {
                (message.account, message.sender, message.standing) = (None, sender.to_owned(), standing);
            });
            let job = office.claim().pop().expect("a job");
            office.settle(&job, &[unknown()], Destination::AsBefore);
            assert_eq!(office.notices().len(), notices, "{sender} {standing:?}");
            let said = format!("not told: nobody is told of this failure: the sender <{sender}> is forged");
            let story = office.story();
            assert_eq!(story.iter().any(|event| event.starts_with(&said)), notices == 0, "{story:?}");
        }
    }
}

/// RFC 3461 §5.2.2: who asks hears of success, where their own domain says that it is they who ask.
#[test]
fn whom_their_own_domain_vouches_for_hears_of_success() {
    for (standing, notices) in [(Standing::Unknown, 0), (Standing::Vouched, 1), (Standing::Forged, 0)] {
        let test = TestStore::memory(MIGRATIONS);
        let office = Office::new(&test);
        let all = Notify { success: true, failure: true, delay: true };
        office.put(vec![Recipient { notify: all, ..to("bob@far.test") }], LETTER, |message| {
            (message.account, message.sender, message.standing) = (None, "x@away.test".to_owned(), standing);
            message.ret = Some(Ret::Full);
        });
        let job = office.claim().pop().expect("a job");
        office.settle(&job, &[taken(false)], Destination::AsBefore);
        let found = office.notices();
        assert_eq!(found.len(), notices, "{standing:?}");
        for notice in found {
            assert!(
                notice.starts_with("queued for x@away.test\n") && notice.contains("\r\nAction: relayed\r\n"),
                "{notice}"
            );
        }
    }
}
