//! Authorities that look over TLS (TLS-ALPN-01, RFC 8737), and everybody else at the same door.

mod common;

use std::pin::Pin;
use std::sync::Arc;

use common::Lines;
use postroad_net::{Challenges, Inherited, LimitSettings, Listener, Times, TlsMode, bind, serve};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Knows one name.
struct One;

impl Challenges for One {
    fn answer<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = Option<[u8; 32]>> + Send + 'a>> {
        Box::pin(async move { (name == "mail.example.test").then_some([0xC7; 32]) })
    }
}

/// An authority believes nothing and looks at what is there.
#[derive(Debug)]
struct Looks;

impl ServerCertVerifier for Looks {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// The protocol that was agreed on, the certificate, and the first octets that came.
type Seen = (Option<Vec<u8>>, Vec<u8>, Vec<u8>);

async fn look(address: std::net::SocketAddr, name: &str, offered: &[&[u8]]) -> std::io::Result<Seen> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Looks))
        .with_no_client_auth();
    config.alpn_protocols = offered.iter().map(|one| one.to_vec()).collect();
    let socket = TcpStream::connect(address).await.expect("connected");
    let name = name.to_owned().try_into().expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
    let connection = stream.get_ref().1;
    let agreed = connection.alpn_protocol().map(<[u8]>::to_vec);
    let shown = connection.peer_certificates().expect("one is shown")[0].to_vec();
    let mut first = vec![0; 16];
    let count = stream.read(&mut first).await?;
    first.truncate(count);
    Ok((agreed, shown, first))
}

#[tokio::test]
async fn authorities_see_the_answer_and_nobody_else_does() {
    for alpn in [vec![], vec![b"http/1.1".to_vec()]] {
        let listener = Listener::new("test", "127.0.0.1:0".parse().expect("an address"));
        let listener = Listener { tls: TlsMode::Implicit, alpn: alpn.clone(), ..listener };
        let bound = bind(listener, &mut Inherited::none()).expect("a socket");
        let address = bound.address;
        let (door, _certificates, _files, _folder) = common::door(LimitSettings::default(), Times::default());
        let mut door = door;
        door.tls = door.tls.map(|tls| tls.with_challenges(Arc::new(One)));
        tokio::spawn(serve(bound, door, common::Test::new(), Lines::new));

        // RFC 8737 §3: the extension, critical, with the digest as an octet string in it.
        let extension: &[u8] =
            &[&[0x06, 8, 0x2b, 6, 1, 5, 5, 7, 1, 31, 1, 1, 0xFF, 4, 34, 4, 32][..], &[0xC7; 32]].concat();
        let has_it = |certificate: &[u8]| certificate.windows(extension.len()).any(|window| window == extension);
        for name in ["mail.example.test", "MAIL.example.test"] {
            let (agreed, shown, first) = look(address, name, &[b"acme-tls/1"]).await.expect("answered");
            assert_eq!(agreed.as_deref(), Some(&b"acme-tls/1"[..]));
            assert!(has_it(&shown), "{shown:02x?}");
            assert!(first.is_empty(), "RFC 8737 §4: the connection ends with the handshake");
        }
        look(address, "other.example.test", &[b"acme-tls/1"]).await.expect_err("nobody was told to look for it");

        // Others are served as ever, whatever else they offer.
        let offers: &[&[&[u8]]] = match alpn.is_empty() {
            true => &[&[], &[b"imap"], &[b"acme-tls/1", b"imap"]],
            false => &[&[], &[b"http/1.1"], &[b"acme-tls/1", b"http/1.1"]],
        };
        for offered in offers {
            let (agreed, shown, first) = look(address, "mail.example.test", offered).await.expect("served");
            assert_ne!(agreed.as_deref(), Some(&b"acme-tls/1"[..]));
            assert!(!has_it(&shown));
            assert!(first.starts_with(b"hello"), "{first:?}");
        }
    }
}
