//! Tokens from our own provider: curl is the device that asks (RFC 8628) and the person that allows it on the pages.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::program::{PASSWORD, Server, postroad, run, run_in};

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
    let jar = tempfile::tempdir().expect("a folder");
    let browse = |more: &[&str]| browse(jar.path(), more);
    let page = browse(&[&format!("{base}/device?user_code={code}")]);
    let (ticket, token) = (hidden(&page, "ticket"), hidden(&page, "token"));
    let (login, password) = (format!("login={who}"), format!("password={PASSWORD}"));
    let posted = |path: &str, fields: &[&str]| {
        let url = format!("{base}{path}");
        let mut arguments = vec![url.as_str()];
        for field in fields {
            arguments.extend(["--data-urlencode", field]);
        }
        browse(&arguments)
    };
    let page = posted("/login", &[&format!("ticket={ticket}"), &format!("token={token}"), &login, &password]);
    assert!(page.contains("Let this device in?"), "{page}");
    let (token, typed) = (hidden(&page, "token"), hidden(&page, "user_code"));
    let page = posted("/device", &[&format!("token={token}"), &format!("user_code={typed}"), "decision=allow"]);
    assert!(page.contains("<h1>Allowed"), "{page}");
}

/// A browser's turn: follows redirections, keeps cookies.
pub(crate) fn browse(jar: &Path, more: &[&str]) -> String {
    run_in(jar, "curl", &[&["-sSL", "-c", "jar", "-b", "jar"], more].concat(), b"").good()
}

/// The value of a hidden field of the page's form.
pub(crate) fn hidden(page: &str, name: &str) -> String {
    let field = format!("name=\"{name}\" value=\"");
    let at = page.find(&field).unwrap_or_else(|| panic!("no {name} in {page}"));
    let rest = &page[at + field.len()..];
    rest[..rest.find('"').expect("the value ends")].to_owned()
}
