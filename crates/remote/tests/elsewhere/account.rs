//! An account of ours, on a store of its own.

use postroad_mail::accounts::{self, DIRECTORY_LOCK, NewAccount};
use postroad_mail::{Actor, Address, By, Domain, MailboxName, Query, UidSet, Want, audit, domains, mailboxes, view};
use postroad_store::{AccountId, Locks, Store, Timestamp};
use postroad_testkit::TestStore;

pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

pub(crate) struct Account {
    _test: TestStore,
    pub(crate) store: Store,
    pub(crate) id: AccountId,
}

/// A message here, as far as tests look at it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mail {
    pub(crate) subject: String,
    pub(crate) marks: String,
    /// Seconds.
    pub(crate) date: i64,
    pub(crate) octets: Vec<u8>,
}

impl Account {
    /// With a limit of messages; 0 for none.
    pub(crate) fn new(quota_messages: u64) -> Account {
        let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
        let by = By::new(NOW, Actor::Admin);
        let made = test.store.write_blocking(Locks::named(DIRECTORY_LOCK), move |tx| {
            domains::create(tx, &by, &Domain::parse("example.test").unwrap())?;
            let new = NewAccount {
                address: Address::parse("alice@example.test").unwrap(),
                display_name: String::new(),
                password: None,
                quota_bytes: 0,
                quota_messages,
            };
            accounts::create(tx, &by, &new)
        });
        let id = made.unwrap().value;
        Account { store: test.store.clone(), _test: test, id }
    }

    pub(crate) fn audit(&self) {
        let account = self.id;
        let faults = self.store.read_blocking(move |tx| audit::audit(tx, account)).unwrap();
        assert!(faults.is_empty(), "{faults:?}");
    }

    pub(crate) fn mailbox(&self, name: &str) -> Option<postroad_mail::Mailbox> {
        let (account, name) = (self.id, MailboxName::parse(name).unwrap());
        self.store.read_blocking(move |tx| mailboxes::find(tx, account, &name)).unwrap()
    }

    /// Messages of a mailbox, in the order of uids.
    pub(crate) fn mails(&self, name: &str) -> Vec<Mail> {
        let mailbox = self.mailbox(name).unwrap_or_else(|| panic!("there is no {name}")).id;
        let account = self.id;
        self.store
            .read_blocking(move |tx| {
                let query = Query { uids: &UidSet::all(), want: Want::Facts, changed_since: None, limit: 100_000 };
                let entries = view::entries(tx, account, mailbox, &query)?;
                let mails = entries.into_iter().map(|entry| {
                    let facts = entry.facts.unwrap();
                    let octets = tx.blob_read(facts.blob, 0..u64::MAX)?;
                    let text = String::from_utf8_lossy(&octets).into_owned();
                    let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default();
                    let names = entry.flags.names().map(str::to_owned);
                    let marks = postroad_remote::migrate::marks(names.chain(entry.keywords.iter().map(str::to_owned)));
                    let (subject, date) = (subject.to_owned(), facts.received.0 / 1_000_000);
                    Ok(Mail { subject, marks, date, octets })
                });
                mails.collect::<postroad_mail::Result<Vec<_>>>()
            })
            .unwrap()
    }

    pub(crate) fn subjects(&self, name: &str) -> Vec<String> {
        let mut all: Vec<String> = self.mails(name).into_iter().map(|mail| mail.subject).collect();
        all.sort();
        all
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    postroad_testkit::wait(future)
}
