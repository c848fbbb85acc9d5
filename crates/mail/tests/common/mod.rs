//! What the tests of mail share: a store with a domain and an account, messages, and the audit.
#![allow(dead_code, clippy::unwrap_used, missing_docs, unreachable_pub)]

use postroad_mail::accounts::{self, NewAccount};
use postroad_mail::deliver::{self, Filing};
use postroad_mail::{
    Actor, Address, Arrival, By, Delivered, Domain, Error, Flags, Intake, Keyword, MailboxId, MailboxName, UidSet,
    audit, domains,
};
use postroad_message::Limits;
use postroad_store::{AccountId, Locks, ReadTx, Store, Timestamp, WriteTx};
use postroad_testkit::{TestStore, each_store};

pub const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

pub fn by() -> By {
    By::new(NOW, Actor::Admin)
}

pub fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

pub fn keyword(text: &str) -> Keyword {
    Keyword::parse(text).unwrap()
}

pub fn uids(text: &str) -> UidSet {
    UidSet::parse(text).unwrap()
}

/// A store with `example.test` and alice.
pub struct World {
    pub store: Store,
    pub alice: AccountId,
}

impl World {
    pub fn new(test: &TestStore) -> World {
        let store = test.store.clone();
        let alice = store
            .write_blocking(Locks::none(), |tx| {
                domains::create(tx, &by(), &Domain::parse("example.test").unwrap())?;
                account(tx, "alice@example.test")
            })
            .unwrap()
            .value;
        World { store, alice }
    }

    pub fn write<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut WriteTx) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        self.store.write_blocking(Locks::account(self.alice), f).map(|stored| stored.value)
    }

    pub fn read<R: Send + 'static>(
        &self,
        f: impl FnOnce(&ReadTx) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        self.store.read_blocking(f)
    }

    /// A message in memory, ready to be delivered.
    pub fn arrival(&self, text: &str) -> Arrival {
        let mut intake = Intake::new(self.store.upload(), Limits::default());
        intake.feed(text.as_bytes()).unwrap();
        intake.finish(Vec::new()).unwrap()
    }

    pub fn deliver(&self, mailbox: MailboxId, text: &str, flags: Flags) -> Delivered {
        let arrival = self.arrival(text);
        let alice = self.alice;
        let filing = Filing { flags, ..Filing::default() };
        self.write(move |tx| deliver::append(tx, &by(), alice, mailbox, &arrival, &filing)).unwrap()
    }

    /// `n` small messages in INBOX.
    pub fn fill(&self, n: usize) {
        let arrivals: Vec<Arrival> = (0..n).map(|i| self.arrival(&mail(i))).collect();
        let alice = self.alice;
        self.write(move |tx| {
            for arrival in &arrivals {
                deliver::append(tx, &by(), alice, MailboxId::INBOX, arrival, &Filing::default())?;
            }
            Ok(())
        })
        .unwrap();
    }

    /// Fails when the database contradicts itself.
    pub fn audit(&self) {
        let alice = self.alice;
        let faults = self.read(move |tx| audit::audit(tx, alice)).unwrap();
        assert_eq!(faults, []);
    }
}

pub fn account(tx: &mut WriteTx, text: &str) -> Result<AccountId, Error> {
    accounts::create(
        tx,
        &by(),
        &NewAccount {
            address: address(text),
            display_name: String::new(),
            password: None,
            quota_bytes: 0,
            quota_messages: 0,
        },
    )
}

pub fn mail(number: usize) -> String {
    format!(
        "From: bob@example.test\r\nTo: alice@example.test\r\nSubject: number {number}\r\n\
         Message-ID: <{number}@example.test>\r\n\r\nThis is number {number}.\r\n"
    )
}

/// Runs a test on every store.
pub fn each(test: impl Fn(&World)) {
    each_store(&[postroad_mail::MIGRATIONS], |store| test(&World::new(store)));
}
