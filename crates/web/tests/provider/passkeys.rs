//! Passkeys, as a browser with an authenticator sends them, and as others would like to.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postroad_identity::passkeys;
use postroad_mail::accounts::{self, State};
use postroad_mail::{Actor, By};
use postroad_store::Locks;
use postroad_testkit::Authenticator;
use postroad_testkit::authenticator::base64url;
use serde_json::Value;

use crate::world::{Browser, ISSUER, LOGIN, PASSWORD, PUBLIC, Reply, World, authorize, redeem};

/// What the script of the page would read: what is asked of the authenticator in the form that leads to `action`.
fn asked(page: &Reply, action: &str) -> Value {
    let form = page.body.split(&format!("action=\"{action}\" hidden")).nth(1).unwrap_or_else(|| panic!("{page:?}"));
    let text = form.split("data-asked=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a question");
    serde_json::from_str(&text.replace("&quot;", "\"")).expect("JSON")
}

/// The hidden fields of that form that are not empty.
fn fields(page: &Reply, action: &str) -> Vec<(String, String)> {
    let begin = page.body.find(&format!("action=\"{action}\" hidden")).expect("a form");
    let cut = Reply { body: page.body[begin..].to_owned(), ..page.clone() };
    cut.fields(action).into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn challenge(asked: &Value) -> &str {
    asked["challenge"].as_str().expect("a challenge")
}

/// What the script would send.
fn signed(page: &Reply, action: &str, authenticator: &mut Authenticator, handle: &str) -> Vec<(String, String)> {
    let mut sent = fields(page, action);
    let (client, data, signature) = authenticator.sign(challenge(&asked(page, action)));
    for (name, value) in [
        ("credential", base64url(&authenticator.credential)),
        ("client_data", base64url(&client)),
        ("data", base64url(&data)),
        ("signature", base64url(&signature)),
        ("handle", handle.to_owned()),
    ] {
        sent.push((name.to_owned(), value));
    }
    sent
}

async fn send(browser: &mut Browser, world: &World, action: &str, sent: &[(String, String)]) -> Reply {
    let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let reply = browser.post(world, action, &sent).await;
    match reply.header("location").map(str::to_owned) {
        Some(place) if place.starts_with('/') => browser.open(world, &place).await,
        Some(_) | None => reply,
    }
}

/// Makes one, by a browser that is logged in; its handle.
async fn make(browser: &mut Browser, world: &World, authenticator: &Authenticator, name: &str) -> (Reply, String) {
    let page = browser.open(world, "/account/passkey").await;
    let question = asked(&page, "/account/passkey");
    assert_eq!((&question["party"], &question["login"]), (&"mail.example.test".into(), &LOGIN.into()));
    let (client, attestation) = authenticator.make(challenge(&question));
    let mut sent = fields(&page, "/account/passkey");
    for (field, value) in
        [("name", name.to_owned()), ("client_data", base64url(&client)), ("attestation", base64url(&attestation))]
    {
        sent.push((field.to_owned(), value));
    }
    let handle = question["handle"].as_str().expect("a handle").to_owned();
    (send(browser, world, "/account/passkey", &sent).await, handle)
}

/// A world in which Alice has one.
async fn with_one() -> (World, Browser, Authenticator, String) {
    let (world, mut owner, authenticator) = (World::new(), Browser::default(), Authenticator::new(ISSUER));
    owner.log_in(&world, "/account").await;
    let (page, handle) = make(&mut owner, &world, &authenticator, "Phone <1>").await;
    assert!(page.body.contains("Phone &lt;1&gt;"), "{}", page.body);
    (world, owner, authenticator, handle)
}

fn is_in(page: &Reply) -> bool {
    page.body.contains("You are logged in as")
}

#[tokio::test]
async fn a_passkey_opens_the_pages_by_itself() {
    let (world, _, mut authenticator, handle) = with_one().await;
    let mut browser = Browser::default();
    let page = browser.open(&world, &authorize(PUBLIC, "openid", &[])).await;
    let question = asked(&page, "/login/passkey");
    // Nobody learns from the page whose passkeys there are.
    assert_eq!((&question["known"], &question["verified"]), (&serde_json::json!([]), &true.into()));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("script-src 'sha256-") && policy.contains("http://127.0.0.1:4711"), "{policy}");
    let sent = signed(&page, "/login/passkey", &mut authenticator, &handle);
    let consent = send(&mut browser, &world, "/login/passkey", &sent).await;
    let answer = browser.submit(&world, &consent, &[("decision", "allow")]).await;
    let given = world.token(&redeem(&answer.parameter("code").expect("a code"))).await.json();
    let claims = given["id_token"].as_str().expect("an id_token").split('.').nth(1).expect("claims");
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64url")).expect("JSON");
    assert_eq!(claims["amr"], serde_json::json!(["hwk", "user", "mfa"]));
    // The same form once more, in the same browser and in another.
    assert!(!is_in(&send(&mut browser, &world, "/login/passkey", &sent).await));
    assert!(!is_in(&send(&mut Browser::default(), &world, "/login/passkey", &sent).await));
}

#[tokio::test]
async fn what_is_no_passkey_of_theirs_opens_nothing() {
    let (world, _, mut authenticator, handle) = with_one().await;
    let mut browser = Browser::default();
    let elsewhere = Authenticator::new("https://mail.example.test.evil.example");
    let mut stranger = Authenticator::new(ISSUER);
    for (what, wrong) in [
        ("a stranger's", 0),
        ("of another site", 1),
        ("untouched", 2),
        ("nobody verified", 3),
        ("without whose", 4),
        ("somebody else's", 5),
        ("a bit of the signature", 6),
        ("too late", 7),
        ("right", 8),
    ] {
        let page = browser.open(&world, "/login").await;
        let (mut theirs, mut holder) = (handle.clone(), &mut authenticator);
        let (origin, flags) = (holder.origin.clone(), holder.flags);
        match wrong {
            0 => holder = &mut stranger,
            1 => holder.origin.clone_from(&elsewhere.origin),
            2 => holder.flags = 0x04,
            3 => holder.flags = 0x01,
            4 => theirs.clear(),
            5 => theirs = base64url(&[7; 32]),
            _ => {}
        }
        let mut sent = signed(&page, "/login/passkey", holder, &theirs);
        (authenticator.origin, authenticator.flags) = (origin, flags);
        if wrong == 6 {
            let field = sent.iter_mut().find(|(name, _)| name == "signature").expect("a signature");
            let mut octets = URL_SAFE_NO_PAD.decode(&field.1).expect("base64url");
            octets[20] ^= 1;
            field.1 = base64url(&octets);
        }
        if wrong == 7 {
            world.pass(passkeys::GOOD_FOR + Duration::from_secs(1));
        }
        let done = send(&mut browser, &world, "/login/passkey", &sent).await;
        assert_eq!(
            (is_in(&done), done.code),
            (wrong == 8, if wrong == 8 { 200 } else { 403 }),
            "{what}: {}",
            done.body
        );
    }
    // A question of one browser is none of another's, and without the token of the form there is none at all.
    let (mut one, mut other) = (Browser::default(), Browser::default());
    let (page, own) = (one.open(&world, "/login").await, other.open(&world, "/login").await);
    let mut sent = signed(&page, "/login/passkey", &mut authenticator, &handle);
    assert_eq!(send(&mut other, &world, "/login/passkey", &sent).await.code, 403);
    let token = fields(&own, "/login/passkey").into_iter().find(|(name, _)| name == "token").expect("a token");
    *sent.iter_mut().find(|(name, _)| name == "token").expect("a token") = token;
    assert_eq!(send(&mut other, &world, "/login/passkey", &sent).await.code, 403);
    for field in ["question", "credential", "client_data", "data", "signature", "ticket"] {
        let page = one.open(&world, "/login").await;
        let mut sent = signed(&page, "/login/passkey", &mut authenticator, &handle);
        sent.retain(|(name, _)| name != field);
        let done = send(&mut one, &world, "/login/passkey", &sent).await;
        assert!(done.code >= 400 && !is_in(&done), "{field}: {}", done.body);
    }
}

#[tokio::test]
async fn who_is_suspended_or_has_lost_it_stays_out() {
    let (world, mut owner, mut authenticator, handle) = with_one().await;
    let account = world.account;
    let set = |state: State| {
        let by = By::new(world.now(), Actor::Admin);
        world.store.write(Locks::account(account), move |tx| accounts::set_state(tx, &by, account, state))
    };
    set(State::Suspended).await.expect("written");
    let mut browser = Browser::default();
    let page = browser.open(&world, "/login").await;
    let sent = signed(&page, "/login/passkey", &mut authenticator, &handle);
    assert_eq!(send(&mut browser, &world, "/login/passkey", &sent).await.code, 403);
    set(State::Active).await.expect("written");
    let page = browser.open(&world, "/login").await;
    let sent = signed(&page, "/login/passkey", &mut authenticator, &handle);
    assert!(is_in(&send(&mut browser, &world, "/login/passkey", &sent).await));
    // Its owner takes it away: what it opened ends, and it opens nothing any more.
    let page = owner.open(&world, "/account").await;
    let card = page.body.split("<li>").find(|card| card.starts_with("Phone")).expect("its card");
    let id = card.split("name=\"id\" value=\"").nth(1).expect("an id").split('"').next().expect("a number").to_owned();
    let token = page.fields("/logout").into_iter().find(|(name, _)| name == "token").expect("a token").1;
    owner.post(&world, "/account/cut-off", &[("token", &token), ("id", &id)]).await;
    assert!(!is_in(&browser.open(&world, "/account").await));
    let page = browser.open(&world, "/login").await;
    let sent = signed(&page, "/login/passkey", &mut authenticator, &handle);
    assert_eq!(send(&mut browser, &world, "/login/passkey", &sent).await.code, 403);
    assert!(is_in(&owner.open(&world, "/account").await), "what the password opened stays");
}

#[tokio::test]
async fn making_one_wants_a_fresh_log_in_and_its_own_form() {
    let (world, mut owner, authenticator, _) = with_one().await;
    let (again, _) = make(&mut owner, &world, &authenticator, "again").await;
    assert!(again.code == 400 && again.body.contains("known here already"), "{}", again.body);
    let page = owner.open(&world, "/account/passkey").await;
    let question = asked(&page, "/account/passkey");
    assert_eq!(question["known"], serde_json::json!([base64url(&authenticator.credential)]));
    let fresh = Authenticator::new(ISSUER);
    let (client, attestation) = fresh.make(challenge(&question));
    let mut sent = fields(&page, "/account/passkey");
    sent.extend([("client_data".into(), base64url(&client)), ("attestation".into(), base64url(&attestation))]);
    let with = |name: &str, value: &str| {
        let mut sent = sent.clone();
        sent.retain(|(known, _)| known != name);
        sent.push((name.to_owned(), value.to_owned()));
        sent
    };
    for (wrong, code) in
        [(with("token", "AAAA"), 403), (with("question", "AAAA"), 400), (with("attestation", "oA"), 400)]
    {
        assert_eq!(send(&mut owner, &world, "/account/passkey", &wrong).await.code, code, "{wrong:?}");
    }
    // The last of them spent the challenge.
    assert_eq!(send(&mut owner, &world, "/account/passkey", &with("name", "late")).await.code, 400);
    world.pass(Duration::from_secs(31 * 60));
    assert!(owner.open(&world, "/account/passkey").await.body.contains("action=\"/login\""));
    assert!(
        send(&mut owner, &world, "/account/passkey", &with("name", "late")).await.body.contains("action=\"/login\"")
    );
}

#[tokio::test]
async fn behind_the_password_it_is_the_second_step() {
    let (world, mut owner, mut authenticator, _) = with_one().await;
    let page = owner.open(&world, "/account/second-step").await;
    let done = owner.submit_to(&world, &page, "/account/second-step/passkeys", &[]).await;
    let codes: Vec<&str> =
        done.body.split("<li class=\"code\">").skip(1).filter_map(|rest| rest.split('<').next()).collect();
    assert_eq!((done.code, codes.len()), (200, 10), "{}", done.body);
    let mut browser = Browser::default();
    let page = browser.log_in(&world, "/account").await;
    assert_eq!(page.action(), "/login/second-step", "the form that needs no script comes first");
    let question = asked(&page, "/login/second-step");
    assert_eq!(question["known"], serde_json::json!([base64url(&authenticator.credential)]));
    // A touch does, here.
    authenticator.flags = 0x01;
    let sent = signed(&page, "/login/second-step", &mut authenticator, "");
    let mut stranger = Browser::default();
    stranger.log_in(&world, "/account").await;
    assert!(!is_in(&send(&mut stranger, &world, "/login/second-step", &sent).await));
    let wrong = signed(&page, "/login/second-step", &mut Authenticator::new(ISSUER), "");
    assert_eq!(send(&mut browser, &world, "/login/second-step", &wrong).await.code, 403);
    let page = browser.log_in(&world, "/account").await;
    let sent = signed(&page, "/login/second-step", &mut authenticator, "");
    assert!(is_in(&send(&mut browser, &world, "/login/second-step", &sent).await));
    // Without scripts a recovery code does; digits that no authenticator shows do not.
    let mut browser = Browser::default();
    let page = browser.log_in(&world, "/account").await;
    assert_eq!(browser.submit(&world, &page, &[("code", "123456")]).await.code, 403);
    assert!(is_in(&browser.submit(&world, &page, &[("code", codes[0])]).await));
    // It says what it stands on.
    assert!(owner.open(&world, "/account/second-step").await.body.contains("It stands on your passkeys"));
    // New codes and the end of it, by the passkey.
    for (action, says) in
        [("/account/second-step/codes", "New recovery codes"), ("/account/second-step/off", "Turn the second step on")]
    {
        let page = owner.open(&world, "/account/second-step").await;
        let sent = signed(&page, action, &mut authenticator, "");
        let done = send(&mut owner, &world, action, &sent).await;
        assert!(done.body.contains(says), "{action}: {}", done.body);
        assert!(!send(&mut owner, &world, action, &sent).await.body.contains("<li class=\"code\">"), "once");
    }
    let page = Browser::default().log_in(&world, "/account").await;
    assert!(is_in(&page) && !page.body.contains(PASSWORD));
    let page = owner.open(&world, "/account/second-step").await;
    owner.submit_to(&world, &page, "/account/second-step/passkeys", &[]).await;
    let (account, by) = (world.account, By::new(world.now(), Actor::Admin));
    let gone = world.store.write(Locks::account(account), move |tx| passkeys::remove_all(tx, &by, account));
    assert_eq!(gone.await.expect("written").value, 1);
    let page = owner.open(&world, "/account/second-step").await;
    assert!(
        page.body.contains("you have none any more") && !page.body.contains("data-passkey=\"show\""),
        "{}",
        page.body
    );
}
