//! What stands between the validator and the name servers: keeps what chains of trust are made of, and hands on one
//! step of an answer at a time.
//!
//! It never says that something is signed. Standards: RFC 4035 §4.9.2 (the CD bit), RFC 6840 §5.9.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, DnsResponseStream};
use hickory_resolver::proto::dnssec::rdata::DNSSECRData;
use hickory_resolver::proto::op::{DnsRequest, DnsResponse, Message, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::time::Instant;

use crate::exchange::Servers;

/// The name servers as the validator asks them.
#[derive(Clone)]
pub(crate) struct Chain {
    servers: Arc<Servers>,
    kept: Arc<Mutex<HashMap<(Name, RecordType), Kept>>>,
}

struct Kept {
    response: DnsResponse,
    until: Instant,
}

impl Chain {
    pub(crate) fn of(servers: Arc<Servers>) -> Chain {
        Chain { servers, kept: Arc::default() }
    }

    async fn ask(&self, mut question: Message) -> Result<DnsResponse, NetError> {
        // We judge ourselves: a server that validates too must not keep from us what it thinks is forged.
        question.metadata.checking_disabled = true;
        let Some((name, kind)) = question.queries.first().map(|query| (query.name().clone(), query.query_type()))
        else {
            return Err(NetError::from("no question"));
        };
        let is_link = matches!(kind, RecordType::DS | RecordType::DNSKEY | RecordType::NS);
        if is_link && let Some(response) = self.kept(&(name.clone(), kind)) {
            return Ok(response);
        }
        let response = one_step(self.servers.ask(&question).await?, &name, kind);
        if is_link {
            self.keep((name, kind), &response);
        }
        Ok(response)
    }

    fn kept(&self, key: &(Name, RecordType)) -> Option<DnsResponse> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|kept| kept.until > Instant::now()).map(|kept| kept.response.clone())
    }

    fn keep(&self, key: (Name, RecordType), response: &DnsResponse) {
        if !matches!(response.response_code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return;
        }
        let seconds = response.all_sections().map(|record| record.ttl).min().unwrap_or(0);
        let ttl = Duration::from_secs(seconds.into()).min(LINK_TTL_MAX);
        if ttl.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= LINKS_MAX {
            kept.retain(|_, kept| kept.until > now);
        }
        if kept.len() >= LINKS_MAX {
            kept.clear();
        }
        kept.insert(key, Kept { response: response.clone(), until: now + ttl });
    }
}

impl DnsHandle for Chain {
    type Response = DnsResponseStream;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> DnsResponseStream {
        let (question, _) = request.into_parts();
        let own = self.clone();
        DnsResponseStream::from(Box::pin(async move { own.ask(question).await }))
    }
}

/// Cuts an answer down to what it says of this very name: an alias without what the alias leads to (that is asked for
/// by itself, since a denial at the end of an alias cannot be proven from the alias's zone), and an answer without the
/// name servers and addresses that came with it (each would cost further questions).
fn one_step(mut response: DnsResponse, name: &Name, kind: RecordType) -> DnsResponse {
    let is_here = |record: &Record, kind: RecordType| {
        &record.name == name && (record.record_type() == kind || covers(record, kind))
    };
    response.additionals.clear();
    let has =
        |kind: RecordType| response.answers.iter().any(|record| &record.name == name && record.record_type() == kind);
    let kept = match (has(kind), has(RecordType::CNAME)) {
        (true, _) => kind,
        (false, true) => RecordType::CNAME,
        (false, false) => {
            only_of_zone(&mut response, name);
            return response;
        }
    };
    response.answers.retain(|record| is_here(record, kept));
    response.metadata.response_code = ResponseCode::NoError;
    let is_wildcard = response.answers.iter().any(is_expanded);
    // What was expanded from a wildcard needs the proof that there is nothing closer (RFC 4035 §5.3.4).
    response.authorities.retain(|record| is_wildcard && is_denial(record));
    response
}

/// Leaves of a denial what the zone of the name itself says. The validator takes a denial for one of an unsigned zone when
/// all that came with it is of unsigned zones, whichever: with a foreign one put beside it a denial for a signed zone could be forged.
fn only_of_zone(response: &mut DnsResponse, name: &Name) {
    let is_top = |record: &&Record| record.record_type() == RecordType::SOA && record.name.zone_of(name);
    match response.authorities.iter().find(is_top).map(|record| record.name.clone()) {
        Some(zone) => response.authorities.retain(|record| {
            zone.zone_of(&record.name)
                && (is_denial(record) || record.record_type() == RecordType::SOA || covers(record, RecordType::SOA))
        }),
        None => response.authorities.clear(),
    }
}

fn covers(record: &Record, kind: RecordType) -> bool {
    matches!(&record.data, RData::DNSSEC(DNSSECRData::RRSIG(signature)) if signature.input().type_covered == kind)
}

/// Whether it is a signature over what a wildcard stood for. RFC 4035 §5.3.2.
pub(crate) fn is_expanded(record: &Record) -> bool {
    matches!(&record.data, RData::DNSSEC(DNSSECRData::RRSIG(signature)) if signature.input().num_labels < record.name.num_labels())
}

fn is_denial(record: &Record) -> bool {
    matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3)
        || covers(record, RecordType::NSEC)
        || covers(record, RecordType::NSEC3)
}

/// Keys, delegations and their denials kept.
const LINKS_MAX: usize = 4_096;
/// They are looked at again after this time, so that a rolled key is seen.
const LINK_TTL_MAX: Duration = Duration::from_secs(60 * 60);
