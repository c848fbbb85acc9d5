//! Tickets against real stores, by a library of the test's own: whose account a principal opens, and what becomes of faults.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use postroad_login::Logins;
use postroad_mail::accounts::{self, State};
use postroad_mail::password::PasswordHash;
use postroad_mail::{Authenticated, Refused, Service, credentials};
use postroad_sasl::gss::{Acceptor, Context, Fault, Form, Question, Step};
use postroad_sasl::{Answer, Ask, Evidence};
use postroad_store::{AccountId, Store};
use postroad_testkit::{TestStore, each_store, wait};

use common::{FROM, NOW, account, by, change, domain};

/// Believes every token: it is the principal. What is wrapped is not.
#[derive(Debug)]
struct Credulous;

impl Acceptor for Credulous {
    fn step(
        &self,
        context: Option<&Context>,
        _: Form,
        token: &[u8],
        services: &[&str],
        end_point: Option<&[u8]>,
    ) -> Result<Step, Fault> {
        assert_eq!((context, end_point), (None, Some(&b"bound"[..])));
        let name = String::from_utf8(token.to_vec()).expect("a name");
        match name.as_str() {
            "replayed" => Err(Fault::Refused("a replay".into())),
            "old" => Err(Fault::Expired("too late".into())),
            "broken" => Err(Fault::Unavailable("no file".into())),
            "panics" => panic!("a library that fails"),
            _ => {
                let token = services.join(" ").into_bytes();
                Ok(Step { context: Context::new(name.clone()), token, peer: Some(name), offer: Vec::new() })
            }
        }
    }

    fn unwrap(&self, _: &Context, wrapped: &[u8]) -> Result<Vec<u8>, Fault> {
        Ok(wrapped.to_vec())
    }

    fn peer(&self, context: &Context) -> Result<String, Fault> {
        context.kept::<String>().cloned().ok_or(Fault::Unavailable("of another".into()))
    }
}

/// Alice, who has a delegate, bob; both of example.test.
fn populate(store: &Store) -> (AccountId, AccountId) {
    let hash = PasswordHash::of_password("never asked for").expect("a hash");
    let made = change(store, move |tx| {
        domain(tx, "example.test")?;
        let alice = account(tx, "alice", "example.test", Some(hash.clone()))?;
        let bob = account(tx, "bob", "example.test", Some(hash))?;
        credentials::add_delegate(tx, &by(), alice, bob)?;
        Ok((alice, bob))
    });
    made.expect("accounts")
}

fn logins(store: &Store) -> Logins {
    let realms = BTreeMap::from([("EXAMPLE.TEST".to_owned(), "example.test".to_owned())]);
    let logins = Logins::new(store.clone(), Arc::new(|| NOW), None, 2).expect("random numbers");
    logins.with_kerberos(Arc::new(Credulous), realms)
}

fn ask(logins: &Logins, question: Question, service: Service) -> Answer<Authenticated, Refused> {
    let evidence = Evidence::Gss(Box::new(question));
    wait(logins.verify(Ask { mechanism: "GSSAPI", authzid: None, authcid: String::new(), evidence }, FROM, service))
}

fn token(name: &str) -> Question {
    let end_point = Some(b"bound".to_vec());
    Question::Token { context: None, form: Form::Gssapi, token: name.as_bytes().to_vec(), end_point }
}

/// Who comes in as `principal`, who says this of layer and authorization.
fn come(logins: &Logins, principal: &str, choice: &[u8]) -> Result<Authenticated, Refused> {
    let context = Context::new(principal.to_owned());
    match ask(logins, Question::Choice { context, wrapped: choice.to_vec() }, Service::Imap) {
        Answer::Granted { who, last } => {
            assert_eq!(last, b"");
            Ok(who)
        }
        Answer::Refused { why, last: None } => Err(why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_principal_opens_the_account_of_its_realm_or_its_name() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let (alice, bob) = populate(&test.store);
        let number =
            change(&test.store, move |tx| credentials::add_principal(tx, &by(), alice, "carol@ELSEWHERE.TEST"));
        let number = number.expect("named");
        let logins = logins(&test.store);
        for (principal, authzid, whose) in [
            ("alice@EXAMPLE.TEST", "", Some(alice)),
            ("Alice@EXAMPLE.TEST", "", Some(alice)),
            ("alice@EXAMPLE.TEST", "alice@EXAMPLE.TEST", Some(alice)),
            ("alice@EXAMPLE.TEST", "alice@example.test", Some(alice)),
            ("alice@EXAMPLE.TEST", "alice", Some(alice)),
            ("carol@ELSEWHERE.TEST", "", Some(alice)),
            ("carol@ELSEWHERE.TEST", "alice@example.test", Some(alice)),
            ("bob@EXAMPLE.TEST", "alice@example.test", Some(alice)),
            ("bob@EXAMPLE.TEST", "", Some(bob)),
            // Others: not there, of another realm, of two parts, with signs that mean something.
            ("nobody@EXAMPLE.TEST", "", None),
            ("alice@ELSEWHERE.TEST", "", None),
            ("alice@example.test", "", None),
            ("alice/admin@EXAMPLE.TEST", "", None),
            ("alice\\@example.test@EXAMPLE.TEST", "", None),
            ("Carol@ELSEWHERE.TEST", "", None),
            // Acting as who did not let them.
            ("alice@EXAMPLE.TEST", "bob@example.test", None),
            ("carol@ELSEWHERE.TEST", "bob@example.test", None),
            ("nobody@EXAMPLE.TEST", "alice@example.test", None),
            ("alice@EXAMPLE.TEST", "nobody@example.test", None),
        ] {
            let who = come(&logins, principal, &[b"\x01\0\0\0", authzid.as_bytes()].concat());
            match whose {
                Some(account) => assert_eq!(who.expect(principal).account(), account, "{principal} {authzid}"),
                None => assert_eq!(who, Err(Refused::Wrong), "{principal} {authzid}"),
            }
        }
        let carol = come(&logins, "carol@ELSEWHERE.TEST", b"\x01\0\0\0").expect("alice");
        assert_eq!((carol.credential(), carol.login()), (number, "alice@example.test"));
        // A layer that was not offered, whoever it is.
        for choice in [&b"\x02\0\0\0"[..], b"\x05\0\0\0", b"\0\0\0\0", b"\x01\0", b""] {
            assert_eq!(come(&logins, "alice@EXAMPLE.TEST", choice), Err(Refused::Wrong), "{choice:?}");
        }

        change(&test.store, move |tx| accounts::set_state(tx, &by(), alice, State::Suspended)).expect("suspended");
        for principal in ["alice@EXAMPLE.TEST", "carol@ELSEWHERE.TEST"] {
            assert_eq!(come(&logins, principal, b"\x01\0\0\0"), Err(Refused::Suspended));
        }
        assert_eq!(come(&logins, "bob@EXAMPLE.TEST", b"\x01\0\0\0alice@example.test"), Err(Refused::Suspended));
        // With the account goes what is named for it.
        change(&test.store, move |tx| accounts::delete(tx, &by(), alice)).expect("deleted");
        assert_eq!(come(&logins, "carol@ELSEWHERE.TEST", b"\x01\0\0\0"), Err(Refused::Wrong));
        change(&test.store, move |tx| credentials::add_principal(tx, &by(), bob, "carol@ELSEWHERE.TEST"))
            .expect("free");
        assert_eq!(come(&logins, "carol@ELSEWHERE.TEST", b"\x01\0\0\0").expect("bob").account(), bob);
    });
}

#[test]
fn faults_of_the_library_let_nobody_in() {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        populate(&test.store);
        let logins = logins(&test.store);
        for (name, expected) in [
            ("replayed", Answer::refused(Refused::Wrong)),
            ("old", Answer::refused(Refused::Expired)),
            ("broken", Answer::Unavailable),
            ("panics", Answer::Unavailable),
        ] {
            assert_eq!(ask(&logins, token(name), Service::Imap), expected, "{name}");
        }
        // What a ticket may be for is said with each token.
        for (service, principals) in
            [(Service::Smtp, "smtp smtpsvc"), (Service::Imap, "imap"), (Service::Pop3, "pop pop3"), (Service::Jmap, "")]
        {
            match ask(&logins, token("alice@EXAMPLE.TEST"), service) {
                Answer::Gss(step) => assert_eq!(step.token, principals.as_bytes()),
                other => panic!("{other:?}"),
            }
        }
        // SPNEGO has no choice to read; and without a keytab nothing is a ticket.
        let peer = || Question::Peer { context: Context::new("bob@EXAMPLE.TEST".to_owned()) };
        assert!(matches!(ask(&logins, peer(), Service::Pop3), Answer::Granted { .. }));
        let foreign = Question::Peer { context: Context::new(7_u8) };
        assert_eq!(ask(&logins, foreign, Service::Pop3), Answer::Unavailable);
        let without = Logins::new(test.store.clone(), Arc::new(|| NOW), None, 2).expect("random numbers");
        assert_eq!(ask(&without, peer(), Service::Pop3), Answer::refused(Refused::Wrong));
    });
}

/// Counts who is with it in one moment. The first to come wait for one more than there may be.
#[derive(Debug, Default)]
struct Crowded {
    state: Mutex<Crowd>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Crowd {
    inside: usize,
    most: usize,
    all: usize,
}

impl Acceptor for Crowded {
    fn step(&self, _: Option<&Context>, _: Form, _: &[u8], _: &[&str], _: Option<&[u8]>) -> Result<Step, Fault> {
        let mut crowd = self.state.lock().expect("nobody panics with it");
        crowd.inside += 1;
        crowd.all += 1;
        crowd.most = crowd.most.max(crowd.inside);
        self.came.notify_all();
        // The first ones stay until there are as many as there may be, and a moment longer.
        crowd = self.came.wait_timeout_while(crowd, PATIENCE, |crowd| crowd.all < AT_ONCE).expect("likewise").0;
        if crowd.all == AT_ONCE {
            crowd = self.came.wait_timeout_while(crowd, MOMENT, |crowd| crowd.all == AT_ONCE).expect("likewise").0;
        }
        crowd.inside -= 1;
        Err(Fault::Refused("too much of a crowd".into()))
    }

    fn unwrap(&self, _: &Context, _: &[u8]) -> Result<Vec<u8>, Fault> {
        Err(Fault::Unavailable("nothing stands".into()))
    }

    fn peer(&self, _: &Context) -> Result<String, Fault> {
        Err(Fault::Unavailable("nothing stands".into()))
    }
}

/// What the library reads and writes for a ticket takes threads that others need: a crowd of clients does not get them all.
#[test]
fn so_many_tickets_are_looked_at_in_one_moment() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS]);
    populate(&test.store);
    let crowded = Arc::new(Crowded::default());
    let acceptor: Arc<dyn Acceptor> = crowded.clone();
    let logins = Logins::new(test.store.clone(), Arc::new(|| NOW), None, 2).expect("random numbers");
    let logins = Arc::new(logins.with_kerberos(acceptor, BTreeMap::new()));
    wait(async {
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..3 * AT_ONCE {
            let logins = Arc::clone(&logins);
            all.spawn(async move {
                let evidence = Evidence::Gss(Box::new(token("alice@EXAMPLE.TEST")));
                let ask = Ask { mechanism: "GSSAPI", authzid: None, authcid: String::new(), evidence };
                logins.verify(ask, FROM, Service::Imap).await
            });
        }
        let answers = all.join_all().await;
        assert!(
            answers.iter().all(|answer| matches!(answer, Answer::Refused { why: Refused::Wrong, .. })),
            "{answers:?}"
        );
    });
    let crowd = crowded.state.lock().expect("nobody panics with it");
    assert_eq!((crowd.most, crowd.all, crowd.inside), (AT_ONCE, 3 * AT_ONCE, 0), "all are looked at, in their turn");
}

/// As many as there may be.
const AT_ONCE: usize = 4;
/// How long these may take: where fewer are let in, the test fails with their number.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one more has to come, if it could.
const MOMENT: Duration = Duration::from_millis(300);
