//! The stream of a running connection with the output that waits for it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use postroad_protocol::TlsFacts;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::coop::consume_budget;
use tokio::time::timeout;

use crate::compression::Compression;
use crate::connection::Ending;
use crate::{Stream, Times, Tls};

/// Owned by the loop of one connection.
pub(crate) struct Wire<S> {
    /// None once a handshake failed: it took the socket with it.
    stream: Option<Stream<S>>,
    output: Vec<u8>,
    /// What goes over the stream is compressed.
    compression: Option<Box<Compression>>,
    times: Times,
    pub(crate) listener: Arc<str>,
    /// Why nothing can be sent any more.
    pub(crate) failure: Option<Ending>,
    /// Bytes of the session, without TLS; compressed ones as they came.
    pub(crate) received: u64,
    /// Bytes of the session, without TLS; compressed ones as they went.
    pub(crate) sent: u64,
    pub(crate) jobs: u64,
    /// What of the two above was counted in the metrics.
    counted: (u64, u64),
    /// The measure of the last stage: to find it takes longer than to add to it, and clients do the same thing again and again.
    measured: Option<(&'static str, metrics::Histogram)>,
}

impl<S> Wire<S> {
    pub(crate) fn new(stream: Stream<S>, listener: Arc<str>, times: Times) -> Wire<S> {
        Wire {
            stream: Some(stream),
            output: Vec::new(),
            compression: None,
            times,
            listener,
            failure: None,
            received: 0,
            sent: 0,
            jobs: 0,
            counted: (0, 0),
            measured: None,
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

    /// How long jobs of this stage take.
    pub(crate) fn measured(&mut self, stage: &'static str) -> &metrics::Histogram {
        let listener = &self.listener;
        let find = || metrics::histogram!("postroad_job_seconds", "listener" => Arc::clone(listener), "stage" => stage);
        self.measured.take_if(|(last, _)| *last != stage);
        &self.measured.get_or_insert_with(|| (stage, find())).1
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
        let result = match self.compression.take() {
            None => self.send(&output).await,
            Some(mut compression) => {
                let result = self.send_compressed(&mut compression, &output).await;
                self.compression = Some(compression);
                result
            }
        };
        if let Err(ending) = result {
            self.failure = Some(ending);
        }
        self.count_when_much();
    }

    async fn send_compressed(&mut self, compression: &mut Compression, output: &[u8]) -> Result<(), Ending> {
        let pieces = output.len().div_ceil(PIECE);
        for (number, piece) in output.chunks(PIECE).enumerate() {
            let squeezed = compression.squeeze(piece, number + 1 == pieces);
            self.send(&squeezed).await?;
        }
        Ok(())
    }

    async fn send(&mut self, mut rest: &[u8]) -> Result<(), Ending> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
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
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Ending::Broken(error.kind())),
            Err(_) => Err(Ending::SlowReader),
        }
    }

    /// From now on both directions are compressed.
    pub(crate) fn compress(&mut self) {
        self.compression = Some(Box::new(Compression::new()));
    }

    /// From now on neither direction is compressed; what came behind the last of it.
    pub(crate) fn end_compression(&mut self) -> Vec<u8> {
        self.compression.take().map(|compression| compression.rest()).unwrap_or_default()
    }

    /// Hands the next input to `take`; 0 when the client has closed its side. Nothing is lost when the future is dropped.
    pub(crate) async fn read(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
        loop {
            if let Some(compression) = &mut self.compression {
                // Pieces of what came already are no reason for others to wait.
                consume_budget().await;
                if let Some(count) = compression.piece(&mut take)? {
                    return Ok(count);
                }
            }
            let Some(stream) = &mut self.stream else { return Ok(0) };
            let count = match &mut self.compression {
                None => stream.read_into(&mut take).await?,
                Some(compression) => {
                    if compression.is_warm() {
                        let read = timeout(WARM, stream.read_into(|bytes| compression.feed(bytes))).await;
                        if read.is_err() {
                            compression.cool_down();
                            continue;
                        }
                        read.unwrap_or(Ok(0))?
                    } else {
                        stream.read_into(|bytes| compression.feed(bytes)).await?
                    }
                }
            };
            self.received += count as u64;
            self.count_when_much();
            if count == 0 || self.compression.is_none() {
                return Ok(count);
            }
        }
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
            Ending::Session | Ending::TimedOut | Ending::Stopped | Ending::CutOff | Ending::Fatal(_) => true,
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

/// A client that is silent for so long gets its next answer compressed without regard to those before.
const WARM: Duration = Duration::from_secs(2);

/// How much is written under one time limit.
const PIECE: usize = 64 * 1024;

/// How much input is thrown away while waiting for the client to close.
const LINGER_BYTES: usize = 1024 * 1024;

/// The byte counters are brought up to date each time so much has flowed, and at the end.
const COUNT_EVERY: u64 = 1024 * 1024;
