//! Tokens from our own provider: curl is the device that asks (RFC 8628) and the person that allows it on the pages.

use std::sync::atomic::{AtomicUsize, Ordering};

use postroad_testkit::pages;

use super::program::{PASSWORD, Server, postroad, run};

/// A token of `who` for these scopes, of a program made known for it.
pub(crate) fn token(server: &Server, who: &str, scopes: &str) -> String {
    static PROGRAMS: AtomicUsize = AtomicUsize::new(0);
    let client = format!("program-{}", PROGRAMS.fetch_add(1, Ordering::Relaxed));
    postroad(server, &["oauth", "client", "add", "A program", "--id", &client]).good();
    let base = format!("http://127.0.0.1:{}", server.port(8080));
    let (client, scope) = (format!("client_id={client}"), format!("scope={scopes}"));
    let asked = json(&post(&base, "/oauth/device", &[&client, &scope]));
    let code = asked["user_code"].as_str().expect("a code").to_owned();
    allow(&base, who, &code);
    let device = format!("device_code={}", asked["device_code"].as_str().expect("a code"));
    let grant = "grant_type=urn:ietf:params:oauth:grant-type:device_code";
    let given = json(&post(&base, "/oauth/token", &[&client, grant, &device]));
    given["access_token"].as_str().unwrap_or_else(|| panic!("no token: {given}")).to_owned()
}

pub(crate) fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn post(base: &str, path: &str, fields: &[&str]) -> String {
    let url = format!("{base}{path}");
    let mut arguments = vec!["-sS", &url];
    for field in fields {
        arguments.extend(["--data-urlencode", field]);
    }
    run("curl", &arguments, b"").good()
}

/// Logs in on the pages and allows what shows this code.
pub(crate) fn allow(base: &str, who: &str, code: &str) {
    pages::allow(&format!("{base}/device?user_code={code}"), who, PASSWORD);
}
