//! What an idle connection costs. A test binary of its own, so that nothing else moves the numbers.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Client, start};
use postroad_net::{Arrival, ConnectionId, Fatal, LimitSettings, Stream, Times, TlsMode, World, run};
use postroad_protocol::{Interrupt, Peer, Protocol, Step, TlsFacts};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Resident memory of this process in bytes; None where it cannot be told.
fn resident() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// Twice this, twice over for both ends, stays below the usual limit of 1,024 open files.
const CONNECTIONS: usize = 200;

#[tokio::test]
async fn idle_connections_are_small() {
    let Some(_) = resident() else { return };
    let plain = start(|_| {}, LimitSettings::default());
    let mut clients = Vec::new();
    let mut before = 0;
    for n in 0..2 * CONNECTIONS {
        // The first half warms the allocator and the runtime up.
        if n == CONNECTIONS {
            before = resident().expect("it was there");
        }
        let mut client = Client::connect(&plain).await;
        client.say("job x\n").await;
        client.expect("hello").await;
        client.expect("x").await;
        // The reader's own buffer is the client's cost, not the server's.
        clients.push(client.stream.into_inner());
    }
    let each = (resident().expect("it was there") - before) / CONNECTIONS;
    assert!(each < 20 * 1024, "an idle plain connection costs {each} bytes");
    drop(clients);

    let server = start(|listener| listener.tls = TlsMode::Implicit, LimitSettings::default());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&server.files.chain).expect("PEM")).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    let connector = TlsConnector::from(Arc::new(config));
    let mut clients = Vec::new();
    for n in 0..2 * CONNECTIONS {
        if n == CONNECTIONS {
            before = resident().expect("it was there");
        }
        let socket = TcpStream::connect(server.address).await.expect("connected");
        let name = ServerName::try_from("mail.example.test").expect("a name");
        let stream = connector.connect(name, socket).await.expect("secured");
        let mut client = Client { stream: tokio::io::BufReader::new(stream) };
        client.say("job x\n").await;
        client.expect("hello").await;
        client.expect("x").await;
        clients.push(client.stream.into_inner());
    }
    let both = (resident().expect("it was there") - before) / CONNECTIONS;
    // Both ends live in this process and cost about the same.
    assert!(both < 2 * 40 * 1024, "an idle TLS connection costs {both} bytes on both ends");
}

/// A session and jobs of so many bytes that do nothing.
struct Large(#[expect(dead_code, reason = "only its size matters")] [u8; 4000]);

impl Protocol for Large {
    type Job = [u8; 4000];

    fn input(&mut self, _: &[u8]) {}

    fn step(&mut self) -> Step<[u8; 4000]> {
        Step::Close
    }

    fn take_output(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn secured(&mut self, _: TlsFacts) {}

    fn interrupt(&mut self, _: Interrupt) {}

    fn patience(&self) -> Duration {
        Duration::ZERO
    }
}

struct Nothing;

impl World<Large> for Nothing {
    async fn perform(&self, session: Large, _: [u8; 4000]) -> Result<Large, Fatal> {
        Ok(session)
    }
}

#[tokio::test]
async fn the_loop_holds_one_session_and_no_room_for_more() {
    let (near, _far) = tokio::io::duplex(64);
    let (door, ..) = common::door(LimitSettings::default(), Times::default());
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let peer = Peer { remote: address, local: address };
    let arrival = Arrival { peer, tls: None, id: ConnectionId(1), listener: "test".into() };
    let running = run(Stream::Plain(near), &arrival, &door, &Nothing, Large([0; 4000]));
    let size = std::mem::size_of_val(&running);
    assert!(size < 3000, "the future of the loop is {size} bytes");
}
