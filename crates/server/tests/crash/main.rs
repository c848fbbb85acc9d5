//! The server is killed with SIGKILL at random moments while mail comes in over SMTP and LMTP and mailboxes
//! change over IMAP; after each kill the database is looked at, then the server starts again on it.
//!
//! What must hold after every kill:
//! 1. A message that was answered 250 is there exactly once for each of its recipients, with its bytes.
//! 2. One that was not is there for all of its recipients or for none.
//! 3. APPENDUID and COPYUID promised uids that are there and mean what was promised.
//! 4. Nothing that was there is gone or has another uid; new uids lie above all old ones, new modseqs above
//!    the account's old one.
//! 5. All counters equal a recount ([`postroad_mail::audit`]).
//!
//! `POSTROAD_CRASH_SEED=N` repeats a run's decisions (not the machine's timing), `POSTROAD_CRASH_ROUNDS=N`
//! makes it longer.

mod client;
mod ledger;
mod outgoing;
mod readers;
mod senders;
mod verify;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use postroad_store::Database;
use postroad_testkit::{Process, postgres};

use ledger::Ledger;
use verify::Verifier;

const PASSWORD: &str = "crash course";
/// Who gets the mail; `--accounts` makes the numbered ones.
const ACCOUNTS: [&str; 4] = ["alice@example.test", "bob@example.test", "u0001@example.test", "u0002@example.test"];
const ROUNDS: u32 = 30;
const SENDERS: u32 = 4;
const READERS: u32 = 3;
/// Acknowledgements of a round until the server is killed, at most.
const ACKNOWLEDGED: u64 = 250;
/// And after those so long, at most: the kill lies anywhere between two COMMITs.
const LATER_MICROS: u64 = 4_000;
/// When nothing is acknowledged for so long, something else is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn nothing_acknowledged_is_lost_on_sqlite() {
    crash(&[], |process| Database::Sqlite(process.data().join("postroad.sqlite")));
}

#[test]
fn nothing_acknowledged_is_lost_on_postgres() {
    let url = postgres::fresh_database();
    crash(&["--database", &url], |_| Database::Postgres(url.clone()));
    postgres::drop_database(&url);
}

fn crash(more: &[&str], database: impl Fn(&Process) -> Database) {
    let seed = number("POSTROAD_CRASH_SEED").unwrap_or_else(random_seed);
    let rounds = number("POSTROAD_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds as u32);
    eprintln!("POSTROAD_CRASH_SEED={seed} repeats this run");
    let mut random = Random::new(seed);
    let mut options = vec!["--accounts", "2"];
    options.extend(more);
    let begun = Instant::now();
    let mut process = Process::quickstart(env!("CARGO_BIN_EXE_postroad"), PASSWORD, &options);
    let ledger = Arc::new(Ledger::default());
    let mut verifier = Verifier::new(database(&process), process.data().join("blobs"));
    for round in 1..=rounds {
        if round > 1 {
            process.start_again();
        }
        let (tell, events) = channel();
        let mut threads = Vec::new();
        for number in 0..SENDERS {
            let place = if number == 0 { process.address(24) } else { process.address(25) };
            let (ledger, random, tell) = (Arc::clone(&ledger), random.fork(), tell.clone());
            let name = format!("r{round}.t{number}");
            threads.push(std::thread::spawn(move || senders::send(place, number == 0, &name, &ledger, random, &tell)));
        }
        for number in 0..READERS {
            let (place, account) = (process.address(143), number as usize % ACCOUNTS.len());
            let (ledger, random, tell) = (Arc::clone(&ledger), random.fork(), tell.clone());
            let name = format!("r{round}.i{number}");
            threads.push(std::thread::spawn(move || readers::change(place, account, &name, &ledger, random, &tell)));
        }
        drop(tell);
        wait(&events, &mut random, ACKNOWLEDGED);
        process.kill();
        for thread in threads {
            if let Err(panic) = thread.join() {
                eprintln!("in round {round}; the server printed:\n{}", process.printed());
                std::panic::resume_unwind(panic);
            }
        }
        verifier.verify(round, &ledger);
    }
    let count = ledger.count();
    eprintln!("{rounds} kills in {:?}: {count:?}", begun.elapsed());
    let rounds = rounds as usize;
    assert!(count.acknowledged > rounds && count.acknowledged < count.messages, "some were cut off, others not");
    assert!(count.appends > rounds && count.copies > rounds, "mailboxes changed too");
}

/// Waits for some acknowledgements and then a little longer.
fn wait(events: &Receiver<()>, random: &mut Random, acknowledged: u64) {
    for _ in 0..=random.below(acknowledged) {
        if events.recv_timeout(PATIENCE).is_err() {
            // All clients have ended, or hang; joining them shows why.
            return;
        }
    }
    let until = Instant::now() + Duration::from_micros(random.below(LATER_MICROS));
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        if events.recv_timeout(left).is_err() {
            return;
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn random_seed() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    u64::from_le_bytes(bytes) >> 16
}

/// Xorshift: decisions that a seed repeats.
pub(crate) struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }

    fn fork(&mut self) -> Random {
        Random::new(self.below(u64::MAX))
    }
}
