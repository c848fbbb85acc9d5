//! A connection to a next host: the session without sockets, and the socket that it is driven over.
//!
//! 1. Everything that is waited for has a limit, which the session names by its phase. A host that drips octets does not
//!    extend it: it runs from the last whole reply, or from the end of writing.
//! 2. While bytes are written, what the other side says meanwhile is read: a host that refuses in the middle of a message
//!    and stops reading must not hold us up.
//! 3. When the brake is pulled, the session is abandoned where it stands and says what that means for the message; when
//!    the time of the attempt is over, the same, but the answer to a whole message is still waited for.
//!
//! Standards: RFC 5321 §4.5.3.2 (time limits), RFC 3207 (STARTTLS).

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use postroad_protocol::TlsFacts;
use postroad_smtp::client::{Client, Failure, Phase, Report, Settings, Step, Transaction, Unsuited};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::gates::Slot;
use super::halt::Halt;
use super::source::Source;
use super::tls::{Assurance, Broken, Secured, Tls, Trust};
use super::wire::Wire;

/// What is read at once: replies are short.
const READ_SIZE: usize = 4 * 1024;
/// Last words to a host that may not listen any more, and its own.
const PARTING: Duration = Duration::from_secs(2);

/// A connection that can carry messages, or has just ended.
pub(crate) struct Connection<S = TcpStream> {
    /// `None` once it is lost.
    wire: Option<Wire<S>>,
    client: Client,
    pub(crate) peer: Peer,
    /// What the handshake has shown of who it is.
    pub(crate) assurance: Assurance,
    /// Transactions so far.
    pub(crate) transactions: u32,
    pub(crate) opened: Instant,
    /// How many replies had come, and when, before the one that is awaited.
    heard: (u64, Instant),
    /// The right to have it.
    pub(crate) slot: Option<Slot>,
    /// Our end of it.
    pub(crate) local: Option<IpAddr>,
    _open: Open,
}

/// With whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The host's name, as it was looked up.
    pub(crate) host: String,
    pub(crate) address: SocketAddr,
    /// Whose word is taken for who it is.
    pub(crate) trust: Trust,
}

/// Why a connection carries nothing.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// The session says why, and what TLS there was.
    Session(Failure, Option<String>),
    /// TLS could not be agreed on.
    Handshake(Broken),
}

/// What came of giving a connection a message.
#[derive(Debug)]
pub(crate) enum Sent {
    Report(Report),
    /// Nothing was sent.
    Unsuited(Unsuited),
    /// The session ended before the transaction began: a connection that was kept and has gone meanwhile.
    Gone(Option<Failure>),
    /// The message could not be read. The connection is lost.
    Unreadable(postroad_store::Error),
}

/// Where driving stopped.
enum Stop {
    Ready,
    Done(Report),
    Closed(Option<Failure>),
    Handshake(Broken),
    Unreadable(postroad_store::Error),
}

/// Counts connections that are open.
struct Open;

impl Open {
    fn new() -> Open {
        metrics::gauge!("postroad_outbound_connections_open").increment(1.0);
        Open
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("postroad_outbound_connections_open").decrement(1.0);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    /// Greets, and agrees on TLS and a login as the settings wish.
    pub(crate) async fn open(
        socket: S,
        peer: Peer,
        settings: Settings,
        tls: &Tls,
        halt: &Halt,
    ) -> Result<Connection<S>, Unopened> {
        let mut connection = Connection {
            wire: Some(Wire::Plain(socket)),
            client: Client::new(settings),
            peer,
            assurance: Assurance::Unchecked,
            transactions: 0,
            opened: Instant::now(),
            heard: (0, Instant::now()),
            slot: None,
            local: None,
            _open: Open::new(),
        };
        match connection.drive(Some(tls), None, halt).await {
            Stop::Ready => Ok(connection),
            Stop::Handshake(broken) => Err(Unopened::Handshake(broken)),
            Stop::Closed(Some(failure)) => Err(Unopened::Session(failure, connection.tls())),
            // The session was asked for nothing that ends otherwise.
            Stop::Closed(None) | Stop::Done(_) | Stop::Unreadable(_) => {
                Err(Unopened::Handshake(Broken::other("The session ended without a reason".into())))
            }
        }
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, transaction: Transaction, source: &mut Source, halt: &Halt) -> Sent {
        // What the host said meanwhile, before anything is sent to it.
        if let Stop::Closed(failure) = self.drive(None, None, halt).await {
            return Sent::Gone(failure);
        }
        if let Err(unsuited) = self.client.send(transaction) {
            return Sent::Unsuited(unsuited);
        }
        self.transactions += 1;
        source.rewind();
        match self.drive(None, Some(source), halt).await {
            Stop::Done(report) => Sent::Report(report),
            Stop::Closed(failure) => Sent::Gone(failure),
            Stop::Ready | Stop::Handshake(_) => Sent::Gone(None),
            Stop::Unreadable(error) => Sent::Unreadable(error),
        }
    }

    /// Ends politely, and does not insist.
    pub(crate) async fn quit(mut self, halt: &Halt) {
        self.client.quit();
        let _ = timeout(PARTING, self.drive(None, None, halt)).await;
    }

    /// What the host offers.
    pub(crate) fn capabilities(&self) -> &postroad_smtp::client::Capabilities {
        self.client.capabilities()
    }

    /// `TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified`; `None` in clear.
    pub(crate) fn tls(&self) -> Option<String> {
        let TlsFacts { version, cipher, .. } = self.client.tls()?;
        Some(format!("{version} {cipher}, {}", self.assurance))
    }

    /// Whether the host offered STARTTLS and then refused it.
    pub(crate) fn starttls_refused(&self) -> bool {
        self.client.starttls_refused()
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.client.tls().is_some()
    }

    /// Whether it is encrypted, and known with whom.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.is_encrypted() && self.assurance.is_good()
    }

    /// Whether a connection that was kept is still silent, as it should be: the host has neither closed it nor said that
    /// it will. What has not come yet shows when it is used.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let Some(wire) = &mut self.wire else { return false };
        let mut space = [0; 16];
        let mut buffer = ReadBuf::new(&mut space);
        Pin::new(wire).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer).is_pending()
    }

    /// Does what the session wants until it has an answer.
    async fn drive(&mut self, tls: Option<&Tls>, mut source: Option<&mut Source>, halt: &Halt) -> Stop {
        loop {
            match self.client.step() {
                Step::Ready => return Stop::Ready,
                Step::Done(report) => return Stop::Done(report),
                Step::Read => self.read(halt).await,
                Step::StartTls => {
                    if let Err(broken) = self.shake_hands(tls, halt).await {
                        self.wire = None;
                        return Stop::Handshake(broken);
                    }
                }
                Step::NeedBody => {
                    if let Err(error) = self.feed(&mut source, halt).await {
                        self.client.abandon();
                        self.wire = None;
                        return Stop::Unreadable(error);
                    }
                }
                Step::Close(failure) => {
                    let words = self.client.take_output();
                    if let Some(mut wire) = self.wire.take() {
                        let _ = timeout(PARTING, async {
                            wire.write_all(&words).await?;
                            wire.shutdown().await
                        })
                        .await;
                    }
                    return Stop::Closed(failure);
                }
            }
        }
    }

    /// Gives the session more of the message, once what it had is written.
    async fn feed(&mut self, source: &mut Option<&mut Source>, halt: &Halt) -> Result<(), postroad_store::Error> {
        if !self.flush(halt).await {
            return Ok(());
        }
        let piece = match source {
            Some(source) => source.next().await?,
            None => None,
        };
        match piece {
            Some(piece) => self.client.body(&piece),
            None => self.client.body_end(),
        }
        Ok(())
    }

    async fn read(&mut self, halt: &Halt) {
        if !self.flush(halt).await {
            return;
        }
        if self.heard.0 != self.client.turns() {
            self.heard = (self.client.turns(), Instant::now());
        }
        let deadline = self.heard.1 + self.client.patience();
        let mut space = [0; READ_SIZE];
        let Some(wire) = &mut self.wire else { return self.client.closed() };
        // The host may have taken the message: its answer is worth its time, or the next attempt makes a second copy.
        let is_sent = self.client.phase() == Phase::Message;
        let pulled = async { if is_sent { halt.braked().await } else { halt.pulled().await } };
        tokio::select! {
            biased;
            () = pulled => self.client.abandon(),
            read = timeout_at(deadline, wire.read(&mut space)) => match read {
                Err(_) => self.client.timed_out(),
                Ok(Err(_) | Ok(0)) => self.lose(),
                Ok(Ok(count)) => self.client.input(&space[..count]),
            },
        }
    }

    /// Writes what the session has said. False when something happened that the session has to think about first.
    async fn flush(&mut self, halt: &Halt) -> bool {
        let output = self.client.take_output();
        if output.is_empty() {
            return true;
        }
        let mut rest = output.as_slice();
        let mut undisturbed = true;
        let patience = self.client.patience();
        let mut deadline = Instant::now() + patience;
        let mut space = [0; READ_SIZE];
        loop {
            let Some(wire) = &mut self.wire else {
                self.client.closed();
                return false;
            };
            let moved = tokio::select! {
                biased;
                () = halt.pulled() => {
                    self.client.abandon();
                    return false;
                }
                moved = timeout_at(deadline, either(wire, rest, &mut space)) => moved,
            };
            match moved {
                Err(_) => {
                    self.client.timed_out();
                    return false;
                }
                Ok(Moved::Flushed) => {
                    self.heard = (self.client.turns(), Instant::now());
                    return undisturbed;
                }
                Ok(Moved::Wrote(count)) => {
                    rest = &rest[count..];
                    deadline = Instant::now() + patience;
                }
                Ok(Moved::Read(count)) if count > 0 => {
                    self.client.input(&space[..count]);
                    undisturbed = false;
                }
                Ok(Moved::Read(_)) => {
                    self.lose();
                    return false;
                }
                Ok(Moved::Broken) => {
                    self.hear_out().await;
                    self.lose();
                    return false;
                }
            }
        }
    }

    /// Nothing can be written any more; the host may have said why before it went.
    async fn hear_out(&mut self) {
        let Some(wire) = &mut self.wire else { return };
        let mut space = [0; READ_SIZE];
        let deadline = Instant::now() + PARTING;
        while let Ok(Ok(count)) = timeout_at(deadline, wire.read(&mut space)).await
            && count > 0
        {
            self.client.input(&space[..count]);
        }
    }

    fn lose(&mut self) {
        self.wire = None;
        self.client.closed();
    }

    async fn shake_hands(&mut self, tls: Option<&Tls>, halt: &Halt) -> Result<(), Broken> {
        let other = |why: &str| Err(Broken::other(why.to_owned()));
        if !self.flush(halt).await {
            return other("The connection was lost before the handshake");
        }
        let (Some(tls), Some(Wire::Plain(socket))) = (tls, self.wire.take()) else {
            return other("TLS within TLS");
        };
        let patience = self.client.patience();
        let handshake = tls.secure(socket, &self.peer.host, &self.peer.trust);
        let shaken = tokio::select! {
            () = halt.pulled() => return other("Sending was given up"),
            shaken = timeout(patience, handshake) => shaken,
        };
        match shaken {
            Err(_) => other("The TLS handshake took too long"),
            Ok(Err(broken)) => {
                Err(Broken { why: format!("The TLS handshake failed: {}", broken.why), kind: broken.kind })
            }
            Ok(Ok(Secured { stream, facts, assurance })) => {
                self.wire = Some(Wire::Tls(Box::new(stream)));
                self.heard.1 = Instant::now();
                self.assurance = assurance;
                self.client.secured(facts);
                Ok(())
            }
        }
    }
}

/// What happened first.
enum Moved {
    Wrote(usize),
    /// Everything is written and on its way.
    Flushed,
    Read(usize),
    Broken,
}

/// Writes, or reads when the other side has something to say first.
async fn either<S>(wire: &mut Wire<S>, output: &[u8], space: &mut [u8]) -> Moved
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    poll_fn(|cx| {
        let mut wire = Pin::new(&mut *wire);
        if output.is_empty() {
            match wire.as_mut().poll_flush(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Moved::Flushed),
                Poll::Ready(Err(_)) => return Poll::Ready(Moved::Broken),
                Poll::Pending => {}
            }
        } else {
            match wire.as_mut().poll_write(cx, output) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Moved::Broken),
                Poll::Ready(Ok(count)) => return Poll::Ready(Moved::Wrote(count)),
                Poll::Pending => {}
            }
        }
        let mut buffer = ReadBuf::new(space);
        match wire.poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => Poll::Ready(Moved::Read(buffer.filled().len())),
            Poll::Ready(Err(_)) => Poll::Ready(Moved::Read(0)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests;
