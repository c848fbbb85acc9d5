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
    let aliases_max = message.answers.len().min(ALIASES_MAX);
    loop {
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
        let Some((target, ttl)) = alias.filter(|_| aliases < aliases_max) else { break };
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

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::{OpCode, Query};
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::{CNAME, MX, SOA};

    use super::*;

    /// An answer with aliases, records and a start of authority.
    fn whole() -> Message {
        let name = |text: &str| Name::from_ascii(text).expect("a name");
        let mut message = Message::response(1, OpCode::Query);
        message.add_query(Query::query(name("a.test."), RecordType::MX));
        message.add_answer(Record::from_rdata(name("a.test."), 60, RData::CNAME(CNAME(name("b.test.")))));
        message.add_answer(Record::from_rdata(name("b.test."), 50, RData::CNAME(CNAME(name("c.test.")))));
        message.add_answer(Record::from_rdata(name("c.test."), 70, RData::MX(MX::new(1, name("mx.test.")))));
        let soa = SOA::new(name("ns.test."), name("admin.test."), 1, 60, 60, 60, 20);
        message.add_authority(Record::from_rdata(name("test."), 60, RData::SOA(soa)));
        message
    }

    #[test]
    fn aliases_are_followed_and_the_least_time_holds() {
        let asked = Name::from_ascii("A.test.").expect("a name");
        let mut message = whole();
        let found = read(&message, &asked, RecordType::MX);
        assert!(matches!(&found.says, Says::Records(records) if records.len() == 1));
        assert_eq!((host(&found.name).as_str(), found.ttl.as_secs(), found.aliases), ("c.test", 50, 2));
        let alias = read(&message, &asked, RecordType::CNAME);
        assert_eq!((host(&alias.name).as_str(), alias.aliases), ("a.test", 0));
        // Without the records at the end: the zone says that there are none, or nobody says.
        message.answers.pop();
        let denied = read(&message, &asked, RecordType::MX);
        assert!(matches!(denied.says, Says::NoData));
        assert_eq!(denied.ttl.as_secs(), 20);
        message.authorities.clear();
        assert!(matches!(read(&message, &asked, RecordType::MX).says, Says::Alias));
        message.metadata.response_code = ResponseCode::NXDomain;
        assert!(matches!(read(&message, &asked, RecordType::MX).says, Says::NoSuchName));
        message.metadata.response_code = ResponseCode::Refused;
        assert!(matches!(read(&message, &asked, RecordType::MX).says, Says::Nothing(_)));
    }

    #[test]
    fn a_circle_of_aliases_ends() {
        let asked = Name::from_ascii("a.test.").expect("a name");
        let mut message = whole();
        message.answers.truncate(1);
        message.answers.push(Record::from_rdata(asked.clone(), 60, RData::CNAME(CNAME(asked.clone()))));
        message.answers.swap(0, 1);
        let found = read(&message, &asked, RecordType::MX);
        assert_eq!((host(&found.name).as_str(), found.aliases), ("a.test", 2));
    }

    #[test]
    fn fuzz_any_message_says_something() {
        let asked = Name::from_ascii("a.test.").expect("a name");
        let whole = whole().to_vec().expect("octets");
        postroad_fuzz::check!(2_000).with_type::<Vec<(u8, u8)>>().for_each(|changes| {
            let mut octets = whole.clone();
            for (at, octet) in changes.iter().take(4) {
                let at = usize::from(*at) % octets.len();
                octets[at] ^= octet;
            }
            let Ok(message) = Message::from_vec(&octets) else { return };
            for kind in [RecordType::MX, RecordType::TLSA, RecordType::CNAME] {
                let read = read(&message, &asked, kind);
                assert!(read.aliases <= message.answers.len());
                assert!(
                    !matches!(read.says, Says::Records(records) if records.is_empty() || records.len() > RECORDS_MAX)
                );
            }
        });
    }
}
