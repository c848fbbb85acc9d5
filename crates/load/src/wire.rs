//! A connection of lines and counted octets, with a limit on every wait.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a server may take for one answer, or for one connection.
const PATIENCE: Duration = Duration::from_secs(120);
/// What is read at once.
const READ_BUFFER: usize = 64 * 1024;
/// A longer line is no answer of a mail server.
const LONGEST_LINE: usize = 1024 * 1024;

/// A socket, or TLS over one.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// One connection to a server.
pub(crate) struct Wire {
    stream: BufReader<Box<dyn Duplex>>,
    line: Vec<u8>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    /// Connects with a buffer for bulk reading.
    pub(crate) async fn connect(place: &str) -> Result<Wire> {
        Self::connect_with(place, READ_BUFFER).await
    }

    /// Connects with a read buffer of this many octets.
    pub(crate) async fn connect_with(place: &str, buffer: usize) -> Result<Wire> {
        let stream = patient(TcpStream::connect(place)).await.with_context(|| format!("no connection to {place}"))?;
        stream.set_nodelay(true)?;
        Ok(Wire::over(buffer, Box::new(stream)))
    }

    /// Connects with TLS from the first octet, to whoever answers: nothing is measured about certificates.
    pub(crate) async fn connect_tls(place: &str, buffer: usize, tls: &TlsConnector) -> Result<Wire> {
        let stream = patient(TcpStream::connect(place)).await.with_context(|| format!("no connection to {place}"))?;
        stream.set_nodelay(true)?;
        let name = rustls::pki_types::ServerName::try_from("localhost")?;
        let stream = patient(tls.connect(name, stream)).await.context("no TLS")?;
        Ok(Wire::over(buffer, Box::new(stream)))
    }

    fn over(buffer: usize, stream: Box<dyn Duplex>) -> Wire {
        Wire { stream: BufReader::with_capacity(buffer, stream), line: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        patient(self.stream.get_mut().write_all(bytes)).await
    }

    /// The next line without its line end.
    pub(crate) async fn line(&mut self) -> Result<&[u8]> {
        self.line.clear();
        let (stream, line) = (&mut self.stream, &mut self.line);
        patient(async {
            loop {
                let there = stream.fill_buf().await?;
                if there.is_empty() {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                let end = there.iter().position(|&octet| octet == b'\n');
                let taken = end.map_or(there.len(), |at| at + 1);
                line.extend_from_slice(&there[..taken]);
                stream.consume(taken);
                if end.is_some() || line.len() > LONGEST_LINE {
                    return Ok(());
                }
            }
        })
        .await?;
        if self.line.len() > LONGEST_LINE {
            bail!("the server sent a line of more than {LONGEST_LINE} octets");
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Reads past so many octets.
    pub(crate) async fn skip(&mut self, octets: u64) -> Result<()> {
        let mut left = octets;
        while left > 0 {
            let there = patient(self.stream.fill_buf()).await?.len();
            if there == 0 {
                bail!("the server closed the connection within a literal");
            }
            let taken = there.min(usize::try_from(left).unwrap_or(usize::MAX));
            self.stream.consume(taken);
            left -= taken as u64;
        }
        Ok(())
    }
}

/// Waits for something of the server, but not for ever.
async fn patient<T>(work: impl Future<Output = std::io::Result<T>>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => Ok(done?),
        Err(_) => bail!("the server did not answer for {} s", PATIENCE.as_secs()),
    }
}
