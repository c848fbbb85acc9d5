//! What a claim costs does not depend on what waits.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use common::{MIGRATIONS, NOW, Post, after, ask, to};
use postroad_queue as queue;
use postroad_queue::{Ask, Depth, Job, Node, Outcome};
use postroad_store::{Locks, ReadTx, Store, Timestamp, WriteTx, params};
use postroad_testkit::{TestStore, each_store};

/// What a claim may read of `queue_recipient`, whatever waits: some windows of 1024, and what the last ones moved.
const READ_MAX: i64 = 16 * 1024;
/// And how many statements it may take.
const STATEMENTS_MAX: u64 = 40;

/// `count` messages of one recipient each from `sender`, `spread` of them for each domain `name<n>.test`.
fn fill(store: &Store, first: i64, count: i64, sender: &str, name: &str, spread: i64, due: Timestamp) {
    let (sender, name) = (sender.to_owned(), name.to_owned());
    let numbers = "WITH RECURSIVE c(x) AS
        (SELECT CAST($1 AS BIGINT) UNION ALL SELECT x + 1 FROM c WHERE x + 1 < $1 + $2)";
    let messages = format!(
        "{numbers} INSERT INTO queue_message (id, blob, size, sender, body, smtputf8, requiretls, created, expires, open, look_at)
         SELECT x, $3, 5, $4, '7bit', 0, 0, $5, $6, 1, $6 FROM c"
    );
    let recipients = format!(
        "{numbers} INSERT INTO queue_recipient (message, number, address, domain, notify, state, due, attempts)
         SELECT x, 0, 'u' || CAST(x AS TEXT) || '@' || $3, $3 || CAST((x - $1) / $4 AS TEXT) || '.test', 6, 'waiting', $5 + x, 0 FROM c"
    );
    let mut upload = store.upload();
    upload.write(b"hello").unwrap();
    let prepared = upload.finish(Vec::new()).unwrap();
    let done = store.write_blocking(Locks::none(), move |tx| {
        let blob = tx.blob_put(&prepared)?;
        tx.blob_retain(blob, count)?;
        tx.execute(&messages, params![first, count, blob, &sender, NOW, after(1_000_000)])?;
        tx.execute(&recipients, params![first, count, &name, spread, due])?;
        tx.execute(
            // Stripes of connections that are no more: none has a number below 0.
            "INSERT INTO queue_tally (stripe, messages, recipients) VALUES ($1, $2, $2)",
            params![-first, count],
        )?;
        Ok::<_, postroad_store::Error>(())
    });
    done.unwrap();
}

/// Rows of `queue_recipient` that this transaction has read, on PostgreSQL.
fn rows_read(tx: &ReadTx) -> i64 {
    if !tx.is_postgres() {
        return 0;
    }
    tx.one(
        "SELECT CAST(coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) AS BIGINT)
         FROM pg_stat_xact_user_tables WHERE relname = 'queue_recipient'",
        params![],
        |row| row.int(0),
    )
    .unwrap()
}

/// A claim; checks its cost.
fn claim(store: &Store, node: &Node, now: Timestamp, turn: u64) -> Vec<Job> {
    let node = node.clone();
    let done = store.write_blocking(Locks::none(), move |tx: &mut WriteTx| {
        queue::beat(tx, &node, now)?;
        // Nor is it looked at where statistics are being made of a million rows meanwhile: what was moved is in the way
        // until then.
        let large = (10_001..100_000).contains(&queue::depth(tx)?.recipients);
        let (statements, read) = (tx.statements(), rows_read(tx));
        let ask = Ask { jobs: 50, jobs_per_destination: 5, turn, ..ask(&node, now) };
        let jobs = queue::claim(tx, &ask)?;
        let (statements, read) = (tx.statements() - statements, rows_read(tx) - read);
        assert!(statements <= STATEMENTS_MAX, "{statements} statements");
        // A table of a few pages is read whole whatever is asked.
        assert!(!large || read <= READ_MAX, "{read} rows read");
        Ok::<_, queue::Error>(jobs)
    });
    done.unwrap().value
}

fn delivered(post: &Post, jobs: &[Job], now: Timestamp) {
    let jobs = jobs.to_vec();
    let done = post.store.write_blocking(Locks::none(), move |tx| {
        for job in &jobs {
            let one = |due: &queue::Due| queue::Tried {
                number: due.number,
                outcome: Outcome::Delivered,
                reply: Some("250 2.0.0 ok".to_owned()),
                delay_told: false,
            };
            let tried: Vec<queue::Tried> = job.recipients.iter().map(one).collect();
            queue::record(tx, job, &tried, now)?;
        }
        Ok::<_, queue::Error>(())
    });
    done.unwrap();
}

#[test]
fn a_dead_destination_in_front_costs_little_and_holds_nobody_up() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        // Eight thousand for a dead destination are the oldest; ten thousand are due next week.
        fill(&post.store, 1, 8_000, "bulk@example.test", "dead", 8_000, NOW);
        fill(&post.store, 10_001, 2_000, "alice@example.test", "alive", 10, after(10));
        fill(&post.store, 20_001, 10_000, "alice@example.test", "later", 10, after(604_800));
        assert_eq!(post.depth(), Depth { messages: 20_000, recipients: 20_000, oldest: Some(NOW) });
        let now = after(60);
        post.block("dead0.test", after(7200), 3, "no route to host", now);
        let (mut alive, mut rounds) = (0, 0);
        while alive < 2_000 {
            let jobs = claim(&post.store, &node, now, rounds);
            assert!(jobs.iter().all(|job| job.domain.starts_with("alive")));
            delivered(&post, &jobs, now);
            (alive, rounds) = (alive + jobs.len(), rounds + 1);
            assert!(rounds <= 80, "{alive} of 2000 after {rounds} claims");
        }
        while post.next_due().is_some_and(|due| due <= now) {
            assert!(claim(&post.store, &node, now, rounds).is_empty());
            rounds += 1;
        }
        assert_eq!(post.next_due(), Some(after(7200)));
        assert_eq!(post.depth().recipients, 18_000);
        assert_eq!(claim(&post.store, &node, after(7200), rounds).len(), 1, "one probe");
    });
}

#[test]
fn a_sender_with_much_to_send_holds_nobody_up() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let node = post.node("one");
        let many = (0..20_000).map(|number| to(&format!("u{number}@d{}.test", number % 4_000))).collect();
        post.put_with(NOW, many, |message| message.sender = "bulk@example.test".to_owned());
        // And another whose bulk are single messages for one destination.
        fill(&post.store, 1, 5_000, "mass@example.test", "big", 5_000, NOW);
        let mine = post.put(after(1), vec![to("friend@d7.test")]);
        let also = post.put(after(1), vec![to("friend@big0.test")]);
        let mut seen = HashMap::new();
        let mut bulk = 0;
        for turn in 0..60 {
            let jobs = claim(&post.store, &node, after(2), turn);
            for job in &jobs {
                seen.entry(job.message.id).or_insert(turn);
                bulk += usize::from(job.message.sender != "alice@example.test");
            }
            assert_eq!(jobs.len(), 50, "nothing stands idle while there is work");
            delivered(&post, &jobs, after(2));
        }
        // Some windows of a thousand lie before: they are passed by, not sent first.
        assert!(seen[&mine] <= 40, "{}", seen[&mine]);
        assert!(seen[&also] <= 45, "{}", seen[&also]);
        assert!(bulk > 2_000, "whoever has much to send is served as well: {bulk}");
    });
}

#[test]
fn two_nodes_never_get_the_same() {
    let test = TestStore::postgres(MIGRATIONS);
    let post = Post::new(&test);
    fill(&post.store, 1, 2_000, "alice@example.test", "d", 20, NOW);
    let all: Vec<Vec<Job>> = std::thread::scope(|scope| {
        let sending: Vec<_> = ["one", "two", "three"]
            .into_iter()
            .map(|name| {
                let settings = test.settings();
                scope.spawn(move || {
                    // A store of its own: another server on the same database.
                    let store = Store::open(settings).unwrap();
                    let node = Node::new(name);
                    let recovering = node.clone();
                    let done = store.write_blocking(Locks::none(), move |tx| queue::recover(tx, &recovering, NOW));
                    done.unwrap();
                    let (mut mine, mut turn, mut empty) = (Vec::new(), 0, 0);
                    while empty < 20 {
                        let jobs = claim(&store, &node, after(60), turn);
                        turn += 1;
                        empty = if jobs.is_empty() { empty + 1 } else { 0 };
                        mine.extend(jobs);
                    }
                    store.close();
                    mine
                })
            })
            .collect();
        sending.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.iter().all(|jobs| !jobs.is_empty()), "all nodes get something");
    let mut ids: Vec<_> = all.iter().flatten().map(|job| job.message.id).collect();
    let handed_out = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), handed_out), (2_000, 2_000));
}

/// A million, 100,000 of them for a dead destination; run by hand, in release, for the figures.
#[test]
#[ignore = "takes minutes; prints figures"]
fn a_million() {
    for test in [TestStore::postgres(MIGRATIONS), TestStore::sqlite(MIGRATIONS)] {
        let post = Post::new(&test);
        let node = post.node("one");
        let begin = Instant::now();
        fill(&post.store, 1, 100_000, "bulk@example.test", "dead", 100_000, NOW);
        fill(&post.store, 200_001, 450_000, "alice@example.test", "alive", 50, after(10));
        fill(&post.store, 1_000_001, 450_000, "alice@example.test", "later", 50, after(604_800));
        println!("{}: filled in {:?}", test.name, begin.elapsed());
        let now = after(3600);
        let timed = |what: &str, times: &mut Vec<Duration>| {
            times.sort_unstable();
            if let (Some(middle), Some(worst)) = (times.get(times.len() / 2), times.last()) {
                println!("{}: {what}: {} times, median {middle:?}, worst {worst:?}", test.name, times.len());
            }
        };
        let begin = Instant::now();
        post.block("dead0.test", after(7200), 3, "no route to host", now);
        println!("{}: block {:?}", test.name, begin.elapsed());
        let (mut claims, mut records, mut counts, mut nexts) = (vec![], vec![], vec![], vec![]);
        let (mut first, mut sent) = (None, 0);
        for turn in 0..400 {
            let begin = Instant::now();
            let jobs = claim(&post.store, &node, now, turn);
            claims.push(begin.elapsed());
            if first.is_none() && !jobs.is_empty() {
                first = Some(turn);
            }
            sent += jobs.len();
            let begin = Instant::now();
            delivered(&post, &jobs, now);
            records.extend((!jobs.is_empty()).then(|| begin.elapsed() / jobs.len() as u32));
            let begin = Instant::now();
            post.depth();
            counts.push(begin.elapsed());
            let begin = Instant::now();
            post.next_due();
            nexts.push(begin.elapsed());
        }
        println!("{}: first alive job in claim {first:?}; {sent} sent", test.name);
        timed("claim of 50 jobs", &mut claims);
        timed("record of one job (50 in a transaction)", &mut records);
        timed("depth", &mut counts);
        timed("next_due", &mut nexts);
        let begin = Instant::now();
        post.unblock("dead0.test", now);
        println!("{}: unblock {:?}", test.name, begin.elapsed());
        let begin = Instant::now();
        let more = post.claim_for(&node, "dead0.test", 10, 50, now);
        println!("{}: claim_for {} jobs {:?}", test.name, more.len(), begin.elapsed());
    }
}
