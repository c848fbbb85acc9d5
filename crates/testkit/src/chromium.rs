//! A real browser: Chromium of Debian's package, driven by ChromeDriver of `chromium-driver` over its HTTP interface.
//!
//! Each has a profile of its own in a folder that goes with it. Certificates of tests are good enough for it.
//!
//! Standards: WebDriver; WebAuthn level 2 §11 (virtual authenticators).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::janitor::Janitor;
use crate::process::Process;
use crate::run::eventually;

/// A running browser with one window. It ends when the value is dropped or the process ends.
#[derive(Debug)]
pub struct Chromium {
    _driver: Process,
    port: u16,
    session: String,
    _janitor: Janitor,
}

/// Whether pages may run scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scripts {
    /// As usual.
    On,
    /// Switched off by its user.
    Off,
}

impl Chromium {
    /// Starts one.
    ///
    /// # Panics
    /// When Chromium or ChromeDriver is not installed or does not start.
    pub fn start(scripts: Scripts) -> Chromium {
        for (program, package) in [("/usr/bin/chromium", "chromium"), ("/usr/bin/chromedriver", "chromium-driver")] {
            assert!(Path::new(program).exists(), "{program} is missing: apt-get install {package}");
        }
        let folder = tempfile::Builder::new().prefix("postroad-chromium-").tempdir().expect("a folder").keep();
        let janitor = Janitor::of_daemon(&folder, &["sh", "-c", END, "end", &folder.display().to_string()]);
        let log = folder.join("chromedriver.log");
        let line =
            format!("echo ready; HOME={0} exec chromedriver --port=0 --log-path={1}", folder.display(), log.display());
        let driver = Process::start("/bin/sh", &["-c", &line]);
        let port = eventually("the port of ChromeDriver", || {
            let said = driver.printed();
            said.split("started successfully on port ").nth(1)?.split('.').next()?.trim().parse().ok()
        });
        let mut browser = Chromium { _driver: driver, port, session: String::new(), _janitor: janitor };
        let made =
            browser.ask("POST", "/session", &json!({ "capabilities": { "alwaysMatch": wanted(&folder, scripts) } }));
        browser.session = made["sessionId"].as_str().expect("a session").to_owned();
        browser
    }

    /// Opens a page, and waits until it is there.
    pub fn open(&self, address: &str) {
        self.order("POST", "/url", &json!({ "url": address }));
    }

    /// The address of the page.
    pub fn address(&self) -> String {
        self.text(&self.order("GET", "/url", &Value::Null))
    }

    /// What stands on the page, as it is seen.
    pub fn seen(&self) -> String {
        let body = self.find("body").expect("a page has a body");
        self.text(&self.order("GET", &format!("/element/{body}/text"), &Value::Null))
    }

    /// The page as HTML.
    pub fn source(&self) -> String {
        self.text(&self.order("GET", "/source", &Value::Null))
    }

    /// The first element that a CSS selector finds.
    pub fn find(&self, selector: &str) -> Option<String> {
        let found = self.order("POST", "/elements", &json!({ "using": "css selector", "value": selector }));
        let element = found.as_array().and_then(|all| all.first())?.as_object()?.values().next()?.as_str()?;
        Some(element.to_owned())
    }

    /// Whether an element is there to be seen.
    pub fn shows(&self, selector: &str) -> bool {
        self.find(selector).is_some_and(|element| {
            self.order("GET", &format!("/element/{element}/displayed"), &Value::Null) == Value::Bool(true)
        })
    }

    /// Types into a field, in place of what was there.
    pub fn fill(&self, selector: &str, typed: &str) {
        let element = self.find(selector).unwrap_or_else(|| panic!("no {selector} on\n{}", self.source()));
        self.order("POST", &format!("/element/{element}/clear"), &json!({}));
        self.order("POST", &format!("/element/{element}/value"), &json!({ "text": typed }));
    }

    /// Clicks on what a selector finds.
    pub fn click(&self, selector: &str) {
        let element = self.find(selector).unwrap_or_else(|| panic!("no {selector} on\n{}", self.source()));
        self.order("POST", &format!("/element/{element}/click"), &json!({}));
    }

    /// Clicks on what an XPath finds.
    pub fn click_on(&self, path: &str) {
        let found = self.order("POST", "/element", &json!({ "using": "xpath", "value": path }));
        let element =
            found.as_object().and_then(|one| one.values().next()).and_then(Value::as_str).expect("an element");
        self.order("POST", &format!("/element/{element}/click"), &json!({}));
    }

    /// Waits until the page says this.
    ///
    /// # Panics
    /// When it does not, with what it says.
    pub fn await_words(&self, words: &str) {
        let seen = crate::run::in_time(|| self.try_seen().filter(|seen| seen.contains(words)));
        assert!(seen.is_some(), "`{words}` does not come; at {} stands\n{}", self.address(), self.source());
    }

    /// The name and value of its cookies for the page.
    pub fn forget_cookies(&self) {
        self.order("DELETE", "/cookie", &Value::Null);
    }

    /// Gives it an authenticator; its name. `options` as in WebAuthn level 2 §11.2.
    pub fn add_authenticator(&self, options: &Value) -> String {
        self.text(&self.order("POST", "/webauthn/authenticator", options))
    }

    /// Takes one away.
    pub fn remove_authenticator(&self, name: &str) {
        self.order("DELETE", &format!("/webauthn/authenticator/{name}"), &Value::Null);
    }

    /// What is in one (§11.5).
    pub fn credentials(&self, authenticator: &str) -> Vec<Value> {
        let all = self.order("GET", &format!("/webauthn/authenticator/{authenticator}/credentials"), &Value::Null);
        all.as_array().expect("a list").clone()
    }

    /// Puts a credential into one (§11.4), such as one that another had.
    pub fn put_credential(&self, authenticator: &str, credential: &Value) {
        self.order("POST", &format!("/webauthn/authenticator/{authenticator}/credential"), credential);
    }

    /// Takes a credential out (§11.6).
    pub fn remove_credential(&self, authenticator: &str, id: &str) {
        self.order("DELETE", &format!("/webauthn/authenticator/{authenticator}/credentials/{id}"), &Value::Null);
    }

    /// Whether one says from now on that it has verified who holds it (§11.8).
    pub fn verifies(&self, authenticator: &str, verified: bool) {
        self.order(
            "POST",
            &format!("/webauthn/authenticator/{authenticator}/uv"),
            &json!({ "isUserVerified": verified }),
        );
    }

    /// What a script says: for looking, never for what a person does.
    pub fn run(&self, script: &str) -> Value {
        self.order("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// While a page goes another may already be there.
    fn try_seen(&self) -> Option<String> {
        let body = json!({ "using": "css selector", "value": "body" });
        let found = self.answer("POST", &self.path("/elements"), &body).ok()?;
        let element = found.as_array()?.first()?.as_object()?.values().next()?.as_str()?.to_owned();
        let text = self.answer("GET", &self.path(&format!("/element/{element}/text")), &Value::Null).ok()?;
        Some(text.as_str()?.to_owned())
    }

    fn text(&self, value: &Value) -> String {
        value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
    }

    fn path(&self, path: &str) -> String {
        format!("/session/{}{path}", self.session)
    }

    fn order(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, &self.path(path), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.answer(method, path, body).unwrap_or_else(|why| panic!("{method} {path} {body}: {why}"))
    }

    /// One request of WebDriver; its value, or what is wrong.
    fn answer(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            self.port,
            body.len()
        );
        let answer = self.exchange(request.as_bytes()).map_err(|error| format!("ChromeDriver: {error}"))?;
        let mut answer: Value = serde_json::from_slice(&answer).map_err(|error| format!("no answer: {error}"))?;
        match answer["value"].take() {
            value if value.get("error").is_some() => Err(value.to_string()),
            value => Ok(value),
        }
    }

    fn exchange(&self, request: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(request)?;
        // The browser inherits the connection in which it is asked for, so that its end tells nothing.
        let mut socket = BufReader::new(socket);
        let mut length = 0;
        loop {
            let mut line = String::new();
            if socket.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
        }
        let mut answer = vec![0; length];
        socket.read_exact(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // ChromeDriver ends the browser; where it cannot any more, the janitor does.
        let _ = self.answer("DELETE", &format!("/session/{}", self.session), &Value::Null);
    }
}

fn wanted(folder: &Path, scripts: Scripts) -> Value {
    let mut arguments: Vec<String> = ARGUMENTS.iter().map(|argument| (*argument).to_owned()).collect();
    arguments.push(format!("--user-data-dir={}", folder.join("profile").display()));
    let mut options = json!({ "args": arguments, "binary": "/usr/bin/chromium" });
    if scripts == Scripts::Off {
        options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
    }
    json!({ "acceptInsecureCerts": true, "webauthn:virtualAuthenticators": true, "goog:chromeOptions": options })
}

const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];
/// The browser names its process in its profile's lock.
const END: &str = r#"kill -9 "$(readlink "$1/profile/SingletonLock" | sed 's/.*-//')""#;
/// For one order.
const PATIENCE: Duration = Duration::from_secs(60);
