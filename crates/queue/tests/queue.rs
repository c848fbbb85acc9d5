//! What is enqueued is listed, claimed, recorded and forgotten as it should be.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Duration;

use common::{MIGRATIONS, NOW, Post, after, ask, to};
use postroad_queue::{
    Body, DELAY, Depth, Error, Filter, LEASE, LIFETIME, Node, Notify, Outcome, Purpose, QueueId, Recipient, Ret, State,
    Terms, Which,
};
use postroad_store::{AccountId, Timestamp, TraceId};
use postroad_testkit::{TestStore, each_store};

#[test]
fn messages_are_listed_as_they_were_enqueued() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        assert_eq!(post.depth(), Depth::default());
        let exact = Recipient {
            notify: Notify { success: true, failure: false, delay: true },
            orcpt: Some("rfc822;x@away.test".to_owned()),
            via: Some("list@example.test".to_owned()),
            ..to("x@away.test")
        };
        let first = post.put_with(NOW, vec![exact, to("y@far.test")], |message| {
            message.envid = Some("e 1".to_owned());
            message.ret = Some(Ret::Headers);
            message.body = Body::EightBitMime;
            message.account = Some(AccountId(1));
            message.trace = Some(TraceId(9));
        });
        let held = after(5);
        let second = post.put_with(Timestamp(NOW.0 + 1_000), vec![to("z@far.test")], |message| {
            message.hold_until = Some(held);
        });
        assert_eq!(post.depth(), Depth { messages: 2, recipients: 3, oldest: Some(NOW) });
        let all = post.list(&Filter::default());
        assert_eq!(all.iter().map(|listed| listed.message.id).collect::<Vec<_>>(), [first, second]);
        let message = &all[0].message;
        assert_eq!((message.sender.as_str(), message.trace), ("alice@example.test", Some(TraceId(9))));
        assert_eq!(
            (message.envid.as_deref(), message.ret, message.body),
            (Some("e 1"), Some(Ret::Headers), Body::EightBitMime)
        );
        assert_eq!((message.account, message.expires), (Some(AccountId(1)), NOW.plus(LIFETIME)));
        let recipients = &all[0].recipients;
        assert_eq!(recipients[0].address, "x@away.test");
        assert_eq!(recipients[0].via.as_deref(), Some("list@example.test"));
        assert_eq!(recipients[0].notify, Notify { success: true, failure: false, delay: true });
        assert_eq!(recipients[1].notify, Notify::default());
        assert!(recipients.iter().all(|one| one.state == State::Waiting && one.due == NOW && one.attempts == 0));
        assert_eq!(all[1].recipients[0].due, held);
        assert_eq!(post.show(first).unwrap(), all[0]);
        assert_eq!(post.show(QueueId(1)), None);
        let filters = [
            (Filter { domain: Some("far.test".into()), ..Filter::default() }, vec![first, second]),
            (Filter { domain: Some("away.test".into()), ..Filter::default() }, vec![first]),
            (Filter { sender: Some("bob@example.test".into()), ..Filter::default() }, vec![]),
            (Filter { trace: Some(TraceId(9)), ..Filter::default() }, vec![first]),
            (
                Filter { state: Some(State::Waiting), sender: Some("alice@example.test".into()), ..Filter::default() },
                vec![first, second],
            ),
            (Filter { state: Some(State::Held), ..Filter::default() }, vec![]),
            (Filter { state: Some(State::Claimed), domain: Some("far.test".into()), ..Filter::default() }, vec![]),
        ];
        for (filter, expected) in filters {
            let found: Vec<QueueId> = post.list(&filter).iter().map(|listed| listed.message.id).collect();
            assert_eq!(found, expected, "{filter:?}");
        }
    });
}

#[test]
fn a_message_has_recipients() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        assert!(matches!(post.try_put(NOW, Vec::new()), Err(Error::Recipients)));
        let many = (0..3_000).map(|number| to(&format!("u{number}@far.test"))).collect();
        let id = post.put(NOW, many);
        assert_eq!(post.depth().recipients, 3_000);
        assert_eq!(post.list(&Filter::default())[0].recipients.len(), postroad_queue::LISTED_RECIPIENTS_MAX);
        assert_eq!(post.show(id).unwrap().recipients.len(), 3_000);
    });
}

#[test]
fn ids_are_read_as_they_are_shown() {
    for id in [1, 255, i64::MAX] {
        let shown = QueueId(id).to_string();
        assert_eq!(shown.parse(), Ok(QueueId(id)));
        assert_eq!(shown.to_lowercase().parse(), Ok(QueueId(id)));
    }
    for wrong in ["", "Q", "1f", "Qxyz", "Q-1", "Q+1", "Q8000000000000000", "Q 1"] {
        assert!(wrong.parse::<QueueId>().is_err(), "{wrong}");
    }
}

#[test]
fn a_delivered_message_goes_with_its_bytes() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        let message = post.put(NOW, vec![to("x@a.test"), to("y@b.test"), to("z@b.test")]);
        assert_eq!(post.blob_refs(), 1);
        let jobs = post.claim(&ask(&node, NOW));
        let seen: Vec<(&str, Vec<&str>)> = jobs
            .iter()
            .map(|job| (job.domain.as_str(), job.recipients.iter().map(|due| due.address.as_str()).collect()))
            .collect();
        assert_eq!(seen, [("a.test", vec!["x@a.test"]), ("b.test", vec!["y@b.test", "z@b.test"])]);
        assert!(jobs.iter().all(|job| job.purpose == Purpose::Send && !job.probe && job.message.id == message));
        assert!(post.claim(&ask(&node, NOW)).is_empty(), "what is claimed is not claimed again");
        assert_eq!(post.states(message), ["claimed", "claimed", "claimed"]);
        assert!(!post.record(&jobs[0], Outcome::Delivered, "250 ok", NOW).unwrap().message_ended);
        assert_eq!((post.depth().messages, post.depth().recipients, post.blob_refs()), (1, 2, 1));
        let until = after(600);
        post.record(&jobs[1], Outcome::Deferred { until }, "451 later", NOW).unwrap();
        assert!(post.claim(&ask(&node, after(599))).is_empty());
        let again = post.claim(&ask(&node, until));
        assert_eq!(again[0].recipients.iter().map(|due| due.attempts).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(again[0].recipients[0].last_reply.as_deref(), Some("451 later"));
        assert!(post.record(&again[0], Outcome::Failed, "550 no", until).unwrap().message_ended);
        assert_eq!((post.depth(), post.blob_refs()), (Depth::default(), 0));
        assert_eq!(post.show(message), None);
    });
}

#[test]
fn only_who_has_it_records() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let first = post.node("one");
        let message = post.put(NOW, vec![to("x@a.test")]);
        let job = post.claim(&ask(&first, NOW)).remove(0);
        // The same server starts again: what its former life had is free at once.
        let again = post.node("one");
        assert_eq!(post.states(message), ["waiting"]);
        assert!(matches!(post.record(&job, Outcome::Delivered, "250 ok", NOW), Err(Error::Lost)));
        assert!(matches!(post.try_claim(&ask(&first, NOW)), Err(Error::Lost)), "a former life gets nothing");
        let job = post.claim(&ask(&again, NOW)).remove(0);
        post.record(&job, Outcome::Unattempted, "", NOW).unwrap();
        assert!(matches!(post.record(&job, Outcome::Delivered, "250 ok", NOW), Err(Error::Lost)));
        assert_eq!((post.depth().recipients, post.blob_refs()), (1, 1));
        let job = post.claim(&ask(&again, NOW)).remove(0);
        assert_eq!(job.recipients[0].attempts, 0);
        post.leave(&again);
        assert_eq!(post.states(message), ["waiting"]);
    });
}

#[test]
fn claims_of_a_dead_node_come_free_after_its_lease() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let dead = post.node("dead");
        let alive = post.node("alive");
        let message = post.put(NOW, vec![to("x@a.test")]);
        let job = post.claim(&ask(&dead, NOW)).remove(0);
        let last = NOW.plus(LEASE - Duration::from_secs(1));
        post.recover(&alive, last).unwrap();
        assert_eq!(post.states(message), ["claimed"], "its lease lasts");
        assert!(post.claim(&ask(&alive, last)).is_empty());
        let end = NOW.plus(LEASE + Duration::from_secs(1));
        assert!(matches!(post.try_claim(&ask(&dead, end)), Err(Error::Lost)), "a node without lease gets nothing");
        post.recover(&alive, end).unwrap();
        let taken = post.claim(&ask(&alive, end));
        assert_eq!(taken.len(), 1);
        assert!(matches!(post.record(&job, Outcome::Delivered, "250 ok", end), Err(Error::Lost)));
        post.record(&taken[0], Outcome::Relayed, "250 ok", end).unwrap();
        assert_eq!(post.show(message), None);
    });
}

#[test]
fn a_node_that_beats_keeps_its_claims() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let (one, two) = (post.node("one"), post.node("two"));
        let message = post.put(NOW, vec![to("x@a.test")]);
        let job = post.claim(&ask(&one, NOW)).remove(0);
        for minute in 1..10 {
            post.beat(&one, after(minute * 60)).unwrap();
            post.recover(&two, after(minute * 60)).unwrap();
        }
        assert_eq!(post.states(message), ["claimed"]);
        post.record(&job, Outcome::Delivered, "250 ok", after(600)).unwrap();
        let newer = post.node("one");
        assert!(matches!(post.beat(&one, after(600)), Err(Error::Lost)));
        assert!(matches!(post.recover(&one, after(600)), Err(Error::Lost)), "a former life does not take it back");
        post.beat(&newer, after(600)).unwrap();
    });
}

#[test]
fn a_blocked_destination_holds_nobody_up_and_gets_one_probe() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        let dead: Vec<QueueId> = (0..5).map(|_| post.put(NOW, vec![to("x@dead.test")])).collect();
        let job = post.claim(&Ask1(&node).jobs(1)).remove(0);
        assert_eq!(job.message.id, dead[0]);
        let until = after(1800);
        post.block("dead.test", until, job.failures + 1, "connection refused", NOW);
        post.record(&job, Outcome::Deferred { until }, "connection refused", NOW).unwrap();
        let other = post.put(NOW, vec![to("y@alive.test")]);
        let jobs = post.claim(&ask(&node, NOW));
        assert_eq!(jobs.iter().map(|job| job.message.id).collect::<Vec<_>>(), [other]);
        assert_eq!(post.states(dead[1]), ["parked"]);
        post.record(&jobs[0], Outcome::Delivered, "250 ok", NOW).unwrap();
        assert_eq!(post.next_due(), Some(until), "nobody asks before");
        assert!(post.claim(&ask(&node, after(1799))).is_empty());
        // One probe; the others wait for it, also those that are due.
        let probe = post.claim(&ask(&node, until));
        assert_eq!(probe.len(), 1, "{probe:?}");
        assert_eq!((probe[0].probe, probe[0].failures), (true, 1));
        assert!(post.claim(&ask(&node, until)).is_empty());
        // It fails again.
        let later = after(5400);
        post.block("dead.test", later, probe[0].failures + 1, "connection refused", until);
        post.record(&probe[0], Outcome::Deferred { until: later }, "connection refused", until).unwrap();
        assert_eq!(post.destinations(), [("dead.test".to_owned(), later, 2)]);
        // A probe that came to nothing leaves the destination to the next.
        let probe = post.claim(&ask(&node, later));
        assert_eq!((probe.len(), probe[0].failures), (1, 2));
        post.record(&probe[0], Outcome::Unattempted, "", later).unwrap();
        let probe = post.claim(&ask(&node, later));
        assert_eq!((probe.len(), probe[0].probe), (1, true));
        // Now it can be reached: all go.
        post.record(&probe[0], Outcome::Delivered, "250 ok", later).unwrap();
        let mut sent = 1;
        while let Some(due) = post.next_due().filter(|due| *due <= later) {
            assert!(due <= later);
            for job in post.claim(&ask(&node, later)) {
                assert!(!job.probe);
                post.record(&job, Outcome::Delivered, "250 ok", later).unwrap();
                sent += 1;
            }
        }
        assert_eq!((sent, post.depth(), post.next_due()), (5, Depth::default(), None));
        assert!(post.destinations().is_empty(), "nothing is remembered of a destination that works");
    });
}

#[test]
fn a_crowded_destination_is_served_by_its_connections() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        for _ in 0..20 {
            post.put(NOW, vec![to("x@big.test")]);
        }
        let other = post.put(NOW, vec![to("x@small.test")]);
        let crowded = ["big.test".to_owned()];
        let mut few = ask(&node, NOW);
        few.jobs_per_destination = 3;
        let jobs = post.claim(&few);
        let big: Vec<_> = jobs.iter().filter(|job| job.domain == "big.test").collect();
        assert_eq!((big.len(), jobs.len()), (3, 4));
        assert!(jobs.iter().any(|job| job.message.id == other));
        let full = postroad_queue::Ask { crowded: &crowded, ..few };
        assert!(post.claim(&full).is_empty());
        assert_eq!(post.next_due_but(&crowded), Some(NOW.plus(DELAY)), "no reason to ask while it is crowded");
        assert_eq!(post.next_due(), Some(NOW));
        let more = post.claim_for(&node, "big.test", 5, 50, NOW);
        assert_eq!(more.len(), 5);
        assert!(more.iter().all(|job| !job.probe && job.recipients.len() == 1));
        assert_eq!(post.claim(&few).len(), 3, "with room again they come out of the park");
        let rest = post.claim_for(&node, "big.test", 50, 50, NOW);
        assert_eq!(rest.len(), 9);
        assert!(post.claim(&few).is_empty());
        assert!(post.destinations().is_empty());
        assert_eq!(post.next_due(), Some(NOW.plus(DELAY)));
    });
}

#[test]
fn jobs_hold_what_goes_together() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        let by = |address: &str, via: &str| Recipient { via: Some(via.to_owned()), ..to(address) };
        let recipients =
            vec![to("a@x.test"), to("b@x.test"), to("c@x.test"), by("d@x.test", "l@e.test"), to("e@y.test")];
        post.put(NOW, recipients.clone());
        post.put(NOW, vec![to("a@x.test")]);
        let mut two = ask(&node, NOW);
        two.recipients_per_job = 2;
        let jobs = post.claim(&two);
        let shapes: Vec<(&str, Option<&str>, usize)> =
            jobs.iter().map(|job| (job.domain.as_str(), job.via.as_deref(), job.recipients.len())).collect();
        let expected = [
            ("x.test", None, 2),
            ("x.test", None, 1),
            ("x.test", Some("l@e.test"), 1),
            ("y.test", None, 1),
            ("x.test", None, 1),
        ];
        assert_eq!(shapes, expected);
    });
}

#[test]
fn messages_end_in_time_whatever_their_destination_does() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        let parked = post.put(NOW, vec![to("x@dead.test"), to("y@dead.test")]);
        let held = post.put(NOW, vec![to("x@dead.test")]);
        post.order(postroad_queue::hold, &Which::Message(held), NOW);
        let job = post.claim(&ask(&node, NOW)).remove(0);
        post.record(&job, Outcome::Unattempted, "", NOW).unwrap();
        post.block("dead.test", after(30 * 86_400), 1, "no route to host", NOW);
        assert!(post.claim(&ask(&node, NOW)).is_empty());
        assert_eq!(post.states(parked), ["parked", "parked"]);
        // After four hours the sender is to be told, once.
        let told = NOW.plus(DELAY);
        assert_eq!(post.next_due(), Some(told));
        post.beat(&node, told).unwrap();
        let jobs = post.claim(&ask(&node, told));
        assert_eq!(jobs.iter().map(|job| job.purpose).collect::<Vec<_>>(), [Purpose::TellDelay]);
        assert_eq!(jobs[0].recipients[0].last_reply.as_deref(), Some("no route to host"));
        post.record_told(&jobs[0], told);
        for hour in 5..10 {
            post.beat(&node, after(hour * 3600)).unwrap();
            assert!(post.claim(&ask(&node, after(hour * 3600))).is_empty());
        }
        let end = NOW.plus(LIFETIME);
        post.beat(&node, end).unwrap();
        let jobs = post.claim(&ask(&node, end));
        assert_eq!(
            jobs.iter().map(|job| (job.purpose, job.message.id)).collect::<Vec<_>>(),
            [(Purpose::Expire, parked)]
        );
        assert_eq!(jobs[0].recipients.len(), 2);
        post.record(&jobs[0], Outcome::Failed, "expired", end).unwrap();
        assert_eq!(post.states(held), ["held"], "what is held waits for its release");
        post.order(postroad_queue::release, &Which::All, end);
        let purposes = |at: Timestamp| post.claim(&ask(&node, at)).iter().map(|job| job.purpose).collect::<Vec<_>>();
        assert_eq!(purposes(end), [], "it is parked first");
        assert_eq!(purposes(end.plus(Duration::from_secs(901))), [], "its time begins with the release");
        let told = post.claim(&ask(&node, end.plus(DELAY)));
        assert_eq!(told.iter().map(|job| job.purpose).collect::<Vec<_>>(), [Purpose::TellDelay]);
        post.record_told(&told[0], end.plus(DELAY));
        assert_eq!(purposes(end.plus(LIFETIME)), [], "it is parked again first");
        let later = end.plus(LIFETIME + Duration::from_secs(901));
        let jobs = post.claim(&ask(&node, later));
        assert_eq!(jobs.iter().map(|job| job.purpose).collect::<Vec<_>>(), [Purpose::Expire]);
        post.record(&jobs[0], Outcome::Failed, "expired", later).unwrap();
        assert_eq!((post.depth(), post.blob_refs()), (Depth::default(), 0));
    });
}

/// The server was off for a week: what could be sent is not given up unseen.
#[test]
fn what_can_be_tried_is_tried_once_more_when_its_time_is_over() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        post.put(NOW, vec![to("x@a.test"), to("x@dead.test")]);
        for job in post.claim(&ask(&node, NOW)).iter().filter(|job| job.domain == "dead.test") {
            post.record(job, Outcome::Deferred { until: after(600) }, "no answer", NOW).unwrap();
            post.block("dead.test", after(900), 1, "no answer", NOW);
        }
        post.leave(&node);
        let end = NOW.plus(LIFETIME + Duration::from_secs(86_400));
        let node = post.node("one");
        let jobs = post.claim(&ask(&node, end));
        let told = |jobs: &[postroad_queue::Job]| -> Vec<(Purpose, String, bool)> {
            let mut told: Vec<_> = jobs.iter().map(|job| (job.purpose, job.domain.clone(), job.probe)).collect();
            told.sort_by(|one, other| one.1.cmp(&other.1));
            told
        };
        let sent = (Purpose::Send, "a.test".to_owned(), false);
        assert_eq!(told(&jobs), [sent, (Purpose::Send, "dead.test".to_owned(), true)]);
        for job in &jobs {
            post.record(job, Outcome::Unattempted, "", end).unwrap();
        }
        post.block("dead.test", end.plus(Duration::from_secs(3600)), 2, "no answer", end);
        let jobs = post.claim(&ask(&node, end));
        assert_eq!(told(&jobs), [(Purpose::Send, "a.test".to_owned(), false)], "the other is parked");
        let later = end.plus(Duration::from_secs(901));
        assert_eq!(told(&post.claim(&ask(&node, later))), [(Purpose::Expire, "dead.test".to_owned(), false)]);
    });
}

/// A clock that was ahead by years for a moment, and was put right.
#[test]
fn nothing_waits_for_years_because_of_a_clock() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let far = after(9 * 365 * 86_400);
        let node = post.node("one");
        post.put(NOW, vec![to("x@a.test"), to("x@dead.test")]);
        let held = post.put_with(NOW, vec![to("x@b.test")], |message| message.hold_until = Some(after(20 * 86_400)));
        for job in post.claim(&ask(&node, NOW)) {
            post.record(&job, Outcome::Deferred { until: far.plus(Duration::from_secs(900)) }, "later", far).unwrap();
        }
        post.put(far, vec![to("x@c.test")]);
        post.block("dead.test", far.plus(Duration::from_secs(900)), 1, "no answer", far);
        let other = Node::new("other");
        post.recover(&other, far).unwrap();
        let theirs = post.put(NOW, vec![to("x@d.test")]);
        let jobs = post.try_claim(&postroad_queue::Ask { jobs: 1, ..ask(&other, NOW) }).unwrap();
        assert_eq!(jobs[0].message.id, theirs);
        // The other never comes back.
        let node = post.node("one");
        let mut domains: Vec<String> = post.claim(&ask(&node, NOW)).into_iter().map(|job| job.domain).collect();
        domains.sort();
        assert_eq!(domains, ["a.test", "c.test", "d.test", "dead.test"]);
        assert_eq!(post.states(held), ["waiting"], "what is to wait waits");
    });
}

#[test]
fn orders_of_the_administrator() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        let one = post.put(NOW, vec![to("x@a.test"), to("y@b.test")]);
        let two = post.put(NOW, vec![to("x@a.test")]);
        let bob = post.put_with(NOW, vec![to("z@b.test")], |message| message.sender = "bob@example.test".into());
        let held = post.order(postroad_queue::hold, &Which::Domain("a.test".into()), NOW);
        assert_eq!((held.messages, held.recipients), (2, 2));
        let jobs = post.claim(&ask(&node, NOW));
        assert_eq!(jobs.iter().map(|job| job.message.id).collect::<Vec<_>>(), [one, bob]);
        // What is being sent is never touched.
        let cancelled = post.order(postroad_queue::cancel, &Which::All, NOW);
        assert_eq!((cancelled.messages, cancelled.recipients, cancelled.busy), (2, 2, 2));
        assert_eq!(post.show(two), None);
        assert_eq!(post.states(one), ["cancelled", "claimed"]);
        assert_eq!((post.depth().messages, post.depth().recipients, post.blob_refs()), (2, 2, 2));
        let until = after(3600);
        for job in &jobs {
            post.record(job, Outcome::Deferred { until }, "later", NOW).unwrap();
        }
        post.block("b.test", until, 3, "no answer", NOW);
        assert!(post.claim(&ask(&node, NOW)).is_empty());
        let retried = post.order(postroad_queue::retry, &Which::Message(bob), NOW);
        assert_eq!((retried.messages, retried.recipients), (1, 1));
        let jobs = post.claim(&ask(&node, NOW));
        assert_eq!(jobs.iter().map(|job| (job.message.id, job.probe)).collect::<Vec<_>>(), [(bob, true)]);
        post.record(&jobs[0], Outcome::Delivered, "250 ok", NOW).unwrap();
        assert!(post.claim(&ask(&node, NOW)).is_empty());
        for which in [Which::Sender("alice@example.test".into()), Which::Domain("b.test".into()), Which::All] {
            assert_eq!(post.order(postroad_queue::retry, &which, NOW).recipients, 1, "{which:?}");
            let jobs = post.claim(&ask(&node, NOW));
            assert_eq!(jobs.len(), 1);
            post.record(&jobs[0], Outcome::Deferred { until }, "later", NOW).unwrap();
        }
        post.order(postroad_queue::hold, &Which::Sender("alice@example.test".into()), NOW);
        assert!(post.claim(&ask(&node, until)).is_empty());
        let released = post.order(postroad_queue::release, &Which::Message(one), NOW);
        assert_eq!(released.recipients, 1);
        assert_eq!(post.claim(&ask(&node, NOW)).len(), 1, "what is released does not wait for its next try");
        // What is not to be sent before a time is not sent before it.
        let later = post.put_with(NOW, vec![to("x@a.test")], |message| message.hold_until = Some(until));
        post.order(postroad_queue::hold, &Which::Message(later), NOW);
        post.order(postroad_queue::release, &Which::Message(later), NOW);
        assert!(post.claim(&ask(&node, NOW)).is_empty());
        assert_eq!(post.claim(&ask(&node, until)).len(), 1);
    });
}

#[test]
fn orders_go_through_many_messages_in_parts() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        for _ in 0..450 {
            post.put(NOW, vec![to("x@a.test")]);
        }
        post.put(NOW, (0..9_000).map(|number| to(&format!("u{number}@b.test"))).collect());
        post.put(NOW, vec![to("x@a.test")]);
        let held = post.order(postroad_queue::hold, &Which::All, NOW);
        assert_eq!((held.messages, held.recipients), (452, 9_451));
        assert!(post.parts(postroad_queue::release, &Which::All, NOW) > 2);
        let cancelled = post.order(postroad_queue::cancel, &Which::Domain("a.test".into()), NOW);
        assert_eq!((cancelled.messages, cancelled.recipients), (451, 451));
        assert_eq!((post.depth().recipients, post.blob_refs()), (9_000, 1));
    });
}

#[test]
fn what_an_older_version_queued_is_sent() {
    let test = TestStore::sqlite(&[&postroad_queue::MIGRATIONS[..1]]);
    let post = Post::new(&test);
    let done = post.store.write_blocking(postroad_store::Locks::none(), |tx| {
        tx.execute(
            "INSERT INTO queue_message (id, blob, size, sender, body, smtputf8, requiretls, created, expires)
             VALUES (7, 1, 5, 'alice@example.test', '7bit', 0, 0, $1, $2)",
            postroad_store::params![NOW, NOW.plus(LIFETIME)],
        )?;
        for number in 0..2 {
            tx.execute(
                "INSERT INTO queue_recipient (message, number, address, domain, notify, state, due, attempts)
                 VALUES (7, $1, 'x@a.test', 'a.test', 6, 'waiting', $2, 0)",
                postroad_store::params![number, NOW],
            )?;
        }
        Ok::<_, postroad_store::Error>(())
    });
    done.unwrap();
    let all = [postroad_store::MIGRATIONS, postroad_queue::MIGRATIONS].concat();
    post.store.migrate(&all).unwrap();
    assert_eq!(post.depth(), Depth { messages: 1, recipients: 2, oldest: Some(NOW) });
    let node = post.node("one");
    let jobs = post.claim(&ask(&node, NOW));
    assert_eq!((jobs.len(), jobs[0].recipients.len()), (1, 2));
    assert_eq!(post.show(QueueId(7)).unwrap().open, 2);
}

#[test]
fn routes_are_found_by_domain() {
    each_store(MIGRATIONS, common::routes);
}

/// One job at a time.
struct Ask1<'a>(&'a Node);

impl<'a> Ask1<'a> {
    fn jobs(&self, jobs: usize) -> postroad_queue::Ask<'a> {
        postroad_queue::Ask { jobs, ..ask(self.0, NOW) }
    }
}

#[test]
fn whoever_sends_is_woken() {
    for test in [TestStore::memory(MIGRATIONS), TestStore::sqlite(MIGRATIONS)] {
        let post = Post::new(&test);
        let mut ear = test.store.hub().subscribe(postroad_queue::NEWS);
        ear.mark_unchanged();
        post.put(NOW, vec![to("x@a.test")]);
        assert!(ear.has_changed().unwrap());
    }
}

#[test]
fn a_retry_that_comes_while_it_is_sent_is_not_forgotten() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        let id = post.put(NOW, vec![to("a@x.test"), to("b@x.test")]);
        let other = post.put(NOW, vec![to("c@y.test")]);
        let jobs = post.claim(&ask(&node, NOW));
        assert_eq!(jobs.len(), 2);
        let retried = post.order(postroad_queue::retry, &Which::Domain("x.test".into()), NOW);
        assert_eq!((retried.recipients, retried.busy), (0, 2));
        let later = Outcome::Deferred { until: after(3600) };
        for job in &jobs {
            let again = post.record(job, later, "450 later", after(5)).unwrap().again;
            assert_eq!(again, job.message.id == id, "only what was asked for");
        }
        let jobs = post.claim(&ask(&node, after(6)));
        assert_eq!(jobs.iter().map(|job| (job.message.id, job.recipients.len())).collect::<Vec<_>>(), [(id, 2)]);
        assert_eq!(jobs[0].recipients[0].attempts, 1, "the attempt counts");
        assert!(!post.record(&jobs[0], later, "450 later", after(7)).unwrap().again, "once for each order");
        assert!(post.claim(&ask(&node, after(60))).is_empty());
        assert_eq!(post.states(other), ["waiting"]);
        // What ends has ended, whoever asked.
        let jobs = post.claim(&ask(&node, after(3601)));
        post.order(postroad_queue::retry, &Which::All, after(3601));
        for job in &jobs {
            assert!(!post.record(job, Outcome::Delivered, "250 ok", after(3602)).unwrap().again);
        }
        assert_eq!(post.next_due(), None);
    });
}

#[test]
fn a_destination_that_has_enough_to_do_rests_without_having_failed() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        post.put(NOW, vec![to("a@x.test")]);
        post.put(NOW, vec![to("b@x.test")]);
        let jobs = post.claim(&ask(&node, NOW));
        for job in &jobs {
            post.record(job, Outcome::Unattempted, "", NOW).unwrap();
        }
        post.rest("x.test", after(30), NOW);
        assert!(post.claim(&ask(&node, after(1))).is_empty());
        let why = |domain: &str| {
            let known = test.store.read_blocking(|tx| postroad_queue::destinations(tx, None, 10)).unwrap();
            known.into_iter().find(|one| one.domain == domain).map(|one| (one.rests, one.why))
        };
        assert_eq!(why("x.test"), Some((Some("as many as it takes".to_owned()), None)));
        let jobs = post.claim(&ask(&node, after(30)));
        let seen: Vec<_> = jobs.iter().map(|job| (job.probe, job.failures, job.recipients[0].attempts)).collect();
        assert_eq!(seen, [(false, 0, 0), (false, 0, 0)], "all of it, and nobody is charged");
        post.block("x.test", after(90), 1, "silence", after(60));
        assert_eq!(why("x.test"), Some((None, Some("silence".to_owned()))), "it waits for another reason now");
    });
}

#[test]
fn each_message_has_its_own_terms() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        let terms = |lifetime: u64, delay: u64| Terms {
            lifetime: Duration::from_secs(lifetime * 3600),
            delay_notice: Duration::from_secs(delay * 3600),
        };
        let short = post.put_with(NOW, vec![to("a@x.test")], |message| message.terms = terms(2, 1));
        let silent = post.put_with(NOW, vec![to("b@x.test")], |message| message.terms = terms(3, 9));
        for job in post.claim(&ask(&node, NOW)) {
            post.record(&job, Outcome::Unattempted, "", NOW).unwrap();
        }
        post.block("x.test", after(30 * 86_400), 1, "no route to host", NOW);
        assert!(post.claim(&ask(&node, NOW)).is_empty());
        for (hour, expected) in [(1, Some((Purpose::TellDelay, short))), (2, Some((Purpose::Expire, short)))] {
            let jobs = post.claim(&ask(&node, after(hour * 3600)));
            assert_eq!(jobs.first().map(|job| (job.purpose, job.message.id)), expected);
            match jobs[0].purpose {
                Purpose::TellDelay => post.record_told(&jobs[0], after(hour * 3600)),
                Purpose::Expire | Purpose::Send => {
                    post.record(&jobs[0], Outcome::Failed, "", after(hour * 3600)).unwrap();
                }
            }
            assert!(post.claim(&ask(&node, after(hour * 3600 + 1))).is_empty(), "it is parked again");
        }
        let jobs = post.claim(&ask(&node, after(3 * 3600)));
        let seen: Vec<_> = jobs.iter().map(|job| (job.purpose, job.message.id)).collect();
        assert_eq!(seen, [(Purpose::Expire, silent)]);
    });
}
