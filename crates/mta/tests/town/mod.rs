//! A small town: a domain, its people, and sessions that bring them mail. The stage of transcripts.

#![allow(dead_code, reason = "each test uses its own part")]

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use postroad_login::Logins;
use postroad_mail::password::{AppPassword, PasswordHash};
use postroad_mail::{
    Actor, Address, By, Domain, MailboxName, Query, Service, UidSet, Want, accounts, addresses, audit, credentials,
    domains, forwards, mailboxes, view,
};
use postroad_mta::{Checker, Extensions, Inbound, Scribe, Session, Settings, scribe, session};
use postroad_net::World;
use postroad_protocol::{Peer, TlsFacts};
use postroad_smtp::{ClearAuth, Role, Stage};
use postroad_store::{AccountId, Locks, Migration, Store, Timestamp, trace};
use postroad_testkit::clock::{Clock, parse_duration};
use postroad_testkit::transcript::{self, Directive, Open};
use postroad_trust::policy;

pub(crate) const MIGRATIONS: &[&[Migration]] =
    &[postroad_mail::MIGRATIONS, postroad_login::MIGRATIONS, postroad_queue::MIGRATIONS, postroad_trust::MIGRATIONS];

/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct horse";

/// The world of the transcripts, and what their directives change.
pub(crate) struct Town {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    inbound: Inbound,
    scribe: Scribe,
    runtime: tokio::runtime::Runtime,
}

impl Town {
    /// `example.test` with alice and bob; what else there is the transcripts say.
    pub(crate) fn new(store: &Store) -> Town {
        Town::with(store, |_| {})
    }

    /// The same with other settings.
    pub(crate) fn with(store: &Store, change: impl FnOnce(&mut Settings)) -> Town {
        let town = Town::open(store, change);
        town.change(|tx, by| domains::create(tx, by, &domain("example.test")));
        town.account("alice@example.test", 0, 0);
        town.account("bob@example.test", 0, 0);
        town
    }

    /// The same, looking at what others bring.
    pub(crate) fn checked(store: &Store, checker: Checker) -> Town {
        Town::new(store).checking(checker)
    }

    /// The same, behind a gate.
    pub(crate) fn behind(mut self, gate: postroad_mta::Gate) -> Town {
        self.inbound = self.inbound.behind(gate);
        self
    }

    /// Looking at what others bring.
    pub(crate) fn checking(mut self, checker: Checker) -> Town {
        self.inbound = self.inbound.checking(checker);
        self
    }

    /// What is in the store already, with other settings.
    pub(crate) fn with_limits(store: &Store, change: impl FnOnce(&mut Settings)) -> Town {
        Town::open(store, change)
    }

    /// What is in the store already.
    pub(crate) fn again(store: &Store) -> Town {
        Town::open(store, |_| {})
    }

    fn open(store: &Store, change: impl FnOnce(&mut Settings)) -> Town {
        let clock = Clock::new();
        let (stories, scribe) = scribe(store.clone());
        let mut settings = Settings::new("mx.example.test");
        settings.login_delay = Duration::ZERO;
        let near = || vec!["198.51.100.0/24".parse().expect("a network")];
        settings.extensions = Extensions {
            xclient: near(),
            xforward: near(),
            etrn: near(),
            priority: near(),
            solicitations_refused: postroad_smtp::Solicitation::parse("net.example:ADV"),
            ..Extensions::default()
        };
        change(&mut settings);
        let time = clock.clone();
        let now: postroad_login::Clock = Arc::new(move || Timestamp(time.now_us()));
        let logins = Logins::new(store.clone(), Arc::clone(&now), None, 2).expect("random bytes");
        let inbound = Inbound::new(store.clone(), settings, logins, now, stories);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        Town { store: store.clone(), clock, inbound, scribe, runtime }
    }

    /// A change by the administrator.
    pub(crate) fn change<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut postroad_store::WriteTx, &By) -> postroad_mail::Result<R> + Send + 'static,
    ) -> R {
        let by = By::new(Timestamp(self.clock.now_us()), Actor::Admin);
        let locks = Locks::named(accounts::DIRECTORY_LOCK);
        self.store.write_blocking(locks, move |tx| change(tx, &by)).expect("the change is good").value
    }

    pub(crate) fn look<R: Send + 'static>(
        &self,
        look: impl FnOnce(&postroad_store::ReadTx) -> postroad_mail::Result<R> + Send + 'static,
    ) -> R {
        self.store.read_blocking(look).expect("it can be read")
    }

    pub(crate) fn account(&self, at: &str, quota_bytes: u64, quota_messages: u64) -> AccountId {
        static HASH: OnceLock<PasswordHash> = OnceLock::new();
        let hash = HASH.get_or_init(|| PasswordHash::of_password(PASSWORD).expect("a good password"));
        let new = accounts::NewAccount {
            address: address(at),
            display_name: String::new(),
            password: Some(hash.clone()),
            quota_bytes,
            quota_messages,
        };
        self.change(move |tx, by| accounts::create(tx, by, &new))
    }

    pub(crate) fn id(&self, at: &str) -> AccountId {
        let at = address(at);
        self.look(move |tx| accounts::find(tx, &at)).expect("the account exists").id
    }

    /// The messages of a mailbox, oldest first.
    pub(crate) fn messages(&self, at: &str, mailbox: &str) -> Vec<String> {
        let (account, name) = (self.id(at), MailboxName::parse(mailbox).expect("a mailbox name"));
        self.look(move |tx| {
            let Some(mailbox) = mailboxes::find(tx, account, &name)? else { return Ok(Vec::new()) };
            let all = UidSet::from_ranges([(1, u32::MAX)]);
            let query = Query { uids: &all, want: Want::Facts, changed_since: None, limit: 10_000 };
            let mut messages = Vec::new();
            for entry in view::entries(tx, account, mailbox.id, &query)? {
                let blob = entry.facts.expect("facts were asked for").blob;
                let bytes = tx.blob_read(blob, 0..u64::MAX)?;
                assert_eq!(bytes.len() as u64, entry.size, "the size is that of the bytes");
                messages.push(String::from_utf8_lossy(&bytes).into_owned());
            }
            Ok(messages)
        })
    }

    /// The story that a key leads to, newest first, as lines `kind: detail`.
    pub(crate) fn stories(&mut self, key: &str) -> Vec<Vec<String>> {
        self.runtime.block_on(self.scribe.catch_up());
        let key = key.to_owned();
        self.look(move |tx| {
            let mut stories = Vec::new();
            for id in trace::find(tx, &key, Timestamp(0), 100)? {
                let lines = trace::story(tx, id)?;
                stories.push(lines.into_iter().map(|event| format!("{}: {}", event.kind, event.detail)).collect());
            }
            Ok(stories)
        })
    }

    /// Nothing contradicts anything.
    pub(crate) fn audit(&self) {
        for account in self.look(|tx| accounts::list(tx, None, 1_000)) {
            let faults = self.look(move |tx| audit::audit(tx, account.id));
            assert!(faults.is_empty(), "{}: {faults:?}", account.address);
        }
    }

    fn make(&mut self, directive: &Directive) -> Result<(), String> {
        let words: Vec<&str> = directive.words.iter().map(String::as_str).collect();
        match (directive.name.as_str(), words.as_slice()) {
            ("domain", [name]) => {
                let name = domain(name);
                self.change(move |tx, by| domains::create(tx, by, &name));
            }
            ("domain-alias", [alias, name]) => {
                let (alias, name) = (domain(alias), domain(name));
                self.change(move |tx, by| domains::add_alias(tx, by, &alias, &name));
            }
            ("account", [at]) => drop(self.account(at, 0, 0)),
            ("account", [at, bytes, messages]) => {
                let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number"));
                self.account(at, number(bytes)?, number(messages)?);
            }
            ("alias" | "group", [at, targets @ ..]) => {
                let (at, targets) = (address(at), targets.iter().map(|target| address(target)).collect());
                let kind = match directive.name.as_str() {
                    "alias" => addresses::Kind::Alias(targets),
                    _ => addresses::Kind::Group(targets),
                };
                self.change(move |tx, by| addresses::create(tx, by, &at, &kind));
            }
            ("forward", [at, "keep", targets @ ..]) => self.forward(at, targets, true),
            ("forward", [at, targets @ ..]) => self.forward(at, targets, false),
            ("suspend", [at]) => {
                let id = self.id(at);
                self.change(move |tx, by| accounts::set_state(tx, by, id, accounts::State::Suspended));
            }
            ("quota", [at, bytes]) => {
                let (id, bytes) = (self.id(at), bytes.parse().map_err(|_| "no number")?);
                self.change(move |tx, by| accounts::set_quota(tx, by, id, bytes, 0));
            }
            ("mailbox", [at, name]) => {
                let (id, name) = (self.id(at), MailboxName::parse(name).expect("a mailbox name"));
                self.change(move |tx, by| mailboxes::create(tx, by, id, &name, None));
            }
            ("no-mailbox", [at, name]) => {
                let (id, name) = (self.id(at), MailboxName::parse(name).expect("a mailbox name"));
                self.change(move |tx, by| mailboxes::delete(tx, by, id, &name));
            }
            ("policy", [domain, choice]) => {
                let (key, value) = choice.split_once('=').ok_or("no choice")?;
                let key = policy::Key::from_name(key).ok_or("no key")?;
                let (domain, value) = ((*domain).to_owned(), value.to_owned());
                self.change(move |tx, _| Ok(policy::choose(tx, &domain, &[(key, Some(&value))])?));
            }
            ("trusted", [kind, name]) => {
                let kind = policy::TrustedKind::from_name(kind).ok_or("no kind")?;
                let name = (*name).to_owned();
                let entry = policy::Trusted { kind, name, note: String::new(), since: Timestamp(0) };
                self.change(move |tx, _| Ok(policy::trust(tx, &entry)?));
            }
            ("advance", [by]) => self.clock.advance(parse_duration(by)?),
            _ => return self.check(directive, &words),
        }
        Ok(())
    }

    fn forward(&self, at: &str, targets: &[&str], keep: bool) {
        let (id, targets) = (self.id(at), targets.iter().map(|target| address(target)).collect());
        self.change(move |tx, by| forwards::set(tx, by, id, &forwards::Forward { targets, keep }));
    }

    /// An app password that expires in an hour.
    pub(crate) fn app_password(&self, at: &str, scope: Service) -> String {
        let (id, now) = (self.id(at), Timestamp(self.clock.now_us()));
        let made = AppPassword::generate().expect("random bytes");
        let new = credentials::NewAppPassword {
            name: scope.to_string(),
            scopes: vec![scope],
            expires: Some(now.plus(Duration::from_secs(3_600))),
            hash: made.hash,
        };
        self.change(move |tx, by| credentials::add_app_password(tx, by, id, &new));
        made.plain
    }

    fn check(&mut self, directive: &Directive, words: &[&str]) -> Result<(), String> {
        let block = directive.block.as_deref();
        match (directive.name.as_str(), words, block) {
            ("count", [at, mailbox, count], None) => {
                let found = self.messages(at, mailbox).len();
                if found.to_string() != *count {
                    return Err(format!("{found} messages are there"));
                }
            }
            ("newest", [at, mailbox], Some(block)) => {
                let messages = self.messages(at, mailbox);
                transcript::same_text(block, messages.last().ok_or("no message is there")?)?;
            }
            ("story", [key], Some(block)) => {
                let stories = self.stories(key);
                let story = stories.first().ok_or("there is no such story")?;
                transcript::same_text(block, &story.join("\n"))?;
            }
            // Stories without a delivery are written.
            ("told", [], None) => self.runtime.block_on(self.scribe.catch_up()),
            ("queue", [], block) => {
                let queued = self
                    .store
                    .read_blocking(|tx| postroad_queue::list(tx, &postroad_queue::Filter::default(), None, 100))
                    .map_err(|error| error.to_string())?;
                let mut lines = String::new();
                for message in queued {
                    for recipient in message.recipients {
                        let notify = match recipient.notify {
                            usual if usual == postroad_queue::Notify::default() => String::new(),
                            other => format!(" NOTIFY {other:?}"),
                        };
                        let wishes = wishes(&message.message, Timestamp(self.clock.now_us()));
                        lines.push_str(&format!(
                            "<{}> to <{}>{notify}{wishes}\n",
                            message.message.sender, recipient.address
                        ));
                    }
                }
                transcript::same_text(block.unwrap_or_default(), &lines)?;
            }
            _ => return Err(format!("no directive is written so: @{} {words:?}", directive.name)),
        }
        Ok(())
    }
}

impl transcript::Stage<Session> for Town {
    /// `@open 1 relay`, `submission` or `lmtp`, then perhaps `from ADDRESS`, `tls`, `size BYTES`.
    fn open(&mut self, open: &Open) -> Result<Session, String> {
        let mut words = open.words.iter().map(String::as_str);
        let role = match words.next() {
            None | Some("relay") => Role::Relay,
            Some("submission") => Role::Submission,
            Some("lmtp") => Role::Lmtp,
            Some(other) => return Err(format!("{other} is no role")),
        };
        let mut settings = postroad_smtp::Settings::new(role, "mx.example.test");
        settings.clear_auth = ClearAuth::Loopback;
        let mut remote: IpAddr = [127, 0, 0, 1].into();
        let mut tls = None;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            match word {
                "from" => remote = value()?.parse().map_err(|_| "no address")?,
                "size" => settings.size_limit = value()?.parse().map_err(|_| "no number")?,
                "tls" => tls = Some(handshake()),
                other => return Err(format!("{other} is nothing a session can be")),
            }
        }
        let peer = Peer { remote: SocketAddr::new(remote, 40_000), local: SocketAddr::new([127, 0, 0, 1].into(), 25) };
        Ok(session(&self.inbound, Arc::new(settings), peer, tls))
    }

    fn perform(&mut self, session: Session, stage: Stage) -> Session {
        self.runtime.block_on(self.inbound.perform(session, stage)).expect("the session comes back")
    }

    fn directive(&mut self, directive: &Directive) -> Result<(), String> {
        self.make(directive)
    }
}

/// What a queued message is to be had by, as seconds from now.
fn wishes(message: &postroad_queue::Message, now: Timestamp) -> String {
    let seconds = |at: Timestamp| (at.0 - now.0) / 1_000_000;
    let mut words = String::new();
    if let Some(until) = message.hold_until {
        let asked = message.hold_asked.as_deref().unwrap_or("-");
        words.push_str(&format!(" HELD {} ({asked})", seconds(until)));
    }
    if let Some(by) = message.deliver_by {
        let what = if by.returns { "or back" } else { "or told" };
        words.push_str(&format!(" BY {} {what}", seconds(by.at)));
    }
    if message.priority != 0 {
        words.push_str(&format!(" PRIORITY {}", message.priority));
    }
    if let Some(classes) = &message.solicitation {
        words.push_str(&format!(" SOLICIT {classes}"));
    }
    if message.requiretls {
        words.push_str(" REQUIRETLS");
    }
    words
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).expect(text)
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).expect(text)
}

fn handshake() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
        group: Some("X25519MLKEM768".to_owned()),
        server_name: None,
        ..TlsFacts::default()
    }
}
