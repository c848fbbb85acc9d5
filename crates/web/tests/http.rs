//! HTTP over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postroad_mail::{Actor, By, Domain, domains};
use postroad_net::{Door, Inherited, LimitSettings, Limits, Listener, Stop, Times, bind};
use postroad_store::{BlobPlace, Database, Locks, Settings, Store, Timestamp};
use postroad_trust::sts::{self, Mode, Own};
use postroad_web::{About, Recorder, ServiceLine, Site, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

struct Server {
    address: SocketAddr,
    store: Store,
    recorder: Recorder,
    stop: Stop,
    task: JoinHandle<()>,
}

/// Behind a proxy, so that a test can be anybody.
fn start() -> Server {
    start_with(None)
}

/// Whose pages in TLS are on this port.
fn start_with(https: Option<u16>) -> Server {
    let settings = Settings { blobs: BlobPlace::Inline, ..Settings::new(Database::Memory, BlobPlace::Inline) };
    let store = Store::open(settings).expect("a store");
    store.migrate(postroad_store::MIGRATIONS).expect("its tables");
    store.migrate(postroad_mail::MIGRATIONS).expect("the tables of mail");
    store.migrate(postroad_queue::MIGRATIONS).expect("the queue's tables");
    store.migrate(postroad_trust::MIGRATIONS).expect("the tables of what others believe");
    let recorder = Recorder::new();
    let about = About {
        host: "mail.example.test".into(),
        version: "1.2.3".into(),
        services: vec![ServiceLine {
            name: "IMAP".into(),
            address: "192.0.2.7:993".parse().expect("an address"),
            security: "TLS".into(),
        }],
        insiders: vec!["10.0.0.0/8".parse().expect("a network")],
        https,
    };
    let site = Arc::new(Site::new(store.clone(), recorder.clone(), about));
    let mut listener = Listener::new("http", "127.0.0.1:0".parse().expect("an address"));
    listener.proxy = vec!["127.0.0.0/8".parse().expect("a network")];
    let bound = bind(listener, &mut Inherited::none()).expect("a socket");
    let address = bound.address;
    let stop = Stop::new();
    let door = Door::new(Limits::new(LimitSettings::default(), None), None, stop.clone(), Times::default(), 1);
    let task = tokio::spawn(serve(bound, door, site));
    Server { address, store, recorder, stop, task }
}

async fn connect(server: &Server, from: &str) -> TcpStream {
    let mut socket = TcpStream::connect(server.address).await.expect("connected");
    let line = format!("PROXY TCP4 {from} 192.0.2.1 4000 80\r\n");
    socket.write_all(line.as_bytes()).await.expect("written");
    socket
}

async fn ask(server: &Server, from: &str, request: &str) -> (u16, String, String) {
    let mut socket = connect(server, from).await;
    socket.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let code = head.split(' ').nth(1).expect("a code").parse().expect("a number");
    (code, head.to_ascii_lowercase(), body.to_owned())
}

async fn get(server: &Server, from: &str, path: &str) -> (u16, String, String) {
    ask(server, from, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
}

const STRANGER: &str = "203.0.113.9";
const INSIDER: &str = "10.1.2.3";

#[tokio::test]
async fn health_tells_strangers_yes_or_no_and_insiders_why() {
    let server = start();
    let (code, _, body) = get(&server, STRANGER, "/healthz").await;
    assert_eq!((code, body.as_str()), (200, r#"{"status":"ok"}"#));
    let (code, _, body) = get(&server, INSIDER, "/healthz").await;
    assert_eq!(code, 200);
    for part in [r#""status":"ok""#, r#""reasons":[]"#, r#""version":"1.2.3""#, r#""database":"memory "#] {
        assert!(body.contains(part), "{part} is not in {body}");
    }
}

#[tokio::test]
async fn a_closed_store_is_not_healthy() {
    let server = start();
    server.store.close();
    let (code, _, body) = get(&server, STRANGER, "/healthz").await;
    assert_eq!((code, body.as_str()), (503, r#"{"status":"unavailable"}"#));
    let (code, _, body) = get(&server, "127.0.0.1", "/healthz").await;
    assert_eq!(code, 503);
    assert!(body.contains(r#""reasons":["the database: "#), "{body}");
    // The other pages still answer.
    let (code, _, _) = get(&server, "127.0.0.1", "/metrics").await;
    assert_eq!(code, 200);
}

#[tokio::test]
async fn metrics_are_for_insiders() {
    let server = start();
    // All tasks of this runtime are on this thread.
    let _counting = metrics::set_default_local_recorder(&server.recorder);
    let (code, head, _) = get(&server, INSIDER, "/metrics").await;
    assert_eq!(code, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let (_, _, body) = get(&server, INSIDER, "/metrics").await;
    for line in [
        "postroad_connections_total{listener=\"http\"} 2\n",
        "postroad_connections_open{listener=\"http\"} 1\n",
        "postroad_queue_messages 0\n",
        "postroad_queue_oldest_seconds 0\n",
    ] {
        assert!(body.contains(line), "{line} is not in\n{body}");
    }
    assert!(body.contains("process_resident_memory_bytes ") || !std::path::Path::new("/proc/self/statm").exists());
    let (code, _, body) = get(&server, STRANGER, "/metrics").await;
    assert_eq!(code, 403);
    assert!(!body.contains("postroad_connections"), "{body}");
}

#[tokio::test]
async fn unknown_pages_and_wrong_methods() {
    let server = start();
    let (code, head, body) = get(&server, STRANGER, "/nothing/here").await;
    assert_eq!(code, 404);
    assert!(head.contains("application/problem+json") && body.contains(r#""status":404"#), "{head}{body}");
    let browser = "GET /nothing HTTP/1.1\r\nHost: x\r\nAccept: text/html,*/*\r\nConnection: close\r\n\r\n";
    let (code, head, body) = ask(&server, STRANGER, browser).await;
    assert_eq!(code, 404);
    assert!(head.contains("text/html") && body.starts_with("<!DOCTYPE html>"), "{head}{body}");
    let post = "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    let (code, head, _) = ask(&server, STRANGER, post).await;
    assert_eq!(code, 405);
    assert!(head.contains("allow: get,head"), "{head}");
    for path in ["/", "/healthz"] {
        let (code, head, body) =
            ask(&server, STRANGER, &format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        assert_eq!((code, body.as_str()), (200, ""));
        assert!(head.contains("content-length: "), "{head}");
    }
    let (code, _, body) = get(&server, STRANGER, "/").await;
    assert_eq!(code, 200);
    assert!(body.contains("Mail at mail.example.test") && !body.contains("1.2.3"), "{body}");
    let (code, ..) = ask(&server, STRANGER, "nonsense\r\n\r\n").await;
    assert_eq!(code, 400);
}

#[tokio::test]
async fn who_comes_in_clear_from_outside_is_sent_to_tls() {
    let server = start_with(Some(443));
    for (host, path, to) in [
        ("mail.example.test", "/", "https://mail.example.test/"),
        (
            "MTA-STS.example.org:80",
            "/.well-known/mta-sts.txt?x=1",
            "https://mta-sts.example.org/.well-known/mta-sts.txt?x=1",
        ),
        ("evil\"host", "/a", "https://mail.example.test/a"),
        ("user@evil.test", "/a", "https://mail.example.test/a"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let (code, head, _) = ask(&server, STRANGER, &request).await;
        assert_eq!(code, 308, "{host}");
        assert!(head.contains(&format!("location: {to}\r\n")), "{head}");
    }
    // A load balancer looks, an authority looks, and who is inside sees all.
    assert_eq!(get(&server, STRANGER, "/healthz").await.0, 200);
    assert_eq!(get(&server, STRANGER, "/.well-known/acme-challenge/nobody-asked").await.0, 404);
    assert_eq!(get(&server, INSIDER, "/").await.0, 200);
    let other = start_with(Some(10_443));
    let (_, head, _) = get(&other, STRANGER, "/").await;
    assert!(head.contains("location: https://x:10443/\r\n"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_finish_asking_is_dropped() {
    let server = start();
    for begun in ["", "GET /", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut socket = connect(&server, STRANGER).await;
        socket.write_all(begun.as_bytes()).await.expect("written");
        let start = tokio::time::Instant::now();
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.expect("closed");
        let seconds = start.elapsed().as_secs();
        assert!((10..=20).contains(&seconds), "{begun:?} took {seconds} s");
    }
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let server = start();
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-Y: z\r\n".repeat(200));
    assert_eq!(ask(&server, STRANGER, &many).await.0, 431);
    let mut socket = connect(&server, STRANGER).await;
    let long = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(100_000));
    // It may be closed before all is written.
    let _ = socket.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_stop_ends_kept_connections() {
    let server = start();
    let mut socket = connect(&server, STRANGER).await;
    socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("written");
    let mut first = [0; 15];
    socket.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    server.stop.stop();
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).await.expect("closed");
    tokio::time::timeout(Duration::from_secs(10), server.task).await.expect("in time").expect("no panic");
}

#[tokio::test]
async fn our_domains_say_what_their_mail_needs() {
    let server = start();
    let made = server.store.write(Locks::none(), |tx| {
        let by = By::new(Timestamp(1), Actor::Admin);
        let domain = |name: &str| Domain::parse(name).expect("a domain");
        for name in ["here.test", "strict.test"] {
            domains::create(tx, &by, &domain(name))?;
        }
        domains::add_alias(tx, &by, &domain("also.test"), &domain("strict.test"))?;
        let max_age = Duration::from_secs(604_800);
        let own = Own { mode: Mode::Enforce, max_age, mx: vec!["mx1.test".into(), "*.mx.test".into()] };
        sts::set_own(tx, "strict.test", &own)?;
        Ok::<_, postroad_mail::Error>(())
    });
    made.await.expect("made");
    let usual = "version: STSv1\r\nmode: testing\r\nmx: mail.example.test\r\nmax_age: 86400\r\n";
    let strict = "version: STSv1\r\nmode: enforce\r\nmx: mx1.test\r\nmx: *.mx.test\r\nmax_age: 604800\r\n";
    for (host, expected) in [
        ("mta-sts.here.test", Some(usual)),
        ("MTA-STS.Here.test:443", Some(usual)),
        ("mta-sts.strict.test", Some(strict)),
        ("mta-sts.also.test", Some(strict)),
        ("here.test", None),
        ("mta-sts.elsewhere.test", None),
        ("mta-sts.", None),
        ("mta-sts.a b", None),
    ] {
        let request = format!("GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let (code, head, body) = ask(&server, STRANGER, &request).await;
        match expected {
            Some(policy) => {
                assert_eq!((code, body.as_str()), (200, policy), "{host}");
                assert!(head.contains("content-type: text/plain\r\n"), "{head}");
            }
            None => assert!(code == 404 || code == 400, "{host}: {code}"),
        }
    }
}
