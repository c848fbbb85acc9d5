//! The server is killed with SIGKILL while mail leaves it: clients hand in by submission, remote servers that count take
//! it, refuse some and are asked again for others.
//!
//! What must hold, whatever was cut off:
//! 1. A recipient whose message was answered 250 is delivered, or refused by the remote and then told of in exactly one
//!    notice. None vanishes.
//! 2. It is delivered a second time only after a kill that found it claimed: the remote's answer was not recorded then.
//! 3. A message that was not answered 250 leaves for all of its recipients or for none.
//! 4. After each kill the queue's tables agree with one another, and each blob's references equal a recount.
//! 5. In the end the queue is empty.

mod hand_in;
mod look;
mod nodes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use postroad_store::{BlobPlace, Database, Settings};
use postroad_testkit::remote::{Ledger, Manner};
use postroad_testkit::{DnsServer, Process, Remote, SharedPort, in_time, postgres};

use crate::{PASSWORD, Random, number, random_seed, wait};

use look::{Snapshot, inbox, snapshot};

const ROUNDS: u32 = 16;
const SENDERS: u32 = 3;
/// Acknowledgements of a round until the server is killed, at most.
const ACKNOWLEDGED: u64 = 80;
/// Who hands in.
const AUTHORS: [&str; 3] = ["alice@example.test", "bob@example.test", "u0001@example.test"];
/// `d0.test` and so on; domains share the remote servers.
const DOMAINS: u64 = 6;
const REMOTES: u8 = 3;
/// One recipient in so many is refused for good.
const REFUSED_ONE_IN: u64 = 12;
/// One message in so many is large and becomes a file.
const LARGE_ONE_IN: u64 = 16;

#[test]
fn nothing_in_the_queue_is_lost_on_sqlite() {
    crash(&[], |process| Database::Sqlite(process.data().join("postroad.sqlite")));
}

#[test]
fn nothing_in_the_queue_is_lost_on_postgres() {
    let url = postgres::fresh_database();
    crash(&["--database", &url], |_| Database::Postgres(url.clone()));
    postgres::drop_database(&url);
}

/// What was tried and promised: recipients by message, and whether it was answered 250. Each recipient is named once.
#[derive(Default)]
struct Promises {
    inside: Mutex<BTreeMap<String, Promise>>,
}

#[derive(Debug, Clone)]
struct Promise {
    author: &'static str,
    recipients: Vec<String>,
    body: usize,
    acknowledged: bool,
}

impl Promises {
    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Promise>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The other side of the world: a name server and remote servers that count.
struct World {
    _dns: DnsServer,
    port: SharedPort,
    remotes: Vec<Remote>,
    resolver: String,
    outbound: String,
}

impl World {
    fn new() -> World {
        let port = SharedPort::find();
        let mut records = String::new();
        for domain in 0..DOMAINS {
            let host = port.address(1 + (domain % u64::from(REMOTES)) as u8).ip();
            records += &format!(
                "d{domain}.test. MX 10 mx.d{domain}.test.\nrefused.d{domain}.test. MX 10 mx.d{domain}.test.\n\
                 mx.d{domain}.test. A {host}\n"
            );
        }
        records += &format!("slow.test. MX 10 mx.slow.test.\nmx.slow.test. A {}\n", port.address(REMOTES + 1).ip());
        let dns = DnsServer::start(&records);
        let manner = || {
            (0..DOMAINS).fold(Manner::default(), |manner, domain| {
                manner.refusing(&refused_at(domain), "550 5.1.1 nobody has this name")
            })
        };
        let remotes = (1..=REMOTES).map(|host| Remote::start(port.address(host), manner())).collect();
        let (resolver, outbound) = (dns.address().to_string(), port.number().to_string());
        World { _dns: dns, port, remotes, resolver, outbound }
    }

    fn options(&self) -> [&str; 4] {
        ["--resolver", &self.resolver, "--outbound-port", &self.outbound]
    }

    /// One more remote server, for `slow.test`.
    fn slow(&self, manner: Manner) -> Remote {
        Remote::start(self.port.address(REMOTES + 1), manner)
    }

    fn ledgers(&self) -> Vec<Ledger> {
        self.remotes.iter().map(Remote::ledger).collect()
    }
}

/// A domain below that takes nobody, so that refusals are made by rule.
fn refused_at(domain: u64) -> String {
    format!("@refused.d{domain}.test")
}

fn crash(more: &[&str], database: impl Fn(&Process) -> Database) {
    let seed = number("POSTROAD_CRASH_SEED").unwrap_or_else(random_seed);
    let rounds = number("POSTROAD_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds as u32);
    eprintln!("POSTROAD_CRASH_SEED={seed} repeats this run");
    let mut random = Random::new(seed);
    let world = World::new();
    let mut options = vec!["--accounts", "1"];
    options.extend(world.options());
    options.extend(more);
    let begun = Instant::now();
    let mut process = Process::quickstart(env!("CARGO_BIN_EXE_postroad"), PASSWORD, &options);
    let settings = Settings::new(database(&process), BlobPlace::Folder(process.data().join("blobs")));
    let promises = Arc::new(Promises::default());
    // How often each recipient may have been delivered so far.
    let mut allowed: BTreeMap<String, usize> = BTreeMap::new();
    let mut cut_off = 0;
    for round in 1..=rounds {
        if round > 1 {
            process.start_again();
        }
        round_of(&mut process, round, &mut random, &promises);
        let ledgers = world.ledgers();
        let snapshot = snapshot(&settings);
        snapshot.agrees(round);
        at_most(round, &ledgers, &allowed);
        nothing_vanished(round, &promises, &ledgers, &snapshot);
        for (address, _) in snapshot.claimed() {
            *allowed.entry(address.clone()).or_insert(1) += 1;
            cut_off += 1;
        }
    }
    process.start_again();
    empty(&settings, &process);
    let status = process.stop();
    assert!(status.success(), "{}", process.printed());
    let (ledgers, snapshot) = (world.ledgers(), snapshot(&settings));
    snapshot.agrees(rounds + 1);
    assert_eq!(snapshot.recipients(), 0, "the queue is empty");
    at_most(rounds + 1, &ledgers, &allowed);
    in_the_end(&settings, &promises, &ledgers);
    let promises = promises.open();
    let acknowledged = promises.values().filter(|promise| promise.acknowledged).count();
    let delivered = deliveries(&ledgers);
    let twice = delivered.values().filter(|times| times.len() > 1).count();
    eprintln!(
        "{rounds} kills in {:?}: {} messages, {acknowledged} acknowledged, {} recipients reached, {cut_off} attempts cut \
         off, {twice} delivered again",
        begun.elapsed(),
        promises.len(),
        delivered.len()
    );
    assert!(acknowledged > rounds as usize && acknowledged < promises.len(), "some were cut off, others not");
    assert!(cut_off > 0, "no kill met an attempt");
}

/// Load until something was acknowledged, then the kill.
fn round_of(process: &mut Process, round: u32, random: &mut Random, promises: &Arc<Promises>) {
    let (tell, events) = channel();
    let mut threads = Vec::new();
    for sender in 0..SENDERS {
        let (place, author) = (process.address(587), AUTHORS[sender as usize % AUTHORS.len()]);
        let (promises, random, tell) = (Arc::clone(promises), random.fork(), tell.clone());
        let name = format!("r{round}t{sender}");
        threads.push(std::thread::spawn(move || {
            let large_one_in = Some(LARGE_ONE_IN);
            hand_in::Client { author, name, large_one_in, promises: &promises, random, tell }.send(place);
        }));
    }
    drop(tell);
    wait(&events, random, ACKNOWLEDGED);
    process.kill();
    for thread in threads {
        if let Err(panic) = thread.join() {
            eprintln!("in round {round}; the server printed:\n{}", process.printed());
            std::panic::resume_unwind(panic);
        }
    }
}

/// By recipient, the Message-IDs of what was taken for it.
fn deliveries(ledgers: &[Ledger]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for received in ledgers.iter().flat_map(|ledger| &ledger.received) {
        let id = received.field("Message-ID").unwrap_or_default();
        for recipient in received.recipients() {
            found.entry(recipient.to_owned()).or_default().push(id.clone());
        }
    }
    found
}

/// Twice only where a kill had met the attempt.
fn at_most(round: u32, ledgers: &[Ledger], allowed: &BTreeMap<String, usize>) {
    for (recipient, times) in deliveries(ledgers) {
        let most = allowed.get(&recipient).copied().unwrap_or(1);
        assert!(times.len() <= most, "round {round}: {recipient} got {times:?}, {most} allowed");
    }
}

/// What was acknowledged waits, or was delivered, or was refused; what was not is there for all or for none.
fn nothing_vanished(round: u32, promises: &Promises, ledgers: &[Ledger], snapshot: &Snapshot) {
    let delivered = deliveries(ledgers);
    for (id, promise) in promises.open().iter() {
        let there = |address: &&String| delivered.contains_key(*address) || snapshot.waits(address);
        // What was refused has left the queue with its notice, which is looked for in the end.
        let usual: Vec<&String> = promise.recipients.iter().filter(|address| !is_refused(address)).collect();
        let found = usual.iter().filter(|address| there(address)).count();
        if promise.acknowledged {
            assert_eq!(found, usual.len(), "round {round}: {id} was acknowledged: {promise:?}");
        } else {
            assert!(found == 0 || found == usual.len(), "round {round}: {id} is half there: {promise:?}");
        }
    }
}

fn is_refused(address: &str) -> bool {
    address.contains("@refused.")
}

/// Waits until nothing is queued.
fn empty(settings: &Settings, process: &Process) {
    let left = || snapshot(settings).recipients();
    if in_time(|| (left() == 0).then_some(())).is_none() {
        panic!("{} recipients stay in the queue; the server printed:\n{}", left(), process.printed());
    }
}

/// Everybody was reached, with the right bytes, or was refused and told of once.
fn in_the_end(settings: &Settings, promises: &Promises, ledgers: &[Ledger]) {
    let promises = promises.open();
    for received in ledgers.iter().flat_map(|ledger| &ledger.received) {
        let id = received.field("Message-ID").unwrap_or_default();
        let id = id.trim_matches(['<', '>']);
        let promise = promises.get(id).unwrap_or_else(|| panic!("nobody sent {id:?}"));
        let expected = crate::ledger::body(id, promise.body);
        assert!(received.bytes.ends_with(expected.as_bytes()), "the bytes of {id} are not what was sent");
        assert_eq!(received.sender(), promise.author);
    }
    let delivered = deliveries(ledgers);
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for author in AUTHORS {
        for notice in inbox(settings, author) {
            let named: BTreeSet<&str> =
                notice.split(['<', '>', ' ', ';', '\r', '\n']).filter(|word| is_refused(word)).collect();
            named.into_iter().for_each(|address| *told.entry(address.to_owned()).or_default() += 1);
        }
    }
    for (id, promise) in promises.iter() {
        let fate = |address: &String| match is_refused(address) {
            true => told.get(address).copied().unwrap_or(0),
            false => delivered.get(address).map_or(0, Vec::len),
        };
        let fates: Vec<usize> = promise.recipients.iter().map(fate).collect();
        if promise.acknowledged {
            assert!(fates.iter().all(|fate| *fate > 0), "{id} was acknowledged: {promise:?} came to {fates:?}");
        } else {
            assert!(fates.iter().all(|fate| *fate > 0) || fates.iter().all(|fate| *fate == 0), "{id}: {fates:?}");
        }
        for (address, fate) in promise.recipients.iter().zip(fates).filter(|(address, _)| is_refused(address)) {
            assert!(fate <= 1, "{fate} notices about {address}");
        }
    }
}

fn addresses(place: &str, random: &mut Random) -> Vec<String> {
    let count = 1 + random.below(5);
    (0..count)
        .map(|nth| {
            let domain = random.below(DOMAINS);
            match random.below(REFUSED_ONE_IN) {
                0 => format!("{place}x{nth}{}", refused_at(domain)),
                _ => format!("{place}x{nth}@d{domain}.test"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroad_queue::State;
    use postroad_testkit::remote::Received;

    const TO: &str = "m@d0.test";

    /// A ledger in which this address got a message so often.
    fn ledger(times: usize) -> Vec<Ledger> {
        let received = Received {
            connection: 0,
            tls: false,
            chunked: false,
            login: None,
            mail: "<alice@example.test>".into(),
            rcpt: vec![format!("<{TO}>")],
            bytes: b"Message-ID: <m@crash.test>\r\n\r\n".to_vec(),
            taken: Instant::now(),
            answered: None,
        };
        vec![Ledger { received: vec![received; times], connections: Vec::new() }]
    }

    fn promises(recipients: &[&str], acknowledged: bool) -> Promises {
        let recipients = recipients.iter().map(|to| (*to).to_owned()).collect();
        let promise = Promise { author: AUTHORS[0], recipients, body: 1, acknowledged };
        Promises { inside: Mutex::new([("m@crash.test".to_owned(), promise)].into()) }
    }

    fn fails(check: impl FnOnce()) -> bool {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err()
    }

    #[test]
    fn a_second_copy_is_seen_unless_a_kill_met_the_attempt() {
        let cut_off = BTreeMap::from([(TO.to_owned(), 2)]);
        for (times, allowed, wrong) in
            [(1, BTreeMap::new(), false), (2, BTreeMap::new(), true), (2, cut_off.clone(), false), (3, cut_off, true)]
        {
            assert_eq!(fails(|| at_most(1, &ledger(times), &allowed)), wrong, "{times} with {allowed:?}");
        }
    }

    #[test]
    fn what_vanished_is_seen() {
        let other = "n@d0.test";
        let waits = || Snapshot::of(TO, State::Waiting);
        let ended = || Snapshot::of(TO, State::Failed);
        for (recipients, acknowledged, times, snapshot, wrong) in [
            (&[TO][..], true, 0, waits(), false),
            (&[TO], true, 1, ended(), false),
            (&[TO], true, 0, ended(), true),
            (&[TO], false, 0, ended(), false),
            (&[TO, other], true, 1, waits(), true),
            (&[TO, other], false, 1, ended(), true),
            (&[TO, "x@refused.d0.test"], true, 1, ended(), false),
        ] {
            let promises = promises(recipients, acknowledged);
            let failed = fails(|| nothing_vanished(1, &promises, &ledger(times), &snapshot));
            assert_eq!(failed, wrong, "{recipients:?}, {acknowledged}, {times}");
        }
    }
}
