//! What the tests share: an account of ours, the desk, and who listens.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use postroad_mail::accounts::{self, DIRECTORY_LOCK, NewAccount};
use postroad_mail::{Actor, Address, By, Domain, MailboxName, Query, UidSet, Want, audit, domains, mailboxes, view};
use postroad_remote::connection::Manners;
use postroad_remote::desk::{Answer, Desk, Opening, serve};
use postroad_remote::migrate::{Progress, Report, Watch, Wish, migrate};
use postroad_remote::tls::Trust;
use postroad_remote::{Access, Credential, Place, mirror};
use postroad_store::{AccountId, Locks, Store, Timestamp};
use postroad_testkit::TestStore;

pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000_000);
pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) struct World {
    _test: TestStore,
    pub(crate) store: Store,
    pub(crate) alice: AccountId,
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

impl World {
    pub(crate) fn new() -> World {
        World::with_quota(0)
    }

    pub(crate) fn with_quota(quota_messages: u64) -> World {
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
        let alice = made.unwrap().value;
        World { store: test.store.clone(), _test: test, alice }
    }

    pub(crate) fn desk(&self, opening: Opening) -> (Desk, Answer) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (store, alice) = (self.store.clone(), self.alice);
        std::thread::spawn(move || {
            let _ = serve(&store, alice, &opening, || NOW, &theirs, &theirs);
        });
        Desk::connect(ours).unwrap()
    }

    pub(crate) fn migrate(&self, access: &Access, wish: &Wish) -> Report {
        let place = access.place.user.clone();
        let (desk, opened) = self.desk(Opening { outwards: false, place, ignore_quota: false, dry: wish.dry });
        let report = block_on(migrate(access, &desk, &opened, wish, &mut Quiet));
        self.audit();
        report
    }

    /// The same, dropped after a time: as if the process were killed.
    pub(crate) fn migrate_for(&self, access: &Access, wish: &Wish, time: Duration) -> Option<Report> {
        let place = access.place.user.clone();
        let (desk, opened) = self.desk(Opening { outwards: false, place, ignore_quota: false, dry: false });
        block_on(async { tokio::time::timeout(time, migrate(access, &desk, &opened, wish, &mut Quiet)).await.ok() })
    }

    pub(crate) fn mirror(&self, access: &Access, wish: &mirror::Wish) -> Report {
        let place = access.place.user.clone();
        let (desk, _) = self.desk(Opening { outwards: true, place, ignore_quota: false, dry: false });
        block_on(mirror::mirror(access, &desk, wish, &mut Quiet))
    }

    pub(crate) fn audit(&self) {
        let account = self.alice;
        let faults = self.store.read_blocking(move |tx| audit::audit(tx, account)).unwrap();
        assert!(faults.is_empty(), "{faults:?}");
    }

    pub(crate) fn mailbox(&self, name: &str) -> Option<postroad_mail::Mailbox> {
        let (account, name) = (self.alice, MailboxName::parse(name).unwrap());
        self.store.read_blocking(move |tx| mailboxes::find(tx, account, &name)).unwrap()
    }

    /// Messages of a mailbox, in the order of uids.
    pub(crate) fn mails(&self, name: &str) -> Vec<Mail> {
        let mailbox = self.mailbox(name).unwrap_or_else(|| panic!("there is no {name}")).id;
        let account = self.alice;
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
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(crate) fn access(user: &str, port: u16) -> Access {
    Access {
        place: Place::parse(&format!("imap+insecure://{user}@127.0.0.1:{port}")).unwrap(),
        credential: Credential::Password(PASSWORD.into()),
        trust: Trust::System,
        manners: Manners { patience: Duration::from_secs(60), bandwidth: None },
    }
}

pub(crate) fn wish() -> Wish {
    Wish { tries: 5, pause: Duration::from_millis(10), ..Wish::default() }
}

pub(crate) fn outwards() -> mirror::Wish {
    mirror::Wish { tries: 5, pause: Duration::from_millis(10), ..mirror::Wish::default() }
}

/// Hears and says nothing.
pub(crate) struct Quiet;

impl Watch for Quiet {
    fn progress(&mut self, _: Progress) {}
    fn say(&mut self, words: &str) {
        println!("{words}");
    }
}

/// All is there, and said to be.
pub(crate) fn proved(report: &Report) {
    assert_eq!(report.error, None);
    assert!(report.is_proved(), "{}", serde_json::to_string_pretty(report).unwrap());
}

pub(crate) fn taken(report: &Report) -> u64 {
    report.folders.iter().map(|folder| folder.taken).sum()
}
