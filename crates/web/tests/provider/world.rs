//! A server with an account, browsers that keep cookies, and programs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postroad_identity::Scopes;
use postroad_identity::clients::{self, NewClient};
use postroad_identity::tokens::{self, Lifetimes};
use postroad_login::Logins;
use postroad_mail::accounts::{self, DIRECTORY_LOCK, NewAccount};
use postroad_mail::password::PasswordHash;
use postroad_mail::{Actor, Address, By, Domain, Error, Service, domains};
use postroad_net::{
    CertificateFiles, Certificates, Door, Inherited, LimitSettings, Limits, Listener, Stop, Times, Tls, TlsMode, bind,
};
use postroad_store::seal::Sealer;
use postroad_store::{AccountId, Locks, Store, Timestamp, WriteTx};
use postroad_testkit::certificates::Authority;
use postroad_testkit::run;
use postroad_web::{About, OauthSettings, Provider, Recorder, Registration, Site, serve};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) const ISSUER: &str = "https://mail.example.test";
pub(crate) const LOGIN: &str = "alice@example.test";
pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const REDIRECT: &str = "http://127.0.0.1:4711/cb";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// A client without a secret.
pub(crate) const PUBLIC: &str = "desk";
/// A client with one.
pub(crate) const SECRET_KEEPER: &str = "site";

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    issuer: String,
    pub(crate) store: Store,
    pub(crate) account: AccountId,
    /// Of [`SECRET_KEEPER`].
    pub(crate) secret: String,
    clock: Arc<AtomicI64>,
    stop: Stop,
    _folder: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

impl World {
    pub(crate) fn new() -> World {
        World::around(None)
    }

    /// One that browsers reach: by TLS, as `localhost`.
    pub(crate) fn in_tls() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let pair = Authority::new().issue(&["localhost"]);
        let files = CertificateFiles { chain: folder.path().join("chain.pem"), key: folder.path().join("key.pem") };
        std::fs::write(&files.chain, pair.chain).expect("written");
        std::fs::write(&files.key, pair.key).expect("written");
        let certificates = Certificates::load(vec![files]).expect("a certificate");
        World::around(Some(Tls::new(certificates).expect("TLS")))
    }

    fn around(tls: Option<Tls>) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(postroad_store::Settings::memory()).expect("a store");
        for tables in [
            postroad_store::MIGRATIONS,
            postroad_mail::MIGRATIONS,
            postroad_trust::MIGRATIONS,
            postroad_identity::MIGRATIONS,
        ] {
            store.migrate(tables).expect("tables");
        }
        let clock = Arc::new(AtomicI64::new(1_800_000_000_000_000));
        let now = Timestamp(clock.load(Ordering::SeqCst));
        let made = store.write_blocking(Locks::named(DIRECTORY_LOCK), move |tx| filled(tx, now)).expect("an account");
        let (account, secret) = made.value;
        let hands = Arc::clone(&clock);
        let clock_of = move || -> postroad_login::Clock {
            let hands = Arc::clone(&hands);
            Arc::new(move || Timestamp(hands.load(Ordering::SeqCst)))
        };
        let logins = Logins::new(store.clone(), clock_of(), None, 2).expect("random numbers");
        let sealer = Sealer::open(&folder.path().join("secret.key")).expect("a key");
        let mut listener = Listener::new("http", "127.0.0.1:0".parse().expect("an address"));
        if tls.is_some() {
            (listener.tls, listener.alpn) = (TlsMode::Implicit, vec![b"http/1.1".to_vec()]);
        } else {
            listener.proxy = vec!["127.0.0.0/8".parse().expect("a network")];
        }
        let bound = bind(listener, &mut Inherited::none()).expect("a socket");
        let address = bound.address;
        let issuer = if tls.is_some() { format!("https://localhost:{}", address.port()) } else { ISSUER.into() };
        let settings =
            OauthSettings { issuer: issuer.clone(), lifetimes: Lifetimes::default(), registration: Registration::Open };
        let provider = Provider::new(store.clone(), logins, sealer, clock_of(), settings);
        let about = About { host: "mail.example.test".into(), ..About::default() };
        let site = Arc::new(Site::new(store.clone(), Recorder::new(), about).with_provider(provider));
        let stop = Stop::new();
        let door = Door::new(Limits::new(LimitSettings::default(), None), tls, stop.clone(), Times::default(), 1);
        tokio::spawn(serve(bound, door, site));
        World { address, issuer, store, account, secret, clock, stop, _folder: folder }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::SeqCst))
    }

    /// The address of a page, for browsers.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// What a program is told that sends a form by TLS.
    pub(crate) fn secure_post(&self, path: &str, form: &str) -> Value {
        let said = run("curl", &["--silent", "--insecure", "--data", form, &self.at(path)], b"").good();
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("no JSON: {said}"))
    }

    /// Whether an access token opens a protocol.
    pub(crate) fn opens(&self, token: &str, service: Service) -> bool {
        let (token, now) = (token.to_owned(), self.now());
        self.store.read_blocking(move |tx| tokens::verify(tx, &token, service, now)).expect("read").is_ok()
    }

    pub(crate) fn pass(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).expect("a short time");
        self.clock.fetch_add(micros, Ordering::SeqCst);
    }

    /// One request, as its octets, from an address.
    pub(crate) async fn raw(&self, from: &str, request: &[u8]) -> Reply {
        let mut socket = TcpStream::connect(self.address).await.expect("connected");
        let line = format!("PROXY TCP4 {from} 192.0.2.1 4000 80\r\n");
        socket.write_all(line.as_bytes()).await.expect("written");
        // Who is refused early does not read on.
        let _ = socket.write_all(request).await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        Reply::of(&String::from_utf8(answer).expect("text"))
    }

    /// A program's POST of a form.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.raw(HERE, &request("POST", path, &[FORM], &form(fields))).await
    }

    /// What the token endpoint says to it.
    pub(crate) async fn token(&self, fields: &[(&str, &str)]) -> Reply {
        self.post("/oauth/token", fields).await
    }

    pub(crate) async fn userinfo(&self, token: &str) -> Reply {
        let header = format!("Authorization: Bearer {token}");
        self.raw(HERE, &request("GET", "/oauth/userinfo", &[&header], "")).await
    }

    /// A code for [`PUBLIC`], by a browser in which somebody logs in and says yes.
    pub(crate) async fn code(&self, scope: &str) -> String {
        let mut browser = Browser::default();
        let consent = browser.up_to_consent(self, &authorize(PUBLIC, scope, &[])).await;
        let answer = browser.submit(self, &consent, &[("decision", "allow")]).await;
        answer.parameter("code").expect("a code")
    }

    /// The tokens that [`World::code`] gives.
    pub(crate) async fn tokens(&self, scope: &str) -> Value {
        let code = self.code(scope).await;
        let reply = self.token(&redeem(&code)).await;
        assert_eq!(reply.code, 200, "{}", reply.body);
        reply.json()
    }
}

fn filled(tx: &mut WriteTx, now: Timestamp) -> Result<(AccountId, String), Error> {
    let by = By::new(now, Actor::Admin);
    domains::create(tx, &by, &Domain::parse("example.test").map_err(Error::AddressInvalid)?)?;
    let account = accounts::create(
        tx,
        &by,
        &NewAccount {
            address: Address::parse(LOGIN).map_err(Error::AddressInvalid)?,
            display_name: "Alice <A>".into(),
            password: Some(PasswordHash::of_password(PASSWORD)?),
            quota_bytes: 0,
            quota_messages: 0,
        },
    )?;
    let client = |id: &str, redirect: &str, confidential: bool| NewClient {
        id: Some(id.into()),
        name: format!("Program <{id}>"),
        redirects: vec![redirect.into()],
        scopes: Scopes::all(),
        confidential,
        registered: false,
    };
    clients::add(tx, &client(PUBLIC, "http://127.0.0.1/cb", false), now)?;
    clients::add(tx, &client("other", "http://127.0.0.1/cb", false), now)?;
    let (_, secret) = clients::add(tx, &client(SECRET_KEEPER, "https://site.example/cb?a=b", true), now)?;
    Ok((account, secret.expect("a secret")))
}

/// The parameters with which [`PUBLIC`] redeems a code.
pub(crate) fn redeem(code: &str) -> [(&'static str, &str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", PUBLIC),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ]
}

/// The same for a program that listens elsewhere.
pub(crate) fn redeem_at<'a>(code: &'a str, redirect: &'a str) -> [(&'static str, &'a str); 5] {
    redeem(code).map(|(name, value)| if name == "redirect_uri" { (name, redirect) } else { (name, value) })
}

/// A program on the person's own machine: where it listens, and the first line that comes.
pub(crate) async fn program() -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let place = format!("http://127.0.0.1:{}/cb", listener.local_addr().expect("bound").port());
    let heard = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("somebody comes");
        let mut octets = vec![0; 4096];
        let length = socket.read(&mut octets).await.expect("a request");
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nthanks";
        socket.write_all(answer.as_bytes()).await.expect("written");
        String::from_utf8_lossy(&octets[..length]).lines().next().unwrap_or_default().to_owned()
    });
    (place, heard)
}

/// The address at which a program asks; later parameters take the place of earlier ones, empty ones go.
pub(crate) fn authorize(client: &str, scope: &str, others: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, VERIFIER.as_bytes()));
    let mut fields: BTreeMap<&str, &str> = BTreeMap::from([
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("scope", scope),
        ("state", "s t&te"),
        ("nonce", "n-1"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    fields.extend(others.iter().copied());
    let fields: Vec<(&str, &str)> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    format!("/oauth/authorize?{}", form(&fields))
}

/// Fields as they are sent.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
        let one = |octet: u8| if plain(octet) { char::from(octet).to_string() } else { format!("%{octet:02X}") };
        text.bytes().map(one).collect()
    };
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

pub(crate) fn request(method: &str, path: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: mail.example.test\r\nConnection: close\r\n");
    for header in headers {
        text += header;
        text += "\r\n";
    }
    if method == "POST" {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    (text + "\r\n" + body).into_bytes()
}

pub(crate) const HERE: &str = "127.0.0.1";
pub(crate) const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    fn of(text: &str) -> Reply {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Reply { code, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no redirect: {} {}", self.head, self.body))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {} {}", self.head, self.body))
    }

    /// Whether a script stands on the page beside the pages' own, or in it.
    pub(crate) fn runs_others_scripts(&self) -> bool {
        self.body
            .split("<script")
            .skip(1)
            .any(|rest| !rest.starts_with(">\"use strict\";\n// Forms that ask a passkey"))
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// A parameter of the address that it leads to.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let query = self.location().split_once('?')?.1;
        let found = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name)?;
        Some(decoded(found.1))
    }

    /// The hidden fields of the form that leads to `action`.
    pub(crate) fn fields(&self, action: &str) -> Vec<(String, String)> {
        let begin = self.body.find(&format!("action=\"{action}\"")).unwrap_or_else(|| panic!("no {action}: {self:?}"));
        let form = &self.body[begin..];
        let form = &form[..form.find("</form>").expect("an end")];
        let attribute = |tag: &str, name: &str| -> Option<String> {
            let begin = tag.find(&format!("{name}=\""))? + name.len() + 2;
            Some(tag[begin..].split('"').next()?.to_owned())
        };
        let hidden = form.split("<input ").filter(|tag| tag.starts_with("type=\"hidden\""));
        hidden.filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?))).collect()
    }

    /// Where the first form of the page leads.
    pub(crate) fn action(&self) -> String {
        let begin = self.body.find("action=\"").unwrap_or_else(|| panic!("no form: {self:?}")) + 8;
        self.body[begin..].split('"').next().expect("an address").to_owned()
    }
}

fn decoded(text: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first == b'%' {
            let digits = std::str::from_utf8(&behind[..2]).expect("digits");
            octets.push(u8::from_str_radix(digits, 16).expect("a number"));
            rest = &behind[2..];
        } else {
            octets.push(*first);
        }
    }
    String::from_utf8(octets).expect("text")
}

/// A browser: it keeps cookies and follows where it is sent within the server.
#[derive(Debug, Default, Clone)]
pub(crate) struct Browser {
    pub(crate) cookies: BTreeMap<String, String>,
    /// Headers that it sends beside.
    pub(crate) headers: Vec<String>,
}

impl Browser {
    async fn send(&mut self, world: &World, method: &str, path: &str, body: &str) -> Reply {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = format!("Cookie: {}", cookies.join("; "));
        let mut headers: Vec<&str> = self.headers.iter().map(String::as_str).collect();
        headers.push("User-Agent: Test <1>");
        if !self.cookies.is_empty() {
            headers.push(&cookies);
        }
        if method == "POST" {
            headers.push(FORM);
        }
        let reply = world.raw(HERE, &request(method, path, &headers, body)).await;
        for line in reply.head.lines() {
            let Some((name, set)) = line.split_once(": ") else { continue };
            if name.eq_ignore_ascii_case("set-cookie") {
                let (name, value) = set.split(';').next().expect("a pair").split_once('=').expect("a value");
                if value.is_empty() {
                    self.cookies.remove(name);
                } else {
                    self.cookies.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        reply
    }

    /// A page, behind all redirects within the server.
    pub(crate) async fn open(&mut self, world: &World, path: &str) -> Reply {
        let mut reply = self.send(world, "GET", path, "").await;
        for _ in 0..5 {
            match reply.header("location").map(str::to_owned) {
                Some(place) if place.starts_with('/') => reply = self.send(world, "GET", &place, "").await,
                Some(_) | None => break,
            }
        }
        reply
    }

    /// Sends a form without following.
    pub(crate) async fn post(&mut self, world: &World, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(world, "POST", path, &form(fields)).await
    }

    /// Sends the first form of a page with what somebody types, and follows within the server.
    pub(crate) async fn submit(&mut self, world: &World, page: &Reply, typed: &[(&str, &str)]) -> Reply {
        self.submit_to(world, page, &page.action(), typed).await
    }

    /// The same for the form that leads to `action`.
    pub(crate) async fn submit_to(
        &mut self,
        world: &World,
        page: &Reply,
        action: &str,
        typed: &[(&str, &str)],
    ) -> Reply {
        let hidden = page.fields(action);
        let mut fields: Vec<(&str, &str)> =
            hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        fields.extend_from_slice(typed);
        let reply = self.post(world, action, &fields).await;
        match reply.header("location").map(str::to_owned) {
            Some(place) if place.starts_with('/') => self.open(world, &place).await,
            Some(_) | None => reply,
        }
    }

    /// Logs in from a page that leads to the log-in page.
    pub(crate) async fn log_in(&mut self, world: &World, path: &str) -> Reply {
        let page = self.open(world, path).await;
        assert_eq!(page.code, 200, "{page:?}");
        self.submit(world, &page, &[("login", LOGIN), ("password", PASSWORD)]).await
    }

    /// The consent page of what a program asks for.
    pub(crate) async fn up_to_consent(&mut self, world: &World, path: &str) -> Reply {
        let page = self.log_in(world, path).await;
        assert!(page.body.contains("/oauth/consent"), "{page:?}");
        page
    }
}
