//! The resolver against a name server of the test's own, on a free port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, SOA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use postroad_dns::{Dns, Dnssec, Error, Mx, Resolver, Security, Settings};
use tokio::net::UdpSocket;

fn name(text: &str) -> Name {
    Name::from_str(text).expect("a name")
}

/// What the server knows; None is silence.
fn answers(asked: &Name, kind: RecordType) -> Option<Result<Vec<RData>, ResponseCode>> {
    let asked = asked.to_ascii().to_ascii_lowercase();
    Some(match (asked.as_str(), kind) {
        ("example.test.", RecordType::MX) => Ok(vec![
            RData::MX(MX::new(20, name("MX2.example.test."))),
            RData::MX(MX::new(10, name("mx1.example.test."))),
        ]),
        ("nomail.test.", RecordType::MX) => Ok(vec![RData::MX(MX::new(0, Name::root()))]),
        ("mx1.example.test." | "xn--bcher-kva.test.", RecordType::A) => Ok(vec![RData::A(A::new(192, 0, 2, 1))]),
        ("mx1.example.test.", RecordType::AAAA) => Ok(vec![RData::AAAA(AAAA(Ipv6Addr::LOCALHOST))]),
        ("xn--bcher-kva.test.", RecordType::AAAA) => Ok(vec![]),
        ("half.test.", RecordType::A) => Ok(vec![RData::A(A::new(192, 0, 2, 2))]),
        ("half.test.", RecordType::AAAA) => Err(ResponseCode::ServFail),
        ("www.example.test.", RecordType::A) => {
            Ok(vec![RData::CNAME(CNAME(name("mx1.example.test."))), RData::A(A::new(192, 0, 2, 1))])
        }
        ("example.test.", RecordType::TXT) => {
            let parts: Vec<&[u8]> = vec![b"v=spf1 include:", b"\xff.example -all"];
            Ok(vec![RData::TXT(TXT::from_bytes(parts))])
        }
        ("_dmarc.example.test.", RecordType::TXT) => Ok(vec![RData::TXT(TXT::new(vec!["v=DMARC1".into()]))]),
        ("1.2.0.192.in-addr.arpa.", RecordType::PTR) => Ok(vec![RData::PTR(PTR(name("MX1.Example.test.")))]),
        ("empty.test.", _) => Ok(vec![]),
        ("broken.test.", _) => Err(ResponseCode::ServFail),
        ("refused.test.", _) => Err(ResponseCode::Refused),
        ("silent.test.", _) => return None,
        _ => Err(ResponseCode::NXDomain),
    })
}

fn reply(question: &Message) -> Option<Message> {
    let query = question.queries.first()?;
    let mut reply = Message::response(question.metadata.id, OpCode::Query);
    reply.metadata.recursion_desired = true;
    reply.metadata.recursion_available = true;
    reply.add_query(query.clone());
    let records = answers(query.name(), query.query_type())?;
    let records = records.unwrap_or_else(|code| {
        reply.metadata.response_code = code;
        Vec::new()
    });
    if records.is_empty() {
        let soa = SOA::new(name("ns.test."), name("admin.test."), 1, 60, 60, 60, 60);
        reply.authorities.push(Record::from_rdata(name("test."), 60, RData::SOA(soa)));
    }
    let mut owner = query.name().clone();
    for data in records {
        let next = if let RData::CNAME(target) = &data { Some(target.0.clone()) } else { None };
        reply.add_answer(Record::from_rdata(owner.clone(), 120, data));
        owner = next.unwrap_or(owner);
    }
    Some(reply)
}

async fn start(settings: Settings) -> (Resolver, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let address: SocketAddr = socket.local_addr().expect("an address");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut space = [0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut space).await.expect("received");
            count.fetch_add(1, Ordering::Relaxed);
            let question = Message::from_vec(&space[..length]).expect("a question");
            if let Some(reply) = reply(&question) {
                socket.send_to(&reply.to_vec().expect("bytes"), from).await.expect("sent");
            }
        }
    });
    (Resolver::with(&[address], settings).expect("a resolver"), asked)
}

#[tokio::test]
async fn records_of_each_type() {
    let (dns, _) = start(Settings::default()).await;
    let mut mx = dns.mx("example.test").await.expect("records");
    mx.records.sort();
    let expected = [(10, "mx1.example.test"), (20, "mx2.example.test")];
    assert_eq!(mx.records, expected.map(|(preference, host)| Mx { preference, exchange: host.into() }));
    assert!(mx.ttl > Duration::from_secs(100) && mx.ttl <= Duration::from_secs(120), "{:?}", mx.ttl);
    assert!(dns.mx("nomail.test.").await.expect("records").records[0].is_null());
    let four = Ipv4Addr::new(192, 0, 2, 1);
    assert_eq!(dns.ipv4("www.example.test").await.expect("through the alias").records, [four]);
    assert_eq!(dns.ipv4("bücher.test").await.expect("an international name").records, [four]);
    assert_eq!(dns.txt("example.test").await.expect("records").records, [b"v=spf1 include:\xff.example -all"]);
    assert_eq!(dns.txt("_dmarc.example.test").await.expect("records").records, [b"v=DMARC1"]);
    assert_eq!(dns.ptr(four.into()).await.expect("records").records, ["mx1.example.test"]);
}

#[tokio::test]
async fn addresses_of_both_families_or_of_one() {
    let (dns, _) = start(Settings::default()).await;
    let dns: Arc<dyn Dns> = Arc::new(dns);
    let both: [IpAddr; 2] = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::new(192, 0, 2, 1).into()];
    assert_eq!(dns.addresses("mx1.example.test").await.expect("both").records, both);
    assert_eq!(dns.addresses("bücher.test").await.expect("one").records, [both[1]]);
    assert_eq!(dns.addresses("half.test").await.expect("one works").records.len(), 1);
    assert_eq!(dns.addresses("other.test").await, Err(Error::NoSuchName(Security::Unchecked)));
    assert_eq!(dns.addresses("empty.test").await, Err(Error::NoData(Security::Unchecked)));
}

#[tokio::test]
async fn failures_say_whether_to_ask_again() {
    let (dns, _) = start(Settings::default()).await;
    assert_eq!(dns.mx("other.test").await, Err(Error::NoSuchName(Security::Unchecked)));
    assert_eq!(dns.mx("empty.test").await, Err(Error::NoData(Security::Unchecked)));
    for failing in ["broken.test", "refused.test"] {
        let error = dns.mx(failing).await.expect_err("no answer");
        assert!(matches!(error, Error::Temporary(_)), "{failing}: {error}");
        assert!(error.to_string().contains(failing), "{error}");
    }
    for bad in ["", ".", "a..test", &"x".repeat(64), &"abcdefgh.".repeat(30)] {
        assert!(matches!(dns.mx(bad).await, Err(Error::BadName(_))), "{bad:?}");
    }
}

#[tokio::test]
async fn silence_ends_in_time_and_is_temporary() {
    let quick = Settings {
        timeout: Duration::from_millis(500),
        attempts: 1,
        deadline: Duration::from_secs(2),
        ..Settings::default()
    };
    let (dns, _) = start(quick).await;
    assert!(dns.mx("silent.test").await.expect_err("no answer").is_temporary());
    assert_eq!(dns.mx("example.test").await.expect("it goes on").records.len(), 2);
}

#[tokio::test]
async fn answers_are_kept() {
    let (dns, asked) = start(Settings { dnssec: Dnssec::Off, ..Settings::default() }).await;
    for _ in 0..3 {
        dns.mx("example.test").await.expect("records");
        dns.mx("other.test").await.expect_err("no such name");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2, "yes and no are asked for once each");
}

#[test]
fn without_servers_there_is_no_resolver() {
    assert!(Resolver::with(&[], Settings::default()).is_err());
}
