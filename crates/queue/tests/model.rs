//! Random operations on the queue and on a simple model of it: no recipient vanishes, none is claimed twice, the depth
//! equals a recount, and a message's bytes are referred to exactly as long as it is there.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{MIGRATIONS, NOW, Post, ask, to};
use postroad_queue::{
    Ask, DeliverBy, Error, Filter, Job, LEASE, Node, Outcome, Purpose, QueueId, State, Tried, Which, cancel, hold,
    release, retry,
};
use postroad_store::Timestamp;
use postroad_testkit::each_store;

/// What the model knows of a recipient that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Open,
    Held,
    /// By the node in this place, in this life of it.
    Claimed(usize, u32),
}

/// A recipient by message and number: its domain and where it stands.
type Recipients = BTreeMap<(QueueId, i64), (&'static str, Is)>;

struct World<'a> {
    post: &'a Post,
    random: u64,
    now: Timestamp,
    recipients: Recipients,
    /// Ended ones are counted, so that none ends twice.
    ended: u64,
    put: u64,
    senders: BTreeMap<QueueId, &'static str>,
    nodes: Vec<(Node, u32, Timestamp)>,
    jobs: Vec<(usize, u32, Job)>,
    turn: u64,
}

const DOMAINS: [&str; 4] = ["a.test", "b.test", "c.test", "dead.test"];
const SENDERS: [&str; 3] = ["alice@example.test", "bob@example.test", ""];
const NAMES: [&str; 2] = ["one", "two"];

#[test]
fn random_operations_agree_with_the_model() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        for seed in 1..=4 {
            let mut world = World::new(&post, seed);
            for step in 0..120 {
                world.step();
                world.check(&format!("seed {seed}, step {step}"));
            }
            world.finish(&format!("seed {seed}"));
        }
    });
}

impl<'a> World<'a> {
    fn new(post: &'a Post, seed: u64) -> World<'a> {
        let nodes = NAMES.map(|name| (post.node(name), 0, NOW.plus(LEASE))).to_vec();
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let (recipients, senders, jobs) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        World { post, random, now: NOW, recipients, ended: 0, put: 0, senders, nodes, jobs, turn: 0 }
    }

    /// A number below `n`.
    fn below(&mut self, n: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % n as u64) as usize
    }

    fn step(&mut self) {
        match self.below(16) {
            0..=3 => self.enqueue(),
            4..=6 => self.claim(),
            7 => self.claim_for(),
            8..=11 => self.record(),
            12 => self.destination(),
            13 => self.order(),
            14 => self.life(),
            _ => {
                let minutes = [1, 10, 60, 60 * 6, 60 * 24][self.below(5)];
                self.now = self.now.plus(Duration::from_secs(minutes * 60));
            }
        }
    }

    fn enqueue(&mut self) {
        let sender = SENDERS[self.below(3)];
        let count = 1 + self.below(6);
        let domains: Vec<&'static str> = (0..count).map(|_| DOMAINS[self.below(4)]).collect();
        let hold_until = (self.below(5) == 0).then(|| self.now.plus(Duration::from_secs(1800)));
        let to = domains.iter().enumerate().map(|(place, domain)| to(&format!("u{place}@{domain}"))).collect();
        let priority = [0, 0, 0, 9, -9, 3][self.below(6)];
        let by = DeliverBy { at: self.now.plus(Duration::from_secs(7_200)), returns: self.below(2) == 0, trace: false };
        let deliver_by = (self.below(6) == 0).then_some(by);
        let id = self.post.put_with(self.now, to, |message| {
            message.sender = sender.to_owned();
            message.hold_until = hold_until;
            message.priority = priority;
            message.deliver_by = deliver_by;
        });
        self.senders.insert(id, sender);
        self.put += count as u64;
        self.recipients.extend((0..).zip(domains).map(|(number, domain)| ((id, number), (domain, Is::Open))));
    }

    fn beat(&mut self, place: usize) {
        match self.post.beat(&self.nodes[place].0, self.now) {
            Ok(()) => self.nodes[place].2 = self.now.plus(LEASE),
            // Nobody has heard of it for so long that its name is forgotten.
            Err(Error::Lost) => self.recover(place),
            Err(other) => panic!("{other}"),
        }
    }

    fn claim(&mut self) {
        let place = self.below(2);
        self.beat(place);
        self.turn += 1;
        let crowded: Vec<String> = (self.below(4) == 0).then(|| "a.test".to_owned()).into_iter().collect();
        let node = self.nodes[place].0.clone();
        let ask = Ask {
            jobs: 1 + self.below(8),
            jobs_per_destination: 1 + self.below(3),
            recipients_per_job: 1 + self.below(3),
            crowded: &crowded,
            turn: self.turn,
            ..ask(&node, self.now)
        };
        let jobs = self.post.try_claim(&ask).unwrap();
        assert!(jobs.len() <= ask.jobs);
        let sent = |job: &&Job| job.purpose == Purpose::Send;
        assert!(jobs.iter().filter(sent).all(|job| !crowded.contains(&job.domain)));
        assert!(jobs.iter().all(|job| job.recipients.len() <= ask.recipients_per_job));
        for domain in DOMAINS {
            let of = jobs.iter().filter(sent).filter(|job| job.domain == domain).count();
            assert!(of <= ask.jobs_per_destination);
        }
        self.given(place, jobs);
    }

    fn claim_for(&mut self) {
        let place = self.below(2);
        self.beat(place);
        let domain = DOMAINS[self.below(4)];
        let jobs = self.post.claim_for(&self.nodes[place].0, domain, 3, 2, self.now);
        assert!(jobs.len() <= 3 && jobs.iter().all(|job| job.domain == domain));
        self.given(place, jobs);
    }

    fn given(&mut self, place: usize, jobs: Vec<Job>) {
        let life = self.nodes[place].1;
        for job in jobs {
            assert!(!job.recipients.is_empty());
            for due in &job.recipients {
                let known = self.recipients.get_mut(&(job.message.id, due.number)).expect("it has not ended");
                assert_eq!(*known, (known.0, Is::Open), "what is handed out was free");
                assert_eq!(known.0, job.domain);
                known.1 = Is::Claimed(place, life);
            }
            self.jobs.push((place, life, job));
        }
    }

    fn record(&mut self) {
        if self.jobs.is_empty() {
            return;
        }
        let chosen = self.below(self.jobs.len());
        let (place, life, job) = self.jobs.swap_remove(chosen);
        let until = self.now.plus(Duration::from_secs(900));
        let tried: Vec<Tried> = job
            .recipients
            .iter()
            .map(|due| {
                let outcome = match self.below(6) {
                    0 | 1 => Outcome::Delivered,
                    2 => Outcome::Failed,
                    3 => Outcome::Relayed,
                    4 => Outcome::Deferred { until },
                    _ => Outcome::Unattempted,
                };
                Tried { number: due.number, outcome, reply: Some("said".to_owned()), delay_told: true }
            })
            .collect();
        let mine = |due: &postroad_queue::Due| {
            self.recipients.get(&(job.message.id, due.number)).is_some_and(|known| known.1 == Is::Claimed(place, life))
        };
        let still = job.recipients.iter().all(mine);
        match self.post.record_all(&job, tried.clone(), self.now) {
            Err(Error::Lost) => assert!(!still, "{job:?} was this node's"),
            Err(other) => panic!("{other}"),
            Ok(recorded) => {
                assert!(still, "what was lost is not recorded");
                for one in tried {
                    let key = (job.message.id, one.number);
                    match one.outcome {
                        Outcome::Delivered | Outcome::Relayed | Outcome::Failed => {
                            self.recipients.remove(&key).unwrap();
                            self.ended += 1;
                        }
                        Outcome::Deferred { .. } | Outcome::Unattempted => {
                            self.recipients.get_mut(&key).unwrap().1 = Is::Open;
                        }
                    }
                }
                let left = self.recipients.keys().any(|(message, _)| *message == job.message.id);
                assert_eq!(recorded.message_ended, !left);
            }
        }
    }

    fn destination(&mut self) {
        let domain = DOMAINS[self.below(4)];
        if self.below(3) > 0 {
            let until = self.now.plus(Duration::from_secs(3600));
            self.post.block(domain, until, 1, "no", self.now);
        } else {
            self.post.unblock(domain, self.now);
        }
    }

    fn order(&mut self) {
        let which = match self.below(4) {
            0 => Which::Domain(DOMAINS[self.below(4)].to_owned()),
            1 => Which::Sender(SENDERS[self.below(3)].to_owned()),
            2 => Which::Message(self.senders.keys().next_back().copied().unwrap_or(QueueId(1))),
            _ => Which::All,
        };
        let order = self.below(8);
        let fits = |id: &QueueId, domain: &str| match &which {
            Which::Message(wanted) => id == wanted,
            Which::Domain(wanted) => wanted == domain,
            Which::Sender(wanted) => self.senders.get(id) == Some(&wanted.as_str()),
            Which::All => true,
        };
        let chosen: Vec<(QueueId, i64)> =
            self.recipients.iter().filter(|((id, _), (domain, _))| fits(id, domain)).map(|(key, _)| *key).collect();
        let is = |world: &Self, key: &(QueueId, i64)| world.recipients[key].1;
        let count = |world: &Self, wanted: &[Is]| chosen.iter().filter(|key| wanted.contains(&is(world, key))).count();
        match order {
            0 | 1 => {
                let changed = self.post.order(hold, &which, self.now);
                assert_eq!(changed.recipients, count(self, &[Is::Open]) as u64);
                self.become_(&chosen, Is::Open, Is::Held);
            }
            2..=4 => {
                let changed = self.post.order(release, &which, self.now);
                assert_eq!(changed.recipients, count(self, &[Is::Held]) as u64);
                self.become_(&chosen, Is::Held, Is::Open);
            }
            5 => {
                let changed = self.post.order(cancel, &which, self.now);
                assert_eq!(changed.recipients, count(self, &[Is::Open, Is::Held]) as u64);
                self.recipients.retain(|key, (_, is)| matches!(is, Is::Claimed(..)) || !chosen.contains(key));
                self.ended += changed.recipients;
            }
            _ => _ = self.post.order(retry, &which, self.now),
        }
    }

    fn become_(&mut self, chosen: &[(QueueId, i64)], from: Is, to: Is) {
        for key in chosen {
            let is = &mut self.recipients.get_mut(key).unwrap().1;
            *is = if *is == from { to } else { *is };
        }
    }

    /// A node crashes and comes back, stops, or looks after the others.
    fn life(&mut self) {
        let place = self.below(2);
        match self.below(3) {
            0 => {
                self.nodes[place].0 = Node::new(NAMES[place]);
                self.nodes[place].1 += 1;
            }
            1 => {
                self.post.leave(&self.nodes[place].0);
                let life = self.nodes[place].1;
                self.free(|who, of| (who, of) == (place, life));
            }
            _ => {}
        }
        self.recover(place);
    }

    fn recover(&mut self, place: usize) {
        self.post.recover(&self.nodes[place].0.clone(), self.now).unwrap();
        self.nodes[place].2 = self.now.plus(LEASE);
        let (now, nodes) = (self.now, self.nodes.clone());
        self.free(|who, of| if who == place { of != nodes[who].1 } else { nodes[who].2 <= now });
    }

    fn free(&mut self, whose: impl Fn(usize, u32) -> bool) {
        for (_, is) in self.recipients.values_mut() {
            match *is {
                Is::Claimed(who, life) if whose(who, life) => *is = Is::Open,
                Is::Claimed(..) | Is::Open | Is::Held => {}
            }
        }
    }

    fn check(&self, place: &str) {
        let depth = self.post.depth();
        let mut ids: Vec<QueueId> = self.recipients.keys().map(|(id, _)| *id).collect();
        ids.dedup();
        assert_eq!((depth.messages, depth.recipients), (ids.len() as u64, self.recipients.len() as u64), "{place}");
        assert_eq!(self.post.blob_refs(), ids.len() as i64, "{place}");
        assert_eq!(self.put, self.ended + self.recipients.len() as u64, "{place}");
        let mut stored = Recipients::new();
        for listed in self.post.list(&Filter::default()) {
            let open = listed.recipients.iter().filter(|one| !one.state.is_ended()).count();
            assert_eq!(listed.open, open as u64, "{place}");
            for one in listed.recipients {
                let key = (listed.message.id, one.number);
                let known = self.recipients.get(&key).copied();
                let is = match one.state {
                    State::Waiting | State::Parked | State::Backlog => Is::Open,
                    State::Held => Is::Held,
                    State::Claimed => match known {
                        Some((_, is @ Is::Claimed(who, _))) if one.node.as_deref() == Some(NAMES[who]) => is,
                        Some(_) | None => panic!("{place}: {key:?} is claimed by {:?}, not {known:?}", one.node),
                    },
                    State::Delivered | State::Relayed | State::Failed | State::Cancelled => {
                        assert_eq!(known, None, "{place}");
                        continue;
                    }
                };
                stored.insert(key, (known.map_or("", |known| known.0), is));
            }
        }
        assert_eq!(stored, self.recipients, "{place}");
        self.parking(place);
    }

    /// Whatever is parked has a destination that will be looked at.
    fn parking(&self, place: &str) {
        let open = self.post.parking();
        for listed in self.post.list(&Filter { state: Some(State::Parked), ..Filter::default() }) {
            for one in listed.recipients {
                assert!(open.contains(&one.domain), "{place}: {} is parked where nobody looks", one.address);
            }
        }
    }

    /// All is released and sent: nothing is left behind.
    fn finish(&mut self, place: &str) {
        self.post.order(release, &Which::All, self.now);
        for domain in DOMAINS {
            self.post.unblock(domain, self.now);
        }
        self.now = self.now.plus(Duration::from_secs(4 * 3600));
        for (place, name) in self.nodes.iter_mut().zip(NAMES) {
            place.0 = Node::new(name);
            self.post.recover(&place.0, self.now).unwrap();
        }
        let mut delivered = 0;
        for _ in 0..1000 {
            let Some(due) = self.post.next_due() else { break };
            self.now = self.now.max(due);
            self.turn += 1;
            let node = self.nodes[0].0.clone();
            self.post.beat(&node, self.now).unwrap();
            for job in self.post.try_claim(&Ask { turn: self.turn, jobs: 3, ..ask(&node, self.now) }).unwrap() {
                match job.purpose {
                    Purpose::TellDelay => self.post.record_told(&job, self.now),
                    Purpose::Send | Purpose::Expire => {
                        delivered += job.recipients.len() as u64;
                        _ = self.post.record(&job, Outcome::Delivered, "250 ok", self.now).unwrap();
                    }
                }
            }
        }
        assert_eq!(self.put, self.ended + delivered, "{place}");
        assert_eq!((self.post.depth().recipients, self.post.blob_refs()), (0, 0), "{place}");
    }
}
