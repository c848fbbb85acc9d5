//! A connection to another IMAP server: the session's bytes over a socket, with limits of time and speed.

use std::time::Duration;

use postroad_imap::client::{Event, Limits, Line, Response, Session, Status, Tag, Word};
use postroad_protocol::Bindings;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::{Error, Result};

/// What a connection runs over.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// How a connection is to behave.
#[derive(Debug, Clone)]
pub struct Manners {
    /// The longest silence of the other server.
    pub patience: Duration,
    /// Octets in a second, both ways together; none for as fast as it goes.
    pub bandwidth: Option<u64>,
}

impl Default for Manners {
    fn default() -> Manners {
        Manners { patience: Duration::from_secs(300), bandwidth: None }
    }
}

/// A connection that is open.
pub struct Connection {
    wire: Option<Box<dyn Wire>>,
    /// The session; for capabilities.
    pub session: Session,
    manners: Manners,
    buffer: Vec<u8>,
    /// What ties signing in to this connection.
    pub bindings: Bindings,
    /// Nobody else can read along.
    pub private: bool,
    /// When the octets so far may have passed at the allowed speed.
    paid: Option<Instant>,
    /// Octets that passed.
    pub octets: u64,
}

impl Connection {
    /// Over an open socket, before the greeting.
    pub fn new(wire: Box<dyn Wire>, manners: Manners) -> Connection {
        let session = Session::new(Limits::default());
        Connection {
            wire: Some(wire),
            session,
            manners,
            buffer: vec![0; READ],
            bindings: Bindings::default(),
            private: false,
            paid: None,
            octets: 0,
        }
    }

    /// Takes the socket out, for a handshake; [`Connection::put`] gives what became of it back.
    pub fn take(&mut self) -> Result<Box<dyn Wire>> {
        self.wire.take().ok_or_else(|| Error::Network("it is closed".into()))
    }

    /// The socket after the handshake.
    pub fn put(&mut self, wire: Box<dyn Wire>) {
        self.wire = Some(wire);
        self.session.secured();
    }

    /// The next event.
    pub async fn event(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.session.step()? {
                // What waits to be written goes out before the next read, together.
                return Ok(event);
            }
            self.flush().await?;
            let wire = self.wire.as_mut().ok_or_else(|| Error::Network("it is closed".into()))?;
            let silent = || Error::Network("it said nothing for too long".into());
            let read = timeout(self.manners.patience, wire.read(&mut self.buffer)).await.map_err(|_| silent())??;
            if read == 0 {
                return Err(Error::Network("it was closed".into()));
            }
            self.session.input(&self.buffer[..read]);
            self.pay(read).await;
        }
    }

    /// Writes what waits.
    pub async fn flush(&mut self) -> Result<()> {
        let output = self.session.take_output();
        if output.is_empty() {
            return Ok(());
        }
        let wire = self.wire.as_mut().ok_or_else(|| Error::Network("it is closed".into()))?;
        let write = async {
            wire.write_all(&output).await?;
            wire.flush().await
        };
        timeout(self.manners.patience, write).await.map_err(|_| Error::Network("it does not read".into()))??;
        self.pay(output.len()).await;
        Ok(())
    }

    /// Sends a command and waits for its end; each response on the way is shown.
    pub async fn run(&mut self, line: Line, mut each: impl FnMut(Response)) -> Result<Word> {
        let tag = self.session.send(line)?;
        self.finish(tag, &mut each).await
    }

    /// Waits for the end of a command.
    pub async fn finish(&mut self, tag: Tag, each: &mut impl FnMut(Response)) -> Result<Word> {
        loop {
            match self.event().await? {
                Event::Done(done) if done.tag == tag => return Ok(done.word),
                Event::Response(Response::Word(word)) if word.status == Status::Bye => {
                    return Err(goodbye(&word));
                }
                Event::Response(response) => each(response),
                Event::Done(_) | Event::Greeting(_) | Event::Begin(_) | Event::Piece(_) | Event::End => {}
                Event::Send => return Err(Error::Peer("it asks for a message that nobody has".into())),
                Event::Handshake => return Ok(Word { status: Status::Ok, code: None, text: String::new() }),
            }
        }
    }

    /// The same, for commands that have to succeed.
    pub async fn must(&mut self, line: Line, each: impl FnMut(Response)) -> Result<Word> {
        let word = self.run(line, each).await?;
        succeeded(word)
    }

    /// Ends politely; what goes wrong with that does not matter.
    pub async fn logout(mut self) {
        let ended = async {
            let _ = self.run(Line::new("LOGOUT"), |_| ()).await;
            if let Some(wire) = &mut self.wire {
                let _ = wire.shutdown().await;
            }
        };
        let _ = timeout(GOODBYE, ended).await;
    }

    /// Waits until the octets may have passed.
    async fn pay(&mut self, octets: usize) {
        self.octets += octets as u64;
        let Some(bandwidth) = self.manners.bandwidth.filter(|bandwidth| *bandwidth > 0) else { return };
        let now = Instant::now();
        let cost = Duration::from_secs_f64(octets as f64 / bandwidth as f64);
        let paid = self.paid.unwrap_or(now).max(now) + cost;
        self.paid = Some(paid);
        tokio::time::sleep_until(paid).await;
    }
}

/// The word of a command that has to succeed.
pub fn succeeded(word: Word) -> Result<Word> {
    match word.status {
        Status::Ok => Ok(word),
        Status::No | Status::Bad | Status::Bye | Status::Preauth if is_busy(&word) => Err(Error::Busy(word.text)),
        Status::No | Status::Bad | Status::Bye | Status::Preauth => Err(Error::Refused(word.text)),
    }
}

/// BYE: whether it is for a while.
pub fn goodbye(word: &Word) -> Error {
    if is_busy(word) { Error::Busy(word.text.clone()) } else { Error::Network(format!("it said: {}", word.text)) }
}

/// Words that ask to wait: Gmail's codes (`THROTTLED`, `OVERQUOTA` for bandwidth), RFC 5530 §3, and what Exchange and others
/// say in words alone.
fn is_busy(word: &Word) -> bool {
    let text = word.text.to_ascii_lowercase();
    ["THROTTLED", "UNAVAILABLE", "INUSE", "LIMIT"].iter().any(|code| word.has_code(code))
        || (word.has_code("OVERQUOTA") && text.contains("bandwidth"))
        || ["too many simultaneous", "bandwidth limit", "throttled", "backoff", "try again later", "server busy"]
            .iter()
            .any(|words| text.contains(words))
}

const READ: usize = 64 * 1024;
const GOODBYE: Duration = Duration::from_secs(5);
