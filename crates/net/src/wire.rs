//! The stream of a running connection with the output that waits for it.

use std::io;
use std::sync::Arc;

use postroad_protocol::TlsFacts;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::connection::Ending;
use crate::{Stream, Times, Tls};

/// Owned by the loop of one connection.
pub(crate) struct Wire<S> {
    /// None once a handshake failed: it took the socket with it.
    stream: Option<Stream<S>>,
    output: Vec<u8>,
    times: Times,
    pub(crate) listener: Arc<str>,
    /// Why nothing can be sent any more.
    pub(crate) failure: Option<Ending>,
    /// Bytes of the session, without TLS.
    pub(crate) received: u64,
    /// Bytes of the session, without TLS.
    pub(crate) sent: u64,
    pub(crate) jobs: u64,
    /// What of the two above was counted in the metrics.
    counted: (u64, u64),
}

impl<S> Wire<S> {
    pub(crate) fn new(stream: Stream<S>, listener: Arc<str>, times: Times) -> Wire<S> {
        Wire {
            stream: Some(stream),
            output: Vec::new(),
            times,
            listener,
            failure: None,
            received: 0,
            sent: 0,
            jobs: 0,
            counted: (0, 0),
        }
    }

    /// Takes the session's output; it goes out with the next flush.
    pub(crate) fn queue(&mut self, output: Vec<u8>) {
        if self.output.is_empty() {
            self.output = output;
        } else {
            self.output.extend_from_slice(&output);
        }
    }

    pub(crate) fn queued(&self) -> usize {
        self.output.len()
    }

    fn count(&mut self) {
        let (received, sent) = self.counted;
        let listener = || Arc::clone(&self.listener);
        metrics::counter!("postroad_received_bytes_total", "listener" => listener())
            .increment(self.received - received);
        metrics::counter!("postroad_sent_bytes_total", "listener" => listener()).increment(self.sent - sent);
        self.counted = (self.received, self.sent);
    }

    fn count_when_much(&mut self) {
        if self.received + self.sent - self.counted.0 - self.counted.1 >= COUNT_EVERY {
            self.count();
        }
    }
}

impl<S> Drop for Wire<S> {
    fn drop(&mut self) {
        self.count();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Wire<S> {
    /// Sends what waits and gives the buffer back. What goes wrong stands in `failure`.
    pub(crate) async fn flush(&mut self) {
        let output = std::mem::take(&mut self.output);
        if output.is_empty() || self.failure.is_some() {
            return;
        }
        let Some(stream) = &mut self.stream else { return };
        let mut rest = output.as_slice();
        // The time runs for each piece that the peer takes: a slow reader is served, one that stopped reading is not.
        let result = loop {
            if rest.is_empty() {
                break timeout(self.times.write, stream.flush()).await;
            }
            let piece = &rest[..rest.len().min(PIECE)];
            match timeout(self.times.write, stream.write(piece)).await {
                Ok(Ok(0)) => break Ok(Err(io::ErrorKind::WriteZero.into())),
                Ok(Ok(count)) => {
                    self.sent += count as u64;
                    rest = &rest[count..];
                }
                failed => break failed.map(|result| result.map(|_| ())),
            }
        };
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.failure = Some(Ending::Broken(error.kind())),
            Err(_) => self.failure = Some(Ending::SlowReader),
        }
        self.count_when_much();
    }

    /// Hands the next input to `take`; 0 when the client has closed its side.
    pub(crate) async fn read(&mut self, take: impl FnMut(&[u8])) -> io::Result<usize> {
        let Some(stream) = &mut self.stream else { return Ok(0) };
        let count = stream.read_into(take).await?;
        self.received += count as u64;
        self.count_when_much();
        Ok(count)
    }

    /// Has what was read acknowledged at once.
    pub(crate) fn acknowledge(&self)
    where
        S: 'static,
    {
        if let Some(stream) = &self.stream {
            stream.acknowledge();
        }
    }

    /// Shakes hands. When this fails or is dropped, the socket is gone.
    pub(crate) async fn secure(&mut self, tls: &Tls) -> io::Result<TlsFacts> {
        let stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        let (stream, facts) = stream.secure(tls, &[]).await?;
        self.stream = Some(stream);
        Ok(facts)
    }

    /// Sends the last words and closes so that they arrive.
    pub(crate) async fn finish(&mut self, ending: &Ending) {
        self.flush().await;
        let Some(stream) = &mut self.stream else { return };
        let polite = match ending {
            Ending::Session | Ending::TimedOut | Ending::Stopped | Ending::Fatal(_) => true,
            Ending::Client | Ending::SlowReader | Ending::Handshake(_) | Ending::Broken(_) => false,
        };
        if self.failure.is_some() {
            return;
        }
        let closed = timeout(self.times.write.min(self.times.linger), stream.shutdown()).await;
        if !polite || !matches!(closed, Ok(Ok(()))) {
            return;
        }
        // Closing a socket with unread input resets the connection, and the reset may overtake our last words:
        // so read on for a moment until the client closes too.
        let mut discarded = 0;
        let _ = timeout(self.times.linger, async {
            while discarded < LINGER_BYTES {
                match stream.read_into(|_| {}).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => discarded += count,
                }
            }
        })
        .await;
    }
}

/// How much is written under one time limit.
const PIECE: usize = 64 * 1024;

/// How much input is thrown away while waiting for the client to close.
const LINGER_BYTES: usize = 1024 * 1024;

/// The byte counters are brought up to date each time so much has flowed, and at the end.
const COUNT_EVERY: u64 = 1024 * 1024;
