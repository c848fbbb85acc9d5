//! An account of ours, and a place that it collects from.

use std::time::Duration;

use postroad_mail::accounts::{self, DIRECTORY_LOCK, NewAccount};
use postroad_mail::remote::collect::{self as rows, Collect};
use postroad_mail::{Actor, Address, By, Domain, MailboxName, Query, UidSet, Want, audit, domains, mailboxes, view};
use postroad_remote::Result;
use postroad_remote::pop3::collect::purpose;
use postroad_remote::pop3::{Done, Limits, collect};
use postroad_store::seal::Sealer;
use postroad_store::{AccountId, Locks, Timestamp, trace};
use postroad_testkit::TestStore;

pub(crate) const PASSWORD: &str = "correct horse";
const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

pub(crate) struct World {
    test: TestStore,
    alice: AccountId,
    sealer: Sealer,
    place: Collect,
    now: Timestamp,
    pub(crate) limits: Limits,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new(url: &str, delete_after: Option<u32>) -> World {
        World::with_quota(url, delete_after, 0)
    }

    pub(crate) fn with_quota(url: &str, delete_after: Option<u32>, quota_messages: u64) -> World {
        let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(&folder.path().join("key")).unwrap();
        let (own, url) = (sealer.clone(), url.to_owned());
        let made = test.store.write_blocking(Locks::named(DIRECTORY_LOCK), move |tx| {
            let by = By::new(NOW, Actor::Admin);
            domains::create(tx, &by, &Domain::parse("example.test").unwrap())?;
            let new = NewAccount {
                address: Address::parse("alice@example.test").unwrap(),
                display_name: String::new(),
                password: None,
                quota_bytes: 0,
                quota_messages,
            };
            let account = accounts::create(tx, &by, &new)?;
            let place = Collect {
                account,
                id: 0,
                place: url,
                secret: Vec::new(),
                ca: None,
                mailbox: "INBOX".into(),
                every: 900,
                delete_after,
                next_at: NOW,
                failures: 0,
                trouble: None,
                looked: None,
                taken: 0,
            };
            rows::add(tx, &place, |id| own.seal(&purpose(account.0, id), PASSWORD.as_bytes()))?;
            let place = rows::due(tx, NOW, 10)?.remove(0);
            assert!(rows::claim(tx, account, place.id, NOW, NOW.plus(Duration::from_secs(60)))?);
            assert!(!rows::claim(tx, account, place.id, NOW, NOW.plus(Duration::from_secs(60)))?, "one at a time");
            assert!(rows::due(tx, NOW, 10)?.is_empty());
            Ok::<_, postroad_mail::Error>(place)
        });
        let place = made.unwrap().value;
        let alice = place.account;
        World { test, alice, sealer, place, now: NOW, limits: Limits::default(), _folder: folder }
    }

    pub(crate) fn password(&mut self, password: &str) {
        self.place.secret = self.sealer.seal(&purpose(self.alice.0, self.place.id), password.as_bytes());
    }

    pub(crate) fn trust(&mut self, pem: impl Into<String>) {
        self.place.ca = Some(pem.into());
    }

    pub(crate) fn later(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    pub(crate) fn look(&self) -> Result<Done> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (mut done, now) = (Done::default(), self.now);
        let looked = runtime.block_on(collect(
            &self.test.store,
            &self.sealer,
            &self.place,
            "us.test",
            &self.limits,
            || now,
            &mut done,
        ));
        let alice = self.alice;
        let audited = self.test.store.read_blocking(move |tx| audit::audit(tx, alice)).unwrap();
        assert!(audited.is_empty(), "{audited:?}");
        looked.map(|()| done)
    }

    pub(crate) fn subjects(&self) -> Vec<String> {
        let mut all: Vec<String> = self.mails().into_iter().map(|(subject, _)| subject).collect();
        all.sort();
        all
    }

    pub(crate) fn octets(&self, subject: &str) -> Vec<u8> {
        self.mails().into_iter().find(|(own, _)| own == subject).unwrap().1
    }

    pub(crate) fn story(&self, key: &str) -> Vec<String> {
        let key = key.to_owned();
        let events = self.test.store.read_blocking(move |tx| {
            let ids = trace::find(tx, &key, Timestamp(0), 10)?;
            trace::story(tx, ids[0])
        });
        events.unwrap().into_iter().map(|event| format!("{}: {}", event.kind, event.detail)).collect()
    }

    fn mails(&self) -> Vec<(String, Vec<u8>)> {
        let account = self.alice;
        let read = self.test.store.read_blocking(move |tx| {
            let mailbox = mailboxes::find(tx, account, &MailboxName::parse("INBOX").unwrap())?.unwrap().id;
            let query = Query { uids: &UidSet::all(), want: Want::Facts, changed_since: None, limit: 1_000 };
            let entries = view::entries(tx, account, mailbox, &query)?;
            let mails = entries.into_iter().map(|entry| {
                let octets = tx.blob_read(entry.facts.unwrap().blob, 0..u64::MAX)?;
                let text = String::from_utf8_lossy(&octets).into_owned();
                let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default();
                Ok((subject.to_owned(), octets))
            });
            mails.collect::<postroad_mail::Result<Vec<_>>>()
        });
        read.unwrap()
    }
}
