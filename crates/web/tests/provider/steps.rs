//! The second step and app passwords, as a browser and programs meet them.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postroad_identity::second;
use postroad_identity::totp::{self, Shared};
use postroad_login::Logins;
use postroad_mail::{Actor, By, Refused, Service};
use postroad_sasl::{Answer, Ask, Evidence, Secret};
use postroad_store::Locks;
use serde_json::Value;

use crate::world::{Browser, LOGIN, PASSWORD, PUBLIC, Reply, World, authorize, redeem};

/// What the key on the set-up page says.
fn shared(page: &Reply) -> Shared {
    let key = page.body.split("type the key: <span class=\"code\">").nth(1).expect("a key");
    let letters = key.split('<').next().expect("letters").replace(' ', "");
    let mut bits = 0u64;
    let mut octets = Vec::new();
    for (place, letter) in letters.bytes().enumerate() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter).expect("base32");
        bits = bits << 5 | u64::try_from(value).expect("small");
        if place % 8 == 7 {
            octets.extend_from_slice(&bits.to_be_bytes()[3..]);
            bits = 0;
        }
    }
    Shared::of(&octets).expect("160 bits")
}

fn code(world: &World, shared: &Shared) -> String {
    format!("{:06}", shared.code(totp::step(world.now())))
}

/// Turns it on; the secret and the recovery codes.
async fn turn_on(world: &World, browser: &mut Browser) -> (Shared, Vec<String>) {
    let page = browser.log_in(world, "/account/second-step").await;
    assert!(page.body.contains("<svg ") && page.body.contains("app password"), "{}", page.body);
    let shared = shared(&page);
    let wrong = browser.submit(world, &page, &[("code", "12345")]).await;
    assert_eq!(wrong.code, 403);
    assert_eq!(self::shared(&wrong), shared, "the same again: it is in the authenticator already");
    let before = browser.cookies["postroad-session"].clone();
    let done = browser.submit(world, &wrong, &[("code", &code(world, &shared))]).await;
    assert_eq!(done.code, 200, "{}", done.body);
    assert_ne!(browser.cookies["postroad-session"], before, "another cookie for more");
    let codes: Vec<String> = done
        .body
        .split("<li class=\"code\">")
        .skip(1)
        .map(|rest| rest.split('<').next().expect("a code").to_owned())
        .collect();
    assert_eq!(codes.len(), second::RECOVERY_CODES);
    (shared, codes)
}

fn logins(world: &World) -> Logins {
    let now = world.now();
    Logins::new(world.store.clone(), Arc::new(move || now), None, 2).expect("random numbers")
}

async fn signs_in(world: &World, password: &str, service: Service) -> Result<(), Refused> {
    let ask = Ask {
        mechanism: "PLAIN",
        authzid: None,
        authcid: LOGIN.into(),
        evidence: Evidence::Password(Secret::new(password.into())),
    };
    match logins(world).verify(ask, [192, 0, 2, 1].into(), service).await {
        Answer::Granted { .. } => Ok(()),
        Answer::Refused { why, .. } => Err(why),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_password_alone_opens_nothing_any_more() {
    let world = World::new();
    assert_eq!(signs_in(&world, PASSWORD, Service::Imap).await, Ok(()));
    let (mut owner, mut other) = (Browser::default(), Browser::default());
    other.log_in(&world, "/account").await;
    let (shared, codes) = turn_on(&world, &mut owner).await;
    assert!(owner.open(&world, "/account/second-step").await.body.contains("<b>10</b> recovery codes"));
    assert!(other.open(&world, "/account").await.body.contains("action=\"/login\""), "other browsers log in again");
    for service in [Service::Imap, Service::Pop3, Service::Smtp, Service::Sieve, Service::Jmap] {
        assert_eq!(signs_in(&world, PASSWORD, service).await, Err(Refused::SecondStep), "{service}");
        assert_eq!(signs_in(&world, "wrong", service).await, Err(Refused::Wrong), "{service}");
    }
    // The pages: nothing opens before the code.
    let mut browser = Browser::default();
    let page = browser.log_in(&world, "/account").await;
    assert_eq!(page.action(), "/login/second-step");
    let waiting = browser.cookies["postroad-session"].clone();
    for path in ["/account", "/device", "/account/second-step", "/account/app-password"] {
        assert!(browser.open(&world, path).await.body.contains("action=\"/login\""), "{path}");
    }
    let asked = browser.open(&world, &authorize(PUBLIC, "mail:imap", &[])).await;
    assert!(asked.body.contains("action=\"/login\""));
    let listed = owner.open(&world, "/account").await;
    assert!(listed.body.contains("did not get past the second step"), "{}", listed.body);
    // The code that turned it on was used; another browser's token does not do; the next code does.
    assert_eq!(browser.submit(&world, &page, &[("code", &code(&world, &shared))]).await.code, 403);
    world.pass(Duration::from_secs(60));
    let mut stranger = Browser::default();
    stranger.log_in(&world, "/account").await;
    assert_eq!(stranger.submit(&world, &page, &[("code", &code(&world, &shared))]).await.code, 403);
    let done = browser.submit(&world, &page, &[("code", &code(&world, &shared))]).await;
    assert!(done.body.contains("You are logged in as"), "{}", done.body);
    assert_ne!(browser.cookies["postroad-session"], waiting);
    browser.cookies.insert("postroad-session".into(), waiting);
    assert!(browser.open(&world, "/account").await.body.contains("action=\"/login\""), "the old cookie is none");
    // A recovery code does, once.
    let mut browser = Browser::default();
    for right in [true, false] {
        let page = browser.log_in(&world, "/account").await;
        let done = browser.submit(&world, &page, &[("code", &codes[0])]).await;
        assert_eq!(done.body.contains("You are logged in as"), right, "{}", done.body);
        browser = Browser::default();
    }
    // Who does not come in time begins again.
    let page = browser.log_in(&world, "/account").await;
    world.pass(Duration::from_secs(16 * 60));
    let late = browser.submit(&world, &page, &[("code", &code(&world, &shared))]).await;
    assert!(late.body.contains("action=\"/login\""), "{}", late.body);
}

#[tokio::test]
async fn guesses_end() {
    let world = World::new();
    let (shared, _) = turn_on(&world, &mut Browser::default()).await;
    let mut browser = Browser::default();
    let page = browser.log_in(&world, "/account").await;
    world.pass(Duration::from_secs(60));
    let near: Vec<u32> = (-2..=2).map(|steps| shared.code(totp::step(world.now()) + steps)).collect();
    let wrong = (0..9u32).find(|code| !near.contains(code)).expect("one of nine");
    for _ in 0..6 {
        let reply = browser.submit(&world, &page, &[("code", &format!("{wrong:06}"))]).await;
        assert!(reply.code == 403 && reply.body.contains("not right"), "{}", reply.body);
    }
    let closed = browser.submit(&world, &page, &[("code", &code(&world, &shared))]).await;
    assert!(closed.code == 403 && closed.body.contains("too many wrong codes"), "{}", closed.body);
    world.pass(Duration::from_secs(60));
    let done = browser.submit(&world, &page, &[("code", &code(&world, &shared))]).await;
    assert!(done.body.contains("You are logged in as"), "{}", done.body);
}

#[tokio::test]
async fn programs_learn_how_somebody_logged_in() {
    let world = World::new();
    let mut owner = Browser::default();
    let (shared, _) = turn_on(&world, &mut owner).await;
    world.pass(Duration::from_secs(60));
    let mut browser = Browser::default();
    let page = browser.log_in(&world, &authorize(PUBLIC, "openid", &[])).await;
    // Behind the code comes what was asked for.
    let policy = page.header("content-security-policy").expect("a policy").to_owned();
    assert!(policy.contains("form-action 'self' http://127.0.0.1:4711"), "{policy}");
    let consent = browser.submit(&world, &page, &[("code", &code(&world, &shared))]).await;
    let answer = browser.submit(&world, &consent, &[("decision", "allow")]).await;
    let given = world.token(&redeem(&answer.parameter("code").expect("a code"))).await.json();
    let token = given["id_token"].as_str().expect("an id_token");
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("claims")).expect("base64url");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    assert_eq!(claims["amr"], serde_json::json!(["pwd", "otp", "mfa"]));
    assert!(claims["acr"].as_str().is_some_and(|class| class.ends_with("/multi-factor")), "{claims}");
}

#[tokio::test]
async fn it_is_turned_off_with_a_code_or_by_the_administrator() {
    let world = World::new();
    let mut owner = Browser::default();
    let (shared, codes) = turn_on(&world, &mut owner).await;
    let page = owner.open(&world, "/account/second-step").await;
    for action in ["/account/second-step/off", "/account/second-step/codes"] {
        assert_eq!(owner.post(&world, action, &[("token", "AAAA"), ("code", &codes[1])]).await.code, 403, "{action}");
        assert_eq!(owner.submit_to(&world, &page, action, &[("code", "000")]).await.code, 403, "{action}");
    }
    let fresh = owner.submit_to(&world, &page, "/account/second-step/codes", &[("code", &codes[1])]).await;
    assert!(fresh.body.contains("New recovery codes") && !fresh.body.contains(&codes[2]), "{}", fresh.body);
    world.pass(Duration::from_secs(60));
    let off = owner.submit_to(&world, &page, "/account/second-step/off", &[("code", &code(&world, &shared))]).await;
    assert!(off.body.contains("<svg "), "the page to turn it on: {}", off.body);
    assert_eq!(signs_in(&world, PASSWORD, Service::Imap).await, Ok(()));
    let (account, now) = (world.account, world.now());
    let mut owner = Browser::default();
    turn_on(&world, &mut owner).await;
    let by = By::new(now, Actor::Admin);
    let allow = world.store.write(Locks::account(account), move |tx| second::set_programs(tx, &by, account, true));
    assert!(allow.await.expect("written").value);
    assert_eq!(signs_in(&world, PASSWORD, Service::Imap).await, Ok(()));
    let by = By::new(now, Actor::Admin);
    let reset = world.store.write(Locks::account(account), move |tx| second::turn_off(tx, &by, account));
    assert!(reset.await.expect("written").value);
    assert!(Browser::default().log_in(&world, "/account").await.body.contains("You are logged in as"));
}

#[tokio::test]
async fn what_was_not_set_up_here_is_not_turned_on() {
    let world = World::new();
    let (mut alice, mut again) = (Browser::default(), Browser::default());
    let page = alice.log_in(&world, "/account/second-step").await;
    let other = again.log_in(&world, "/account/second-step").await;
    // A secret that somebody else prepared, in a form of hers.
    let field = |page: &Reply, name: &str| {
        let fields = page.fields("/account/second-step");
        fields.into_iter().find(|(known, _)| known == name).expect("a field").1
    };
    for sealed in [field(&other, "sealed"), String::new(), "AAAA".into()] {
        let sent = [("token", field(&page, "token")), ("sealed", sealed), ("code", code(&world, &shared(&other)))];
        let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(alice.post(&world, "/account/second-step", &sent).await.code, 403);
    }
    // A browser that was left open changes nothing about how to log in.
    world.pass(Duration::from_secs(31 * 60));
    for path in ["/account/second-step", "/account/app-password"] {
        assert!(alice.open(&world, path).await.body.contains("action=\"/login\""), "{path}");
    }
    let late = alice.submit(&world, &page, &[("code", &code(&world, &shared(&page)))]).await;
    assert!(late.body.contains("action=\"/login\""), "{}", late.body);
    assert_eq!(alice.open(&world, "/account").await.code, 200);
}

#[tokio::test]
async fn a_program_gets_a_password_of_its_own() {
    let world = World::new();
    let mut owner = Browser::default();
    turn_on(&world, &mut owner).await;
    let make = |name: &'static str, what: &'static str, term: &'static str| {
        let mut owner = owner.clone();
        let world = &world;
        async move {
            let page = owner.open(world, "/account/app-password").await;
            owner.submit(world, &page, &[("name", name), ("use", what), ("term", term)]).await
        }
    };
    let shown = |page: &Reply| {
        let rest = page.body.split("<p class=\"code\">").nth(1).unwrap_or_else(|| panic!("none: {}", page.body));
        rest.split('<').next().expect("a password").to_owned()
    };
    let mail = shown(&make("Phone <1>", "mail", "always").await);
    let read = shown(&make("Tablet", "read", "30").await);
    for (password, service, outcome) in [
        (&mail, Service::Imap, Ok(())),
        (&mail, Service::Smtp, Ok(())),
        (&read, Service::Imap, Ok(())),
        (&read, Service::Smtp, Err(Refused::Scope)),
    ] {
        assert_eq!(signs_in(&world, password, service).await, outcome, "{service}");
    }
    assert_eq!(make("Tablet", "mail", "always").await.code, 400, "the name is taken");
    for (name, what, term) in [("", "mail", "always"), ("x", "api", "always"), ("x", "mail", "9999")] {
        assert!(make(name, what, term).await.code >= 400, "{name} {what} {term}");
    }
    // It opens no pages, and makes no other.
    let mut finder = Browser::default();
    let page = finder.open(&world, "/login").await;
    assert_eq!(finder.submit(&world, &page, &[("login", LOGIN), ("password", &mail)]).await.code, 403);
    let page = owner.open(&world, "/account").await;
    assert!(page.body.contains("Phone &lt;1&gt;") && !page.body.contains(&mail), "{}", page.body);
    let card = page.body.split("<li>").find(|card| card.starts_with("Phone")).expect("its card");
    let id = card.split("name=\"id\" value=\"").nth(1).expect("an id").split('"').next().expect("a number").to_owned();
    let token = page.fields("/logout").into_iter().find(|(name, _)| name == "token").expect("a token").1;
    owner.post(&world, "/account/cut-off", &[("token", &token), ("id", &id)]).await;
    assert_eq!(signs_in(&world, &mail, Service::Imap).await, Err(Refused::Wrong));
    world.pass(Duration::from_secs(31 * 24 * 3600));
    assert_eq!(signs_in(&world, &read, Service::Imap).await, Err(Refused::Expired));
}
