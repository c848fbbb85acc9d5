//! What is given, to whom, how often, and what takes it away: on all stores.

mod common;

use std::time::Duration;

use postroad_identity::clients::{self, Client, NewClient};
use postroad_identity::codes::{self, Consent, NotRedeemed, Subject};
use postroad_identity::devices::{self, Decision, NotYet};
use postroad_identity::sessions::{self, Begun};
use postroad_identity::tokens::{self, Issued, Lifetimes, NotRenewed, Refused};
use postroad_identity::{Bearing, Challenge, Error, Kind, Scopes, cuts, grants, held, sweep};
use postroad_mail::accounts::{self, NewAccount, State};
use postroad_mail::{Actor, Address, By, Domain, Service, domains};
use postroad_store::{AccountId, Locks, Timestamp};
use postroad_testkit::{TestStore, each_store};

use common::write;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "http://127.0.0.1:4000/cb";

fn at(second: i64) -> Timestamp {
    Timestamp(1_000_000_000_000 + second * 1_000_000)
}

fn account(test: &TestStore) -> AccountId {
    write(test, |tx| {
        let by = By::new(at(0), Actor::Admin);
        domains::create(tx, &by, &Domain::parse("example.test").map_err(Error::AddressInvalid)?)?;
        let address = Address::new("alice", "example.test").map_err(Error::AddressInvalid)?;
        let new =
            NewAccount { address, display_name: "Alice".into(), password: None, quota_bytes: 0, quota_messages: 0 };
        accounts::create(tx, &by, &new)
    })
}

fn client(test: &TestStore, id: &'static str) -> Client {
    let new = NewClient {
        id: Some(id.into()),
        name: id.into(),
        redirects: vec!["http://127.0.0.1/cb".into()],
        scopes: Scopes::all(),
        confidential: false,
        registered: false,
    };
    write(test, move |tx| clients::add(tx, &new, at(0))).0
}

fn consent(account: AccountId, scopes: &str) -> Consent {
    Consent {
        account,
        scopes: Scopes::parse(scopes),
        redirect: REDIRECT.into(),
        challenge: Challenge::parse(CHALLENGE).expect("a challenge"),
        nonce: Some("n".into()),
        authenticated: at(0),
        steps: "pwd".into(),
        network: "192.0.2.0/24".into(),
    }
}

fn code(test: &TestStore, client: &Client, account: AccountId, now: Timestamp) -> Bearing {
    let (client, consent) = (client.clone(), consent(account, "mail:imap offline_access"));
    let text = write(test, move |tx| codes::create(tx, &client, &consent, &Lifetimes::default(), now));
    Bearing::parse(Kind::Code, &text).expect("a code")
}

fn redeem(
    test: &TestStore,
    code: &Bearing,
    client: &Client,
    with: (&'static str, &'static str),
    now: Timestamp,
) -> Result<(Issued, Subject), NotRedeemed> {
    let (code, client) = (code.clone(), client.clone());
    write(test, move |tx| codes::redeem(tx, &code, &client, with, &Lifetimes::default(), now))
}

fn renew(test: &TestStore, token: &str, client: &Client, now: Timestamp) -> Result<Issued, NotRenewed> {
    let (token, client) = (Bearing::parse(Kind::Refresh, token).expect("a token"), client.clone());
    write(test, move |tx| tokens::renew(tx, &token, &client, None, &Lifetimes::default(), now))
}

fn verify(test: &TestStore, token: &str, service: Service, now: Timestamp) -> Result<AccountId, Refused> {
    let token = token.to_owned();
    let looked = test.store.read_blocking(move |tx| tokens::verify(tx, &token, service, now)).expect("read");
    looked.map(|bearer| bearer.account)
}

fn cut_so_far(test: &TestStore) -> Vec<i64> {
    let cuts = test.store.read_blocking(|tx| cuts::since(tx, Timestamp(0).plus(cuts::OVERLAP))).expect("read");
    cuts.into_iter().map(|cut| cut.what).collect()
}

fn on_each(check: impl Fn(&TestStore, AccountId, &Client)) {
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let account = account(test);
        let client = client(test, "app");
        check(test, account, &client);
    });
}

#[test]
fn a_code_is_good_once_for_its_client_and_what_it_was_made_with() {
    on_each(|test, account, app| {
        let other = client(test, "other");
        let right = (REDIRECT, VERIFIER);
        for (client, with, second, expected) in [
            (&other, right, 1, NotRedeemed::Client),
            (app, ("http://127.0.0.1:4001/cb", VERIFIER), 1, NotRedeemed::Redirect),
            (app, (REDIRECT, CHALLENGE), 1, NotRedeemed::Verifier),
            (app, (REDIRECT, ""), 1, NotRedeemed::Verifier),
            (app, right, 61, NotRedeemed::Expired),
        ] {
            let code = code(test, app, account, at(0));
            assert_eq!(redeem(test, &code, client, with, at(second)).err(), Some(expected));
            if expected != NotRedeemed::Client {
                let again = redeem(test, &code, app, right, at(2)).err();
                assert_eq!(again, Some(NotRedeemed::Replayed), "a code that failed is used up: {expected:?}");
            }
        }
        let good = code(test, app, account, at(0));
        let (issued, subject) = redeem(test, &good, app, right, at(1)).expect("redeemed");
        assert_eq!((subject.account, subject.nonce.as_deref()), (account, Some("n")));
        assert_eq!(verify(test, &issued.access, Service::Imap, at(2)), Ok(account));
        assert_eq!(verify(test, &issued.access, Service::Smtp, at(2)), Err(Refused::Scope));
        assert_eq!(verify(test, &issued.access, Service::Imap, at(3_601)), Err(Refused::Expired));
        // Another client learns nothing and takes nothing away; its own, or a thief with it, takes it all away.
        assert_eq!(redeem(test, &good, &other, right, at(3)).err(), Some(NotRedeemed::Client));
        assert_eq!(verify(test, &issued.access, Service::Imap, at(3)), Ok(account));
        assert_eq!(redeem(test, &good, app, right, at(4)).err(), Some(NotRedeemed::Replayed));
        assert_eq!(verify(test, &issued.access, Service::Imap, at(4)), Err(Refused::Unknown));
        let refresh = issued.refresh.expect("a refresh token");
        assert_eq!(renew(test, &refresh, app, at(4)).err(), Some(NotRenewed::Invalid));
        assert_eq!(cut_so_far(test), [issued.grant]);
    });
}

#[test]
fn a_refresh_token_that_was_replaced_takes_its_grant_away() {
    on_each(|test, account, app| {
        let issue =
            || redeem(test, &code(test, app, account, at(0)), app, (REDIRECT, VERIFIER), at(1)).expect("given").0;
        let first = issue();
        let token = first.refresh.clone().expect("a refresh token");
        let other = client(test, "other");
        assert_eq!(renew(test, &token, &other, at(2)).err(), Some(NotRenewed::Invalid));
        let second = renew(test, &token, app, at(10)).expect("renewed");
        // The answer was lost: once more, and what was lost is good no more.
        let third = renew(test, &token, app, at(20)).expect("renewed");
        assert_eq!(verify(test, &third.access, Service::Imap, at(21)), Ok(account));
        let fourth = renew(test, third.refresh.as_ref().expect("a refresh token"), app, at(100)).expect("renewed");
        assert_eq!(verify(test, &fourth.access, Service::Imap, at(101)), Ok(account));
        // What lay between is nobody's any more: who has it has a copy.
        let lost = second.refresh.expect("a refresh token");
        assert_eq!(renew(test, &lost, app, at(102)).err(), Some(NotRenewed::Replayed));
        assert_eq!(verify(test, &fourth.access, Service::Imap, at(103)), Err(Refused::Unknown));

        let late = issue();
        let token = late.refresh.expect("a refresh token");
        renew(test, &token, app, at(10)).expect("renewed");
        assert_eq!(
            renew(test, &token, app, at(71)).err(),
            Some(NotRenewed::Replayed),
            "no answer is lost for a minute"
        );
        let unused = issue().refresh.expect("a refresh token");
        let days = 60 * 60 * 24;
        assert_eq!(renew(test, &unused, app, at(91 * days)).err(), Some(NotRenewed::Invalid));
        // Who knows the numbers, but not the secret of the family, changes nothing.
        let whole = issue();
        let forged = Bearing::parse(Kind::Access, &whole.access).expect("a token");
        assert_eq!(forged.owner(), whole.grant);
        let mut text = whole.refresh.clone().expect("a refresh token");
        text.replace_range(30..50, "AAAAAAAAAAAAAAAAAAAA");
        assert_eq!(renew(test, &text, app, at(2)).err(), Some(NotRenewed::Invalid));
        assert_eq!(verify(test, &whole.access, Service::Imap, at(3)), Ok(account));
    });
}

#[test]
fn a_device_waits_its_turn_and_comes_in_once() {
    on_each(|test, account, app| {
        let lifetimes = Lifetimes::default();
        let ask = |second| {
            let client = app.clone();
            write(test, move |tx| {
                devices::ask(tx, &client, &Scopes::parse("mail:imap"), "192.0.2.0/24", &lifetimes, at(second))
            })
        };
        let poll = |code: &str, client: &Client, second| {
            let (code, client) = (code.to_owned(), client.clone());
            write(test, move |tx| devices::poll(tx, &code, &client, &lifetimes, at(second)))
        };
        let decide = |code: &str, decision: Decision, second| {
            let code = devices::typed(code).expect("a code");
            write(test, move |tx| devices::decide(tx, &code, &decision, at(second)))
        };
        let by = Subject { account, nonce: None, authenticated: at(0), steps: "pwd".into() };
        let asked = ask(0);
        let other = client(test, "other");
        for (client, second, expected) in [
            (app, 5, NotYet::Pending),
            (app, 7, NotYet::SlowDown),
            (app, 13, NotYet::SlowDown),
            (app, 29, NotYet::Pending),
            (&other, 60, NotYet::Unknown),
        ] {
            assert_eq!(poll(&asked.device_code, client, second).err(), Some(expected), "at {second}");
        }
        assert_eq!(poll("no code", app, 60).err(), Some(NotYet::Unknown));
        assert!(decide(&asked.user_code, Decision::Allowed(by.clone()), 61));
        assert!(!decide(&asked.user_code, Decision::Denied, 62), "decided is decided");
        let (issued, _) = poll(&asked.device_code, app, 63).expect("let in");
        assert_eq!(verify(test, &issued.access, Service::Imap, at(64)), Ok(account));
        assert_eq!(poll(&asked.device_code, app, 70).err(), Some(NotYet::Unknown), "once");
        let denied = ask(100);
        assert!(decide(&denied.user_code, Decision::Denied, 101));
        assert_eq!(poll(&denied.device_code, app, 105).err(), Some(NotYet::Denied));
        let late = ask(200);
        assert!(!decide(&late.user_code, Decision::Allowed(by), 200 + 15 * 60));
        assert_eq!(poll(&late.device_code, app, 200 + 15 * 60).err(), Some(NotYet::Expired));
    });
}

#[test]
fn what_is_cut_off_is_gone_and_told() {
    on_each(|test, account, app| {
        let given = |second| {
            redeem(test, &code(test, app, account, at(second)), app, (REDIRECT, VERIFIER), at(second)).expect("given").0
        };
        let (first, second) = (given(1), given(2));
        let cookie = write(test, move |tx| {
            let begun = Begun {
                account,
                credential: 1,
                steps: "pwd".into(),
                complete: true,
                network: "192.0.2.0/24".into(),
                agent: "Browser\r\n<b>".into(),
            };
            sessions::begin(tx, &begun, &Lifetimes::default(), at(3))
        });
        let look = |cookie: &str, second| {
            let cookie = cookie.to_owned();
            test.store.read_blocking(move |tx| sessions::look(tx, &cookie, at(second))).expect("read")
        };
        let (session, whose) = look(&cookie, 4).expect("a session");
        assert_eq!((whose.id, session.agent.as_str()), (account, "Browser<b>"));
        assert!(look(&cookie, 15 * 24 * 60 * 60).is_none(), "too long ago");
        let held = test.store.read_blocking(move |tx| held::held(tx, account, at(4))).expect("read");
        assert_eq!((held.grants.len(), held.sessions.len()), (2, 1));
        assert_eq!(held.grants[0].network.as_deref(), Some("192.0.2.0/24"));
        let take = |id| write(test, move |tx| held::take_away(tx, &By::new(at(5), Actor::Admin), account, id));
        assert!(take(first.grant) && !take(first.grant) && !take(12_345));
        assert_eq!(verify(test, &first.access, Service::Imap, at(6)), Err(Refused::Unknown));
        assert_eq!(verify(test, &second.access, Service::Imap, at(6)), Ok(account));
        assert!(take(session.id));
        assert!(look(&cookie, 6).is_none());
        assert_eq!(cut_so_far(test), [first.grant, session.id]);
        // A suspended account's tokens wait; those of one that is removed are gone.
        let by = By::new(at(7), Actor::Admin);
        write(test, move |tx| accounts::set_state(tx, &by, account, State::Suspended));
        assert_eq!(verify(test, &second.access, Service::Imap, at(8)), Err(Refused::Suspended));
        write(test, move |tx| cuts::tell_all(tx, account, at(9)));
        assert!(test.store.read_blocking(move |tx| grants::list(tx, account, at(9))).expect("read").is_empty());
        assert_eq!(cut_so_far(test).last(), Some(&second.grant));
        write(test, |tx| sweep::sweep(tx, at(0).plus(Duration::from_secs(3 * 24 * 60 * 60))));
        assert!(cut_so_far(test).is_empty());
    });
}

#[test]
fn who_takes_a_token_back_is_its_own_client() {
    on_each(|test, account, app| {
        let given = redeem(test, &code(test, app, account, at(0)), app, (REDIRECT, VERIFIER), at(1)).expect("given").0;
        let other = client(test, "other");
        let revoke = |kind, text: &str, client: &Client| {
            let (token, client) = (Bearing::parse(kind, text).expect("a token"), client.clone());
            write(test, move |tx| tokens::revoke(tx, &token, &client, at(2)));
        };
        revoke(Kind::Access, &given.access, &other);
        assert_eq!(verify(test, &given.access, Service::Imap, at(3)), Ok(account));
        revoke(Kind::Access, &given.access, app);
        assert_eq!(verify(test, &given.access, Service::Imap, at(3)), Err(Refused::Unknown));
        let refresh = given.refresh.expect("a refresh token");
        let again = renew(test, &refresh, app, at(4)).expect("the grant is still there");
        revoke(Kind::Refresh, again.refresh.as_ref().expect("a refresh token"), app);
        assert_eq!(verify(test, &again.access, Service::Imap, at(5)), Err(Refused::Unknown));
    });
}

#[test]
fn programs_that_make_themselves_known_stay_on_the_persons_machine() {
    on_each(|test, _, app| {
        let add = |redirect: &str, confidential, registered| {
            let new = NewClient {
                id: None,
                name: "App".into(),
                redirects: vec![redirect.to_owned()],
                scopes: Scopes::all(),
                confidential,
                registered,
            };
            test.store.write_blocking(Locks::none(), move |tx| clients::add(tx, &new, at(0)))
        };
        assert!(add("net.example.app:/cb", false, true).is_ok());
        for (redirect, confidential, registered) in [
            ("https://app.example/cb", false, true),
            ("http://127.0.0.1/cb", true, true),
            ("http://app.example/cb", false, false),
            ("javascript:alert(1)", false, false),
        ] {
            let refused = add(redirect, confidential, registered);
            assert!(matches!(refused, Err(Error::Refused(_))), "{redirect}");
        }
        let (server, secret) = add("https://app.example/cb", true, false).expect("added").value;
        assert!(
            server.is_proved_by(secret.as_deref()) && !server.is_proved_by(None) && !server.is_proved_by(Some("a"))
        );
        assert!(app.is_proved_by(None) && app.is_proved_by(Some("")) && !app.is_proved_by(Some("a")));
        write(test, |tx| sweep::sweep(tx, at(0).plus(clients::UNUSED * 2)));
        let left = test.store.read_blocking(clients::list).expect("read");
        assert_eq!(left.len(), 2, "what nobody let in is forgotten, but not what the administrator made known");
    });
}

#[test]
fn grants_are_bounded() {
    on_each(|test, account, app| {
        let mut first = None;
        for second in 0..=i64::try_from(grants::GRANTS_MAX).expect("small") {
            let given = redeem(test, &code(test, app, account, at(second)), app, (REDIRECT, VERIFIER), at(second))
                .expect("given")
                .0;
            first.get_or_insert(given);
        }
        let kept = test.store.read_blocking(move |tx| grants::list(tx, account, at(200))).expect("read");
        assert_eq!(kept.len(), grants::GRANTS_MAX);
        let first = first.expect("some were given");
        assert_eq!(verify(test, &first.access, Service::Imap, at(200)), Err(Refused::Unknown), "the oldest made room");
    });
}
