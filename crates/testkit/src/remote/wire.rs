//! The bytes of a connection, in the clear or over TLS, read by lines.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A connection.
pub(super) struct Wire {
    stream: Option<Stream>,
    buffer: Vec<u8>,
}

enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Wire {
        let _ = stream.set_nodelay(true);
        Wire { stream: Some(Stream::Clear(stream)), buffer: Vec::new() }
    }

    /// The next line with its LF.
    pub(super) fn line(&mut self) -> Result<Vec<u8>> {
        let mut looked = 0;
        loop {
            if let Some(end) = self.buffer[looked..].iter().position(|byte| *byte == b'\n') {
                return Ok(self.buffer.drain(..=looked + end).collect());
            }
            looked = self.buffer.len();
            if looked > LONGEST_LINE {
                return Err(Error::other("a line without an end"));
            }
            self.fill()?;
        }
    }

    /// Exactly so many bytes.
    pub(super) fn exactly(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < count {
            self.fill()?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    pub(super) fn say(&mut self, bytes: &[u8]) -> Result<()> {
        match self.stream.as_mut().ok_or(ErrorKind::NotConnected)? {
            Stream::Clear(stream) => stream.write_all(bytes),
            Stream::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Swallows what comes until the other side goes.
    pub(super) fn swallow(&mut self) {
        while self.fill().is_ok() {
            self.buffer.clear();
        }
    }

    /// From the next byte on it is TLS. What came before is dropped.
    pub(super) fn secure(&mut self, config: Arc<ServerConfig>) -> Result<()> {
        self.buffer.clear();
        let session = ServerConnection::new(config).map_err(Error::other)?;
        let Some(Stream::Clear(stream)) = self.stream.take() else { return Err(Error::other("TLS within TLS")) };
        let mut secured = StreamOwned::new(session, stream);
        while secured.conn.is_handshaking() {
            secured.conn.complete_io(&mut secured.sock)?;
        }
        self.stream = Some(Stream::Tls(Box::new(secured)));
        Ok(())
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.stream, Some(Stream::Tls(_)))
    }

    fn fill(&mut self) -> Result<()> {
        let mut piece = [0; 16 * 1024];
        let read = match self.stream.as_mut().ok_or(ErrorKind::NotConnected)? {
            Stream::Clear(stream) => stream.read(&mut piece)?,
            Stream::Tls(stream) => stream.read(&mut piece)?,
        };
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend(&piece[..read]);
        Ok(())
    }
}

/// More than any test sends.
const LONGEST_LINE: usize = 64 * 1024 * 1024;
