//! Conversations with a server as a stranger has them: lines, TLS, and the certificate that is shown.
//!
//! Blocking, for threads of their own: each wait ends after [`WAIT`]. Any certificate is taken, for it is to be looked at.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

/// How long a server may take to connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(8);
/// How long it may take for each answer: some let strangers wait before they greet.
const WAIT: Duration = Duration::from_secs(20);
/// Octets of one answer.
const REPLY_MAX: usize = 32 * 1024;

/// Whom we believe what a certificate says.
#[derive(Clone)]
pub(super) struct Trust(Arc<WebPkiServerVerifier>);

impl Trust {
    /// A PEM file, or without one what the system trusts. The error says why there is nobody.
    pub(super) fn new(authorities: Option<&Path>) -> Result<Trust, String> {
        let roots = postroad_mta::outbound::look::authorities(authorities)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        Ok(Trust(verifier.map_err(|error| error.to_string())?))
    }

    /// Whether a chain vouches for a host; why not.
    pub(super) fn verify(&self, chain: &[Vec<u8>], host: &str) -> Result<(), String> {
        let ders: Vec<CertificateDer<'_>> = chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let Some((leaf, rest)) = ders.split_first() else { return Err("there is no certificate".into()) };
        let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
        let verified = self.0.verify_server_cert(leaf, rest, &name, &[], UnixTime::now());
        verified.map(|_| ()).map_err(|error| error.to_string())
    }
}

/// Takes any certificate.
#[derive(Debug)]
struct Any(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Any {
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
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Connects; the error is for people.
pub(super) fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_WITHIN).map_err(|error| error.to_string())?;
    let set = stream.set_read_timeout(Some(WAIT)).and_then(|()| stream.set_write_timeout(Some(WAIT)));
    set.map_err(|error| error.to_string())?;
    Ok(stream)
}

/// Shakes hands and answers the chain that is shown, in DER, the certificate first.
pub(super) fn shown_chain(stream: TcpStream, host: &str) -> Result<Vec<Vec<u8>>, String> {
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let any = Arc::new(Any(provider.signature_verification_algorithms));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(any)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    let mut tls = StreamOwned::new(connection, stream);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock).map_err(|error| error.to_string())?;
    }
    let chain = tls.conn.peer_certificates().unwrap_or_default().iter().map(|der| der.to_vec()).collect();
    tls.conn.send_close_notify();
    let _ = tls.flush();
    Ok(chain)
}

/// A conversation in lines, in clear.
pub(super) struct Talk {
    stream: TcpStream,
    left: Vec<u8>,
}

/// A conversation in SMTP, in clear.
pub(super) struct Smtp(Talk);

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// The texts of its lines.
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// Its first line, for people.
    pub(super) fn first(&self) -> String {
        let text: String = self.lines.first().map(String::as_str).unwrap_or_default().chars().take(120).collect();
        format!("{} {text}", self.code)
    }
}

impl Smtp {
    pub(super) fn over(stream: TcpStream) -> Smtp {
        Smtp(Talk::over(stream))
    }

    /// Hears the greeting, says EHLO and hears the answer, where both are as they have to be.
    pub(super) fn begin(&mut self, helo: &str) -> Result<(Reply, Reply), String> {
        let greeting = self.reply()?;
        if greeting.code != 220 {
            return Err(format!("it greets with {}", greeting.first()));
        }
        let ehlo = self.ask(&format!("EHLO {helo}"))?;
        if ehlo.code != 250 {
            return Err(format!("it answers EHLO with {}", ehlo.first()));
        }
        Ok((greeting, ehlo))
    }

    /// Says a line and hears the reply.
    pub(super) fn ask(&mut self, line: &str) -> Result<Reply, String> {
        self.0.say(line)?;
        self.reply()
    }

    /// The next reply. RFC 5321 §4.2.1.
    pub(super) fn reply(&mut self) -> Result<Reply, String> {
        let (mut lines, mut octets) = (Vec::new(), 0);
        loop {
            let line = self.0.line()?;
            octets += line.len();
            if octets > REPLY_MAX {
                return Err("the reply has no end".into());
            }
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
            let Some(code) = code else { return Err(format!("it speaks no SMTP: {}", line.escape_debug())) };
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, lines });
            }
        }
    }

    /// The connection itself, to go on in TLS.
    pub(super) fn into_stream(self) -> TcpStream {
        self.0.into_stream()
    }
}

impl Talk {
    pub(super) fn over(stream: TcpStream) -> Talk {
        Talk { stream, left: Vec::new() }
    }

    /// Says a line.
    pub(super) fn say(&mut self, line: &str) -> Result<(), String> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).map_err(|error| error.to_string())
    }

    /// Hears lines up to one that is the last, which is among them.
    pub(super) fn until(&mut self, is_last: impl Fn(&str) -> bool) -> Result<Vec<String>, String> {
        let (mut lines, mut octets) = (Vec::new(), 0);
        loop {
            let line = self.line()?;
            octets += line.len();
            if octets > REPLY_MAX {
                return Err("the answer has no end".into());
            }
            let is_over = is_last(&line);
            lines.push(line);
            if is_over {
                return Ok(lines);
            }
        }
    }

    /// The connection itself, to go on in TLS.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// The next line, without its end.
    pub(super) fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.left.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.left.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.left.len() > REPLY_MAX {
                return Err("the line has no end".into());
            }
            let mut octets = [0; 2048];
            match self.stream.read(&mut octets).map_err(|error| error.to_string())? {
                0 => return Err("it closed the connection".into()),
                more => self.left.extend_from_slice(&octets[..more]),
            }
        }
    }
}
