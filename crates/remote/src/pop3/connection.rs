//! A POP3 connection: from nothing to a session that is signed in, and its commands.

use std::time::Duration;

use postroad_protocol::Bindings;
use postroad_sasl::{Client, ClientIdentity, Secret, choose};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::session::{Event, Reply, Session};
use crate::connection::Wire;
use crate::login::{reach, shake_hands};
use crate::place::{Place, Security};
use crate::tls::Trust;
use crate::{Error, Result};

/// What is shown to the server.
#[derive(Clone, PartialEq, Eq)]
pub enum Shown {
    /// A password.
    Password(String),
    /// An access token of OAuth 2.0.
    Token(String),
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown(***)")
    }
}

/// A connection that is signed in.
pub struct Connection {
    wire: Box<dyn Wire>,
    session: Session,
    buffer: Vec<u8>,
    bindings: Bindings,
    patience: Duration,
}

/// A message as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its number in this session.
    pub number: u32,
    /// What tells it from others, in all sessions; `None` where the server has no such thing.
    pub uidl: Option<String>,
    /// Its octets, as the server counts them.
    pub size: u64,
}

impl Connection {
    /// Connects and signs in.
    pub async fn open(place: &Place, shown: &Shown, trust: &Trust, patience: Duration) -> Result<Connection> {
        let Place { host, security, .. } = place;
        let (wire, bindings) = reach(place, trust).await?;
        let buffer = vec![0; READ];
        let mut connection = Connection { wire, session: Session::default(), buffer, bindings, patience };
        let greeting = connection.reply().await?;
        if !greeting.good {
            return Err(refused(&greeting));
        }
        if *security == Security::StartTls {
            connection.session.say("STLS")?;
            let reply = connection.reply().await?;
            if !reply.good {
                return Err(Error::Refused(format!("it has no STLS ({})", reply.text)));
            }
            connection.session.secure()?;
            let Connection { wire, session, buffer, patience, .. } = connection;
            let (wire, bindings) = shake_hands(host, trust, wire).await?;
            connection = Connection { wire, session, buffer, bindings, patience };
        }
        connection.sign_in(place, shown).await?;
        Ok(connection)
    }

    async fn sign_in(&mut self, place: &Place, shown: &Shown) -> Result<()> {
        // RFC 2449 came after RFC 1939: some have none.
        let capabilities = self.lines("CAPA").await?.unwrap_or_default();
        let user = place.user.as_str();
        let unfit = |error: postroad_sasl::Error| Error::User(format!("{user} cannot sign in: {error}"));
        let words = |name: &str| {
            let line = capabilities
                .iter()
                .find(|line| line.split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case(name)));
            line.map(|line| line.split_whitespace().skip(1))
        };
        let offered: Vec<&str> = words("SASL").into_iter().flatten().collect();
        let identity = match shown {
            Shown::Password(password) => ClientIdentity::password(user, Secret::new(password.clone())),
            Shown::Token(token) => {
                let (token, host) = (Secret::new(token.clone()), place.host.clone());
                ClientIdentity::new(user, postroad_sasl::Credential::Token { token, host, port: place.port })
            }
        };
        let identity = identity.map_err(unfit)?;
        let mechanism = choose(offered, &identity, &self.bindings, true);
        let reply = match (shown, mechanism) {
            // Exchange Online says what it takes only when it is asked with it.
            (Shown::Token(_), mechanism) => {
                let mechanism = mechanism.or_else(|| postroad_sasl::find("XOAUTH2"));
                let mechanism = mechanism.ok_or_else(|| Error::Here("XOAUTH2 is not known".into()))?;
                self.authenticate(Client::new(mechanism, identity, &self.bindings).map_err(unfit)?).await?
            }
            // Only what shows no password is preferred to USER and PASS, which every server has.
            (Shown::Password(_), Some(mechanism))
                if !mechanism.sends_secret || words("USER").is_none() && !capabilities.is_empty() =>
            {
                self.authenticate(Client::new(mechanism, identity, &self.bindings).map_err(unfit)?).await?
            }
            (Shown::Password(password), _) => self.user_and_pass(user, password).await?,
        };
        if reply.good && words("PIPELINING").is_some() {
            self.session.pipeline();
        }
        match reply.good {
            true => Ok(()),
            false if reply.is_busy() => Err(Error::Busy(reply.text)),
            false => Err(Error::User(format!("{} does not let {user} in: {}", place.host, reply.text))),
        }
    }

    async fn authenticate(&mut self, client: Client) -> Result<Reply> {
        self.session.authenticate(client)?;
        self.reply().await
    }

    async fn user_and_pass(&mut self, user: &str, password: &str) -> Result<Reply> {
        self.session.say(&format!("USER {user}"))?;
        let reply = self.reply().await?;
        if !reply.good {
            return Ok(reply);
        }
        self.session.password(&Secret::new(password.to_owned()))?;
        let mut reply = self.reply().await?;
        if reply.text.contains(password) {
            "(its words repeat the password and are not shown)".clone_into(&mut reply.text);
        }
        Ok(reply)
    }

    /// The messages, with what tells them apart.
    pub async fn list(&mut self) -> Result<Vec<Listed>> {
        let sizes = self.lines("LIST").await?.map_err(|reply| refused(&reply))?;
        let mut all: Vec<Listed> = Vec::new();
        for line in sizes {
            let mut words = line.split_whitespace();
            let (number, size) =
                (words.next().and_then(|word| word.parse().ok()), words.next().and_then(|word| word.parse().ok()));
            let (Some(number), Some(size)) = (number, size) else {
                return Err(Error::Peer("its list of messages cannot be read".into()));
            };
            all.push(Listed { number, uidl: None, size });
        }
        if let Ok(names) = self.lines("UIDL").await? {
            let mut seen: std::collections::HashMap<String, u32> = std::collections::HashMap::new();
            let mut named: std::collections::HashMap<u32, String> = std::collections::HashMap::new();
            for line in names {
                let Some((number, uidl)) = line.trim().split_once(' ') else { continue };
                let (Ok(number), uidl) = (number.parse(), uidl.trim()) else { continue };
                if uidl.is_empty() || uidl.len() > UIDL_MAX || !uidl.bytes().all(|octet| octet.is_ascii_graphic()) {
                    continue;
                }
                *seen.entry(uidl.to_owned()).or_default() += 1;
                named.insert(number, uidl.to_owned());
            }
            // Some give two messages one name, which then is none: the one that goes would be taken for the other.
            let alone = |uidl: &String| seen.get(uidl) == Some(&1);
            all.iter_mut().for_each(|one| one.uidl = named.remove(&one.number).filter(alone));
        }
        Ok(all)
    }

    /// Asks for a message before those asked for are here, where the server takes that; false when it does not, or enough are
    /// on their way. [`Connection::fetched`] gives them in the order in which they were asked for.
    pub fn ask(&mut self, number: u32) -> Result<bool> {
        match self.session.is_free() {
            true => self.session.ask(&format!("RETR {number}")).map(|()| true),
            false => Ok(false),
        }
    }

    /// The message that was asked for first: each piece is shown. False when the server does not give it.
    pub async fn fetched(&mut self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        if !self.reply().await?.good {
            return Ok(false);
        }
        loop {
            match self.event().await? {
                Event::Piece(piece) => each(&piece)?,
                Event::End => return Ok(true),
                Event::Reply(_) => return Err(Error::Peer("a reply within a message".into())),
            }
        }
    }

    /// Marks messages for removal, which comes about with [`Connection::quit`]. How many the server marked.
    pub async fn delete(&mut self, numbers: &[u32]) -> Result<u64> {
        let (mut numbers, mut waiting, mut marked) = (numbers.iter(), 0_usize, 0);
        loop {
            while self.session.is_free()
                && let Some(number) = numbers.next()
            {
                self.session.say(&format!("DELE {number}"))?;
                waiting += 1;
            }
            if waiting == 0 {
                return Ok(marked);
            }
            marked += u64::from(self.reply().await?.good);
            waiting -= 1;
        }
    }

    /// Ends, and has removed what was marked. Errors: it may not have come about.
    pub async fn quit(mut self) -> Result<()> {
        self.session.say("QUIT")?;
        let reply = self.reply().await?;
        let _ = timeout(GOODBYE, self.wire.shutdown()).await;
        if reply.good { Ok(()) } else { Err(refused(&reply)) }
    }

    /// Lines behind a good reply, or the reply.
    async fn lines(&mut self, command: &str) -> Result<std::result::Result<Vec<String>, Reply>> {
        self.session.ask(command)?;
        let reply = self.reply().await?;
        if !reply.good {
            return Ok(Err(reply));
        }
        let mut octets = Vec::new();
        loop {
            match self.event().await? {
                Event::Piece(piece) => octets.extend(piece),
                Event::End => break,
                Event::Reply(_) => return Err(Error::Peer("a reply within a list".into())),
            }
            if octets.len() > LIST_OCTETS {
                return Err(Error::Peer("its list has no end".into()));
            }
        }
        Ok(Ok(String::from_utf8_lossy(&octets).lines().map(str::to_owned).collect()))
    }

    async fn reply(&mut self) -> Result<Reply> {
        loop {
            match self.event().await? {
                Event::Reply(reply) => return Ok(reply),
                // A challenge was answered.
                Event::Piece(_) => {}
                Event::End => return Err(Error::Peer("the end of nothing".into())),
            }
        }
    }

    async fn event(&mut self) -> Result<Event> {
        loop {
            let output = self.session.take_output();
            if !output.is_empty() {
                let write = async {
                    self.wire.write_all(&output).await?;
                    self.wire.flush().await
                };
                timeout(self.patience, write).await.map_err(|_| Error::Network("it does not read".into()))??;
            }
            if let Some(event) = self.session.step()? {
                return Ok(event);
            }
            let silent = || Error::Network("it said nothing for too long".into());
            let read = timeout(self.patience, self.wire.read(&mut self.buffer)).await.map_err(|_| silent())??;
            if read == 0 {
                return Err(Error::Network("it was closed".into()));
            }
            self.session.input(&self.buffer[..read]);
        }
    }
}

fn refused(reply: &Reply) -> Error {
    if reply.is_busy() { Error::Busy(reply.text.clone()) } else { Error::Refused(reply.text.clone()) }
}

const READ: usize = 64 * 1024;
const GOODBYE: Duration = Duration::from_secs(5);
/// RFC 1939 §7 allows 70 octets; some have more.
const UIDL_MAX: usize = 255;
/// A list of half a million messages.
const LIST_OCTETS: usize = 32 * 1024 * 1024;
