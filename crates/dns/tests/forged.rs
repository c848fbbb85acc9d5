//! Somebody between us and the name server, who has every record of the zones and none of their keys: what they put
//! together is refused, and what they leave alone is not.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, NSEC};
use hickory_resolver::proto::op::{Edns, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use postroad_dns::{Dns, Dnssec, Error, Resolver, Security, Settings};
use postroad_testkit::{DnsServer, Zone};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// What is done to the answer about one name; everything else is passed on.
#[derive(Debug, Clone, Copy)]
enum Attack {
    /// There are no such records: the denial is that of an unsigned zone.
    ForeignDenial,
    /// The same, with the NSEC3 and signatures taken from elsewhere in the signed zone.
    OtherDenial,
    /// There is no such name, says nobody.
    BareDenial,
    /// The records of a wildcard for a name that has its own; nothing beside them.
    Wildcard,
    /// The same, with the start of an unsigned zone beside them.
    WildcardAndForeign,
    /// The same, with a proof for another name.
    WildcardAndOtherProof,
    /// The same, with a proof that is made up, in an unsigned zone, where nothing needs a signature.
    WildcardAndMadeUpProof,
    /// Other records without signatures.
    Unsigned,
    /// An alias to where the attacker is.
    Alias,
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

async fn ask(server: SocketAddr, owner: &Name, kind: RecordType) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    socket.connect(server).await.expect("connected");
    let mut question = Message::query();
    question.add_query(Query::query(owner.clone(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(4096).set_dnssec_ok(true);
    question.edns = Some(edns);
    socket.send(&question.to_vec().expect("octets")).await.expect("sent");
    let mut space = [0; 4096];
    let length = timeout(Duration::from_secs(10), socket.recv(&mut space)).await.expect("in time").expect("an answer");
    Message::from_vec(&space[..length]).expect("a message")
}

/// The answer with all records of `from` given to `to`.
fn renamed(mut records: Vec<Record>, to: &Name) -> Vec<Record> {
    records.iter_mut().for_each(|record| record.name = to.clone());
    records
}

async fn forged(server: SocketAddr, attack: Attack, asked: &Name, kind: RecordType) -> Message {
    let mut answer = ask(server, asked, kind).await;
    let foreign = ask(server, &name("gone.unsigned.test."), kind).await;
    let wild = ask(server, &name("some.wild.signed.test."), kind).await;
    answer.metadata.response_code = ResponseCode::NoError;
    match attack {
        Attack::ForeignDenial => {
            answer.answers.clear();
            answer.authorities = foreign.authorities;
        }
        Attack::OtherDenial => {
            answer.answers.clear();
            answer.authorities = ask(server, &name("gone.signed.test."), kind).await.authorities;
        }
        Attack::BareDenial => {
            answer.answers.clear();
            answer.authorities.clear();
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        Attack::Wildcard => answer.answers = renamed(wild.answers, asked),
        Attack::WildcardAndForeign => {
            answer.answers = renamed(wild.answers, asked);
            answer.authorities = foreign.authorities;
        }
        Attack::WildcardAndOtherProof => {
            answer.answers = renamed(wild.answers, asked);
            answer.authorities = ask(server, &name("zzz.wild.signed.test."), kind).await.authorities;
        }
        Attack::WildcardAndMadeUpProof => {
            answer.answers = renamed(wild.answers, asked);
            let nsec = NSEC::new(name("z.unsigned.test."), [RecordType::A]);
            let nsec = RData::DNSSEC(DNSSECRData::NSEC(nsec));
            answer.authorities = vec![Record::from_rdata(name("a.unsigned.test."), 60, nsec)];
        }
        Attack::Unsigned => answer.answers.retain(|record| record.record_type() == kind),
        Attack::Alias => {
            let target = RData::CNAME(hickory_resolver::proto::rr::rdata::CNAME(name("mx.unsigned.test.")));
            answer.answers = vec![Record::from_rdata(asked.clone(), 60, target)];
        }
    }
    answer
}

/// A server that does this to questions about `victim`, and hands on the others.
async fn between(server: SocketAddr, victim: &'static str, attack: Attack) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let mut space = [0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut space).await.expect("a question");
            let question = Message::from_vec(&space[..length]).expect("a message");
            let query = question.queries.first().expect("a question").clone();
            let is_victim =
                query.name() == &name(victim) && matches!(query.query_type(), RecordType::A | RecordType::TLSA);
            let mut answer = match is_victim {
                true => forged(server, attack, query.name(), query.query_type()).await,
                false => ask(server, query.name(), query.query_type()).await,
            };
            answer.metadata.id = question.metadata.id;
            answer.queries = vec![query];
            socket.send_to(&answer.to_vec().expect("octets"), from).await.expect("sent");
        }
    });
    address
}

#[tokio::test]
async fn forged_answers_are_refused() {
    let records = "mx A 192.0.2.1\n_25._tcp.mx TLSA 3 1 1 aabb\n*.wild A 192.0.2.3\n*.wild TLSA 3 1 1 ccdd\n\
        there.wild A 192.0.2.4\nthere.wild TLSA 3 1 1 aabb";
    let server = DnsServer::serve(vec![
        Zone::signed("", ""),
        Zone::signed("test", ""),
        Zone::signed("signed.test", records),
        Zone::unsigned("unsigned.test", "mx A 192.0.2.66\n*.wild A 192.0.2.66"),
    ]);
    let settings = Settings {
        dnssec: Dnssec::Validate,
        trust_anchor: Some(server.trust_anchor().to_owned()),
        ..Settings::default()
    };
    for (victim, attacks) in [
        (
            "_25._tcp.mx.signed.test.",
            &[Attack::ForeignDenial, Attack::OtherDenial, Attack::BareDenial, Attack::Unsigned][..],
        ),
        (
            "there.wild.signed.test.",
            &[
                Attack::ForeignDenial,
                Attack::Wildcard,
                Attack::WildcardAndForeign,
                Attack::WildcardAndOtherProof,
                Attack::WildcardAndMadeUpProof,
                Attack::Unsigned,
                Attack::Alias,
            ],
        ),
    ] {
        for attack in attacks {
            let through = between(server.address(), victim, *attack).await;
            let dns = Resolver::with(&[through], settings.clone()).expect("a resolver");
            let answer = dns.tlsa(victim).await;
            assert!(matches!(answer, Err(Error::Bogus(_))), "{attack:?} of {victim}: {answer:?}");
            // What nobody touched is good.
            assert_eq!(dns.ipv4("mx.signed.test").await.expect("an address").security, Security::Secure, "{attack:?}");
            assert_eq!(dns.ipv4("mx.unsigned.test").await.expect("an address").security, Security::Insecure);
        }
    }
}
