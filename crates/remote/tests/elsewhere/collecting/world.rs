//! An account of ours, and a place that it collects from.

use std::time::Duration;

use postroad_mail::remote::collect::{self as rows, Collect};
use postroad_remote::Result;
use postroad_remote::pop3::collect::{password, purpose};
use postroad_remote::pop3::{Done, Limits, Shown, collect};
use postroad_store::seal::Sealer;
use postroad_store::{Locks, Timestamp, trace};
use postroad_testkit::Dovecot;

use crate::account::{Account, NOW, block_on};

pub(crate) struct World {
    account: Account,
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
        let owner = Account::new(quota_messages);
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(&folder.path().join("key")).unwrap();
        let (own, url, account) = (sealer.clone(), url.to_owned(), owner.id);
        let made = owner.store.write_blocking(Locks::account(account), move |tx| {
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
            rows::add(tx, &place, |id| own.seal(&purpose(account.0, id), Dovecot::PASSWORD.as_bytes()))?;
            let place = rows::due(tx, NOW, 10)?.remove(0);
            assert!(rows::claim(tx, account, place.id, NOW, NOW.plus(Duration::from_secs(60)))?);
            assert!(!rows::claim(tx, account, place.id, NOW, NOW.plus(Duration::from_secs(60)))?, "one at a time");
            assert!(rows::due(tx, NOW, 10)?.is_empty());
            Ok::<_, postroad_mail::Error>(place)
        });
        let place = made.unwrap().value;
        World { account: owner, sealer, place, now: NOW, limits: Limits::default(), _folder: folder }
    }

    pub(crate) fn password(&mut self, password: &str) {
        self.place.secret = self.sealer.seal(&purpose(self.account.id.0, self.place.id), password.as_bytes());
    }

    pub(crate) fn trust(&mut self, pem: impl Into<String>) {
        self.place.ca = Some(pem.into());
    }

    pub(crate) fn later(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    pub(crate) fn look(&self) -> Result<Done> {
        let (mut done, now) = (Done::default(), self.now);
        let shown = Shown::Password(password(&self.sealer, &self.place)?.unwrap());
        let store = &self.account.store;
        let looked = block_on(collect(store, &shown, &self.place, "us.test", &self.limits, || now, &mut done));
        self.account.audit();
        looked.map(|()| done)
    }

    pub(crate) fn subjects(&self) -> Vec<String> {
        self.account.subjects("INBOX")
    }

    pub(crate) fn octets(&self, subject: &str) -> Vec<u8> {
        self.account.mails("INBOX").into_iter().find(|mail| mail.subject == subject).unwrap().octets
    }

    pub(crate) fn story(&self, key: &str) -> Vec<String> {
        let key = key.to_owned();
        let events = self.account.store.read_blocking(move |tx| {
            let ids = trace::find(tx, &key, Timestamp(0), 10)?;
            trace::story(tx, ids[0])
        });
        events.unwrap().into_iter().map(|event| format!("{}: {}", event.kind, event.detail)).collect()
    }
}
