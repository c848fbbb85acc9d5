//! What others try.

use std::time::Duration;

use postroad_identity::cuts;
use postroad_mail::accounts::{self, State};
use postroad_mail::{Actor, By, Service};
use postroad_store::Locks;

use crate::world::{Browser, FORM, HERE, LOGIN, PASSWORD, PUBLIC, REDIRECT, World, authorize, form, redeem, request};

fn is_good(world: &World, token: &str) -> bool {
    world.opens(token, Service::Imap)
}

#[tokio::test]
async fn a_code_that_comes_twice_takes_away_what_it_gave() {
    let world = World::new();
    let code = world.code("mail:imap offline_access").await;
    let given = world.token(&redeem(&code)).await.json();
    let access = given["access_token"].as_str().expect("a token");
    assert!(is_good(&world, access));
    let again = world.token(&redeem(&code)).await;
    assert_eq!((again.code, again.error().as_str()), (400, "invalid_grant"));
    assert!(!is_good(&world, access), "whoever has it, it may have been stolen");
    let refresh = given["refresh_token"].as_str().expect("a token");
    let renewal = [("grant_type", "refresh_token"), ("client_id", PUBLIC), ("refresh_token", refresh)];
    assert_eq!(world.token(&renewal).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_code_is_good_for_its_program_alone() {
    let world = World::new();
    for (name, value) in [
        ("code_verifier", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("redirect_uri", "http://127.0.0.1:4712/cb"),
        ("client_id", "other"),
        ("code", "prc_AAAA"),
    ] {
        let code = world.code("mail:imap").await;
        let mut fields = redeem(&code);
        for field in fields.iter_mut().filter(|(known, _)| *known == name) {
            field.1 = value;
        }
        assert_eq!(world.token(&fields).await.error(), "invalid_grant", "{name}");
    }
    let code = world.code("mail:imap").await;
    let unknown = redeem(&code).map(|(name, value)| (name, if name == "client_id" { "no" } else { value }));
    assert_eq!(world.token(&unknown).await.code, 401);
    // And not after its time.
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.token(&redeem(&code)).await.error(), "invalid_grant");
    for missing in ["code_verifier", "redirect_uri", "code", "grant_type"] {
        let code = world.code("mail:imap").await;
        let fields: Vec<(&str, &str)> = redeem(&code).into_iter().filter(|(name, _)| *name != missing).collect();
        assert_eq!(world.token(&fields).await.error(), "invalid_request", "{missing}");
    }
}

#[tokio::test]
async fn an_old_refresh_token_takes_its_grant_away() {
    let world = World::new();
    let given = world.tokens("mail:imap offline_access").await;
    let first = given["refresh_token"].as_str().expect("a token").to_owned();
    let renew = |token: String| {
        let world = &world;
        async move {
            let fields = [("grant_type", "refresh_token"), ("client_id", PUBLIC), ("refresh_token", token.as_str())];
            world.token(&fields).await
        }
    };
    let second = renew(first.clone()).await.json();
    world.pass(Duration::from_secs(300));
    let third = renew(second["refresh_token"].as_str().expect("a token").to_owned()).await.json();
    let access = third["access_token"].as_str().expect("a token").to_owned();
    assert!(is_good(&world, &access));
    assert_eq!(renew(first).await.error(), "invalid_grant");
    assert!(!is_good(&world, &access));
    assert_eq!(renew(third["refresh_token"].as_str().expect("a token").to_owned()).await.error(), "invalid_grant");
}

#[tokio::test]
async fn nobody_is_sent_where_the_program_does_not_answer() {
    let world = World::new();
    for place in [
        "https://evil.example/",
        "http://127.0.0.1:4711/other",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "http://evil.example#http://127.0.0.1/cb",
        "javascript:alert(1)",
        "//evil.example/cb",
    ] {
        let reply = Browser::default().open(&world, &authorize(PUBLIC, "mail:imap", &[("redirect_uri", place)])).await;
        assert_eq!((reply.code, reply.header("location")), (400, None), "{place}");
        assert!(!reply.body.contains("<script") && !reply.body.contains("href=\"javascript"), "{}", reply.body);
    }
    // Behind the log-in page leads only what we sealed.
    for ticket in ["https://evil.example/", "//evil.example", "AAAA"] {
        let reply = Browser::default().open(&world, &format!("/login?ticket={}", ticket.replace('/', "%2F"))).await;
        assert_eq!((reply.code, reply.header("location")), (400, None), "{ticket}");
    }
    let posted = form(&[("client_id", PUBLIC), ("redirect_uri", "https://evil.example/")]);
    let reply = world.raw(HERE, &request("POST", "/oauth/authorize", &[FORM], &posted)).await;
    assert!(reply.location().starts_with("/oauth/authorize?"), "{}", reply.location());
}

#[tokio::test]
async fn what_a_program_may_not_ask_for_it_is_told() {
    let world = World::new();
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("scope", "https://mail.google.com/", "invalid_scope"),
        ("request", "eyJ", "request_not_supported"),
        ("request_uri", "https://evil.example/r", "request_uri_not_supported"),
        ("prompt", "none login", "invalid_request"),
        ("max_age", "-1", "invalid_request"),
    ] {
        let reply = Browser::default().open(&world, &authorize(PUBLIC, "mail:imap", &[(name, value)])).await;
        assert!(reply.location().starts_with(REDIRECT), "{name}: {reply:?}");
        assert_eq!(reply.parameter("error").as_deref(), Some(error), "{name}");
        assert_eq!(reply.parameter("state").as_deref(), Some("s t&te"), "{name}");
    }
}

#[tokio::test]
async fn forms_of_others_decide_nothing() {
    let world = World::new();
    let path = authorize(PUBLIC, "mail:imap", &[]);
    let mut browser = Browser::default();
    let consent = browser.up_to_consent(&world, &path).await;
    let fields = consent.fields("/oauth/consent");
    let ticket = fields.iter().find(|(name, _)| name == "ticket").expect("a ticket").1.clone();
    let token = fields.iter().find(|(name, _)| name == "token").expect("a token").1.clone();
    let mut attacker = Browser::default();
    attacker.log_in(&world, "/account").await;
    let page = attacker.open(&world, "/account").await;
    let theirs = page.fields("/logout").into_iter().find(|(name, _)| name == "token").expect("a token").1;
    for sent in ["", "AAAA", theirs.as_str()] {
        let sent = [("ticket", ticket.as_str()), ("token", sent), ("decision", "allow")];
        let reply = browser.clone().post(&world, "/oauth/consent", &sent).await;
        assert_eq!((reply.code, reply.header("location")), (403, None), "{sent:?}");
    }
    // The right token, but from another site: what browsers say of it.
    for header in ["Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        let mut framed = browser.clone();
        framed.headers.push(header.into());
        let sent = [("ticket", ticket.as_str()), ("token", token.as_str()), ("decision", "allow")];
        assert_eq!(framed.post(&world, "/oauth/consent", &sent).await.code, 403, "{header}");
    }
    // Nobody is logged in by a form of somebody else (RFC 9700 §4.7), nor logged out.
    let mut fresh = Browser::default();
    let page = fresh.open(&world, "/login").await;
    let ticket = page.fields("/login").into_iter().find(|(name, _)| name == "ticket").expect("a ticket").1;
    let typed = [("ticket", ticket.as_str()), ("token", "AAAA"), ("login", LOGIN), ("password", PASSWORD)];
    let reply = fresh.post(&world, "/login", &typed).await;
    assert_eq!((reply.code, fresh.cookies.contains_key("postroad-session")), (403, false));
    assert_eq!(browser.post(&world, "/logout", &[("token", "AAAA")]).await.code, 403);
    assert_eq!(browser.post(&world, "/account/cut-off", &[("token", "AAAA"), ("id", "1")]).await.code, 403);
    assert_eq!(browser.open(&world, "/account").await.code, 200);
    // The honest answer still works.
    assert!(browser.submit(&world, &consent, &[("decision", "allow")]).await.parameter("code").is_some());
    // A no is told, too.
    let consent = browser.open(&world, &path).await;
    let no = browser.submit(&world, &consent, &[("decision", "deny")]).await;
    assert_eq!(no.parameter("error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn a_log_in_makes_a_new_session() {
    let world = World::new();
    let mut browser = Browser::default();
    browser.cookies.insert("postroad-session".into(), "prs_prepared".into());
    browser.log_in(&world, "/account").await;
    let first = browser.cookies["postroad-session"].clone();
    assert_ne!(first, "prs_prepared");
    let old = browser.clone();
    let page = browser.open(&world, "/login").await;
    browser.submit(&world, &page, &[("login", LOGIN), ("password", PASSWORD)]).await;
    assert_ne!(browser.cookies["postroad-session"], first);
    assert!(old.clone().open(&world, "/account").await.body.contains("action=\"/login\""), "the old one is over");
    // A wrong password says no more than that, and for nobody the same.
    let mut answers = Vec::new();
    for login in [LOGIN, "nobody@example.test"] {
        let mut browser = Browser::default();
        let page = browser.open(&world, "/login").await;
        let reply = browser.submit(&world, &page, &[("login", login), ("password", "wrong")]).await;
        assert_eq!((reply.code, browser.cookies.contains_key("postroad-session")), (403, false));
        let alert =
            reply.body.split("role=\"alert\">").nth(1).expect("why").split('<').next().expect("words").to_owned();
        answers.push(alert);
    }
    assert_eq!(answers[0], answers[1]);
}

/// What an account may while it is suspended, whichever step of being let in it has reached.
#[tokio::test]
async fn who_is_suspended_on_the_way_gets_no_token() {
    let world = World::new();
    let account = world.account;
    let set = |state: State| {
        let by = By::new(world.now(), Actor::Admin);
        world.store.write(Locks::account(account), move |tx| {
            accounts::set_state(tx, &by, account, state)?;
            if state == State::Suspended { cuts::suspend(tx, account, by.now) } else { Ok(()) }
        })
    };
    // Between logging in and saying yes.
    let mut browser = Browser::default();
    let consent = browser.up_to_consent(&world, &authorize(PUBLIC, "mail:imap", &[])).await;
    set(State::Suspended).await.expect("written");
    let answer = browser.submit(&world, &consent, &[("decision", "allow")]).await;
    assert!(answer.header("location").is_none() && answer.body.contains("action=\"/login\""), "{answer:?}");
    set(State::Active).await.expect("written");
    // Between saying yes and the program's coming, and the code is no good afterwards.
    let code = world.code("mail:imap").await;
    set(State::Suspended).await.expect("written");
    assert_eq!(world.token(&redeem(&code)).await.error(), "invalid_grant");
    set(State::Active).await.expect("written");
    assert_eq!(world.token(&redeem(&code)).await.error(), "invalid_grant");
    // With tokens: neither opens anything until the suspension ends.
    let given = world.tokens("mail:imap").await;
    let [access, refresh] = ["access_token", "refresh_token"].map(|name| given[name].as_str().expect("a token"));
    set(State::Suspended).await.expect("written");
    let renewal = [("grant_type", "refresh_token"), ("client_id", PUBLIC), ("refresh_token", refresh)];
    assert_eq!(world.token(&renewal).await.error(), "invalid_grant");
    assert!(!world.opens(access, Service::Imap));
    set(State::Active).await.expect("written");
    assert!(world.opens(access, Service::Imap));
    assert_eq!(world.token(&renewal).await.code, 200);
    // A device that was let in and has not asked since.
    let asked = world.post("/oauth/device", &[("client_id", PUBLIC), ("scope", "mail:imap")]).await.json();
    let [device, typed] = ["device_code", "user_code"].map(|name| asked[name].as_str().expect("a code"));
    let page = browser.log_in(&world, &format!("/device?user_code={typed}")).await;
    assert!(browser.submit(&world, &page, &[("decision", "allow")]).await.body.contains("goes on by itself"));
    set(State::Suspended).await.expect("written");
    let poll = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", PUBLIC),
        ("device_code", device),
    ];
    assert_eq!(world.token(&poll).await.error(), "access_denied");
}

#[tokio::test]
async fn pages_are_not_framed_kept_or_filled() {
    let world = World::new();
    let mut browser = Browser::default();
    browser.log_in(&world, "/account").await;
    for path in
        ["/login", "/account", "/device", "/device?user_code=%3Cscript%3E", &authorize(PUBLIC, "mail:imap", &[])]
    {
        let reply = browser.open(&world, path).await;
        let policy = reply.header("content-security-policy").expect("a policy");
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{path}");
        }
        assert!(!reply.runs_others_scripts(), "{path}: {}", reply.body);
    }
}

#[tokio::test]
async fn too_much_and_in_clear_is_refused() {
    let world = World::new();
    let long = "a".repeat(20_000);
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/device", "/login", "/oauth/consent", "/oauth/register"] {
        let reply = world.post(path, &[("client_id", PUBLIC), ("x", &long)]).await;
        assert!((400..500).contains(&reply.code), "{path}: {}", reply.code);
    }
    // Passwords and tokens cross no network in clear.
    for path in ["/login", "/oauth/authorize", "/oauth/token", "/account"] {
        let reply = world.raw("203.0.113.9", &request("GET", path, &[], "")).await;
        assert_eq!(reply.code, 403, "{path}");
    }
    // A form that says it is something else, and a client that shows itself twice.
    let code = world.code("mail:imap").await;
    let fields = form(&redeem(&code));
    let reply = world.raw(HERE, &request("POST", "/oauth/token", &["Content-Type: text/plain"], &fields)).await;
    assert_eq!(reply.error(), "invalid_request");
    let twice = format!("{fields}&client_id=other");
    let reply = world.raw(HERE, &request("POST", "/oauth/token", &[FORM], &twice)).await;
    assert_eq!(reply.error(), "invalid_request");
}

#[tokio::test]
async fn codes_of_devices_are_not_guessed() {
    let world = World::new();
    let mut browser = Browser::default();
    browser.log_in(&world, "/device").await;
    let mut codes = Vec::new();
    for number in 0..12 {
        let letter = char::from(b"BCDFGHJKLMNP"[number]);
        let code: String = std::iter::repeat_n(letter, 8).collect();
        codes.push(browser.open(&world, &format!("/device?user_code={code}")).await.code);
    }
    assert_eq!((codes[0], codes[11]), (404, 429), "{codes:?}");
}
