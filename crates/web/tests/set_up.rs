//! What mail programs and people are told when they look for settings, over real sockets.
//!
//! Answers are kept whole in `tests/set_up`; `UPDATE_EXPECT=1` writes them anew: read the difference before you keep it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use postroad_identity::clients::{self, NewClient};
use postroad_identity::{Scope, Scopes};
use postroad_mail::{Actor, By, Domain, domains};
use postroad_net::{Door, Inherited, LimitSettings, Limits, Listener, Stop, Times, bind};
use postroad_store::{BlobPlace, Database, Locks, Settings, Store, Timestamp};
use postroad_web::autoconfig::{Offer, Offers, Protocol, Security, SetUp, cms};
use postroad_web::{About, Recorder, Site, serve};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Server {
    address: SocketAddr,
    store: Store,
    key: Arc<CertifiedKey>,
}

async fn start() -> Server {
    let settings = Settings { blobs: BlobPlace::Inline, ..Settings::new(Database::Memory, BlobPlace::Inline) };
    let store = Store::open(settings).expect("a store");
    for tables in [postroad_store::MIGRATIONS, postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS] {
        store.migrate(tables).expect("tables");
    }
    let made = store.write(Locks::none(), |tx| {
        let by = By::new(Timestamp(1), Actor::Admin);
        let domain = |name: &str| Domain::parse(name).expect("a domain");
        domains::create(tx, &by, &domain("here.test"))?;
        domains::add_alias(tx, &by, &domain("also.test"), &domain("here.test"))?;
        Ok::<_, postroad_mail::Error>(())
    });
    made.await.expect("made");
    let offer = |protocol: Protocol, security| Offer {
        protocol,
        security,
        port: protocol.usual_port(security),
        password: true,
        token: true,
    };
    let services =
        Protocol::ALL.into_iter().flat_map(|one| [offer(one, Security::Tls), offer(one, Security::StartTls)]);
    let offers = Offers {
        host: "mail.example.test".into(),
        https: Some(443),
        services: services.collect(),
        issuer: Some("https://mail.example.test".into()),
    };
    let key = Arc::new(key(&rcgen::KeyPair::generate().expect("a key")));
    let shown = Arc::clone(&key);
    let set_up = SetUp::new(offers, Arc::new(move || Some(Arc::clone(&shown))));
    let about = About { host: "mail.example.test".into(), https: Some(443), ..About::default() };
    let site = Site::new(store.clone(), Recorder::new(), about).with_set_up(set_up);
    let mut listener = Listener::new("http", "127.0.0.1:0".parse().expect("an address"));
    listener.proxy = vec!["127.0.0.0/8".parse().expect("a network")];
    let bound = bind(listener, &mut Inherited::none()).expect("a socket");
    let address = bound.address;
    let door = Door::new(Limits::new(LimitSettings::default(), None), None, Stop::new(), Times::default(), 1);
    tokio::spawn(serve(bound, door, Arc::new(site)));
    Server { address, store, key }
}

fn key(pair: &rcgen::KeyPair) -> CertifiedKey {
    let names = vec!["mail.example.test".to_owned()];
    let made = rcgen::CertificateParams::new(names).expect("names").self_signed(pair).expect("a certificate");
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
    CertifiedKey::from_der(vec![made.der().clone()], der, &aws_lc_rs::default_provider()).expect("a pair")
}

/// The answer's code, head in lower case, and body.
async fn ask_from(server: &Server, from: &str, request: &[u8]) -> (u16, String, Vec<u8>) {
    let mut socket = TcpStream::connect(server.address).await.expect("connected");
    let line = format!("PROXY TCP4 {from} 192.0.2.1 4000 80\r\n");
    socket.write_all(line.as_bytes()).await.expect("written");
    // Who sends too much is not read to the end.
    let _ = socket.write_all(request).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let code = head.split(' ').nth(1).expect("a code").parse().expect("a number");
    (code, head, answer[end + 4..].to_vec())
}

/// From this very machine, which sees everything in clear.
async fn ask(server: &Server, host: &str, request: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
    let length = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    ask_from(server, "127.0.0.1", &[head.as_bytes(), body].concat()).await
}

async fn get(server: &Server, host: &str, path: &str) -> (u16, String, String) {
    let (code, head, body) = ask(server, host, &format!("GET {path}"), b"").await;
    (code, head, String::from_utf8(body).expect("text"))
}

/// Compares with a file of `tests/set_up`.
fn check(name: &str, is: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/set_up").join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(&file, is).expect("written");
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == is, "{name} differs; UPDATE_EXPECT=1 writes it anew. It is:\n{is}");
}

fn request(address: &str, schema: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/\
         outlook/requestschema/2006\">\r\n<Request>\r\n<EMailAddress>{address}</EMailAddress>\r\n<AcceptableResponseSchema>\
         http://schemas.microsoft.com/exchange/autodiscover/{schema}/responseschema/2006a</AcceptableResponseSchema>\r\n\
         </Request>\r\n</Autodiscover>"
    )
}

#[tokio::test]
async fn programs_find_their_settings() {
    let server = start().await;
    for (host, path, file) in [
        ("autoconfig.here.test", "/mail/config-v1.1.xml?emailaddress=u%40here.test", "config.xml"),
        ("AutoConfig.Here.Test:443", "/mail/config-v1.1.xml", "config.xml"),
        ("autoconfig.example.test", "/mail/config-v1.1.xml?emailaddress=u%40here.test", "config.xml"),
        ("here.test", "/.well-known/autoconfig/mail/config-v1.1.xml", "config.xml"),
        (
            "mail.example.test",
            "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=%40here.test&emailmd5=0",
            "config.xml",
        ),
        ("autoconfig.also.test", "/mail/config-v1.1.xml", "config-of-alias.xml"),
        ("ua-auto-config.here.test", "/.well-known/user-agent-configuration.json", "pacc.json"),
        ("mail.example.test", "/autodiscover/autodiscover.json?Email=u@here.test&Protocol=AutodiscoverV1", "v1.json"),
        ("mail.example.test", "/AutoDiscover/AutoDiscover.json/v1.0/U@here.test?protocol=Autodiscoverv1", "v1.json"),
        ("autodiscover.here.test", "/Autodiscover/Autodiscover.xml?Email=u@here.test", "autodiscover.xml"),
    ] {
        let (code, head, body) = get(&server, host, path).await;
        assert_eq!(code, 200, "{host}{path}: {body}");
        let kind = match file.rsplit('.').next() {
            Some("json") => "application/json",
            _ if file == "autodiscover.xml" => "application/xml; charset=utf-8",
            _ => "text/xml; charset=utf-8",
        };
        assert!(head.contains(&format!("content-type: {kind}")), "{head}");
        check(file, &body);
    }
    let made = server.store.write(Locks::none(), |tx| {
        let scopes = [Scope::Mail, Scope::OfflineAccess].into_iter().map(Scope::name).collect::<Vec<_>>().join(" ");
        let new = NewClient {
            id: Some("autoconfig".into()),
            name: "Mail programs".into(),
            redirects: vec!["http://localhost".into()],
            scopes: Scopes::parse(&scopes),
            confidential: false,
            registered: false,
        };
        clients::add(tx, &new, Timestamp(1))
    });
    made.await.expect("a client");
    check("config-with-client.xml", &get(&server, "autoconfig.here.test", "/mail/config-v1.1.xml").await.2);
}

#[tokio::test]
async fn outlook_finds_its_settings() {
    let server = start().await;
    for path in ["/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml", "/AUTODISCOVER/AUTODISCOVER.XML"] {
        let asked = request("u@here.test", "outlook");
        let (code, _, body) = ask(&server, "autodiscover.here.test", &format!("POST {path}"), asked.as_bytes()).await;
        assert_eq!(code, 200);
        check("autodiscover.xml", &String::from_utf8(body).expect("text"));
    }
    let deep = format!("{}u@here.test{}", "<a>".repeat(5_000), "</a>".repeat(5_000));
    let laughs = request("&b;", "outlook").replace("?>", "?><!DOCTYPE x [<!ENTITY a 'u@'><!ENTITY b '&a;here.test'>]>");
    let wide: Vec<u8> = request("u@here.test", "outlook").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (asked, code) in [
        (request("u@elsewhere.test", "outlook").into_bytes(), 500),
        (request("nobody", "outlook").into_bytes(), 500),
        (request("u@here.test\u{7}", "outlook").into_bytes(), 500),
        (request("u@here.test", "mobilesync").into_bytes(), 601),
        (deep.into_bytes(), 600),
        (laughs.into_bytes(), 600),
        (wide, 600),
        (vec![b' '; 1_000_000], 600),
        (Vec::new(), 600),
    ] {
        let (status, _, body) = ask(&server, "x", "POST /autodiscover/autodiscover.xml", &asked).await;
        let body = String::from_utf8(body).expect("text");
        let start = String::from_utf8_lossy(&asked[..asked.len().min(200)]).into_owned();
        assert!(status == 200 && body.contains(&format!("<ErrorCode>{code}</ErrorCode>")), "{start}: {status} {body}");
    }
    let (code, head, _) = ask(&server, "x", "PUT /autodiscover/autodiscover.xml", b"").await;
    assert_eq!(code, 405, "{head}");
}

/// `nobody` and `somebody` are alike, and what is not ours gets nothing.
#[tokio::test]
async fn nothing_tells_who_exists_and_others_domains_are_not_answered_for() {
    let server = start().await;
    for path in [
        "/mail/config-v1.1.xml?emailaddress=",
        "/email.mobileconfig?email=",
        "/setup?address=",
        "/autodiscover/autodiscover.json?Protocol=AutodiscoverV1&Email=",
        "/autodiscover/autodiscover.json/v1.0/",
    ] {
        let of = |address: &str| match path.ends_with("v1.0/") {
            true => format!("{path}{address}?Protocol=AutodiscoverV1"),
            false => format!("{path}{address}"),
        };
        for (address, codes) in [
            ("anybody%40here.test", &[200_u16][..]),
            ("%22a%20b%22@also.test", &[200]),
            ("u@elsewhere.test", &[404]),
            ("u@here.test.elsewhere.test", &[404]),
            ("u@", &[404, 400]),
            ("here.test", &[404, 400]),
            ("%ff%fe@x", &[404, 400, 200]),
            ("u@%00here.test", &[404, 400, 200]),
        ] {
            let (code, _, body) = ask(&server, "mail.example.test", &format!("GET {}", of(address)), b"").await;
            let body = String::from_utf8_lossy(&body).into_owned();
            assert!(codes.contains(&code), "{path}{address}: {code} {body}");
        }
        let (code, ..) = get(&server, "mail.example.test", &of(&format!("{}@here.test", "u".repeat(3_000)))).await;
        assert!([200, 400, 404].contains(&code), "{path}: {code}");
    }
    for (host, path) in [
        ("autoconfig.elsewhere.test", "/mail/config-v1.1.xml"),
        ("ua-auto-config.elsewhere.test", "/.well-known/user-agent-configuration.json"),
        ("here.test", "/.well-known/user-agent-configuration.json"),
        ("mail.example.test", "/autodiscover/autodiscover.json/v2.0/u@here.test"),
        ("mail.example.test", "/autodiscover/\u{e4}utodiscover.xml"),
    ] {
        let (code, _, _) = ask(&server, host, &format!("GET {path}"), b"").await;
        assert!(code == 404 || code == 400, "{host}{path}: {code}");
    }
}

#[tokio::test]
async fn who_asks_in_clear_is_sent_where_the_certificate_is() {
    let server = start().await;
    for (host, path, code, to) in [
        (
            "autodiscover.here.test",
            "/Autodiscover/Autodiscover.xml",
            302,
            "https://mail.example.test/autodiscover/autodiscover.xml",
        ),
        (
            "autoconfig.here.test",
            "/mail/config-v1.1.xml",
            302,
            "https://mail.example.test/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=%40here.test",
        ),
        (
            "autoconfig.here.test",
            "/mail/config-v1.1.xml?emailaddress=u%2bx%40here.test",
            302,
            "https://mail.example.test/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=u%2bx%40here.test",
        ),
        ("here.test", "/setup", 308, "https://here.test/setup"),
    ] {
        let asked = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let (given, head, _) = ask_from(&server, "203.0.113.9", asked.as_bytes()).await;
        assert_eq!(given, code, "{head}");
        assert!(head.contains(&format!("location: {to}\r\n")), "{head}");
    }
}

#[tokio::test]
async fn people_read_their_settings() {
    let server = start().await;
    check("asked.html", &get(&server, "mail.example.test", "/setup").await.2);
    let (code, head, body) = get(&server, "mail.example.test", "/setup?address=u.%3Cb%3E%26%40here.test").await;
    assert!(code == 404 && !body.contains("u.<b>"), "{head}{body}");
    let (_, head, body) =
        get(&server, "mail.example.test", "/setup?address=anna%2Bx@here.test&name=Anna+%3C%26%3E").await;
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    check("shown.html", &body);
    let (_, _, front) = get(&server, "mail.example.test", "/").await;
    assert!(front.contains("href=\"/setup\""), "{front}");
}

/// What openssl finds in a profile that it verified.
fn verified(signed: &[u8], certificate: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, octets: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, octets).expect("written");
        file
    };
    let (message, leaf) = (file("signed", signed), file("leaf", certificate));
    let pem = folder.path().join("leaf.pem");
    let openssl = |arguments: &[&std::ffi::OsStr]| {
        let ran = Command::new("openssl").args(arguments).output().expect("openssl is installed");
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        ran.stdout
    };
    openssl(&[
        "x509".as_ref(),
        "-inform".as_ref(),
        "DER".as_ref(),
        "-in".as_ref(),
        leaf.as_ref(),
        "-out".as_ref(),
        pem.as_ref(),
    ]);
    let told = openssl(&[
        "cms".as_ref(),
        "-verify".as_ref(),
        "-binary".as_ref(),
        "-inform".as_ref(),
        "DER".as_ref(),
        "-in".as_ref(),
        message.as_ref(),
        "-purpose".as_ref(),
        "any".as_ref(),
        "-CAfile".as_ref(),
        pem.as_ref(),
    ]);
    String::from_utf8(told).expect("text")
}

#[tokio::test]
async fn phones_get_a_signed_profile() {
    let server = start().await;
    let path = "GET /setup/mail.mobileconfig?address=anna%2Bx@here.test&name=Anna+%3C%26%3E";
    let (code, head, body) = ask(&server, "mail.example.test", path, b"").await;
    assert_eq!(code, 200);
    assert!(head.contains("content-type: application/x-apple-aspen-config\r\n"), "{head}");
    check("profile.plist", &verified(&body, &server.key.cert[0]));
    let mut last = 0;
    for _ in 0..200 {
        last = ask(&server, "mail.example.test", "GET /email.mobileconfig?email=u@here.test", b"").await.0;
        if last != 200 {
            break;
        }
    }
    assert_eq!(last, 429, "signatures are limited");
}

#[test]
fn profiles_are_signed_by_keys_of_all_kinds() {
    let rsa = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).expect("a key");
    let others = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384];
    let others = others.map(|kind| rcgen::KeyPair::generate_for(kind).expect("a key"));
    for pair in others.iter().chain([&rsa]) {
        let key = key(pair);
        let content = "<plist/>\n".repeat(40);
        let signed = cms::signed(content.as_bytes(), &key, Timestamp(1_795_363_261_000_000)).expect("signed");
        assert_eq!(verified(&signed, &key.cert[0]), content, "{:?}", pair.algorithm());
    }
    let unusual = key(&rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key"));
    assert!(cms::signed(b"x", &unusual, Timestamp(1)).is_none(), "devices would not verify it");
}
