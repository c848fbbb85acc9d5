//! What the tests share: accounts, both sides of an import or export, and trees of files to compare.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, SystemTime};

use postroad_archive::source::{Content, Folder, Format, Found, Problem, Reading, Skipped, Source, Visit};
use postroad_archive::{Result, export, import};
use postroad_mail::accounts::{self, DIRECTORY_LOCK, NewAccount};
use postroad_mail::{Actor, Address, By, Domain, MailboxName, UidSet, Want, audit, domains, mailboxes, view};
use postroad_store::{AccountId, Locks, Store, Timestamp};
use postroad_testkit::{TestStore, each_store};

pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) alice: AccountId,
    pub(crate) bob: AccountId,
}

pub(crate) fn on_each_store(test: impl Fn(&World)) {
    each_store(&[postroad_mail::MIGRATIONS], |store| test(&World::new(store)));
}

impl World {
    pub(crate) fn new(test: &TestStore) -> World {
        let by = By::new(NOW, Actor::Admin);
        let make = |tx: &mut postroad_store::WriteTx, text: &str| {
            let new = NewAccount {
                address: Address::parse(text).unwrap(),
                display_name: String::new(),
                password: None,
                quota_bytes: 0,
                quota_messages: 0,
            };
            accounts::create(tx, &By::new(NOW, Actor::Admin), &new)
        };
        let made = test.store.write_blocking(Locks::named(DIRECTORY_LOCK), move |tx| {
            domains::create(tx, &by, &Domain::parse("example.test").unwrap())?;
            Ok::<_, postroad_mail::Error>((make(tx, "alice@example.test")?, make(tx, "bob@example.test")?))
        });
        let (alice, bob) = made.unwrap().value;
        World { store: test.store.clone(), alice, bob }
    }

    /// Both sides of an import, and the counters recounted.
    pub(crate) fn import(&self, to: AccountId, path: &Path, options: &import::Options) -> (import::Report, Result<()>) {
        let source = Source::find(path, Reading::default()).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                let _ = import::receive(&self.store, to, options, NOW, &theirs, &theirs);
                theirs.shutdown(std::net::Shutdown::Both).unwrap();
            });
            import::send(&source, &ours, &ours, || ours.shutdown(std::net::Shutdown::Both).unwrap(), &mut |_| {})
        });
        self.audit();
        outcome
    }

    /// An import of everything, without a complaint.
    pub(crate) fn imported(&self, to: AccountId, path: &Path) -> import::Report {
        let (report, result) = self.import(to, path, &import::Options::default());
        result.unwrap();
        assert_eq!(report.problems, []);
        report
    }

    pub(crate) fn export(&self, from: AccountId, path: &Path, format: Format) -> export::Report {
        let options = export::Options::default();
        let (report, result) = self.export_with(from, path, format, &options);
        result.unwrap();
        report
    }

    pub(crate) fn export_with(
        &self,
        from: AccountId,
        path: &Path,
        format: Format,
        options: &export::Options,
    ) -> (export::Report, Result<()>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _ = export::serve(&self.store, from, options, &theirs, &theirs);
                theirs.shutdown(std::net::Shutdown::Both).unwrap();
            });
            export::write(path, format, export::Newline::Kept, &ours, &ours, &mut |_| {})
        })
    }

    pub(crate) fn audit(&self) {
        for account in [self.alice, self.bob] {
            let found = self.store.read_blocking(move |tx| audit::audit(tx, account)).unwrap();
            assert!(found.is_empty(), "{found:?}");
        }
    }

    /// Messages by mailbox.
    pub(crate) fn counts(&self, account: AccountId) -> BTreeMap<String, u32> {
        let listed = self.store.read_blocking(move |tx| mailboxes::list(tx, account)).unwrap();
        let counted = listed.into_iter().filter_map(|listed| listed.mailbox).filter(|mailbox| mailbox.messages > 0);
        counted.map(|mailbox| (mailbox.name.as_str().to_owned(), mailbox.messages)).collect()
    }

    /// The bytes of a mailbox's messages as IMAP shows them.
    pub(crate) fn stored(&self, account: AccountId, mailbox: &str) -> Vec<Vec<u8>> {
        let name = MailboxName::parse(mailbox).unwrap();
        let read = self.store.read_blocking(move |tx| {
            let mailbox = mailboxes::find(tx, account, &name)?.expect("it is there");
            let query = view::Query { uids: &UidSet::all(), want: Want::Facts, changed_since: None, limit: 10_000 };
            let entries = view::entries(tx, account, mailbox.id, &query)?;
            let bytes = entries.iter().map(|entry| tx.blob_read(entry.facts.as_ref().unwrap().blob, 0..u64::MAX));
            Ok::<_, postroad_mail::Error>(bytes.collect::<postroad_store::Result<Vec<_>>>()?)
        });
        read.unwrap()
    }
}

/// A message of a tree of files: folder, bytes, flags and keywords, date. The order among equal ones is that of sorting.
pub(crate) type Shown = (String, Vec<u8>, Vec<String>, Option<i64>);

/// Everything that a source has.
pub(crate) fn shown(path: &Path) -> (Vec<Shown>, Vec<Problem>) {
    let source = Source::find(path, Reading::default()).unwrap();
    let mut all = All::default();
    source.visit(&mut all).unwrap();
    all.messages.sort();
    (all.messages, all.problems)
}

#[derive(Default)]
pub(crate) struct All {
    folder: String,
    pub(crate) messages: Vec<Shown>,
    pub(crate) problems: Vec<Problem>,
}

impl Visit for All {
    fn folder(&mut self, folder: &Folder, _: bool) -> Result<()> {
        self.folder = folder.levels.join("/");
        Ok(())
    }

    fn message(&mut self, found: Found) -> Result<()> {
        let bytes = match found.content {
            Content::Whole(bytes) => bytes,
            Content::Large(large) => fs::read(&found.label).unwrap_or(large.head),
        };
        let mut marks: Vec<String> = found.marks.flags.names().map(str::to_owned).collect();
        marks.extend(found.marks.keywords.iter().map(|keyword| keyword.as_str().to_owned()));
        marks.sort();
        self.messages.push((self.folder.clone(), bytes, marks, found.received.map(|time| time.0)));
        Ok(())
    }

    fn skipped(&mut self, _: Skipped) {}

    fn problem(&mut self, problem: Problem) -> Result<()> {
        self.problems.push(problem);
        Ok(())
    }

    fn worked(&mut self, _: u64) {}
}

/// A message file in a Maildir.
pub(crate) fn put(root: &Path, folder: &str, name: &str, bytes: &[u8], seconds: u64) {
    let folder = root.join(folder);
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    let path = folder.join("cur").join(name);
    fs::write(&path, bytes).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    fs::File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();
}

/// A message of ordinary form.
pub(crate) fn message(number: usize) -> Vec<u8> {
    format!(
        "From: a@example.org\nTo: alice@example.test\nSubject: number {number}\nMessage-ID: <{number}@example.org>\n\
         Date: Tue, 05 Mar 2019 10:10:10 +0000\n\nFrom the first line\n>From the second\n{}\n",
        "x".repeat(number % 97)
    )
    .into_bytes()
}
