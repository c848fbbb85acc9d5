//! Changes of a zone on its server: dynamic updates, signed with a shared key.
//!
//! It changes what it is told to and nothing else; it never looks for the zone or the server itself.
//!
//! Standards: RFC 2136 (updates), RFC 8945 (TSIG), RFC 3645 §2 is not spoken (GSS).

use std::net::SocketAddr;
use std::time::Duration;

use crate::records::{Record, Type};

/// A key shared with the server.
#[derive(Clone)]
pub struct Key {
    name: String,
    algorithm: Algorithm,
    secret: Vec<u8>,
}

/// How messages are signed. RFC 8945 §6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Algorithm {
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

impl Key {
    /// A key from its parts; `secret` are the octets, not their Base64.
    pub fn new(name: &str, algorithm: Algorithm, secret: Vec<u8>) -> Key {
        Key { name: name.to_owned(), algorithm, secret }
    }

    /// Reads a key as `tsig-keygen` and `keymgr -t` write it, or as `ALGORITHM:NAME:BASE64` (`nsupdate -y`).
    pub fn parse(text: &str) -> Result<Key, Error> {
        let _ = text;
        unimplemented!()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Without the secret.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Key { name, algorithm, secret } = self;
        f.debug_struct("Key")
            .field("name", name)
            .field("algorithm", algorithm)
            .field("bits", &(secret.len() * 8))
            .finish()
    }
}

/// Changes of one zone, all or none of which are made.
#[derive(Debug, Clone)]
pub struct Update {
    zone: String,
    changes: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Add(Record),
    DeleteSet(String, Type),
    DeleteRecord(Record),
}

impl Update {
    /// Nothing yet, in the zone of this name.
    pub fn of(zone: &str) -> Update {
        Update { zone: zone.to_owned(), changes: Vec::new() }
    }

    /// Adds a record to those of its name and type; one that is there already stays.
    pub fn add(mut self, record: Record) -> Update {
        self.changes.push(Change::Add(record));
        self
    }

    /// Deletes all records of a name and type.
    pub fn delete(mut self, name: &str, kind: Type) -> Update {
        self.changes.push(Change::DeleteSet(name.to_owned(), kind));
        self
    }

    /// Deletes this one record of its name and type.
    pub fn delete_record(mut self, record: Record) -> Update {
        self.changes.push(Change::DeleteRecord(record));
        self
    }

    /// Puts these records in the place of all of their name and type; all must be of one name and type.
    pub fn replace(self, records: Vec<Record>) -> Update {
        let Some((name, kind)) = records.first().map(|first| (first.name.clone(), first.data.kind())) else {
            return self;
        };
        records.into_iter().fold(self.delete(&name, kind), Update::add)
    }

    /// Sends it to the zone's first server over TCP and waits for its answer. `now` in seconds since 1970 (both sides' clocks must
    /// agree within five minutes).
    pub async fn send(&self, server: SocketAddr, key: Option<&Key>, now: u64, within: Duration) -> Result<(), Error> {
        let _ = (server, key, now, within, &self.zone, &self.changes);
        unimplemented!()
    }
}

/// Why a zone was not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The server does not answer, or not now. Ask again later.
    Temporary(String),
    /// The server refuses: the key, the zone or the rights.
    Refused(String),
    /// The server's clock and ours disagree. RFC 8945 §5.2.3.
    Clock(String),
    /// The answer is not from the server that has the key, or no answer at all.
    Forged(String),
    /// The key, a name or a record cannot be used; nothing was sent.
    Bad(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Temporary(why) => write!(f, "the name server does not answer: {why}"),
            Error::Refused(why) => write!(f, "the name server refuses the update: {why}"),
            Error::Clock(why) => write!(f, "the name server's clock is not ours: {why}"),
            Error::Forged(why) => write!(f, "the answer is not the name server's: {why}"),
            Error::Bad(why) => write!(f, "the update cannot be sent: {why}"),
        }
    }
}

impl std::error::Error for Error {}
