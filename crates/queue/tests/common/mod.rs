//! A queue on a store, with few words.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postroad_queue as queue;
use postroad_queue::{
    Ask, Body, Changed, Depth, Error, Filter, Job, Listed, Node, Notify, Outcome, Outgoing, QueueId, Recipient,
    Recorded, Route, RouteLogin, RouteTls, Tried, Which,
};
use postroad_store::{BlobId, Locks, Migration, Store, Timestamp, WriteTx, params};
use postroad_testkit::TestStore;

pub(crate) const MIGRATIONS: &[&[Migration]] = &[queue::MIGRATIONS];
pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

/// So many seconds later.
pub(crate) fn after(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

pub(crate) fn to(address: &str) -> Recipient {
    let domain = address.rsplit_once('@').unwrap().1.to_owned();
    Recipient {
        address: address.to_owned(),
        domain,
        notify: Notify::default(),
        orcpt: None,
        via: None,
        valid_since: None,
    }
}

pub(crate) fn node(name: &str) -> Node {
    Node::new(name)
}

/// Much at once.
pub(crate) fn ask(node: &Node, now: Timestamp) -> Ask<'_> {
    Ask { node, now, jobs: 100, jobs_per_destination: 100, recipients_per_job: 50, crowded: &[], turn: 0 }
}

pub(crate) struct Post {
    pub(crate) store: Store,
}

type Order = fn(&mut WriteTx, &Which, Option<QueueId>, Timestamp) -> queue::Result<Changed>;

impl Post {
    pub(crate) fn new(test: &TestStore) -> Post {
        Post { store: test.store.clone() }
    }

    fn write<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut WriteTx) -> queue::Result<R> + Send + 'static,
    ) -> queue::Result<R> {
        self.store.write_blocking(Locks::none(), f).map(|stored| stored.value)
    }

    pub(crate) fn put(&self, now: Timestamp, recipients: Vec<Recipient>) -> QueueId {
        self.try_put(now, recipients).unwrap()
    }

    pub(crate) fn put_with(&self, now: Timestamp, to: Vec<Recipient>, change: impl FnOnce(&mut Outgoing)) -> QueueId {
        let mut message = outgoing(to);
        change(&mut message);
        self.enqueue(now, message).unwrap()
    }

    pub(crate) fn try_put(&self, now: Timestamp, recipients: Vec<Recipient>) -> queue::Result<QueueId> {
        self.enqueue(now, outgoing(recipients))
    }

    fn enqueue(&self, now: Timestamp, message: Outgoing) -> queue::Result<QueueId> {
        let mut upload = self.store.upload();
        upload.write(b"hello").unwrap();
        let prepared = upload.finish(Vec::new()).unwrap();
        self.write(move |tx| {
            let blob = tx.blob_put(&prepared)?;
            let id = queue::enqueue(tx, &Outgoing { blob, ..message }, now)?;
            // The reference of the delivery that was not: the queue holds its own.
            tx.blob_release(blob, 1)?;
            Ok(id)
        })
    }

    /// A node that has just begun its life.
    pub(crate) fn node(&self, name: &str) -> Node {
        let node = Node::new(name);
        self.recover(&node, NOW).unwrap();
        node
    }

    pub(crate) fn recover(&self, node: &Node, now: Timestamp) -> queue::Result<u64> {
        let node = node.clone();
        self.write(move |tx| queue::recover(tx, &node, now))
    }

    pub(crate) fn beat(&self, node: &Node, now: Timestamp) -> queue::Result<()> {
        let node = node.clone();
        self.write(move |tx| queue::beat(tx, &node, now))
    }

    pub(crate) fn leave(&self, node: &Node) -> u64 {
        let node = node.clone();
        self.write(move |tx| queue::leave(tx, &node)).unwrap()
    }

    /// The lease of the node is renewed first.
    pub(crate) fn claim(&self, ask: &Ask<'_>) -> Vec<Job> {
        self.beat(ask.node, ask.now).unwrap();
        self.try_claim(ask).unwrap()
    }

    pub(crate) fn try_claim(&self, ask: &Ask<'_>) -> queue::Result<Vec<Job>> {
        let (node, crowded) = (ask.node.clone(), ask.crowded.to_vec());
        let (now, jobs, jobs_per_destination) = (ask.now, ask.jobs, ask.jobs_per_destination);
        let (recipients_per_job, turn) = (ask.recipients_per_job, ask.turn);
        self.write(move |tx| {
            let ask = Ask { node: &node, now, jobs, jobs_per_destination, recipients_per_job, crowded: &crowded, turn };
            queue::claim(tx, &ask)
        })
    }

    pub(crate) fn claim_for(&self, node: &Node, domain: &str, jobs: usize, per_job: usize, now: Timestamp) -> Vec<Job> {
        let (node, domain) = (node.clone(), domain.to_owned());
        self.write(move |tx| queue::claim_for(tx, &node, &domain, jobs, per_job, now)).unwrap()
    }

    /// The same outcome for all recipients.
    pub(crate) fn record(&self, job: &Job, outcome: Outcome, reply: &str, now: Timestamp) -> queue::Result<Recorded> {
        let reply = Some(reply.to_owned()).filter(|reply| !reply.is_empty());
        let one = |number| Tried { number, outcome, reply: reply.clone(), delay_told: false };
        self.record_all(job, job.recipients.iter().map(|due| one(due.number)).collect(), now)
    }

    pub(crate) fn record_all(&self, job: &Job, tried: Vec<Tried>, now: Timestamp) -> queue::Result<Recorded> {
        let job = job.clone();
        self.write(move |tx| queue::record(tx, &job, &tried, now))
    }

    pub(crate) fn record_told(&self, job: &Job, now: Timestamp) {
        let one = |number| Tried { number, outcome: Outcome::Unattempted, reply: None, delay_told: true };
        self.record_all(job, job.recipients.iter().map(|due| one(due.number)).collect(), now).unwrap();
    }

    pub(crate) fn rest(&self, domain: &str, until: Timestamp, now: Timestamp) {
        let domain = domain.to_owned();
        self.write(move |tx| queue::rest(tx, &domain, until, "as many as it takes", now)).unwrap();
    }

    pub(crate) fn block(&self, domain: &str, until: Timestamp, failures: u32, why: &str, now: Timestamp) {
        let (domain, why) = (domain.to_owned(), why.to_owned());
        self.write(move |tx| queue::block(tx, &domain, until, failures, &why, now)).unwrap();
    }

    pub(crate) fn order(&self, order: Order, which: &Which, now: Timestamp) -> Changed {
        let mut all = Changed::default();
        self.each_part(order, which, now, |part| {
            all.messages += part.messages;
            all.recipients += part.recipients;
            all.busy += part.busy;
        });
        all
    }

    /// In how many parts the order was carried out.
    pub(crate) fn parts(&self, order: Order, which: &Which, now: Timestamp) -> usize {
        let mut parts = 0;
        self.each_part(order, which, now, |_| parts += 1);
        parts
    }

    fn each_part(&self, order: Order, which: &Which, now: Timestamp, mut each: impl FnMut(&Changed)) {
        let mut after = None;
        loop {
            let which = which.clone();
            let part = self.write(move |tx| order(tx, &which, after, now)).unwrap();
            each(&part);
            after = part.next;
            if after.is_none() {
                return;
            }
        }
    }

    pub(crate) fn depth(&self) -> Depth {
        self.store.read_blocking(queue::depth).unwrap()
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.next_due_but(&[])
    }

    pub(crate) fn next_due_but(&self, crowded: &[String]) -> Option<Timestamp> {
        let crowded = crowded.to_vec();
        self.store.read_blocking(move |tx| queue::next_due(tx, &crowded)).unwrap()
    }

    pub(crate) fn show(&self, id: QueueId) -> Option<Listed> {
        self.store.read_blocking(move |tx| queue::show(tx, id)).unwrap()
    }

    pub(crate) fn list(&self, filter: &Filter) -> Vec<Listed> {
        let filter = filter.clone();
        self.store.read_blocking(move |tx| queue::list(tx, &filter, None, 1000)).unwrap()
    }

    pub(crate) fn states(&self, id: QueueId) -> Vec<&'static str> {
        self.show(id).unwrap().recipients.iter().map(|one| one.state.name()).collect()
    }

    pub(crate) fn destinations(&self) -> Vec<(String, Timestamp, u32)> {
        let all = self.store.read_blocking(|tx| queue::destinations(tx, None, 1000)).unwrap();
        all.into_iter().map(|one| (one.domain, one.not_before, one.failures)).collect()
    }

    pub(crate) fn unblock(&self, domain: &str, now: Timestamp) {
        let domain = domain.to_owned();
        self.write(move |tx| queue::unblock(tx, &domain, now)).unwrap();
    }

    /// Destinations that are looked at for parked recipients.
    pub(crate) fn parking(&self) -> Vec<String> {
        let all = self.store.read_blocking(|tx| queue::destinations(tx, None, 1000)).unwrap();
        all.into_iter().filter(|one| one.parked).map(|one| one.domain).collect()
    }

    /// References to all blobs together.
    pub(crate) fn blob_refs(&self) -> i64 {
        let sum = self.store.read_blocking(|tx| {
            tx.one("SELECT CAST(coalesce(sum(refs), 0) AS BIGINT) FROM blob", params![], |row| row.int(0))
        });
        sum.map_err(|error: postroad_store::Error| Error::from(error)).unwrap()
    }
}

fn outgoing(recipients: Vec<Recipient>) -> Outgoing {
    Outgoing {
        blob: BlobId(0),
        size: 5,
        sender: "alice@example.test".to_owned(),
        account: None,
        standing: postroad_queue::Standing::Unknown,
        envid: None,
        ret: None,
        body: Body::SevenBit,
        smtputf8: false,
        requiretls: false,
        trace: None,
        hold_until: None,
        hold_asked: None,
        deliver_by: None,
        priority: 0,
        solicitation: None,
        terms: queue::Terms::default(),
        recipients,
    }
}

pub(crate) fn routes(test: &TestStore) {
    let post = Post::new(test);
    let find = |domain: &'static str| post.store.read_blocking(move |tx| queue::route_for(tx, domain)).unwrap();
    let route = |domain: &str, host: &str, login: Option<RouteLogin>| Route {
        domain: domain.to_owned(),
        host: host.to_owned(),
        port: 587,
        tls: RouteTls::Verified,
        ca: Some("PEM".to_owned()),
        login,
    };
    let (login, token) = (RouteLogin::password("us", "hidden"), RouteLogin::grant("us", "google"));
    let (all, own) = (route("*", "smart.test", Some(login)), route("a.test", "mx.a.test", Some(token)));
    for one in [all.clone(), own.clone()] {
        assert!(!post.write(move |tx| queue::put_route(tx, &one, NOW)).unwrap());
    }
    assert_eq!((find("a.test"), find("b.test")), (Some(own.clone()), Some(all.clone())));
    assert_eq!(post.store.read_blocking(queue::routes).unwrap(), [all.clone(), own]);
    assert!(!format!("{all:?}").contains("hidden"));
    post.block("b.test", after(60), 1, "no", NOW);
    let other = route("*", "other.test", None);
    assert!(post.write(move |tx| queue::put_route(tx, &other, NOW)).unwrap());
    assert_eq!(find("b.test").unwrap().host, "other.test");
    assert_eq!(post.destinations(), [("b.test".to_owned(), NOW, 1)], "the new way is tried at once");
    assert!(post.write(|tx| queue::delete_route(tx, "*", NOW)).unwrap());
    assert!(!post.write(|tx| queue::delete_route(tx, "*", NOW)).unwrap());
    assert_eq!(find("b.test"), None);
    for tls in RouteTls::ALL {
        assert_eq!(RouteTls::from_name(tls.name()), Some(tls));
    }
}
