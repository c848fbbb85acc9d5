//! Transcripts over real TCP, against a running server.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use postroad_protocol::Interrupt;

use super::local::take_line;
use super::replay::Wire;
use super::{Directive, Open};
use crate::run::PATIENCE;

/// The connections of one transcript.
pub struct Remote<C, D> {
    connect: C,
    directive: D,
    connections: BTreeMap<u32, Connection>,
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    ended: bool,
}

impl<C, D> Remote<C, D>
where
    C: FnMut(&Open) -> Result<TcpStream, String>,
    D: FnMut(&Directive) -> Result<(), String>,
{
    /// `connect` opens a session's connection, and may bring it as far as the words of `@open` say; `directive` does what the transcript's directives say.
    pub fn new(connect: C, directive: D) -> Remote<C, D> {
        Remote { connect, directive, connections: BTreeMap::new() }
    }

    fn connection(&mut self, session: u32) -> Result<&mut Connection, String> {
        self.connections.get_mut(&session).ok_or_else(|| format!("session {session} is not open"))
    }
}

impl Connection {
    /// Reads until a whole line is there, or the end.
    fn fill(&mut self) -> Result<(), String> {
        let mut piece = [0; 16 * 1024];
        while !self.ended && !self.received.windows(2).any(|pair| pair == b"\r\n") {
            match self.stream.read(&mut piece) {
                Ok(0) => self.ended = true,
                Ok(length) => self.received.extend_from_slice(&piece[..length]),
                Err(error) if is_timeout(&error) => return Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    self.ended = true;
                }
                Err(error) => return Err(format!("reading: {error}")),
            }
        }
        Ok(())
    }
}

impl<C, D> Wire for Remote<C, D>
where
    C: FnMut(&Open) -> Result<TcpStream, String>,
    D: FnMut(&Directive) -> Result<(), String>,
{
    fn open(&mut self, open: &Open) -> Result<(), String> {
        let stream = (self.connect)(open)?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_nodelay(true))
            .map_err(|error| error.to_string())?;
        let connection = Connection { stream, received: Vec::new(), ended: false };
        self.connections.insert(open.session, connection);
        Ok(())
    }

    fn is_open(&self, session: u32) -> bool {
        self.connections.contains_key(&session)
    }

    fn send(&mut self, session: u32, bytes: &[u8]) -> Result<(), String> {
        self.connection(session)?.stream.write_all(bytes).map_err(|error| format!("sending: {error}"))
    }

    fn line(&mut self, session: u32) -> Result<Option<Vec<u8>>, String> {
        let connection = self.connection(session)?;
        connection.fill()?;
        Ok(take_line(&mut connection.received))
    }

    /// Only what has been received already: over a network nobody can know that nothing will come.
    fn unread(&mut self, session: u32) -> Result<Option<Vec<u8>>, String> {
        Ok(take_line(&mut self.connection(session)?.received))
    }

    fn closed(&mut self, session: u32) -> Result<bool, String> {
        let connection = self.connection(session)?;
        connection.fill()?;
        Ok(connection.ended)
    }

    fn interrupt(&mut self, session: u32, why: Interrupt) -> Result<(), String> {
        let connection = self.connection(session)?;
        match why {
            Interrupt::Closed => {
                connection.stream.shutdown(std::net::Shutdown::Write).map_err(|error| error.to_string())
            }
            Interrupt::TimedOut | Interrupt::ShuttingDown | Interrupt::CutOff => {
                Err("over TCP only the server can interrupt so".to_owned())
            }
        }
    }

    fn directive(&mut self, directive: &Directive) -> Result<(), String> {
        (self.directive)(directive)
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}
