//! Our records in the words of the messages.

use hickory_resolver::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CAA, CNAME, MX, NS, SRV, TLSA, TXT};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use crate::Error;
use crate::records::{Data, Type, strings};
use crate::resolver::parse;

pub(crate) fn kind_of(kind: Type) -> RecordType {
    match kind {
        Type::A => RecordType::A,
        Type::Aaaa => RecordType::AAAA,
        Type::Caa => RecordType::CAA,
        Type::Cname => RecordType::CNAME,
        Type::Mx => RecordType::MX,
        Type::Ns => RecordType::NS,
        Type::Srv => RecordType::SRV,
        Type::Tlsa => RecordType::TLSA,
        Type::Txt => RecordType::TXT,
    }
}

/// Errors: a name that is none.
pub(crate) fn rdata(data: &Data) -> Result<RData, Error> {
    Ok(match data {
        Data::A(address) => RData::A(A(*address)),
        Data::Aaaa(address) => RData::AAAA(AAAA(*address)),
        Data::Caa(caa) => {
            let mut record = CAA::new_issue(caa.is_critical, None, Vec::new());
            record.tag.clone_from(&caa.tag);
            record.value.clone_from(&caa.value);
            RData::CAA(record)
        }
        Data::Cname(target) => RData::CNAME(CNAME(host(target)?)),
        Data::Mx(mx) => RData::MX(MX::new(mx.preference, host(&mx.exchange)?)),
        Data::Ns(server) => RData::NS(NS(host(server)?)),
        Data::Srv(srv) => RData::SRV(SRV::new(srv.priority, srv.weight, srv.port, host(&srv.target)?)),
        Data::Tlsa(tlsa) => RData::TLSA(TLSA::new(
            CertUsage::from(tlsa.usage),
            Selector::from(tlsa.selector),
            Matching::from(tlsa.matching),
            tlsa.data.clone(),
        )),
        Data::Txt(text) => RData::TXT(TXT::from_bytes(strings(text).collect())),
    })
}

/// The empty name is the root: a null MX, a service that is not there.
fn host(name: &str) -> Result<Name, Error> {
    if name.is_empty() { Ok(Name::root()) } else { parse(name) }
}
