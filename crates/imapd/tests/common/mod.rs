//! The world of the tests: a real store, and jobs done one after the other on the calling thread.

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postroad_imapd::{Job, MessageLimit, Outcome, Session, Settings};
use postroad_mail::accounts::{self, NewAccount, State};
use postroad_mail::deliver::{self, Filing};
use postroad_mail::index::{self, build};
use postroad_mail::password::PasswordHash;
use postroad_mail::{
    Actor, Address, Authenticated, By, Domain, Flags, Intake, Keyword, MailboxName, Refused, Rights, Service, acl,
    addresses, credentials, domains, labels, mailboxes,
};
use postroad_protocol::{Interrupt, Peer, Protocol, Step, TlsFacts};
use postroad_store::{AccountId, Locks, ReadTx, Store, Timestamp};
use postroad_testkit::evidence::{Shown, shown};
use postroad_testkit::transcript::{Directive, Open, Stage};
use postroad_testkit::{TestStore, wait};

/// Everyone's password.
pub(crate) const PASSWORD: &str = "wonderland";
/// The people of a [`Stage`].
pub(crate) const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
/// The server's name.
const HOST: &str = "imap.example.test";
/// When all of it happens: 2026-11-22T03:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_795_316_400_000_000);

/// A store with accounts, and sessions on it.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) accounts: HashMap<String, AccountId>,
    known: HashMap<String, Authenticated>,
    /// What did not follow its mechanism.
    pub(crate) malformed: Vec<(&'static str, postroad_sasl::Error)>,
    /// Moves by a second with each job, so that times differ.
    pub(crate) now: Timestamp,
    /// Jobs from now on fail as if the database were away.
    pub(crate) away: bool,
    /// Jobs done, by label.
    pub(crate) jobs: HashMap<&'static str, u32>,
    /// Statements that looks have run.
    pub(crate) statements: Arc<AtomicU64>,
}

impl World {
    /// `alice@example.test`, `bob@example.test` and `carol@example.test`.
    pub(crate) fn new(test: &TestStore) -> World {
        let store = test.store.clone();
        let hash = PasswordHash::of_password(PASSWORD).expect("a good password");
        let by = By::new(NOW, Actor::Admin);
        let made = store.write_blocking(Locks::named(accounts::DIRECTORY_LOCK), move |tx| {
            domains::create(tx, &by, &Domain::parse("example.test").expect("a domain"))?;
            let mut made = HashMap::new();
            for name in PEOPLE {
                let address = Address::parse(&format!("{name}@example.test")).expect("an address");
                let new = NewAccount {
                    address,
                    display_name: name.to_owned(),
                    password: Some(hash.clone()),
                    quota_bytes: 0,
                    quota_messages: 0,
                };
                made.insert(name.to_owned(), accounts::create(tx, &by, &new)?);
            }
            Ok::<_, postroad_mail::Error>(made)
        });
        let accounts = made.expect("accounts can be made").value;
        let settings = Settings { cleartext_on_loopback: true, ..Settings::default() };
        let (known, jobs) = (HashMap::new(), HashMap::new());
        World {
            store,
            settings,
            accounts,
            known,
            malformed: Vec::new(),
            now: NOW,
            away: false,
            jobs,
            statements: Arc::default(),
        }
    }

    /// The same world for another thread.
    pub(crate) fn share(&self) -> World {
        World {
            store: self.store.clone(),
            settings: self.settings.clone(),
            accounts: self.accounts.clone(),
            known: self.known.clone(),
            malformed: Vec::new(),
            now: self.now,
            away: false,
            jobs: HashMap::new(),
            statements: Arc::default(),
        }
    }

    /// A new connection from this machine.
    pub(crate) fn connect(&self) -> Session {
        self.connect_with(self.settings.clone(), None)
    }

    /// A new connection.
    pub(crate) fn connect_with(&self, settings: Settings, tls: Option<TlsFacts>) -> Session {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Session::new(Arc::new(settings), Peer { remote: local(50_000), local: local(143) }, tls)
    }

    /// A connection that has logged in; what was said until then is thrown away.
    pub(crate) fn logged_in(&mut self, name: &str) -> Session {
        let session = self.connect();
        let login = format!("login LOGIN {name}@example.test {PASSWORD}\r\n");
        let (session, said) = self.say(session, login.as_bytes());
        assert!(said.contains("login OK"), "the login failed: {said}");
        session
    }

    /// Feeds bytes and drains the session until it wants more; gives what it said.
    pub(crate) fn say(&mut self, mut session: Session, bytes: &[u8]) -> (Session, String) {
        let mut out = Vec::new();
        session = self.drain(session, &mut out);
        session.input(bytes);
        session = self.drain(session, &mut out);
        (session, String::from_utf8_lossy(&out).into_owned())
    }

    /// Does the job of a session that waits, as after news.
    pub(crate) fn news(&mut self, mut session: Session) -> (Session, String) {
        let mut out = Vec::new();
        if let Step::Wait(job) = session.step() {
            session = self.perform(session, job);
        }
        session = self.drain(session, &mut out);
        (session, String::from_utf8_lossy(&out).into_owned())
    }

    fn drain(&mut self, mut session: Session, out: &mut Vec<u8>) -> Session {
        for _ in 0..100_000 {
            let step = session.step();
            out.extend(session.take_output());
            match step {
                Step::Do(job) => session = self.perform(session, job),
                Step::StartTls => session.secured(tls()),
                Step::StartCompression | Step::EndCompression => {}
                Step::Read | Step::Wait(_) | Step::Close => return session,
            }
        }
        panic!("the session does not come to rest");
    }

    /// The world that the crate's documentation shows.
    pub(crate) fn perform(&mut self, mut session: Session, job: Job) -> Session {
        *self.jobs.entry(job.label()).or_default() += 1;
        self.now = self.now.plus(Duration::from_secs(1));
        let now = self.now;
        // The disk is there when the database is not.
        if self.away && job != Job::Disk {
            return away(session, &job);
        }
        match job {
            Job::Read(_) | Job::Idle { .. } => {
                let statements = Arc::clone(&self.statements);
                let look = move |tx: &ReadTx, session: &mut Session| {
                    let before = tx.statements();
                    let ran = session.run_read(tx, now);
                    statements.fetch_add(tx.statements() - before, Ordering::Relaxed);
                    ran
                };
                let (session, result) = match session.is_quick() {
                    true => wait(self.store.read_quick_with(session, look)),
                    false => wait(self.store.read_with(session, look)),
                };
                let mut session = session.expect("the session comes back");
                session.read_done(result);
                session
            }
            Job::Write(locks, _) => {
                let (session, result) = wait(self.store.write_with(
                    locks,
                    session,
                    move |tx, session: &mut Session| session.run_write(tx, now),
                ));
                let mut session = session.expect("the session comes back");
                session.write_done(result.map(|stored| stored.receipt));
                session
            }
            Job::Disk => {
                if session.is_disk_quick(self.store.upload().room()) {
                    *self.jobs.entry("quick disk").or_default() += 1;
                }
                let _for_the_log = session.run_disk(|| self.store.upload());
                session
            }
            Job::Login(login) => {
                let outcome = match shown(&login.ask.evidence, PASSWORD, HOST) {
                    Shown::Password(password) => self.verify(&login.ask.authcid, password),
                    Shown::Challenge(octets) => Outcome::Challenge(octets),
                    Shown::Malformed(error) => {
                        self.malformed.push((login.ask.mechanism, error));
                        Outcome::refused(Refused::Wrong)
                    }
                };
                session.logged_in(outcome);
                session
            }
            Job::Pause(_) => {
                session.resumed();
                session
            }
        }
    }

    /// Hashing is slow on purpose; a password that was right once is remembered.
    fn verify(&mut self, name: &str, password: &str) -> Outcome {
        let key = format!("{name}\0{password}");
        if let Some(known) = self.known.get(&key) {
            return Outcome::granted(known.clone());
        }
        let login = name.to_owned();
        let candidates = self.store.read_blocking(move |tx| credentials::candidates(tx, &login));
        match candidates.expect("the database answers").verify(password, Service::Imap, self.now) {
            Ok(authenticated) => {
                self.known.insert(key, authenticated.clone());
                Outcome::granted(authenticated)
            }
            Err(refused) => Outcome::refused(refused),
        }
    }

    /// Puts so many short messages into a mailbox.
    pub(crate) fn deliver_many(&mut self, name: &str, mailbox: &str, count: u32) {
        for number in 1..=count {
            let message = format!("From: bob@example.test\r\nSubject: Message {number}\r\n\r\nHello {number}\r\n");
            self.deliver(name, mailbox, &[], &message);
        }
    }

    /// Puts a message into a mailbox as delivery does. `flags`: `\Seen` and the like, and keywords.
    pub(crate) fn deliver(&mut self, name: &str, mailbox: &str, flags: &[&str], message: &str) {
        self.now = self.now.plus(Duration::from_secs(1));
        let (account, by) = (self.accounts[name], By::new(self.now, Actor::Delivery));
        let mut intake = Intake::new(self.store.upload(), postroad_message::Limits::default());
        intake.feed(message.as_bytes()).expect("the message is taken");
        let arrival = intake.finish(Vec::new()).expect("the message is stored");
        let mut filing = Filing::default();
        for flag in flags {
            match Flags::from_name(flag) {
                Some(system) => filing.flags = filing.flags | system,
                None => filing.keywords.push(Keyword::parse(flag).expect("a keyword")),
            }
        }
        let mailbox = MailboxName::parse(mailbox).expect("a mailbox name");
        let stored = self.store.write_blocking(Locks::account(account), move |tx| {
            let mailbox = mailboxes::find(tx, account, &mailbox)?.expect("the mailbox is there");
            deliver::append(tx, &by, account, mailbox.id, &arrival, &filing)
        });
        stored.expect("the message is delivered");
    }

    /// An account without a password.
    fn make(&self, name: &str) -> Result<AccountId, String> {
        let address = Address::parse(&format!("{name}@example.test")).map_err(|error| format!("{error:?}"))?;
        let (display_name, by) = (name.to_owned(), By::new(self.now, Actor::Admin));
        let new = NewAccount { address, display_name, password: None, quota_bytes: 0, quota_messages: 0 };
        let made = self
            .store
            .write_blocking(Locks::named(accounts::DIRECTORY_LOCK), move |tx| accounts::create(tx, &by, &new));
        made.map(|stored| stored.value).map_err(|error| error.to_string())
    }

    /// Brings the full-text index of somebody up to date, as the server does in the background.
    pub(crate) fn index(&self, name: &str) {
        let account = self.accounts[name];
        for _ in 0..10_000 {
            if !self.index_step(account) {
                return;
            }
        }
        panic!("the index is never done");
    }

    /// One part of that; whether there is more.
    pub(crate) fn index_step(&self, account: AccountId) -> bool {
        let lock = || Locks::named(index::LOCK);
        let gathered = self.store.read_blocking(move |tx| build::gather(tx, account, None)).expect("it is read");
        if gathered.stale {
            self.store.write_blocking(lock(), move |tx| build::clear(tx, account)).expect("it is cleared");
            return true;
        }
        let more = gathered.more;
        self.store.write_blocking(lock(), move |tx| build::file(tx, &gathered)).expect("it is written");
        let packed = self.store.read_blocking(move |tx| build::pack(tx, account)).expect("it is read");
        let Some(packed) = packed else { return more };
        self.store.write_blocking(lock(), move |tx| build::file_packed(tx, &packed)).expect("it is written");
        true
    }

    /// Makes an account's mailboxes labels.
    pub(crate) fn switch_labels_on(&self, name: &str) {
        self.labels(name).expect("they are");
    }

    fn labels(&self, name: &str) -> Result<(), String> {
        self.administer(name, |tx, by, id| {
            labels::switch_on(tx, by, id)?;
            while labels::fill(tx, by, id)?.more {}
            Ok(())
        })
    }

    fn administer<F>(&self, name: &str, change: F) -> Result<(), String>
    where
        F: FnOnce(&mut postroad_store::WriteTx, &By, AccountId) -> postroad_mail::Result<()> + Send + 'static,
    {
        let account = *self.accounts.get(name).ok_or("no such account")?;
        let by = By::new(self.now, Actor::Admin);
        let locks = Locks::named(accounts::DIRECTORY_LOCK).and(Locks::account(account));
        let stored = self.store.write_blocking(locks, move |tx| change(tx, &by, account));
        stored.map(|_| ()).map_err(|error| error.to_string())
    }
}

/// The store is away.
fn away(mut session: Session, job: &Job) -> Session {
    let error = || postroad_imapd::Error::from(postroad_store::Error::Unavailable("it is away".into()));
    match job {
        Job::Read(_) | Job::Idle { .. } => session.read_done(Err(error())),
        Job::Write(..) => session.write_done(Err(error())),
        Job::Login(_) => session.logged_in(Outcome::Unavailable),
        Job::Disk | Job::Pause(_) => panic!("not done when the database is away"),
    }
    session
}

/// What a handshake established.
pub(crate) fn tls() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        group: None,
        server_name: None,
        ..TlsFacts::default()
    }
}

/// `@open 2` is a bare connection; words: `tls`, `remote` (not this machine), `rev2` (advertised), or a name,
/// which logs in, and after it perhaps a mailbox, which is selected.
///
/// `@shared NAME` makes a shared account, `@group NAME MEMBERS..` a group, `@acl NAME MAILBOX IDENTIFIER RIGHTS` an entry.
/// `@annotation PATH VALUE` is one of the server, `@administrators NAMES` may set quotas, `@limit all N` and `@limit save N`
/// are those of RFC 9738.
/// `@malformed MECHANISM ..` says what was counted as malformed since it was last asked.
/// `@deliver NAME MAILBOX FLAGS.. <<END`, `@many NAME MAILBOX COUNT`, `@quota NAME BYTES`, `@labels NAME`, `@suspend NAME`,
/// `@away`, `@back`.
impl Stage<Session> for World {
    fn open(&mut self, open: &Open) -> Result<Session, String> {
        let mut settings = self.settings.clone();
        let (mut facts, mut name, mut mailbox) = (None, None, None);
        for word in &open.words {
            match word.as_str() {
                "tls" => facts = Some(tls()),
                "remote" => settings.cleartext_on_loopback = false,
                "rev2" => settings.rev2 = true,
                "ntlm" | "cram-md5" | "external" | "scram-sha-256-plus" => {
                    settings.mechanisms.extend(postroad_sasl::find(word));
                }
                person if PEOPLE.contains(&person) => name = Some(person.to_owned()),
                other => mailbox = Some(other.to_owned()),
            }
        }
        let mut session = self.connect_with(settings, facts);
        let Some(name) = name else { return Ok(session) };
        let mut lines = format!("login LOGIN {name}@example.test {PASSWORD}\r\n");
        if let Some(mailbox) = mailbox {
            lines.push_str(&format!("select SELECT {mailbox}\r\n"));
        }
        let said;
        (session, said) = self.say(session, lines.as_bytes());
        if said.contains("login OK") && !said.contains("select NO") { Ok(session) } else { Err(said) }
    }

    fn perform(&mut self, session: Session, job: Job) -> Session {
        World::perform(self, session, job)
    }

    fn directive(&mut self, directive: &Directive) -> Result<(), String> {
        let words: Vec<&str> = directive.words.iter().map(String::as_str).collect();
        match (directive.name.as_str(), words.as_slice()) {
            ("malformed", expected) => {
                let counted = std::mem::take(&mut self.malformed);
                let counted: Vec<&str> = counted.iter().map(|(mechanism, _)| *mechanism).collect();
                if counted == expected { Ok(()) } else { Err(format!("counted: {counted:?}")) }
            }
            ("deliver", [name, mailbox, flags @ ..]) => {
                let message = directive.block.as_deref().ok_or("a message is needed")?;
                self.deliver(name, mailbox, flags, message);
                Ok(())
            }
            ("many", [name, mailbox, count]) => {
                let count: u32 = count.parse().map_err(|_| "a number is needed")?;
                self.deliver_many(name, mailbox, count);
                Ok(())
            }
            ("quota", [name, bytes]) => {
                let bytes: u64 = bytes.parse().map_err(|_| "a number is needed")?;
                self.administer(name, move |tx, by, id| accounts::set_quota(tx, by, id, bytes, 0))
            }
            ("labels", [name]) => self.labels(name),
            ("annotation", [path, value @ ..]) => {
                self.settings.annotations.insert((*path).to_owned(), value.join(" "));
                Ok(())
            }
            ("limit", [what @ ("all" | "save"), most]) => {
                let most: u32 = most.parse().map_err(|_| "a number is needed")?;
                let all = *what == "all";
                self.settings.message_limit = if all { MessageLimit::All(most) } else { MessageLimit::Saving(most) };
                Ok(())
            }
            ("administrators", names) => {
                self.settings.administrators = names.iter().map(|name| format!("{name}@example.test")).collect();
                Ok(())
            }
            ("suspend", [name]) => {
                self.administer(name, |tx, by, id| accounts::set_state(tx, by, id, State::Suspended))
            }
            ("shared", [name]) => {
                let account = self.make(name)?;
                self.accounts.insert((*name).to_owned(), account);
                self.administer(name, |tx, by, id| acl::set_shared_account(tx, by, id, true))
            }
            ("group", [name, members @ ..]) => {
                let address = |name: &str| Address::parse(&format!("{name}@example.test")).expect("an address");
                let (group, members) = (address(name), members.iter().map(|name| address(name)).collect());
                self.administer("alice", move |tx, by, _| {
                    addresses::create(tx, by, &group, &addresses::Kind::Group(members))
                })
            }
            ("acl", [name, mailbox, identifier, rights]) => {
                let mailbox = MailboxName::parse(mailbox).map_err(|error| format!("{error:?}"))?;
                let (identifier, rights) = (identifier.to_string(), Rights::parse(rights).map_err(String::from)?);
                let owner = Address::parse(&format!("{name}@example.test")).expect("an address");
                self.administer(name, move |tx, by, id| {
                    let mailbox = mailboxes::find(tx, id, &mailbox)?.expect("the mailbox is there");
                    let grantee = acl::grantee(tx, &owner, &identifier)?;
                    acl::set(tx, by, id, mailbox.id, (&grantee, false), acl::Change::Replace, rights).map(|_| ())
                })
            }
            ("delete", [name]) => self.administer(name, accounts::delete),
            ("away", []) => {
                self.away = true;
                Ok(())
            }
            ("back", []) => {
                self.away = false;
                Ok(())
            }
            (other, _) => Err(format!("this stage knows no @{other} like that")),
        }
    }
}

/// What the loop says at the end of a connection.
pub(crate) const END: Interrupt = Interrupt::Closed;
