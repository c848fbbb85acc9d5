//! What a forged sender can have us write to others.

use super::*;

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
