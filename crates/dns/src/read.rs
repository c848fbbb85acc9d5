//! What an answer says, and its records as our types.

use std::time::Duration;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use crate::{Caa, Mx, Soa, Srv, Tlsa};

/// What an answer says of a name and a type.
#[derive(Debug)]
pub(crate) struct Read {
    /// What the aliases in the answer lead to; without one the name itself.
    pub(crate) name: Name,
    pub(crate) says: Says,
    /// The least of all that was used.
    pub(crate) ttl: Duration,
    /// Aliases followed.
    pub(crate) aliases: usize,
}

#[derive(Debug)]
pub(crate) enum Says {
    Records(Vec<RData>),
    /// Ask for [`Read::name`].
    Alias,
    NoSuchName,
    NoData,
    /// No answer; why.
    Nothing(String),
}

pub(crate) fn read(message: &Message, name: &Name, kind: RecordType) -> Read {
    let (mut name, mut seconds, mut aliases) = (name.clone(), u32::MAX, 0);
    // Each alias is used once at most, so that a circle ends.
    for _ in 0..=message.answers.len().min(ALIASES_MAX) {
        let here = || message.answers.iter().filter(|record| record.name == name);
        let found: Vec<&_> = here().filter(|record| record.record_type() == kind).take(RECORDS_MAX).collect();
        if !found.is_empty() {
            let ttl = found.iter().map(|record| record.ttl).fold(seconds, u32::min);
            let records = found.into_iter().map(|record| record.data.clone()).collect();
            return Read { name, says: Says::Records(records), ttl: time(ttl), aliases };
        }
        let alias = here().find_map(|record| match &record.data {
            RData::CNAME(target) => Some((target.0.clone(), record.ttl)),
            _ => None,
        });
        let Some((target, ttl)) = alias else { break };
        name = target;
        seconds = seconds.min(ttl);
        aliases += 1;
    }
    // RFC 2308 §5: what the zone says of how long denials are kept.
    let denied = message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    });
    let referred = message.authorities.iter().any(|record| record.record_type() == RecordType::NS);
    let says = match message.response_code {
        ResponseCode::NXDomain => Says::NoSuchName,
        ResponseCode::NoError if denied.is_none() && aliases > 0 => Says::Alias,
        // RFC 2308 §2.2: name servers instead of an answer are no denial.
        ResponseCode::NoError if denied.is_none() && referred => {
            Says::Nothing("the name server refers to others instead of resolving".to_owned())
        }
        ResponseCode::NoError => Says::NoData,
        code => Says::Nothing(format!("the name server says {code}")),
    };
    let ttl = match says {
        Says::Alias => time(seconds),
        Says::Records(_) | Says::NoSuchName | Says::NoData | Says::Nothing(_) => time(seconds.min(denied.unwrap_or(0))),
    };
    Read { name, says, ttl, aliases }
}

fn time(seconds: u32) -> Duration {
    // RFC 2181 §8: with the highest bit set it is to be taken as 0.
    Duration::from_secs(if seconds > i32::MAX as u32 { 0 } else { seconds.into() })
}

/// A name as our callers see it, and as they can ask for it again: without escapes where it needs none.
pub(crate) fn host(name: &Name) -> String {
    let is_plain = |octet: &u8| octet.is_ascii_graphic() && !b".\\".contains(octet);
    if name.iter().all(|label| label.iter().all(is_plain)) {
        let labels: Vec<String> = name.iter().map(|label| label.iter().copied().map(char::from).collect()).collect();
        return labels.join(".").to_ascii_lowercase();
    }
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

pub(crate) fn mx(data: &RData) -> Option<Mx> {
    match data {
        RData::MX(mx) => Some(Mx { preference: mx.preference, exchange: host(&mx.exchange) }),
        _ => None,
    }
}

pub(crate) fn tlsa(data: &RData) -> Option<Tlsa> {
    match data {
        RData::TLSA(tlsa) => Some(Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        }),
        _ => None,
    }
}

pub(crate) fn srv(data: &RData) -> Option<Srv> {
    match data {
        RData::SRV(srv) => {
            Some(Srv { priority: srv.priority, weight: srv.weight, port: srv.port, target: host(&srv.target) })
        }
        _ => None,
    }
}

pub(crate) fn caa(data: &RData) -> Option<Caa> {
    match data {
        RData::CAA(caa) => {
            Some(Caa { is_critical: caa.issuer_critical, tag: caa.tag.to_ascii_lowercase(), value: caa.value.clone() })
        }
        _ => None,
    }
}

pub(crate) fn soa(data: &RData) -> Option<Soa> {
    match data {
        RData::SOA(soa) => Some(Soa {
            primary: host(&soa.mname),
            responsible: host(&soa.rname),
            serial: soa.serial,
            minimum: soa.minimum,
        }),
        _ => None,
    }
}

/// More records of one type than this are not looked at.
const RECORDS_MAX: usize = 200;
/// Aliases in one answer.
pub(crate) const ALIASES_MAX: usize = 10;
