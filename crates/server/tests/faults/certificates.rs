//! Certificate files that are replaced while the program runs.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::world::{PATIENCE, Server, eventually, program};

/// A certificate for `localhost` and its key, both as PEM, and the certificate as it is seen.
struct Pair {
    chain: String,
    key: String,
    seen: CertificateDer<'static>,
}

fn make() -> Pair {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    Pair { chain: made.cert.pem(), key: made.signing_key.serialize_pem(), seen: made.cert.der().clone() }
}

/// Puts a file in the place of another, as renewal programs do.
fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("new");
    fs::write(&fresh, text).expect("written");
    fs::rename(&fresh, path).expect("renamed");
}

type Secured = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// A TLS connection to the server that is known by one of these certificates, after its greeting.
fn connect(at: SocketAddr, known: &[&Pair]) -> Secured {
    let mut roots = RootCertStore::empty();
    for pair in known {
        roots.add(pair.seen.clone()).expect("a certificate");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), "localhost".try_into().expect("a name")).expect("a session");
    let socket = TcpStream::connect(at).expect("the server accepts");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    let mut client = BufReader::new(StreamOwned::new(session, socket));
    assert!(line(&mut client).starts_with("* OK "));
    client
}

fn line(client: &mut Secured) -> String {
    let mut line = String::new();
    client.read_line(&mut line).expect("an answer over TLS");
    line
}

fn shows(client: &Secured, pair: &Pair) -> bool {
    client.get_ref().conn.peer_certificates().and_then(<[_]>::first) == Some(&pair.seen)
}

#[test]
fn new_certificates_are_taken_and_broken_ones_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (make(), make());
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    fs::write(&chain, &old.chain).expect("written");
    fs::write(&key, &old.key).expect("written");
    let server = Server::serve(folder.path(), |_| {
        format!("[[certificate]]\nchain = \"{}\"\nkey = \"{}\"\n", chain.display(), key.display())
    });
    let both = [&old, &new];
    let mut first = connect(server.at(993), &both);
    assert!(shows(&first, &old));

    // Half of the pair is no pair: the old one stays until both are there.
    replace(&chain, &new.chain);
    program("kill", &["-HUP", &server.id()]);
    server.logged(&["stays in use", "does not belong to the certificate"]);
    assert!(shows(&connect(server.at(993), &both), &old));
    replace(&key, &new.key);
    program("kill", &["-HUP", &server.id()]);
    eventually("the new certificate", || shows(&connect(server.at(993), &both), &new));
    // Who is connected goes on.
    first.get_mut().write_all(b"a NOOP\r\n").expect("still connected");
    assert!(line(&mut first).starts_with("a OK"));

    replace(&chain, "not a certificate\n");
    program("kill", &["-HUP", &server.id()]);
    server.logged(&["stays in use", "holds no certificate"]);
    assert!(shows(&connect(server.at(993), &both), &new));
}
