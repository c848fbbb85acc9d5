use super::*;
use postroad_identity::clients::{self, NewClient};
use postroad_testkit::each_store;

/// A client as the database gives it.
fn client(confidential: bool) -> Client {
    let made = std::cell::RefCell::new(None);
    each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
        let new = NewClient {
            id: Some("app".into()),
            name: "App".into(),
            redirects: vec!["https://app.example/cb".into(), "http://127.0.0.1/cb".into()],
            scopes: Scopes::parse("mail:imap openid offline_access"),
            confidential,
            registered: false,
        };
        let added = test.store.write_blocking(postroad_store::Locks::none(), move |tx| {
            clients::add(tx, &new, Timestamp(1)).map(|(client, _)| client)
        });
        made.replace(Some(added.expect("added").value));
    });
    made.into_inner().expect("a store ran")
}

const GOOD: &str = "client_id=app&redirect_uri=https://app.example/cb&response_type=code&scope=openid+mail:imap&state=s%26\
                    &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

fn changed(from: &str, to: &str) -> Form {
    assert!(GOOD.contains(from), "{from}");
    Form::parse(GOOD.replace(from, to).as_bytes()).expect("a form")
}

#[test]
fn what_is_wrong_is_told_to_whom_it_may_be_told() {
    let client = client(false);
    let good = read(&Form::parse(GOOD.as_bytes()).expect("a form"), Some(&client)).expect("good");
    assert_eq!((good.redirect.as_str(), good.state.as_deref()), ("https://app.example/cb", Some("s&")));
    assert_eq!(good.scopes, Scopes::parse("openid mail:imap"));
    assert!(matches!(read(&changed("app", "app"), None), Err(Refusal::Page(_))));
    for redirect in
        ["https://evil.example/", "https://app.example/cb/", "https://app.example/cb%23x", "", "javascript:1"]
    {
        let form = changed("redirect_uri=https://app.example/cb", &format!("redirect_uri={redirect}"));
        assert!(matches!(read(&form, Some(&client)), Err(Refusal::Page(_))), "{redirect}");
    }
    let loopback = changed("https://app.example/cb", "http://127.0.0.1:4000/cb");
    assert_eq!(read(&loopback, Some(&client)).expect("good").redirect, "http://127.0.0.1:4000/cb");
    for (from, to, wrong) in [
        ("response_type=code", "response_type=token", "unsupported_response_type"),
        ("response_type=code", "response_type=code+id_token", "unsupported_response_type"),
        ("response_type=code", "", "invalid_request"),
        ("=S256", "=plain", "invalid_request"),
        ("&code_challenge_method=S256", "", "invalid_request"),
        ("code_challenge=E9", "code_challenge=9", "invalid_request"),
        ("openid+mail:imap", "mail:smtp", "invalid_scope"),
        ("openid+mail:imap", "", "invalid_scope"),
        ("&state", "&prompt=none+login&state", "invalid_request"),
        ("&state", "&prompt=create&state", "invalid_request"),
        ("&state", "&max_age=-1&state", "invalid_request"),
        ("&state", "&request=x&state", "request_not_supported"),
        ("&state", "&request_uri=x&state", "request_uri_not_supported"),
        ("&state", "&response_mode=fragment&state", "invalid_request"),
    ] {
        match read(&changed(from, to), Some(&client)) {
            Err(Refusal::Redirect { to, state, error, .. }) => {
                assert_eq!((to.as_str(), state.as_deref(), error), ("https://app.example/cb", Some("s&"), wrong));
            }
            other => panic!("{from} {to}: {other:?}"),
        }
    }
    let more = changed("openid+mail:imap", "openid+mail:imap+mail:smtp+unknown");
    assert_eq!(read(&more, Some(&client)).expect("good").scopes, Scopes::parse("openid mail:imap"));
}

#[test]
fn who_is_asked_what() {
    let (public, confidential) = (client(false), client(true));
    let session = |authenticated: i64, complete: bool| Session {
        id: 1,
        account: postroad_store::AccountId(1),
        steps: "pwd".into(),
        complete,
        authenticated: Timestamp(authenticated * 1_000_000),
        created: Timestamp(0),
        last_used: Timestamp(0),
        network: String::new(),
        agent: String::new(),
    };
    let refuse = Next::Refuse;
    let (asked, now) = (Timestamp(1_000_000_000), Timestamp(1_010_000_000));
    for (more, client, session, allowed, expected) in [
        ("", &public, None, false, Next::LogIn),
        ("", &public, Some(session(900, true)), false, Next::Consent),
        ("", &public, Some(session(900, false)), false, Next::LogIn),
        ("", &public, Some(session(900, true)), true, Next::Consent),
        ("", &confidential, Some(session(900, true)), true, Next::Answer),
        ("", &confidential, Some(session(900, true)), false, Next::Consent),
        ("&prompt=consent", &confidential, Some(session(900, true)), true, Next::Consent),
        ("&prompt=login", &confidential, Some(session(900, true)), true, Next::LogIn),
        ("&prompt=login", &confidential, Some(session(1_005, true)), true, Next::Answer),
        ("&prompt=none", &public, None, false, refuse("login_required")),
        ("&prompt=none", &public, Some(session(900, true)), true, refuse("consent_required")),
        ("&prompt=none", &confidential, Some(session(900, true)), true, Next::Answer),
        ("&max_age=60", &confidential, Some(session(900, true)), true, Next::LogIn),
        ("&max_age=600", &confidential, Some(session(900, true)), true, Next::Answer),
        ("&max_age=0", &confidential, Some(session(1_005, true)), true, Next::Answer),
        ("&max_age=0", &confidential, Some(session(999, true)), true, Next::LogIn),
        ("&max_age=0&prompt=none", &confidential, Some(session(999, true)), true, refuse("login_required")),
    ] {
        let form = Form::parse(format!("{GOOD}{more}").as_bytes()).expect("a form");
        let request = read(&form, Some(client)).expect("good");
        let found = next(&request, client, session.as_ref(), allowed, asked, now);
        assert_eq!(found, expected, "{more} {session:?}");
    }
}
