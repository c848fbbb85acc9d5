//! *The* connection loop.

use std::sync::Arc;
use std::time::Duration;

use postroad_protocol::Protocol;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Arrival, Door, Stream, World};

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The whole TLS handshake.
    pub handshake: Duration,
    /// The whole PROXY protocol header.
    pub proxy_header: Duration,
    /// A peer that takes none of its output for so long is dropped.
    pub write: Duration,
    /// After the last word, how long we wait for the peer to close, so that the word arrives.
    pub linger: Duration,
    /// After the stop, how long connections may take to finish their running job.
    pub grace: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            handshake: Duration::from_secs(30),
            proxy_header: Duration::from_secs(5),
            write: Duration::from_secs(120),
            linger: Duration::from_secs(2),
            grace: Duration::from_secs(30),
        }
    }
}

/// How a connection ended, for the log and for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The session closed it.
    Session,
    /// The client closed it.
    Client,
    /// The client sent nothing for the session's patience.
    TimedOut,
    /// The server stops.
    Stopped,
    /// The client did not take its output.
    SlowReader,
    /// The TLS handshake failed; what rustls said.
    Handshake(String),
    /// The network failed.
    Broken(std::io::ErrorKind),
    /// The world lost the session, or something panicked.
    Fatal(String),
}

/// Runs a session over a stream to its end. For tests of sessions over a pipe; servers use [`crate::serve`].
pub async fn run<P, W, S>(stream: Stream<S>, arrival: &Arrival, door: &Door, world: Arc<W>, session: P) -> Ending
where
    P: Protocol,
    W: World<P>,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _ = (stream, arrival, door, world, session);
    unimplemented!()
}
