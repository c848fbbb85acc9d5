//! Parameters of any kind: an answer each time, never a failure of ours, never a way out.

use std::sync::{Arc, Mutex};

use crate::world::{HERE, PUBLIC, World, authorize, form, request};

/// Inputs come first, since nothing can be awaited where they are made.
fn inputs() -> Vec<(u8, String, Vec<u8>)> {
    let inputs = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&inputs);
    postroad_fuzz::check!(150).with_type::<(u8, String, Vec<u8>)>().for_each(move |input| {
        all.lock().expect("one at a time").push(input.clone());
    });
    let inputs = inputs.lock().expect("nobody else").clone();
    assert!(!inputs.is_empty());
    inputs
}

const NAMES: [&str; 14] = [
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "prompt",
    "max_age",
    "code_challenge",
    "login_hint",
    "ticket",
    "user_code",
    "code",
    "refresh_token",
    "token",
];

#[tokio::test]
async fn fuzz_parameters() {
    let world = World::new();
    for (which, text, octets) in inputs() {
        let name = NAMES[usize::from(which) % NAMES.len()];
        let text: String = text.chars().take(200).collect();
        let raw: String = octets.iter().take(100).map(|octet| format!("%{octet:02x}")).collect();
        for path in [
            authorize(PUBLIC, "mail:imap", &[(name, &text)]),
            format!("/oauth/authorize?{raw}"),
            format!("/login?{}", form(&[(name, &text)])),
            format!("/device?{name}={raw}"),
            format!("/oauth/continue?ticket={raw}"),
        ] {
            let reply = world.raw(HERE, &request("GET", &path, &[], "")).await;
            assert!((200..500).contains(&reply.code), "{path}: {}", reply.code);
            if let Some(place) = reply.header("location") {
                assert!(
                    place.starts_with("/login?ticket=") || place.starts_with("http://127.0.0.1:4711/cb?"),
                    "{place}"
                );
            }
            assert!(!reply.runs_others_scripts(), "{path}");
        }
        let grant = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"];
        let fields = [
            ("grant_type", grant[usize::from(which) % 3]),
            ("client_id", PUBLIC),
            ("code", &text),
            ("redirect_uri", &text),
            ("code_verifier", &text),
            ("refresh_token", &text),
            ("device_code", &text),
            ("token", &text),
        ];
        for path in ["/oauth/token", "/oauth/revoke", "/oauth/device"] {
            let reply = world.post(path, &fields).await;
            assert!(
                (200..500).contains(&reply.code) && reply.code != 429 || path == "/oauth/device",
                "{path}: {reply:?}"
            );
            assert!(reply.body.is_empty() || !reply.body.contains("access_token"), "{reply:?}");
        }
        let reply = world.userinfo(&raw).await;
        assert!(reply.code == 401 || reply.code == 400, "{reply:?}");
    }
}
