//! The world of the tests: a real store, and jobs done one after the other on the calling thread.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postroad_mail::accounts::{self, NewAccount, State};
use postroad_mail::deliver::{self, Filing};
use postroad_mail::password::PasswordHash;
use postroad_mail::view::{self, Query, Want};
use postroad_mail::{
    Actor, Address, Authenticated, By, Domain, Intake, MailboxName, Refused, Service, UidSet, batch, credentials,
    domains, expunge, mailboxes, maildrop,
};
use postroad_pop3d::{Job, Outcome, Session, Settings};
use postroad_protocol::{Peer, Protocol, Step, TlsFacts};
use postroad_store::{AccountId, Locks, Receipt, Store, Timestamp};
use postroad_testkit::evidence::{Shown, shown, timestamp};
use postroad_testkit::transcript::{Directive, Open, Stage};
use postroad_testkit::{TestStore, wait};

/// Everyone's password.
pub const PASSWORD: &str = "wonder land";
/// The server's name.
const HOST: &str = "pop.example.test";
/// When all of it happens: 2026-11-22T03:00:00Z.
pub const NOW: Timestamp = Timestamp(1_795_316_400_000_000);
/// The people.
pub const PEOPLE: [&str; 2] = ["alice", "bob"];

/// A store with accounts, and sessions on it.
pub struct World {
    pub store: Store,
    pub accounts: HashMap<String, AccountId>,
    known: HashMap<String, Authenticated>,
    /// What did not follow its mechanism.
    pub malformed: Vec<(&'static str, postroad_sasl::Error)>,
    /// Jobs that still succeed; after them the database is away.
    pub away_after: Option<u32>,
    /// Pauses asked for.
    pub pauses: Vec<Duration>,
    /// Jobs done.
    pub jobs: u32,
    /// The time.
    pub now: Timestamp,
}

impl World {
    /// `alice@example.test` and `bob@example.test`.
    pub fn new(test: &TestStore) -> World {
        let store = test.store.clone();
        let hash = PasswordHash::of_password(PASSWORD).expect("a good password");
        let by = By::new(NOW, Actor::Admin);
        let made = store.write_blocking(Locks::named(accounts::DIRECTORY_LOCK), move |tx| {
            domains::create(tx, &by, &Domain::parse("example.test").expect("a domain"))?;
            let mut made = HashMap::new();
            for name in PEOPLE {
                let new = NewAccount {
                    address: Address::parse(&format!("{name}@example.test")).expect("an address"),
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
        World {
            store,
            accounts,
            known: HashMap::new(),
            malformed: Vec::new(),
            away_after: None,
            pauses: Vec::new(),
            jobs: 0,
            now: NOW,
        }
    }

    /// A new connection from this machine (or from elsewhere).
    pub fn connect(&self, settings: Settings, remote: [u8; 4], tls: Option<TlsFacts>) -> Session {
        let address = |ip, port| SocketAddr::from((ip, port));
        let peer = Peer { remote: address(remote, 50_000), local: address([127, 0, 0, 1], 110) };
        Session::new(Arc::new(settings), peer, tls)
    }

    /// A connection that has logged in; what was said until then is thrown away.
    pub fn logged_in(&mut self, name: &str) -> Result<Session, String> {
        let session = self.connect(open_settings(), [127, 0, 0, 1], None);
        let lines = format!("USER {name}@example.test\r\nPASS {PASSWORD}\r\n");
        let (session, said, _) = self.say(session, lines.as_bytes());
        if said.contains("+OK maildrop") { Ok(session) } else { Err(said) }
    }

    /// Feeds bytes and drains the session until it wants more; gives what it said and whether it closed.
    pub fn say(&mut self, session: Session, bytes: &[u8]) -> (Session, String, bool) {
        let mut out = Vec::new();
        let (mut session, closed) = self.drain(session, &mut out);
        if closed {
            return (session, String::from_utf8_lossy(&out).into_owned(), true);
        }
        session.input(bytes);
        let (session, closed) = self.drain(session, &mut out);
        (session, String::from_utf8_lossy(&out).into_owned(), closed)
    }

    fn drain(&mut self, mut session: Session, out: &mut Vec<u8>) -> (Session, bool) {
        for _ in 0..100_000 {
            let step = session.step();
            out.extend(session.take_output());
            match step {
                Step::Do(job) => session = self.perform(session, job),
                Step::StartTls => session.secured(tls()),
                Step::StartCompression | Step::EndCompression => panic!("POP3 is never compressed"),
                Step::Read => return (session, false),
                Step::Close => return (session, true),
                Step::Wait(_) => panic!("POP3 never waits"),
            }
        }
        panic!("the session does not come to rest");
    }

    /// The world that the crate's documentation shows.
    pub fn perform(&mut self, mut session: Session, job: Job) -> Session {
        self.jobs += 1;
        let now = self.now;
        if let Some(left) = &mut self.away_after {
            if *left == 0 {
                return away(session, &job);
            }
            *left -= 1;
        }
        match job {
            Job::Read(_) => {
                let run = move |tx: &_, session: &mut Session| session.run_read(tx, now);
                let (session, result) = wait(self.store.read_with(session, run));
                let mut session = session.expect("the session comes back");
                session.read_done(result);
                session
            }
            Job::Write(locks, _) => {
                let run = move |tx: &mut _, session: &mut Session| session.run_write(tx, now);
                let (session, result) = wait(self.store.write_with(locks, session, run));
                let mut session = session.expect("the session comes back");
                session.write_done(result.map(|stored| stored.receipt));
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
            Job::Pause(duration) => {
                self.pauses.push(duration);
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
        match candidates.expect("the database answers").verify(password, Service::Pop3, NOW) {
            Ok(authenticated) => {
                self.known.insert(key, authenticated.clone());
                Outcome::granted(authenticated)
            }
            Err(refused) => Outcome::refused(refused),
        }
    }

    /// Puts a message into INBOX as delivery does.
    pub fn deliver(&mut self, name: &str, message: &[u8]) {
        let (account, by) = (self.accounts[name], By::new(NOW, Actor::Delivery));
        let mut intake = Intake::new(self.store.upload(), postroad_message::Limits::default());
        intake.feed(message).expect("the message is taken");
        let arrival = intake.finish(Vec::new()).expect("the message is stored");
        let stored = self.store.write_blocking(Locks::account(account), move |tx| {
            let inbox = mailboxes::find(tx, account, &MailboxName::inbox())?.expect("INBOX is there");
            deliver::append(tx, &by, account, inbox.id, &arrival, &Filing::default())
        });
        stored.expect("the message is delivered");
    }

    /// Puts so many small messages into INBOX, a thousand in a transaction.
    pub fn deliver_many(&mut self, name: &str, many: usize) {
        let (account, by) = (self.accounts[name], By::new(NOW, Actor::Delivery));
        let numbers: Vec<usize> = (1..=many).collect();
        for part in numbers.chunks(1_000) {
            let arrivals: Vec<_> = part
                .iter()
                .map(|number| {
                    let mut intake = Intake::new(self.store.upload(), postroad_message::Limits::default());
                    let text = format!("Subject: number {number}\r\n\r\n{}\r\n", "text ".repeat(number % 100));
                    intake.feed(text.as_bytes()).expect("the message is taken");
                    intake.finish(Vec::new()).expect("the message is stored")
                })
                .collect();
            let by = by.clone();
            let stored = self.store.write_blocking(Locks::account(account), move |tx| {
                let inbox = mailboxes::find(tx, account, &MailboxName::inbox())?.expect("INBOX is there");
                let filing = Filing::default();
                let all: Vec<_> = arrivals.iter().map(|arrival| batch::One { arrival, filing: &filing }).collect();
                batch::append_all(tx, &by, account, inbox.id, &all)
            });
            stored.expect("the messages are delivered");
        }
    }

    /// What the server does now and then: messages fetched before `before` go.
    pub fn sweep(&mut self, name: &str, before: Timestamp) {
        let (account, by) = (self.accounts[name], By::new(self.now, Actor::System));
        let due = self.store.read_blocking(move |tx| maildrop::due(tx, before, 10)).expect("the database answers");
        if !due.contains(&account) {
            return;
        }
        let mut more = true;
        while more {
            let by = by.clone();
            let stored = self
                .store
                .write_blocking(Locks::account(account), move |tx| maildrop::expire(tx, &by, account, before));
            more = stored.expect("messages can be removed").value;
        }
    }

    /// Removes a message as another session does.
    pub fn remove(&mut self, name: &str, uid: u32) {
        let (account, by) = (self.accounts[name], By::new(NOW, Actor::Admin));
        let stored = self.store.write_blocking(Locks::account(account), move |tx| {
            let inbox = mailboxes::find(tx, account, &MailboxName::inbox())?.expect("INBOX is there");
            expunge::remove(tx, &by, account, inbox.id, &UidSet::single(uid))
        });
        stored.expect("the message is removed");
    }

    /// What is in INBOX: uids with their flags as bits.
    pub fn inbox(&self, name: &str) -> String {
        let account = self.accounts[name];
        let entries = self.store.read_blocking(move |tx| {
            let inbox = mailboxes::find(tx, account, &MailboxName::inbox())?.expect("INBOX is there");
            let query = Query { uids: &UidSet::all(), want: Want::Flags, changed_since: None, limit: 1_000 };
            view::entries(tx, account, inbox.id, &query)
        });
        let entries = entries.expect("INBOX can be read");
        entries.iter().map(|entry| format!("{}/{}", entry.uid, entry.flags.bits())).collect::<Vec<_>>().join(" ")
    }

    fn suspend(&self, name: &str) -> Result<(), String> {
        let (account, by) = (self.accounts[name], By::new(NOW, Actor::Admin));
        let locks = Locks::named(accounts::DIRECTORY_LOCK).and(Locks::account(account));
        let stored =
            self.store.write_blocking(locks, move |tx| accounts::set_state(tx, &by, account, State::Suspended));
        stored.map(|_| ()).map_err(|error| error.to_string())
    }
}

/// The store is away.
fn away(mut session: Session, job: &Job) -> Session {
    let error = || postroad_pop3d::Error::from(postroad_store::Error::Unavailable("it is away".into()));
    match job {
        Job::Read(_) => session.read_done(Err(error())),
        Job::Write(..) => session.write_done(Err::<Receipt, _>(error())),
        Job::Login(_) => session.logged_in(Outcome::Unavailable),
        Job::Pause(_) => session.resumed(),
    }
    session
}

/// Settings of a trial on this machine.
pub fn open_settings() -> Settings {
    Settings { cleartext_on_loopback: true, ..Settings::default() }
}

/// What a handshake established.
pub fn tls() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        group: None,
        server_name: None,
        ..TlsFacts::default()
    }
}

/// `@open 2` is a bare connection; words: `tls`, `remote` (not this machine), `no-stls`, a policy (`exclusive`, `interval`,
/// `expire`, `expire-at-once`), `apop`, a mechanism beyond the usual, or a name, which logs in.
///
/// `@malformed MECHANISM ..` says what was counted as malformed since it was last asked.
///
/// `@later SECONDS`, `@sweep NAME DAYS`,
/// `@deliver NAME <<END`, `@raw NAME text` (with `\r \n \0`), `@remove NAME UID`, `@inbox NAME uid/flags ..`,
/// `@suspend NAME`, `@away JOBS` (after so many more), `@back`.
impl Stage<Session> for World {
    fn open(&mut self, open: &Open) -> Result<Session, String> {
        let (mut settings, mut remote, mut facts) = (open_settings(), [127, 0, 0, 1], None);
        let mut apop = None;
        for word in &open.words {
            match word.as_str() {
                "tls" => facts = Some(tls()),
                "remote" => remote = [203, 0, 113, 9],
                "no-stls" => settings.starttls = false,
                "exclusive" => settings.exclusive = true,
                "interval" => settings.login_interval = Duration::from_secs(60),
                "expire" => settings.expire_days = Some(30),
                "apop" => apop = Some(timestamp(HOST)),
                "ntlm" | "cram-md5" | "external" | "scram-sha-256-plus" => {
                    settings.mechanisms.extend(postroad_sasl::find(word));
                }
                "expire-at-once" => settings.expire_days = Some(0),
                name => return self.logged_in(name),
            }
        }
        Ok(self.connect(settings, remote, facts).with_apop(apop))
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
                if counted != expected {
                    return Err(format!("counted: {counted:?}"));
                }
            }
            ("deliver", [name]) => {
                let message = directive.block.as_deref().ok_or("a message is needed")?;
                self.deliver(name, message.as_bytes());
            }
            ("raw", [name, rest @ ..]) => {
                let text = rest.join(" ").replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0");
                self.deliver(name, text.as_bytes());
            }
            ("remove", [name, uid]) => self.remove(name, uid.parse().map_err(|_| "a uid is needed")?),
            ("inbox", [name, rest @ ..]) => {
                let (found, expect) = (self.inbox(name), rest.join(" "));
                if found != expect {
                    return Err(format!("INBOX of {name} has {found:?}, not {expect:?}"));
                }
            }
            ("later", [seconds]) => {
                let seconds: i64 = seconds.parse().map_err(|_| "a number is needed")?;
                self.now = Timestamp(self.now.0 + seconds * 1_000_000);
            }
            ("sweep", [name, days]) => {
                let days: i64 = days.parse().map_err(|_| "a number is needed")?;
                self.sweep(name, Timestamp(self.now.0 - days * 24 * 3600 * 1_000_000));
            }
            ("suspend", [name]) => self.suspend(name)?,
            ("away", [jobs]) => self.away_after = Some(jobs.parse().map_err(|_| "a number is needed")?),
            ("back", []) => self.away_after = None,
            (other, _) => return Err(format!("this stage knows no @{other} like that")),
        }
        Ok(())
    }
}
