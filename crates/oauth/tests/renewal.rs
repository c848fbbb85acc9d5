//! Tokens are got, renewed once, kept sealed, and given up with words: against a provider that does what the test wants.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postroad_oauth::device::{self, Look};
use postroad_oauth::{Error, Http, Service, Tokens, store};
use postroad_queue::grants;
use postroad_store::seal::Sealer;
use postroad_store::{Locks, Timestamp};
use postroad_testkit::{TestStore, each_store};

/// A provider: each request gets the next answer, and is kept.
struct Provider {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
}

impl Provider {
    fn new() -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (asked, answers) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<VecDeque<(u16, String)>>>::default());
        let (kept, given) = (Arc::clone(&asked), Arc::clone(&answers));
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(mut socket) = socket else { return };
                let mut octets = Vec::new();
                let mut space = [0; 4096];
                let body = loop {
                    let Ok(count @ 1..) = socket.read(&mut space) else { break None };
                    octets.extend_from_slice(&space[..count]);
                    let text = String::from_utf8_lossy(&octets).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.to_ascii_lowercase();
                    let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                    if body.len() >= length.unwrap_or(0) {
                        break Some(body.to_owned());
                    }
                };
                let Some(body) = body else { continue };
                kept.lock().expect("asked").push(body);
                let (code, text) = given.lock().expect("answers").pop_front().unwrap_or((500, "gone".into()));
                let length = text.len();
                let head = format!("HTTP/1.1 {code} X\r\nContent-Length: {length}\r\nConnection: close\r\n");
                let _ = write!(socket, "{head}Location: http://127.0.0.1:1/\r\n\r\n{text}");
            }
        });
        Provider { url, asked, answers }
    }

    fn says(&self, code: u16, text: &str) {
        self.answers.lock().expect("answers").push_back((code, text.to_owned()));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("asked"))
    }
}

struct World {
    provider: Provider,
    tokens: Tokens,
    clock: Arc<AtomicI64>,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

const START: i64 = 1_000_000_000_000;
const NAME: &str = "*";

impl World {
    /// With a grant whose token lives for an hour from the start.
    fn new(test: &TestStore) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let sealer = Sealer::open(&folder.path().join("key")).expect("a key");
        let provider = Provider::new();
        let service = Service { token_url: format!("{}/token", provider.url), device_url: None, scope: "mail".into() };
        let first = postroad_oauth::Granted {
            access: "access-1".into(),
            lives: Duration::from_secs(3_600),
            refresh: Some("refresh-1".into()),
        };
        let grant = store(&sealer, NAME, &service, ("us", Some("hush")), &first, Timestamp(START));
        test.store.write_blocking(Locks::none(), move |tx| grants::put(tx, &grant)).expect("written");
        let clock = Arc::new(AtomicI64::new(START));
        let now = Arc::clone(&clock);
        let http = Http::new(None).expect("a client");
        let tokens =
            Tokens::new(test.store.clone(), sealer, http, Arc::new(move || Timestamp(now.load(Ordering::SeqCst))));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        World { provider, tokens, clock, runtime, _folder: folder }
    }

    fn at(&self, seconds: i64) {
        self.clock.store(START + seconds * 1_000_000, Ordering::SeqCst);
    }

    fn token(&self) -> Result<String, Error> {
        self.runtime.block_on(self.tokens.token(NAME)).map(|token| token.text)
    }
}

fn answer(access: &str, refresh: Option<&str>) -> String {
    let refresh = refresh.map(|text| format!(r#","refresh_token":"{text}""#)).unwrap_or_default();
    format!(r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":3600{refresh}}}"#)
}

fn on_each(check: impl Fn(&TestStore, World)) {
    each_store(&[postroad_queue::MIGRATIONS], |test| check(test, World::new(test)));
}

#[test]
fn a_token_is_renewed_once_before_it_ends_and_a_rotated_refresh_token_is_used() {
    on_each(|test, world| {
        assert_eq!(world.token().as_deref(), Ok("access-1"));
        assert!(world.provider.asked().is_empty());
        world.at(3_301);
        world.provider.says(200, &answer("access-2", Some("refresh-2")));
        let all: Vec<_> = world.runtime.block_on(async {
            let each = (0..8).map(|_| {
                let tokens = world.tokens.clone();
                tokio::spawn(async move { tokens.token(NAME).await.map(|token| token.text) })
            });
            let each: Vec<_> = each.collect();
            let mut all = Vec::new();
            for one in each {
                all.push(one.await.expect("no panic"));
            }
            all
        });
        assert_eq!(all, vec![Ok("access-2".to_owned()); 8]);
        let expected = "client_id=us&grant_type=refresh_token&refresh_token=refresh-1&client_secret=hush";
        assert_eq!(world.provider.asked(), [expected]);
        world.at(7_200);
        world.provider.says(200, &answer("access-3", None));
        assert_eq!(world.token().as_deref(), Ok("access-3"));
        assert!(world.provider.asked()[0].contains("refresh_token=refresh-2&"));
        // One that did not rotate is kept.
        world.at(20_000);
        world.provider.says(200, &answer("access-4", None));
        assert_eq!(world.token().as_deref(), Ok("access-4"));
        assert!(world.provider.asked()[0].contains("refresh_token=refresh-2&"));
        let grant = test.store.read_blocking(|tx| grants::find(tx, NAME)).expect("read").expect("a grant");
        let sealed = [grant.access, grant.refresh, grant.client_secret].concat_all();
        for secret in ["access-4", "refresh-2", "hush"] {
            assert!(!String::from_utf8_lossy(&sealed).contains(secret));
        }
    });
}

trait ConcatAll {
    fn concat_all(self) -> Vec<u8>;
}

impl<const N: usize> ConcatAll for [Option<Vec<u8>>; N] {
    fn concat_all(self) -> Vec<u8> {
        self.into_iter().flatten().flatten().collect()
    }
}

#[test]
fn a_provider_that_is_away_is_asked_rarely_and_the_token_used_until_it_ends() {
    on_each(|_, world| {
        world.at(3_400);
        world.provider.says(503, "<html>");
        assert_eq!(world.token().as_deref(), Ok("access-1"));
        assert_eq!(world.token().as_deref(), Ok("access-1"));
        assert_eq!(world.provider.asked().len(), 1, "not again at once");
        world.at(3_601);
        world.provider.says(302, "{}");
        assert!(matches!(world.token(), Err(Error::Peer(_))), "a redirect is not followed");
        assert!(matches!(world.token(), Err(Error::Passing(_))));
        assert_eq!(world.provider.asked().len(), 1);
        world.at(3_700);
        world.provider.says(200, &answer("access-2", None));
        assert_eq!(world.token().as_deref(), Ok("access-2"));
    });
}

#[test]
fn what_was_taken_back_is_not_asked_for_again() {
    on_each(|test, world| {
        world.at(3_601);
        world.provider.says(400, r#"{"error":"invalid_grant","error_description":"Token has been revoked."}"#);
        let expected = Err(Error::SignIn("invalid_grant: Token has been revoked.".into()));
        assert_eq!(world.token(), expected);
        world.at(90_000);
        assert_eq!(world.token(), expected);
        assert_eq!(world.provider.asked().len(), 1);
        let grant = test.store.read_blocking(|tx| grants::find(tx, NAME)).expect("read").expect("a grant");
        test.store.write_blocking(Locks::none(), move |tx| grants::put(tx, &grant)).expect("signed in again");
        world.provider.says(200, &answer("access-2", None));
        assert_eq!(world.token().as_deref(), Ok("access-2"));
        assert_eq!(world.runtime.block_on(world.tokens.token("none")), Err(Error::Unknown("none".into())));
    });
}

#[test]
fn grants_of_one_account_are_forgotten_together() {
    on_each(|test, _| {
        let found = test.store.read_blocking(|tx| grants::find(tx, NAME)).expect("read").expect("a grant");
        let names = ["account 1 imap:a@b:993", "account 1 collect 7", "account 12 collect 7"];
        let written = test.store.write_blocking(Locks::none(), move |tx| {
            for name in names {
                grants::put(tx, &grants::Grant { name: name.into(), ..found.clone() })?;
            }
            grants::remove_all(tx, "account 1 ")
        });
        written.expect("written");
        let left = test.store.read_blocking(grants::list).expect("read");
        let mut left: Vec<&str> = left.iter().map(|grant| grant.name.as_str()).collect();
        left.sort_unstable();
        assert_eq!(left, [NAME, "account 12 collect 7"]);
    });
}

#[test]
fn a_token_that_was_not_believed_is_renewed_unless_it_is_new() {
    on_each(|_, world| {
        let refused = || {
            world.runtime.block_on(async {
                let token = world.tokens.token(NAME).await.expect("a token");
                world.tokens.disbelieved(NAME, &token).await;
            });
        };
        world.at(30);
        refused();
        assert_eq!(world.token().as_deref(), Ok("access-1"), "another one would be refused alike");
        world.at(100);
        refused();
        world.provider.says(200, &answer("access-2", None));
        assert_eq!(world.token().as_deref(), Ok("access-2"));
    });
}

#[test]
fn a_device_waits_for_consent() {
    let provider = Provider::new();
    let http = Http::new(None).expect("a client");
    let service = Service {
        token_url: format!("{}/token", provider.url),
        device_url: Some(format!("{}/device", provider.url)),
        scope: "mail offline_access".into(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        provider.says(
            200,
            r#"{"device_code":"d","user_code":"ABCD-EFGH","verification_uri":"https://id.test/device","expires_in":60}"#,
        );
        let mut asked = device::begin(&http, &service, "us", None).await.expect("asked");
        assert_eq!((asked.user_code.as_str(), asked.pause), ("ABCD-EFGH", Duration::from_secs(5)));
        let mut looked = Vec::new();
        for (code, text) in [
            (400, r#"{"error":"authorization_pending"}"#.to_owned()),
            (400, r#"{"error":"slow_down"}"#.to_owned()),
            (400, r#"{"error":"access_denied"}"#.to_owned()),
            (200, answer("a", Some("r"))),
        ] {
            provider.says(code, &text);
            looked.push(device::look(&http, &service, "us", None, &mut asked).await);
        }
        assert_eq!(asked.pause, Duration::from_secs(10));
        assert_eq!(&looked[..2], [Ok(Look::Waiting), Ok(Look::Slower)]);
        assert!(matches!(looked[2], Err(Error::SignIn(_))));
        assert!(matches!(&looked[3], Ok(Look::Granted(granted)) if granted.access == "a"));
        assert_eq!(provider.asked()[0], "client_id=us&scope=mail+offline_access");
    });
}
