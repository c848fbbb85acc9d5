//! The ways in, from end to end.

use std::time::Duration;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use postroad_mail::Service;
use serde_json::Value;

use crate::world::{
    Browser, FORM, HERE, ISSUER, LOGIN, PUBLIC, SECRET_KEEPER, World, authorize, form, redeem, request,
};

#[tokio::test]
async fn a_program_is_let_in_and_cut_off() {
    let world = World::new();
    let mut browser = Browser::default();
    let scope = "openid email profile mail:imap offline_access";
    let consent = browser.up_to_consent(&world, &authorize(PUBLIC, scope, &[])).await;
    // What a program calls itself is text.
    assert!(consent.body.contains("Program &lt;desk&gt;") && !consent.body.contains("<desk>"), "{}", consent.body);
    let answer = browser.submit(&world, &consent, &[("decision", "allow")]).await;
    assert_eq!(answer.code, 303);
    assert!(answer.location().starts_with("http://127.0.0.1:4711/cb?"), "{}", answer.location());
    // RFC 9207 §2: whose answer it is.
    assert_eq!(answer.parameter("iss").as_deref(), Some(ISSUER));
    assert_eq!(answer.parameter("state").as_deref(), Some("s t&te"));
    let code = answer.parameter("code").expect("a code");

    let reply = world.token(&redeem(&code)).await;
    assert_eq!((reply.code, reply.header("cache-control")), (200, Some("no-store")), "{}", reply.body);
    let given = reply.json();
    assert_eq!(
        (&given["token_type"], &given["scope"]),
        (&"Bearer".into(), &"mail:imap openid email profile offline_access".into())
    );
    let (access, refresh) = (text(&given, "access_token"), text(&given, "refresh_token"));
    let about = world.userinfo(&access).await.json();
    assert_eq!((&about["email"], &about["name"]), (&LOGIN.into(), &"Alice <A>".into()));
    assert!(opens(&world, &access, Service::Imap) && !opens(&world, &access, Service::Smtp));

    let renewal = [("grant_type", "refresh_token"), ("client_id", PUBLIC), ("refresh_token", refresh.as_str())];
    let renewed = world.token(&renewal).await.json();
    let (second, refresh) = (text(&renewed, "access_token"), text(&renewed, "refresh_token"));
    assert!(opens(&world, &second, Service::Imap));
    // RFC 6749 §6: less than was granted may be asked for, more may not.
    let more = [
        ("grant_type", "refresh_token"),
        ("client_id", PUBLIC),
        ("refresh_token", refresh.as_str()),
        ("scope", "mail:smtp"),
    ];
    assert_eq!(world.token(&more).await.error(), "invalid_scope");

    let revoked = world.post("/oauth/revoke", &[("client_id", PUBLIC), ("token", &refresh)]).await;
    assert_eq!(revoked.code, 200);
    assert!(!opens(&world, &access, Service::Imap) && !opens(&world, &second, Service::Imap));
    let dead = world.userinfo(&second).await;
    assert_eq!(dead.code, 401);
    assert!(dead.header("www-authenticate").is_some_and(|words| words.contains("invalid_token")), "{}", dead.head);
    let gone = [("grant_type", "refresh_token"), ("client_id", PUBLIC), ("refresh_token", refresh.as_str())];
    assert_eq!(world.token(&gone).await.error(), "invalid_grant");
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

fn opens(world: &World, token: &str, service: Service) -> bool {
    world.opens(token, service)
}

#[tokio::test]
async fn who_somebody_is_can_be_verified() {
    let world = World::new();
    let given = world.tokens("openid email").await;
    let token = text(&given, "id_token");
    let parts: Vec<&str> = token.split('.').collect();
    let part = |at: usize| URL_SAFE_NO_PAD.decode(parts[at]).expect("base64url");
    let header: Value = serde_json::from_slice(&part(0)).expect("JSON");
    let claims: Value = serde_json::from_slice(&part(1)).expect("JSON");
    assert_eq!((&header["alg"], parts.len()), (&"RS256".into(), 3));
    // RFC 7517: the key of that name, and only what is public of it.
    let keys = world.raw(HERE, &request("GET", "/oauth/jwks", &[], "")).await.json();
    let key = keys["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == header["kid"]).expect("the key");
    assert!(["d", "p", "q", "dp", "dq", "qi"].iter().all(|private| key.get(private).is_none()), "{key}");
    let number = |name: &str| URL_SAFE_NO_PAD.decode(text(key, name)).expect("base64url");
    let public = RsaPublicKeyComponents { n: number("n"), e: number("e") };
    let signed = format!("{}.{}", parts[0], parts[1]);
    public.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &part(2)).expect("signed by us");
    let other = signed.replacen('.', "A.", 1);
    assert!(public.verify(&RSA_PKCS1_2048_8192_SHA256, other.as_bytes(), &part(2)).is_err());

    let second = world.now().0 / 1_000_000;
    for (name, value) in [
        ("iss", Value::from(ISSUER)),
        ("aud", PUBLIC.into()),
        ("nonce", "n-1".into()),
        ("email", LOGIN.into()),
        ("iat", second.into()),
        ("auth_time", second.into()),
        ("amr", serde_json::json!(["pwd"])),
        ("sub", world.account.to_string().into()),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert!(claims["exp"].as_i64().is_some_and(|ends| ends > second));
    assert!(claims.get("name").is_none(), "nobody asked for the profile");
    // RFC 6749 §3.1.2.1 and OpenID Connect Core §5.3: not without the scope.
    let mail = world.tokens("mail:imap").await;
    assert!(mail.get("id_token").is_none());
    let refused = world.userinfo(&text(&mail, "access_token")).await;
    assert_eq!(refused.code, 403);
    assert!(refused.header("www-authenticate").is_some_and(|words| words.contains("insufficient_scope")));
    let nothing = world.raw(HERE, &request("GET", "/oauth/userinfo", &[], "")).await;
    assert_eq!((nothing.code, nothing.header("www-authenticate")), (401, Some("Bearer realm=\"postroad\"")));
}

#[tokio::test]
async fn what_the_server_can_is_found() {
    let world = World::new();
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let reply = world.raw(HERE, &request("GET", path, &[], "")).await;
        assert_eq!((reply.code, reply.header("content-type")), (200, Some("application/json")));
        let found = reply.json();
        assert_eq!(found["issuer"], ISSUER);
        assert_eq!(found["code_challenge_methods_supported"], serde_json::json!(["S256"]));
        assert_eq!(found["authorization_response_iss_parameter_supported"], true);
        // What is named is there: nothing of it is an unknown page.
        let ends = found
            .as_object()
            .expect("members")
            .iter()
            .filter(|(name, _)| name.ends_with("_endpoint") || name.as_str() == "jwks_uri");
        let mut count = 0;
        for (name, place) in ends {
            let path = place.as_str().and_then(|place| place.strip_prefix(ISSUER)).expect("ours");
            assert_ne!(world.raw(HERE, &request("GET", path, &[], "")).await.code, 404, "{name}");
            count += 1;
        }
        assert_eq!(count, 8);
    }
}

#[tokio::test]
async fn a_device_is_let_in_by_its_code() {
    let world = World::new();
    let asked = world.post("/oauth/device", &[("client_id", PUBLIC), ("scope", "mail:imap offline_access")]).await;
    assert_eq!(asked.code, 200, "{}", asked.body);
    let asked = asked.json();
    let (device, typed) = (text(&asked, "device_code"), text(&asked, "user_code"));
    let poll = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", PUBLIC),
        ("device_code", device.as_str()),
    ];
    assert_eq!(world.token(&poll).await.error(), "authorization_pending");
    assert_eq!(world.token(&poll).await.error(), "slow_down");

    let mut browser = Browser::default();
    let complete = text(&asked, "verification_uri_complete");
    let page = browser.log_in(&world, complete.strip_prefix(ISSUER).expect("ours")).await;
    assert!(page.body.contains(&typed) && page.body.contains("127.0.0.0/24"), "{}", page.body);
    let done = browser.submit(&world, &page, &[("decision", "allow")]).await;
    assert!(done.body.contains("Allowed"), "{}", done.body);
    world.pass(Duration::from_secs(30));
    let given = world.token(&poll).await;
    assert_eq!(given.code, 200, "{}", given.body);
    assert!(opens(&world, &text(&given.json(), "access_token"), Service::Imap));
    assert_eq!(world.token(&poll).await.error(), "invalid_grant", "good once");
    // Another, that nobody knows: not found, and said so.
    let page = browser.open(&world, "/device?user_code=BBBB-BBBB").await;
    assert_eq!(page.code, 404);
}

#[tokio::test]
async fn a_device_may_be_kept_out() {
    let world = World::new();
    let asked = world.post("/oauth/device", &[("client_id", PUBLIC), ("scope", "mail:imap")]).await.json();
    let device = text(&asked, "device_code");
    let mut browser = Browser::default();
    let page = browser.log_in(&world, &format!("/device?user_code={}", text(&asked, "user_code"))).await;
    browser.submit(&world, &page, &[("decision", "deny")]).await;
    let poll = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", PUBLIC),
        ("device_code", device.as_str()),
    ];
    assert_eq!(world.token(&poll).await.error(), "access_denied");
}

#[tokio::test]
async fn a_site_with_a_secret_asks_once_and_looks_tokens_up() {
    let world = World::new();
    let mut browser = Browser::default();
    let redirect = ("redirect_uri", "https://site.example/cb?a=b");
    let path = authorize(SECRET_KEEPER, "openid mail:imap offline_access", &[redirect]);
    let consent = browser.up_to_consent(&world, &path).await;
    let answer = browser.submit(&world, &consent, &[("decision", "allow")]).await;
    assert!(answer.location().starts_with("https://site.example/cb?a=b&code="), "{}", answer.location());
    let code = answer.parameter("code").expect("a code");
    let basic = format!("Authorization: Basic {}", STANDARD.encode(format!("{SECRET_KEEPER}:{}", world.secret)));
    let fields = form(&[
        ("grant_type", "authorization_code"),
        ("code", &code),
        redirect,
        ("code_verifier", crate::world::VERIFIER),
    ]);
    let given = world.raw(HERE, &request("POST", "/oauth/token", &[FORM, &basic], &fields)).await;
    assert_eq!(given.code, 200, "{}", given.body);
    let access = text(&given.json(), "access_token");
    // RFC 7662 §2: for whoever has a secret, and of what is not good no more than that.
    let look = |token: &str| request("POST", "/oauth/introspect", &[FORM, &basic], &form(&[("token", token)]));
    let looked = world.raw(HERE, &look(&access)).await.json();
    for (name, value) in [
        ("active", Value::from(true)),
        ("client_id", SECRET_KEEPER.into()),
        ("username", LOGIN.into()),
        ("scope", "mail:imap openid offline_access".into()),
        ("iss", ISSUER.into()),
    ] {
        assert_eq!(looked[name], value, "{name}");
    }
    assert_eq!(world.raw(HERE, &look("pra_nonsense")).await.json(), serde_json::json!({ "active": false }));
    let stranger = world.post("/oauth/introspect", &[("client_id", PUBLIC), ("token", &access)]).await;
    assert_eq!((stranger.code, stranger.error().as_str()), (401, "invalid_client"));
    // Known and allowed: no second question; for a program on somebody's machine there always is one (RFC 8252 §8.6).
    let again = browser.open(&world, &path).await;
    assert!(again.location().starts_with("https://site.example/cb?a=b&code="), "{again:?}");
    let silent = browser.open(&world, &authorize(PUBLIC, "mail:imap", &[("prompt", "none")])).await;
    assert_eq!(silent.parameter("error").as_deref(), Some("consent_required"));
    let nobody = Browser::default().open(&world, &authorize(PUBLIC, "mail:imap", &[("prompt", "none")])).await;
    assert_eq!(nobody.parameter("error").as_deref(), Some("login_required"));
    assert_eq!(nobody.parameter("iss").as_deref(), Some(ISSUER), "errors say whose they are, too");
}

#[tokio::test]
async fn sessions_are_listed_and_cut_off() {
    let world = World::new();
    let (mut here, mut there) = (Browser::default(), Browser::default());
    here.log_in(&world, "/account").await;
    there.log_in(&world, "/account").await;
    let given = world.tokens("mail:imap").await;
    let page = here.open(&world, "/account").await;
    assert!(page.body.contains("Test &lt;1&gt;") && page.body.contains("Program &lt;desk&gt;"), "{}", page.body);
    // Everything but this browser goes, one after the other.
    let mut rounds = 0;
    loop {
        let page = here.open(&world, "/account").await;
        let cards: Vec<&str> = page.body.split("<li>").skip(1).filter(|card| !card.contains("(this one)")).collect();
        let Some(card) = cards.first() else { break };
        let value = |name: &str| {
            let begin = card.find(&format!("name=\"{name}\" value=\"")).expect("a field") + name.len() + 15;
            card[begin..].split('"').next().expect("a value").to_owned()
        };
        let done = here.post(&world, "/account/cut-off", &[("token", &value("token")), ("id", &value("id"))]).await;
        assert_eq!((done.code, done.location()), (303, "/account"));
        rounds += 1;
        assert!(rounds < 10, "{}", page.body);
    }
    assert!(!opens(&world, &text(&given, "access_token"), Service::Imap));
    assert!(there.open(&world, "/account").await.body.contains("action=\"/login\""), "the other browser is out");
    let page = here.open(&world, "/account").await;
    let out = here.submit_to(&world, &page, "/logout", &[]).await;
    assert_eq!(out.code, 200);
    assert!(here.open(&world, "/account").await.body.contains("action=\"/login\""));
}

#[tokio::test]
async fn a_program_makes_itself_known() {
    let world = World::new();
    let body =
        r#"{"client_name":"Mail <b>","redirect_uris":["http://127.0.0.1/cb"],"scope":"mail:imap offline_access"}"#;
    let made = world.raw(HERE, &request("POST", "/oauth/register", &["Content-Type: application/json"], body)).await;
    assert_eq!(made.code, 201, "{}", made.body);
    let id = text(&made.json(), "client_id");
    assert!(made.json().get("client_secret").is_none());
    let page = Browser::default().up_to_consent(&world, &authorize(&id, "mail:imap mail:smtp", &[])).await;
    // Nobody knows it, and the page says so; it gets no more than it said it wants.
    assert!(page.body.contains("Nobody has verified") && page.body.contains("Mail &lt;b&gt;"), "{}", page.body);
    let other = r#"{"redirect_uris":["https://evil.example/cb"]}"#;
    let refused =
        world.raw(HERE, &request("POST", "/oauth/register", &["Content-Type: application/json"], other)).await;
    assert_eq!((refused.code, refused.error().as_str()), (400, "invalid_redirect_uri"));
}
