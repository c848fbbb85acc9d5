//! From nothing to a session that is signed in.

use std::time::Duration;

use postroad_imap::client::{Event, Line, Response, Status};
use postroad_protocol::Bindings;
use postroad_sasl::{Client, ClientIdentity, Secret};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::connection::{Connection, Manners, Wire, goodbye, succeeded};
use crate::desk::{Desk, Request};
use crate::place::{Place, Security};
use crate::tls::{self, Trust};
use crate::{Error, Result};

/// What is shown to the other server.
#[derive(Clone)]
pub enum Credential {
    /// A password.
    Password(String),
    /// A bearer token (OAuth 2.0).
    Token(String),
    /// A command that prints one: it is run for each connection, since tokens live for an hour.
    Command(String),
    /// One that the desk has for the place, renewed in time: it is asked for it for each connection.
    Granted(Desk),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(***)")
    }
}

/// Everything that connections to a place need.
#[derive(Debug, Clone)]
pub struct Access {
    /// Where.
    pub place: Place,
    /// With what.
    pub credential: Credential,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// How connections behave.
    pub manners: Manners,
}

impl Access {
    /// Connects and signs in.
    pub async fn open(&self) -> Result<Connection> {
        let mut connection = self.connect().await?;
        capabilities(&mut connection).await?;
        self.sign_in(&mut connection).await?;
        connection.session.forget_capabilities();
        capabilities(&mut connection).await?;
        let session = &connection.session;
        // RFC 6855 §3, §6: once that is asked for, mail comes and goes as it is, and names are in UTF-8.
        let utf8 = session.has("UTF8=ACCEPT") || session.has("UTF8=ONLY");
        if utf8 && (session.has("ENABLE") || session.has("IMAP4rev2")) {
            connection.run(Line::new("ENABLE UTF8=ACCEPT"), |_| ()).await?;
        }
        if connection.session.has("ID") {
            // RFC 2971: some servers (163.com) open nothing to whom they do not know.
            let line = Line::new("ID").word("(\"name\" \"Postroad\")");
            connection.run(line, |_| ()).await?;
        }
        Ok(connection)
    }

    async fn connect(&self) -> Result<Connection> {
        let Place { host, security, .. } = &self.place;
        let (wire, bindings) = reach(&self.place, &self.trust).await?;
        let mut connection = Connection::new(wire, self.manners.clone());
        (connection.bindings, connection.private) = (bindings, *security == Security::Implicit);
        match connection.event().await? {
            Event::Greeting(word) if word.status == Status::Ok => {}
            // RFC 9051 §11.1: who may be anybody in between says that we are signed in already, to keep TLS away.
            Event::Greeting(word) if word.status == Status::Preauth && *security != Security::StartTls => {}
            Event::Greeting(word) if word.status == Status::Bye => return Err(goodbye(&word)),
            _ => return Err(Error::Peer("its greeting is not one of IMAP".into())),
        }
        if *security == Security::StartTls {
            let tag = connection.session.start_tls()?;
            loop {
                match connection.event().await? {
                    Event::Handshake => break,
                    Event::Done(done) if done.tag == tag => {
                        return Err(Error::Refused(format!("it has no STARTTLS ({})", done.word.text)));
                    }
                    _ => {}
                }
            }
            let wire = connection.take()?;
            let (stream, bindings) = shake_hands(host, &self.trust, wire).await?;
            connection.put(stream);
            (connection.bindings, connection.private) = (bindings, true);
        }
        Ok(connection)
    }

    async fn sign_in(&self, connection: &mut Connection) -> Result<()> {
        let Place { user, host, port, security } = &self.place;
        let unfit = |error: postroad_sasl::Error| Error::User(format!("{user} cannot sign in at {host}: {error}"));
        // Exchange Online and others say that they take tokens only when they are asked with one.
        let token = |text: String| {
            let token = postroad_sasl::Credential::Token { token: Secret::new(text), host: host.clone(), port: *port };
            (token, postroad_sasl::find("XOAUTH2"))
        };
        let (shown, forced) = match &self.credential {
            Credential::Password(password) => {
                (postroad_sasl::Credential::Password(Secret::new(password.clone())), None)
            }
            Credential::Token(text) => token(text.clone()),
            Credential::Command(command) => token(printed(command).await?),
            Credential::Granted(desk) => token(granted(desk, host).await?),
        };
        let identity = ClientIdentity::new(user.as_str(), shown).map_err(unfit)?;
        let private = connection.private || *security == Security::None;
        let offered: Vec<&str> = connection
            .session
            .capabilities()
            .unwrap_or_default()
            .iter()
            .filter_map(|word| {
                word.get(5..).filter(|_| word.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("AUTH=")))
            })
            .collect();
        let mechanism = postroad_sasl::choose(offered, &identity, &connection.bindings, private).or(forced);
        let tag = match (mechanism, &self.credential) {
            (Some(mechanism), _) => {
                let client = Client::new(mechanism, identity, &connection.bindings).map_err(unfit)?;
                connection.session.authenticate(client)?
            }
            (None, Credential::Password(password)) if !connection.session.has("LOGINDISABLED") => {
                connection.session.login(user, &Secret::new(password.clone()))?
            }
            (None, _) => {
                return Err(Error::User(format!(
                    "{host} takes no password; sign in with --oauth, or use a token with --oauth2-token-file or \
                     --oauth2-token-command"
                )));
            }
        };
        let word = connection.finish(tag, &mut |_: Response| ()).await?;
        succeeded(word).map(|_| ()).map_err(|error| match error {
            Error::Refused(text) => Error::User(format!("{host} does not let {user} in: {text}")),
            other => other,
        })
    }
}

/// A socket to a place, in TLS where it is to be so from the first octet, and what ties signing in to it.
pub(crate) async fn reach(place: &Place, trust: &Trust) -> Result<(Box<dyn Wire>, Bindings)> {
    let Place { host, port, security, .. } = place;
    let unreachable = |why: String| Error::Network(format!("{host} port {port}: {why}"));
    let socket = timeout(CONNECT, TcpStream::connect((host.as_str(), *port)))
        .await
        .map_err(|_| unreachable("no answer".into()))?
        .map_err(|error| unreachable(error.to_string()))?;
    let _ = socket.set_nodelay(true);
    match security {
        Security::Implicit => shake_hands(host, trust, Box::new(socket)).await,
        Security::StartTls | Security::None => Ok((Box::new(socket), Bindings::default())),
    }
}

/// TLS over an open socket, and what ties signing in to it.
pub(crate) async fn shake_hands(host: &str, trust: &Trust, wire: Box<dyn Wire>) -> Result<(Box<dyn Wire>, Bindings)> {
    let name = tls::server_name(host)?;
    let connecting = tls::connector(trust)?.connect(name, wire);
    let stream = timeout(CONNECT, Box::pin(connecting)).await.map_err(|_| Error::Network("no TLS came".into()))?;
    let stream = stream.map_err(|error| {
        let verified = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match verified {
            Some(rustls::Error::InvalidCertificate(why)) => Error::User(format!(
                "the certificate of {host} cannot be verified ({why:?}); name its authority with --ca FILE"
            )),
            Some(_) | None => Error::Network(error.to_string()),
        }
    })?;
    let session = stream.get_ref().1;
    let modern = session.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
    // RFC 9266 §4.2.
    let exporter = session.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""));
    let bindings = Bindings { exporter: exporter.ok().filter(|_| modern), end_point: None };
    Ok((Box::new(stream), bindings))
}

/// The token that was granted, good now.
async fn granted(desk: &Desk, host: &str) -> Result<String> {
    let (_, octets) = desk.begin(Request::Token, Vec::new())?.octets().await?;
    match String::from_utf8(octets) {
        Ok(token) if !token.is_empty() => Ok(token),
        Ok(_) | Err(_) => Err(Error::User(format!("nobody has signed in at {host} yet; do it with --oauth"))),
    }
}

/// The first line that a command prints.
async fn printed(command: &str) -> Result<String> {
    let command = command.to_owned();
    let run = tokio::task::spawn_blocking(move || {
        std::process::Command::new("sh").arg("-c").arg(command).stderr(std::process::Stdio::inherit()).output()
    });
    let failed = |why: String| Error::User(format!("the command for the token failed: {why}"));
    let output = timeout(CONNECT, run).await.map_err(|_| failed("it does not end".into()))?;
    let output = output.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next().map(str::trim) {
        Some(token) if !token.is_empty() => Ok(token.to_owned()),
        Some(_) | None => Err(failed("it printed nothing".into())),
    }
}

/// Asks what the server can do, unless it has said so.
async fn capabilities(connection: &mut Connection) -> Result<()> {
    if connection.session.capabilities().is_none() {
        connection.must(Line::new("CAPABILITY"), |_| ()).await?;
    }
    Ok(())
}

/// A connection, and a handshake, have to come about in this time.
const CONNECT: Duration = Duration::from_secs(60);
