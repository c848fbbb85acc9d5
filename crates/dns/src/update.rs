//! Changes of a zone on its server: dynamic updates, signed with a shared key.
//!
//! It changes what it is told to and nothing else; it never looks for the zone or the server itself.
//!
//! Standards: RFC 2136 (updates), RFC 8945 (TSIG). GSS-TSIG (RFC 3645) is not spoken.

mod key;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::proto::op::{DnsResponse, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::tsig::TsigError;
use hickory_resolver::proto::rr::{self, DNSClass, RData, RecordType};
use tokio::time::timeout;

use crate::exchange::tcp;
use crate::records::{Record, Type};
use crate::resolver::parse;
use crate::write::{kind_of, rdata};

pub use key::{Algorithm, Key};

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
    // RFC 2136 §2.5.1 calls it so; nothing here is a sum.
    #[allow(clippy::should_implement_trait)]
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

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Sends it to the zone's first server over TCP and waits for its answer at most for `within`. `now` in seconds since
    /// 1970; both sides' clocks must agree within five minutes. Whoever gives no key trusts that the server knows us by
    /// our address, and anybody on the way.
    pub async fn send(&self, server: SocketAddr, key: Option<&Key>, now: u64, within: Duration) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let mut message = self.message()?;
        let bad = |error: &dyn fmt::Display| Error::Bad(error.to_string());
        let mut verifier = match key {
            Some(key) => message.finalize(&key.signer()?, now).map_err(|error| bad(&error))?,
            None => None,
        };
        let wire = message.to_vec().map_err(|error| bad(&error))?;
        let lost = |why: &dyn fmt::Display| Error::Temporary(format!("{server}: {why}"));
        let answer = match timeout(within, tcp(server, &wire)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(lost(&error)),
            Err(_) => return Err(lost(&format_args!("no answer within {} s", within.as_secs()))),
        };
        let response =
            DnsResponse::from_buffer(answer.clone()).map_err(|error| Error::Forged(format!("{server}: {error}")))?;
        if response.metadata.id != message.metadata.id {
            return Err(Error::Forged(format!("{server}: the answer is to another message")));
        }
        // RFC 8945 §5.2.3: that is signed, with our own time.
        if let (Some(TsigError::BadTime), Some(_)) = (tsig_error(&response), key) {
            return Err(Error::Clock("they differ by more than five minutes".to_owned()));
        }
        let verified = verifier.as_mut().map(|verifier| verifier.verify(&answer));
        if let (Some(Err(error)), Some(key)) = (verified, key) {
            return Err(unverified(&response, key, &error.to_string()));
        }
        outcome(response.response_code, &self.zone)
    }

    fn message(&self) -> Result<Message, Error> {
        let name = |text: &str| parse(text).map_err(|error| Error::Bad(error.to_string()));
        let mut message = Message::new(Message::query().metadata.id, MessageType::Query, OpCode::Update);
        // RFC 2136 §2.3: the zone stands where questions do, the changes where authorities do.
        message.add_query(Query::query(name(&self.zone)?, RecordType::SOA));
        for change in &self.changes {
            message.add_authority(match change {
                // RFC 2136 §2.5.1: in the zone's class.
                Change::Add(record) => rr::Record::from_rdata(name(&record.name)?, record.ttl, data(record)?),
                // RFC 2136 §2.5.2: class ANY, no data.
                Change::DeleteSet(owner, kind) => {
                    let mut record = rr::Record::update0(name(owner)?, 0, kind_of(*kind));
                    record.dns_class = DNSClass::ANY;
                    record
                }
                // RFC 2136 §2.5.4: class NONE.
                Change::DeleteRecord(record) => {
                    let mut record = rr::Record::from_rdata(name(&record.name)?, 0, data(record)?);
                    record.dns_class = DNSClass::NONE;
                    record
                }
            });
        }
        Ok(message)
    }
}

fn tsig_error(response: &DnsResponse) -> Option<TsigError> {
    response.signature().and_then(|signature| signature.data.error)
}

fn data(record: &Record) -> Result<RData, Error> {
    rdata(&record.data).map_err(|error| Error::Bad(format!("{}: {error}", record.name)))
}

/// An answer that the key does not vouch for. RFC 8945 §5.2: about the key itself the server cannot sign.
fn unverified(response: &DnsResponse, key: &Key, why: &str) -> Error {
    let name = key.name();
    match tsig_error(response) {
        Some(TsigError::BadKey) => {
            Error::Refused(format!("it does not know the key {name}, or not for this algorithm"))
        }
        Some(TsigError::BadSig) => Error::Refused(format!("its key {name} has another secret")),
        Some(TsigError::BadTime | TsigError::BadTrunc | TsigError::Unknown(_)) | None => match response.response_code {
            ResponseCode::NoError => Error::Forged(why.to_owned()),
            code => Error::Refused(format!("{code}, without a signature of the key {name}")),
        },
    }
}

/// RFC 2136 §2.2.
fn outcome(code: ResponseCode, zone: &str) -> Result<(), Error> {
    match code {
        ResponseCode::NoError => Ok(()),
        ResponseCode::ServFail => Err(Error::Temporary("the server could not make the changes".to_owned())),
        ResponseCode::Refused => Err(Error::Refused(format!("it does not let us change {zone}"))),
        ResponseCode::NotAuth => Err(Error::Refused(format!("it is not the server of {zone}"))),
        ResponseCode::NotZone => Err(Error::Refused(format!("a name is not in {zone}"))),
        ResponseCode::NotImp => Err(Error::Refused("it knows no dynamic updates".to_owned())),
        other => Err(Error::Refused(other.to_string())),
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
