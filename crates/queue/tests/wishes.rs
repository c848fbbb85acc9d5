//! By when, not before when, how urgently, for whom: what the queue makes of it.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{MIGRATIONS, NOW, Post, after, ask, to};
use postroad_queue::{Ask, DeliverBy, LIFETIME, Node, Outcome, Purpose, QueueId, Recipient, State, Which};
use postroad_store::Timestamp;
use postroad_testkit::each_store;

fn urgent(post: &Post, at: Timestamp, address: &str, priority: i8) -> QueueId {
    post.put_with(at, vec![to(address)], |message| {
        message.priority = priority;
        message.sender = format!("{address}.from@example.test");
    })
}

/// The messages of a claim of so many jobs, in order; they are not given back.
fn claimed(post: &Post, node: &Node, jobs: usize, now: Timestamp) -> Vec<QueueId> {
    post.beat(node, now).unwrap();
    let ask = Ask { jobs, jobs_per_destination: jobs, ..ask(node, now) };
    post.try_claim(&ask).unwrap().iter().map(|job| job.message.id).collect()
}

#[test]
fn what_is_wished_for_is_kept_with_the_message() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        let since = Recipient { valid_since: Some("2026-11-22T12:00:00Z;C".to_owned()), ..to("x@far.test") };
        let by = DeliverBy { at: after(7_200), returns: false, trace: true };
        let id = post.put_with(NOW, vec![since], |message| {
            message.hold_until = Some(after(60));
            message.hold_asked = Some("for;60".to_owned());
            message.deliver_by = Some(by);
            message.priority = -7;
            message.solicitation = Some("a:b".to_owned());
        });
        let listed = post.show(id).unwrap().message;
        assert_eq!((listed.deliver_by, listed.priority, listed.hold_until), (Some(by), -7, Some(after(60))));
        assert_eq!((listed.hold_asked.as_deref(), listed.solicitation.as_deref()), (Some("for;60"), Some("a:b")));
        assert!(post.claim(&ask(&node, after(59))).is_empty());
        let job = post.claim(&ask(&node, after(60))).remove(0);
        assert_eq!((&job.message, job.recipients[0].valid_since.as_deref()), (&listed, Some("2026-11-22T12:00:00Z;C")));
        let kinds = [(false, false), (false, true), (true, false), (true, true)];
        for (returns, trace) in kinds {
            let by = DeliverBy { at: after(9), returns, trace };
            let id = post.put_with(NOW, vec![to("y@far.test")], |message| message.deliver_by = Some(by));
            assert_eq!(post.show(id).unwrap().message.deliver_by, Some(by));
        }
    });
}

#[test]
fn what_is_urgent_goes_first_and_nobody_starves() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        let patient = urgent(&post, NOW, "patient@a.test", -9);
        let usual = urgent(&post, NOW, "usual@a.test", 0);
        let more = urgent(&post, NOW, "more@a.test", 1);
        let most = urgent(&post, NOW, "most@a.test", 9);
        assert_eq!(claimed(&post, &node, 4, NOW), [most, more, usual, patient]);
        // After ten minutes nothing that comes in goes before what waits, however urgent.
        let old = urgent(&post, after(1), "old@b.test", 0);
        let late = after(601);
        let new = urgent(&post, late, "new@b.test", 9);
        assert_eq!(claimed(&post, &node, 1, late), [old]);
        assert_eq!(claimed(&post, &node, 1, late), [new]);
    });
}

#[test]
fn what_is_urgent_is_seen_behind_whatever_stands_in_front() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        for number in 0..40 {
            let many = (0..50).map(|one| to(&format!("u{one}@d{number}.test"))).collect();
            post.put_with(NOW, many, |message| message.sender = format!("bulk{number}@example.test"));
        }
        let alarm = urgent(&post, after(1), "alarm@a.test", 5);
        assert_eq!(claimed(&post, &node, 1, after(1)), [alarm]);
        // And a flood of what is urgent leaves the others half of what is looked at.
        for number in 0..40 {
            let many = (0..50).map(|one| to(&format!("v{one}@e{number}.test"))).collect();
            post.put_with(after(2), many, |message| {
                (message.sender, message.priority) = (format!("loud{number}@example.test"), 9);
            });
        }
        let seen = claimed(&post, &node, 64, after(3));
        let normal = seen.iter().filter(|id| post.show(**id).is_some_and(|one| one.message.priority == 0)).count();
        assert!(normal > 0, "of {} none was usual", seen.len());
    });
}

#[test]
fn what_is_held_by_its_sender_is_sent_by_nobody_s_order_for_others() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        let held = post.put_with(NOW, vec![to("x@far.test")], |message| message.hold_until = Some(after(3_600)));
        for which in [Which::Domain("far.test".to_owned()), Which::All, Which::Sender("alice@example.test".to_owned())]
        {
            post.order(postroad_queue::retry, &which, NOW);
            assert!(post.claim(&ask(&node, after(1))).is_empty(), "{which:?}");
        }
        post.order(postroad_queue::hold, &Which::All, NOW);
        post.order(postroad_queue::release, &Which::All, NOW);
        assert!(post.claim(&ask(&node, after(1))).is_empty());
        // Who names it knows what they do.
        post.order(postroad_queue::retry, &Which::Message(held), NOW);
        assert_eq!(post.claim(&ask(&node, after(1))).len(), 1);
    });
}

#[test]
fn what_has_to_be_there_by_a_time_comes_back_then() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        let by = |returns| Some(DeliverBy { at: after(600), returns, trace: false });
        let back = post.put_with(NOW, vec![to("x@dead.test")], |message| message.deliver_by = by(true));
        let told = post.put_with(NOW, vec![to("y@dead.test")], |message| message.deliver_by = by(false));
        assert_eq!(post.show(back).unwrap().message.expires, after(600));
        assert_eq!(post.show(told).unwrap().message.expires, NOW.plus(LIFETIME));
        for job in post.claim(&ask(&node, NOW)) {
            post.record(&job, Outcome::Unattempted, "", NOW).unwrap();
        }
        post.block("dead.test", after(30 * 86_400), 1, "no route to host", NOW);
        assert!(post.claim(&ask(&node, after(1))).is_empty(), "they are parked");
        assert_eq!(post.next_due(), Some(after(600)));
        let jobs = post.claim(&ask(&node, after(600)));
        let seen: Vec<_> = jobs.iter().map(|job| (job.purpose, job.message.id)).collect();
        assert_eq!(seen, [(Purpose::Expire, back), (Purpose::TellDelay, told)]);
        for job in &jobs {
            post.record(job, Outcome::Unattempted, "", after(600)).unwrap();
        }
        // A release begins no new time: what was promised to the sender stays.
        post.order(postroad_queue::hold, &Which::All, after(700));
        post.order(postroad_queue::release, &Which::All, after(800));
        assert_eq!(post.show(back).unwrap().message.expires, after(600));
    });
}

#[test]
fn domains_below_one_are_found() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        for address in ["a@far.test", "b@deep.far.test", "c@notfar.test", "d@a_b.test", "e@x.axb.test", "f@x.a_b.test"]
        {
            post.put(NOW, vec![to(address)]);
        }
        let below = |domain: &'static str| {
            post.store.read_blocking(move |tx| postroad_queue::waiting_below(tx, domain)).unwrap()
        };
        assert_eq!(below("far.test"), ["deep.far.test", "far.test"]);
        assert_eq!(below("a_b.test"), ["a_b.test", "x.a_b.test"]);
        assert_eq!(below("none.test"), Vec::<String>::new());
        post.order(postroad_queue::hold, &Which::All, NOW);
        assert_eq!(below("far.test"), Vec::<String>::new(), "what is held waits for somebody else");
        assert_eq!(post.list(&postroad_queue::Filter::default())[0].recipients[0].state, State::Held);
    });
}
