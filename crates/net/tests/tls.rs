//! TLS over real sockets: implicit, STARTTLS, versions, names, new certificates.

mod common;

use std::sync::Arc;
use std::time::SystemTime;

use common::{Client, PATIENCE, Server, start};
use postroad_net::{CertificateFiles, Error, LimitSettings, Listener, TlsMode, self_made, serve};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ResolvesServerCert;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];

fn client_config(files: &CertificateFiles, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.chain).expect("PEM")).expect("a certificate");
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn name(name: &str) -> ServerName<'static> {
    name.to_owned().try_into().expect("a name")
}

async fn secure(
    socket: TcpStream,
    files: &CertificateFiles,
    versions: &[&'static SupportedProtocolVersion],
    asked: &str,
) -> std::io::Result<Client<TlsStream<TcpStream>>> {
    let connector = TlsConnector::from(Arc::new(client_config(files, versions)));
    Ok(Client { stream: BufReader::new(connector.connect(name(asked), socket).await?) })
}

async fn connect(server: &Server) -> Client<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(server.address).await.expect("connected");
    secure(socket, &server.files, VERSIONS, "mail.example.test").await.expect("secured")
}

fn implicit(listener: &mut Listener) {
    listener.tls = TlsMode::Implicit;
}

fn start_tls(listener: &mut Listener) {
    listener.tls = TlsMode::StartTls;
}

#[tokio::test]
async fn tls_from_the_first_byte() {
    let server = start(implicit, LimitSettings::default());
    let mut client = connect(&server).await;
    client.say("facts\nlines 2000\nclose\n").await;
    client.expect("hello").await;
    client.expect("TLSv1.3 TLS_AES_256_GCM_SHA384 X25519MLKEM768 mail.example.test").await;
    // `rest` fails without close_notify.
    assert_eq!(client.rest().await.len(), 2000 * 1002 + "bye\r\n".len());
}

#[tokio::test]
async fn tls_1_2_for_older_servers() {
    let server = start(implicit, LimitSettings::default());
    let socket = TcpStream::connect(server.address).await.expect("connected");
    let mut client =
        secure(socket, &server.files, &[&rustls::version::TLS12], "mail.example.test").await.expect("secured");
    client.say("facts\nclose\n").await;
    client.expect("hello").await;
    let facts = client.line().await;
    assert!(facts.starts_with("TLSv1.2 TLS_ECDHE_ECDSA_WITH_"), "{facts}");
    assert_eq!(client.rest().await, "bye\r\n");
}

#[tokio::test]
async fn start_tls_drops_what_came_in_clear() {
    let server = start(start_tls, LimitSettings::default());
    let mut client = Client::connect(&server).await;
    client.say("facts\nstarttls\necho injected\njob injected\n").await;
    client.expect("hello").await;
    client.expect("clear").await;
    client.expect("go ahead").await;
    assert!(client.stream.buffer().is_empty(), "nothing more is said in clear");
    let mut client =
        secure(client.stream.into_inner(), &server.files, VERSIONS, "mail.example.test").await.expect("secured");
    client.say("facts\nclose\n").await;
    assert_eq!(client.rest().await, "TLSv1.3 TLS_AES_256_GCM_SHA384 X25519MLKEM768 mail.example.test\r\nbye\r\n");
}

#[tokio::test]
async fn what_is_not_tls_ends_that_connection_alone() {
    for mode in [implicit as fn(&mut Listener), start_tls] {
        let server = start(mode, LimitSettings::default());
        let mut client = TcpStream::connect(server.address).await.expect("connected");
        client.write_all(b"starttls\n").await.expect("written");
        let mut first = [0; 1];
        client.read_exact(&mut first).await.expect("an alert or a greeting");
        // Perhaps gone already.
        let _ = client.write_all(b"EHLO this is not TLS, as anyone can see\r\n").await;
        let _ = timeout(PATIENCE, client.read_to_end(&mut Vec::new())).await.expect("it is closed in time");
        server.open_at_most(0).await;
        assert!(!server.task.is_finished());
    }
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections() {
    let server = start(implicit, LimitSettings::default());
    let mut old = connect(&server).await;
    old.expect("hello").await;
    let next = tempfile::tempdir().expect("a folder");
    let new = self_made(next.path(), &["mail.example.test".into()], SystemTime::now()).expect("a certificate");
    std::fs::copy(&new.key, &server.files.key).expect("copied");
    std::fs::copy(&new.chain, &server.files.chain).expect("copied");
    // As `watch` does at its interval.
    assert_eq!(server.certificates.reload(), 1);
    let socket = TcpStream::connect(server.address).await.expect("connected");
    let mut client = secure(socket, &new, VERSIONS, "mail.example.test").await.expect("it trusts the new one alone");
    client.expect("hello").await;
    old.say("echo alive\n").await;
    old.expect("alive").await;
}

#[tokio::test]
async fn protocols_are_offered_where_asked() {
    let server = start(
        |listener| {
            implicit(listener);
            listener.alpn = vec![b"http/1.1".to_vec()];
        },
        LimitSettings::default(),
    );
    let mut config = client_config(&server.files, VERSIONS);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let socket = TcpStream::connect(server.address).await.expect("connected");
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name("mail.example.test"), socket).await.expect("secured");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn a_listener_without_a_certificate_says_so() {
    let mut listener = Listener::new("imaps", "127.0.0.1:0".parse().expect("an address"));
    listener.tls = TlsMode::Implicit;
    let bound = postroad_net::bind(listener.clone(), &mut postroad_net::Inherited::none()).expect("a socket");
    let (mut door, ..) = common::door(LimitSettings::default(), postroad_net::Times::default());
    door.tls = None;
    assert!(matches!(door.check(&listener), Err(Error::NoCertificate { name }) if name == "imaps"));
    // Returns at once.
    serve(bound, door, common::Test::new(), common::Lines::new).await;
}

/// Outlook for the Mac asks for the name with a trailing dot, which no client library at hand sends: so the hello of
/// one is changed on its way.
#[test]
fn a_name_with_a_trailing_dot_is_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = |name: &str| {
        self_made(&folder.path().join(name), &[name.to_owned()], SystemTime::now()).expect("a certificate")
    };
    let (first, second) = (made("first.example"), made("second.example"));
    let certificates = postroad_net::Certificates::load(vec![first.clone(), second.clone()]).expect("both load");
    let config = Arc::new(client_config(&first, VERSIONS));
    let mut client = ClientConnection::new(config, name("second.examplex")).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("a hello");
    let place = hello.windows(15).position(|part| part == b"second.examplex").expect("the name");
    hello[place + 14] = b'.';
    let mut acceptor = rustls::server::Acceptor::default();
    acceptor.read_tls(&mut hello.as_slice()).expect("read");
    let accepted = acceptor.accept().map_err(|(error, _)| error).expect("a hello").expect("whole");
    let chosen = certificates.resolve(accepted.client_hello()).expect("a certificate");
    assert_eq!(chosen.cert[0], CertificateDer::from_pem_file(&second.chain).expect("PEM"));
}
