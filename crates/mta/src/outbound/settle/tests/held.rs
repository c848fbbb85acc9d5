//! Mail that was held, for mailboxes of this server: filed when its time has come, with all that belongs to it.

use super::*;
use crate::outbound::held;

/// Claims what is due, looks, and settles, as the bench does.
fn release(office: &Office) -> Vec<Settled> {
    let jobs = office.claim();
    let settled = jobs.into_iter().map(|job| {
        let found = office.runtime.block_on(held::look(&office.store, &job)).expect("a look").expect("it is here");
        let settling = Settling {
            attempt: Attempt::default(),
            elsewhere: Vec::new(),
            verdicts: found.verdicts,
            notes: Vec::new(),
            here: found.here.map(Arc::new),
            destination: Destination::AsBefore,
            random: 0,
            lease_ends: office.now().plus(Duration::from_secs(60)),
            job,
        };
        office.runtime.block_on(office.settler().settle(settling)).expect("it is settled")
    });
    settled.collect()
}

#[test]
fn what_was_held_for_mailboxes_here_is_filed_when_its_time_has_come() {
    each_store(MIGRATIONS, |test| {
        let office = Office::new(test);
        let hour = Duration::from_secs(3_600);
        let asking =
            Recipient { notify: Notify { success: true, failure: true, delay: true }, ..to("Alice@example.test") };
        let until = office.now().plus(hour);
        office.put(vec![asking, to("nobody@example.test")], LETTER, |message| {
            message.hold_until = Some(until);
            message.hold_asked = Some("for;3600".to_owned());
        });
        assert!(office.claim().is_empty() && office.notices().is_empty());
        office.advance(hour);
        assert_eq!(release(&office), [Settled::Recorded { message_ended: true }]);
        let found = office.notices();
        assert_eq!(found.len(), 2, "the message and one notice: {found:?}");
        assert!(found[0].contains("Subject: Lunch?") && found[0].contains("Are you there?"), "{}", found[0]);
        let told = digest(&found[1]);
        assert!(told.contains("Alice@example.test delivered 2.1.5, nobody@example.test failed 5.1.1"), "{told}");
        assert!(found[1].contains("\r\nFuture-Release-Request: for;3600\r\n"));
        assert!(office.story().iter().any(|line| line.starts_with("stored: alice@example.test: INBOX")));
        assert!(office.queued().is_empty());
    });
}

/// Others' mail, held or not, goes to others.
#[test]
fn what_is_for_others_is_not_looked_for_here() {
    let test = TestStore::memory(MIGRATIONS);
    let office = Office::new(&test);
    office.put(vec![to("bob@far.test")], LETTER, |message| message.hold_until = Some(NOW.plus(DAY)));
    office.put(vec![to("alice@example.test")], LETTER, |_| {});
    office.advance(DAY);
    for job in office.claim() {
        assert!(office.runtime.block_on(held::look(&office.store, &job)).expect("a look").is_none(), "{}", job.domain);
    }
}
