//! What these tests share: a server's store with mail in it, a folder of backups, and a place to restore into.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use postroad_archive::backup::{self, Folder, Made, Manifest, Plan, WholePlan, WholeRestored, silent};
use postroad_mail::accounts::{self, NewAccount};
use postroad_mail::deliver::{self, Filing};
use postroad_mail::password::PasswordHash;
use postroad_mail::{
    Actor, Address, By, Domain, Error, Flags, Intake, Keyword, MailboxId, MailboxName, audit, domains, mailboxes,
    retention,
};
use postroad_message::Limits;
use postroad_queue::{Body, DeliverBy, Notify, Outgoing, Recipient};
use postroad_store::dump::{self, Value};
use postroad_store::{AccountId, Locks, Migration, Store, Timestamp};
use postroad_testkit::TestStore;

pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

pub(crate) fn by() -> By {
    By::new(NOW, Actor::Admin)
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

/// All steps that the program knows.
pub(crate) fn migrations() -> Vec<Migration> {
    [&[postroad_store::MIGRATIONS], TABLES].concat().concat()
}

/// The same without the store's own.
const TABLES: &[&[Migration]] =
    &[postroad_mail::MIGRATIONS, postroad_queue::MIGRATIONS, postroad_trust::MIGRATIONS, postroad_identity::MIGRATIONS];

pub(crate) fn sqlite() -> TestStore {
    TestStore::sqlite(TABLES)
}

pub(crate) fn postgres() -> TestStore {
    TestStore::postgres(TABLES)
}

/// Stores that are not in memory: those that can be backed up while they are used.
pub(crate) fn each_database(test: impl Fn(&TestStore)) {
    for store in [sqlite(), postgres()] {
        eprintln!("on {}", store.name);
        test(&store);
    }
}

/// A store without tables, of the given kind.
pub(crate) struct Blank {
    pub(crate) store: Store,
    _folder: tempfile::TempDir,
}

impl Blank {
    pub(crate) fn sqlite() -> Blank {
        let folder = tempfile::tempdir().unwrap();
        let database = postroad_store::Database::Sqlite(folder.path().join("postroad.sqlite"));
        Blank::open(database, folder)
    }

    pub(crate) fn postgres() -> Blank {
        let url = postroad_testkit::postgres::fresh_database();
        Blank::open(postroad_store::Database::Postgres(url), tempfile::tempdir().unwrap())
    }

    fn open(database: postroad_store::Database, folder: tempfile::TempDir) -> Blank {
        let place = postroad_store::BlobPlace::Folder(folder.path().join("blobs"));
        let mut settings = postroad_store::Settings::new(database, place);
        (settings.readers, settings.writers) = (2, 3);
        Blank { store: Store::open(settings).unwrap(), _folder: folder }
    }
}

/// A folder of backups and a clock that each look moves on.
pub(crate) struct Backups {
    pub(crate) root: tempfile::TempDir,
    clock: Arc<AtomicI64>,
}

impl Backups {
    pub(crate) fn new() -> Backups {
        Backups { root: tempfile::tempdir().unwrap(), clock: Arc::new(AtomicI64::new(NOW.0)) }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.root.path().join("backups of ours")
    }

    pub(crate) fn clock(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let clock = Arc::clone(&self.clock);
        Arc::new(move || Timestamp(clock.fetch_add(1_000_000, Ordering::Relaxed)))
    }

    pub(crate) fn make(&self, store: &Store) -> Made {
        let folder = Folder::to_write(&self.path()).unwrap();
        let migrations = migrations();
        let plan = Plan {
            store,
            migrations: &migrations,
            folder: &folder,
            program: "test",
            clock: self.clock(),
            tell: silent(),
        };
        backup::make(&plan).unwrap()
    }

    pub(crate) fn restore(&self, store: &Store, exact: bool) -> backup::Result<WholeRestored> {
        let folder = Folder::to_read(&self.path()).unwrap();
        let migrations = migrations();
        backup::whole(WholePlan {
            store,
            migrations: &migrations,
            folder: &folder,
            backup: None,
            exact,
            reshape: Some(Box::new(|table, row| {
                postroad_queue::hold_restored(table, row);
                Ok(())
            })),
            now: NOW,
            tell: silent(),
        })
    }

    pub(crate) fn verify(&self) -> backup::Verified {
        let folder = Folder::to_read(&self.path()).unwrap();
        backup::verify(&folder, None, &migrations(), &silent()).unwrap()
    }
}

/// What the tables of a store hold, as a backup of it says: table, rows, hash.
pub(crate) fn contents(manifest: &Manifest) -> Vec<(String, u64, i64, String)> {
    manifest.tables.iter().map(|file| (file.table.clone(), file.rows, file.counted, file.content.clone())).collect()
}

/// Fills a store: a domain, two accounts with mail small and large, flags, keywords, what was removed, a queue.
pub(crate) fn fill(store: &Store) -> AccountId {
    let alice = store
        .write_blocking(Locks::none(), |tx| {
            domains::create(tx, &by(), &Domain::parse("example.test").unwrap())?;
            domains::add_alias(
                tx,
                &by(),
                &Domain::parse("alias.test").unwrap(),
                &Domain::parse("example.test").unwrap(),
            )?;
            let alice = account(tx, "alice@example.test")?;
            account(tx, "bob@example.test")?;
            mailboxes::create(tx, &by(), alice, &name("Projects/Übung"), None)?;
            Ok::<_, Error>(alice)
        })
        .unwrap()
        .value;
    let inbox = mailbox(store, alice, "INBOX");
    let project = mailbox(store, alice, "Projects/Übung");
    for number in 0..30 {
        let flags = if number % 3 == 0 { Flags::SEEN } else { Flags::default() };
        append(store, alice, inbox, &message(number, 40 * number), flags, &["$Forwarded"]);
    }
    append(store, alice, project, &message(100, 9_000), Flags::SEEN, &[]);
    append(store, alice, project, &message(100, 9_000), Flags::SEEN, &[]);
    append(store, alice, project, &message(101, 700_000), Flags::default(), &["Later"]);
    let bob = AccountId(alice.0 + 1);
    let bobs = mailbox(store, bob, "INBOX");
    append(store, bob, bobs, &message(5, 200), Flags::default(), &[]);
    store
        .write_blocking(Locks::accounts([alice, bob]), move |tx| {
            let uids = postroad_mail::UidSet::range(3, 5);
            postroad_mail::expunge::remove(tx, &by(), alice, inbox, &uids)?;
            let all = postroad_mail::UidSet::range(10, 12);
            postroad_mail::copy::copy(tx, &by(), alice, inbox, &all, project)?;
            Ok::<_, Error>(())
        })
        .unwrap();
    enqueue(store);
    alice
}

pub(crate) fn account(tx: &mut postroad_store::WriteTx, text: &str) -> Result<AccountId, Error> {
    let new = NewAccount {
        address: address(text),
        display_name: text.to_owned(),
        password: Some(PasswordHash::of_password("correct horse").unwrap()),
        quota_bytes: 0,
        quota_messages: 0,
    };
    accounts::create(tx, &by(), &new)
}

/// A message of the queue for two places.
fn enqueue(store: &Store) {
    let mut upload = store.upload();
    upload.write(b"Subject: queued\r\n\r\nfor others\r\n").unwrap();
    let prepared = upload.finish(Vec::new()).unwrap();
    store
        .write_blocking(Locks::none(), move |tx| {
            let blob = tx.blob_put(&prepared)?;
            let recipient = |local: &str| Recipient {
                address: format!("{local}@example.org"),
                domain: "example.org".into(),
                notify: Notify::NEVER,
                orcpt: None,
                via: None,
                valid_since: Some("2026-01-01T00:00:00Z".into()),
            };
            let outgoing = Outgoing {
                blob,
                size: prepared.size(),
                sender: "alice@example.test".into(),
                account: None,
                standing: postroad_queue::Standing::Vouched,
                envid: None,
                ret: None,
                body: Body::SevenBit,
                smtputf8: false,
                requiretls: false,
                trace: None,
                hold_until: Some(NOW),
                hold_asked: Some("for 60".into()),
                deliver_by: Some(DeliverBy { at: NOW, returns: true, trace: true }),
                priority: 3,
                solicitation: Some("net.example:ADV".into()),
                terms: postroad_queue::Terms::default(),
                recipients: vec![recipient("one"), recipient("two")],
            };
            postroad_queue::enqueue(tx, &outgoing, NOW)?;
            Ok::<_, postroad_queue::Error>(tx.blob_release(blob, 1)?)
        })
        .unwrap();
}

/// The number of the account with this address.
pub(crate) fn number(store: &Store, text: &str) -> AccountId {
    let address = address(text);
    store.read_blocking(move |tx| accounts::find(tx, &address)).unwrap().unwrap().id
}

/// Removes an account, and all that is left of it.
pub(crate) fn gone(store: &Store, account: AccountId) {
    store
        .write_blocking(Locks::account(account), move |tx| {
            accounts::delete(tx, &by(), account)?;
            while retention::sweep(tx, account, Timestamp(i64::MAX))?.more {}
            Ok::<_, Error>(())
        })
        .unwrap();
}

pub(crate) fn message(number: usize, size: usize) -> String {
    // Bytes that do not compress to nothing.
    let mut body = String::new();
    let mut state = number as u64 * 2_654_435_761 + 1;
    while body.len() < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        body.push_str(&format!("{state:016x}"));
        if body.len() % 72 < 16 {
            body.push_str("\r\n");
        }
    }
    format!(
        "From: a@example.test\r\nTo: alice@example.test\r\nSubject: number {number}\r\n\
         Message-ID: <{number}.{size}@example.test>\r\n\r\n{body}\r\n"
    )
}

pub(crate) fn mailbox(store: &Store, account: AccountId, wanted: &str) -> MailboxId {
    let wanted = name(wanted);
    store.read_blocking(move |tx| mailboxes::find(tx, account, &wanted)).unwrap().unwrap().id
}

pub(crate) fn append(
    store: &Store,
    account: AccountId,
    mailbox: MailboxId,
    text: &str,
    flags: Flags,
    keywords: &[&str],
) {
    let mut intake = Intake::new(store.upload(), Limits::default());
    intake.feed(text.as_bytes()).unwrap();
    let arrival = intake.finish(Vec::new()).unwrap();
    let keywords = keywords.iter().map(|word| Keyword::parse(word).unwrap()).collect();
    let filing = Filing { flags, keywords, received: Some(Timestamp(NOW.0 - 1_000_000)), trace: None };
    store
        .write_blocking(Locks::account(account), move |tx| {
            deliver::append(tx, &by(), account, mailbox, &arrival, &filing)
        })
        .unwrap();
}

/// Everything in an account: mailbox, uid, flags, keywords, received, bytes.
pub(crate) fn mail_of(store: &Store, of: &str) -> Vec<(String, u32, i64, String, i64, Vec<u8>)> {
    use postroad_mail::view::{self, Query, Want};
    let of = address(of);
    store
        .read_blocking(move |tx| {
            let account = accounts::find(tx, &of)?.expect("the account is there").id;
            let mut all = Vec::new();
            for listed in mailboxes::list(tx, account)? {
                let Some(mailbox) = mailboxes::find(tx, account, &listed.name)? else { continue };
                let uids = postroad_mail::UidSet::all();
                let query = Query { uids: &uids, want: Want::Facts, changed_since: None, limit: usize::MAX };
                for entry in view::entries(tx, account, mailbox.id, &query)? {
                    let facts = entry.facts.expect("asked for");
                    let bytes = tx.blob_read(facts.blob, 0..u64::MAX)?;
                    let mut keywords: Vec<&str> = entry.keywords.iter().collect();
                    keywords.sort_unstable();
                    all.push((
                        listed.name.to_string(),
                        entry.uid,
                        entry.flags.bits(),
                        keywords.join(" "),
                        facts.received.0,
                        bytes,
                    ));
                }
            }
            Ok::<_, Error>(all)
        })
        .unwrap()
}

/// That every account's counters equal a recount, that every blob is there and is referred to as often as it says.
pub(crate) fn audit_all(store: &Store) {
    let faults = store
        .read_blocking(|tx| {
            let mut faults: Vec<String> = Vec::new();
            for account in accounts::list(tx, None, 1_000)? {
                faults.extend(audit::audit(tx, account.id)?.into_iter().map(|fault| fault.what));
            }
            let rows = tx.rows(
                "SELECT b.id, b.refs,
                        (SELECT count(*) FROM message AS m WHERE m.blob = b.id)
                      + (SELECT count(*) FROM queue_message AS q WHERE q.blob = b.id) FROM blob AS b",
                &[],
                |row| Ok((row.int(0)?, row.int(1)?, row.int(2)?)),
            )?;
            faults.extend(rows.iter().filter(|row| row.1 != row.2).map(|row| format!("references of a blob: {row:?}")));
            let bare = tx.rows(
                "SELECT m.id FROM message AS m WHERE NOT EXISTS (SELECT 1 FROM blob AS b WHERE b.id = m.blob)",
                &[],
                |row| row.int(0),
            )?;
            faults.extend(bare.iter().map(|id| format!("message {id} has no blob")));
            for (id, _, _) in rows {
                tx.blob_read(postroad_store::BlobId(id), 0..u64::MAX)?;
            }
            Ok::<_, Error>(faults)
        })
        .unwrap();
    assert_eq!(faults, Vec::<String>::new());
}

/// The rows of a table, each a line of its values.
pub(crate) fn rows(store: &Store, table: &str) -> Vec<Vec<Value>> {
    let table = dump::tables(&migrations()).unwrap().into_iter().find(|known| known.name == table).unwrap();
    store.read_blocking(move |tx| dump::page(tx, &table, None)).unwrap()
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
